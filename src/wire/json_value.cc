#include "wire/json_value.h"

#include <algorithm>
#include <charconv>
#include <cstddef>

#include "wire/utf8.h"

namespace bobbin::wire {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void append_utf8(std::string& out, uint32_t number) {
  const auto trail = [&](unsigned shift) { out += static_cast<char>(0x80 | (number >> shift & 0x3f)); };
  if (number < 0x80) {
    out += static_cast<char>(number);
  } else if (number < 0x800) {
    out += static_cast<char>(0xc0 | number >> 6);
    trail(0);
  } else if (number < 0x10000) {
    out += static_cast<char>(0xe0 | number >> 12);
    trail(6);
    trail(0);
  } else {
    out += static_cast<char>(0xf0 | number >> 18);
    trail(12);
    trail(6);
    trail(0);
  }
}

bool has_repeated_name(const JsonValue::Object& members) {
  std::vector<std::string_view> names;
  names.reserve(members.size());
  for (const JsonValue::Member& member : members)
    names.emplace_back(member.first);
  std::sort(names.begin(), names.end());
  return std::adjacent_find(names.begin(), names.end()) != names.end();
}

}  // namespace

/// Takes what it reads from the front of the text. Each function is false, or nothing, at the first error.
class JsonValue::Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  std::optional<JsonValue> whole() {
    JsonValue value;
    if (!take_value(value, 0)) return std::nullopt;
    skip_space();
    if (!rest_.empty()) return std::nullopt;
    return value;
  }
  [[nodiscard]] size_t unread_bytes() const noexcept { return rest_.size(); }

 private:
  void skip_space() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t' || rest_[0] == '\n' || rest_[0] == '\r'))
      rest_.remove_prefix(1);
  }

  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  bool take_value(JsonValue& value, size_t depth) {
    skip_space();
    if (rest_.empty() || depth > kMaxDepth) return false;
    switch (rest_[0]) {
      case '{':
        return take_object(value, depth);
      case '[':
        return take_array(value, depth);
      case '"': {
        std::string text;
        if (!take_string(text)) return false;
        value.value_ = std::move(text);
        return true;
      }
      case 't':
        value.value_ = true;
        return take("true");
      case 'f':
        value.value_ = false;
        return take("false");
      case 'n':
        return take("null");
      default:
        return take_number(value);
    }
  }

  bool take_object(JsonValue& value, size_t depth) {
    take("{");
    Object members;
    skip_space();
    if (!take("}")) {
      do {
        skip_space();
        Member member;
        if (!take_string(member.first)) return false;
        skip_space();
        if (!take(":") || !take_value(member.second, depth + 1)) return false;
        members.push_back(std::move(member));
        skip_space();
      } while (take(","));
      if (!take("}") || has_repeated_name(members)) return false;
    }
    value.value_ = std::move(members);
    return true;
  }

  bool take_array(JsonValue& value, size_t depth) {
    take("[");
    Array elements;
    skip_space();
    if (!take("]")) {
      do {
        if (!take_value(elements.emplace_back(), depth + 1)) return false;
        skip_space();
      } while (take(","));
      if (!take("]")) return false;
    }
    value.value_ = std::move(elements);
    return true;
  }

  bool take_string(std::string& text) {
    if (!take("\"")) return false;
    while (!take("\"")) {
      const size_t length = utf8_length(rest_);
      if (length == 0 || static_cast<unsigned char>(rest_[0]) < 0x20) return false;
      if (rest_[0] == '\\') {
        rest_.remove_prefix(1);
        if (!take_escape(text)) return false;
      } else {
        text += rest_.substr(0, length);
        rest_.remove_prefix(length);
      }
    }
    return true;
  }

  bool take_escape(std::string& text) {
    if (rest_.empty()) return false;
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const char letter = rest_[0];
    rest_.remove_prefix(1);
    if (const size_t at = kLetters.find(letter); at != std::string_view::npos) {
      text += kMeanings[at];
      return true;
    }
    auto number = letter == 'u' ? take_hex() : std::nullopt;
    // A character above U+FFFF is written as a pair; half a pair is no character.
    if (number && *number >= 0xd800 && *number < 0xdc00) {
      const auto low = take("\\u") ? take_hex() : std::nullopt;
      if (!low || *low < 0xdc00 || *low > 0xdfff) return false;
      number = 0x10000 + ((*number - 0xd800) << 10) + (*low - 0xdc00);
    } else if (number && *number >= 0xdc00 && *number <= 0xdfff) {
      return false;
    }
    if (number) append_utf8(text, *number);
    return number.has_value();
  }

  std::optional<uint32_t> take_hex() {
    constexpr size_t kDigits = 4;
    if (rest_.size() < kDigits) return std::nullopt;
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + kDigits, number, 16);
    if (error != std::errc() || end != rest_.data() + kDigits) return std::nullopt;
    rest_.remove_prefix(kDigits);
    return number;
  }

  size_t take_digits() {
    size_t count = 0;
    while (count < rest_.size() && is_digit(rest_[count]))
      ++count;
    rest_.remove_prefix(count);
    return count;
  }

  bool take_number(JsonValue& value) {
    const char* const begin = rest_.data();
    take("-");
    const bool is_zero = rest_.starts_with('0');
    const size_t whole = take_digits();
    if (whole == 0 || (is_zero && whole > 1)) return false;
    if (take(".") && take_digits() == 0) return false;
    if (take("e") || take("E")) {
      if (!take("+")) take("-");
      if (take_digits() == 0) return false;
    }
    value.value_ = Number{std::string(begin, rest_.data())};
    return true;
  }

  std::string_view rest_;
};

std::optional<JsonValue> JsonValue::parse(std::string_view text) {
  return Parser(text).whole();
}

size_t JsonValue::fault_in(std::string_view text) {
  Parser parser(text);
  (void)parser.whole();
  return text.size() - parser.unread_bytes();
}

std::optional<bool> JsonValue::boolean() const noexcept {
  const bool* const value = std::get_if<bool>(&value_);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<uint64_t> JsonValue::number() const noexcept {
  const Number* const number = std::get_if<Number>(&value_);
  if (number == nullptr) return std::nullopt;
  const char* const end = number->text.data() + number->text.size();
  uint64_t value = 0;
  const auto [stop, error] = std::from_chars(number->text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

const JsonValue* JsonValue::member(std::string_view name) const noexcept {
  const Object* const members = object();
  if (members == nullptr) return nullptr;
  for (const Member& member : *members) {
    if (member.first == name) return &member.second;
  }
  return nullptr;
}

}  // namespace bobbin::wire
