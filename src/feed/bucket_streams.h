#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "feed/backfills.h"
#include "feed/holdings.h"

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
  std::atomic<uint64_t> too_slow{0};    ///< streams that stood still and held what others needed
};

/// The producers of a bucket. Any thread; nothing here waits.
class BucketStreams {
 public:
  /// Readers that may be open for each that may be in action: those of clients that take nothing stay open.
  static constexpr uint64_t kOpenReaders = 4;

  /// `backfills`: how many streams may read the disk at once. `quota_bytes`: the bucket's; any thread.
  /// `patience`: how long a client may take nothing while others need what its streams hold.
  BucketStreams(size_t backfills, const std::function<uint64_t()>& quota_bytes,
                std::chrono::milliseconds patience)
      : backfills_(backfills),
        changes_([quota_bytes] { return quota_bytes() / 8; }, patience),
        readers_([backfills] { return kOpenReaders * backfills; }, patience) {}

  /// There is one of each name: whoever has had that name has to go (Producer::wants_close).
  void enter(const std::shared_ptr<Producer>& producer) EXCLUDES(mutex_);
  void leave(const Producer& producer) EXCLUDES(mutex_);
  /// Those that are there, held while `visit` runs and by no lock.
  void visit(const std::function<void(const Producer&)>& visit) const EXCLUDES(mutex_);
  [[nodiscard]] size_t producers() const EXCLUDES(mutex_);

  [[nodiscard]] Backfills& backfills() noexcept { return backfills_; }
  [[nodiscard]] const Backfills& backfills() const noexcept { return backfills_; }
  /// Bytes of changes that streams have taken from the log and not sent: an eighth of the bucket's quota, and
  /// what one stream takes at once.
  [[nodiscard]] Holdings& changes() noexcept { return changes_; }
  [[nodiscard]] const Holdings& changes() const noexcept { return changes_; }
  /// Readers of the disk that are open, each of which keeps a moment of it.
  [[nodiscard]] Holdings& readers() noexcept { return readers_; }
  [[nodiscard]] const Holdings& readers() const noexcept { return readers_; }
  [[nodiscard]] StreamTotals& totals() noexcept { return totals_; }
  [[nodiscard]] const StreamTotals& totals() const noexcept { return totals_; }

 private:
  Backfills backfills_;
  Holdings changes_;
  Holdings readers_;
  StreamTotals totals_;
  mutable base::Mutex mutex_;
  std::vector<std::weak_ptr<Producer>> producers_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::feed
