#include "base/small_mutex.h"

namespace bobbin::base {

namespace {

// What is done under such a lock takes less than a switch to another thread.
constexpr int kLooks = 64;

}  // namespace

void SmallMutex::wait() noexcept {
  for (int i = 0; i < kLooks; ++i) {
    uint32_t expected = kFree;
    if (state_.load(std::memory_order_relaxed) == kFree &&
        state_.compare_exchange_weak(expected, kHeld, std::memory_order_acquire))
      return;
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
  }
  // Who has slept cannot know whether others still do.
  while (state_.exchange(kAwaited, std::memory_order_acquire) != kFree)
    state_.wait(kAwaited, std::memory_order_relaxed);
}

void SmallMutex::wake() noexcept {
  state_.notify_one();
}

}  // namespace bobbin::base
