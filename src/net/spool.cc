#include "net/spool.h"

#include <cassert>
#include <utility>

#include "net/loop.h"

namespace bobbin::net {

SpoolState::SpoolState(Loop& loop, Connection& owner, size_t high_water_bytes)
    : high_water_bytes_(high_water_bytes), loop_(loop), owner_(&owner) {}

Append SpoolState::append(std::string_view bytes, const base::PinnedBytes* copied, base::PinnedBytes* pinned,
                          const std::function<void()>* waker, bool& first) {
  const size_t size =
      bytes.size() + (copied != nullptr ? copied->size() : 0) + (pinned != nullptr ? pinned->size() : 0);
  const base::MutexLock lock(mutex_);
  if (closed_) return Append::closed;
  if (unwritten_bytes_ > 0 && unwritten_bytes_ + size > high_water_bytes_) {
    if (waker != nullptr) wakers_.push_back(*waker);
    return Append::full;
  }
  waiting_.append(bytes);
  if (copied != nullptr) waiting_.append({copied->bytes().data(), copied->size()});
  if (pinned != nullptr) waiting_.append(std::move(*pinned));
  unwritten_bytes_ += size;
  first = !std::exchange(signalled_, true);
  return Append::accepted;
}

bool SpoolState::resume() {
  const base::MutexLock lock(mutex_);
  if (closed_) return false;
  resumed_ = true;
  return !std::exchange(signalled_, true);
}

size_t SpoolState::unwritten_bytes() const {
  const base::MutexLock lock(mutex_);
  return unwritten_bytes_;
}

bool SpoolState::closed() const {
  const base::MutexLock lock(mutex_);
  return closed_;
}

size_t SpoolState::drain(Output& output) {
  const base::MutexLock lock(mutex_);
  signalled_ = false;
  const size_t size = waiting_.size();
  output.splice(waiting_);
  return size;
}

bool SpoolState::take_resume() {
  const base::MutexLock lock(mutex_);
  signalled_ = false;
  return std::exchange(resumed_, false);
}

void SpoolState::written(size_t n) {
  std::vector<std::function<void()>> wakers;
  {
    const base::MutexLock lock(mutex_);
    assert(n <= unwritten_bytes_);
    unwritten_bytes_ -= n;
    if (unwritten_bytes_ <= high_water_bytes_ / 2) wakers.swap(wakers_);
  }
  for (const auto& wake : wakers)
    wake();
}

void SpoolState::close() {
  owner_ = nullptr;
  std::vector<std::function<void()>> wakers;
  Output dropped;  // freed after the lock: what it pins may be large
  {
    const base::MutexLock lock(mutex_);
    closed_ = true;
    unwritten_bytes_ = 0;
    std::swap(dropped, waiting_);
    wakers.swap(wakers_);
  }
  for (const auto& wake : wakers)
    wake();
}

Append Spool::append_frame(std::string_view bytes, base::PinnedBytes* value,
                           const std::function<void()>* waker) {
  if (state_ == nullptr) return Append::closed;
  // A small value is copied, and let go of out here: freeing it is nothing to do under the lock.
  const bool copy = value != nullptr && value->size() < Output::kCopyBelowBytes;
  bool first = false;
  const Append result = state_->append(bytes, copy ? value : nullptr, copy ? nullptr : value, waker, first);
  if (first) state_->loop().signal(state_);
  if (copy && result == Append::accepted) *value = {};
  return result;
}

void Spool::resume() {
  if (state_ != nullptr && state_->resume()) state_->loop().signal(state_);
}

}  // namespace bobbin::net
