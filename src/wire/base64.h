#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace bobbin::wire {

/// Bytes of base64 text for `bytes` bytes, padding included (RFC 4648, section 4).
constexpr size_t base64_chars(size_t bytes) {
  return (bytes + 2) / 3 * 4;
}

/// Decodes padded base64 into `out`, which has room for `text.size() / 4 * 3` bytes; answers how many it
/// wrote. None for an empty text, characters outside the alphabet, a length that is no multiple of four,
/// padding elsewhere than at the end, and left-over bits that are not zero: one key has one spelling.
std::optional<size_t> decode_base64(std::string_view text, char* out);

/// Encodes into `out`, which has room for base64_chars(bytes.size()); answers how many it wrote.
size_t encode_base64(std::string_view bytes, char* out);

}  // namespace bobbin::wire
