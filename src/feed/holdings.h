#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <utility>

#include "base/mutex.h"

namespace bobbin::feed {

/// When the client of some streams has last taken something. Written by its producer's steps.
class Progress {
 public:
  using Time = std::chrono::steady_clock::time_point;
  void made(Time now) noexcept { at_.store(now, std::memory_order_relaxed); }
  [[nodiscard]] Time at() const noexcept { return at_.load(std::memory_order_relaxed); }
  /// It has more to take than it takes. Streams that wait for each other send nothing either.
  void set_stuck(bool stuck, Time now) noexcept {
    if (stuck && !stuck_.exchange(true, std::memory_order_relaxed)) made(now);
    if (!stuck) stuck_.store(false, std::memory_order_relaxed);
  }
  [[nodiscard]] bool is_stuck() const noexcept { return stuck_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> stuck_{false};
  std::atomic<Time> at_{Time()};
};

/// What the streams of a bucket hold together of something that is scarce: bytes of changes that were taken
/// and not sent, readers that are open. Up to a limit anybody may take; beyond it one waits, and who holds
/// some while its client takes nothing is asked to give it up. So what stands still lasts as long as nobody
/// needs it. Any thread.
class Holdings {
 private:
  struct Entry {
    uint64_t amount = 0;
    Progress::Time taken;
    std::shared_ptr<const Progress> progress;
    std::function<void()> waker;
    std::atomic<bool> asked{false};
  };
  using Entries = std::list<Entry>;

 public:
  /// What one stream holds, given back when this goes. Not for two threads at once.
  class Hold {
   public:
    Hold(Holdings& of, Entries::iterator entry) : of_(of), entry_(entry) {}
    ~Hold() { of_.give_back(entry_); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

    /// It was taken before its size was known.
    void set(uint64_t amount) { of_.set(*entry_, amount); }
    /// Others wait for it, and its client has taken nothing for too long.
    [[nodiscard]] bool is_asked_for() const noexcept { return entry_->asked.load(); }

   private:
    Holdings& of_;
    const Entries::iterator entry_;
  };

  /// `limit`: any thread, cheap. `patience`: how long a client may take nothing when others need something.
  Holdings(std::function<uint64_t()> limit, std::chrono::milliseconds patience)
      : limit_(std::move(limit)), patience_(patience) {}

  /// Null: the limit is reached, try again in a while. `waker` is called once if this is asked for; it must
  /// not block.
  [[nodiscard]] std::unique_ptr<Hold> take(uint64_t amount, std::shared_ptr<const Progress> progress,
                                           std::function<void()> waker) EXCLUDES(mutex_);
  [[nodiscard]] uint64_t held() const EXCLUDES(mutex_);
  [[nodiscard]] uint64_t limit() const { return limit_(); }

 private:
  void set(Entry& entry, uint64_t amount) EXCLUDES(mutex_);
  void give_back(Entries::iterator entry) EXCLUDES(mutex_);

  const std::function<uint64_t()> limit_;
  const std::chrono::milliseconds patience_;
  mutable base::Mutex mutex_;
  Entries entries_ GUARDED_BY(mutex_);
  uint64_t held_ GUARDED_BY(mutex_) = 0;
};

}  // namespace bobbin::feed
