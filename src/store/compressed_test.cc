// Values that are kept compressed, and those who want them otherwise.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/work.h"
#include "store/bucket.h"
#include "wire/compression.h"

namespace bobbin::store {
namespace {

constexpr base::Now kNow{1'700'000'000'000'000'000};
constexpr uint8_t kSnappy = 2;

class CompressedTest : public testing::Test {
 protected:
  static BucketOptions options() {
    BucketOptions options;
    options.quota_bytes = 8 << 20;
    options.vbuckets = 4;
    options.max_value_bytes = 1 << 20;  // so copies have 4 MiB
    return options;
  }
  void put(const std::string& key, const std::string& value, bool compressed = true) {
    std::string bytes = value;
    if (compressed) wire::deflate(value, bytes);
    auto draft = bucket_.draft(key, 0, 0, static_cast<uint32_t>(bytes.size()), kNow);
    ASSERT_TRUE(draft);
    std::copy(bytes.begin(), bytes.end(), draft->value().begin());
    if (compressed) draft->set_datatype(kSnappy);
    ASSERT_TRUE(bucket_.store(*draft, StoreMode::set, {}, kNow).ok());
  }
  StoreStatus append(const std::string& key, const std::string& value) {
    auto draft = bucket_.draft(key, 0, 0, static_cast<uint32_t>(value.size()), kNow);
    std::copy(value.begin(), value.end(), draft->value().begin());
    return bucket_.store(*draft, StoreMode::append, {}, kNow).status;
  }
  // Copies, until there is no room for another.
  std::vector<Fetched> hold(const std::string& key) {
    std::vector<Fetched> held;
    for (Fetched found = bucket_.fetch(key, kNow); found; found = bucket_.fetch(key, kNow))
      held.push_back(std::move(found));
    return held;
  }

  Bucket bucket_{options()};
};

TEST_F(CompressedTest, CopiesHaveABudgetOfTheirOwn) {
  const std::string large(600'000, 'x');
  put("large", large);
  put("small", std::string(500, 's'));
  put("modest", std::string(50'000, 'm'));
  for (int i = 0; i < 1000; ++i)
    put("k" + std::to_string(i), std::string(100, 'v'), false);
  const Statistics before = bucket_.statistics();
  EXPECT_EQ(before.inflated_bytes, 0U);

  std::vector<Fetched> held = hold("large");
  EXPECT_GE(held.size(), 5U);
  EXPECT_LE(held.size(), 7U);
  EXPECT_EQ(held[0].doc->value(), large);
  EXPECT_GE(bucket_.statistics().inflated_bytes, held.size() * large.size());
  const Fetched refused = bucket_.fetch("large", kNow);
  EXPECT_FALSE(refused);
  EXPECT_TRUE(refused.crowded && refused.no_memory && !refused.damaged);
  EXPECT_EQ(bucket_.statistics().inflated_refused, 2U);
  EXPECT_FALSE(bucket_.copy_for_reader("large", large));
  EXPECT_TRUE(bucket_.fetch("small", kNow)) << "it is copied into the reply";
  EXPECT_TRUE(bucket_.fetch("modest", kNow)) << "others hold what is large";
  EXPECT_TRUE(bucket_.fetch("large", {.takes_compressed = true}, kNow));

  // What others hold costs no document its place.
  put("another", std::string(100, 'v'), false);
  EXPECT_EQ(bucket_.statistics().items, before.items + 1);
  EXPECT_EQ(bucket_.statistics().evictions, 0U);

  held.clear();
  EXPECT_EQ(bucket_.statistics().inflated_bytes, 0U);
  EXPECT_TRUE(bucket_.fetch("large", kNow));
  EXPECT_TRUE(bucket_.copy_for_reader("large", large));
}

// What a fetch has changed is told, unless there is no room at all.
TEST_F(CompressedTest, WhoHasActedIsRefusedLater) {
  put("large", std::string(600'000, 'x'));
  const std::vector<Fetched> held = hold("large");
  EXPECT_TRUE(bucket_.fetch("large", {.touch = 1'700'000'100}, kNow));
  EXPECT_EQ(bucket_.lock("large", 10, kNow).status, LockStatus::locked);
}

// Before it is asked to wait, it holds two and what may be unsent.
TEST_F(CompressedTest, AClientAloneIsNotInItsOwnWay) {
  put("largest", std::string(1 << 20, 'x'));
  EXPECT_GE(hold("largest").size(), 3U);
}

TEST_F(CompressedTest, ABudgetGrowsWithItsBucket) {
  put("large", std::string(600'000, 'x'));
  const size_t before = hold("large").size();
  bucket_.set_quota_bytes(128 << 20);
  EXPECT_GE(hold("large").size(), 2 * before);
}

TEST_F(CompressedTest, WhatCannotBeDoneIsToldWithoutInflating) {
  put("full", std::string(1 << 20, 'x'));
  const uint64_t before = base::work_bytes();
  EXPECT_EQ(append("full", "y"), StoreStatus::too_large);
  EXPECT_EQ(bucket_.arithmetic("full", {.delta = 1}, kNow).status, ArithmeticStatus::not_a_number);
  EXPECT_LT(base::work_bytes() - before, 1000U);
  put("number", std::string(7, ' ') + "41");
  EXPECT_EQ(bucket_.arithmetic("number", {.delta = 1}, kNow).value, 42U);
}

TEST_F(CompressedTest, WorkIsCounted) {
  put("large", std::string(900'000, 'x'));
  uint64_t before = base::work_bytes();
  EXPECT_TRUE(bucket_.fetch("large", kNow));
  EXPECT_GE(base::work_bytes() - before, 900'000U);
  before = base::work_bytes();
  EXPECT_EQ(append("large", "y"), StoreStatus::stored);
  EXPECT_GE(base::work_bytes() - before, 1'800'000U) << "inflated, and written anew";
}

}  // namespace
}  // namespace bobbin::store
