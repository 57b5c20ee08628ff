#include "wire/compression.h"

#include <snappy.h>

namespace bobbin::wire {

std::optional<size_t> inflated_bytes(std::string_view compressed) {
  size_t bytes = 0;
  if (!snappy::GetUncompressedLength(compressed.data(), compressed.size(), &bytes)) return std::nullopt;
  return bytes;
}

bool inflate(std::string_view compressed, char* out) {
  return snappy::RawUncompress(compressed.data(), compressed.size(), out);
}

bool inflate(std::string_view compressed, size_t most, std::string& out) {
  const auto bytes = inflated_bytes(compressed);
  if (!bytes || *bytes > most) return false;
  out.resize(*bytes);
  return inflate(compressed, out.data());
}

bool is_sound(std::string_view compressed) {
  return snappy::IsValidCompressedBuffer(compressed.data(), compressed.size());
}

void deflate(std::string_view bytes, std::string& out) {
  snappy::Compress(bytes.data(), bytes.size(), &out);
}

}  // namespace bobbin::wire
