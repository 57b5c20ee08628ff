#include "cli/json.h"

#include <cstddef>

namespace bobbin::cli {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_json_number(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t start = at;
    while (at < text.size() && is_digit(text[at]))
      ++at;
    return at - start;
  };
  if (text.starts_with('-')) ++at;
  const size_t whole_at = at;
  const size_t whole = digits();
  if (whole == 0 || (whole > 1 && text[whole_at] == '0')) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

}  // namespace

std::string json_number_or_string(std::string_view text) {
  return is_json_number(text) ? std::string(text) : json_string(text);
}

}  // namespace bobbin::cli
