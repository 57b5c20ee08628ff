#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "wire/binary_opcode.h"
#include "wire/binary_status.h"
#include "wire/dialect.h"

/// The header that requests and replies of the binary protocol share, and the numbers in it (memcached wiki,
/// BinaryProtocolRevamped; kv_engine docs/BinaryProtocol.md).

namespace bobbin::wire {

inline constexpr size_t kBinaryHeaderBytes = 24;
inline constexpr uint8_t kBinaryReplyMagic = 0x81;
/// Of what a server sends of its own accord, to who has agreed on that, and of the answers to it (kv_engine
/// docs/Duplex.md).
inline constexpr uint8_t kServerRequestMagic = 0x82;
inline constexpr uint8_t kClientReplyMagic = 0x83;
/// Of frames with framing extras, whose length takes the place of the key length's first byte (kv_engine
/// docs/BinaryProtocol.md, "flexible framing extras").
inline constexpr uint8_t kFlexibleRequestMagic = 0x08;
inline constexpr uint8_t kFlexibleReplyMagic = 0x18;
/// Longest key of the classic protocol, in bytes.
inline constexpr size_t kMaxBinaryKeyBytes = 250;

// ---- numbers in network byte order

template <std::unsigned_integral Number>
Number load_big_endian(const void* from) {
  Number value = 0;
  std::memcpy(&value, from, sizeof(value));
  if constexpr (std::endian::native == std::endian::big || sizeof(Number) == 1) return value;
  if constexpr (sizeof(Number) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(Number) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(Number) == 8) return __builtin_bswap64(value);
}

template <std::unsigned_integral Number>
char* store_big_endian(char* out, Number value) {
  const Number swapped = load_big_endian<Number>(&value);
  std::memcpy(out, &swapped, sizeof(swapped));
  return out + sizeof(swapped);
}

[[nodiscard]] constexpr bool is_flexible(uint8_t magic) {
  return magic == kFlexibleRequestMagic || magic == kFlexibleReplyMagic;
}

/// The 24 bytes that begin every request and reply, in the machine's byte order. `opaque` is the peer's and
/// is only ever copied back.
struct BinaryHeader {
  uint8_t magic = kBinaryRequestMagic;
  uint8_t opcode = 0;
  uint16_t key_bytes = 0;  ///< at most 255 in a flexible frame
  uint8_t extras_bytes = 0;
  uint8_t datatype = 0;            ///< wire/datatype.h
  uint16_t vbucket_or_status = 0;  ///< vbucket in a request, BinaryStatus in a reply
  uint32_t body_bytes = 0;         ///< framing extras + extras + key + value
  uint32_t opaque = 0;
  uint64_t cas = 0;
  uint8_t framing_bytes = 0;  ///< framing extras; 0 unless the magic is a flexible one

  /// Framing extras, extras and key: what precedes the value. At most 255 + 255 + 65535.
  [[nodiscard]] constexpr uint32_t before_value() const {
    return uint32_t{framing_bytes} + extras_bytes + key_bytes;
  }
  bool operator==(const BinaryHeader&) const = default;
};

/// `from` holds kBinaryHeaderBytes.
inline BinaryHeader decode_header(const char* from) {
  BinaryHeader header{.magic = load_big_endian<uint8_t>(from),
                      .opcode = load_big_endian<uint8_t>(from + 1),
                      .key_bytes = load_big_endian<uint16_t>(from + 2),
                      .extras_bytes = load_big_endian<uint8_t>(from + 4),
                      .datatype = load_big_endian<uint8_t>(from + 5),
                      .vbucket_or_status = load_big_endian<uint16_t>(from + 6),
                      .body_bytes = load_big_endian<uint32_t>(from + 8),
                      .opaque = load_big_endian<uint32_t>(from + 12),
                      .cas = load_big_endian<uint64_t>(from + 16)};
  if (is_flexible(header.magic)) [[unlikely]] {
    header.framing_bytes = static_cast<uint8_t>(header.key_bytes >> 8);
    header.key_bytes &= 0xff;
  }
  return header;
}

/// Writes kBinaryHeaderBytes and returns the byte behind them.
inline char* encode_header(char* out, const BinaryHeader& header) {
  out = store_big_endian(out, header.magic);
  out = store_big_endian(out, header.opcode);
  out = store_big_endian(out, is_flexible(header.magic) ? static_cast<uint16_t>((header.framing_bytes << 8) |
                                                                                (header.key_bytes & 0xff))
                                                        : header.key_bytes);
  out = store_big_endian(out, header.extras_bytes);
  out = store_big_endian(out, header.datatype);
  out = store_big_endian(out, header.vbucket_or_status);
  out = store_big_endian(out, header.body_bytes);
  out = store_big_endian(out, header.opaque);
  return store_big_endian(out, header.cas);
}

}  // namespace bobbin::wire
