#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "disk/error.h"

namespace bobbin::disk {

/// Called with bytes as they are read; false stops.
using KeepGoing = std::function<bool(uint64_t bytes)>;

/// The checksum of the first `bytes` bytes of a file, as RocksDB records it for its own (CRC32C, in hex).
/// Fewer bytes than that are damage; `io` with an empty path: it was stopped.
[[nodiscard]] Result<std::string> checksum_of(const std::string& path, uint64_t bytes, const KeepGoing& on);

/// A file that is written from its beginning to its end, and is there as a whole, on disk, or not at all. One
/// thread.
class NewFile {
 public:
  [[nodiscard]] static Result<NewFile> create(const std::string& path);
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  /// Without finish(): removes it.
  ~NewFile();

  [[nodiscard]] Result<void> append(std::string_view bytes);
  /// Answers the checksum.
  [[nodiscard]] Result<std::string> finish();

 private:
  struct Impl;

  explicit NewFile(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

/// The same as checksum_of, and writes them to a new file, which is on disk as a whole when this returns, or
/// not there.
[[nodiscard]] Result<std::string> copy_file(const std::string& from, const std::string& to, uint64_t bytes,
                                            const KeepGoing& on);
/// Of bytes in memory.
[[nodiscard]] std::string checksum_of_bytes(std::string_view bytes);
/// RocksDB's form of it, in hex.
[[nodiscard]] std::string checksum_text(std::string_view recorded);

}  // namespace bobbin::disk
