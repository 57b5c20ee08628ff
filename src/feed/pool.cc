#include "feed/pool.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/thread_name.h"

namespace bobbin::feed {

/// What a pool's threads share, and what tasks know of their pool.
class RunQueue {
 public:
  void spawn(const std::shared_ptr<Task>& task) EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (closed_) return;
    tasks_.emplace(task.get(), task);
    task->number_ = ++spawned_;
    make_runnable(*task);
  }

  void wake(Task& task) EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (closed_) return;
    if (task.state_ == Task::State::running) {
      task.state_ = Task::State::woken;
    } else if (task.state_ == Task::State::asleep) {
      make_runnable(task);
    }
  }

  /// A thread of the pool; returns when the queue is closed.
  void run() EXCLUDES(mutex_) {
    base::name_thread("feed");
    while (const std::shared_ptr<Task> task = take()) {
      Task::give_way();
      const Next::Time begun = std::chrono::steady_clock::now();
      const Next next = task->step();
      // What a task that is done holds is let go of here, outside of the lock.
      const std::shared_ptr<Task> ended = settle(*task, next, begun);
    }
  }

  void close() EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  /// After the threads have ended. The tasks, which go when the caller lets go of them.
  [[nodiscard]] std::unordered_map<Task*, std::shared_ptr<Task>> take_all() EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    runnable_.clear();
    alarms_.clear();
    return std::exchange(tasks_, {});
  }

  [[nodiscard]] size_t tasks() const EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return tasks_.size();
  }
  /// All but the number of threads.
  [[nodiscard]] PoolNumbers numbers() const EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return {.tasks = tasks_.size(), .runnable = runnable_.size(), .running = running_, .steps = steps_};
  }
  /// In no order.
  [[nodiscard]] std::vector<TaskFacts> list() const EXCLUDES(mutex_) {
    std::vector<TaskFacts> all;
    base::MutexLock lock(mutex_);
    all.reserve(tasks_.size());
    for (const auto& [address, task] : tasks_)
      all.push_back(facts_of(*task));
    return all;
  }

 private:
  [[nodiscard]] static uint64_t between(Next::Time from, Next::Time to) noexcept {
    const std::chrono::nanoseconds passed = to - from;
    return passed.count() < 0 ? 0 : static_cast<uint64_t>(passed.count());
  }

  [[nodiscard]] TaskFacts facts_of(const Task& task) const REQUIRES(mutex_) {
    const bool is_in_step = task.state_ == Task::State::running || task.state_ == Task::State::woken;
    TaskFacts facts;
    facts.kind = task.kind();
    facts.number = task.number_;
    facts.alarm = task.alarm_;
    facts.steps = task.steps_;
    facts.ran_ns = task.ran_ns_;
    facts.last_ran_ns = task.last_ran_ns_;
    if (is_in_step) facts.state = TaskFacts::running;
    if (task.state_ == Task::State::queued) facts.state = TaskFacts::queued;
    if (is_in_step || task.steps_ != 0) facts.began = task.began_;
    return facts;
  }

  // A task has one alarm at most: who is woken often would leave one behind each time.
  void arm(Task& task, Next::Time time) REQUIRES(mutex_) {
    task.alarm_ = time;
    alarms_.emplace(time, &task);
  }
  void disarm(Task& task) REQUIRES(mutex_) {
    if (task.alarm_) alarms_.erase({*task.alarm_, &task});
    task.alarm_.reset();
  }

  void make_runnable(Task& task) REQUIRES(mutex_) {
    task.state_ = Task::State::queued;
    task.queued_at_ = std::chrono::steady_clock::now();
    disarm(task);
    runnable_.push_back(&task);
    changed_.notify_one();
  }

  [[nodiscard]] std::shared_ptr<Task> take() EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    while (true) {
      if (closed_) return nullptr;
      if (!alarms_.empty()) ring_alarms();
      if (!runnable_.empty()) break;
      if (alarms_.empty()) {
        changed_.wait(mutex_);
      } else {
        // A copy: others may take it from the queue meanwhile.
        const Next::Time time = alarms_.begin()->first;
        changed_.wait_until(mutex_, time);
      }
    }
    Task* const task = runnable_.front();
    runnable_.pop_front();
    task->state_ = Task::State::running;
    ++running_;
    task->began_ = std::chrono::steady_clock::now();
    steps_[task->kind()].waited.add(between(task->queued_at_, task->began_));
    return tasks_.at(task);
  }

  void ring_alarms() REQUIRES(mutex_) {
    const Next::Time now = std::chrono::steady_clock::now();
    while (!alarms_.empty() && alarms_.begin()->first <= now)
      make_runnable(*alarms_.begin()->second);
  }

  [[nodiscard]] std::shared_ptr<Task> settle(Task& task, const Next& next, Next::Time begun)
      EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    --running_;
    ++task.steps_;
    task.last_ran_ns_ = between(begun, std::chrono::steady_clock::now());
    task.ran_ns_ += task.last_ran_ns_;
    steps_[task.kind()].ran.add(task.last_ran_ns_);
    if (next.kind_ == Next::Kind::done) {
      task.state_ = Task::State::done;
      const auto found = tasks_.find(&task);
      if (found == tasks_.end()) return nullptr;
      std::shared_ptr<Task> ended = std::move(found->second);
      tasks_.erase(found);
      return ended;
    }
    if (next.kind_ == Next::Kind::again || task.state_ == Task::State::woken) {
      make_runnable(task);
      return nullptr;
    }
    task.state_ = Task::State::asleep;
    if (next.kind_ == Next::Kind::wait_until) {
      arm(task, next.time_);
      // The threads that sleep may sleep too long for this one.
      changed_.notify_one();
    }
    return nullptr;
  }

  mutable base::Mutex mutex_;
  std::condition_variable_any changed_;
  std::unordered_map<Task*, std::shared_ptr<Task>> tasks_ GUARDED_BY(mutex_);
  std::deque<Task*> runnable_ GUARDED_BY(mutex_);
  std::set<std::pair<Next::Time, Task*>> alarms_ GUARDED_BY(mutex_);  // of tasks that are asleep
  size_t running_ GUARDED_BY(mutex_) = 0;
  uint64_t spawned_ GUARDED_BY(mutex_) = 0;
  std::map<std::string_view, StepTimes> steps_ GUARDED_BY(mutex_);  // by kind: there are a few
  bool closed_ GUARDED_BY(mutex_) = false;

  friend class Pool;
  static void attach(const std::shared_ptr<RunQueue>& queue, Task& task) { task.queue_ = queue; }
};

