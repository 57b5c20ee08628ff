#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "wire/json_find.h"
#include "wire/json_index.h"
#include "wire/subdoc_path.h"
#include "wire/subdoc_status.h"

namespace bobbin::wire {

/// What one path operation does; their numbers on the wire are in subdoc.h.
enum class SubdocOperation : uint8_t {
  get,
  exists,
  get_count,
  dict_add,
  dict_upsert,
  remove,  ///< DELETE
  replace,
  array_push_last,
  array_push_first,
  array_insert,
  array_add_unique,
  counter,
};

/// One change to a text: the bytes `cut` of the old one are replaced by head, value and tail. Everything else
/// stays as it is.
struct TextEdit {
  JsonRange cut;
  std::string head;        ///< commas, quotes, keys, brackets, or a counter's number
  std::string_view value;  ///< the request's: not copied
  std::string tail;

  [[nodiscard]] size_t inserted_bytes() const { return head.size() + value.size() + tail.size(); }
  [[nodiscard]] size_t size_after(size_t before) const { return before - cut.size() + inserted_bytes(); }
  /// Writes the new text, size_after(old.size()) bytes.
  void write(char* out, std::string_view old) const;
  /// Makes the change in place; `value` must not point into `text`.
  void apply(std::string& text) const;
};

/// What an operation did. Of a failed one only `status` counts.
struct SubdocOutcome {
  SubdocStatus status = SubdocStatus::success;
  JsonRange found;  ///< get: in the document's text
  TextEdit edit;    ///< operations that change something
  /// get_count and counter: the number, in decimal.
  std::array<char, 20> digits{};
  uint8_t digit_count = 0;

  [[nodiscard]] std::string_view number() const { return {digits.data(), digit_count}; }
};

/// Runs one operation at `path` on the text of `document`, which was built and stays as it is. `value` is
/// JSON as the request has it (a number for `counter`), and empty where there is none; for the array
/// operations but add_unique it may be several values with commas between them. With `create_parents`
/// (MKDIR_P), objects on the way that are missing are made, and for push and add_unique the array at their
/// end; never array elements. `scratch` is used to look at the value.
///
/// What an operation answers, and in which order it finds faults, follows subjson, Couchbase's reference, and
/// kv_engine docs/SubDocument.md:
/// - An empty path is the root: fine for get, exists, get_count and the operations that add to an array;
///   value_cannot_insert for the dictionary operations and remove.
/// - The result has at most kMaxJsonLevels levels, or value_too_deep.
/// - insert takes an index up to the array's size, and not [-1]; path_missing beyond.
/// - add_unique takes one scalar, compares bytes, and needs an array of scalars up to where it finds an equal
/// one.
/// - counter adds an int64 that is not 0 to an int64; a missing entry of an object counts as 0. If the sum is
/// no
///   int64: value_cannot_insert.
SubdocOutcome run_operation(SubdocOperation operation, bool create_parents, const JsonIndex& document,
                            std::span<const PathComponent> path, std::string_view value, JsonIndex& scratch);

}  // namespace bobbin::wire
