#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "store/bucket_types.h"
#include "store/document.h"
#include "store/hash_table.h"

namespace bobbin::store {

/// A victim on its way out.
struct Evicted {
  DocumentRef doc;
  EvictionFacts facts;
};

/// How the clock hand chooses.
enum class Reclaim : uint8_t {
  expired_only,  ///< for a bucket that does not evict
  clock,         ///< the expired, and what has not been hit since the hand was here
  anything,      ///< whatever is not in use; when the hand found too little for too long
};

/// A bounded list of documents that are unlinked under the lock and released after it.
struct Victims {
  static constexpr size_t kCapacity = 32;
  std::array<Evicted, kCapacity> evicted;
  size_t evicted_count = 0;
  std::array<DocumentRef, kCapacity> expired;
  size_t expired_count = 0;

  /// Room for every document of a bucket of usual density.
  [[nodiscard]] bool full() const noexcept {
    return evicted_count == kCapacity || expired_count == kCapacity;
  }
};

/// A copy of a document's place in the world, taken with a reference: what a read-modify-write builds on.
struct Snapshot {
  DocumentRef doc;
  /// It is there, but has as many references as it can have.
  bool refused = false;
};

/// How a rewritten document takes over from the one it was built on.
struct Takeover {
  std::optional<uint64_t> explicit_cas = std::nullopt;
  /// Replaces the expiry that the old document has at that moment.
  std::optional<uint32_t> expiry = std::nullopt;
  /// Keep fetched, stale and token marks.
  bool keep_marks = false;
  /// Mark stale and let the next fetch win.
  bool mark_stale = false;
  /// In total_items.
  bool counts_as_stored = true;
};

/// One of a bucket's vbuckets: a lock, a hash table, a seqno counter, a CAS clock.
///
/// Any thread. Each function takes the lock for a lookup and a pointer swap; no document is allocated, filled
/// or freed under it (the table's own lines are). Keys come with their hash.
class alignas(64) VBucket {
 public:
  VBucket() = default;
  VBucket(const VBucket&) = delete;
  VBucket& operator=(const VBucket&) = delete;

  /// Before any other use; not thread-safe.
  void attach(MemoryAccount& account) noexcept;

  [[nodiscard]] Fetched fetch(std::string_view key, uint64_t hash, uint32_t now_s) noexcept;
  [[nodiscard]] Fetched fetch(std::string_view key, uint64_t hash, const FetchOptions& options,
                              uint32_t now_s) noexcept;
  [[nodiscard]] std::optional<Peeked> peek(std::string_view key, uint64_t hash, uint32_t now_s) noexcept;
  /// Without counting as an access; empty on a miss.
  [[nodiscard]] Snapshot snapshot(std::string_view key, uint64_t hash, uint32_t now_s) noexcept;
  bool touch(std::string_view key, uint64_t hash, uint32_t expiry, uint32_t now_s) noexcept;

  /// Any mode but append and prepend. The draft is empty afterwards if and only if it was stored.
  [[nodiscard]] StoreResult publish(Draft& draft, uint64_t hash, StoreMode mode, const StoreOptions& options,
                                    base::Now now) noexcept;
  /// Publishes in the place of `expected` if that is still there and live; otherwise `exists`.
  [[nodiscard]] StoreResult publish_over(Draft& draft, uint64_t hash, const Document& expected,
                                         const Takeover& takeover, base::Now now) noexcept;
  /// Publishes an empty document whose refilling the caller has won, if the key is absent; nothing otherwise.
  [[nodiscard]] std::optional<Fetched> vivify(Draft& draft, uint64_t hash, const FetchOptions& options,
                                              base::Now now) noexcept;
  [[nodiscard]] RemoveResult remove(std::string_view key, uint64_t hash, std::optional<uint64_t> cas_compare,
                                    uint32_t now_s) noexcept;

