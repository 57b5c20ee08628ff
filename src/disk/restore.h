#pragma once

#include <functional>
#include <string>

#include "disk/backup.h"
#include "disk/restore_plan.h"

namespace bobbin::disk {

struct RestoreOptions {
  std::string folder;  ///< of backups
  /// A backup alone, one of list_backups(folder), or what plan_restore() has made of them.
  RestorePlan plan;
  std::string to;  ///< empty, or not there
  CopyProgress progress;
  /// Called when all is there that the directory needs, and nothing says yet that it is one: brings what else
  /// belongs to it. After an error of it, it has left nothing behind.
  std::function<Result<void>()> complete = {};
};

struct RestoreResult {
  std::string uuid;  ///< the new directory's; empty where none was made
  uint64_t documents = 0;
  /// Done again after the base.
  Replayed replayed;
};

/// Makes a data directory from a backup. Each file's checksum is compared as it is copied, and the layout is
/// written last: what was interrupted is no directory that a server would take.
///
/// The directory has a uuid of its own, and each vbucket begins a new branch, as after an unclean end:
/// the one that was backed up may have gone on, and whoever followed it has to notice.
[[nodiscard]] Result<RestoreResult> restore(const RestoreOptions& options);

/// Only reads what restore() would, and compares the checksums; `to` counts for nothing. How many documents
/// there would be is known about, and of the base.
[[nodiscard]] Result<RestoreResult> rehearse_restore(const RestoreOptions& options);

}  // namespace bobbin::disk
