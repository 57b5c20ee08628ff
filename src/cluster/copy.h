#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "cluster/source_link.h"
#include "disk/persistence.h"
#include "serve/following.h"
#include "serve/served_bucket.h"

namespace bobbin::cluster {

/// Why a bucket that the source does not list is not followed.
inline constexpr std::string_view kNotListed =
    "the source has no such bucket, or none that it lets this server's user into";

/// A file beside what the bucket has on disk, which says that all that its source had at some moment is
/// there: an empty vbucket does not show whether it was copied. Calls wait for the disk.
class CopiedMark {
 public:
  explicit CopiedMark(const disk::Persistence& disk);
  [[nodiscard]] bool is_set() const;
  /// What goes wrong is logged.
  void set() const;
  void remove() const;

 private:
  const std::string path_;
};

/// Keeps one bucket a copy of the source's of the same name, by the source's change streams, over a
/// connection of its own. All on the thread of the follower's loop.
///
/// What it holds is bounded by the window of flow control, and by a frame.
class Copy final : private SourceLink::Owner {
 public:
  /// Who follows, and which of its buckets. All that is referred to lives longer.
  struct Place {
    net::Loop& loop;
    const base::Clock& clock;
    const SourceOptions& source;
    const serve::Following& following;
  };
  /// The bucket is on disk and was started.
  Copy(Place place, std::shared_ptr<serve::ServedBucket> bucket,
       std::shared_ptr<serve::FollowedBucket> state);

  /// Every few tens of milliseconds, until let_go().
  void tick(SteadyTime now);
  [[nodiscard]] serve::FollowedBucket& state() const noexcept { return *state_; }
  /// Closes the connection, and lets go of the bucket; the last of it may go with the connection, a little
  /// later.
  void let_go();
  [[nodiscard]] bool has_let_go() const noexcept { return bucket_ == nullptr; }
  /// And nothing here holds the bucket.
  [[nodiscard]] bool has_gone() const noexcept { return has_let_go() && holders_ == 0; }
  /// And, after some milliseconds, nothing refers to this any more.
  [[nodiscard]] bool is_over() const noexcept { return has_gone() && link_.is_over(); }

 private:
  class Streams;

  [[nodiscard]] std::string agent() const;
  [[nodiscard]] std::unique_ptr<Talk> new_talk() override;
  void connecting() override { state_->connecting(); }
  void failed(std::string why) override;
  void streaming();
  void tell_lag(SteadyTime now);
  void set_mark();
  void drop_mark_of_part();

  const Place place_;
  std::shared_ptr<serve::ServedBucket> bucket_;  // null: it was let go
  uint32_t holders_ = 0;                         // connections that have begun, and hold it
  const std::shared_ptr<serve::FollowedBucket> state_;
  const CopiedMark mark_;
  bool is_marked_;
  std::vector<uint64_t>
      whole_at_;  // by vbucket, what has to be on disk before it is marked; empty: not known
  SourceLink link_;
  SteadyTime lost_;  // since when there is no connection
  uint64_t lag_at_loss_ms_ = 0;
  std::string last_trouble_;  // was logged
};

}  // namespace bobbin::cluster
