#include "net/giving_way.h"

#include <gtest/gtest.h>

namespace bobbin::net {
namespace {

using namespace std::chrono_literals;

constexpr GivingWay::Clock::time_point kStart{std::chrono::hours(1)};

TEST(GivingWayTest, IsDueWhileItIsCheap) {
  GivingWay giving_way;
  EXPECT_TRUE(giving_way.is_due(kStart));
  giving_way.took(kStart, kStart + GivingWay::kCheap);
  EXPECT_TRUE(giving_way.is_due(kStart + GivingWay::kCheap));
}

TEST(GivingWayTest, WhatTookLongIsPaidBack) {
  GivingWay giving_way;
  const auto ended = kStart + 8ms;
  giving_way.took(kStart, ended);
  EXPECT_FALSE(giving_way.is_due(ended));
  EXPECT_FALSE(giving_way.is_due(ended + 400ms - 1us));
  EXPECT_TRUE(giving_way.is_due(ended + 400ms));
}

TEST(GivingWayTest, WhatAlwaysTakesLongIsAThousandthOfTheTime) {
  GivingWay giving_way;
  auto now = kStart;
  for (const auto pause : {400ms, 1600ms, 6400ms, 8000ms, 8000ms}) {
    giving_way.took(now, now + 8ms);
    now += 8ms + pause;
    EXPECT_FALSE(giving_way.is_due(now - 1us));
    EXPECT_TRUE(giving_way.is_due(now));
    giving_way.took(now, now + 1us);
  }
}

TEST(GivingWayTest, OldDelaysAreForgotten) {
  GivingWay giving_way;
  giving_way.took(kStart, kStart + 8ms);
  giving_way.took(kStart + 408ms, kStart + 416ms);
  const auto later = kStart + 416ms + 1600ms + 1600ms;
  giving_way.took(later, later + 8ms);
  EXPECT_TRUE(giving_way.is_due(later + 8ms + 400ms));
}

}  // namespace
}  // namespace bobbin::net
