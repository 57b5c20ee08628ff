#include "disk/give_way.h"

#include <gtest/gtest.h>

namespace bobbin::disk {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;

constexpr Turns::Clock::time_point kStart{std::chrono::hours(1)};

TEST(TurnsTest, IsDueAtOnceWhereNobodyWantedTheProcessor) {
  Turns turns;
  EXPECT_TRUE(turns.is_due(kStart));
  turns.took(kStart, kStart);
  EXPECT_TRUE(turns.is_due(kStart));
}

TEST(TurnsTest, AnEighthOfWhatOthersTookIsPaidBack) {
  Turns turns;
  turns.took(kStart, kStart + 4ms);
  EXPECT_FALSE(turns.is_due(kStart + 4ms));
  EXPECT_FALSE(turns.is_due(kStart + 4ms + 499us));
  EXPECT_TRUE(turns.is_due(kStart + 4ms + 500us));
}

TEST(TurnsTest, BesideAlwaysBusyNeighboursANinthIsLeft) {
  Turns turns;
  auto now = kStart;
  Turns::Clock::duration worked{};
  while (now < kStart + 1000ms) {
    if (turns.is_due(now)) {
      turns.took(now, now + 4ms);
      now += 4ms;
    } else {
      now += 50us;
      worked += 50us;
    }
  }
  EXPECT_GE(worked, 105ms);
  EXPECT_LE(worked, 115ms);
}

TEST(InHurryTest, IsOfItsScope) {
  EXPECT_FALSE(InHurry::is());
  {
    const InHurry outer;
    EXPECT_TRUE(InHurry::is());
    {
      const InHurry not_really(false);
      EXPECT_TRUE(InHurry::is());
    }
    EXPECT_TRUE(InHurry::is());
  }
  EXPECT_FALSE(InHurry::is());
  const InHurry not_really(false);
  EXPECT_FALSE(InHurry::is());
}

}  // namespace
}  // namespace bobbin::disk
