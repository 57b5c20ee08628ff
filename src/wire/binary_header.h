#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "wire/dialect.h"

/// The header that requests and replies of the binary protocol share, and the numbers in it (memcached wiki,
/// BinaryProtocolRevamped; kv_engine docs/BinaryProtocol.md).

namespace bobbin::wire {

inline constexpr size_t kBinaryHeaderBytes = 24;
inline constexpr uint8_t kBinaryReplyMagic = 0x81;
/// Longest key of the classic protocol, in bytes.
inline constexpr size_t kMaxBinaryKeyBytes = 250;

enum class BinaryOpcode : uint8_t {
  get = 0x00,
  set = 0x01,
  add = 0x02,
  replace = 0x03,
  remove = 0x04,  ///< DELETE
  increment = 0x05,
  decrement = 0x06,
  quit = 0x07,
  flush = 0x08,
  getq = 0x09,
  noop = 0x0a,
  version = 0x0b,
  getk = 0x0c,
  getkq = 0x0d,
  append = 0x0e,
  prepend = 0x0f,
  stat = 0x10,
  setq = 0x11,
  addq = 0x12,
  replaceq = 0x13,
  removeq = 0x14,  ///< DELETEQ
  incrementq = 0x15,
  decrementq = 0x16,
  quitq = 0x17,
  flushq = 0x18,
  appendq = 0x19,
  prependq = 0x1a,
  verbosity = 0x1b,
  touch = 0x1c,
  gat = 0x1d,
  gatq = 0x1e,
  sasl_list_mechs = 0x20,
  sasl_auth = 0x21,
  sasl_step = 0x22,
  gatk = 0x23,
  gatkq = 0x24,
};

enum class BinaryStatus : uint16_t {
  success = 0x0000,
  key_not_found = 0x0001,
  key_exists = 0x0002,
  too_large = 0x0003,
  invalid_arguments = 0x0004,
  not_stored = 0x0005,
  non_numeric = 0x0006,
  auth_error = 0x0020,
  auth_continue = 0x0021,
  unknown_command = 0x0081,
  out_of_memory = 0x0082,
  not_supported = 0x0083,
  internal_error = 0x0084,
  busy = 0x0085,
  temporary_failure = 0x0086,
};

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

/// The 24 bytes that begin every request and reply, in the machine's byte order. `opaque` is the peer's and
/// is only ever copied back.
struct BinaryHeader {
  uint8_t magic = kBinaryRequestMagic;
  uint8_t opcode = 0;
  uint16_t key_bytes = 0;
  uint8_t extras_bytes = 0;
  uint8_t datatype = 0;
  uint16_t vbucket_or_status = 0;  ///< vbucket in a request, BinaryStatus in a reply
  uint32_t body_bytes = 0;         ///< extras + key + value
  uint32_t opaque = 0;
  uint64_t cas = 0;

  bool operator==(const BinaryHeader&) const = default;
};

/// `from` holds kBinaryHeaderBytes.
inline BinaryHeader decode_header(const char* from) {
  return {.magic = load_big_endian<uint8_t>(from),
          .opcode = load_big_endian<uint8_t>(from + 1),
          .key_bytes = load_big_endian<uint16_t>(from + 2),
          .extras_bytes = load_big_endian<uint8_t>(from + 4),
          .datatype = load_big_endian<uint8_t>(from + 5),
          .vbucket_or_status = load_big_endian<uint16_t>(from + 6),
          .body_bytes = load_big_endian<uint32_t>(from + 8),
          .opaque = load_big_endian<uint32_t>(from + 12),
          .cas = load_big_endian<uint64_t>(from + 16)};
}

/// Writes kBinaryHeaderBytes and returns the byte behind them.
inline char* encode_header(char* out, const BinaryHeader& header) {
  out = store_big_endian(out, header.magic);
  out = store_big_endian(out, header.opcode);
  out = store_big_endian(out, header.key_bytes);
  out = store_big_endian(out, header.extras_bytes);
  out = store_big_endian(out, header.datatype);
  out = store_big_endian(out, header.vbucket_or_status);
  out = store_big_endian(out, header.body_bytes);
  out = store_big_endian(out, header.opaque);
  return store_big_endian(out, header.cas);
}

}  // namespace bobbin::wire
