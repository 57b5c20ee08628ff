#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace bobbin::store {

/// An expiry time as documents keep it: unix seconds, 0 for never.
inline constexpr uint32_t kNeverExpires = 0;
/// Long ago: a document that is stored with it can never be read.
inline constexpr uint32_t kExpiredAtOnce = 1;
/// How long a tombstone is kept: so long who copies changes may be away.
inline constexpr uint32_t kTombstoneAgeS = 3 * 24 * 3600;
/// Up to and including this many seconds a protocol's exptime is relative (memcached doc/protocol.txt,
/// "Expiration times").
inline constexpr int64_t kRelativeExptimeLimitS = 60 * 60 * 24 * 30;

/// A protocol's exptime (any 64-bit number the codec could parse) as absolute time: 0 is never, negative is
/// expired at once, up to 30 days counts from now, everything else is a unix time. What lies beyond the
/// year 2106 is kept as the last second that a document can name.
[[nodiscard]] constexpr uint32_t absolute_expiry(int64_t exptime, base::Now now) noexcept {
  if (exptime == 0) return kNeverExpires;
  if (exptime < 0) return kExpiredAtOnce;
  const int64_t now_s = now.unix_s();
  const int64_t absolute = exptime <= kRelativeExptimeLimitS ? now_s + exptime : exptime;
  if (absolute <= now_s) return kExpiredAtOnce;
  return absolute > int64_t{UINT32_MAX} ? UINT32_MAX : static_cast<uint32_t>(absolute);
}

/// Whether a document with this expiry is gone. It is gone in the second that it names.
[[nodiscard]] constexpr bool is_expired(uint32_t expiry, uint32_t now_s) noexcept {
  return expiry != kNeverExpires && expiry <= now_s;
}

/// When a tombstone of this moment may be forgotten, as it is kept in the place of an expiry.
[[nodiscard]] constexpr uint32_t tombstone_end(uint32_t deleted_s) noexcept {
  return deleted_s < UINT32_MAX - kTombstoneAgeS ? deleted_s + kTombstoneAgeS : UINT32_MAX;
}
[[nodiscard]] constexpr uint32_t deletion_time(uint32_t tombstone_end_s) noexcept {
  return tombstone_end_s > kTombstoneAgeS ? tombstone_end_s - kTombstoneAgeS : 0;
}
/// When a removal that was made elsewhere counts as made: as it was told (0: nobody has), but not later than
/// now, nor so long ago that it would be forgotten at once.
[[nodiscard]] constexpr uint32_t moment_of_removal(uint32_t told_s, uint32_t now_s) noexcept {
  if (told_s == 0) return now_s;
  const uint32_t oldest_s = now_s > kTombstoneAgeS / 2 ? now_s - kTombstoneAgeS / 2 : 0;
  return std::clamp(told_s, oldest_s, now_s);
}

}  // namespace bobbin::store
