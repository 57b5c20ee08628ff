#include "store/number_text.h"

#include <charconv>

namespace bobbin::store {

namespace {

bool is_space(char c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace

std::optional<uint64_t> parse_number(std::string_view text) noexcept {
  if (text.empty() || text.size() > kMaxNumberBytes) return std::nullopt;
  while (!text.empty() && is_space(text.front()))
    text.remove_prefix(1);
  bool negative = false;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || (negative && number != 0)) return std::nullopt;
  if (end != text.data() + text.size() && !is_space(*end)) return std::nullopt;
  return number;
}

size_t format_number(uint64_t number, std::span<char, kMaxNumberDigits> out) noexcept {
  return static_cast<size_t>(std::to_chars(out.data(), out.data() + out.size(), number).ptr - out.data());
}

}  // namespace bobbin::store
