#pragma once

#include <string>

#include "disk/backup.h"

namespace bobbin::disk {

struct RestoreOptions {
  std::string folder;  ///< of backups
  Backup backup;       ///< one of list_backups(folder)
  std::string to;      ///< empty, or not there
  CopyProgress progress;
};

struct RestoreResult {
  std::string uuid;  ///< the new directory's
  uint64_t documents = 0;
};

/// Makes a data directory from a backup. Each file's checksum is compared as it is copied, and the layout is
/// written last: what was interrupted is no directory that a server would take.
///
/// The directory has a uuid of its own, and each vbucket begins a new branch, as after an unclean end:
/// the one that was backed up may have gone on, and whoever followed it has to notice.
[[nodiscard]] Result<RestoreResult> restore(const RestoreOptions& options);

}  // namespace bobbin::disk
