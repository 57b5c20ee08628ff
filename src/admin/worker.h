#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <thread>

#include "base/mutex.h"

namespace bobbin::admin {

/// A thread for what a loop must not do because it waits for the disk or for other threads. One task after
/// the other, so that changes have an order.
class Worker {
 public:
  Worker() : thread_([this] { run(); }) {}
  ~Worker() { end(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Any thread; never waits. False: so many wait already, or it has ended.
  [[nodiscard]] bool post(std::function<void()> task) EXCLUDES(mutex_);
  /// Does what waits, and ends. From a thread that is not its own.
  void end() EXCLUDES(mutex_);

  static constexpr size_t kMaxWaiting = 64;

 private:
  void run() EXCLUDES(mutex_);

  base::Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::function<void()>> waiting_ GUARDED_BY(mutex_);
  bool is_ending_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace bobbin::admin
