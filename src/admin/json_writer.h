#pragma once

#include <fmt/format.h>

#include <concepts>
#include <string>
#include <string_view>
#include <utility>

#include "wire/json_text.h"

namespace bobbin::admin {

/// Writes a JSON text, member by member; the commas are its business. What was begun has to be ended.
class JsonWriter {
 public:
  JsonWriter& begin_object() { return begin('{', '}'); }
  JsonWriter& begin_array() { return begin('[', ']'); }
  JsonWriter& end() {
    text_ += closers_.back();
    closers_.pop_back();
    needs_comma_ = true;
    return *this;
  }
  JsonWriter& key(std::string_view name) {
    separate();
    text_ += wire::json_string(name);
    text_ += ':';
    needs_comma_ = false;
    return *this;
  }
  JsonWriter& value(std::string_view text) { return raw(wire::json_string(text)); }
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(bool value) { return raw(value ? "true" : "false"); }
  template <typename Number>
  requires std::integral<Number> JsonWriter& value(Number number) {
    return raw(fmt::format_int(number).c_str());
  }
  /// A value that is JSON already.
  JsonWriter& raw(std::string_view json) {
    separate();
    text_ += json;
    needs_comma_ = true;
    return *this;
  }
  template <typename Value>
  JsonWriter& member(std::string_view name, const Value& written) {
    return key(name).value(written);
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  JsonWriter& begin(char open, char close) {
    separate();
    text_ += open;
    closers_ += close;
    needs_comma_ = false;
    return *this;
  }
  void separate() {
    if (needs_comma_) text_ += ',';
    needs_comma_ = false;
  }

  std::string text_;
  std::string closers_;
  bool needs_comma_ = false;
};

}  // namespace bobbin::admin
