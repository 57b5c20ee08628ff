#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "store/bucket_types.h"
#include "store/document.h"
#include "store/expiry.h"
#include "store/hash_table.h"
#include "store/memory.h"

namespace bobbin::store {

class VBucket;
struct Victims;

/// A cache bucket: memcached's semantics over 1024 vbuckets, within a quota.
///
/// Every public function may be called from any thread at any time, and waits at most for a vbucket's lock,
/// which is held for a lookup and a pointer swap. Keys are 1 to 250 bytes (asserted: codecs check them). Time
/// comes in with each call, so that one request sees one time. DocumentRefs may outlive the bucket.
class Bucket {
 public:
  explicit Bucket(const BucketOptions& options);
  ~Bucket();
  Bucket(const Bucket&) = delete;
  Bucket& operator=(const Bucket&) = delete;

  // -- Writing ------------------------------------------------------------------------------------------

  /// Memory for a value of `value_len` bytes that the caller fills and gives to store(). Counted from here
  /// on. Makes room by freeing garbage and evicting, a bounded amount of work; what cannot be had is
  /// `no_memory`. `expiry` is absolute (store/expiry.h).
  [[nodiscard]] base::Result<Draft, DraftError> draft(std::string_view key, uint32_t flags, uint32_t expiry,
                                                      uint32_t value_len, base::Now now);
  /// Publishes a draft if the mode's condition holds; otherwise the draft is freed.
  StoreResult store(Draft draft, StoreMode mode, const StoreOptions& options, base::Now now);
  StoreResult store(Draft draft, StoreMode mode, base::Now now) {
    return store(std::move(draft), mode, {}, now);
  }
  /// incr and decr. The number is decimal text, as memcached keeps it.
  ArithmeticResult arithmetic(std::string_view key, const ArithmeticOptions& options, base::Now now);
  /// Removes, or with `mark_stale` and `drop_value` changes, a document.
  RemoveResult remove(std::string_view key, const RemoveOptions& options, base::Now now);
  /// Sets the expiry (absolute); false on a miss. Counts as an access.
  bool touch(std::string_view key, uint32_t expiry, base::Now now);

  // -- Reading ------------------------------------------------------------------------------------------

  /// The plain get: counts as an access.
  [[nodiscard]] Fetched fetch(std::string_view key, base::Now now);
  /// gat and the meta commands.
  [[nodiscard]] Fetched fetch(std::string_view key, const FetchOptions& options, base::Now now);
  /// Plain gets of many keys: `out[i]` answers `keys[i]`; both have the same length. Faster than one after
  /// the other on a table larger than the processor's caches, because it waits for several of them at once.
  void fetch_many(std::span<const std::string_view> keys, std::span<Fetched> out, base::Now now);
  /// What meta debug shows, without counting as an access; nothing on a miss.
  [[nodiscard]] std::optional<Peeked> peek(std::string_view key, base::Now now);
  /// Calls `visit` for every live document, without a lock held while it runs; false from it ends the walk. A
  /// document that is there from beginning to end is seen exactly once.
  void for_each(const std::function<bool(const Peeked&)>& visit, base::Now now);

  // -- The whole bucket ---------------------------------------------------------------------------------

  /// Empties the bucket at once; what is freed later (by the sweeper, or by a draft that needs the room)
  /// stays charged until then. Cancels a pending flush_at.
  void flush(base::Now now);
  /// Empties the bucket when `unix_s` has come; replaces an earlier deadline. A time that has come already is
  /// a flush.
  void flush_at(uint32_t unix_s, base::Now now);

  /// A copy of all counters, exact when no other thread works on the bucket.
  [[nodiscard]] Statistics statistics() const;
  /// Zeroes what memcached's `stats reset` does: counts of events, not of things that exist.
  void reset_statistics();
  /// Document counts by size, found by a walk in small steps.
  [[nodiscard]] Census census(base::Now now);

