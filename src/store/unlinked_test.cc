#include "store/unlinked.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace bobbin::store {
namespace {

TEST(UnlinkedTest, NothingHasLeftAtFirst) {
  Unlinked unlinked;
  EXPECT_TRUE(unlinked.nothing());
  EXPECT_FALSE(unlinked.may_have_left(7, 0));
  unlinked.note(7, 3);
  EXPECT_FALSE(unlinked.nothing());
  unlinked.start_over();
  EXPECT_TRUE(unlinked.nothing());
  EXPECT_FALSE(unlinked.may_have_left(7, 0));
}

TEST(UnlinkedTest, KeysAreToldApartWhenSomebodyHasAsked) {
  Unlinked unlinked;
  unlinked.note(1, 5);
  EXPECT_TRUE(unlinked.may_have_left(2, 4)) << "nobody had asked";
  EXPECT_FALSE(unlinked.may_have_left(2, 5));
  unlinked.note(1, 9);
  EXPECT_TRUE(unlinked.may_have_left(2, 4)) << "that was before";
  EXPECT_FALSE(unlinked.may_have_left(2, 5));
  EXPECT_TRUE(unlinked.may_have_left(1, 5));
  EXPECT_TRUE(unlinked.may_have_left(1, 8));
  EXPECT_FALSE(unlinked.may_have_left(1, 9));
}

TEST(UnlinkedTest, WhoHasLeftIsNeverDenied) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  Unlinked unlinked;
  std::map<uint64_t, uint64_t> left;
  int wrong = 0;
  int asked = 0;
  for (uint64_t seqno = 1; seqno < 20'000; ++seqno) {
    const uint64_t hash = (random() % 1000 + 1) * 0x9e3779b97f4a7c15U;
    if (random() % 2 == 0) {
      unlinked.note(hash, seqno);
      left[hash] = seqno;
      continue;
    }
    // As old as a read is that some ten keys have left meanwhile.
    const uint64_t above = seqno - std::min<uint64_t>(seqno, 20);
    const bool may_have = unlinked.may_have_left(hash, above);
    const auto at = left.find(hash);
    const bool has = at != left.end() && at->second > above;
    if (has) {
      ASSERT_TRUE(may_have) << seqno;
    }
    ++asked;
    wrong += may_have && !has ? 1 : 0;
  }
  EXPECT_LT(wrong, asked / 10);
}

}  // namespace
}  // namespace bobbin::store
