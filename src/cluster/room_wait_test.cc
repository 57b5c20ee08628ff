#include "cluster/room_wait.h"

#include <gtest/gtest.h>

namespace bobbin::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr RoomWait::Time kStart{};

TEST(RoomWait, IsToldOnceAfterTenSeconds) {
  RoomWait wait;
  EXPECT_FALSE(wait.tell(kStart + seconds(100))) << "nothing waits";
  wait.waits(kStart);
  wait.waits(kStart + seconds(9));
  EXPECT_FALSE(wait.tell(kStart + seconds(10) - milliseconds(1)));
  EXPECT_TRUE(wait.tell(kStart + seconds(10)));
  EXPECT_FALSE(wait.tell(kStart + seconds(20)));
  wait.goes_on();
  wait.waits(kStart + seconds(30));
  EXPECT_FALSE(wait.tell(kStart + seconds(50)));
}

TEST(RoomWait, IsOfOneChange) {
  RoomWait wait;
  for (int i = 0; i < 10; ++i) {
    wait.waits(kStart + seconds(9 * i));
    EXPECT_FALSE(wait.tell(kStart + seconds(9 * i + 9)));
    wait.goes_on();
  }
}

}  // namespace
}  // namespace bobbin::cluster
