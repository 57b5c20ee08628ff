#include "store/removals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "store/memory.h"
#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

class RemovalsTest : public testing::Test {
 protected:
  RemovalsTest() : account_(*MemoryAccount::open(1 << 20)), removals_(account_, 5) {}
  ~RemovalsTest() override { account_.close(); }

  void note(const std::string& key, uint64_t seqno, uint64_t persisted = 0) {
    ASSERT_TRUE(removals_.reserve(persisted));
    removals_.note(key, {seqno, 100 + seqno, 200 + seqno, 300});
  }

  MemoryAccount& account_;
  Removals removals_;
};

TEST_F(RemovalsTest, EachIsFoundUntilItIsOnDisk) {
  EXPECT_FALSE(removals_.find("k1", 0));
  for (uint64_t i = 1; i <= 1000; ++i)
    note(numbered("k", static_cast<int>(i)), i);
  for (uint64_t i = 1; i <= 1000; ++i) {
    const auto found = removals_.find(numbered("k", static_cast<int>(i)), 0);
    ASSERT_TRUE(found) << i;
    EXPECT_EQ(found->seqno, i);
    EXPECT_EQ(found->cas, 100 + i);
    EXPECT_EQ(found->revision, 200 + i);
    EXPECT_EQ(found->time_s, 300U);
  }
  EXPECT_FALSE(removals_.find("k1001", 0));
  EXPECT_FALSE(removals_.find("k7", 7));
  EXPECT_TRUE(removals_.find("k8", 7));
  EXPECT_FALSE(removals_.find({9, "k8"}, 7)) << "another collection's";
}

TEST_F(RemovalsTest, TheLastOfAKeyCounts) {
  note("k", 1);
  note("k", 5);
  EXPECT_EQ(removals_.find("k", 2)->seqno, 5U);
}

TEST_F(RemovalsTest, WhatIsOnDiskTakesNoMemory) {
  const uint64_t before = account_.used_bytes();
  note("k", 1);
  removals_.persisted(0);
  EXPECT_GT(account_.used_bytes(), before);
  removals_.persisted(1);
  EXPECT_EQ(account_.used_bytes(), before);
  // Where there is always one that is not, it stays as small as these are few.
  uint64_t most = 0;
  for (uint64_t i = 2; i < 10'000; ++i) {
    note(numbered("k", static_cast<int>(i)), i, i - 3);
    removals_.persisted(i - 3);
    most = std::max(most, account_.used_bytes() - before);
  }
  EXPECT_LT(most, 2000U);
  EXPECT_TRUE(removals_.find("k9999", 9996));
}

TEST_F(RemovalsTest, WhatCountsNoMoreIsForgotten) {
  note("k", 9);
  removals_.forget_all();
  EXPECT_FALSE(removals_.find("k", 0));
  // Where seqnos begin anew.
  note("k", 1);
  EXPECT_TRUE(removals_.find("k", 0));
  removals_.persisted(1);
  EXPECT_FALSE(removals_.find("k", 0));
}

TEST(HighestRevisionTest, NoneIsAboveWhatADocumentCanHave) {
  HighestRevision highest;
  EXPECT_TRUE(highest.nothing());
  highest.take(3);
  highest.take(2);
  EXPECT_EQ(highest, (HighestRevision{3, true}));
  highest.take(UINT64_MAX);
  EXPECT_EQ(highest.revision, kMaxRevision);
  EXPECT_FALSE(HighestRevision({0, false}).nothing());
}

TEST(HighestRemovalTest, OnlyWhoHasSeenAllKnowsOfNone) {
  HighestRemoval highest;
  EXPECT_TRUE(highest.nothing());
  highest.take(3, 20);
  highest.take(2, 30);
  EXPECT_EQ(highest, (HighestRemoval{3, 30, true}));
  EXPECT_FALSE(highest.nothing());
  EXPECT_FALSE(HighestRemoval({0, 0, false}).nothing());
}

}  // namespace
}  // namespace bobbin::store
