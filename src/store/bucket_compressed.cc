// Values that are kept compressed: for those who want the value itself, and for buckets that compress what
// comes.

#include <algorithm>
#include <string>
#include <utility>

#include "base/work.h"
#include "net/output.h"
#include "store/bucket.h"
#include "wire/compression.h"

namespace bobbin::store {
namespace {

// What it saves has to pay for its inflation, each time that somebody reads it: a sixth, as upstream has it.
constexpr size_t kSavedOf = 6;
// Of a bucket's quota, what copies for readers may take beside it.
constexpr uint64_t kInflatedShare = 8;
constexpr size_t kSmallestCompressedBytes = 64;
// Below it a copy goes into the reply, and is gone at once.
constexpr size_t kSmallestHeldBytes = net::Output::kCopyBelowBytes;

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

Bucket::Inflated Bucket::inflated(const Document& document, MemoryAccount& account) const noexcept {
  const std::string_view compressed = document.value();
  const auto bytes = wire::inflated_bytes(compressed);
  // Looked at when it came in; the disk may have changed it since.
  if (!bytes || *bytes > kLargestMaxValueBytes) return {.failure = Inflated::Failure::damaged};
  const bool may_be_held = &account == &inflated_account_ && *bytes >= kSmallestHeldBytes;
  // One always fits: then no value is too large to be read.
  if (may_be_held && account.used_bytes() != 0 && account.is_over_quota(*bytes)) {
    inflated_refused_.fetch_add(1, std::memory_order_relaxed);
    return {.failure = Inflated::Failure::crowded};
  }
  base::note_work(*bytes);
  Draft plain = Draft::allocate(account, document.doc_key(), static_cast<uint32_t>(*bytes));
  if (!plain) return {.failure = Inflated::Failure::no_memory};
  if (!wire::inflate(compressed, plain.value().data())) return {.failure = Inflated::Failure::damaged};
  Document& copy = *plain.document_;
  copy.cas_ = document.cas_;
  copy.seqno_ = document.seqno_;
  copy.set_revision(document.revision());
  copy.flags_ = document.flags_;
  copy.datatype_ = document.datatype_ & static_cast<uint8_t>(~Document::kCompressedBit);
  return {.doc = DocumentRef(std::exchange(plain.document_, nullptr))};
}

uint64_t Bucket::inflated_quota(uint64_t quota_bytes) noexcept {
  return quota_bytes / kInflatedShare;
}

void Bucket::inflate(Fetched& found) noexcept {
  // A shell says as much as it has; who needs the value has been told that it would block.
  if (!found.doc->resident()) return;
  Inflated plain = inflated(*found.doc, inflated_account_);
  found.damaged = plain.failure == Inflated::Failure::damaged;
  found.crowded = plain.failure == Inflated::Failure::crowded;
  found.no_memory = found.crowded || plain.failure == Inflated::Failure::no_memory;
  found.doc = std::move(plain.doc);
}

}  // namespace bobbin::store
