#include "wire/base64.h"

#include <array>

namespace bobbin::wire {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kNoSextet = 0xff;

constexpr std::array<uint8_t, 256> make_sextets() {
  std::array<uint8_t, 256> sextets{};
  sextets.fill(kNoSextet);
  for (size_t i = 0; i < kAlphabet.size(); ++i) {
    sextets[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
  }
  return sextets;
}
constexpr std::array<uint8_t, 256> kSextets = make_sextets();

}  // namespace

std::optional<size_t> decode_base64(std::string_view text, char* out) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const size_t padding = !text.ends_with('=') ? 0 : !text.ends_with("==") ? 1 : 2;
  const size_t symbols = text.size() - padding;
  char* const begin = out;
  uint32_t bits = 0;
  unsigned bit_count = 0;
  for (size_t i = 0; i < symbols; ++i) {
    const uint8_t sextet = kSextets[static_cast<uint8_t>(text[i])];
    if (sextet == kNoSextet) return std::nullopt;
    bits = (bits << 6) | sextet;
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      *out++ = static_cast<char>((bits >> bit_count) & 0xff);
    }
  }
  const bool left_over = (bits & ((uint32_t{1} << bit_count) - 1)) != 0;
  if (left_over) return std::nullopt;
  return static_cast<size_t>(out - begin);
}

size_t encode_base64(std::string_view bytes, char* out) {
  char* const begin = out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t have = bytes.size() - i < 3 ? bytes.size() - i : 3;
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) {
      bits = (bits << 8) | (j < have ? static_cast<uint8_t>(bytes[i + j]) : 0U);
    }
    for (size_t j = 0; j < 4; ++j) {
      *out++ = j > have ? '=' : kAlphabet[(bits >> (18 - 6 * j)) & 63];
    }
  }
  return static_cast<size_t>(out - begin);
}

}  // namespace bobbin::wire
