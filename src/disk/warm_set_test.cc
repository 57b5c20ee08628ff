#include "disk/warm_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "disk/persistence_fixture.h"
#include "disk/system_file.h"

namespace bobbin::disk {
namespace {

using store::EvictionPolicy;

constexpr int kDocuments = 3000;
constexpr int kHot = 60;

// A bucket of which an eighth has room in memory, and of which some documents, spread over all of it, are
// asked for again and again.
class WarmSetTest : public testing::TestWithParam<EvictionPolicy>, protected PersistenceFixture {
 protected:
  WarmSetTest() {
    options().bucket.eviction = GetParam();
    options().bucket.quota_bytes = 4 << 20;
    options().max_dirty_bytes = 1 << 20;
  }

  static std::string key(int i) { return "key-" + std::to_string(i); }
  static bool is_hot(int i) { return i % (kDocuments / kHot) == 7; }
  [[nodiscard]] std::string file() { return options().directory.path + "/warm"; }

  void fill() {
    const std::string value(10'000, 'v');
    for (int i = 0; i < kDocuments; ++i) {
      store::StoreResult stored = set(key(i), value);
      while (stored.status == store::StoreStatus::no_memory) {
        ASSERT_TRUE(there().bring_to_disk());
        stored = set(key(i), value);
      }
      ASSERT_TRUE(stored.ok());
    }
    ASSERT_TRUE(there().bring_to_disk());
  }
  void use_hot_ones() {
    for (int round = 0; round < 5; ++round) {
      for (int i = 0; i < kDocuments; ++i) {
        if (!is_hot(i)) continue;
        ASSERT_EQ(get(key(i)).size(), 10'000U);
      }
    }
  }
  [[nodiscard]] bool in_memory(int i) {
    const auto seen = bucket().peek(key(i), now());
    return seen && !seen->would_block && seen->doc && seen->doc->resident();
  }
  // Those of the hot ones that are in memory and that eviction would spare: a few have made room for others.
  [[nodiscard]] std::vector<int> in_use() {
    std::vector<int> found;
    for (int i = 0; i < kDocuments; ++i)
      if (is_hot(i) && in_memory(i) && bucket().peek(key(i), now())->frequency > 0) found.push_back(i);
    return found;
  }
  [[nodiscard]] bool has_all(const WarmSet& set, const std::vector<int>& documents) {
    return std::all_of(documents.begin(), documents.end(), [&](int i) {
      const std::string name = key(i);
      return set.contains(bucket().vbucket_of(name), name);
    });
  }
  [[nodiscard]] long in_memory_of(const std::vector<int>& documents) {
    return std::count_if(documents.begin(), documents.end(), [&](int i) { return in_memory(i); });
  }
  [[nodiscard]] int in_memory() {
    int count = 0;
    for (int i = 0; i < kDocuments; ++i)
      count += in_memory(i) ? 1 : 0;
    return count;
  }
};

INSTANTIATE_TEST_SUITE_P(Eviction, WarmSetTest, testing::Values(EvictionPolicy::value, EvictionPolicy::full),
                         [](const auto& tested) {
                           return std::string(tested.param == EvictionPolicy::value ? "Value" : "Full");
                         });

TEST_P(WarmSetTest, WhatWasInUseIsWhatComesIntoMemory) {
  start_warm();
  fill();
  use_hot_ones();
  const std::vector<int> used = in_use();
  ASSERT_GT(used.size(), kHot / 2);
  for (int restarts = 0; restarts < 2; ++restarts) {
    close();
    start_warm();
    // Once more without a single get in between.
    EXPECT_EQ(in_memory_of(used), std::ssize(used));
    EXPECT_GT(in_memory(), 2 * kHot) << "what room is left is used";
    EXPECT_EQ(bucket().statistics().items, uint64_t{kDocuments});
    EXPECT_EQ(get(key(0)).size(), 10'000U);
  }
}

TEST_P(WarmSetTest, WithoutTheFileItIsWhatLiesFirst) {
  start_warm();
  fill();
  use_hot_ones();
  const std::vector<int> used = in_use();
  close();
  ASSERT_TRUE(remove_file(file()));
  start_warm();
  EXPECT_LT(in_memory_of(used), std::ssize(used) / 2) << "else these tests cannot fail";
}

TEST_P(WarmSetTest, ADamagedFileIsNoObstacle) {
  start_warm();
  fill();
  use_hot_ones();
  close();
  auto text = read_file(file());
  ASSERT_TRUE(text && *text);
  (**text)[(*text)->size() / 2] ^= 1;
  ASSERT_TRUE(replace_file(file(), **text));
  start_warm();
  EXPECT_GT(in_memory(), 2 * kHot);
  EXPECT_EQ(get(key(kDocuments - 1)).size(), 10'000U);
}

TEST_P(WarmSetTest, ACrashLeavesWhatWasWrittenLast) {
  options().warm_set_period = std::chrono::milliseconds(1);
  start_warm();
  fill();
  use_hot_ones();
  const std::vector<int> used = in_use();
  ASSERT_GT(used.size(), kHot / 2);
  while (!has_all(read_warm_set(options().directory.path), used))
    std::this_thread::yield();
  crash();
  start_warm();
  EXPECT_EQ(in_memory_of(used), std::ssize(used));
}

TEST_P(WarmSetTest, ThereIsNoneWhereEverythingIsInMemory) {
  options().bucket.quota_bytes = 64 << 20;
  start_warm();
  fill();
  use_hot_ones();
  close();
  const auto text = read_file(file());
  ASSERT_TRUE(text);
  EXPECT_FALSE(*text);
}

TEST(WarmSetFileTest, EveryTruncationIsRefused) {
  const WarmSet none;
  const std::string text = none.encode();
  ASSERT_TRUE(WarmSet::decode(text));
  for (size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(WarmSet::decode(std::string_view(text).substr(0, size))) << size;
}

}  // namespace
}  // namespace bobbin::disk
