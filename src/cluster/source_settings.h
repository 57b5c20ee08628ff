#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/bucket_settings.h"

namespace bobbin::cluster {

/// What a source's bucket is, as far as it tells in its statistics (`stats config`): each of them may be
/// missing, because the source is an older one or this server's user may not ask. A value; nothing that it
/// has was believed without being looked at.
struct SourceSettings {
  std::optional<std::string> eviction;
  std::optional<std::string> conflicts;
  std::optional<std::string> compression;
  std::optional<std::string> durability_min;
  std::optional<uint64_t> quota_bytes;  ///< not 0
  std::optional<uint32_t> max_ttl_s;
  std::optional<uint32_t> replicas;
  std::optional<bool> flush_enabled;
  std::optional<uint32_t> vbuckets;  ///< of a bucket that is there it is the streams' to see to it

  /// One statistic; what is not known, or cannot be, is passed over.
  void take(std::string_view name, std::string_view value);

  /// Over those of a bucket that is to be made.
  void put_into(serve::BucketSettings& settings) const;
};

/// What became of a source's settings in a copy that is there.
struct SettingsTaken {
  serve::BucketSettings settings;  ///< what the copy's have to be
  std::string changed = {};        ///< for a person, what that changes: "maxTTL 0 to 7"; empty: nothing
  std::string kept = {};           ///< what differs and stays, and why; empty: nothing
};

/// `here` are the copy's; `is_default`: of the default bucket, whose memory and durability are options of its
/// server. `quota_before` is what the source told the last time; 0: nothing yet. Memory follows the source's
/// only when that changes, from what the copy has: otherwise somebody has chosen it here.
[[nodiscard]] SettingsTaken take_settings(const SourceSettings& source, const serve::BucketSettings& here,
                                          bool is_default, uint64_t quota_before);

}  // namespace bobbin::cluster
