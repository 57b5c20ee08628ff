#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace bobbin::store {

/// CRC-32 as zlib and Ethernet have it (reflected polynomial edb88320).
[[nodiscard]] uint32_t crc32(std::string_view bytes) noexcept;

/// The vbucket of a key among `vbuckets` (a power of two, at most 1024): by its name, whatever its
/// collection. The rule that Couchbase's clients apply (couchbaselabs/couchbase-cxx-client,
/// core/topology/configuration.cxx, map_key).
[[nodiscard]] inline uint32_t vbucket_of_key(std::string_view name, uint32_t vbuckets) noexcept {
  return ((crc32(name) >> 16) & 0x7fff) & (vbuckets - 1);
}

namespace crc32_detail {

/// Eight tables, so that eight bytes take one step: table k holds the CRC of a byte followed by k zero bytes.
constexpr std::array<std::array<uint32_t, 256>, 8> make_tables() {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < tables.size(); ++k) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t shorter = tables[k - 1][byte];
      tables[k][byte] = (shorter >> 8) ^ tables[0][shorter & 0xff];
    }
  }
  return tables;
}

inline constexpr auto kTables = make_tables();

}  // namespace crc32_detail

inline uint32_t crc32(std::string_view bytes) noexcept {
  static_assert(std::endian::native == std::endian::little);
  const auto& t = crc32_detail::kTables;
  uint32_t crc = 0xffffffffU;
  const char* p = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    uint32_t low = 0;
    uint32_t high = 0;
    std::memcpy(&low, p, sizeof low);
    std::memcpy(&high, p + 4, sizeof high);
    low ^= crc;
    crc = t[7][low & 0xff] ^ t[6][(low >> 8) & 0xff] ^ t[5][(low >> 16) & 0xff] ^ t[4][low >> 24] ^
          t[3][high & 0xff] ^ t[2][(high >> 8) & 0xff] ^ t[1][(high >> 16) & 0xff] ^ t[0][high >> 24];
  }
  for (; left != 0; --left, ++p)
    crc = (crc >> 8) ^ t[0][(crc ^ static_cast<uint8_t>(*p)) & 0xff];
  return ~crc;
}

}  // namespace bobbin::store
