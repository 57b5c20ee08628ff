#include "store/expiry.h"

#include <gtest/gtest.h>

#include <limits>

namespace bobbin::store {
namespace {

constexpr uint32_t kNowS = 1'700'000'000;
constexpr base::Now kNow{uint64_t{kNowS} * 1'000'000'000};

TEST(Expiry, ZeroIsNever) {
  EXPECT_EQ(absolute_expiry(0, kNow), kNeverExpires);
  EXPECT_FALSE(is_expired(kNeverExpires, UINT32_MAX));
}

TEST(Expiry, NegativeIsExpiredAtOnce) {
  EXPECT_TRUE(is_expired(absolute_expiry(-1, kNow), kNowS));
  EXPECT_TRUE(is_expired(absolute_expiry(std::numeric_limits<int64_t>::min(), kNow), kNowS));
}

TEST(Expiry, UpToThirtyDaysIsRelative) {
  EXPECT_EQ(absolute_expiry(1, kNow), kNowS + 1);
  EXPECT_EQ(absolute_expiry(kRelativeExptimeLimitS, kNow), kNowS + kRelativeExptimeLimitS);
}

TEST(Expiry, BeyondThirtyDaysIsAUnixTime) {
  EXPECT_TRUE(is_expired(absolute_expiry(kRelativeExptimeLimitS + 1, kNow), kNowS));
  EXPECT_EQ(absolute_expiry(int64_t{kNowS} + 5, kNow), kNowS + 5);
  EXPECT_TRUE(is_expired(absolute_expiry(kNowS, kNow), kNowS));
}

TEST(Expiry, BeyondThirtyTwoBitsIsTheLastSecond) {
  EXPECT_EQ(absolute_expiry(int64_t{1} << 32, kNow), UINT32_MAX);
  EXPECT_EQ(absolute_expiry(std::numeric_limits<int64_t>::max(), kNow), UINT32_MAX);
}

TEST(Expiry, ADocumentIsGoneInTheSecondItNames) {
  EXPECT_FALSE(is_expired(kNowS + 1, kNowS));
  EXPECT_TRUE(is_expired(kNowS + 1, kNowS + 1));
}

}  // namespace
}  // namespace bobbin::store
