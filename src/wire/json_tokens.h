#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "wire/json_index.h"

namespace bobbin::wire {

/// White space between the tokens of a JSON text (RFC 8259, section 2).
constexpr bool is_json_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// The tokens of an indexed text, by their number. A view: the index has to stay as it is.
class JsonTokens {
 public:
  explicit JsonTokens(const JsonIndex& index) : text_(index.text()), tokens_(index.tokens()) {}

  [[nodiscard]] size_t count() const { return tokens_.size(); }
  [[nodiscard]] size_t position(size_t token) const { return tokens_[token]; }
  /// The token's first byte, 0 when there is none.
  [[nodiscard]] char byte(size_t token) const { return token < count() ? text_[position(token)] : '\0'; }

  /// Where a token that is no container ends: at the next one, less the white space before it.
  [[nodiscard]] size_t scalar_end(size_t token) const {
    size_t end = token + 1 < count() ? position(token + 1) : text_.size();
    while (is_json_space(text_[end - 1]))
      --end;
    return end;
  }

  [[nodiscard]] std::string_view scalar(size_t token) const {
    return text_.substr(position(token), scalar_end(token) - position(token));
  }

  [[nodiscard]] std::string_view text() const { return text_; }

 private:
  std::string_view text_;
  std::span<const uint32_t> tokens_;
};

}  // namespace bobbin::wire
