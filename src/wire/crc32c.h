#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace bobbin::wire {

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4), as MCBP shows it of a document's value.
inline uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit)
        crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
      table[i] = crc;
    }
    return table;
  }();
  uint32_t crc = UINT32_MAX;
  for (const char byte : bytes)
    crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(byte)) & 0xff];
  return ~crc;
}

}  // namespace bobbin::wire
