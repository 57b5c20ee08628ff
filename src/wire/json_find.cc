#include "wire/json_find.h"

#include <algorithm>
#include <array>
#include <optional>

#include "wire/json_tokens.h"

namespace bobbin::wire {
namespace {

std::optional<uint32_t> read_hex4(std::string_view digits) {
  if (digits.size() < 4) return std::nullopt;
  uint32_t value = 0;
  for (const char c : digits.substr(0, 4)) {
    const bool decimal = c >= '0' && c <= '9';
    const char lower = static_cast<char>(c | 0x20);
    if (!decimal && (lower < 'a' || lower > 'f')) return std::nullopt;
    value = value * 16 + static_cast<uint32_t>(decimal ? c - '0' : lower - 'a' + 10);
  }
  return value;
}

/// Writes a code point of a JSON escape as UTF-8; answers how many bytes.
size_t put_utf8(char* out, uint32_t point) {
  if (point < 0x80) {
    out[0] = static_cast<char>(point);
    return 1;
  }
  const size_t bytes = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  static constexpr std::array<uint8_t, 5> kLead = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = bytes - 1; i > 0; --i) {
    out[i] = static_cast<char>(0x80 | (point & 0x3f));
    point >>= 6;
  }
  out[0] = static_cast<char>(kLead[bytes] | point);
  return bytes;
}

/// One \uXXXX, or the two of a surrogate pair, off the front of `rest`, which begins behind the first "\u".
/// None for NUL and for half a pair: no path can name such a key.
std::optional<uint32_t> take_code_point(std::string_view& rest) {
  const std::optional<uint32_t> first = read_hex4(rest);
  if (!first || *first == 0 || (*first >= 0xdc00 && *first <= 0xdfff)) return std::nullopt;
  rest.remove_prefix(4);
  if (*first < 0xd800 || *first > 0xdfff) return first;
  if (!rest.starts_with("\\u")) return std::nullopt;
  const std::optional<uint32_t> second = read_hex4(rest.substr(2));
  if (!second || *second < 0xdc00 || *second > 0xdfff) return std::nullopt;
  rest.remove_prefix(6);
  return 0x10000 + ((*first & 0x3ff) << 10) + (*second & 0x3ff);
}

/// Compares a key of the document, given without its quotes, that has a backslash in it.
bool equals_escaped(std::string_view in_document, std::string_view wanted) {
  while (!in_document.empty()) {
    if (in_document.starts_with("\\u")) {
      in_document.remove_prefix(2);
      const std::optional<uint32_t> point = take_code_point(in_document);
      if (!point) return false;
      std::array<char, 4> utf8;
      const std::string_view bytes(utf8.data(), put_utf8(utf8.data(), *point));
      if (!wanted.starts_with(bytes)) return false;
      wanted.remove_prefix(bytes.size());
      continue;
    }
    // Another escape is two bytes, both of them compared: what follows a backslash begins no \u.
    const size_t bytes = in_document[0] == '\\' ? 2 : 1;
    const std::string_view piece = in_document.substr(0, bytes);
    if (!wanted.starts_with(piece)) return false;
    wanted.remove_prefix(piece.size());
    in_document.remove_prefix(piece.size());
  }
  return wanted.empty();
}

/// A value and what is known of it once it was skipped.
struct Span {
  FindState state = FindState::found;
  size_t next = 0;  ///< the token behind it
  size_t end = 0;  ///< of a container: behind its closing bracket. 0 for a scalar, whose end is seldom wanted
  size_t entries = 0;
};

class Finder {
 public:
  explicit Finder(const JsonIndex& index) : tokens_(index) {}

  JsonPlace find(std::span<const PathComponent> path) {
    size_t value = 0;  // a token
    const char root = tokens_.byte(0);
    if (root != '{' && root != '[') return place_;
    for (size_t matched = 0; matched < path.size(); ++matched) {
      level_ = matched + 1;
      place_.matched = matched;
      const FindState state = enter(value, path[matched]);
      if (state != FindState::found) return failed(state);
    }
    level_ = path.size() + 1;
    const Span span = skip(value);
    if (span.state != FindState::found) return failed(span.state);
    place_.state = FindState::found;
    place_.value = {tokens_.position(value), span.end != 0 ? span.end : tokens_.scalar_end(value)};
    place_.kind = tokens_.byte(value);
    place_.entries = span.entries;
    place_.entry.end = place_.entry.begin == 0 ? 0 : place_.value.end;
    place_.has_comma_after = !path.empty() && tokens_.byte(span.next) == ',';
    if (place_.has_comma_after) place_.comma_after = tokens_.position(span.next);
    return place_;
  }

  Membership find_element(JsonRange array, std::string_view wanted, size_t token) {
    level_ = 1;
    for (++token; tokens_.byte(token) != ']'; ++token) {
      const char c = tokens_.byte(token);
      if (token >= tokens_.count() || tokens_.position(token) >= array.end) return Membership::not_json;
      if (c == ',') continue;
      if (c == '{' || c == '[') return Membership::has_containers;
      if (tokens_.scalar(token) == wanted) return Membership::present;
    }
    return Membership::absent;
  }

 private:
  JsonPlace failed(FindState state) {
    place_.state = state;
    return place_;
  }

