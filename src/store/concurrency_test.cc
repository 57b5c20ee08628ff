// Many threads on the same keys. ThreadSanitizer runs these too.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "store/store_test_support.h"
#include "store/sweeper.h"

namespace bobbin::store {
namespace {

constexpr int kThreads = 8;

void on_all_threads(const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back(work, t);
  for (std::thread& thread : threads)
    thread.join();
}

TEST(Concurrency, NoIncrementIsLost) {
  BucketFixture fixture;
  constexpr int kTimes = 2000;
  on_all_threads([&](int) {
    for (int i = 0; i < kTimes; ++i) {
      const ArithmeticResult result =
          fixture.bucket().arithmetic("n", {.delta = 1, .initial = 1}, fixture.now());
      ASSERT_TRUE(result.status == ArithmeticStatus::stored || result.status == ArithmeticStatus::created);
    }
  });
  EXPECT_EQ(fixture.get("n"), std::to_string(kThreads * kTimes));
}

TEST(Concurrency, NoAppendIsLost) {
  BucketFixture fixture;
  constexpr int kTimes = 300;
  on_all_threads([&](int t) {
    for (int i = 0; i < kTimes; ++i) {
      const StoreMode mode = t % 2 == 0 ? StoreMode::append : StoreMode::prepend;
      ASSERT_TRUE(
          fixture.put(mode, "list", std::string(1, static_cast<char>('a' + t)), {.vivify_expiry = 0}).ok());
    }
  });
  const std::string list = fixture.get("list");
  ASSERT_EQ(list.size(), size_t{kThreads * kTimes});
  for (int t = 0; t < kThreads; ++t)
    EXPECT_EQ(std::count(list.begin(), list.end(), 'a' + t), kTimes);
}

TEST(Concurrency, ExactlyOneAddAndOneTokenWins) {
  BucketFixture fixture;
  for (int round = 0; round < 100; ++round) {
    const std::string key = numbered("key", round);
    std::atomic<int> added{0};
    std::atomic<int> won{0};
    on_all_threads([&](int) {
      if (fixture.put(StoreMode::add, key, "v").ok()) ++added;
      if (fixture.bucket().fetch(key + "!", {.vivify_expiry = 0}, fixture.now()).won) ++won;
    });
    ASSERT_EQ(added, 1);
    ASSERT_EQ(won, 1);
  }
}

TEST(Concurrency, ExactlyOneCasWinsEachRound) {
  BucketFixture fixture;
  fixture.set("k", "0");
  std::atomic<int> wins{0};
  on_all_threads([&](int) {
    for (int i = 0; i < 500; ++i) {
      while (true) {
        const Fetched found = fixture.bucket().fetch("k", fixture.now());
        const std::string next = std::to_string(std::stoi(std::string(found.doc->value())) + 1);
        const StoreResult result = fixture.put(StoreMode::cas, "k", next, {.cas_compare = found.doc->cas()});
        if (result.status == StoreStatus::exists) continue;
        ASSERT_TRUE(result.ok());
        ++wins;
        break;
      }
    }
  });
  EXPECT_EQ(fixture.get("k"), std::to_string(wins));
}

// A value is one letter, as often as its length says: a torn or freed value would show.
bool is_whole(std::string_view value) {
  return value.empty() || value.find_first_not_of(value.front()) == std::string_view::npos;
}

TEST(Concurrency, EverythingAtOnceLeavesNothingBehind) {
  const char* given = std::getenv("BOBBIN_STRESS_SEED");
  const uint64_t seed = given == nullptr ? std::random_device()() : std::strtoull(given, nullptr, 10);
  SCOPED_TRACE("BOBBIN_STRESS_SEED=" + std::to_string(seed));
  BucketOptions options = BucketFixture::small_options();
  options.quota_bytes = 1 << 20;
  BucketFixture fixture(options);
  Bucket& bucket = fixture.bucket();
  Sweeper sweeper(bucket, fixture.clock(), {.round_ms = 20, .min_pause_ms = 1});
  sweeper.start();
  on_all_threads([&](int t) {
    std::mt19937_64 random(seed + static_cast<uint64_t>(t));
    for (int i = 0; i < 6000; ++i) {
      const std::string key = numbered("key", random() % 3000);
      const base::Now now = fixture.now();
      switch (random() % 14) {
        case 0:
        case 1:
        case 2:
          fixture.set(key, std::string(random() % 1000, static_cast<char>('a' + t)),
                      random() % 4 == 0 ? fixture.in(2) : 0);
          break;
        case 3:
          (void)bucket.remove(key, {.mark_stale = random() % 2 == 0}, now);
          break;
        case 4:
          bucket.touch(key, random() % 2 == 0 ? fixture.in(1) : 0, now);
          break;
        case 5:
          (void)bucket.fetch(key, {.touch = fixture.in(3), .vivify_expiry = fixture.in(2), .recache_s = 5},
                             now);
          break;
        case 6:
          if (random() % 400 == 0) bucket.flush(now);
          if (random() % 50 == 0) fixture.clock().advance_s(1);
          break;
        case 7:
          if (random() % 200 == 0) {
            bucket.for_each(
                [](const Peeked& seen) {
                  EXPECT_TRUE(seen.doc->key().front() == '#' || is_whole(seen.doc->value()));
                  return true;
                },
                now);
            (void)bucket.census(now);
            (void)bucket.statistics();
          }
          break;
        case 8: {
          const std::string other = numbered("key", random() % 3000);
          const DocKey keys[] = {key, other, key};
          Fetched found[3];
          bucket.fetch_many(keys, found, now);
          for (const Fetched& one : found)
            ASSERT_TRUE(!one || is_whole(one.doc->value()));
          break;
        }
        case 9:
          (void)bucket.arithmetic(numbered("#", random() % 100), {.delta = 1, .initial = 1}, now);
          break;
        case 10:
          // The same letter again and again, so that the value stays whole whoever else appends.
          fixture.put(random() % 2 == 0 ? StoreMode::append : StoreMode::prepend,
                      numbered("+", random() % 20), "+", {.vivify_expiry = 0});
          break;
        default: {
          const base::PinnedBytes pinned = pin(std::move(bucket.fetch(key, now).doc));
          ASSERT_TRUE(is_whole({pinned.bytes().data(), pinned.size()}));
        }
      }
    }
  });
  bucket.flush(fixture.now());
  while (bucket.sweep_garbage(1000, fixture.now())) {
  }
  EXPECT_EQ(bucket.statistics().items, 0U);
  EXPECT_EQ(bucket.statistics().item_bytes, 0U);
}

TEST(Concurrency, WritersTogetherStayWithinTheQuota) {
  BucketOptions options = BucketFixture::small_options();
  options.quota_bytes = 2 << 20;
  BucketFixture fixture(options);
  on_all_threads([&](int t) {
    for (int i = 0; i < 5000; ++i) {
      const std::string key = std::to_string(t) + "-" + std::to_string(i);
      ASSERT_TRUE(fixture.set(key, std::string(200, 'x')).ok());
    }
  });
  // Each thread charges its draft before it makes room: so many may be above for a moment, none afterwards.
  EXPECT_LE(fixture.bucket().statistics().used_bytes, fixture.bucket().quota_bytes() + kThreads * 2048);
}

}  // namespace
}  // namespace bobbin::store
