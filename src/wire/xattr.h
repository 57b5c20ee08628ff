#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/json_index.h"

/// Extended attributes: the block that precedes the body of a value whose datatype has bit 0x04 (kv_engine
/// docs/Document.md, "XAttr"; docs/ExtendedAttributes.md). Four bytes say how long the rest of the block is,
/// in network order like every length; then, for each attribute, four bytes with the length of what follows,
/// the key, a zero, the value (JSON), a zero. Blocks come from peers, so no length in one is believed.

namespace bobbin::wire {

/// Longest key. The documentation says 16; the server takes 15.
inline constexpr size_t kMaxXattrKeyBytes = 15;
/// What system attributes of a document may take together, on top of the limit for body and user attributes
/// (kv_engine: cb::limits::PrivilegedBytes).
inline constexpr size_t kMaxSystemXattrBytes = 1 << 20;

/// A value with datatype bit 0x04, taken apart.
struct XattrValue {
  std::string_view block;  ///< its length field included
  std::string_view body;
};

/// Reads only the block's length. None if it exceeds the value.
std::optional<XattrValue> split_xattr_value(std::string_view value);

struct XattrPair {
  std::string_view key;
  std::string_view value;
};

/// Goes through a block, which has to stay where it is; an empty one is a value without attributes.
class XattrReader {
 public:
  explicit XattrReader(std::string_view block);

  /// The next attribute; none at the end, and where the block does not hold what its lengths say.
  std::optional<XattrPair> next();
  /// Whether the end was one of the second kind. It never becomes false again.
  [[nodiscard]] bool damaged() const { return damaged_; }
  /// Where the attribute that next() gave begins in the block, and where the following one does.
  [[nodiscard]] size_t begin() const { return begin_; }
  [[nodiscard]] size_t end() const { return end_; }

 private:
  std::optional<XattrPair> damage();

  std::string_view block_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool damaged_ = false;
};

/// Everything that has to hold before a block from outside is stored: its lengths, keys that an attribute can
/// have and none twice, values that are JSON. Takes memory for the keys while it runs.
bool check_xattrs(std::string_view block, JsonIndex& scratch);

/// The value of an attribute; none also in a damaged block.
std::optional<std::string_view> find_xattr(std::string_view block, std::string_view key);

/// Bytes that count against kMaxSystemXattrBytes: the system attributes and the length of the block; 0 for an
/// empty block.
size_t system_xattr_bytes(std::string_view block);

/// Sets an attribute, at its place if it is there and else at the end. Neither `key` nor `value` points into
/// `block`, which is sound, or empty.
void set_xattr(std::string& block, std::string_view key, std::string_view value);

/// Removes an attribute if it is there; without any the block becomes empty.
void remove_xattr(std::string& block, std::string_view key);

/// What a deleted document keeps: its system attributes.
void remove_user_xattrs(std::string& block);

// ---- keys in requests

/// System attributes begin with '_'; virtual ones with '$', and are made up by the server.
constexpr bool is_system_xattr(std::string_view key) {
  return key.starts_with('_');
}
constexpr bool is_virtual_xattr(std::string_view key) {
  return key.starts_with('$');
}

/// How many bytes of a path are the attribute's key: up to the first dot or bracket. 0 when that is no key:
/// it is empty or too long, begins with punctuation other than _ and $ or with a control character, is only _
/// or $, or the path is not UTF-8 or has a zero in it.
size_t xattr_key_bytes(std::string_view path);

}  // namespace bobbin::wire
