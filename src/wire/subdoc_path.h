#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "wire/subdoc_status.h"

namespace bobbin::wire {

/// Longest path, in bytes; a request with a longer one is refused as a whole (kv_engine docs/SubDocument.md).
inline constexpr size_t kMaxPathBytes = 1024;
/// Levels of a document: the root is level 1, what it contains level 2, a number or a key counts as well.
inline constexpr size_t kMaxJsonLevels = 32;
/// Each component leads one level down.
inline constexpr size_t kMaxPathComponents = kMaxJsonLevels - 1;

/// One step of a path: into an object by its key, or into an array by its index.
struct PathComponent {
  enum class Kind : uint8_t { key, index, last };  ///< last: [-1], whatever the array's size
  Kind kind = Kind::key;
  std::string_view key;  ///< as it stands in a JSON text, JSON's escapes included; without its quotes
  uint64_t index = 0;

  [[nodiscard]] bool is_key() const { return kind == Kind::key; }
};

/// A parsed path: `pDistributors[1].dAdded[-1]`, keys and indexes, the root first. Keys are separated by
/// dots; backticks take the meaning from . [ ] between them, and two of them in a row within are one. Keys
/// are written as in JSON (a quote is \"), except that \u is not understood. No path means the root.
///
/// Neither copied nor moved: its views point into the path that was parsed and into itself.
class SubdocPath {
 public:
  SubdocPath() = default;
  SubdocPath(const SubdocPath&) = delete;
  SubdocPath& operator=(const SubdocPath&) = delete;

  /// Takes `text` apart, which has to live as long as this. success, path_invalid or path_too_big.
  SubdocStatus parse(std::string_view text);

  /// The same, for a path whose first component is the key of an extended attribute: that ends at the first
  /// dot or bracket and knows no backticks. `key_bytes` as from check_xattr_path (xattr.h).
  SubdocStatus parse_xattr(std::string_view text, size_t key_bytes);

  [[nodiscard]] std::span<const PathComponent> components() const { return {components_.data(), size_}; }

 private:
  SubdocStatus parse_rest(std::string_view rest);
  SubdocStatus add(const PathComponent& component);
  SubdocStatus add_index(std::string_view digits);
  SubdocStatus add_key(std::string_view key, size_t backticks);
  std::string_view without_backticks(std::string_view key);

  std::array<PathComponent, kMaxPathComponents> components_;
  size_t size_ = 0;
  std::array<char, kMaxPathBytes> unescaped_;  // not initialised: only what is below unescaped_bytes_ is read
  size_t unescaped_bytes_ = 0;
};

}  // namespace bobbin::wire
