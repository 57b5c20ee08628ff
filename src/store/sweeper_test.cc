#include "store/sweeper.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

class SweeperTest : public testing::Test, protected BucketFixture {
 protected:
  SweeperTest() : sweeper_(bucket(), clock()) {}

  Sweeper sweeper_;
};

TEST_F(SweeperTest, SleepsUntilWokenWhenNothingExpires) {
  set("k", "v");
  EXPECT_EQ(sweeper_.step(), Sweeper::kUntilWoken);
  set("other", "v");
  EXPECT_EQ(sweeper_.wakes(), 0U);
}

TEST_F(SweeperTest, IsWokenByTheFirstExpiryOnly) {
  EXPECT_EQ(sweeper_.step(), Sweeper::kUntilWoken);
  set("k", "v", in(10));
  EXPECT_EQ(sweeper_.wakes(), 1U);
  const uint64_t pause_ms = sweeper_.step();
  EXPECT_GE(pause_ms, 100U);
  EXPECT_LE(pause_ms, 60'000U);
  set("l", "v", in(10));
  EXPECT_EQ(sweeper_.wakes(), 1U);
}

TEST_F(SweeperTest, IsWokenByATouchThatSetsAnExpiry) {
  set("k", "v");
  (void)sweeper_.step();
  bucket().touch("k", in(10), now());
  EXPECT_EQ(sweeper_.wakes(), 1U);
  bucket().touch("k", 0, now());
  EXPECT_EQ(sweeper_.step(), Sweeper::kUntilWoken);
  (void)bucket().fetch("k", {.touch = in(10)}, now());
  EXPECT_EQ(sweeper_.wakes(), 2U);
}

TEST_F(SweeperTest, RemovesTheExpiredWithinARound) {
  for (int i = 0; i < 5000; ++i) {
    set(numbered("short", i), "v", in(10));
    set(numbered("long", i), "v", in(10'000));
    set(numbered("ever", i), "v");
  }
  clock().advance_s(10);
  uint64_t waited_ms = 0;
  while (bucket().statistics().items != 10'000) {
    waited_ms += sweeper_.step();
    ASSERT_LT(waited_ms, 130'000U);
  }
  EXPECT_GT(waited_ms, 30'000U) << "gently";
  const Statistics statistics = bucket().statistics();
  EXPECT_EQ(statistics.expired, 5000U);
  EXPECT_EQ(statistics.expired_unfetched, 5000U);
  EXPECT_EQ(statistics.items_with_expiry, 5000U);
}

TEST_F(SweeperTest, FreesGarbageAtOnceAndInSteps) {
  for (int i = 0; i < 5000; ++i)
    set(numbered("key", i), "v");
  EXPECT_EQ(sweeper_.step(), Sweeper::kUntilWoken);
  bucket().flush(now());
  EXPECT_EQ(sweeper_.wakes(), 1U);
  int steps = 0;
  while (sweeper_.step() == 0)
    ++steps;
  EXPECT_GE(steps, 4);
  EXPECT_EQ(bucket().statistics().used_bytes, 0U);
}

TEST_F(SweeperTest, WaitsForAFlushsDeadlineAndRunsIt) {
  set("k", "v");
  bucket().flush_at(in(7), now());
  EXPECT_EQ(sweeper_.wakes(), 1U);
  EXPECT_EQ(sweeper_.step(), 7000U);
  clock().advance_s(7);
  while (sweeper_.step() == 0) {
  }
  EXPECT_EQ(bucket().statistics().items, 0U);
  EXPECT_EQ(bucket().statistics().used_bytes, 0U);
}

TEST_F(SweeperTest, ItsThreadFreesWhatAFlushCutOff) {
  sweeper_.start();
  for (int i = 0; i < 5000; ++i)
    set(numbered("key", i), "v", i % 2 == 0 ? in(100) : 0);
  bucket().flush(now());
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (bucket().statistics().used_bytes != 0) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    std::this_thread::yield();
  }
}

}  // namespace
}  // namespace bobbin::store
