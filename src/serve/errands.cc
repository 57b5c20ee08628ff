#include "serve/errands.h"

#include <utility>

namespace bobbin::serve {

bool Errands::post(std::function<void()> errand) {
  if (where_ == Where::caller) {
    errand();
    return true;
  }
  const base::MutexLock lock(mutex_);
  if (ending_.load() || waiting_.size() >= kMaxWaiting) return false;
  waiting_.push_back(std::move(errand));
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  changed_.notify_one();
  return true;
}

void Errands::end() {
  std::thread ended;
  std::deque<std::function<void()>> dropped;
  {
    const base::MutexLock lock(mutex_);
    ending_.store(true);
    ended = std::move(thread_);
    dropped.swap(waiting_);
    changed_.notify_all();
  }
  if (ended.joinable()) ended.join();
}

void Errands::run() {
  for (;;) {
    std::function<void()> errand;
    {
      const base::MutexLock lock(mutex_);
      while (waiting_.empty() && !ending_.load())
        changed_.wait(mutex_);
      if (ending_.load()) return;
      errand = std::move(waiting_.front());
      waiting_.pop_front();
    }
    errand();
  }
}

}  // namespace bobbin::serve
