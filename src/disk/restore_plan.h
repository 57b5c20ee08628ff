#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "disk/backup_file.h"
#include "disk/history_file.h"

namespace bobbin::disk {

/// How a moment is restored: a backup from before it, and what was done since then.
struct RestorePlan {
  Backup base;
  /// Their histories follow each other, the first one's follows the base. Empty where the base is of that
  /// moment.
  std::vector<Backup> later;
  uint64_t until_ns = 0;

  /// Of the histories.
  [[nodiscard]] uint64_t history_bytes() const;
};

/// `backups` as list_backups gives them. The error says in plain words why that moment cannot be restored,
/// and what can be.
[[nodiscard]] Result<RestorePlan> plan_restore(const std::string& folder, const std::vector<Backup>& backups,
                                               uint64_t until_ns);

/// What a history has to say about a moment.
struct Replayed {
  uint64_t commits = 0;
  /// Of the last commit of all shards; 0: there was none.
  uint64_t as_of_ns = 0;

  void add(const Replayed& other);
};

/// Calls `visit` with the commits of one shard that follow `sequence` and were made up to the plan's moment,
/// in their order. All that was on disk then is in these, and nothing that was changed later.
[[nodiscard]] Result<Replayed> read_until(const std::string& folder, const RestorePlan& plan, uint32_t shard,
                                          uint64_t sequence, const VisitCommit& visit);

}  // namespace bobbin::disk
