#include <gtest/gtest.h>

#include <string>

#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

class FlushTest : public testing::Test, protected BucketFixture {
 protected:
  void fill(int count) {
    for (int i = 0; i < count; ++i)
      set(numbered("key", i), std::string(100, 'x'));
  }
};

TEST_F(FlushTest, EmptiesAtOnceAndFreesLater) {
  fill(1000);
  const uint64_t full = bucket().statistics().used_bytes;
  bucket().flush(now());
  Statistics statistics = bucket().statistics();
  EXPECT_EQ(statistics.items, 0U);
  EXPECT_EQ(statistics.item_bytes, 0U);
  EXPECT_EQ(statistics.garbage_items, 1000U);
  EXPECT_EQ(statistics.used_bytes, full);
  EXPECT_EQ(get("key1"), "<miss>");
  int steps = 1;
  while (bucket().sweep_garbage(100, now()))
    ++steps;
  EXPECT_GE(steps, 10);
  statistics = bucket().statistics();
  EXPECT_EQ(statistics.garbage_items, 0U);
  EXPECT_EQ(statistics.used_bytes, 0U);
}

TEST_F(FlushTest, LeavesOutstandingReferencesValid) {
  set("k", "value");
  const Fetched kept = bucket().fetch("k", now());
  bucket().flush(now());
  while (bucket().sweep_garbage(100, now())) {
  }
  EXPECT_EQ(kept.doc->value(), "value");
  EXPECT_GT(bucket().statistics().used_bytes, 0U);
}

TEST_F(FlushTest, WhatIsSetAfterwardsStays) {
  set("k", "old");
  bucket().flush(now());
  set("k", "new");
  while (bucket().sweep_garbage(100, now())) {
  }
  EXPECT_EQ(get("k"), "new");
}

TEST_F(FlushTest, ADelayedFlushTakesAllThatIsThereWhenItComes) {
  set("before", "v");
  bucket().flush_at(in(10), now());
  clock().advance_s(9);
  set("between", "v");
  EXPECT_EQ(get("before"), "v");
  clock().advance_s(1);
  EXPECT_EQ(get("before"), "<miss>");
  EXPECT_EQ(get("between"), "<miss>");
  set("after", "v");
  clock().advance_s(100);
  EXPECT_EQ(get("after"), "v");
}

TEST_F(FlushTest, EveryOperationSeesADelayedFlush) {
  const auto due = [&] {
    set("k", "1");
    bucket().flush_at(in(1), now());
    clock().advance_s(1);
  };
  due();
  EXPECT_FALSE(bucket().touch("k", 0, now()).ok());
  due();
  EXPECT_FALSE(bucket().peek("k", now()));
  due();
  EXPECT_FALSE(bucket().fetch("k", FetchOptions{}, now()));
  due();
  EXPECT_EQ(bucket().remove("k", {}, now()).status, RemoveStatus::not_found);
  due();
  EXPECT_EQ(bucket().arithmetic("k", {}, now()).status, ArithmeticStatus::not_found);
  due();
  EXPECT_EQ(put(StoreMode::add, "k", "2").status, StoreStatus::stored);
  due();
  EXPECT_TRUE(bucket().sweep_garbage(1, now()) || bucket().statistics().items == 0);
  EXPECT_EQ(bucket().statistics().items, 0U);
}

TEST_F(FlushTest, ALaterDeadlineReplacesAndAFlushNowCancels) {
  set("k", "v");
  bucket().flush_at(in(10), now());
  bucket().flush_at(in(50), now());
  clock().advance_s(20);
  EXPECT_EQ(get("k"), "v");
  bucket().flush(now());
  set("k", "w");
  clock().advance_s(100);
  EXPECT_EQ(get("k"), "w");
}

TEST_F(FlushTest, ADeadlineThatHasComeIsNow) {
  set("k", "v");
  bucket().flush_at(now().unix_s(), now());
  EXPECT_EQ(get("k"), "<miss>");
}

TEST_F(FlushTest, DraftsFreeGarbageBeforeTheyEvict) {
  BucketOptions options = small_options();
  options.quota_bytes = 1 << 20;
  BucketFixture tight(options);
  for (int i = 0; i < 3000; ++i)
    tight.set(numbered("old", i), std::string(100, 'x'));
  ASSERT_EQ(tight.bucket().statistics().evictions, 0U);
  tight.bucket().flush(tight.now());
  for (int i = 0; i < 3500; ++i)
    ASSERT_TRUE(tight.set(numbered("new", i), std::string(100, 'x')).ok());
  EXPECT_EQ(tight.bucket().statistics().evictions, 0U);
  EXPECT_EQ(tight.bucket().statistics().items, 3500U);
}

}  // namespace
}  // namespace bobbin::store
