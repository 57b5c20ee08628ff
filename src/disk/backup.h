#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "disk/backup_file.h"
#include "disk/directory.h"
#include "disk/error.h"

namespace bobbin::disk {

/// Called with bytes done and to be done; false stops, which is told as an error without a path.
using CopyProgress = std::function<bool(uint64_t done, uint64_t total)>;

struct BackupOptions {
  std::string folder;
  /// Only says what would be copied.
  bool dry_run = false;
  uint64_t unix_ns = 0;  ///< now
  CopyProgress progress;
  /// Of the backup that is made, where another one has it too; 0: the next.
  uint64_t number = 0;
  /// Called when everything of the directory is copied and nothing says yet that the backup is whole: brings
  /// what else belongs to it, and names that in `backup`. In a dry run as well.
  std::function<Result<void>(Backup& backup)> complete;
};

struct BackupResult {
  Backup backup;
  uint64_t new_files = 0;
  uint64_t new_bytes = 0;
};

/// Copies what a directory has on disk into a folder of backups. Tables and blobs, which never change, lie
/// there once for all backups that have them. The folder belongs to one data directory, by its uuid.
///
///   backup-N/contents   which files make up the backup, with their checksums; written last
///   backup-N/shard-K    what only this one has
///   files               the rest
///   backups.lock        held by who writes
///
/// An interrupted backup leaves the earlier ones as they are; the next one removes its remains. To drop a
/// backup, remove its folder: the next one removes the files that no other has. Any thread; waits for disks.
/// The shards may be written meanwhile: each is copied as of one moment.
[[nodiscard]] Result<BackupResult> back_up(const Directory& directory, const BackupOptions& options);

/// Reads all files of a backup, but those of its parts, and compares their checksums; the error names the
/// first that is damaged.
[[nodiscard]] Result<void> verify_backup(const std::string& folder, const Backup& backup,
                                         const CopyProgress& progress = {});

}  // namespace bobbin::disk
