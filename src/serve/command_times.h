#pragma once

#include <array>
#include <cstdint>

#include "base/durations.h"
#include "net/counters.h"

namespace bobbin::serve {

/// How long requests took, by command, of one loop. Written by the loop's thread only, without an allocation
/// and without a lock; any thread reads.
///
/// What came with one read of the socket has one time: until the last of it was answered, because that is
/// when its client sees anything. To know it takes one more look at the clock, which is no trifle on virtual
/// machines (200 ns where the kernel has to be asked): so it is taken for at most one read in 100
/// microseconds, and requests that came with others since count with the next one that is timed. All are
/// counted, the last ones of a burst when there is another request.
class CommandTimes {
 public:
  /// A text command is its place in its table, a meta command that and kMeta, a binary one its opcode and
  /// kBinary.
  static constexpr uint16_t kMeta = 128;
  static constexpr uint16_t kBinary = 256;
  static constexpr size_t kCommands = 512;
  static constexpr size_t kSteps = base::DurationCounts::kSteps;

  struct Histogram {
    std::array<net::OwnedCounter, kSteps> steps;
    net::OwnedCounter sum_ns;

    [[nodiscard]] base::DurationCounts counts() const noexcept {
      base::DurationCounts counts;
      for (size_t i = 0; i < kSteps; ++i)
        counts.steps[i] = steps[i].get();
      counts.sum_ns = sum_ns.get();
      return counts;
    }
  };

  /// A request of this command has begun.
  void note(uint16_t command) noexcept {
    if (pending_[command]++ == 0) touched_[touched_count_++] = command;
    last_ = command;
  }
  /// The last one runs again later, and is noted then.
  void take_back() noexcept {
    if (last_ == kNone) return;
    // One that was noted once only is the last that was touched.
    if (--pending_[last_] == 0) --touched_count_;
    last_ = kNone;
  }
  /// Whether the time of what began now is to be taken: something was noted, and the last time is long ago.
  [[nodiscard]] bool is_due(uint64_t began_ns) const noexcept {
    return touched_count_ > 0 && began_ns - timed_ns_ >= kPauseNs;
  }
  [[nodiscard]] bool has_noted() const noexcept { return touched_count_ > 0; }
  /// All that were noted since the last time have taken so long; the last of them began at `began_ns`.
  void settle(uint64_t began_ns, uint64_t ns) noexcept {
    timed_ns_ = began_ns;
    const size_t step = step_of(ns);
    for (size_t i = 0; i < touched_count_; ++i) {
      Histogram& histogram = histograms_[touched_[i]];
      const uint32_t count = pending_[touched_[i]];
      histogram.steps[step].add(count);
      histogram.sum_ns.add(count * ns);
      pending_[touched_[i]] = 0;
    }
    touched_count_ = 0;
    last_ = kNone;
  }

  /// One more of this command has taken so long, whenever it began.
  void count(uint16_t command, uint64_t ns) noexcept {
    histograms_[command].steps[step_of(ns)].add(1);
    histograms_[command].sum_ns.add(ns);
  }

  [[nodiscard]] const Histogram& of(size_t command) const noexcept { return histograms_[command]; }

  [[nodiscard]] static size_t step_of(uint64_t ns) noexcept { return base::DurationCounts::step_of(ns); }

 private:
  static constexpr uint16_t kNone = kCommands;
  static constexpr uint64_t kPauseNs = 100'000;

  std::array<Histogram, kCommands> histograms_;
  std::array<uint32_t, kCommands> pending_{};
  std::array<uint16_t, kCommands> touched_{};
  size_t touched_count_ = 0;
  uint64_t timed_ns_ = 0;
  uint16_t last_ = kNone;
};

}  // namespace bobbin::serve
