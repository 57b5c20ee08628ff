#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/env.h>
#include <rocksdb/status.h>

#include <deque>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "disk/error.h"

namespace bobbin::disk {

/// RocksDB's own log, cut down to its warnings and errors: the last of them are kept, because there, and not
/// in the status, RocksDB says which file of the write-ahead log is damaged. Any thread.
class RocksLog final : public rocksdb::Logger {
 public:
  RocksLog() : Logger(rocksdb::WARN_LEVEL) {}
  ~RocksLog() override = default;

  using Logger::Logv;
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override;
  void Logv(const char* format, va_list arguments) override;

  /// The file in `folder` that the latest line with `word` names, or nothing.
  [[nodiscard]] std::string file_named(std::string_view folder, std::string_view word) const;

 private:
  static constexpr size_t kKeptLines = 32;

  mutable base::Mutex mutex_;
  std::deque<std::string> lines_ GUARDED_BY(mutex_);
};

/// The first path below `folder` in a text; empty when there is none.
[[nodiscard]] std::string path_in(std::string_view text, std::string_view folder);

/// Where a shard begins: its CURRENT, or, if that is right, the manifest that it names. To blame for what
/// RocksDB does not blame on a file.
[[nodiscard]] std::string first_file(const std::string& folder);

/// A status as an Error: its kind from the code, the file from the status, else from the log, else by looking
/// at what every shard starts with (CURRENT, then the manifest it names).
[[nodiscard]] Error error_of(const rocksdb::Status& status, const std::string& folder, const RocksLog* log);

}  // namespace bobbin::disk
