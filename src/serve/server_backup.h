#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "disk/backup.h"
#include "disk/check.h"
#include "disk/directory.h"
#include "disk/restore.h"
#include "serve/bucket_settings.h"

namespace bobbin::serve {

// Backups of all that a server keeps: disk/backup.h knows one bucket. A backup of the default bucket names
// those of the others as its parts, and has the data directory's small files (buckets.json, users.json,
// seeded) beside it:
//
//   backup-N/contents       written last: then all of it is whole
//   backup-N/buckets.json   the buckets that this backup has
//   buckets/UUID            the folder of backups of another bucket: its backup N belongs to backup N
//
// What is here waits for disks.

/// What a backup has of one bucket, and how much of that was copied.
struct BucketBackup {
  std::string name;
  uint64_t documents = 0;
  uint64_t files = 0;
  uint64_t bytes = 0;
  uint64_t new_files = 0;
  uint64_t new_bytes = 0;

  void add(const BucketBackup& other);
};

struct ServerBackup {
  uint64_t number = 0;
  uint64_t unix_ns = 0;
  std::vector<BucketBackup> buckets;  ///< those on disk; the default one first

  [[nodiscard]] BucketBackup total() const;
};

/// Bytes of a bucket; false stops.
using BucketProgress = std::function<bool(std::string_view bucket, uint64_t done, uint64_t total)>;

struct ServerBackupOptions {
  using Copy = std::function<disk::Result<void>(const disk::Directory& directory)>;

  std::string folder;
  bool dry_run = false;
  uint64_t unix_ns = 0;  ///< now
  BucketProgress progress;
  /// All buckets, the default one among them, those in memory too.
  std::vector<BucketSettings> buckets;
  /// Calls `copy` with the directory of one of them, when all is there that was acknowledged until now.
  /// False: the bucket was removed before that was done, and the backup goes without it.
  std::function<disk::Result<bool>(const BucketSettings& bucket, const Copy& copy)> with_bucket;
};

/// `directory` is that of the default bucket. The error of who is stopped has no path.
[[nodiscard]] disk::Result<ServerBackup> back_up_server(const disk::Directory& directory,
                                                        const ServerBackupOptions& options);
/// What a backup has, without reading its files.
[[nodiscard]] disk::Result<ServerBackup> describe_backup(const std::string& folder,
                                                         const disk::Backup& backup);
/// The backup of another bucket that belongs to the backup `number`; an error where it is not there.
[[nodiscard]] disk::Result<disk::Backup> find_part(const std::string& folder, uint64_t number,
                                                   const disk::BackupPart& part);
/// Reads all files of a backup and compares their checksums.
[[nodiscard]] disk::Result<void> verify_server_backup(const std::string& folder, const disk::Backup& backup,
                                                      const BucketProgress& progress);

struct ServerRestoreOptions {
  std::string folder;
  disk::RestorePlan plan;  ///< of the default bucket. The others are restored as the plan's base has them
  std::string to;
  /// Only read, and compare checksums.
  bool dry_run = false;
  BucketProgress progress;
};

struct ServerRestore {
  disk::RestoreResult first;         ///< of the default bucket
  std::vector<BucketBackup> others;  ///< documents, files and bytes
  /// The users and their roles are among what was restored.
  bool has_users = false;
};

/// Makes a data directory of a backup; each bucket gets a uuid of its own.
[[nodiscard]] disk::Result<ServerRestore> restore_server(const ServerRestoreOptions& options);

/// What `bobbin check` finds. Damage of the small files is among the findings of the first report.
struct ServerCheck {
  struct Bucket {
    std::string name;
    disk::CheckReport report;
  };
  disk::CheckReport first;
  std::vector<Bucket> others;
};

/// See disk::check_directory; `progress` is told the bucket as well.
[[nodiscard]] disk::Result<ServerCheck> check_server(
    const std::string& path,
    const std::function<void(std::string_view bucket, disk::CheckStage stage, uint64_t done, uint64_t total)>&
        progress);

// Places in a data directory.
[[nodiscard]] std::string buckets_file(const std::string& data);
[[nodiscard]] std::string bucket_path(const std::string& data, std::string_view uuid);

}  // namespace bobbin::serve
