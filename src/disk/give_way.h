#pragma once

#include <chrono>
#include <cstdint>
#include <thread>

namespace bobbin::disk {

/// When a thread that computes without end lets others have its processor. Of one thread.
class Turns {
 public:
  using Clock = std::chrono::steady_clock;

  /// After others have had the processor, nobody gives way for this part of the time that they took: beside
  /// neighbours that always compute, a ninth of it is left to this thread.
  static constexpr int kPayBack = 8;  // an eighth

  [[nodiscard]] bool is_due(Clock::time_point now) const noexcept { return now >= not_before_; }
  void took(Clock::time_point began, Clock::time_point ended) noexcept {
    not_before_ = ended + (ended - began) / kPayBack;
  }

 private:
  Clock::time_point not_before_{};
};

/// As long as one exists, its thread gives no way: writers wait for it, or nobody is served yet.
class InHurry {
 public:
  explicit InHurry(bool really = true) noexcept : before_(in_hurry) { in_hurry = in_hurry || really; }
  ~InHurry() { in_hurry = before_; }
  InHurry(const InHurry&) = delete;
  InHurry& operator=(const InHurry&) = delete;
  [[nodiscard]] static bool is() noexcept { return in_hurry; }

 private:
  static inline thread_local bool in_hurry = false;
  const bool before_;
};

/// A loop that waits for this processor has it first, unless it has had it just before. A thread that only
/// computes keeps it until the kernel's next tick, 4 ms with most, and what the loop was about to answer
/// waits that long. With no lock held.
inline void give_way_now() noexcept {
  if (InHurry::is()) return;
  thread_local Turns turns;
  const auto began = Turns::Clock::now();
  if (!turns.is_due(began)) return;
  std::this_thread::yield();
  turns.took(began, Turns::Clock::now());
}

/// The same now and then, every 0.1 ms or so with small documents. For the flushers' threads and RocksDB's
/// own, called with the keys that they put into a batch, a memtable or a table, or look at in a filter; what
/// takes longer counts for several.
inline void give_way_now_and_then(uint64_t keys = 1) noexcept {
  constexpr uint64_t kKeys = 64;
  thread_local uint64_t done = 0;
  done += keys;
  if (done < kKeys) return;
  done = 0;
  give_way_now();
}

}  // namespace bobbin::disk
