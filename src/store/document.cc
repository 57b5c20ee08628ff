#include "store/document.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
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

Document* Document::create(MemoryAccount& account, DocKey key, uint32_t value_len, uint64_t shell) noexcept {
  assert(key.is_valid());
  assert(value_len <= kLargestMaxValueBytes + kAttributeAllowanceBytes);
  const CollectionPrefix prefix(key.collection());
  const size_t key_len = prefix.size() + key.name().size();
  const size_t size = kHeaderBytes + key_len + (shell == 0 ? value_len : 0);
  void* memory = allocate_bytes(size);
  if (memory == nullptr) return nullptr;
  // Placement: the key and the value follow in the same allocation.
  auto* document = new (memory) Document();
  document->value_len_ = value_len;
  document->key_len_ = static_cast<uint8_t>(key_len);
  document->revision_and_account_ = uint64_t{account.id()} << Document::kAccountShift | shell;
  static_assert(offsetof(Document, first_of_key_) == kHeaderBytes);
  char* to = document->bytes();
  // Nearly always one byte: not worth a call.
  for (const char byte : prefix.bytes())
    *to++ = byte;
  std::memcpy(to, key.name().data(), key.name().size());
  account.charge(allocated_size(memory, size));
  return document;
}

size_t Document::measure_attributes() const noexcept {
  const std::string_view all = value();
  size_t rest = 0;
  for (const char byte : all.substr(0, 4))
    rest = rest << 8 | static_cast<unsigned char>(byte);
  // Blocks are looked at before they are stored: the end of the value is for what is damaged.
  return std::min(all.size(), rest + 4);
}

Draft Draft::allocate(MemoryAccount& account, DocKey key, uint32_t value_len) noexcept {
  return Draft(Document::create(account, key, value_len, 0));
}

base::PinnedBytes pin(DocumentRef document, std::string_view part) noexcept {
  if (!document) return {};
  Document* owner = document.release();
  return {part, owner, [](void* pinned) noexcept { const DocumentRef last(static_cast<Document*>(pinned)); }};
}

base::PinnedBytes pin(DocumentRef document) noexcept {
  const std::string_view all = document ? document->value() : std::string_view();
  return pin(std::move(document), all);
}

}  // namespace bobbin::store
