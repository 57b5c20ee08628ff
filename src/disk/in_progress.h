#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bobbin::disk {

/// How many do something at one moment, and how many of them have done so for long.
struct InProgressCounts {
  size_t all = 0;
  size_t slow = 0;
};

/// Who waits for the disk, and since when: a place for each thread, written by that thread alone. Any thread
/// counts.
class InProgress {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit InProgress(size_t places) : since_(places) {}

  /// `now` is after the clock's beginning, as it always is.
  void begin(size_t place, Time now) noexcept {
    since_[place].store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }
  void end(size_t place) noexcept { since_[place].store(kIdle, std::memory_order_relaxed); }

  /// Slow is what began `slow_after` before `now`, or earlier.
  [[nodiscard]] InProgressCounts count(Time now, std::chrono::nanoseconds slow_after) const noexcept {
    InProgressCounts counts;
    for (const auto& place : since_) {
      const int64_t since = place.load(std::memory_order_relaxed);
      if (since == kIdle) continue;
      ++counts.all;
      if (now.time_since_epoch().count() - since >= slow_after.count()) ++counts.slow;
    }
    return counts;
  }

 private:
  static constexpr int64_t kIdle = 0;

  std::vector<std::atomic<int64_t>> since_;  // nanoseconds of the steady clock
};

}  // namespace bobbin::disk
