#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "disk/error.h"

namespace bobbin::disk {

/// One commit of a shard, as it was written: enough to do it again in a copy that has all those before it.
struct HistoryCommit {
  /// Of its first write, as Shard::sequence counts them.
  uint64_t sequence = 0;
  uint64_t writes = 0;
  /// Nothing in it was changed later than this, in Unix nanoseconds; 0: it changes nothing that anybody sees.
  uint64_t as_of_ns = 0;
  /// RocksDB's, of as long as the call or the next commit says.
  std::string_view bytes;

  [[nodiscard]] uint64_t last_sequence() const noexcept { return sequence + writes - 1; }
};

using VisitCommit = std::function<Result<void>(const HistoryCommit&)>;

/// A shard's history in a backup is commits, one after the other: sequence, writes, as_of_ns, length (8 bytes
/// each), and the bytes. What a backup says of its files has the checksum of the whole.
void append_commit_header(std::string& out, const HistoryCommit& commit);

/// Calls `visit` with each commit in the file, which must be `bytes` long and have been compared with its
/// checksum, until the first error.
[[nodiscard]] Result<void> read_history_file(const std::string& path, uint64_t bytes,
                                             const VisitCommit& visit);

}  // namespace bobbin::disk
