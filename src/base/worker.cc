#include "base/worker.h"

#include <utility>

#include "base/thread_name.h"

namespace bobbin::base {

bool Worker::post(std::function<void()> task) {
  if (where_ == Where::caller) {
    task();
    return true;
  }
  const MutexLock lock(mutex_);
  if (ending_.load() || waiting_.size() >= most_waiting_) return false;
  waiting_.push_back(std::move(task));
  if (where_ == Where::thread && !thread_.joinable()) thread_ = std::thread([this] { run(); });
  changed_.notify_one();
  return true;
}

void Worker::end() {
  std::thread ended;
  std::deque<std::function<void()>> dropped;
  {
    const MutexLock lock(mutex_);
    ending_.store(true);
    ended = std::move(thread_);
    if (rest_ == Rest::dropped) dropped.swap(waiting_);
    changed_.notify_all();
  }
  if (ended.joinable()) ended.join();
}

void Worker::run_waiting() {
  std::deque<std::function<void()>> tasks;
  {
    const MutexLock lock(mutex_);
    tasks.swap(waiting_);
  }
  for (const std::function<void()>& task : tasks)
    task();
}

void Worker::run() {
  name_thread("worker");
  for (;;) {
    std::function<void()> task;
    {
      const MutexLock lock(mutex_);
      while (waiting_.empty() && !ending_.load())
        changed_.wait(mutex_);
      if (waiting_.empty()) return;
      task = std::move(waiting_.front());
      waiting_.pop_front();
    }
    task();
  }
}

}  // namespace bobbin::base
