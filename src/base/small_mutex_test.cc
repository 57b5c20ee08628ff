#include "base/small_mutex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace bobbin::base {
namespace {

TEST(SmallMutexTest, IsTakenOnceOnly) {
  SmallMutex mutex;
  ASSERT_TRUE(mutex.try_lock());
  EXPECT_FALSE(mutex.try_lock());
  mutex.unlock();
  ASSERT_TRUE(mutex.try_lock());
  mutex.unlock();
}

TEST(SmallMutexTest, OneThreadAtATimeHasIt) {
  constexpr int kThreads = 4;
  constexpr int kTimes = 20'000;
  SmallMutex mutex;
  // Not atomic: what is lost, or raced for, is the mutex's fault.
  int64_t counted = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kTimes; ++j) {
        const MutexLock lock(mutex);
        ++counted;
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(counted, int64_t{kThreads} * kTimes);
}

// Each of them sleeps in the kernel, and each unlock wakes only one: none may be forgotten.
TEST(SmallMutexTest, WakesAllThatSleepOneAfterTheOther) {
  constexpr int kThreads = 8;
  for (int round = 0; round < 20; ++round) {
    SmallMutex mutex;
    mutex.lock();
    std::atomic<int> started{0};
    int through = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        ++started;
        const MutexLock lock(mutex);
        ++through;
      });
    }
    while (started != kThreads)
      std::this_thread::yield();
    // Most are asleep by now; a test that finds them awake is as good.
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_FALSE(mutex.try_lock());
    EXPECT_EQ(through, 0);
    mutex.unlock();
    for (std::thread& thread : threads)
      thread.join();
    EXPECT_EQ(through, kThreads);
    EXPECT_TRUE(mutex.try_lock());
    mutex.unlock();
  }
}

}  // namespace
}  // namespace bobbin::base
