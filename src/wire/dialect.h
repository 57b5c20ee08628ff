#pragma once

#include <cstdint>

namespace bobbin::wire {

/// Which protocol a connection speaks. Decided once, by the first byte it sends, and never again.
enum class Dialect : uint8_t { text, binary };

/// The first byte of every request of the binary protocol.
inline constexpr uint8_t kBinaryRequestMagic = 0x80;

/// 0x80 means binary. Every other byte means text, which holds the meta commands too. That includes 0x81 (the
/// magic of replies, which no client sends) and 0x08 (a later request magic that only follows a handshake
/// made under 0x80): like memcached, Bobbin reads them as the start of a line, knows no such command, and
/// says so.
constexpr Dialect dialect_of(uint8_t first_byte) {
  return first_byte == kBinaryRequestMagic ? Dialect::binary : Dialect::text;
}

}  // namespace bobbin::wire
