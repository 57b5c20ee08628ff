#include "feed/frame_memory.h"

#include <iterator>

namespace bobbin::feed {
namespace {

bool has_room(uint64_t held, uint64_t wanted, uint64_t limit) {
  return held == 0 || (wanted <= limit && held <= limit - wanted);
}

}  // namespace

FrameMemory::Numbers FrameMemory::numbers() const {
  const base::MutexLock lock(mutex_);
  return {held_bytes_, waiting_.size()};
}

std::unique_ptr<FrameMemory::Claim> FrameMemory::claim(std::shared_ptr<Connection> connection, uint64_t bytes,
                                                       std::function<void()> waker) {
  if (connection == nullptr) connection = std::make_shared<Connection>();
  auto claim = std::make_unique<Claim>(shared_from_this(), std::move(connection), bytes, nullptr);
  const base::MutexLock lock(mutex_);
  claim->place_ = waiting_.insert(waiting_.end(), claim.get());
  // Of those before it none can be granted that could not be before.
  (void)grant();
  if (!claim->is_granted_) claim->waker_ = std::move(waker);
  return claim;
}

FrameMemory::Wakers FrameMemory::grant() {
  Wakers wakers;
  ++pass_;
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    Claim& claim = **next;
    Connection& connection = *claim.connection_;
    // Nobody passes another of its connection.
    if (connection.pass_ != pass_ &&
        has_room(connection.held_bytes_, claim.bytes_, limits_.connection_bytes)) {
      if (!has_room(held_bytes_, claim.bytes_, limits_.bytes)) break;
      next = waiting_.erase(next);
      connection.held_bytes_ += claim.bytes_;
      held_bytes_ += claim.bytes_;
      claim.is_granted_ = true;
      if (claim.waker_) wakers.push_back(std::exchange(claim.waker_, nullptr));
    } else {
      connection.pass_ = pass_;
      ++next;
    }
  }
  return wakers;
}

void FrameMemory::let_go(Claim& claim) {
  Wakers wakers;
  {
    const base::MutexLock lock(mutex_);
    if (claim.is_granted_) {
      held_bytes_ -= claim.bytes_;
      claim.connection_->held_bytes_ -= claim.bytes_;
    } else {
      waiting_.erase(claim.place_);
    }
    wakers = grant();
  }
  for (const auto& wake : wakers)
    wake();
}

bool FrameMemory::Claim::is_granted() const {
  const base::MutexLock lock(memory_->mutex_);
  return is_granted_;
}

}  // namespace bobbin::feed
