#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "net/spool.h"

namespace bobbin::serve {

/// The connections that have selected a bucket which may be removed. Any thread; only evict() waits, for
/// loops, and no loop waits for it. Shared by the bucket and its guests, because a guest lets go of the
/// bucket before it says that it has left.
class BucketGuests {
 public:
  /// A number for leave(), never 0; or 0: the bucket is being removed. The spool is resumed when the guest
  /// has to leave.
  [[nodiscard]] uint64_t enter(net::Spool spool) {
    const std::lock_guard lock(mutex_);
    if (is_evicting()) return 0;
    spools_.emplace(++last_, std::move(spool));
    return last_;
  }
  /// Having let go of the bucket.
  void leave(uint64_t guest) {
    const std::lock_guard lock(mutex_);
    spools_.erase(guest);
    if (spools_.empty()) left_.notify_all();
  }
  [[nodiscard]] size_t size() const {
    const std::lock_guard lock(mutex_);
    return spools_.size();
  }
  /// Cheap: what a guest asks when its spool was resumed.
  [[nodiscard]] bool is_evicting() const noexcept { return is_evicting_.load(std::memory_order_acquire); }
  /// Nobody comes in any more; returns when all have left.
  void evict() {
    std::unique_lock lock(mutex_);
    is_evicting_.store(true, std::memory_order_release);
    for (auto& [number, spool] : spools_)
      spool.resume();
    left_.wait(lock, [this] { return spools_.empty(); });
  }

 private:
  std::atomic<bool> is_evicting_{false};
  mutable std::mutex mutex_;
  std::condition_variable left_;
  std::unordered_map<uint64_t, net::Spool> spools_;  // by number
  uint64_t last_ = 0;
};

}  // namespace bobbin::serve