  /// Two hints that load what a fetch of this key will read, for several keys at once; see
  /// Bucket::fetch_many.
  void prefetch_line(uint64_t hash) const noexcept;
  void prefetch_document(uint64_t hash) const noexcept;

  /// Moves the clock hand over buckets until it has examined `documents`, has come round, or `victims` is
  /// full. Returns how many it examined. Nothing without the lock when the vbucket is empty.
  uint32_t reclaim(Reclaim mode, uint32_t documents, uint32_t now_s, Victims& victims) noexcept;
  /// Unlinks expired documents of at least `documents` documents from `cursor` on; stops when `victims` is
  /// full.
  uint32_t sweep(uint32_t& cursor, uint32_t documents, uint32_t now_s, Victims& victims) noexcept;

  /// One step of a walk: appends the live documents of one bucket, moves the cursor (HashTable::kEnd: done).
  void walk(uint32_t& cursor, uint32_t now_s, std::vector<Peeked>& found) noexcept;
  /// The same without references: (document size, charged size, last access).
  struct Measured {
    uint64_t size;
    uint64_t charged;
    uint32_t last_access;
  };
  void measure(uint32_t& cursor, uint32_t now_s, std::vector<Measured>& found) noexcept;

  /// Takes all documents out.
  [[nodiscard]] HashTable cut_off() noexcept;

  void add_to(Statistics& sum) const noexcept;
  void reset_statistics() noexcept;
  /// May be stale by the time it returns.
  [[nodiscard]] uint64_t items_hint() const noexcept { return items_.load(std::memory_order_relaxed); }
  [[nodiscard]] uint64_t items_with_expiry_hint() const noexcept {
    return with_expiry_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] uint64_t items_with_expiry() const noexcept EXCLUDES(mutex_);

 private:
  struct Events {
    uint64_t total_items = 0;
    uint64_t evictions = 0;
    uint64_t evicted_unfetched = 0;
    uint64_t evicted_with_expiry = 0;
    uint64_t expired = 0;
    uint64_t expired_unfetched = 0;
    uint64_t reclaimed = 0;
  };

  /// The live document's slot; an expired one is unlinked into `garbage`.
  HashTable::Slot find_live(std::string_view key, uint64_t hash, uint32_t now_s,
                            DocumentRef& garbage) noexcept REQUIRES(mutex_);
  void count_access(Document& document, uint32_t now_s) noexcept REQUIRES(mutex_);
  void set_expiry(Document& document, uint32_t expiry) noexcept REQUIRES(mutex_);
  /// Gives the draft its CAS, seqno and revision and puts it into the table; the document it replaces, if
  /// any, goes to `garbage`. False when the table cannot grow: then nothing has changed.
  bool link(Draft& draft, uint64_t hash, HashTable::Slot old, std::optional<uint64_t> explicit_cas,
            base::Now now, DocumentRef& garbage) noexcept REQUIRES(mutex_);
  void count_linked(const Document& document) noexcept REQUIRES(mutex_);
  void count_unlinked(const Document& document) noexcept REQUIRES(mutex_);
  void count_expired(const Document& document) noexcept REQUIRES(mutex_);
  [[nodiscard]] uint64_t next_cas(std::optional<uint64_t> explicit_cas, base::Now now) noexcept
      REQUIRES(mutex_);
  [[nodiscard]] static StoreResult stored(const Document& document) noexcept;
  [[nodiscard]] static Peeked describe(Document& document) noexcept;

  mutable base::Mutex mutex_;
  HashTable table_ GUARDED_BY(mutex_);
  // Written under the lock; read without it as hints.
  std::atomic<uint64_t> items_{0};
  std::atomic<uint64_t> with_expiry_{0};
  uint64_t item_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t seqno_ GUARDED_BY(mutex_) = 0;
  uint64_t cas_clock_ GUARDED_BY(mutex_) = 0;
  uint32_t hand_ GUARDED_BY(mutex_) = 0;
  Events events_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::store
