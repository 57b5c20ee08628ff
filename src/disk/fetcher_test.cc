// Reads for those who wait: how many reads, what is kept in memory meanwhile, and that nobody waits for ever.

#include "disk/fetcher.h"

#include <atomic>
#include <thread>
#include <vector>

#include "disk/persistence_fixture.h"

namespace bobbin::disk {
namespace {

using store::EvictionPolicy;

const std::string kLong(500, 'x');

class FetcherTest : public testing::Test, protected PersistenceFixture {
 protected:
  FetcherTest() { options().bucket.eviction = EvictionPolicy::full; }
  /// On disk only, and nobody reads yet.
  void put_on_disk(int keys) {
    start();
    for (int i = 0; i < keys; ++i)
      (void)set("key" + std::to_string(i), kLong);
    close();
    open();
  }
};

TEST_F(FetcherTest, OneReadServesAllWhoWaitForAKey) {
  put_on_disk(3);
  std::atomic<int> called{0};
  std::vector<std::shared_ptr<Fetching>> waiting;
  const std::array<store::DocKey, 1> key = {"key1"};
  for (int i = 0; i < 100; ++i)
    waiting.push_back(there().fetch(key, [&] { ++called; }));
  EXPECT_EQ(there().statistics().fetches_pending, 1U);
  EXPECT_EQ(called.load(), 0);
  there().start();
  for (int i = 0; i < 10'000 && called.load() != 100; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(called.load(), 100);
  const PersistenceStatistics numbers = there().statistics();
  EXPECT_EQ(numbers.fetches, 1U);
  EXPECT_EQ(numbers.fetch_waiters, 100U);
  EXPECT_EQ(numbers.fetches_pending, 0U);
  for (const auto& one : waiting)
    EXPECT_FALSE(one->failed());
  EXPECT_EQ(get("key1"), kLong);
}

TEST_F(FetcherTest, OfManyLargeValuesAMegabyteIsBroughtAtATime) {
  constexpr uint64_t kKeys = 40;
  start();
  std::vector<std::string> names;
  for (uint64_t i = 0; i < kKeys; ++i) {
    names.push_back("key" + std::to_string(i));
    (void)set(names.back(), std::string(300'000, 'x'));
  }
  close();
  open();
  const std::vector<store::DocKey> keys(names.begin(), names.end());
  std::atomic<int> called{0};
  const auto fetching = there().fetch(keys, [&] { ++called; });
  there().start();
  for (int i = 0; i < 10'000 && called.load() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(called.load(), 1);
  EXPECT_FALSE(fetching->failed());
  EXPECT_EQ(there().statistics().fetches_pending, 0U);
  // Four make a megabyte; what the other readers had begun comes along.
  EXPECT_GE(there().statistics().fetches, 1U);
  EXPECT_LE(there().statistics().fetches, 4U + options().readers);
}

TEST_F(FetcherTest, ManyKeysAreCalledForOnceWhenAllAreThere) {
  put_on_disk(64);
  std::vector<std::string> names;
  std::vector<store::DocKey> keys;
  for (int i = 0; i < 70; ++i)
    names.push_back("key" + std::to_string(i % 65));
  for (const std::string& name : names)
    keys.push_back(name);
  std::atomic<int> called{0};
  const auto fetching = there().fetch(keys, [&] { ++called; });
  there().start();
  for (int i = 0; i < 10'000 && called.load() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(called.load(), 1);
  EXPECT_FALSE(fetching->failed());
  for (int i = 0; i < 64; ++i)
    EXPECT_TRUE(bucket().fetch("key" + std::to_string(i), now())) << i;
  // That it does not exist is known as well.
  EXPECT_FALSE(bucket().fetch("key64", now()).would_block);
  EXPECT_FALSE(bucket().fetch("key64", now()));
  EXPECT_EQ(called.load(), 1);
}

TEST_F(FetcherTest, WhatWasFetchedStaysUntilTheWaiterHasRun) {
  put_on_disk(1);
  there().start();
  wait_for_warmup();
  evict();
  ASSERT_TRUE(bucket().fetch("key0", now()).would_block);
  auto fetching = fetch("key0");
  evict();
  EXPECT_TRUE(bucket().fetch("key0", now()));
  fetching.reset();
  // The reader that called may hold it for a moment longer.
  bool gone = false;
  for (int i = 0; i < 10'000 && !gone; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(i == 0 ? 0 : 1));
    evict();
    evict();
    gone = bucket().fetch("key0", now()).would_block;
  }
  EXPECT_TRUE(gone);
}

TEST_F(FetcherTest, WhoWaitsAtTheEndIsTold) {
  put_on_disk(1);
  std::atomic<int> called{0};
  const std::array<store::DocKey, 2> keys = {"key0", "absent"};
  const auto fetching = there().fetch(keys, [&] { ++called; });
  crash();
  EXPECT_EQ(called.load(), 1);
  EXPECT_TRUE(fetching->failed());
}

TEST_F(FetcherTest, FetchingMayBeGivenUp) {
  put_on_disk(1);
  std::atomic<int> called{0};
  const std::array<store::DocKey, 1> keys = {"key0"};
  (void)there().fetch(keys, [&] { ++called; });
  there().start();
  for (int i = 0; i < 10'000 && called.load() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(called.load(), 1);
}

TEST_F(FetcherTest, TombstonesAndExpiredDocumentsAreAbsent) {
  // One that has lost documents, so that it does not know what it has not.
  options().directory.shards = options().directory.vbuckets = 1;
  start_warm();
  (void)set("deleted", kLong);
  (void)set("short-lived", kLong, in(10));
  flush_to_disk();
  (void)remove("deleted");
  flush_to_disk();
  evict();
  evict();
  clock().advance_s(11);
  for (const char* key : {"deleted", "short-lived"}) {
    ASSERT_TRUE(bucket().fetch(key, now()).would_block) << key;
    const auto fetching = fetch(key);
    EXPECT_FALSE(fetching->failed());
    EXPECT_FALSE(bucket().fetch(key, now()).would_block) << key;
    EXPECT_FALSE(bucket().fetch(key, now())) << key;
  }
}

}  // namespace
}  // namespace bobbin::disk
