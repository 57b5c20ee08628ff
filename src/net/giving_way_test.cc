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
  const auto ended = kStart + 4ms;
  giving_way.took(kStart, ended);
  EXPECT_FALSE(giving_way.is_due(ended));
  EXPECT_FALSE(giving_way.is_due(ended + 200ms - 1us));
  EXPECT_TRUE(giving_way.is_due(ended + 200ms));
}

TEST(GivingWayTest, WhatAlwaysTakesLongIsAThousandthOfTheTime) {
  GivingWay giving_way;
  auto now = kStart;
  for (const auto pause : {200ms, 800ms, 3200ms, 4000ms, 4000ms}) {
    giving_way.took(now, now + 4ms);
    now += 4ms + pause;
    EXPECT_FALSE(giving_way.is_due(now - 1us));
    EXPECT_TRUE(giving_way.is_due(now));
    giving_way.took(now, now + 1us);
  }
}

TEST(GivingWayTest, OldDelaysAreForgotten) {
  GivingWay giving_way;
  giving_way.took(kStart, kStart + 4ms);
  giving_way.took(kStart + 204ms, kStart + 208ms);
  const auto later = kStart + 208ms + 800ms + 800ms;
  giving_way.took(later, later + 4ms);
  EXPECT_TRUE(giving_way.is_due(later + 4ms + 200ms));
}

}  // namespace
}  // namespace bobbin::net