  [[nodiscard]] uint64_t quota_bytes() const noexcept { return account_.quota_bytes(); }
  void set_quota_bytes(uint64_t bytes) noexcept { account_.set_quota_bytes(bytes); }
  [[nodiscard]] uint32_t max_value_bytes() const noexcept { return options_.max_value_bytes; }
  [[nodiscard]] uint32_t vbucket_count() const noexcept { return options_.vbuckets; }

  /// `observer` is told of each eviction from now on, on the evicting thread, with no lock held; null for
  /// nobody. It must live as long as the bucket.
  void set_eviction_observer(EvictionObserver* observer) noexcept;

  // -- For the sweeper ----------------------------------------------------------------------------------

  /// `waker` is called, on any thread and with no vbucket's lock held, after each flush and flush_at, and
  /// when a document gets an expiry and arm_sweep_waker() had found none. Null takes it back: no call is
  /// under way once this returns.
  void set_sweep_waker(std::function<void()> waker);
  /// Says what there is to do; what arises later calls the waker.
  [[nodiscard]] SweepWork arm_sweep_waker();
  /// Does a due flush and frees up to `documents` of what flushes cut off; true while there is more to free.
  bool sweep_garbage(uint32_t documents, base::Now now);
  /// Removes the expired among about `documents` documents, from where the last call stopped. Visits only
  /// vbuckets that hold documents with an expiry.
  SweepPass sweep_expired(uint32_t documents, base::Now now);
  /// An estimate, without locks.
  [[nodiscard]] SweepLoad sweep_load() const noexcept;

 private:
  static constexpr uint32_t kNoFlush = UINT32_MAX;

  struct Key {
    VBucket& vbucket;
    uint64_t hash;
  };

  [[nodiscard]] Key locate(std::string_view key) const noexcept;
  [[nodiscard]] base::Result<Draft, DraftError> copy_shape(const Document& like, uint32_t value_len,
                                                           base::Now now);
  [[nodiscard]] StoreResult extend(Draft addition, StoreMode mode, const StoreOptions& options,
                                   base::Now now);
  [[nodiscard]] RemoveResult rewrite_marked(std::string_view key, const RemoveOptions& options,
                                            base::Now now);
  [[nodiscard]] bool make_room(uint64_t bytes, base::Now now);
  /// Returns how many it freed.
  uint32_t free_garbage(uint32_t documents);
  void report(const Victims& victims);
  void flush_if_due(uint32_t now_s) noexcept {
    if (now_s >= flush_deadline_.load(std::memory_order_relaxed)) [[unlikely]]
      flush_now_due(now_s);
  }
  void flush_now_due(uint32_t now_s);
  void cut_off_everything();
  /// After a document got this expiry: the sweeper may have to know.
  void note_expiry(uint32_t expiry) noexcept {
    if (expiry == kNeverExpires || !wake_on_expiry_.load(std::memory_order_relaxed)) [[likely]]
      return;
    if (wake_on_expiry_.exchange(false)) wake_sweeper();
  }
  void wake_sweeper();

  const BucketOptions options_;
  MemoryAccount& account_;
  const std::unique_ptr<VBucket[]> vbuckets_;

  // The clock hand: whose turn is next. Each vbucket has a hand of its own inside.
  std::atomic<uint32_t> next_victim_{0};
  std::atomic<uint32_t> flush_deadline_{kNoFlush};
  std::atomic<EvictionObserver*> observer_{nullptr};
  std::atomic<uint64_t> refused_{0};

  std::atomic<uint64_t> garbage_items_{0};
  base::Mutex garbage_mutex_;
  std::vector<HashTable> garbage_ GUARDED_BY(garbage_mutex_);
  uint32_t garbage_cursor_ GUARDED_BY(garbage_mutex_) = 0;

  std::atomic<bool> wake_on_expiry_{false};
  base::Mutex waker_mutex_;
  std::function<void()> waker_ GUARDED_BY(waker_mutex_);

  base::Mutex sweep_mutex_;
  uint32_t sweep_vbucket_ GUARDED_BY(sweep_mutex_) = 0;
  uint32_t sweep_cursor_ GUARDED_BY(sweep_mutex_) = 0;
};

}  // namespace bobbin::store
