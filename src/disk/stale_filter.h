#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "disk/shard.h"

namespace bobbin::disk {

/// What a shard and its two compaction filters share. Any thread: RocksDB's threads read it while they flush
/// and compact.
///
/// A tombstone that is old enough is not dropped when it is first seen: its seqno becomes `wanted`, the next
/// commit writes that as the vbucket's purge seqno, and only a later compaction drops it. So the disk never
/// lacks a tombstone above the purge seqno that it tells, whenever the power goes.
struct FilterState {
  FilterState(AskFreshness ask, const base::Clock* with_clock, uint32_t age_s, uint32_t vbuckets)
      : freshness(std::move(ask)),
        clock(with_clock),
        tombstone_age_s(age_s),
        wanted(vbuckets),
        no_higher_than(vbuckets),
        persisted(vbuckets) {}

  const AskFreshness freshness;
  const base::Clock* const clock;
  const uint32_t tombstone_age_s;
  std::vector<std::atomic<uint64_t>> wanted;
  /// One more than each vbucket's high seqno was in the last commit with its state; 0 before one. What is
  /// wanted from there on is of a time before the vbucket was cleared.
  std::vector<std::atomic<uint64_t>> no_higher_than;
  std::vector<std::atomic<uint64_t>> persisted;
  std::atomic<bool> is_purge_wanted{false};
  // For what `freshness` does not know; null while the shard is opening and from its closing on.
  std::atomic<rocksdb::DB*> db{nullptr};
  std::atomic<rocksdb::ColumnFamilyHandle*> docs{nullptr};
  std::atomic<uint64_t> index_entries_dropped{0};
  std::atomic<uint64_t> tombstones_purged{0};
};

/// For `seqnos`: drops entries whose key has a newer document, when memtables are flushed and in compactions.
[[nodiscard]] std::shared_ptr<rocksdb::CompactionFilterFactory> make_stale_filter(
    std::shared_ptr<FilterState> state);
/// For `docs`: drops old tombstones, in compactions.
[[nodiscard]] std::shared_ptr<rocksdb::CompactionFilterFactory> make_purge_filter(
    std::shared_ptr<FilterState> state);

}  // namespace bobbin::disk
