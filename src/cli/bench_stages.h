#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/mutex.h"
#include "base/result.h"

namespace bobbin::cli {

/// What every worker of `bobbin bench` reaches once, in this order.
enum class BenchStage : uint8_t { connected, filled, finished };

/// Where workers report to the thread that waits for them. Any thread.
class BenchStages {
 public:
  explicit BenchStages(size_t workers) : workers_(workers) {}

  void reach(BenchStage stage) EXCLUDES(mutex_);
  /// There is no sense in going on. The first reason is kept.
  void fail(base::Error error) EXCLUDES(mutex_);
  /// Waits until every worker has reached the stage or one has failed, but not longer than `limit`. Whether
  /// there is nothing left to wait for.
  bool wait(BenchStage stage, std::chrono::milliseconds limit) EXCLUDES(mutex_);
  [[nodiscard]] std::optional<base::Error> error() const EXCLUDES(mutex_);

 private:
  const size_t workers_;
  mutable base::Mutex mutex_;
  std::condition_variable_any changed_;
  std::array<size_t, 3> reached_ GUARDED_BY(mutex_){};
  std::optional<base::Error> error_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::cli
