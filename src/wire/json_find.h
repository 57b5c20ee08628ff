#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "wire/json_index.h"
#include "wire/subdoc_path.h"

namespace bobbin::wire {

/// Bytes of a text, from `begin` up to but not `end`.
struct JsonRange {
  size_t begin = 0;
  size_t end = 0;

  [[nodiscard]] size_t size() const { return end - begin; }
  [[nodiscard]] std::string_view of(std::string_view text) const { return text.substr(begin, end - begin); }
};

enum class FindState : uint8_t {
  found,
  missing,   ///< the path does not go on from `container`
  mismatch,  ///< the path has a key where the text has an array, or anything below a scalar, ...
  too_deep,  ///< more than kMaxJsonLevels before the value ends
  not_json,
};

/// Where a path leads. Positions are those of the text.
struct JsonPlace {
  FindState state = FindState::not_json;

  /// When found: the value; `kind` is its first byte.
  JsonRange value;
  char kind = '\0';
  size_t entries = 0;  ///< what a container has: elements, or keys
  JsonRange
      entry;  ///< in a container: from the key or the element to the end of the value. Empty at the root
  bool has_comma_before = false;
  size_t comma_before = 0;
  bool has_comma_after = false;
  size_t comma_after = 0;

  /// When missing: how many components lead to the deepest container that is there, and that container.
  size_t matched = 0;
  JsonRange container;  ///< its brackets included
  char container_kind = '\0';
  size_t container_entries = 0;
};

/// Follows `path` through the text of `index`. The text up to the end of the value is taken to be JSON: where
/// it obviously is not, the answer is not_json, and it is never read beyond its end. What comes behind the
/// value is not looked at. The root has to be an object or an array.
///
/// Of two equal keys the first counts. A key of the document equals that of the path when their bytes do,
/// once \uXXXX in the document's is written as UTF-8; other escapes are compared as they stand (subjson does
/// so).
JsonPlace find_json(const JsonIndex& index, std::span<const PathComponent> path);

/// Whether an array has a scalar that equals `value` byte for byte, looking at one element after another.
enum class Membership : uint8_t {
  absent,
  present,
  has_containers,  ///< an element is an object or an array, and none before it was equal
  not_json,
};
/// `array` is the `value` of a place that find_json found in the same index.
Membership find_element(const JsonIndex& index, JsonRange array, std::string_view value);

}  // namespace bobbin::wire