  /// From the token of a container, at level_, to that of the entry that `component` names.
  FindState enter(size_t& value, const PathComponent& component) {
    const char open = tokens_.byte(value);
    if (open != '{' && open != '[') return FindState::mismatch;
    if (component.is_key() != (open == '{')) return FindState::mismatch;
    return open == '{' ? enter_object(value, component.key) : enter_array(value, component);
  }

  FindState enter_object(size_t& value, std::string_view wanted) {
    const size_t open = value;
    size_t token = open + 1;
    size_t entries = 0;
    bool has_comma = false;
    if (tokens_.byte(token) == '}') return missing(open, token, 0);
    while (true) {
      if (tokens_.byte(token) != '"' || tokens_.byte(token + 1) != ':') return FindState::not_json;
      if (level_ >= kMaxJsonLevels) return FindState::too_deep;
      if (equals(token, wanted)) {
        note_entry(token, has_comma);
        value = token + 2;
        return FindState::found;
      }
      const FindState state = step(token, token + 2, '}');
      if (state == FindState::missing) return missing(open, token, entries + 1);
      if (state != FindState::found) return state;
      ++entries;
      has_comma = true;
    }
  }

  FindState enter_array(size_t& value, const PathComponent& component) {
    const size_t open = value;
    const bool wants_last = component.kind == PathComponent::Kind::last;
    size_t token = open + 1;
    size_t entries = 0;
    if (tokens_.byte(token) == ']') return missing(open, token, 0);
    while (true) {
      const size_t element = token;
      if (level_ >= kMaxJsonLevels) return FindState::too_deep;
      FindState state = FindState::missing;
      if (wants_last || entries != component.index) state = step(token, token, ']');
      if (state != FindState::missing && state != FindState::found) return state;
      // Without a step the element is the one at the index; with one and no comma behind it is the last.
      const bool at_index = token == element;
      if (at_index || (wants_last && state == FindState::missing)) {
        note_entry(element, entries != 0);
        value = element;
        return FindState::found;
      }
      ++entries;
      if (state == FindState::missing) return missing(open, token, entries);
    }
  }

  /// Over the value at `value` and the comma behind it, to the next entry in `token`. missing when `close` is
  /// there instead; then `token` is that.
  FindState step(size_t& token, size_t value, char close) {
    ++level_;
    const Span span = skip(value);
    --level_;
    if (span.state != FindState::found) return span.state;
    const char c = tokens_.byte(span.next);
    token = span.next + (c == ',' ? 1 : 0);
    if (c == ',') return FindState::found;
    return c == close ? FindState::missing : FindState::not_json;
  }

  /// Over the value that begins with `token`, whose level is level_.
  [[nodiscard]] Span skip(size_t token) const {
    const char first = tokens_.byte(token);
    if (token >= tokens_.count() || first == ',' || first == ':' || first == '}' || first == ']')
      return {.state = FindState::not_json};
    if (first != '{' && first != '[') return {.next = token + 1};
    size_t commas = 0;
    const char second = tokens_.byte(token + 1);
    const bool empty = second == '}' || second == ']';
    size_t depth = 1;  // containers that are open; what lies in them is at level_ + depth
    while (++token < tokens_.count()) {
      const char c = tokens_.byte(token);
      if (c == '}' || c == ']') {
        if (--depth == 0)
          return {.next = token + 1, .end = tokens_.position(token) + 1, .entries = empty ? 0 : commas + 1};
        continue;
      }
      if (level_ + depth > kMaxJsonLevels) return {.state = FindState::too_deep};
      if (c == '{' || c == '[') {
        ++depth;
      } else if (c == ',' && depth == 1) {
        ++commas;
      }
    }
    return {.state = FindState::not_json};
  }

  /// The component's entry begins with `token`, a key or an element.
  void note_entry(size_t token, bool has_comma) {
    place_.entry.begin = tokens_.position(token);
    place_.has_comma_before = has_comma;
    place_.comma_before = has_comma ? tokens_.position(token - 1) : 0;
  }

  FindState missing(size_t open, size_t close, size_t entries) {
    place_.container = {tokens_.position(open), tokens_.position(close) + 1};
    place_.container_kind = tokens_.byte(open);
    place_.container_entries = entries;
    return FindState::missing;
  }

  [[nodiscard]] bool equals(size_t token, std::string_view wanted) const {
    const size_t begin = tokens_.position(token) + 1;
    const std::string_view rest = tokens_.text().substr(begin);
    // The usual case, without looking for the key's end: no path has a quote in it without a backslash
    // before.
    if (rest.size() > wanted.size() && rest[wanted.size()] == '"' && rest.starts_with(wanted)) return true;
    const std::string_view key = rest.substr(0, tokens_.scalar_end(token) - begin - 1);
    return key.find("\\u") != std::string_view::npos && equals_escaped(key, wanted);
  }

  JsonTokens tokens_;
  size_t level_ = 1;  ///< of the container or value at hand
  JsonPlace place_;
};

}  // namespace

JsonPlace find_json(const JsonIndex& index, std::span<const PathComponent> path) {
  return Finder(index).find(path);
}

Membership find_element(const JsonIndex& index, JsonRange array, std::string_view value) {
  const std::span<const uint32_t> tokens = index.tokens();
  const auto token = std::lower_bound(tokens.begin(), tokens.end(), array.begin);
  if (token == tokens.end()) return Membership::not_json;
  return Finder(index).find_element(array, value, static_cast<size_t>(token - tokens.begin()));
}

}  // namespace bobbin::wire
