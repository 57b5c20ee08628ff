#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace bobbin::wire {

/// A JSON text that was read (RFC 8259), for small ones: a file of settings, a request's body. The caller
/// bounds the text; a value takes some forty bytes for each that it holds. Owns everything.
class JsonValue {
 public:
  using Array = std::vector<JsonValue>;
  using Member = std::pair<std::string, JsonValue>;
  /// In the order of the text.
  using Object = std::vector<Member>;

  /// Nesting beyond this is refused.
  static constexpr size_t kMaxDepth = 32;

  /// The whole text, which is one value with nothing but white space around it. Nothing for what is no JSON,
  /// for strings that are not UTF-8, and for an object that has a name twice.
  [[nodiscard]] static std::optional<JsonValue> parse(std::string_view text);
  /// Of a text that is no JSON: about where it stops being that, up to its size.
  [[nodiscard]] static size_t fault_in(std::string_view text);

  [[nodiscard]] bool is_null() const noexcept { return std::holds_alternative<std::nullptr_t>(value_); }
  [[nodiscard]] std::optional<bool> boolean() const noexcept;
  /// Only of a whole number from 0 to 2^64 - 1, written without fraction and exponent.
  [[nodiscard]] std::optional<uint64_t> number() const noexcept;
  // Null when it is something else.
  [[nodiscard]] const std::string* string() const noexcept { return std::get_if<std::string>(&value_); }
  [[nodiscard]] const Array* array() const noexcept { return std::get_if<Array>(&value_); }
  [[nodiscard]] const Object* object() const noexcept { return std::get_if<Object>(&value_); }
  /// Null when this is no object, or has no such member.
  [[nodiscard]] const JsonValue* member(std::string_view name) const noexcept;

 private:
  class Parser;
  /// A number, as it was written.
  struct Number {
    std::string text;
  };

  std::variant<std::nullptr_t, bool, Number, std::string, Array, Object> value_;
};

}  // namespace bobbin::wire
