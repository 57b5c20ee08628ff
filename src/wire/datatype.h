#pragma once

#include <cstdint>

/// What a value is, as bits of the header's datatype (kv_engine docs/BinaryProtocol.md, "Data Types").

namespace bobbin::wire {

inline constexpr uint8_t kDatatypeJson = 0x01;
inline constexpr uint8_t kDatatypeSnappy = 0x02;
inline constexpr uint8_t kDatatypeXattr = 0x04;

}  // namespace bobbin::wire
