#include "store/document.h"

#include <cassert>
#include <new>

#include "store/bucket_types.h"
#include "store/memory.h"

namespace bobbin::store {

void Document::destroy(Document* document) noexcept {
  const size_t size = document->size();
  MemoryAccount::by_id(document->account_id()).credit(allocated_size(document, size));
  document->~Document();
  free_bytes(document, size);
}

Document* Document::create(MemoryAccount& account, std::string_view key, uint32_t value_len,
                           uint64_t shell) noexcept {
  assert(!key.empty() && key.size() <= kMaxKeyBytes);
  assert(value_len <= kLargestMaxValueBytes);
  const size_t size = sizeof(Document) + key.size() + (shell == 0 ? value_len : 0);
  void* memory = allocate_bytes(size);
  if (memory == nullptr) return nullptr;
  // Placement: the key and the value follow in the same allocation.
  auto* document = new (memory) Document();
  document->value_len_ = value_len;
  document->key_len_ = static_cast<uint8_t>(key.size());
  document->revision_and_account_ = uint64_t{account.id()} << Document::kAccountShift | shell;
  std::memcpy(document->bytes(), key.data(), key.size());
  account.charge(allocated_size(memory, size));
  return document;
}

Draft Draft::allocate(MemoryAccount& account, std::string_view key, uint32_t value_len) noexcept {
  return Draft(Document::create(account, key, value_len, 0));
}

base::PinnedBytes pin(DocumentRef document) noexcept {
  if (!document) return {};
  const std::string_view value = document->value();
  Document* owner = document.release();
  return {value, owner,
          [](void* pinned) noexcept { const DocumentRef last(static_cast<Document*>(pinned)); }};
}

}  // namespace bobbin::store
