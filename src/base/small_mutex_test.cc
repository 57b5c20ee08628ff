#include "base/small_mutex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace bobbin::base {
namespace {

// What is expected of them is more than the analysis follows.
bool takes(SmallMutex& mutex) BOBBIN_THREAD_ANNOTATION(no_thread_safety_analysis) {
  return mutex.try_lock();
}
void give_back(SmallMutex& mutex) BOBBIN_THREAD_ANNOTATION(no_thread_safety_analysis) {
  mutex.unlock();
}

TEST(SmallMutexTest, IsTakenOnceOnly) {
  SmallMutex mutex;
  ASSERT_TRUE(takes(mutex));
  EXPECT_FALSE(takes(mutex));
  give_back(mutex);
  ASSERT_TRUE(takes(mutex));
  give_back(mutex);
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
    ASSERT_TRUE(takes(mutex));
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
    EXPECT_FALSE(takes(mutex));
    EXPECT_EQ(through, 0);
    give_back(mutex);
    for (std::thread& thread : threads)
      thread.join();
    EXPECT_EQ(through, kThreads);
    EXPECT_TRUE(takes(mutex));
    give_back(mutex);
  }
}

}  // namespace
}  // namespace bobbin::base