void Task::wake() noexcept {
  if (queue_ != nullptr) queue_->wake(*this);
}

std::function<void()> waker_of(const std::shared_ptr<Task>& task) {
  return [weak = std::weak_ptr<Task>(task)] {
    if (const std::shared_ptr<Task> alive = weak.lock()) alive->wake();
  };
}

Pool::Pool(size_t threads) : queue_(std::make_shared<RunQueue>()) {
  const size_t count = std::max<size_t>(threads, 1);
  for (size_t i = 0; i < count; ++i) {
    threads_.emplace_back([queue = queue_] { queue->run(); });
  }
}

Pool::~Pool() {
  queue_->close();
  for (std::thread& thread : threads_)
    thread.join();
  for (const auto& [address, task] : queue_->take_all())
    task->abandoned();
}

void Pool::spawn(const std::shared_ptr<Task>& task) {
  RunQueue::attach(queue_, *task);
  queue_->spawn(task);
}

size_t Pool::tasks() const {
  return queue_->tasks();
}

PoolNumbers Pool::numbers() const {
  PoolNumbers numbers = queue_->numbers();
  numbers.threads = threads_.size();
  return numbers;
}

std::vector<TaskFacts> Pool::list(size_t most) const {
  std::vector<TaskFacts> tasks = queue_->list();
  std::sort(tasks.begin(), tasks.end(),
            [](const TaskFacts& one, const TaskFacts& other) { return one.number < other.number; });
  tasks.resize(std::min(tasks.size(), most));
  return tasks;
}

}  // namespace bobbin::feed
