#pragma once

// Foreground clients of bench/handoff: get-like requests on the loop that the background stream is on.

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <string_view>
#include <thread>
#include <vector>

#include "net/test_socket.h"

namespace bobbin::handoff {

using Clock = std::chrono::steady_clock;

constexpr size_t kReplyBytes = 132;  // what a get of 100 bytes answers

struct ForegroundResult {
  double requests_per_s = 0;
  double p50_us = 0;
  double p99_us = 0;
};

/// Some connections with one request in flight on each, all from one thread, which answers whichever is
/// ready.
class Foreground {
 public:
  Foreground(const net::Address& address, int connections) {
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
    return {static_cast<double>(latencies_us_.size()) / seconds, at(0.50), at(0.99)};
  }

 private:
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  void run() {
    std::vector<Clock::time_point> sent(sockets_.size(), Clock::now());
    std::vector<size_t> received(sockets_.size(), 0);
    std::vector<pollfd> ready;
    for (net::TestSocket& socket : sockets_) {
      ready.push_back({socket.descriptor(), POLLIN, 0});
      socket.send_all(kRequest);
    }
    std::array<char, kReplyBytes> reply;
    while (!stop_) {
      if (poll(ready.data(), ready.size(), 100) <= 0) continue;
      for (size_t i = 0; i < ready.size(); ++i) {
        if (ready[i].revents == 0) continue;
        const ssize_t n = recv(ready[i].fd, reply.data(), kReplyBytes - received[i], 0);
        if (n <= 0) return;
        received[i] += static_cast<size_t>(n);
        if (received[i] < kReplyBytes) continue;
        received[i] = 0;
        const auto now = Clock::now();
        if (counting_)
          latencies_us_.push_back(std::chrono::duration<float, std::micro>(now - sent[i]).count());
        sent[i] = now;
        sockets_[i].send_all(kRequest);
      }
    }
  }

  static constexpr std::string_view kRequest = "get key:0000001\n";

  std::vector<net::TestSocket> sockets_;
  std::vector<float> latencies_us_;  // the thread's, until it has ended
  std::atomic<bool> counting_{false};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace bobbin::handoff
