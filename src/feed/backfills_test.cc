#include "feed/backfills.h"

#include <gtest/gtest.h>

#include <string>

namespace bobbin::feed {
namespace {

TEST(BackfillsTest, WhoComesLaterHasATurnWhenOneIsGivenBack) {
  Backfills backfills(1);
  std::string woken;
  const int a = 0;
  const int b = 0;
  const int c = 0;
  Backfills::Turn first = backfills.take(&a, [] {});
  EXPECT_TRUE(first);
  EXPECT_FALSE(backfills.take(&b, [&] { woken += "b"; }));
  EXPECT_FALSE(backfills.take(&b, [&] { woken += "b"; })) << "it is in the queue once";
  EXPECT_FALSE(backfills.take(&c, [&] { woken += "c"; }));
  EXPECT_EQ(backfills.waiting(), 2U);
  first = {};
  EXPECT_EQ(woken, "b");
  EXPECT_FALSE(backfills.take(&a, [] {})) << "the turn is kept for who waited";
  Backfills::Turn second = backfills.take(&b, [] {});
  EXPECT_TRUE(second);
  second = {};
  EXPECT_EQ(woken, "bc");
}

TEST(BackfillsTest, WhoHasGoneKeepsNobodyWaiting) {
  Backfills backfills(1);
  std::string woken;
  const int a = 0;
  const int b = 0;
  const int c = 0;
  Backfills::Turn first = backfills.take(&a, [] {});
  EXPECT_FALSE(backfills.take(&b, [&] { woken += "b"; }));
  EXPECT_FALSE(backfills.take(&c, [&] { woken += "c"; }));
  first = {};
  backfills.forget(&b);
  EXPECT_EQ(woken, "bc");
  backfills.forget(&c);
  EXPECT_EQ(backfills.running(), 0U);
  EXPECT_TRUE(backfills.take(&a, [] {}));
}

}  // namespace
}  // namespace bobbin::feed
