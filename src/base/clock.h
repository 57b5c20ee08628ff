#pragma once

#include <atomic>
#include <cstdint>

namespace bobbin::base {

/// One reading of the wall clock, passed down to whatever decides by time, so that one request sees one time.
struct Now {
  uint64_t unix_ns = 0;

  [[nodiscard]] uint32_t unix_s() const noexcept { return static_cast<uint32_t>(unix_ns / 1'000'000'000); }
};

/// Where time comes from. Tests set it; any thread may read it.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Now now() const noexcept = 0;
};

/// The machine's wall clock (CLOCK_REALTIME).
class SystemClock final : public Clock {
 public:
  [[nodiscard]] Now now() const noexcept override;
};

/// A clock that moves when it is told to.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(uint32_t unix_s = 1'700'000'000) : ns_(uint64_t{unix_s} * 1'000'000'000) {}
  [[nodiscard]] Now now() const noexcept override {
    return {ns_.fetch_add(tick_ns_, std::memory_order_relaxed)};
  }
  void advance_s(uint32_t seconds) { ns_.fetch_add(uint64_t{seconds} * 1'000'000'000); }
  /// From here on it moves so far whenever it is read. Before other threads read it.
  void tick(uint64_t ns) { tick_ns_ = ns; }

 private:
  mutable std::atomic<uint64_t> ns_;
  uint64_t tick_ns_ = 0;
};

}  // namespace bobbin::base
