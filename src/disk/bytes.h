#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bobbin::disk {

/// Appends the low `bytes` bytes of a number, least significant first; at most 8.
inline void put_number(std::string& out, uint64_t number, size_t bytes) {
  std::array<char, sizeof(number)> raw{};
  for (size_t i = 0; i < raw.size(); ++i)
    raw[i] = static_cast<char>(number >> (8 * i));
  // At once: a record has a dozen numbers.
  out.append(raw.data(), bytes);
}

/// Appends the low `bytes` bytes of a number, most significant first: as text it sorts like the number.
inline void put_sortable(std::string& out, uint64_t number, size_t bytes) {
  for (size_t i = bytes; i-- > 0;)
    out.push_back(static_cast<char>(number >> (8 * i)));
}

/// Takes numbers off the front of bytes. Beyond the end every number is 0 and ok() is false from then on.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) noexcept : rest_(bytes) {}

  uint64_t number(size_t bytes) noexcept {
    if (!have(bytes)) return 0;
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;)
      value = value << 8 | static_cast<uint8_t>(rest_[i]);
    rest_.remove_prefix(bytes);
    return value;
  }
  uint64_t sortable(size_t bytes) noexcept {
    if (!have(bytes)) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i)
      value = value << 8 | static_cast<uint8_t>(rest_[i]);
    rest_.remove_prefix(bytes);
    return value;
  }

  std::string_view bytes(size_t count) noexcept {
    if (!have(count)) return {};
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }
  [[nodiscard]] bool ok() const noexcept { return ok_; }

 private:
  bool have(size_t bytes) noexcept {
    ok_ = ok_ && rest_.size() >= bytes;
    return ok_;
  }

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace bobbin::disk
