#include "feed/backfills.h"

#include <algorithm>

namespace bobbin::feed {

Backfills::Turn Backfills::take(const void* who, const std::function<void()>& waker) {
  const base::MutexLock lock(mutex_);
  if (kept_.erase(who) != 0) return Turn(this);
  if (running_ < limit_) {
    ++running_;
    return Turn(this);
  }
  const bool queued =
      std::any_of(queue_.begin(), queue_.end(), [who](const Waiting& one) { return one.who == who; });
  if (!queued) queue_.push_back({who, waker});
  return {};
}

void Backfills::forget(const void* who) {
  const base::MutexLock lock(mutex_);
  std::erase_if(queue_, [who](const Waiting& one) { return one.who == who; });
  if (kept_.erase(who) != 0) pass_on();
}

void Backfills::give_back() {
  const base::MutexLock lock(mutex_);
  pass_on();
}

void Backfills::pass_on() {
  if (queue_.empty()) {
    --running_;
    return;
  }
  const Waiting next = std::move(queue_.front());
  queue_.pop_front();
  kept_.insert(next.who);
  next.waker();
}

size_t Backfills::running() const {
  const base::MutexLock lock(mutex_);
  return running_;
}

size_t Backfills::waiting() const {
  const base::MutexLock lock(mutex_);
  return queue_.size();
}

}  // namespace bobbin::feed
