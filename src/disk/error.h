#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace bobbin::disk {

/// What kind of trouble: decides what the server may still do, and with which code a program ends.
enum class ErrorKind : uint8_t {
  io,             ///< the system refused to read, write or sync
  no_space,       ///< the file system, or the quota on it, is full
  corrupt,        ///< bytes on disk are not what was written
  read_only,      ///< the directory or its file system cannot be written
  locked,         ///< another process has the directory
  other_version,  ///< written by a later Bobbin, or by an earlier one whose form is not read any more
  config,         ///< what was asked for contradicts what is there
};

[[nodiscard]] const char* name_of(ErrorKind kind) noexcept;
/// The same for programs: one word.
[[nodiscard]] const char* word_of(ErrorKind kind) noexcept;

/// What went wrong, for a program (kind), and for a person (message, which names the file).
struct Error {
  ErrorKind kind = ErrorKind::io;
  std::string path;
  std::string message;
};

template <typename T>
using Result = base::Result<T, Error>;

}  // namespace bobbin::disk
