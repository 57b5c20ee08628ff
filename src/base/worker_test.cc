#include "base/worker.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>

namespace bobbin::base {
namespace {

TEST(WorkerTest, DoesOneTaskAfterTheOther) {
  std::string done;
  std::promise<void> last;
  Worker worker(Worker::Rest::dropped);
  for (const char name : {'a', 'b', 'c'})
    EXPECT_TRUE(worker.post([&done, name] { done += name; }));
  EXPECT_TRUE(worker.post([&] { last.set_value(); }));
  last.get_future().wait();
  EXPECT_EQ(done, "abc");
}

TEST(WorkerTest, SoManyWaitAndNoMoreAndTheEndDoesThem) {
  std::string order;
  std::promise<void> begun;
  std::promise<void> go_on;
  Worker worker(Worker::Rest::done);
  ASSERT_TRUE(worker.post([&] {
    begun.set_value();
    go_on.get_future().wait();
    order += 'a';
  }));
  begun.get_future().wait();
  for (size_t i = 0; i < Worker::kMaxWaiting; ++i)
    ASSERT_TRUE(worker.post([&] { order += 'b'; }));
  EXPECT_FALSE(worker.post([] {}));
  go_on.set_value();
  worker.end();
  EXPECT_EQ(order, "a" + std::string(Worker::kMaxWaiting, 'b'));
  EXPECT_FALSE(worker.post([] {}));
}

TEST(WorkerTest, TheEndDropsThoseThatWait) {
  std::promise<void> begun;
  Worker worker(Worker::Rest::dropped);
  const auto held = std::make_shared<int>(1);
  EXPECT_TRUE(worker.post([&] {
    begun.set_value();
    while (!worker.ending().load())
      std::this_thread::yield();
  }));
  begun.get_future().wait();
  bool was_called = false;
  EXPECT_TRUE(worker.post([&was_called, held] { was_called = true; }));
  worker.end();
  EXPECT_FALSE(was_called);
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_FALSE(worker.post([] {}));
}

TEST(WorkerTest, OneThatWasAskedForNothingEnds) {
  Worker worker(Worker::Rest::done);
  worker.end();
  EXPECT_FALSE(worker.post([] {}));
}

TEST(WorkerTest, WithNobodyTasksWaitUntilTheyAreRun) {
  Worker worker(Worker::Rest::dropped, Worker::Where::nobody);
  std::string done;
  EXPECT_TRUE(worker.post([&] { done += "a"; }));
  EXPECT_TRUE(worker.post([&] {
    done += "b";
    EXPECT_TRUE(worker.post([&] { done += "c"; }));
  }));
  EXPECT_EQ(done, "");
  worker.run_waiting();
  EXPECT_EQ(done, "ab") << "what a task posts is for the next time";
  worker.run_waiting();
  EXPECT_EQ(done, "abc");
}

}  // namespace
}  // namespace bobbin::base
