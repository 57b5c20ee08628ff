#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/mutex.h"
#include "store/persistence_types.h"

namespace bobbin::store {

/// Which vbuckets have changes that no flusher has looked at, and how the flushers are woken.
///
/// A vbucket belongs to shard `number % shards`; each shard has one flusher. Any thread may call anything. A
/// flusher is woken at most once for each time that it armed its waker, and never misses a mark: a writer
/// marks and then looks whether the flusher sleeps, the flusher says that it sleeps and then looks for marks.
class DirtySet {
 public:
  static constexpr uint32_t kMaxVBuckets = 1024;

  DirtySet(uint32_t vbuckets, uint32_t shards);

  [[nodiscard]] uint32_t shards() const noexcept { return shards_; }
  /// Under the vbucket's lock.
  void mark(uint32_t vbucket) noexcept;
  /// After mark, without a lock: wakes the flusher if it sleeps.
  void ring(uint32_t vbucket) noexcept { ring(shard_of(vbucket)); }
  /// Wakes every flusher, also one that lingers; once until each has taken.
  void hurry() noexcept;

  /// Null takes it back: no call is under way once this returns. A waker must not block or call back.
  void set_waker(uint32_t shard, std::function<void()> waker);
  /// True: there is work already, do not sleep. False: the waker is called when there is.
  [[nodiscard]] bool arm(uint32_t shard) noexcept;
  [[nodiscard]] DirtyWork take(uint32_t shard);

 private:
  struct alignas(64) Shard {
    std::atomic<bool> armed{false};
    std::atomic<bool> urgent{false};
    std::array<std::atomic<uint64_t>, kMaxVBuckets / 64> words{};
    base::Mutex mutex;
    std::function<void()> waker GUARDED_BY(mutex);
  };

  [[nodiscard]] Shard& shard_of(uint32_t vbucket) noexcept { return table_[vbucket % shards_]; }
  static void ring(Shard& shard) noexcept;
  static void wake(Shard& shard) noexcept;

  const uint32_t shards_;
  const std::unique_ptr<Shard[]> table_;
};

}  // namespace bobbin::store
