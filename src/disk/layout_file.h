#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "disk/error.h"

namespace bobbin::disk {

/// 1 had keys without a collection in front, 2 a row for each state of a vbucket and no others
/// (state_records.h).
inline constexpr uint32_t kDirectoryFormat = 3;
inline constexpr uint32_t kOldestDirectoryFormat = 2;

/// What a data directory is; the first file to be written and the first to be read.
struct Layout {
  uint32_t format = kDirectoryFormat;
  std::string uuid;  ///< 32 hexadecimal digits
  uint32_t shards = 0;
  uint32_t vbuckets = 0;
  /// False while the shards are being made for the first time: then, and only then, a missing one is no loss.
  bool complete = false;

  friend bool operator==(const Layout&, const Layout&) = default;
};

/// Lines of a name and a value, for people to read, and a checksum over them, because a flipped digit in the
/// number of shards would read as well as the right one.
[[nodiscard]] std::string encode_layout(const Layout& layout);
/// The format is looked at before everything else: a later version may change all but the first two lines.
[[nodiscard]] Result<Layout> decode_layout(std::string_view text, const std::string& path);

/// 32 hexadecimal digits that nobody else has.
[[nodiscard]] std::string new_uuid();
/// The folder of a shard.
[[nodiscard]] std::string shard_path(const std::string& directory, uint32_t number);
/// A folder of a shard is there, or something in its place.
[[nodiscard]] bool has_shards(const std::string& directory);

/// What is written when everything has been closed, and removed when it is opened: the sequence of each
/// shard.
[[nodiscard]] std::string encode_clean_end(const std::vector<uint64_t>& sequences);
/// What to say of a shard that was closed at a sequence and ends before it: no checksum finds that, because a
/// manifest or a log whose end is missing reads like one that ends there.
[[nodiscard]] Error cut_off(const std::string& shard, uint64_t closed_at, uint64_t ends_at);
/// Empty when it is not what encode_clean_end writes: then the end counts as unclean.
[[nodiscard]] std::optional<std::vector<uint64_t>> decode_clean_end(std::string_view text);

}  // namespace bobbin::disk
