#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "store/bucket_types.h"
#include "store/change_log.h"
#include "store/dirty_set.h"
#include "store/followed_manifest.h"
#include "store/news.h"
#include "store/persistence_types.h"
#include "store/removals.h"
#include "store/unlinked.h"
#include "store/vbucket.h"

namespace bobbin::store {

// Couchbase keeps as many (ep-engine, max_failover_entries).
inline constexpr size_t kFailoverEntries = 25;

/// What the vbuckets of a persistent bucket share. Any thread.
struct SharedPersistence {
  SharedPersistence(const BucketOptions& options, MemoryAccount& memory)
      : policy(options.eviction),
        account(memory),
        lag(memory, options.cursor_lag_bytes),
        dirty(options.vbuckets, options.flush_shards),
        key_seed(options.hash_seed),
        uuid_state(options.hash_seed) {}

  /// Never 0, and not the same twice.
  [[nodiscard]] uint64_t new_uuid(base::Now now) noexcept {
    // splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
    uint64_t mixed = uuid_state.fetch_add(0x9e3779b97f4a7c15U) ^ now.unix_ns;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
    mixed ^= mixed >> 31;
    return mixed == 0 ? 1 : mixed;
  }

  const EvictionPolicy policy;
  MemoryAccount& account;
  CursorLag lag;
  DirtySet dirty;
  NewsBoard news;
  const uint64_t key_seed;
  std::atomic<uint64_t> uuid_state;
  /// Not on disk yet: in the logs and with the flushers.
  alignas(64) std::atomic<uint64_t> dirty_bytes{0};
  std::atomic<uint64_t> would_block{0};
  /// Vbuckets whose flush_at_s is not on disk.
  std::atomic<uint32_t> unsaved_flush_moments{0};
  /// Vbuckets whose old documents are still on disk.
  std::atomic<uint32_t> unsaved_clears{0};
  /// Vbuckets that follow others.
  std::atomic<uint32_t> following{0};
  /// Keeps a manifest on disk before it counts; null where nobody has to.
  base::Mutex followed_mutex;
  FollowedManifest followed GUARDED_BY(followed_mutex);
  std::function<bool(const Manifest&)> keep_manifest GUARDED_BY(followed_mutex);
};

/// What a vbucket of a persistent bucket has more than one of a cache bucket. Belongs to the vbucket's lock,
/// but for the constants.
struct PersistentState {
  static constexpr uint64_t kUnlimited = UINT64_MAX;

  PersistentState(SharedPersistence& all, uint32_t number)
      : shared(all), vbucket(number), log(all.account, all.lag), removals(all.account, all.key_seed) {}

  /// Whether a change with the next seqno may be made.
  [[nodiscard]] bool admits(uint64_t high_seqno) noexcept {
    // One that follows has no reservation.
    return high_seqno < reserved_seqno && !refuses && log.reserve();
  }
  /// A key that goes leaves a placeholder where its absence from the table would say nothing.
  [[nodiscard]] bool leaves_placeholders() const noexcept {
    return shared.policy == EvictionPolicy::full || !knows_all_keys;
  }
  /// The disk has items that the table has not, and they are counted.
  [[nodiscard]] bool counts_disk() const noexcept { return shared.policy == EvictionPolicy::full || warming; }
  void add_dirty(uint64_t bytes) noexcept {
    ++dirty_items;
    dirty_bytes += bytes;
    shared.dirty_bytes.fetch_add(bytes, std::memory_order_relaxed);
  }
  void remove_dirty(uint64_t items, uint64_t bytes) noexcept {
    dirty_items -= items;
    dirty_bytes -= bytes;
    shared.dirty_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  }

  void note_unlinked(DocKey key, uint64_t seqno) noexcept { unlinked.note(removals.hash_of(key), seqno); }
  /// Whether a read that began at the ticket may have missed the last of the key. Only where the table has
  /// nothing of it.
  [[nodiscard]] bool may_have_missed(DocKey key, LoadTicket ticket) noexcept {
    return unlinked.may_have_left(removals.hash_of(key), ticket.persisted_seqno);
  }
  void note_removal(uint64_t revision, uint64_t cas) noexcept {
    highest_removal.take(revision, cas);
    highest_revision.take(revision);
  }

  void note_flush_moment_saved() noexcept {
    if (!std::exchange(flush_moment_unsaved, false)) return;
    shared.unsaved_flush_moments.fetch_sub(1, std::memory_order_acq_rel);
  }
  void note_clear_saved() noexcept {
    if (!std::exchange(clear_unsaved, false)) return;
    shared.unsaved_clears.fetch_sub(1, std::memory_order_acq_rel);
  }

  /// What has a higher seqno than this is of a new branch of history.
  /// What the history had of branches beyond that is not ours: a copy has its source's, and may end behind
  /// it.
  void begin_branch(uint64_t seqno, base::Now now) {
    std::erase_if(failover, [&](const FailoverEntry& entry) { return entry.seqno > seqno; });
    failover.insert(failover.begin(), {shared.new_uuid(now), seqno});
    if (failover.size() > kFailoverEntries) failover.resize(kFailoverEntries);
  }

  SharedPersistence& shared;
  const uint32_t vbucket;

  ChangeLog log;
  Removals removals;
  HighestRemoval highest_removal;
  HighestRevision highest_revision;
  uint64_t persisted_seqno = 0;
  /// No seqno above it is given out.
  uint64_t reserved_seqno = kUnlimited;
  /// Nothing can be written to disk any more.
  bool refuses = false;
  /// Of the last flush.
  uint64_t flush_seqno = 0;
  /// Of the last collection that was dropped, or what was there at the start; UINT64_MAX where that could not
  /// be written into the log. What is on disk of a collection that the vbucket does not know is older.
  uint64_t dropped_seqno = 0;
  /// Of the next one; 0 for none.
  uint32_t flush_at_s = 0;
  /// A key that is not in the table may have attributes, which are to be kept.
  bool may_have_attributes = false;
  bool flush_moment_unsaved = false;
  /// What has left the table while the disk has it, or will have it: see LoadTicket.
  Unlinked unlinked;
  std::vector<FailoverEntry> failover;

  /// See Bucket::follow. Then reserved_seqno is 0.
  bool follows = false;
  ReplicaSnapshot snapshot;
  VBucketRole role = VBucketRole::active;
  /// Rises with each clear().
  uint32_t generation = 0;
  /// The last one is not on disk.
  bool clear_unsaved = false;

  /// The table has every key: what is not in it does not exist.
  bool knows_all_keys = true;
  bool warming = false;
  /// While it warms up: a read of the disk may be as old as this.
  uint64_t restored_seqno = 0;
  /// The bit in the dirty set is set, or its taker is on the way here.
  bool marked = true;
  /// Somebody has read the log, and is to be told of the next change.
  bool news_wanted = false;

  /// In the log and with the flusher.
  uint64_t dirty_items = 0;
  uint64_t dirty_bytes = 0;
  /// Live documents that are not in the table. What `prior_unknown` finds out is missing until then.
  int64_t on_disk_only = 0;
  uint64_t non_resident = 0;
  uint64_t absent = 0;
};

inline bool VBucket::is_unknown(HashTable::Slot slot) const noexcept {
  return !slot && persistent_ != nullptr && !persistent_->knows_all_keys;
}

}  // namespace bobbin::store
