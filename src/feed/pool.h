#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "base/durations.h"
#include "base/mutex.h"

namespace bobbin::feed {

class RunQueue;

/// What becomes of a task after a step.
class Next {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// There is more to do; behind the tasks that wait for a thread.
  [[nodiscard]] static Next again() noexcept { return {Kind::again, {}}; }
  /// Until somebody wakes it.
  [[nodiscard]] static Next wait() noexcept { return {Kind::wait, {}}; }
  /// Until somebody wakes it, at `time` at the latest.
  [[nodiscard]] static Next wait_until(Time time) noexcept { return {Kind::wait_until, time}; }
  /// There will be no other step, and the pool lets go of it.
  [[nodiscard]] static Next done() noexcept { return {Kind::done, {}}; }

 private:
  friend class RunQueue;
  enum class Kind : uint8_t { again, wait, wait_until, done };

  Next(Kind kind, Time time) noexcept : kind_(kind), time_(time) {}

  Kind kind_;
  Time time_;
};

/// Background work in small steps: a range scan, the change streams of a connection.
///
/// Shared by whoever started it, which may want it to end, and the pool, in which a step may be under way.
class Task : public std::enable_shared_from_this<Task> {
 public:
  Task() = default;
  virtual ~Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  /// Has a step taken soon; one more if a step is under way. Any thread, loops too; never blocks. Nothing
  /// happens before the task is spawned, when it is done, or when its pool has ended.
  void wake() noexcept;

  /// What it is, for statistics: a literal, the same for all of its kind.
  [[nodiscard]] virtual std::string_view kind() const noexcept = 0;

 protected:
  /// About a millisecond of work, on one of the pool's threads, never on two at once. It may read from the
  /// disk; it does not sleep, does not wait for a loop, and holds no lock that a loop takes while it does
  /// I/O.
  [[nodiscard]] virtual Next step() = 0;

  /// The pool has ended, and no step will come: lets go of what has to go before buckets do (readers,
  /// cursors), because somebody else may hold the task still. The thread that ends the pool.
  virtual void abandoned() noexcept {}

  /// For steps, between pieces of some 0.1 ms: a loop that waits for this processor has it first. A thread
  /// that only computes keeps its processor up to the kernel's next tick, 4 ms where there are 250 a second,
  /// and gets of those who wait would be that late.
  static void give_way() noexcept { std::this_thread::yield(); }

 private:
  friend class Pool;
  friend class RunQueue;
  enum class State : uint8_t { asleep, queued, running, woken, done };  // woken: while running

  std::shared_ptr<RunQueue> queue_;  // set by spawn; a wake may come when the pool has ended
  // Of the queue's lock.
  State state_ = State::asleep;
  std::optional<Next::Time> alarm_;  // in the queue's list
  Next::Time queued_at_;
  uint64_t number_ = 0;  // in the order in which they were spawned
  Next::Time began_;     // the last step
  uint64_t steps_ = 0;   // that are over
  uint64_t ran_ns_ = 0;  // these, and the last of them
  uint64_t last_ran_ns_ = 0;
};

/// For Spool::append_or_wake: wakes the task if it is still there.
[[nodiscard]] std::function<void()> waker_of(const std::shared_ptr<Task>& task);

/// How the steps of one kind of tasks went.
struct StepTimes {
  base::DurationCounts waited;  ///< from when a step was due until a thread took it
  base::DurationCounts ran;
};

/// What a pool does at one moment.
struct PoolNumbers {
  size_t threads = 0;
  size_t tasks = 0;                                  ///< that are not done
  size_t runnable = 0;                               ///< of these, those that wait for a thread
  size_t running = 0;                                ///< of these, those in a step
  std::map<std::string_view, StepTimes> steps = {};  ///< since the start, by Task::kind()
};

/// One task at one moment.
struct TaskFacts {
  enum State : uint8_t { asleep, queued, running };

  std::string_view kind;
  uint64_t number = 0;  ///< of the tasks of its pool, from 1
  State state = asleep;
  std::optional<Next::Time> alarm;  ///< asleep until then; none: until somebody wakes it
  std::optional<Next::Time> began;  ///< its last step, or the one that it is in
  uint64_t steps = 0;               ///< that are over
  uint64_t ran_ns = 0;              ///< all of these
  uint64_t last_ran_ns = 0;         ///< the last of these
};

/// The threads that take tasks' steps: first come, first served, so all tasks get their share.
///
/// Made and destroyed by one thread that is no loop, while no spool's loop has gone yet; the rest is any
/// thread's.
class Pool {
 public:
  /// `threads`: at least 1.
  explicit Pool(size_t threads);
  /// Waits for the steps that are under way, and lets go of all tasks.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Takes its first step soon. Once for each task.
  void spawn(const std::shared_ptr<Task>& task);
  /// Tasks that are not done.
  [[nodiscard]] size_t tasks() const;
  [[nodiscard]] PoolNumbers numbers() const;
  /// Those that are not done, the oldest first, and no more than `most`.
  [[nodiscard]] std::vector<TaskFacts> list(size_t most) const;

 private:
  const std::shared_ptr<RunQueue> queue_;  // shared with tasks that outlive the pool
  std::vector<std::thread> threads_;
};

}  // namespace bobbin::feed
