#include "cli/json.h"

#include <fmt/format.h>

#include <cstdint>

namespace bobbin::cli {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Bytes of the UTF-8 character that `text` begins with; 0 if it begins with none. Over-long forms,
/// surrogates and numbers above U+10FFFF are none.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length == 0 || text.size() < length || first > 0xf4) return 0;
  uint32_t number = first & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    number = number << 6 | (byte(i) & 0x3fu);
  }
  const bool overlong = (length == 3 && number < 0x800) || (length == 4 && number < 0x10000);
  const bool surrogate = number >= 0xd800 && number <= 0xdfff;
  return overlong || surrogate || number > 0x10ffff ? 0 : length;
}

/// U+0080 to U+009F, which some terminals obey.
bool is_c1_control(std::string_view text) {
  return text[0] == '\xc2' && static_cast<unsigned char>(text[1]) < 0xa0;
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

std::string json_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const char c = text.front();
    if (length == 0) {
      out += "\\ufffd";
    } else if (length == 2 && is_c1_control(text)) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(text[1])));
    } else if (length > 1) {
      out += text.substr(0, length);
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out + '"';
}

std::string json_number_or_string(std::string_view text) {
  return is_json_number(text) ? std::string(text) : json_string(text);
}

}  // namespace bobbin::cli
