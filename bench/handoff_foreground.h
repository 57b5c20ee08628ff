#pragma once

// Foreground clients of bench/handoff: get-like requests on the loop that the background stream is on.

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <ctime>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/test_socket.h"

namespace bobbin::handoff {

using Clock = std::chrono::steady_clock;

constexpr size_t kReplyBytes = 132;  // what a get of 100 bytes answers

struct ForegroundResult {
  double requests_per_s = 0;
  double p50_us = 0;
  double p99_us = 0;
  double p999_us = 0;
};

/// Some connections with one request in flight on each, all from one thread, which answers whichever is
/// ready.
class Foreground {
 public:
  /// `rate`: requests a second of all connections together, at even distances; 0: each connection asks again
  /// as soon as it was answered.
  /// `requests` are sent in turn; each is answered with so many bytes.
  Foreground(const net::Address& address, int connections, double rate = 0,
             std::vector<std::string> requests = {"get key:0000001\n"}, size_t reply_bytes = kReplyBytes)
      : rate_(rate), requests_(std::move(requests)), reply_bytes_(reply_bytes) {
    for (int i = 0; i < connections; ++i)
      sockets_.emplace_back(address);
    latencies_us_.reserve(1 << 20);
    if (connections > 0) thread_ = std::thread([this] { run(); });
  }
  ~Foreground() { stop(); }
  Foreground(const Foreground&) = delete;
  Foreground& operator=(const Foreground&) = delete;

  /// From here on it counts.
  void begin() { counting_ = true; }
  /// Ends the clients; their figures since begin(), which was `seconds` ago.
  ForegroundResult end(double seconds) {
    stop();
    std::sort(latencies_us_.begin(), latencies_us_.end());
    const auto at = [this](double share) -> double {
      if (latencies_us_.empty()) return 0;
      return latencies_us_[static_cast<size_t>(share * static_cast<double>(latencies_us_.size() - 1))];
    };
    return {static_cast<double>(latencies_us_.size()) / seconds, at(0.50), at(0.99), at(0.999)};
  }

 private:
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  void run() {
    // So that a wait for the next request ends when that is due, and not up to 50 µs later.
    prctl(PR_SET_TIMERSLACK, 1);
    began_ = Clock::now();
    from_.resize(sockets_.size());
    received_.resize(sockets_.size(), 0);
    for (size_t i = 0; i < sockets_.size(); ++i) {
      ready_.push_back({sockets_[i].descriptor(), POLLIN, 0});
      idle_.push_back(i);
    }
    while (!stop_) {
      const std::chrono::nanoseconds wait = send_what_is_due();
      const timespec until{.tv_sec = 0, .tv_nsec = wait.count()};
      if (ppoll(ready_.data(), ready_.size(), &until, nullptr) <= 0) continue;
      for (size_t i = 0; i < ready_.size(); ++i) {
        if (ready_[i].revents != 0 && !receive(i)) return;
      }
    }
  }

  /// Returns how long there is nothing to send, 100 ms at most.
  std::chrono::nanoseconds send_what_is_due() {
    constexpr std::chrono::nanoseconds kMost = std::chrono::milliseconds(100);
    while (!idle_.empty()) {
      const auto now = Clock::now();
      const auto due = rate_ == 0 ? now
                                  : began_ + std::chrono::nanoseconds(static_cast<int64_t>(
                                                 static_cast<double>(sent_) / rate_ * 1e9));
      if (due > now) return std::min<std::chrono::nanoseconds>(due - now, kMost);
      const size_t i = idle_.back();
      idle_.pop_back();
      // What had to wait for a connection counts from when it was due; a late timer is not the server's.
      from_[i] = std::exchange(waited_, false) ? due : now;
      sockets_[i].send_all(requests_[sent_ % requests_.size()]);
      ++sent_;
    }
    waited_ = rate_ > 0;
    return kMost;
  }

  bool receive(size_t i) {
    std::array<char, 1024> reply;
    const ssize_t n =
        recv(ready_[i].fd, reply.data(), std::min(reply.size(), reply_bytes_ - received_[i]), 0);
    if (n <= 0) return false;
    received_[i] += static_cast<size_t>(n);
    if (received_[i] < reply_bytes_) return true;
    received_[i] = 0;
    if (counting_)
      latencies_us_.push_back(std::chrono::duration<float, std::micro>(Clock::now() - from_[i]).count());
    idle_.push_back(i);
    return true;
  }

  const double rate_;
  const std::vector<std::string> requests_;
  const size_t reply_bytes_;
  std::vector<net::TestSocket> sockets_;
  std::atomic<bool> counting_{false};
  std::atomic<bool> stop_{false};
  // The thread's, until it has ended.
  std::vector<float> latencies_us_;
  Clock::time_point began_;
  uint64_t sent_ = 0;
  bool waited_ = false;  // the next request was due when every connection was waiting for an answer
  std::vector<size_t> idle_;
  std::vector<Clock::time_point> from_;  // since when the request of each connection counts
  std::vector<size_t> received_;
  std::vector<pollfd> ready_;
  std::thread thread_;
};

}  // namespace bobbin::handoff
