#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

namespace bobbin::stress {

using Clock = std::chrono::steady_clock;

inline std::chrono::milliseconds duration() {
  const char* seconds = std::getenv("BOBBIN_STRESS_SECONDS");
  return std::chrono::seconds(seconds == nullptr ? 3 : std::strtoul(seconds, nullptr, 10));
}

/// From the environment, or a new one; printed in either case.
inline uint64_t seed() {
  const char* given = std::getenv("BOBBIN_STRESS_SEED");
  const uint64_t chosen = given == nullptr ? std::random_device()() : std::strtoull(given, nullptr, 10);
  std::printf("BOBBIN_STRESS_SEED=%llu\n", static_cast<unsigned long long>(chosen));
  std::fflush(stdout);
  return chosen;
}

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t below(uint64_t n) { return engine_() % n; }
  bool once_in(uint64_t n) { return below(n) == 0; }

 private:
  std::mt19937_64 engine_;
};

/// Waits for what must happen. What has not happened after a minute never will: ends the program, as threads
/// may be waiting for ever.
template <typename Condition>
void must_become_true(const char* what, Condition condition) {
  const auto give_up = Clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (Clock::now() > give_up) {
      std::fprintf(stderr, "still waiting for %s\n", what);
      std::abort();
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

}  // namespace bobbin::stress
