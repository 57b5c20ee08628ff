#include "admin/worker.h"

#include <utility>

namespace bobbin::admin {

bool Worker::post(std::function<void()> task) {
  {
    const base::MutexLock lock(mutex_);
    if (is_ending_ || waiting_.size() >= kMaxWaiting) return false;
    waiting_.push_back(std::move(task));
  }
  changed_.notify_one();
  return true;
}

void Worker::end() {
  {
    const base::MutexLock lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Worker::run() {
  for (;;) {
    std::function<void()> task;
    {
      const base::MutexLock lock(mutex_);
      while (waiting_.empty() && !is_ending_)
        changed_.wait(mutex_);
      if (waiting_.empty()) return;
      task = std::move(waiting_.front());
      waiting_.pop_front();
    }
    task();
  }
}

}  // namespace bobbin::admin
