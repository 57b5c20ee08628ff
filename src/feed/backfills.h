#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <set>
#include <utility>

#include "base/mutex.h"

namespace bobbin::feed {

/// How many streams of a bucket read from its disk at once. The others queue up, and have their turn in that
/// order. Any thread.
class Backfills {
 public:
  /// The right to read, given back when this goes.
  class Turn {
   public:
    Turn() = default;
    Turn(Turn&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    Turn& operator=(Turn&& other) noexcept {
      Turn taken(std::move(other));
      std::swap(of_, taken.of_);
      return *this;
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      if (of_ != nullptr) of_->give_back();
    }
    explicit operator bool() const noexcept { return of_ != nullptr; }

   private:
    friend class Backfills;
    explicit Turn(Backfills* of) : of_(of) {}
    Backfills* of_ = nullptr;
  };

  explicit Backfills(size_t limit) : limit_(limit) {}

  /// A turn, or none: then `who` is in the queue, and `waker` is called once when a turn is kept for it. The
  /// waker must not block or come back here.
  [[nodiscard]] Turn take(const void* who, const std::function<void()>& waker) EXCLUDES(mutex_);
  /// `who` wants none any more.
  void forget(const void* who) EXCLUDES(mutex_);

  [[nodiscard]] size_t running() const EXCLUDES(mutex_);
  [[nodiscard]] size_t waiting() const EXCLUDES(mutex_);

 private:
  struct Waiting {
    const void* who;
    std::function<void()> waker;
  };

  void give_back() EXCLUDES(mutex_);
  void pass_on() REQUIRES(mutex_);

  const size_t limit_;
  mutable base::Mutex mutex_;
  size_t running_ GUARDED_BY(mutex_) = 0;  // with those that are kept
  std::deque<Waiting> queue_ GUARDED_BY(mutex_);
  std::set<const void*> kept_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::feed
