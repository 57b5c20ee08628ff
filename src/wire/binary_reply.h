#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/binary_header.h"

/// Replies of the binary protocol. Each function writes into memory of the caller's and returns how many
/// bytes it wrote; opcode and opaque are those of the request.

namespace bobbin::wire {

/// Framing extras of a reply: how long the server had the request (wire/frame_info.h).
inline constexpr size_t kTraceBytes = 3;
/// And what it has read or written: never both.
inline constexpr size_t kUnitsBytes = 3;
inline constexpr size_t kMaxReplyFramingBytes = kTraceBytes + kUnitsBytes;
/// Header, framing extras, 4 bytes of extras and a key of the classic protocol: the most that precedes a
/// value in what is written here.
inline constexpr size_t kMaxBinaryHeadBytes =
    kBinaryHeaderBytes + kMaxReplyFramingBytes + 4 + kMaxBinaryKeyBytes;

/// What a reply holds besides what it copies from the request.
struct BinaryReply {
  BinaryStatus status = BinaryStatus::success;
  uint64_t cas = 0;
  std::string_view framing = {};  ///< at most 255 bytes; then the key has at most 255 too
  std::string_view extras = {};   ///< at most 255 bytes
  std::string_view key = {};
  uint32_t value_bytes =
      0;  ///< of the value that the caller sends behind the head; must fit the body's 32 bits
  uint8_t datatype = 0;
};

/// Header, framing extras, extras, key. The value is the caller's to send.
size_t write_binary_head(char* out, const BinaryHeader& request, const BinaryReply& reply);

/// An error with the text that memcached sends as its body. At most kMaxBinaryErrorBytes.
inline constexpr size_t kMaxBinaryErrorBytes = kBinaryHeaderBytes + kTraceBytes + 64;
size_t write_binary_error(char* out, const BinaryHeader& request, BinaryStatus status,
                          std::string_view framing = {});

/// What memcached says for a status; empty for success. At most 64 bytes.
std::string_view binary_status_text(BinaryStatus status);

}  // namespace bobbin::wire
