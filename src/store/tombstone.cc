#include "store/tombstone.h"

#include <cstdint>
#include <cstring>

#include "wire/binary_header.h"
#include "wire/xattr.h"

namespace bobbin::store {

namespace {

constexpr size_t kLengthBytes = 4;

/// Calls `visit` with each attribute that stays, as it lies in the block, its length in front.
template <typename Visit>
void for_each_surviving(std::string_view block, Visit&& visit) noexcept {
  wire::XattrReader reader(block);
  while (const auto pair = reader.next()) {
    if (wire::is_system_xattr(pair->key)) visit(block.substr(reader.begin(), reader.end() - reader.begin()));
  }
}

}  // namespace

size_t surviving_attribute_bytes(std::string_view block) noexcept {
  size_t bytes = 0;
  for_each_surviving(block, [&](std::string_view attribute) { bytes += attribute.size(); });
  return bytes == 0 ? 0 : kLengthBytes + bytes;
}

void copy_surviving_attributes(std::string_view block, char* out) noexcept {
  const size_t bytes = surviving_attribute_bytes(block);
  if (bytes == 0) return;
  out = wire::store_big_endian(out, static_cast<uint32_t>(bytes - kLengthBytes));
  for_each_surviving(block, [&](std::string_view attribute) {
    std::memcpy(out, attribute.data(), attribute.size());
    out += attribute.size();
  });
}

}  // namespace bobbin::store
