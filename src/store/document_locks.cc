#include "store/document_locks.h"

#include <algorithm>
#include <utility>

namespace bobbin::store {

DocumentLocks::Entry* DocumentLocks::find(const Document& document) noexcept {
  const auto found = std::ranges::find(entries_, &document, &Entry::document);
  return found == entries_.end() ? nullptr : &*found;
}

DocumentLocks::Entry* DocumentLocks::add(const Document& document) noexcept {
  if (full()) return nullptr;
  return &entries_.emplace_back(Entry{&document});
}

void DocumentLocks::erase(const Document& document) noexcept {
  Entry* const entry = find(document);
  if (entry == nullptr) return;
  *entry = entries_.back();
  entries_.pop_back();
}

const Document* DocumentLocks::evict(uint32_t now_s) noexcept {
  const auto over = std::ranges::find_if(entries_, [&](const Entry& entry) { return !entry.holds(now_s); });
  if (over == entries_.end()) return nullptr;
  const Document* const document = over->document;
  erase(*document);
  return document;
}

}  // namespace bobbin::store
