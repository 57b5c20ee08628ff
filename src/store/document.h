#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "base/pinned_bytes.h"
#include "store/doc_key.h"

namespace bobbin::store {

class DocumentRef;
class HashTable;
class MemoryAccount;
class VBucket;

/// No revision is above it: protocols and the disk give it 48 bits.
inline constexpr uint64_t kMaxRevision = (uint64_t{1} << 48) - 1;

/// A key and value, in one allocation: 47 bytes of header, the collection and key, the value.
///
/// What is public here never changes once the document is published, so any thread that holds a DocumentRef
/// may read it without a lock. Expiry, last access, frequency and marks do change; they belong to the lock of
/// the vbucket that holds the document, and are handed out as copies (Fetched, Peeked, EvictionFacts). In a
/// persistent bucket the expiry does not change either: the change log hands it out.
/// The memory goes back, and its account is credited, when the last reference goes, on whichever thread.
///
/// Persistent buckets have two kinds of shells, which are a header and a key: of a document whose value is
/// only on disk (not resident), and of a key that is known not to be there (a placeholder), which tells of
/// its removal where it has a seqno.
///
/// A tombstone is what a deleted document leaves behind where attributes outlive it: its value are these, and
/// no body. Only who asks for deleted documents finds it. Its expiry is when it may be forgotten.
class Document {
 public:
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  /// The name within the collection; 1 to 250 bytes.
  [[nodiscard]] std::string_view key() const noexcept { return stored_key().substr(prefix_size()); }
  [[nodiscard]] CollectionId collection() const noexcept { return CollectionPrefix::id_in(bytes()); }
  /// Collection and key, as a view of this document.
  [[nodiscard]] DocKey doc_key() const noexcept { return {collection(), key()}; }
  /// The same as it is kept: see CollectionPrefix. 2 to 251 bytes.
  [[nodiscard]] std::string_view stored_key() const noexcept { return {bytes(), key_len_}; }
  /// 0 bytes to 21 MiB; empty when the document is not resident.
  [[nodiscard]] std::string_view value() const noexcept {
    return {bytes() + key_len_, resident() ? value_len_ : 0};
  }
  /// The value's length, wherever the value is.
  [[nodiscard]] uint32_t value_size() const noexcept { return value_len_; }
  /// The value of a document with this bit in its datatype begins with a block of attributes: four bytes, in
  /// network order, that say how long the rest of the block is; the body comes after it.
  static constexpr uint8_t kAttributesBit = 0x04;
  [[nodiscard]] bool has_attributes() const noexcept { return (datatype_ & kAttributesBit) != 0; }
  /// The value is one of Snappy's (wire/compression.h), of at most kLargestMaxValueBytes. It has no
  /// attributes then: who stores some has inflated it.
  static constexpr uint8_t kCompressedBit = 0x02;
  [[nodiscard]] bool is_compressed() const noexcept { return (datatype_ & kCompressedBit) != 0; }
  /// The block; empty where there is none, and when the document is not resident.
  [[nodiscard]] std::string_view attributes() const noexcept { return value().substr(0, attribute_bytes()); }
  /// The value without them.
  [[nodiscard]] std::string_view body() const noexcept { return value().substr(attribute_bytes()); }
  /// False: the value is only on disk.
  [[nodiscard]] bool resident() const noexcept { return !is_shell(); }
  [[nodiscard]] uint64_t cas() const noexcept { return cas_; }
  [[nodiscard]] uint64_t seqno() const noexcept { return seqno_; }
  /// Counts the mutations of this key, from 1. 48 bits.
  [[nodiscard]] uint64_t revision() const noexcept { return revision_and_account_ & kRevisionMask; }
  /// Of what comes after it: the highest has itself, as set_revision() has it.
  [[nodiscard]] uint64_t next_revision() const noexcept { return std::min(revision() + 1, kRevisionMask); }
  [[nodiscard]] uint32_t flags() const noexcept { return flags_; }
  /// MCBP's datatype bits; 0 means raw bytes.
  [[nodiscard]] uint8_t datatype() const noexcept { return datatype_; }
  /// A tombstone with attributes.
  [[nodiscard]] bool is_tombstone() const noexcept { return (revision_and_account_ & kDeleted) != 0; }
  /// Bytes asked of the allocator: header, key and, if it is resident, value.
  [[nodiscard]] size_t size() const noexcept {
    return kHeaderBytes + key_len_ + (resident() ? value_len_ : 0);
  }

 private:
  friend class Bucket;
  friend class ChangeChunks;
  friend class ChangeLog;
  friend class Draft;
  friend class DocumentRef;
  friend class HashTable;
  friend class VBucket;
  friend class DocumentTestPeer;
  friend class Removals;
  friend class EventDocuments;

