// Values that are kept compressed, as their clients have sent them: for those who want the value itself.

#include <algorithm>
#include <utility>

#include "store/bucket.h"
#include "wire/compression.h"

namespace bobbin::store {

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
