#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "disk/error.h"

namespace bobbin::disk {

/// The few small files of a data directory that are not RocksDB's. Every call may wait for the disk.

/// errno as an Error about `path`.
[[nodiscard]] Error system_error(int number, const std::string& path, std::string_view what);

/// Empty when there is no such file.
[[nodiscard]] Result<std::optional<std::string>> read_file(const std::string& path);
/// For files whose owner alone may read them.
inline constexpr unsigned kSecretFileMode = 0600;

/// The whole file or what was there before, also after a loss of power: written beside, synced, renamed, and
/// the folder synced. `mode` is what its permissions are at most (umask).
[[nodiscard]] Result<void> replace_file(const std::string& path, std::string_view bytes,
                                        unsigned mode = 0640);
/// A file that root has just made in somebody's folder becomes theirs: what a data directory gets from an
/// administrator's command is read by the server, which is not root.
void give_to_owner_of_folder(int file, const std::string& path);
/// It is no error when there is none.
[[nodiscard]] Result<void> remove_file(const std::string& path);
/// With the folders above it that are missing.
[[nodiscard]] Result<void> make_folder(const std::string& path);
[[nodiscard]] Result<void> sync_folder(const std::string& path);

/// A lock file, held as long as this lives. The system lets go of it when the process ends, however it ends.
class FileLock {
 public:
  /// `locked` names the process that holds it, when that can be read. `shared`: for readers of a directory
  /// that cannot or must not be written.
  [[nodiscard]] static Result<FileLock> take(const std::string& path, bool shared);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int file) : file_(file) {}

  int file_;
};

}  // namespace bobbin::disk
