#pragma once

// What a loop does when its tick ends: it lets others have the core once, before it looks at its sockets
// again. Private to `net`.
//
// A loop that goes to sleep at once is woken by the first of the next requests, and handles that one alone:
// where clients have to share its core, both pay a switch for each request. Who gives way first finds what
// the clients meanwhile sent in one go. Where another loop keeps a client busy, that takes up to a tick of
// the scheduler's now and then, and is still worth it: measured with two loops and a client on two cores,
// with and without neighbours that always compute. What takes longer than a tick is paid back: for fifty
// times as long nobody gives way, and for up to a thousand times when it happens again as soon as that is
// over.

#include <sched.h>

#include <algorithm>
#include <chrono>

namespace bobbin::net {

/// When a loop gives way. Of one thread.
class GivingWay {
 public:
  using Clock = std::chrono::steady_clock;

  /// Linux ends a slice at a tick of its own, mostly every 4 ms.
  static constexpr std::chrono::microseconds kCheap{5000};
  /// A chance delay costs little this way, and a neighbour that always computes a thousandth of the time.
  static constexpr int kLeastPayBack = 50;
  static constexpr int kMostPayBack = 1000;

  [[nodiscard]] bool is_due(Clock::time_point now) const noexcept { return now >= not_before_; }

  /// Giving way took from `began` to `ended`.
  void took(Clock::time_point began, Clock::time_point ended) noexcept {
    const auto delay = ended - began;
    if (delay <= kCheap) return;
    const bool again = began - not_before_ < pause_;
    pay_back_ = again ? std::min(pay_back_ * 4, kMostPayBack) : kLeastPayBack;
    pause_ = delay * pay_back_;
    not_before_ = ended + pause_;
  }

  void give_way() noexcept {
    const auto began = Clock::now();
    if (!is_due(began)) return;
    ::sched_yield();
    took(began, Clock::now());
  }

 private:
  Clock::time_point not_before_{};
  Clock::duration pause_{};  // that ended at `not_before_`
  int pay_back_ = kLeastPayBack;
};

}  // namespace bobbin::net
