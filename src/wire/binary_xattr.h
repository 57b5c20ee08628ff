#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bobbin::wire {

/// Bytes that are no JSON, as an attribute, or a part of one, keeps them: a JSON string of a prefix and
/// base64 (couchbase/kv_engine: path flag BINARY_VALUE).
[[nodiscard]] std::string encode_binary_value(std::string_view bytes);
/// The bytes; nothing where `json` is no such string.
[[nodiscard]] std::optional<std::string> decode_binary_value(std::string_view json);
/// Some JSON has the prefix somewhere and what follows it, to the end of the string, is not base64.
[[nodiscard]] bool has_broken_binary_value(std::string_view json);

}  // namespace bobbin::wire
