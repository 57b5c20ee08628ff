#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/durations.h"
#include "base/mutex.h"
#include "disk/error.h"
#include "disk/in_progress.h"
#include "disk/shard.h"
#include "store/bucket.h"

namespace bobbin::disk {

struct FlusherOptions {
  uint32_t shard = 0;
  uint32_t shards = 1;
  std::chrono::milliseconds linger{200};
  uint64_t commit_bytes = 0;  ///< see PersistenceOptions
  /// Nobody lingers when the bucket has more that is not on disk.
  uint64_t hurry_above_bytes = 32 << 20;
};

struct FlusherStatistics {
  uint64_t commits = 0;
  uint64_t commit_failures = 0;
  uint64_t flushed_items = 0;
  uint64_t flushed_bytes = 0;
  uint64_t last_commit_us = 0;
  uint64_t longest_commit_us = 0;
  uint64_t oldest_dirty_us = 0;
  base::DurationCounts commit_times;
};

/// Brings the changes of one shard's vbuckets to disk, in synced commits, and tells who waits for that.
///
/// It makes passes: takes the vbuckets that changed and their changes, up to `commit_bytes` or one vbucket's
/// more, commits them with their states, and only then reports them to the bucket. The first commit that
/// fails is the last one: the vbuckets refuse changes from then on.
///
/// One thread starts and ends it; the rest is for any thread.
class Flusher {
 public:
  Flusher(store::Bucket& bucket, Shard& shard, const base::Clock& clock, const FlusherOptions& options);
  /// As stop(); what is not on disk is lost. Calls whoever waits.
  ~Flusher();
  Flusher(const Flusher&) = delete;
  Flusher& operator=(const Flusher&) = delete;

  /// Makes the first pass, which makes the vbuckets writable, on the calling thread; then starts its own.
  void start();
  /// Ends the thread after what it is committing.
  void stop();
  /// After stop(), and when nobody changes the bucket: brings the rest to disk, with states that say that
  /// nothing was given out beyond it.
  [[nodiscard]] Result<void> finish();

  struct Waiter {
    uint16_t vbucket = 0;
    uint64_t seqno = 0;  ///< 0: any commit will do
    std::function<void()> waker;
  };
  /// See Persistence::after_commit and after_commit_of.
  void after_commit(Waiter waiter);
  [[nodiscard]] bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }
  [[nodiscard]] std::optional<Error> failure() const;
  /// Of the bucket's dirty bytes, those that no commit will take any more.
  [[nodiscard]] uint64_t stuck_bytes() const noexcept { return stuck_bytes_.load(std::memory_order_relaxed); }
  [[nodiscard]] FlusherStatistics statistics() const;
  [[nodiscard]] const InProgress& in_progress() const noexcept { return in_progress_; }

 private:
  using SteadyClock = std::chrono::steady_clock;

  /// Batches on their way into one commit.
  struct Group {
    std::vector<store::FlushBatch> batches;
    std::vector<Change> changes;
    /// Of these and the two below, one for each batch.
    std::vector<VBucketState> states;
    std::vector<store::PriorsFound> priors;
    /// Keys whose prior is unknown, and whose batch that is.
    std::vector<DocumentKey> unknown;
    std::vector<size_t> unknown_of;
    uint64_t bytes = 0;
    uint64_t items = 0;
    void clear();
  };
  enum class Passed : uint8_t { nothing, something, no_memory };

  [[nodiscard]] static uint64_t microseconds(SteadyClock::duration duration) {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
  }
  void run();
  /// Called by the bucket.
  void wake();
  /// Sleeps until there is something to do; false when the thread is to end.
  [[nodiscard]] bool wait_for_work();
  /// Lets changes gather; false when the thread is to end.
  [[nodiscard]] bool linger();
  /// Writers are near the limit at which they have to wait, or beyond it.
  [[nodiscard]] bool is_much_dirty() const { return bucket_.dirty_bytes() > options_.hurry_above_bytes; }
  [[nodiscard]] bool is_in_hurry() const REQUIRES(mutex_);
  [[nodiscard]] bool is_waited_for() const EXCLUDES(mutex_);
  [[nodiscard]] Passed pass();
  /// Writes the group, and reports it.
  void commit();
  void add_to_commit(store::FlushBatch& batch, base::Now now);
  /// From here on the keys of this batch that nobody knew are needless: they are gone, all or those of a
  /// collection that is dropped.
  void forget_unknown(size_t first, const store::Change& change);
  static void take_priors_off(VBucketState& state, const store::PriorsFound& priors);
  /// Finds out for how many changes of unknown keys the shard has a live document, and corrects the states.
  void count_priors();
  void refuse_changes();
  void fail_with(const Error& error);
  /// After a commit, those who need not wait on. `is_all_done`: all of them; there is nothing to commit, or
  /// never will be.
  void call_waiters(bool is_all_done);
  [[nodiscard]] bool is_to_wait_on(const Waiter& waiter) const;
  /// Calls them at once from here on: there will be no commit.
  void end_waiting();

  store::Bucket& bucket_;
  Shard& shard_;
  const base::Clock& clock_;
  const FlusherOptions options_;

  // The committing thread's.
  Group group_;
  bool closing_ = false;

  mutable base::Mutex mutex_;
  std::condition_variable_any changed_;
  bool armed_ GUARDED_BY(mutex_) = false;
  bool woken_ GUARDED_BY(mutex_) = false;
  bool hurried_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool ended_ GUARDED_BY(mutex_) = false;
  std::vector<Waiter> waiters_ GUARDED_BY(mutex_);
  std::optional<Error> failure_ GUARDED_BY(mutex_);
  FlusherStatistics numbers_ GUARDED_BY(mutex_);
  /// Since when there may be something that is not on disk.
  std::optional<SteadyClock::time_point> dirty_since_ GUARDED_BY(mutex_);

  std::atomic<bool> failed_{false};
  std::atomic<uint64_t> stuck_bytes_{0};
  InProgress in_progress_{1};
  std::thread thread_;
};

}  // namespace bobbin::disk
