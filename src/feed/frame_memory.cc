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

std::unique_ptr<FrameMemory::Claim> FrameMemory::claim(std::shared_ptr<Connection> connection,
                                                       std::string_view user, uint64_t bytes,
                                                       std::function<void()> waker) {
  if (connection == nullptr) connection = std::make_shared<Connection>();
  auto claim = std::make_unique<Claim>(shared_from_this(), std::move(connection), bytes, nullptr);
  const base::MutexLock lock(mutex_);
  claim->user_ = user.empty() ? users_.end() : users_.try_emplace(std::string(user)).first;
  if (claim->user_ != users_.end()) ++claim->user_->second.claims;
  claim->place_ = waiting_.insert(waiting_.end(), claim.get());
  // Of those before it none can be granted that could not be before.
  (void)grant();
  if (!claim->is_granted_) claim->waker_ = std::move(waker);
  return claim;
}

bool FrameMemory::has_room_of_its_own(Claim& claim) {
  Connection& connection = *claim.connection_;
  User* const user = claim.user_ == users_.end() ? nullptr : &claim.user_->second;
  // Nobody passes another of its connection, or of its user where that one lacks the user's room.
  if (connection.pass_ == pass_) return false;
  const bool is_behind = user != nullptr && user->pass == pass_;
  if (is_behind || !has_room(connection.held_bytes_, claim.bytes_, limits_.connection_bytes)) {
    connection.pass_ = pass_;
    return false;
  }
  if (user == nullptr || has_room(user->held_bytes, claim.bytes_, limits_.user_bytes())) return true;
  user->pass = pass_;
  connection.pass_ = pass_;
  return false;
}

FrameMemory::Wakers FrameMemory::grant() {
  Wakers wakers;
  ++pass_;
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    Claim& claim = **next;
    if (!has_room_of_its_own(claim)) {
      ++next;
      continue;
    }
    if (!has_room(held_bytes_, claim.bytes_, limits_.bytes)) break;
    next = waiting_.erase(next);
    claim.connection_->held_bytes_ += claim.bytes_;
    if (claim.user_ != users_.end()) claim.user_->second.held_bytes += claim.bytes_;
    held_bytes_ += claim.bytes_;
    claim.is_granted_ = true;
    if (claim.waker_) wakers.push_back(std::exchange(claim.waker_, nullptr));
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
      if (claim.user_ != users_.end()) claim.user_->second.held_bytes -= claim.bytes_;
    } else {
      waiting_.erase(claim.place_);
    }
    if (claim.user_ != users_.end() && --claim.user_->second.claims == 0) users_.erase(claim.user_);
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