  // Marks in state_, guarded by the vbucket's lock.
  static constexpr uint8_t kFetched = 1;
  static constexpr uint8_t kStale = 2;
  static constexpr uint8_t kTokenSent = 4;
  // It has an entry in the vbucket's DocumentLocks. Stays with this document, the others may be copied.
  static constexpr uint8_t kLocked = 8;
  static constexpr uint8_t kCopied = kFetched | kStale | kTokenSent;

  static constexpr uint64_t kRevisionMask = kMaxRevision;
  static constexpr int kAccountShift = 48;
  // Above the account, set before publishing: what kind of shell this is. None: a whole document.
  static constexpr uint64_t kNonResident = uint64_t{1} << 56;
  static constexpr uint64_t kAbsent = uint64_t{1} << 57;
  // A tombstone with attributes, which may be not resident.
  static constexpr uint64_t kDeleted = uint64_t{1} << 58;
  // The stored key begins in the last byte of what the compiler takes for the header: with one byte for the
  // default collection, a name begins on a boundary of 16.
  static constexpr size_t kHeaderBytes = 47;
  // A reference is refused from here on. The gap to 2^32 is wider than the number of threads that can be
  // between counting up and noticing.
  static constexpr uint32_t kMaxReferences = (uint32_t{1} << 31) - 1;

  Document() = default;
  ~Document() = default;

  /// One reference, charged; null when the allocator has nothing. `shell` is kNonResident, kAbsent or 0.
  [[nodiscard]] static Document* create(MemoryAccount& account, DocKey key, uint32_t value_len,
                                        uint64_t shell) noexcept;
  [[nodiscard]] bool is_shell() const noexcept {
    return (revision_and_account_ & (kNonResident | kAbsent)) != 0;
  }
  /// A shell or a tombstone: most are not.
  [[nodiscard]] bool is_special() const noexcept { return revision_and_account_ >= kNonResident; }
  /// A placeholder or a tombstone.
  [[nodiscard]] bool is_gone() const noexcept { return (revision_and_account_ & (kAbsent | kDeleted)) != 0; }
  [[nodiscard]] bool is_absent() const noexcept { return (revision_and_account_ & kAbsent) != 0; }
  /// Of a placeholder: it tells of no removal.
  void say_nothing() noexcept {
    cas_ = seqno_ = 0;
    expiry_ = 0;
    set_revision(0);
  }
  void set_revision(uint64_t revision) noexcept {
    // One that somebody else gave it may be the highest: it must not begin anew, and lose to what is older.
    revision_and_account_ = (revision_and_account_ & ~kRevisionMask) | std::min(revision, kRevisionMask);
  }

  [[nodiscard]] size_t attribute_bytes() const noexcept {
    return has_attributes() ? measure_attributes() : 0;
  }
  [[nodiscard]] size_t measure_attributes() const noexcept;
  [[nodiscard]] size_t prefix_size() const noexcept { return CollectionPrefix::size_in(bytes()); }
  /// Whether this is the document of that key.
  [[nodiscard]] bool has_key(DocKey key) const noexcept;

  [[nodiscard]] char* bytes() noexcept { return reinterpret_cast<char*>(this) + kHeaderBytes; }
  [[nodiscard]] const char* bytes() const noexcept {
    return reinterpret_cast<const char*>(this) + kHeaderBytes;
  }
  [[nodiscard]] uint8_t account_id() const noexcept {
    return static_cast<uint8_t>(revision_and_account_ >> kAccountShift);
  }

  /// False when the count is at its limit; then nothing was counted.
  [[nodiscard]] bool try_reference() noexcept {
    if (references_.fetch_add(1, std::memory_order_relaxed) < kMaxReferences) [[likely]]
      return true;
    references_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  /// For the change log and its readers: each holds a document a few times at most, so that they fit between
  /// the limit and the end of the counter.
  void reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void unreference() noexcept {
    // Who has the only reference need not count: nobody can make another one from it meanwhile.
    if (references_.load(std::memory_order_acquire) == 1) return destroy(this);
    if (references_.fetch_sub(1, std::memory_order_release) == 1) {
      // The acquire side is a load of the same counter, which thread sanitizers follow and fences they do
      // not.
      (void)references_.load(std::memory_order_acquire);
      destroy(this);
    }
  }
  [[nodiscard]] uint32_t references() const noexcept { return references_.load(std::memory_order_relaxed); }

  static void destroy(Document* document) noexcept;

  std::atomic<uint32_t> references_{1};
  uint32_t value_len_ = 0;
  uint64_t cas_ = 0;
  uint64_t seqno_ = 0;
  uint64_t revision_and_account_ = 0;
  uint32_t flags_ = 0;
  uint32_t expiry_ = 0;       // vbucket lock; unix seconds, 0 = never
  uint32_t last_access_ = 0;  // vbucket lock; unix seconds
  uint8_t key_len_ = 0;       // of the stored key
  uint8_t datatype_ = 0;
  uint8_t frequency_ : 2 = 0;  // vbucket lock
  uint8_t state_ : 6 = 0;      // vbucket lock
  // The rest of the key, and the value, follow it.
  char first_of_key_ = 0;
};

static_assert(sizeof(Document) == 48);

inline bool Document::has_key(DocKey key) const noexcept {
  const std::string_view name = key.name();
  if (key.collection() == kDefaultCollection) [[likely]] {
    return key_len_ == name.size() + 1 && bytes()[0] == 0 &&
           std::memcmp(bytes() + 1, name.data(), name.size()) == 0;
  }
  const CollectionPrefix prefix(key.collection());
  return key_len_ == prefix.size() + name.size() &&
         std::memcmp(bytes(), prefix.bytes().data(), prefix.size()) == 0 &&
         std::memcmp(bytes() + prefix.size(), name.data(), name.size()) == 0;
}

/// One reference to a published document, or none. Move-only: one more is asked for with share(), which can
/// be refused. Any thread, as any pointer.
class DocumentRef {
 public:
  DocumentRef() = default;
  DocumentRef(DocumentRef&& other) noexcept : document_(std::exchange(other.document_, nullptr)) {}
  DocumentRef& operator=(DocumentRef&& other) noexcept {
    DocumentRef taken(std::move(other));
    std::swap(document_, taken.document_);
    return *this;
  }
  DocumentRef(const DocumentRef&) = delete;
  DocumentRef& operator=(const DocumentRef&) = delete;
  ~DocumentRef() {
    if (document_ != nullptr) document_->unreference();
  }

