#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/pinned_bytes.h"

namespace bobbin::base {
namespace {

void count(void* owner) noexcept {
  ++*static_cast<int*>(owner);
}

TEST(PinnedBytes, ReleasesOnceHoweverOftenItMoves) {
  int released = 0;
  {
    PinnedBytes first({"abc", 3}, &released, &count);
    PinnedBytes second(std::move(first));
    PinnedBytes third;
    third = std::move(second);
    EXPECT_EQ(third.size(), 3U);
    EXPECT_TRUE(second.empty());  // NOLINT(bugprone-use-after-move): the moved-from state is what is tested
    EXPECT_EQ(released, 0);
  }
  EXPECT_EQ(released, 1);
}

TEST(PinnedBytes, AssignmentReleasesWhatItHeld) {
  int old_released = 0;
  int new_released = 0;
  PinnedBytes bytes({"a", 1}, &old_released, &count);
  bytes = PinnedBytes({"b", 1}, &new_released, &count);
  EXPECT_EQ(old_released, 1);
  EXPECT_EQ(new_released, 0);
}

TEST(ManualClock, MovesOnlyWhenTold) {
  ManualClock clock(100);
  EXPECT_EQ(clock.now().unix_s(), 100U);
  clock.advance_s(5);
  EXPECT_EQ(clock.now().unix_s(), 105U);
}

}  // namespace
}  // namespace bobbin::base
