#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "disk/error.h"

namespace bobbin::disk {

/// Where a log goes, and how much of it is kept.
struct RotatedFileOptions {
  std::string path;
  /// A file that has as many is followed by the next: PATH becomes PATH.1, that PATH.2 and so on.
  uint64_t max_file_bytes = 16 * 1024 * 1024;
  /// Besides PATH itself; the oldest is removed.
  uint32_t kept_files = 4;
};

/// A file of lines that only grows at its end, with mode 0600, and is rotated. One thread. What is written is
/// in the system's hands after each call; it is not synced.
class RotatedFile {
 public:
  explicit RotatedFile(RotatedFileOptions options) : options_(std::move(options)) {}
  ~RotatedFile();
  RotatedFile(const RotatedFile&) = delete;
  RotatedFile& operator=(const RotatedFile&) = delete;

  /// `lines` are whole and stay together in one file. The file is opened, and made, with the first. After a
  /// failure the next call tries again; half a line that was left behind, also by a crash, is ended first.
  [[nodiscard]] Result<void> append(std::string_view lines);

 private:
  Result<void> open();
  Result<void> rotate();

  RotatedFileOptions options_;
  int file_ = -1;
  uint64_t bytes_ = 0;
  bool is_in_a_line_ = false;
};

}  // namespace bobbin::disk
