#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "feed/backfills.h"

namespace bobbin::feed {

class Producer;

/// What happened to the change streams of a bucket since it was opened. Any thread.
struct StreamTotals {
  std::atomic<uint64_t> items{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> streams{0};    ///< that were granted
  std::atomic<uint64_t> rollbacks{0};  ///< that were refused: the consumer has to go back first
  std::atomic<uint64_t> backfills{0};
  std::atomic<uint64_t> lost_cursors{0};
  std::atomic<uint64_t> noop_kicks{0};  ///< consumers that did not answer
};

/// The producers of a bucket. Any thread; nothing here waits.
class BucketStreams {
 public:
  /// `backfills`: how many streams may read the disk at once.
  explicit BucketStreams(size_t backfills) : backfills_(backfills) {}

  /// There is one of each name: whoever has had that name has to go (Producer::wants_close).
  void enter(const std::shared_ptr<Producer>& producer) EXCLUDES(mutex_);
  void leave(const Producer& producer) EXCLUDES(mutex_);
  /// Those that are there, held while `visit` runs and by no lock.
  void visit(const std::function<void(const Producer&)>& visit) const EXCLUDES(mutex_);
  [[nodiscard]] size_t producers() const EXCLUDES(mutex_);

  [[nodiscard]] Backfills& backfills() noexcept { return backfills_; }
  [[nodiscard]] const Backfills& backfills() const noexcept { return backfills_; }
  [[nodiscard]] StreamTotals& totals() noexcept { return totals_; }
  [[nodiscard]] const StreamTotals& totals() const noexcept { return totals_; }

 private:
  Backfills backfills_;
  StreamTotals totals_;
  mutable base::Mutex mutex_;
  std::vector<std::weak_ptr<Producer>> producers_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::feed
