#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

#include "net/spool.h"

namespace bobbin::serve {

/// The connections that have selected a bucket which may be removed. Any thread; only evict() waits, for
/// loops, and no loop waits for it. Shared by the bucket and its guests, because a guest lets go of the
/// bucket before it says that it has left.
class BucketGuests {
 public:
  /// False: the bucket is being removed. The spool is resumed when the guest has to leave.
  [[nodiscard]] bool enter(net::Spool spool) {
    const std::lock_guard lock(mutex_);
    if (is_evicting()) return false;
    if (spools_.size() >= sweep_at_) {
      std::erase_if(spools_, [](const net::Spool& guest) { return guest.closed(); });
      sweep_at_ = std::max<size_t>(64, 2 * spools_.size());
    }
    spools_.push_back(std::move(spool));
    ++count_;
    return true;
  }
  /// Having let go of the bucket.
  void leave() {
    const std::lock_guard lock(mutex_);
    if (--count_ == 0) left_.notify_all();
  }
  /// Cheap: what a guest asks when its spool was resumed.
  [[nodiscard]] bool is_evicting() const noexcept { return is_evicting_.load(std::memory_order_acquire); }
  /// Nobody comes in any more; returns when all have left.
  void evict() {
    std::unique_lock lock(mutex_);
    is_evicting_.store(true, std::memory_order_release);
    for (net::Spool& guest : spools_)
      guest.resume();
    left_.wait(lock, [this] { return count_ == 0; });
    spools_.clear();
  }

 private:
  std::atomic<bool> is_evicting_{false};
  std::mutex mutex_;
  std::condition_variable left_;
  std::vector<net::Spool> spools_;  // with some that have closed
  size_t sweep_at_ = 64;
  size_t count_ = 0;
};

}  // namespace bobbin::serve
