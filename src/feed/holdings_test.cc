#include "feed/holdings.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace bobbin::feed {
namespace {

using std::chrono::milliseconds;

std::shared_ptr<Progress> moved_at(Progress::Time time) {
  auto progress = std::make_shared<Progress>();
  progress->set_stuck(true, time);
  progress->made(time);
  return progress;
}

TEST(HoldingsTest, AnybodyTakesUpToTheLimit) {
  Holdings holdings([] { return 10; }, milliseconds(1'000'000));
  auto first = holdings.take(4, moved_at({}), [] {});
  ASSERT_NE(first, nullptr);
  // What a thing is worth may be known only when it is there.
  auto second = holdings.take(0, moved_at({}), [] {});
  ASSERT_NE(second, nullptr);
  second->set(20);
  EXPECT_EQ(holdings.held(), 24U);
  EXPECT_EQ(holdings.take(1, moved_at({}), [] {}), nullptr);
  second->set(5);
  EXPECT_NE(holdings.take(1, moved_at({}), [] {}), nullptr);
  first.reset();
  second.reset();
  EXPECT_EQ(holdings.held(), 0U);
}

TEST(HoldingsTest, WhoStandsStillIsAskedForIt) {
  Holdings holdings([] { return 3; }, milliseconds(0));
  const auto now = std::chrono::steady_clock::now();
  std::vector<int> asked(3);
  std::vector<std::unique_ptr<Holdings::Hold>> held;
  // The last has moved since the others took theirs.
  const auto mover = moved_at({});
  for (int i = 0; i < 3; ++i)
    held.push_back(
        holdings.take(1, i == 2 ? mover : moved_at({}), [&asked, i] { ++asked[static_cast<size_t>(i)]; }));
  mover->made(now + std::chrono::hours(1));
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(holdings.take(1, moved_at({}), [] {}), nullptr);
  EXPECT_EQ(asked, (std::vector<int>{1, 1, 0})) << "once each, and not who moves";
  EXPECT_TRUE(held[0]->is_asked_for());
  EXPECT_FALSE(held[2]->is_asked_for());
  held[0].reset();
  EXPECT_NE(holdings.take(1, moved_at({}), [] {}), nullptr);
}

TEST(HoldingsTest, NobodyIsAskedInTime) {
  Holdings holdings([] { return 1; }, milliseconds(1'000'000));
  bool asked = false;
  const auto held = holdings.take(1, moved_at({}), [&asked] { asked = true; });
  EXPECT_EQ(holdings.take(1, moved_at({}), [] {}), nullptr);
  EXPECT_FALSE(asked);
}

}  // namespace
}  // namespace bobbin::feed
