#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "disk/error.h"
#include "store/manifest.h"

namespace bobbin::disk {

/// A file of a shard in a backup.
struct BackupFile {
  uint32_t shard = 0;
  std::string name;
  uint64_t bytes = 0;
  std::string checksum;    ///< CRC32C, in hex
  bool is_shared = false;  ///< lies where every backup of the folder can use it
};

/// What a shard did between two backups, as history_file.h has it.
struct BackupHistory {
  uint32_t shard = 0;
  uint64_t after = 0;  ///< the sequence that it follows
  uint64_t bytes = 0;
  std::string checksum;  ///< CRC32C, in hex
};

/// Another bucket of the same server, which has a folder of backups of its own with a backup of the same
/// number: see bucket_folder().
struct BackupPart {
  std::string uuid;  ///< 32 hexadecimal digits
  std::string name;  ///< for people
};

/// A small file of the data directory, which lies in backup-N.
struct BackupAttachment {
  std::string name;  ///< "buckets.json"
  uint64_t bytes = 0;
  std::string checksum;  ///< CRC32C, in hex
};

/// What a backup is; written last, so that one that has it is whole.
struct Backup {
  uint64_t number = 0;
  std::string uuid;  ///< of the data directory
  uint32_t shards = 0;
  uint32_t vbuckets = 0;
  /// When it began: it has everything that was acknowledged as on disk until then, and perhaps more.
  uint64_t unix_ns = 0;
  uint64_t documents = 0;  ///< about
  /// Nothing in it was changed later.
  uint64_t newest_ns = 0;
  /// Of each shard: it has the commits up to this one, and perhaps more.
  std::vector<uint64_t> sequences;
  std::vector<BackupFile> files;
  /// What was done since the backup before it and until `unix_ns` at least, of each shard; or of none, where
  /// that is not kept any more, or the first.
  std::vector<BackupHistory> histories;
  /// As it was when the last file had been copied: what shards have of other collections goes at a restore.
  store::Manifest manifest;
  std::vector<BackupPart> parts;
  std::vector<BackupAttachment> attachments;

  /// Of `files`.
  [[nodiscard]] uint64_t bytes() const;
};

/// 1 had shards of directory format 1, 2 neither parts nor attachments, and up to 3 shards of directory
/// format 2.
inline constexpr uint32_t kBackupFormat = 4;
inline constexpr uint32_t kOldestBackupFormat = 2;

/// As a layout is written, lines and a checksum.
[[nodiscard]] std::string encode_backup(const Backup& backup);
[[nodiscard]] Result<Backup> decode_backup(std::string_view text, const std::string& path);

/// folder/backup-N and, in it, what says what it is.
[[nodiscard]] std::string backup_path(const std::string& folder, uint64_t number);
[[nodiscard]] std::string contents_path(const std::string& folder, uint64_t number);
/// Where a file of a backup lies.
[[nodiscard]] std::string path_of(const std::string& folder, const Backup& backup, const BackupFile& file);
[[nodiscard]] std::string path_of(const std::string& folder, const Backup& backup,
                                  const BackupHistory& history);
[[nodiscard]] std::string path_of(const std::string& folder, const Backup& backup,
                                  const BackupAttachment& attachment);
/// Where the backups of another bucket are.
[[nodiscard]] std::string bucket_folder(const std::string& folder, std::string_view uuid);

/// "2026-11-24T15:00:00.250Z"
[[nodiscard]] std::string moment_text(uint64_t unix_ns);

/// The numbers of the folders of backups, whole or not, lowest first.
[[nodiscard]] std::vector<uint64_t> backup_numbers(const std::string& folder);

/// All that are whole, oldest first. An error when the folder has none, or what says what one is is damaged.
[[nodiscard]] Result<std::vector<Backup>> list_backups(const std::string& folder);

}  // namespace bobbin::disk
