#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/numbers.h"

/// Replies of the text protocol. Each write_ function fills memory of the caller's, at least as large as the
/// k...Bytes constant beside it says, and returns how many bytes it wrote. The texts are those of memcached
/// 1.6.18, which clients compare byte by byte.

namespace bobbin::wire {

inline constexpr std::string_view kStored = "STORED\r\n";
inline constexpr std::string_view kNotStored = "NOT_STORED\r\n";
inline constexpr std::string_view kExists = "EXISTS\r\n";
inline constexpr std::string_view kNotFound = "NOT_FOUND\r\n";
inline constexpr std::string_view kDeleted = "DELETED\r\n";
inline constexpr std::string_view kTouched = "TOUCHED\r\n";
inline constexpr std::string_view kEnd = "END\r\n";
inline constexpr std::string_view kOk = "OK\r\n";
inline constexpr std::string_view kReset = "RESET\r\n";
inline constexpr std::string_view kLineEnd = "\r\n";

inline constexpr std::string_view kError = "ERROR\r\n";
inline constexpr std::string_view kBadFormat = "CLIENT_ERROR bad command line format\r\n";
inline constexpr std::string_view kBadDataChunk = "CLIENT_ERROR bad data chunk\r\n";
inline constexpr std::string_view kBadExptime = "CLIENT_ERROR invalid exptime argument\r\n";
inline constexpr std::string_view kBadDelta = "CLIENT_ERROR invalid numeric delta argument\r\n";
inline constexpr std::string_view kBadDelete =
    "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n";
inline constexpr std::string_view kNonNumeric =
    "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
inline constexpr std::string_view kLineTooLong = "CLIENT_ERROR line too long\r\n";
inline constexpr std::string_view kTooLarge = "SERVER_ERROR object too large for cache\r\n";
inline constexpr std::string_view kUnauthenticated = "CLIENT_ERROR unauthenticated\r\n";
/// memcached has no such thing: who has logged in may do everything.
inline constexpr std::string_view kForbidden = "CLIENT_ERROR no access\r\n";
inline constexpr std::string_view kOutOfMemory = "SERVER_ERROR out of memory storing object\r\n";
inline constexpr std::string_view kDiskUnreadable = "SERVER_ERROR disk read failed\r\n";
inline constexpr std::string_view kDiskUnwritable = "SERVER_ERROR disk write failed, read-only\r\n";
inline constexpr std::string_view kLocked = "SERVER_ERROR document is locked\r\n";
inline constexpr std::string_view kOutOfMemoryReading = "SERVER_ERROR out of memory reading request\r\n";

/// "VALUE key flags bytes [cas]\r\n". The value and kLineEnd follow.
inline constexpr size_t kMaxValueLineBytes = 6 + 250 + 1 + 10 + 1 + 10 + 1 + kMaxU64Chars + 2;
size_t write_value_line(char* out, std::string_view key, uint32_t flags, uint32_t value_bytes);
size_t write_value_line(char* out, std::string_view key, uint32_t flags, uint32_t value_bytes, uint64_t cas);

/// "number\r\n", what incr and decr answer.
inline constexpr size_t kMaxNumberLineBytes = kMaxU64Chars + 2;
size_t write_number_line(char* out, uint64_t number);

/// "STAT name value\r\n": room for stat_line_bytes(name, value).
constexpr size_t stat_line_bytes(std::string_view name, std::string_view value) {
  return 5 + name.size() + 1 + value.size() + 2;
}
size_t write_stat_line(char* out, std::string_view name, std::string_view value);

/// The same with a number: room for stat_line_bytes(name, "") + kMaxU64Chars.
size_t write_stat_line(char* out, std::string_view name, uint64_t value);

/// "VERSION text\r\n": room for text.size() + 10.
size_t write_version_line(char* out, std::string_view version);

}  // namespace bobbin::wire
