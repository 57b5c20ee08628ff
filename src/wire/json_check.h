#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/json_index.h"

namespace bobbin::wire {

/// The most levels of a text that is called JSON at all, counted as in subdoc_path.h. A limit only because
/// there has to be one: checking takes a bit a level, and never recursion.
inline constexpr size_t kMaxCheckedLevels = 16384;

enum class JsonVerdict : uint8_t {
  valid,
  invalid,
  too_deep,  ///< it has more levels than were allowed; what comes after that was not looked at
};

/// Whether `text` is one JSON value (RFC 8259), of any type, white space around it or not. Strings have to be
/// UTF-8; an escaped surrogate without its pair is let through, as in the RFC. `index` is left with the
/// tokens of `text`. At most kMaxCheckedLevels are allowed. Costs about a nanosecond for each byte or two.
JsonVerdict check_json(std::string_view text, JsonIndex& index, size_t max_levels = kMaxCheckedLevels);

struct JsonValues {
  JsonVerdict verdict = JsonVerdict::invalid;
  size_t count = 0;             ///< at least 1 when valid
  bool has_containers = false;  ///< one of them is an object or an array
};

/// Whether `text` is what can stand between the brackets of an array: one JSON value, or several with commas
/// between them; not nothing. The values themselves are at level 1.
JsonValues check_json_values(std::string_view text, JsonIndex& index, size_t max_levels = kMaxCheckedLevels);

}  // namespace bobbin::wire
