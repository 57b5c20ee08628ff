#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

BucketOptions tight(uint64_t quota_bytes = 1 << 20) {
  BucketOptions options = BucketFixture::small_options();
  options.quota_bytes = quota_bytes;
  return options;
}

class Recorder final : public EvictionObserver {
 public:
  void on_evicted(const Document& document, const EvictionFacts& facts) noexcept override {
    ++evicted;
    if (facts.fetched) ++fetched;
    last_key = document.key();
    last_expiry = facts.expiry;
  }
  int evicted = 0;
  int fetched = 0;
  std::string last_key;
  uint32_t last_expiry = 0;
};

TEST(Eviction, KeepsUsedBytesWithinTheQuota) {
  BucketFixture fixture(tight());
  for (int i = 0; i < 50'000; ++i) {
    ASSERT_TRUE(fixture.set(numbered("key", i), std::string(i % 400, 'x')).ok()) << i;
    if (i % 64 == 0) {
      ASSERT_LE(fixture.bucket().statistics().used_bytes, fixture.bucket().quota_bytes()) << i;
    }
  }
  const Statistics statistics = fixture.bucket().statistics();
  EXPECT_GT(statistics.evictions, 40'000U);
  EXPECT_EQ(statistics.evictions, statistics.evicted_unfetched);
  EXPECT_EQ(statistics.items + statistics.evictions, statistics.total_items);
  EXPECT_GT(statistics.used_bytes, fixture.bucket().quota_bytes() * 9 / 10)
      << "does not evict more than it needs";
}

TEST(Eviction, SparesWhatIsRead) {
  BucketFixture fixture(tight());
  fixture.set("hot", "v");
  for (int i = 0; i < 100'000; ++i) {
    fixture.set(numbered("cold", i), std::string(100, 'x'));
    if (i % 100 == 0) {
      ASSERT_EQ(fixture.get("hot"), "v") << i;
    }
  }
}

TEST(Eviction, TakesTheExpiredFirstAndCountsThemApart) {
  BucketFixture fixture(tight());
  for (int i = 0; i < 2000; ++i)
    fixture.set(numbered("old", i), std::string(200, 'x'), fixture.in(5));
  fixture.clock().advance_s(5);
  for (int i = 0; i < 3500; ++i)
    fixture.set(numbered("new", i), std::string(100, 'x'));
  const Statistics statistics = fixture.bucket().statistics();
  EXPECT_GT(statistics.reclaimed, 300U);
  EXPECT_GT(statistics.reclaimed, statistics.evictions * 2);
  EXPECT_EQ(statistics.expired, statistics.reclaimed);
}

TEST(Eviction, RefusesInsteadWhenItIsOff) {
  BucketOptions options = tight();
  options.evict = false;
  BucketFixture fixture(options);
  int stored = 0;
  while (fixture.set(numbered("key", stored), std::string(1000, 'x')).ok())
    ++stored;
  EXPECT_GT(stored, 750);
  EXPECT_EQ(fixture.bucket().draft("k", 0, 0, 1000, fixture.now()).error(), DraftError::no_memory);
  EXPECT_EQ(fixture.bucket().statistics().evictions, 0U);
  EXPECT_EQ(fixture.bucket().statistics().items, static_cast<uint64_t>(stored));
  EXPECT_GE(fixture.bucket().statistics().no_memory, 2U);
  for (int i = 0; i < 10; ++i)
    (void)fixture.bucket().remove(numbered("key", i), {}, fixture.now());
  EXPECT_TRUE(fixture.set("again", std::string(1000, 'x')).ok());
}

TEST(Eviction, MakesRoomForAValueAsLargeAsMostOfTheQuota) {
  BucketOptions options = tight(8 << 20);
  options.max_value_bytes = 6 << 20;
  BucketFixture fixture(options);
  for (int i = 0; i < 60'000; ++i)
    fixture.set(numbered("small", i), std::string(50, 'x'));
  EXPECT_TRUE(fixture.set("large", std::string(6 << 20, 'y')).ok());
  EXPECT_LE(fixture.bucket().statistics().used_bytes, fixture.bucket().quota_bytes());
  EXPECT_EQ(fixture.get("large").size(), size_t{6 << 20});
}

TEST(Eviction, EvictsFewLargeHotDocumentsAmongManyVBuckets) {
  BucketOptions options = tight(8 << 20);
  options.vbuckets = 1024;
  BucketFixture fixture(options);
  for (int i = 0; i < 100; ++i) {
    const std::string key = numbered("large", i);
    ASSERT_TRUE(fixture.set(key, std::string(1 << 20, 'y')).ok()) << i;
    for (int k = 0; k < 5; ++k)
      ASSERT_EQ(fixture.get(key).size(), size_t{1 << 20});
  }
}

TEST(Eviction, AnswersNoMemoryWhenEverythingIsInUse) {
  BucketOptions options = tight(4 << 20);
  BucketFixture fixture(options);
  std::vector<DocumentRef> held;
  for (int i = 0; i < 100; ++i) {
    const std::string key = numbered("held", i);
    if (!fixture.set(key, std::string(100'000, 'x')).ok()) break;
    held.push_back(std::move(fixture.bucket().fetch(key, fixture.now()).doc));
  }
  EXPECT_LT(held.size(), 45U);
  EXPECT_EQ(fixture.bucket().statistics().evictions, 0U);
  held.clear();
  EXPECT_TRUE(fixture.set("more", std::string(100'000, 'x')).ok());
}

TEST(Eviction, TellsTheObserver) {
  BucketFixture fixture(tight());
  Recorder recorder;
  fixture.bucket().set_eviction_observer(&recorder);
  for (int i = 0; i < 5000; ++i) {
    const std::string key = numbered("key", i);
    fixture.set(key, std::string(300, 'x'), fixture.in(1000));
    if (i % 2 == 0) (void)fixture.get(key);
  }
  const Statistics statistics = fixture.bucket().statistics();
  EXPECT_GT(recorder.evicted, 0);
  EXPECT_EQ(static_cast<uint64_t>(recorder.evicted), statistics.evictions);
  EXPECT_EQ(static_cast<uint64_t>(recorder.evicted - recorder.fetched), statistics.evicted_unfetched);
  EXPECT_EQ(statistics.evicted_with_expiry, statistics.evictions);
  EXPECT_EQ(recorder.last_expiry, fixture.in(1000));
  fixture.bucket().set_eviction_observer(nullptr);
}

}  // namespace
}  // namespace bobbin::store
