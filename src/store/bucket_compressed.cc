// Values that are kept compressed: for those who want the value itself, and for buckets that compress what
// comes.

#include <algorithm>
#include <string>
#include <utility>

#include "base/work.h"
#include "store/bucket.h"
#include "wire/compression.h"

namespace bobbin::store {
namespace {

// What it saves has to pay for its inflation, each time that somebody reads it: a sixth, as upstream has it.
constexpr size_t kSavedOf = 6;
// Of a bucket's quota, what copies for readers may take beside it.
constexpr uint64_t kInflatedShare = 8;
constexpr uint64_t kLargestHeld = 4;
constexpr uint64_t kLeastInflatedBytes = 4 << 20;
// Who holds large values keeps nobody from small ones.
constexpr uint64_t kModestBytes = 64 << 10;
constexpr size_t kSmallestCompressedBytes = 64;
// What is smaller is copied into the reply (net::Output::kCopyBelowBytes), and gone at once.
constexpr size_t kSmallestHeldBytes = 1024;

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

uint64_t Bucket::inflated_quota(uint64_t quota_bytes, uint32_t max_value_bytes) noexcept {
  // A client that reads what it asks for is never in its own way: before it is asked to wait it holds two of
  // the largest values and what may be unsent.
  return std::max({quota_bytes / kInflatedShare, kLargestHeld * max_value_bytes, kLeastInflatedBytes});
}

bool Bucket::may_be_held(uint64_t bytes, bool has_acted) const noexcept {
  const uint64_t used = inflated_account_.used_bytes();
  const uint64_t most = inflated_account_.quota_bytes() * (has_acted || bytes <= kModestBytes ? 2 : 1);
  // One always fits: then no value is too large to be read.
  if (bytes < kSmallestHeldBytes || used == 0 || used + bytes <= most) return true;
  inflated_refused_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

DocumentRef Bucket::copy_for_reader(DocKey key, std::string_view bytes) const noexcept {
  if (!may_be_held(bytes.size(), false)) return {};
  Draft copy = Draft::allocate(inflated_account_, key, static_cast<uint32_t>(bytes.size()));
  if (!copy) return {};
  std::copy(bytes.begin(), bytes.end(), copy.value().begin());
  return DocumentRef(std::exchange(copy.document_, nullptr));
}

Bucket::Inflated Bucket::inflated(const Document& document, MemoryAccount& account) const noexcept {
  const std::string_view compressed = document.value();
  const auto bytes = wire::inflated_bytes(compressed);
  // Looked at when it came in; the disk may have changed it since.
  if (!bytes || *bytes > kLargestMaxValueBytes) return {.failure = Inflated::Failure::damaged};
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

void Bucket::inflate(Fetched& found, bool has_acted) noexcept {
  // A shell says as much as it has; who needs the value has been told that it would block.
  if (!found.doc->resident()) return;
  found.crowded = !may_be_held(wire::inflated_bytes(found.doc->value()).value_or(0), has_acted);
  Inflated plain = found.crowded ? Inflated{} : inflated(*found.doc, inflated_account_);
  found.damaged = plain.failure == Inflated::Failure::damaged;
  found.no_memory = found.crowded || plain.failure == Inflated::Failure::no_memory;
  found.doc = std::move(plain.doc);
}

}  // namespace bobbin::store
