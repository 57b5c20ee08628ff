// Values that are kept compressed: for those who want the value itself, and for buckets that compress what
// comes.

#include <algorithm>
#include <string>
#include <utility>

#include "store/bucket.h"
#include "wire/compression.h"

namespace bobbin::store {
namespace {

// What it saves has to pay for its inflation, each time that somebody reads it: a sixth, as upstream has it.
constexpr size_t kSavedOf = 6;
constexpr size_t kSmallestCompressedBytes = 64;

}  // namespace

Draft Bucket::compressed(Draft& draft) const noexcept {
  const std::span<const char> value = draft.value();
  constexpr uint8_t kLeft = Document::kCompressedBit | Document::kAttributesBit;
  if (value.size() < kSmallestCompressedBytes || value.size() > kLargestCompressedBytes ||
      (draft.datatype() & kLeft) != 0)
    return {};
  // Of a loop or of who imports: as much as the largest value, and once.
  static thread_local std::string bytes;
  wire::deflate({value.data(), value.size()}, bytes);
  if (bytes.size() * kSavedOf > value.size() * (kSavedOf - 1)) return {};
  Draft shorter = Draft::allocate(account_, draft.doc_key(), static_cast<uint32_t>(bytes.size()));
  if (!shorter) return {};
  std::copy(bytes.begin(), bytes.end(), shorter.value().begin());
  shorter.set_flags(draft.document_->flags_);
  shorter.set_expiry(draft.document_->expiry_);
  shorter.set_datatype(draft.datatype() | Document::kCompressedBit);
  return shorter;
}

DocumentRef Bucket::inflated(const Document& document, bool& damaged) const noexcept {
  const std::string_view compressed = document.value();
  const auto bytes = wire::inflated_bytes(compressed);
  // Looked at when it came in; the disk may have changed it since.
  damaged = !bytes || *bytes > kLargestMaxValueBytes;
  if (damaged) return {};
  Draft plain = Draft::allocate(account_, document.doc_key(), static_cast<uint32_t>(*bytes));
  if (!plain) return {};
  damaged = !wire::inflate(compressed, plain.value().data());
  if (damaged) return {};
  Document& copy = *plain.document_;
  copy.cas_ = document.cas_;
  copy.seqno_ = document.seqno_;
  copy.set_revision(document.revision());
  copy.flags_ = document.flags_;
  copy.datatype_ = document.datatype_ & static_cast<uint8_t>(~Document::kCompressedBit);
  return DocumentRef(std::exchange(plain.document_, nullptr));
}

void Bucket::inflate(Fetched& found) noexcept {
  bool damaged = false;
  // A shell says as much as it has; who needs the value has been told that it would block.
  if (!found.doc->resident()) return;
  DocumentRef plain = inflated(*found.doc, damaged);
  found.damaged = damaged;
  found.no_memory = !plain && !damaged;
  found.doc = std::move(plain);
}

}  // namespace bobbin::store
