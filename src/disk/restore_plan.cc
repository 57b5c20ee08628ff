#include "disk/restore_plan.h"

#include <algorithm>
#include <utility>

namespace bobbin::disk {

namespace {

Error refusal(const std::string& folder, const std::string& why) {
  return {ErrorKind::config, folder, folder + ": " + why};
}

std::string name_of(const Backup& backup) {
  return "backup " + std::to_string(backup.number) + " of " + moment_text(backup.unix_ns);
}

/// Says of a step from one backup to the next why it cannot be made; empty where it can.
std::string missing_link(const Backup& from, const Backup& to) {
  const std::string between = " between backup " + std::to_string(from.number) + " and " + name_of(to);
  if (to.uuid != from.uuid || to.shards != from.shards)
    return "there is no history" + between + ": they are of different data directories";
  if (to.histories.empty()) {
    return "there is no history" + between +
           ": the server keeps as much of it as --history says, and that was not enough; what can be "
           "restored are whole backups (--backup N)";
  }
  for (const BackupHistory& history : to.histories) {
    if (history.after > from.sequences[history.shard])
      return "there is no history" + between + ": the backup that had its beginning was removed";
  }
  return {};
}

}  // namespace

uint64_t RestorePlan::history_bytes() const {
  uint64_t sum = 0;
  for (const Backup& backup : later) {
    for (const BackupHistory& history : backup.histories)
      sum += history.bytes;
  }
  return sum;
}

void Replayed::add(const Replayed& other) {
  commits += other.commits;
  as_of_ns = std::max(as_of_ns, other.as_of_ns);
}

Result<RestorePlan> plan_restore(const std::string& folder, const std::vector<Backup>& backups,
                                 uint64_t until_ns) {
  const auto is_base = [until_ns](const Backup& backup) {
    return backup.newest_ns <= until_ns && backup.sequences.size() == backup.shards && backup.newest_ns != 0;
  };
  const auto base = std::find_if(backups.rbegin(), backups.rend(), is_base);
  if (base == backups.rend()) {
    return base::fail(refusal(
        folder, "nothing before " + name_of(backups.front()) + " can be restored: there is no older backup"));
  }
  RestorePlan plan{*base, {}, until_ns};
  const Backup* before = &*base;
  for (auto next = base.base(); before->unix_ns < until_ns; ++next) {
    if (next == backups.end()) {
      return base::fail(refusal(folder, "what was done after " + name_of(*before) +
                                            ", the newest, is in no backup yet: make another one first"));
    }
    if (std::string why = missing_link(*before, *next); !why.empty()) return base::fail(refusal(folder, why));
    plan.later.push_back(*next);
    before = &*next;
  }
  return plan;
}

Result<Replayed> read_until(const std::string& folder, const RestorePlan& plan, uint32_t shard,
                            uint64_t sequence, const VisitCommit& visit) {
  Replayed replayed;
  bool is_over = false;
  uint64_t reached = sequence;
  for (const Backup& backup : plan.later) {
    const BackupHistory& history = backup.histories[shard];
    auto read = read_history_file(path_of(folder, backup, history), history.bytes,
                                  [&](const HistoryCommit& commit) -> Result<void> {
                                    // The copy may have been made a little later than it was begun.
                                    is_over = is_over || commit.as_of_ns > plan.until_ns;
                                    // What was committed while a backup was made is in its history and in the
                                    // next.
                                    if (is_over || commit.last_sequence() <= reached) return {};
                                    reached = commit.last_sequence();
                                    ++replayed.commits;
                                    replayed.as_of_ns = std::max(replayed.as_of_ns, commit.as_of_ns);
                                    return visit(commit);
                                  });
    if (!read) return base::fail(std::move(read.error()));
  }
  return replayed;
}

}  // namespace bobbin::disk
