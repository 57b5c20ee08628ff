#pragma once

#include <condition_variable>
#include <cstdint>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "store/bucket.h"

namespace bobbin::store {

struct SweeperOptions {
  /// A round over the vbuckets with expiring documents takes about so long.
  uint32_t round_ms = 60'000;
  /// Steps of a round are at least so far apart.
  uint32_t min_pause_ms = 100;
};

/// One bucket's housekeeping: removes the expired, frees what flushes cut off, runs delayed flushes.
///
/// With start() it has a thread of its own, which sleeps without a timer while there is nothing that expires,
/// no garbage and no pending flush. step() does the same work by hand, for tests; not both at once. The
/// bucket and the clock must outlive it.
class Sweeper {
 public:
  Sweeper(Bucket& bucket, const base::Clock& clock, const SweeperOptions& options = {});
  /// Stops the thread and waits for it, at most one step.
  ~Sweeper();
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;

  void start();

  /// For ever: until the waker calls.
  static constexpr uint64_t kUntilWoken = UINT64_MAX;
  /// One small step. Returns for how many milliseconds there is nothing to do: 0 for more at once,
  /// kUntilWoken for nothing before the bucket calls its waker.
  uint64_t step();
  /// How often the bucket has woken the sweeper. Any thread.
  [[nodiscard]] uint64_t wakes() const;

 private:
  void run();
  void wait_ms(uint64_t milliseconds);

  Bucket& bucket_;
  const base::Clock& clock_;
  const SweeperOptions options_;

  mutable base::Mutex mutex_;
  std::condition_variable_any wake_;
  bool woken_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  uint64_t wakes_ GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace bobbin::store
