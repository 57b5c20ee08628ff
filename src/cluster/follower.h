#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "net/address.h"
#include "net/loop.h"
#include "net/tls_client.h"
#include "serve/following.h"
#include "serve/served_bucket.h"

namespace bobbin::cluster {

struct FollowerOptions {
  net::Address source;
  std::string user = {};  ///< empty: nobody logs in
  std::string password = {};
  std::string name;  ///< of the connection: the source closes an older one of this name
  std::unique_ptr<net::TlsClientContext> tls = {};  ///< null: what is said is not encrypted
};

/// Every vbucket of the bucket is a copy, and none has only a part of a snapshot.
[[nodiscard]] bool is_whole_copy(const store::Bucket& bucket);

/// A vbucket has something, and is no copy.
[[nodiscard]] bool has_own_documents(const store::Bucket& bucket);

/// Keeps the default bucket a copy of another server's: dials, logs in, takes its change streams, and begins
/// again when the connection has failed, after a pause of a second at most. It has a thread and a loop of its
/// own, so that a full copy holds up no client. What it holds is bounded by the window of flow control, and
/// by a frame.
class Follower {
 public:
  /// The bucket, which is on disk and was started, and `state` live longer.
  Follower(const serve::ServedBucket& bucket, serve::Following& state, const base::Clock& clock,
           FollowerOptions options);
  /// stop().
  ~Follower();
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  /// One thread; once.
  void start();
  /// What has come was applied when this returns, and nothing is applied any more.
  void stop();

 private:
  class Connection;
  using SteadyTime = std::chrono::steady_clock::time_point;

  // All of the loop's thread.
  void tick();
  void dial(SteadyTime now);
  void opened(Connection& connection);
  void failed(std::string why);
  void tell_lag(SteadyTime now);

  const serve::ServedBucket& bucket_;
  serve::Following& state_;
  const base::Clock& clock_;
  const FollowerOptions options_;
  net::Loop loop_;
  std::thread thread_;

  Connection* connection_ = nullptr;  // owned by the loop; null: there is none
  uint64_t attempt_ = 0;              // the one that counts: what an older one says is too late
  bool is_dialling_ = false;
  SteadyTime began_{};  // the attempt
  SteadyTime next_try_{};
  std::chrono::milliseconds pause_;
  SteadyTime lost_{};  // since when there is no connection
  uint64_t lag_at_loss_ms_ = 0;
  std::string last_trouble_;  // was logged
};

}  // namespace bobbin::cluster
