#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>

namespace bobbin::base {

/// How often something took how long. A value.
struct DurationCounts {
  /// Step i counts what took at most 2^i microseconds and more than half of that; the last one all the rest.
  static constexpr size_t kSteps = 25;

  std::array<uint64_t, kSteps> steps{};
  uint64_t sum_ns = 0;

  [[nodiscard]] static size_t step_of(uint64_t ns) noexcept {
    const auto step = ns == 0 ? size_t{0} : static_cast<size_t>(std::bit_width((ns - 1) / 1000));
    return step < kSteps ? step : kSteps - 1;
  }
  /// More than so many microseconds is what a step counts.
  [[nodiscard]] static constexpr uint64_t above_us(size_t step) noexcept {
    return step == 0 ? 0 : uint64_t{1} << (step - 1);
  }
  /// At most so many microseconds, but for the last step, which has no end.
  [[nodiscard]] static constexpr uint64_t up_to_us(size_t step) noexcept {
    return step + 1 == kSteps ? UINT64_MAX : uint64_t{1} << step;
  }

  void add(uint64_t ns) noexcept {
    ++steps[step_of(ns)];
    sum_ns += ns;
  }
  void add(const DurationCounts& other) noexcept {
    for (size_t i = 0; i < kSteps; ++i)
      steps[i] += other.steps[i];
    sum_ns += other.sum_ns;
  }
  [[nodiscard]] uint64_t count() const noexcept {
    return std::accumulate(steps.begin(), steps.end(), uint64_t{0});
  }
};

/// The same, counted by any thread without a lock.
class Durations {
 public:
  void add(uint64_t ns) noexcept {
    steps_[DurationCounts::step_of(ns)].fetch_add(1, std::memory_order_relaxed);
    sum_ns_.fetch_add(ns, std::memory_order_relaxed);
  }
  [[nodiscard]] DurationCounts counts() const noexcept {
    DurationCounts counts;
    for (size_t i = 0; i < DurationCounts::kSteps; ++i)
      counts.steps[i] = steps_[i].load(std::memory_order_relaxed);
    counts.sum_ns = sum_ns_.load(std::memory_order_relaxed);
    return counts;
  }

 private:
  std::array<std::atomic<uint64_t>, DurationCounts::kSteps> steps_{};
  std::atomic<uint64_t> sum_ns_{0};
};

}  // namespace bobbin::base
