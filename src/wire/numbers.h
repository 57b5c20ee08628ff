#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

namespace bobbin::wire {

/// Decimal digits of the largest uint64_t, and of the longest int64_t with its sign.
inline constexpr size_t kMaxU64Chars = 20;
inline constexpr size_t kMaxI64Chars = 20;

namespace detail {
/// White space inside a word: what can stand in a line besides the space that separates words.
constexpr bool is_blank(char c) {
  return c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

inline const char* skip_blanks_and_plus(const char* at, const char* end) {
  while (at != end && is_blank(*at))
    ++at;
  if (at != end && *at == '+') {
    ++at;
    // "+-1" is not a number.
    if (at != end && *at == '-') return end;
  }
  return at;
}
}  // namespace detail

/// A decimal number as memcached 1.6.18 takes it: blanks (tab, CR, ...) and one '+' may precede the digits, a
/// blank may follow them, leading zeros are fine; nothing else. None for an empty word, a sign '-'
/// (unsigned), and whatever does not fit.
// Always inlined: otherwise the optional is returned through memory, written in two parts and read as one,
// and the processor waits until both have arrived there.
template <typename Number>
[[gnu::always_inline]] inline std::optional<Number> parse_number(std::string_view word) {
  const char* const end = word.data() + word.size();
  const char* at = detail::skip_blanks_and_plus(word.data(), end);
  Number value{};
  const auto [rest, problem] = std::from_chars(at, end, value);
  if (problem != std::errc{}) return std::nullopt;
  if (rest != end && !detail::is_blank(*rest)) return std::nullopt;
  return value;
}

/// Writes `value` in decimal and returns the first byte behind it. `out` has room for kMaxU64Chars.
template <typename Number>
char* put_number(char* out, Number value) {
  static_assert(sizeof(Number) <= 8);
  return std::to_chars(out, out + kMaxU64Chars, value).ptr;
}

/// Copies `bytes` and returns the first byte behind them.
inline char* put_bytes(char* out, std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}

}  // namespace bobbin::wire
