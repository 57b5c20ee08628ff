#include "feed/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <string>
#include <thread>

namespace bobbin::feed {
namespace {

using namespace std::chrono_literals;

// Runs what the test gives it.
class Scripted : public Task {
 public:
  [[nodiscard]] std::string_view kind() const noexcept override { return "scripted"; }
  explicit Scripted(std::function<Next(int)> script) : script_(std::move(script)) {}
  std::atomic<int> steps{0};
  bool was_abandoned = false;

 protected:
  void abandoned() noexcept override { was_abandoned = true; }
  Next step() override { return script_(++steps); }

 private:
  std::function<Next(int)> script_;
};

std::shared_ptr<Scripted> scripted(std::function<Next(int)> script) {
  return std::make_shared<Scripted>(std::move(script));
}

TEST(PoolTest, StepsUntilDone) {
  Pool pool(2);
  std::promise<void> ended;
  pool.spawn(scripted([&ended](int step) {
    if (step < 100) return Next::again();
    ended.set_value();
    return Next::done();
  }));
  ended.get_future().wait();
}

TEST(PoolTest, TasksAreListedAsTheyWereSpawned) {
  std::promise<void> in_step;
  std::promise<void> go_on;
  Pool pool(1);  // ends before what its tasks use
  EXPECT_TRUE(pool.list(10).empty());
  const auto far = std::chrono::steady_clock::now() + 1h;
  const auto sleeper = scripted([far](int step) { return step < 3 ? Next::again() : Next::wait_until(far); });
  pool.spawn(sleeper);
  while (pool.list(1)[0].steps != 3)
    std::this_thread::yield();
  pool.spawn(scripted([&](int) {
    in_step.set_value();
    go_on.get_future().wait();
    return Next::done();
  }));
  in_step.get_future().wait();
  pool.spawn(scripted([](int) { return Next::done(); }));
  const std::vector<TaskFacts> tasks = pool.list(10);
  ASSERT_EQ(tasks.size(), 3U);
  EXPECT_EQ(tasks[0].kind, "scripted");
  EXPECT_EQ(tasks[0].number, 1U);
  EXPECT_EQ(tasks[0].state, TaskFacts::asleep);
  EXPECT_EQ(tasks[0].alarm, far);
  EXPECT_GE(tasks[0].ran_ns, tasks[0].last_ran_ns);
  EXPECT_EQ(tasks[1].state, TaskFacts::running);
  EXPECT_EQ(tasks[1].steps, 0U);
  EXPECT_GE(tasks[1].began, tasks[0].began);
  EXPECT_EQ(tasks[2].state, TaskFacts::queued);
  EXPECT_EQ(tasks[2].began, std::nullopt);
  EXPECT_EQ(pool.list(2).size(), 2U);
  go_on.set_value();
}

TEST(PoolTest, StepsAreTimedByTheirKind) {
  Pool pool(1);
  pool.spawn(scripted([](int step) { return step < 3 ? Next::again() : Next::done(); }));
  while (pool.tasks() != 0)
    std::this_thread::yield();
  const PoolNumbers numbers = pool.numbers();
  EXPECT_EQ(numbers.threads, 1U);
  EXPECT_EQ(numbers.running, 0U);
  EXPECT_EQ(numbers.runnable, 0U);
  ASSERT_EQ(numbers.steps.size(), 1U);
  EXPECT_EQ(numbers.steps.at("scripted").ran.count(), 3U);
  EXPECT_EQ(numbers.steps.at("scripted").waited.count(), 3U);
}

TEST(PoolTest, WaitingTaskTakesOneStepForAllWakesBeforeIt) {
  Pool pool(1);
  std::promise<void> first;
  std::promise<void> second;
  auto task = scripted([&](int step) {
    if (step == 1) first.set_value();
    if (step == 2) second.set_value();
    return Next::wait();
  });
  pool.spawn(task);
  first.get_future().wait();

  // Holds the one thread, so that the wakes come before the task's next step.
  std::promise<void> held;
  std::promise<void> release;
  pool.spawn(scripted([&](int) {
    held.set_value();
    release.get_future().wait();
    return Next::done();
  }));
  held.get_future().wait();
  for (int i = 0; i < 10; ++i)
    task->wake();
  release.set_value();
  second.get_future().wait();

  // Whatever was queued for the task has been taken before a task that comes after it.
  std::promise<void> after;
  pool.spawn(scripted([&](int) {
    after.set_value();
    return Next::done();
  }));
  after.get_future().wait();
  EXPECT_EQ(task->steps, 2);
}

TEST(PoolTest, WakeDuringAStepIsNotLost) {
  Pool pool(2);
  std::promise<void> second;
  std::shared_ptr<Scripted> task;
  std::promise<void> assigned;
  auto ready = assigned.get_future().share();
  task = scripted([&, ready](int step) {
    ready.wait();
    if (step == 1) {
      task->wake();
      return Next::wait();
    }
    second.set_value();
    return Next::done();
  });
  assigned.set_value();
  pool.spawn(task);
  second.get_future().wait();
}

TEST(PoolTest, TasksTakeTurns) {
  Pool pool(1);
  std::string turns;
  std::promise<void> ended;
  std::promise<void> begin;
  auto begun = begin.get_future().share();
  pool.spawn(scripted([begun](int) {
    begun.wait();
    return Next::done();
  }));
  for (const char name : {'a', 'b', 'c'}) {
    pool.spawn(scripted([&, name](int step) {
      turns += name;
      if (step < 3) return Next::again();
      if (name == 'c') ended.set_value();
      return Next::done();
    }));
  }
  begin.set_value();
  ended.get_future().wait();
  EXPECT_EQ(turns, "abcabcabc");
}

TEST(PoolTest, AlarmsRingInTheirOrderAndOnlyTheLastOfATask) {
  Pool pool(1);
  std::string order;
  std::promise<void> ended;
  const auto start = std::chrono::steady_clock::now();
  auto late = scripted([&](int step) {
    if (step == 1) return Next::wait_until(start + 60ms);
    order += 'l';
    EXPECT_GE(std::chrono::steady_clock::now(), start + 60ms);
    ended.set_value();
    return Next::done();
  });
  auto early = scripted([&](int step) {
    if (step == 1) return Next::wait_until(start + 20ms);
    order += 'e';
    return Next::done();
  });
  // Woken before its alarm: the alarm finds it waiting for something else, and lets it be.
  auto woken = scripted([&](int step) {
    if (step == 1) return Next::wait_until(start + 40ms);
    order += 'w';
    return Next::wait();
  });
  pool.spawn(late);
  pool.spawn(early);
  pool.spawn(woken);
  std::promise<void> behind;
  pool.spawn(scripted([&](int) {
    behind.set_value();
    return Next::done();
  }));
  behind.get_future().wait();
  woken->wake();
  ended.get_future().wait();
  EXPECT_EQ(std::count(order.begin(), order.end(), 'w'), 1);
  EXPECT_LT(order.find('e'), order.find('l'));
}

TEST(PoolTest, AlarmsOfATaskThatIsWokenAreForgotten) {
  Pool pool(1);
  const auto far = std::chrono::steady_clock::now() + 1h;
  std::promise<void> ended;
  auto task = scripted([&](int step) {
    if (step == 1000) {
      ended.set_value();
      return Next::done();
    }
    return Next::wait_until(far);
  });
  pool.spawn(task);
  std::atomic<bool> stop{false};
  std::thread waker([&] {
    while (!stop)
      task->wake();
  });
  ended.get_future().wait();
  stop = true;
  waker.join();
  // Its last owner is the test: no alarm keeps what is left of it.
  const std::weak_ptr<Task> gone = task;
  std::promise<void> behind;
  pool.spawn(scripted([&](int) {
    behind.set_value();
    return Next::done();
  }));
  behind.get_future().wait();
  task.reset();
  EXPECT_TRUE(gone.expired());
}

TEST(PoolTest, EndLetsGoOfTasksAndWakesDoNothingAfterwards) {
  std::weak_ptr<Task> gone;
  std::function<void()> waker;
  std::shared_ptr<Scripted> kept = scripted([](int) { return Next::wait(); });
  {
    Pool pool(2);
    auto task = scripted([](int) { return Next::wait(); });
    gone = task;
    waker = waker_of(task);
    pool.spawn(task);
    pool.spawn(kept);
    EXPECT_EQ(pool.tasks(), 2U);
  }
  EXPECT_TRUE(gone.expired());
  EXPECT_TRUE(kept->was_abandoned);
  waker();
  const int steps = kept->steps;
  kept->wake();
  EXPECT_EQ(kept->steps, steps);
}

TEST(PoolTest, NeverTwoStepsOfATaskAtOnce) {
  Pool pool(4);
  std::atomic<int> inside{0};
  std::atomic<int> worst{0};
  std::promise<void> ended;
  auto task = scripted([&](int step) {
    const int now = ++inside;
    if (now > 1) worst = now;
    std::this_thread::yield();
    --inside;
    if (step < 300) return Next::wait();
    ended.set_value();
    return Next::done();
  });
  pool.spawn(task);
  std::atomic<bool> stop{false};
  std::vector<std::thread> wakers;
  for (int i = 0; i < 3; ++i) {
    wakers.emplace_back([&] {
      while (!stop)
        task->wake();
    });
  }
  ended.get_future().wait();
  stop = true;
  for (std::thread& waker : wakers)
    waker.join();
  EXPECT_EQ(worst, 0);
  EXPECT_EQ(task->steps, 300);
}

}  // namespace
}  // namespace bobbin::feed
