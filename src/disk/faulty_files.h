#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "disk/error.h"
#include "disk/files.h"

namespace bobbin::disk {

enum class FileOperation : uint8_t { read, write, sync };

/// One thing that goes wrong.
struct Fault {
  FileOperation operation = FileOperation::write;
  /// io (EIO) or no_space (ENOSPC).
  ErrorKind kind = ErrorKind::io;
  /// Only files whose path contains this.
  std::string path_part;
  /// So many operations that match go well first.
  uint64_t after = 0;
  /// It waits until heal() and goes well then.
  bool holds = false;
};

/// The system's files with faults on demand, for tests of what a shard and a server do then. Any thread.
///
/// It also knows what was synced, and can take away the rest as a loss of power would: bytes behind the last
/// sync of their file, files and renames whose folder was not synced since. What was deleted stays deleted.
class FaultyFiles final : public Files {
 public:
  class State;

  FaultyFiles();
  ~FaultyFiles() override;

  /// Stays until heal(). Reading faults hit files that are already open, too.
  void inject(const Fault& fault);
  void heal();
  /// How many operations a fault has hit, those that are held by one now with them.
  [[nodiscard]] uint64_t hits() const;
  [[nodiscard]] uint64_t syncs() const;

  /// From here on everything that would change a file fails. Close the shards, then drop_unsynced().
  void cut_power();
  /// What the disk has after the cut; `torn_bytes` of each file's unsynced bytes have made it all the same.
  /// Power is back afterwards. False when a file could not be put back.
  bool drop_unsynced(uint64_t torn_bytes = 0);

  /// Ends the process as a loss of power would, in the middle of whatever its threads do. What it would have
  /// lost is written to `note`, for drop_noted() in the next process.
  [[noreturn]] void lose_power(const std::string& note);
  /// What the disk has after lose_power(); the note is removed. Without one, nothing is done.
  [[nodiscard]] static bool drop_noted(const std::string& note, uint64_t torn_bytes);

 private:
  explicit FaultyFiles(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace bobbin::disk
