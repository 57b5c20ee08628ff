#include "wire/json_check.h"

#include <algorithm>
#include <array>

#include "wire/json_tokens.h"

namespace bobbin::wire {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// Takes the digits off the front; false if there are none.
bool take_digits(std::string_view& rest) {
  const size_t before = rest.size();
  while (!rest.empty() && is_digit(rest[0]))
    rest.remove_prefix(1);
  return rest.size() != before;
}

bool take(std::string_view& rest, char c) {
  if (!rest.starts_with(c)) return false;
  rest.remove_prefix(1);
  return true;
}

bool is_number(std::string_view rest) {
  take(rest, '-');
  // A zero is not followed by more digits.
  if (!take(rest, '0') && !take_digits(rest)) return false;
  if (take(rest, '.') && !take_digits(rest)) return false;
  if (take(rest, 'e') || take(rest, 'E')) {
    if (!take(rest, '+')) take(rest, '-');
    if (!take_digits(rest)) return false;
  }
  return rest.empty();
}

/// The escapes within a string; that it ends, is UTF-8 and has no control characters, the index has seen.
bool are_escapes_good(std::string_view inside) {
  while (true) {
    const size_t backslash = inside.find('\\');
    if (backslash == std::string_view::npos) return true;
    inside.remove_prefix(backslash + 1);
    if (inside.empty()) return false;
    const char c = inside[0];
    inside.remove_prefix(1);
    if (c == 'u') {
      if (inside.size() < 4 || !std::all_of(inside.begin(), inside.begin() + 4, is_hex)) return false;
      inside.remove_prefix(4);
    } else if (std::string_view("\"\\/bfnrt").find(c) == std::string_view::npos) {
      return false;
    }
  }
}

bool is_string(std::string_view token) {
  return token.size() >= 2 && token.front() == '"' && token.back() == '"' &&
         are_escapes_good(token.substr(1, token.size() - 2));
}

bool is_scalar(std::string_view token) {
  switch (token[0]) {
    case '"':
      return is_string(token);
    case 't':
      return token == "true";
    case 'f':
      return token == "false";
    case 'n':
      return token == "null";
    default:
      return is_number(token);
  }
}

/// Which of the open containers are objects, a bit each.
class OpenContainers {
 public:
  [[nodiscard]] size_t size() const { return size_; }

  void push(bool object) {
    const uint64_t bit = uint64_t{1} << (size_ % 64);
    uint64_t& word = words_[size_ / 64];
    if (bit == 1) word = 0;
    word = object ? word | bit : word & ~bit;
    ++size_;
  }
  void pop() { --size_; }
  [[nodiscard]] bool in_object() const {
    return size_ != 0 && ((words_[(size_ - 1) / 64] >> ((size_ - 1) % 64)) & 1) != 0;
  }

 private:
  std::array<uint64_t, kMaxCheckedLevels / 64>
      words_;  // not initialised: a word is written before it is read
  size_t size_ = 0;
};

/// Walks over the tokens once, without recursion.
class Walk {
 public:
  Walk(const JsonIndex& index, size_t max_levels)
      : tokens_(index), max_levels_(std::min(max_levels, kMaxCheckedLevels)) {}

  JsonValues run() {
    while (take_value()) {
      if (!take_ends()) return values_;
    }
    return values_;
  }

 private:
  bool stop(JsonVerdict verdict) {
    values_.verdict = verdict;
    return false;
  }

  /// One scalar, or the beginning of a container up to its first scalar; false when that cannot be.
  bool take_value() {
    while (true) {
      if (open_.size() >= max_levels_) {
        return stop(next_ < tokens_.count() ? JsonVerdict::too_deep : JsonVerdict::invalid);
      }
      const char c = tokens_.byte(next_);
      if (c != '{' && c != '[') break;
      ++next_;
      if (open_.size() == 0) values_.has_containers = true;
      if (tokens_.byte(next_) == (c == '{' ? '}' : ']')) {
        ++next_;
        return true;
      }
      open_.push(c == '{');
      if (c == '{' && !take_key()) return false;
    }
    if (next_ == tokens_.count() || !is_scalar(tokens_.scalar(next_))) return stop(JsonVerdict::invalid);
    ++next_;
    return true;
  }

  /// Behind a value: what closes, and the comma before another one; false at the end of the text or when it
  /// is no JSON.
  bool take_ends() {
    while (open_.size() != 0) {
      const char c = tokens_.byte(next_);
      const bool object = open_.in_object();
      ++next_;
      if (c == ',') return !object || take_key();
      if (c != (object ? '}' : ']')) return stop(JsonVerdict::invalid);
      open_.pop();
    }
    ++values_.count;
    if (next_ == tokens_.count()) return stop(JsonVerdict::valid);
    return tokens_.byte(next_++) == ',' || stop(JsonVerdict::invalid);
  }

  bool take_key() {
    if (tokens_.byte(next_) != '"' || !is_string(tokens_.scalar(next_))) return stop(JsonVerdict::invalid);
    if (tokens_.byte(next_ + 1) != ':') return stop(JsonVerdict::invalid);
    next_ += 2;
    return true;
  }

  JsonTokens tokens_;
  size_t max_levels_;
  size_t next_ = 0;
  OpenContainers open_;
  JsonValues values_;
};

}  // namespace

JsonValues check_json_values(std::string_view text, JsonIndex& index, size_t max_levels) {
  if (!index.build(text)) return {};
  return Walk(index, max_levels).run();
}

JsonVerdict check_json(std::string_view text, JsonIndex& index, size_t max_levels) {
  const JsonValues values = check_json_values(text, index, max_levels);
  if (values.verdict == JsonVerdict::valid && values.count != 1) return JsonVerdict::invalid;
  return values.verdict;
}

}  // namespace bobbin::wire
