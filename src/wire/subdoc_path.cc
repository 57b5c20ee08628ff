#include "wire/subdoc_path.h"

#include <algorithm>
#include <charconv>

#include "wire/json_index.h"

namespace bobbin::wire {
namespace {

/// What may follow a backslash; JSON's u is missing, because keys are compared without decoding the path.
bool is_simple_escape(char c) {
  return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
}

/// A key at the beginning of a path, and how far it goes.
struct KeyRun {
  bool good = false;
  size_t bytes = 0;  ///< of the key; what follows is the end, a dot or a bracket
  size_t backticks = 0;
};

KeyRun scan_key(std::string_view rest) {
  KeyRun run;
  bool quoted = false;
  for (size_t i = 0; i < rest.size(); ++i) {
    const char c = rest[i];
    if (c == '"' || static_cast<unsigned char>(c) < 0x20) return run;
    if (c == '\\') {
      if (++i == rest.size() || !is_simple_escape(rest[i])) return run;
      continue;
    }
    if (c == '`') {
      quoted = !quoted;
      ++run.backticks;
    }
    if (quoted) continue;
    if (c == ']') return run;
    if (c == '.' || c == '[') {
      run.good = true;
      run.bytes = i;
      return run;
    }
  }
  run.good = !quoted;
  run.bytes = rest.size();
  return run;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

SubdocStatus SubdocPath::parse(std::string_view text) {
  size_ = 0;
  unescaped_bytes_ = 0;
  if (text.size() > kMaxPathBytes) return SubdocStatus::path_too_big;
  // Its keys can become a part of the document.
  if (!is_ascii(text) && !valid_utf8(text)) return SubdocStatus::path_invalid;
  return parse_rest(text);
}

SubdocStatus SubdocPath::parse_xattr(std::string_view text, size_t key_bytes) {
  size_ = 0;
  unescaped_bytes_ = 0;
  if (text.size() > kMaxPathBytes) return SubdocStatus::path_too_big;
  if (key_bytes == 0 || key_bytes > text.size()) return SubdocStatus::path_invalid;
  if (!is_ascii(text) && !valid_utf8(text)) return SubdocStatus::path_invalid;
  const std::string_view key = text.substr(0, key_bytes);
  // The key becomes that of a JSON object as it is.
  if (key.find_first_of("\"\\`]") != std::string_view::npos) return SubdocStatus::path_invalid;
  if (std::any_of(key.begin(), key.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
    return SubdocStatus::path_invalid;
  const SubdocStatus status = add({.kind = PathComponent::Kind::key, .key = key});
  if (status != SubdocStatus::success) return status;
  std::string_view rest = text.substr(key_bytes);
  if (rest.starts_with('.')) rest.remove_prefix(1);
  return parse_rest(rest);
}

SubdocStatus SubdocPath::parse_rest(std::string_view rest) {
  while (!rest.empty()) {
    SubdocStatus status;
    if (rest[0] == '[') {
      const size_t close = rest.find(']');
      if (close == std::string_view::npos) return SubdocStatus::path_invalid;
      status = add_index(rest.substr(1, close - 1));
      rest.remove_prefix(close + 1);
      // a[0]b is not a path; a[0].b and a[0][1] are.
      if (!rest.empty() && rest[0] != '[' && rest[0] != '.') return SubdocStatus::path_invalid;
    } else {
      const KeyRun run = scan_key(rest);
      if (!run.good) return SubdocStatus::path_invalid;
      status = add_key(rest.substr(0, run.bytes), run.backticks);
      rest.remove_prefix(run.bytes);
    }
    if (status != SubdocStatus::success) return status;
    // A dot at the very end is forgiven, as the reference does.
    if (rest.starts_with('.')) rest.remove_prefix(1);
  }
  return SubdocStatus::success;
}

SubdocStatus SubdocPath::add(const PathComponent& component) {
  if (size_ == components_.size()) return SubdocStatus::path_too_big;
  components_[size_++] = component;
  return SubdocStatus::success;
}

SubdocStatus SubdocPath::add_index(std::string_view digits) {
  if (digits == "-1") return add({.kind = PathComponent::Kind::last, .key = {}});
  uint64_t index = 0;
  const char* const end = digits.data() + digits.size();
  const auto [rest, problem] = std::from_chars(digits.data(), end, index);
  if (problem != std::errc{} || rest != end) return SubdocStatus::path_invalid;
  return add({.kind = PathComponent::Kind::index, .key = {}, .index = index});
}

SubdocStatus SubdocPath::add_key(std::string_view key, size_t backticks) {
  if (key.size() > 1 && key.front() == '`' && key.back() == '`') {
    key = key.substr(1, key.size() - 2);
    backticks -= 2;
  }
  if (backticks != 0) key = without_backticks(key);
  if (key.empty()) return SubdocStatus::path_invalid;
  return add({.kind = PathComponent::Kind::key, .key = key});
}

std::string_view SubdocPath::without_backticks(std::string_view key) {
  // Never more than the path has, so it fits.
  char* const begin = unescaped_.data() + unescaped_bytes_;
  char* out = begin;
  for (size_t i = 0; i < key.size(); ++i) {
    if (key[i] == '`') {
      const bool doubled = i + 1 < key.size() && key[i + 1] == '`';
      if (!doubled) continue;
      ++i;
    }
    *out++ = key[i];
  }
  const auto bytes = static_cast<size_t>(out - begin);
  unescaped_bytes_ += bytes;
  return {begin, bytes};
}

}  // namespace bobbin::wire
