#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

/// Collection ids in front of keys (kv_engine docs/Collections.md): unsigned LEB128, little end first, seven
/// bits a byte, the top bit in all but the last.

namespace bobbin::wire {

inline constexpr size_t kMaxLeb128Bytes = 5;

/// Takes the number that `bytes` begins with. Nothing when it does not end, does not fit 32 bits, or is
/// longer than it has to be: one number, one spelling.
inline std::optional<uint32_t> take_leb128(std::string_view& bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < kMaxLeb128Bytes && i < bytes.size(); ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    value |= uint64_t{byte & 0x7fU} << (7 * i);
    if ((byte & 0x80) != 0) continue;
    if (value > UINT32_MAX || (i > 0 && byte == 0)) return std::nullopt;
    bytes.remove_prefix(i + 1);
    return static_cast<uint32_t>(value);
  }
  return std::nullopt;
}

}  // namespace bobbin::wire
