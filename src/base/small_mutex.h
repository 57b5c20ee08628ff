#pragma once

#include <atomic>
#include <cstdint>

#include "base/mutex.h"

#if defined(__SANITIZE_THREAD__)
#define BOBBIN_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BOBBIN_THREAD_SANITIZER 1
#endif
#endif
#if defined(BOBBIN_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
#endif

namespace bobbin::base {

/// A Mutex for what is locked for each request, or by several threads for a moment each. It takes 4 bytes
/// instead of 40, so that it lies in one cache line with what it guards, and where nobody else has it,
/// locking and unlocking are one atomic instruction each, without a call: of a set of 100 bytes the two locks
/// took a tenth of the loop's time with std::mutex. Who has to wait looks a few times, and then sleeps in the
/// kernel. Also a BasicLockable. Not fair, not recursive.
class BOBBIN_THREAD_ANNOTATION(capability("mutex")) SmallMutex {
 public:
  SmallMutex() noexcept = default;
  SmallMutex(const SmallMutex&) = delete;
  SmallMutex& operator=(const SmallMutex&) = delete;

  void lock() noexcept BOBBIN_THREAD_ANNOTATION(acquire_capability()) {
    tell_sanitizer_before_lock(false);
    uint32_t expected = kFree;
    if (!state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) [[unlikely]]
      wait();
    tell_sanitizer_after_lock(true, false);
  }
  void unlock() noexcept BOBBIN_THREAD_ANNOTATION(release_capability()) {
    tell_sanitizer_before_unlock();
    if (state_.exchange(kFree, std::memory_order_release) == kAwaited) [[unlikely]]
      wake();
    tell_sanitizer_after_unlock();
  }
  bool try_lock() noexcept BOBBIN_THREAD_ANNOTATION(try_acquire_capability(true)) {
    tell_sanitizer_before_lock(true);
    uint32_t expected = kFree;
    const bool taken = state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire);
    tell_sanitizer_after_lock(taken, true);
    return taken;
  }

 private:
  static constexpr uint32_t kFree = 0;
  static constexpr uint32_t kHeld = 1;
  static constexpr uint32_t kAwaited = 2;  ///< held, and somebody may sleep until it is free

  void wait() noexcept;
  void wake() noexcept;

#if defined(BOBBIN_THREAD_SANITIZER)
  // So that it also finds locks that are taken in two orders.
  void tell_sanitizer_before_lock(bool only_try) noexcept {
    __tsan_mutex_pre_lock(&state_, only_try ? __tsan_mutex_try_lock : 0);
  }
  void tell_sanitizer_after_lock(bool taken, bool only_try) noexcept {
    const unsigned failed = taken ? 0 : __tsan_mutex_try_lock_failed;
    __tsan_mutex_post_lock(&state_, (only_try ? __tsan_mutex_try_lock : 0U) | failed, 0);
  }
  void tell_sanitizer_before_unlock() noexcept {
    (void)__tsan_mutex_pre_unlock(&state_, 0);
  }
  void tell_sanitizer_after_unlock() noexcept {
    __tsan_mutex_post_unlock(&state_, 0);
  }
#else
  void tell_sanitizer_before_lock(bool /*only_try*/) noexcept {}
  void tell_sanitizer_after_lock(bool /*taken*/, bool /*only_try*/) noexcept {}
  void tell_sanitizer_before_unlock() noexcept {}
  void tell_sanitizer_after_unlock() noexcept {}
#endif

  std::atomic<uint32_t> state_{kFree};
};

}  // namespace bobbin::base
