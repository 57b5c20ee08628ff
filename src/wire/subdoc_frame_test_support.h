#pragma once

#include <string>
#include <string_view>

#include "wire/subdoc.h"

/// Frames of the sub-document API, for tests.

namespace bobbin::wire {

inline std::string big_endian_text(uint64_t number, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    out += static_cast<char>(number >> shift);
  return out;
}

/// The extras of a single request; `tail` is what follows path length and flags.
inline std::string single_extras(std::string_view path, uint8_t flags = 0, std::string_view tail = {}) {
  return big_endian_text(path.size(), 2) + static_cast<char>(flags) + std::string(tail);
}

inline std::string lookup_spec(SubdocOpcode opcode, std::string_view path, uint8_t flags = 0) {
  return std::string{static_cast<char>(opcode), static_cast<char>(flags)} + big_endian_text(path.size(), 2) +
         std::string(path);
}

inline std::string mutation_spec(SubdocOpcode opcode, std::string_view path, std::string_view value = {},
                                 uint8_t flags = 0) {
  return std::string{static_cast<char>(opcode), static_cast<char>(flags)} + big_endian_text(path.size(), 2) +
         big_endian_text(value.size(), 4) + std::string(path) + std::string(value);
}

}  // namespace bobbin::wire
