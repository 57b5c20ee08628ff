#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <thread>

#include "base/mutex.h"

namespace bobbin::base {

/// A thread for what a loop must not do because it waits for the disk or for other threads, or takes long.
/// One task after the other, so that changes have an order. Any thread; the first task starts it.
class Worker {
 public:
  static constexpr size_t kMaxWaiting = 64;

  enum class Where : uint8_t {
    thread,
    caller,  ///< within post(): for tests
    nobody,  ///< before run_waiting() is called: for tests
  };

  /// What becomes of the tasks that wait when it ends.
  enum class Rest : uint8_t {
    done,
    dropped,
  };

  explicit Worker(Rest rest, Where where = Where::thread, size_t most_waiting = kMaxWaiting)
      : rest_(rest), where_(where), most_waiting_(most_waiting) {}
  ~Worker() { end(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Never waits. False: so many wait already, or it has ended. `task` is called once, or dropped at the end;
  /// what it holds may go on the worker's thread.
  [[nodiscard]] bool post(std::function<void()> task) EXCLUDES(mutex_);
  /// Takes no more, and waits for those it has as far as they are to be done, and for the one that is under
  /// way. From a thread that is not its own, before what tasks work on ends.
  void end() EXCLUDES(mutex_);
  /// Does those that wait, on this thread; with Where::nobody.
  void run_waiting() EXCLUDES(mutex_);
  /// True from end() on: a long task looks at it.
  [[nodiscard]] std::atomic<bool>& ending() noexcept { return ending_; }

 private:
  void run() EXCLUDES(mutex_);

  const Rest rest_;
  const Where where_;
  const size_t most_waiting_;
  std::atomic<bool> ending_{false};
  Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::function<void()>> waiting_ GUARDED_BY(mutex_);
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::base
