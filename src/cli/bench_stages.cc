#include "cli/bench_stages.h"

#include <utility>

namespace bobbin::cli {

void BenchStages::reach(BenchStage stage) {
  const base::MutexLock lock(mutex_);
  ++reached_[static_cast<size_t>(stage)];
  changed_.notify_all();
}

void BenchStages::fail(base::Error error) {
  const base::MutexLock lock(mutex_);
  if (!error_) error_ = std::move(error);
  changed_.notify_all();
}

bool BenchStages::wait(BenchStage stage, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const base::MutexLock lock(mutex_);
  while (!error_ && reached_[static_cast<size_t>(stage)] < workers_) {
    if (changed_.wait_until(mutex_, deadline) == std::cv_status::timeout) break;
  }
  return error_ || reached_[static_cast<size_t>(stage)] >= workers_;
}

std::optional<base::Error> BenchStages::error() const {
  const base::MutexLock lock(mutex_);
  return error_;
}

}  // namespace bobbin::cli
