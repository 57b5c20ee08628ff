#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/binary_header.h"

/// Replies of the binary protocol. Each function writes into memory of the caller's and returns how many
/// bytes it wrote; opcode and opaque are those of the request.

namespace bobbin::wire {

/// Header, 4 bytes of extras and a key of the classic protocol: the most that precedes a value.
inline constexpr size_t kMaxBinaryHeadBytes = kBinaryHeaderBytes + 4 + kMaxBinaryKeyBytes;

/// What a reply holds besides what it copies from the request.
struct BinaryReply {
  BinaryStatus status = BinaryStatus::success;
  uint64_t cas = 0;
  std::string_view extras = {};
  std::string_view key = {};
  uint32_t value_bytes =
      0;  ///< of the value that the caller sends behind the head; must fit the body's 32 bits
  uint8_t datatype = 0;
};

/// Header, extras, key: 24 + extras + key bytes. The value is the caller's to send.
size_t write_binary_head(char* out, const BinaryHeader& request, const BinaryReply& reply);

/// A hit of get, gat and touch: 4 bytes of client flags, the key for the k forms. At most
/// kMaxBinaryHeadBytes.
size_t write_binary_hit(char* out, const BinaryHeader& request, uint32_t flags, uint64_t cas,
                        std::string_view key, uint32_t value_bytes);

/// A bare success, with the CAS of what was stored (0 if nothing was). kBinaryHeaderBytes.
size_t write_binary_success(char* out, const BinaryHeader& request, uint64_t cas = 0);

/// The counter that increment and decrement answer, 8 bytes. kBinaryHeaderBytes + 8.
size_t write_binary_counter(char* out, const BinaryHeader& request, uint64_t counter, uint64_t cas);

/// An error with the text that memcached sends as its body. At most kMaxBinaryErrorBytes.
inline constexpr size_t kMaxBinaryErrorBytes = kBinaryHeaderBytes + 64;
size_t write_binary_error(char* out, const BinaryHeader& request, BinaryStatus status);

/// A miss of getk and gatk, whose body is the key and not a text. At most kMaxBinaryHeadBytes.
size_t write_binary_miss_with_key(char* out, const BinaryHeader& request, std::string_view key);

/// One statistic: key is its name, value its text. Both empty: the packet that ends the series.
/// 24 + name + value bytes.
size_t write_binary_stat(char* out, const BinaryHeader& request, std::string_view name,
                         std::string_view value);

/// What memcached says for a status; empty for success. At most 64 bytes.
std::string_view binary_status_text(BinaryStatus status);

}  // namespace bobbin::wire
