#pragma once

#include <condition_variable>
#include <mutex>

// clang checks these with -Wthread-safety; gcc ignores them.
#if defined(__clang__)
#define BOBBIN_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define BOBBIN_THREAD_ANNOTATION(x)
#endif
#define GUARDED_BY(x) BOBBIN_THREAD_ANNOTATION(guarded_by(x))
#define REQUIRES(...) BOBBIN_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) BOBBIN_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))

namespace bobbin::base {

/// std::mutex with annotations. Never held across a system call of ours. Also a BasicLockable, so that
/// std::condition_variable_any can wait on it.
class BOBBIN_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  void lock() BOBBIN_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() BOBBIN_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  bool try_lock() BOBBIN_THREAD_ANNOTATION(try_acquire_capability(true)) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

/// Holds a Mutex or a SmallMutex for a scope.
template <typename Lockable>
class BOBBIN_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Lockable& mutex) BOBBIN_THREAD_ANNOTATION(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() BOBBIN_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Lockable& mutex_;
};

}  // namespace bobbin::base
