#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "cluster/copy.h"
#include "cluster/scout.h"
#include "cluster/source_link.h"
#include "cluster/unmade.h"
#include "net/loop.h"
#include "serve/buckets.h"
#include "serve/following.h"

namespace bobbin::cluster {

struct FollowerOptions {
  SourceOptions source;
  std::vector<std::string> buckets =
      {};  ///< those to be copies; empty: all that the source's user may select
};

/// What the vbuckets of the buckets on disk are, which were opened and not started: copies that are kept so,
/// or, where nobody is followed (`following` is null), the server's own from now on. `names` as
/// FollowerOptions::buckets.
void settle_copies(const serve::Buckets& buckets, serve::Following* following,
                   const std::vector<std::string>& names, base::Now now);

/// Keeps buckets copies of another server's: asks it which it has, makes those that are missing here, has a
/// Copy for each, and takes over what is changed of their settings. A bucket that the source has no more
/// stays as it is, until somebody removes it here.
///
/// It has a thread and a loop of its own, so that full copies hold up no client; what waits for the disk (a
/// bucket that is made, the file of a manifest) holds up the other copies.
class Follower final : private Scout::Owner, private SourceLink::Owner {
 public:
  /// Buckets, which were started, and `following`, of which settle_copies() was told, live longer.
  Follower(serve::Buckets& buckets, serve::Following& following, const base::Clock& clock,
           FollowerOptions options);
  /// stop().
  ~Follower() override;
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  /// One thread; once.
  void start();
  /// What has come was applied when this returns, and nothing is applied any more.
  void stop();

 private:
  // All of the loop's thread.
  void tick();
  [[nodiscard]] std::vector<std::string> listed(const std::vector<std::string>& names) override;
  void described(const SourceBucket& bucket) override;
  void not_described(const std::string& name, std::string why) override { cannot(name, std::move(why)); }
  [[nodiscard]] std::unique_ptr<Talk> new_talk() override;
  void connecting() override {}
  void failed(std::string why) override;
  void tell_of_vanished(const std::vector<std::string>& names);
  void let_go_of_dismissed();
  [[nodiscard]] bool is_due(const std::string& name, SteadyTime now);
  void take_settings(const SourceBucket& bucket, serve::FollowedBucket& state);
  [[nodiscard]] bool make(const SourceBucket& bucket);
  void cannot_make(const std::string& name, const serve::BucketError& error);
  void cannot(std::string_view name, std::string why);
  void add(std::shared_ptr<serve::ServedBucket> bucket, std::shared_ptr<serve::FollowedBucket> state);

  /// What the source has told of a bucket that is here.
  struct Known {
    uint64_t quota_bytes = 0;  // 0: it has not
    SteadyTime asked_at{};
  };

  serve::Buckets& buckets_;
  serve::Following& following_;
  const base::Clock& clock_;
  const FollowerOptions options_;
  // As many as there are buckets here, and for a moment those of which there was one; they outlive the loop.
  std::vector<std::unique_ptr<Copy>> copies_;
  std::map<std::string, Known, std::less<>> known_;  // as many
  Unmade unmade_;                                    // of those that the source has listed last
  SourceLink scouting_;
  net::Loop loop_;
  std::thread thread_;
};

}  // namespace bobbin::cluster