  /// Another reference to the same document; empty when this is empty or when the document already has
  /// 2^31 - 1 of them.
  [[nodiscard]] DocumentRef share() const noexcept {
    return document_ != nullptr && document_->try_reference() ? DocumentRef(document_) : DocumentRef();
  }
  void reset() noexcept { *this = DocumentRef(); }

  explicit operator bool() const noexcept { return document_ != nullptr; }
  const Document* operator->() const noexcept { return document_; }
  const Document& operator*() const noexcept { return *document_; }
  [[nodiscard]] const Document* get() const noexcept { return document_; }

 private:
  friend class Aftermath;
  friend class Bucket;
  friend class ChangeChunks;
  friend class ChangeLog;
  friend class EventDocuments;
  friend class Draft;
  friend class HashTable;
  friend class VBucket;
  friend base::PinnedBytes pin(DocumentRef document, std::string_view part) noexcept;

  /// Takes over one reference.
  explicit DocumentRef(Document* document) noexcept : document_(document) {}
  [[nodiscard]] Document* release() noexcept { return std::exchange(document_, nullptr); }

  Document* document_ = nullptr;
};

/// A part of the document's value, kept where it is until the result is destroyed. Empty for an empty
/// reference.
[[nodiscard]] base::PinnedBytes pin(DocumentRef document, std::string_view part) noexcept;
/// The whole value.
[[nodiscard]] base::PinnedBytes pin(DocumentRef document) noexcept;

/// A document that nobody else can see yet: made by Bucket::draft, filled by its owner, published by
/// Bucket::store. Dropped, its memory is freed and credited. One thread at a time.
class Draft {
 public:
  Draft() = default;
  Draft(Draft&& other) noexcept : document_(std::exchange(other.document_, nullptr)) {}
  Draft& operator=(Draft&& other) noexcept {
    Draft taken(std::move(other));
    std::swap(document_, taken.document_);
    return *this;
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  ~Draft() {
    if (document_ != nullptr) document_->unreference();
  }

  /// Allocates and charges; empty when the allocator has nothing. Does not look at the quota: callers outside
  /// of this folder want Bucket::draft.
  [[nodiscard]] static Draft allocate(MemoryAccount& account, DocKey key, uint32_t value_len) noexcept;

  explicit operator bool() const noexcept { return document_ != nullptr; }
  [[nodiscard]] std::string_view key() const noexcept { return document_->key(); }
  [[nodiscard]] DocKey doc_key() const noexcept { return document_->doc_key(); }
  /// Exactly the length that was asked for; uninitialised until written.
  [[nodiscard]] std::span<char> value() noexcept {
    return {document_->bytes() + document_->key_len_, document_->value_len_};
  }
  void set_flags(uint32_t flags) noexcept { document_->flags_ = flags; }
  /// Absolute, see store/expiry.h.
  void set_expiry(uint32_t expiry_unix_s) noexcept { document_->expiry_ = expiry_unix_s; }
  void set_datatype(uint8_t datatype) noexcept { document_->datatype_ = datatype; }
  [[nodiscard]] uint8_t datatype() const noexcept { return document_->datatype_; }

 private:
  friend class Bucket;
  friend class VBucket;
  friend class TableTestPeer;

  explicit Draft(Document* document) noexcept : document_(document) {}

  Document* document_ = nullptr;
};

}  // namespace bobbin::store
