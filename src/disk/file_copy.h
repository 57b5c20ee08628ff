#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "disk/error.h"

namespace bobbin::disk {

/// Called with bytes as they are read; false stops.
using KeepGoing = std::function<bool(uint64_t bytes)>;

/// The checksum of the first `bytes` bytes of a file, as RocksDB records it for its own (CRC32C, in hex).
/// Fewer bytes than that are damage; `io` with an empty path: it was stopped.
[[nodiscard]] Result<std::string> checksum_of(const std::string& path, uint64_t bytes, const KeepGoing& on);

/// The same, and writes them to a new file, which is on disk as a whole when this returns, or not there.
[[nodiscard]] Result<std::string> copy_file(const std::string& from, const std::string& to, uint64_t bytes,
                                            const KeepGoing& on);
/// Of bytes in memory.
[[nodiscard]] std::string checksum_of_bytes(std::string_view bytes);
/// RocksDB's form of it, in hex.
[[nodiscard]] std::string checksum_text(std::string_view recorded);

}  // namespace bobbin::disk
