#include "cli/bench_keys.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <string>

namespace bobbin::cli {
namespace {

std::string key_of(const BenchKeys& keys, uint32_t number) {
  std::string key(keys.key_bytes(), '?');
  EXPECT_EQ(keys.write(key.data(), number), key.data() + key.size());
  return key;
}

TEST(BenchKeys, HaveOneWidthAndReadBackAsTheirNumbers) {
  for (const size_t width : {5u, 8u, 9u, 16u, 250u}) {
    const BenchKeys keys(100'000, width);
    for (const uint32_t number : {0u, 1u, 9u, 10u, 4711u, 99'999u}) {
      const std::string key = key_of(keys, number);
      EXPECT_EQ(key.size(), width);
      EXPECT_EQ(keys.number_of(key), number) << key;
    }
  }
  EXPECT_EQ(key_of(BenchKeys(10'000, 16), 17), "key-000000000017");
  EXPECT_EQ(key_of(BenchKeys(10'000, 4), 17), "0017");
}

TEST(BenchKeys, OtherTextsAreNoKeys) {
  const BenchKeys keys(1000, 8);
  EXPECT_EQ(keys.number_of("key-0999"), 999u);
  for (const char* text : {"", "key-099", "key-09999", "kex-0999", "key-1999", "key-0x99", "key-0 99"})
    EXPECT_FALSE(keys.number_of(text)) << text;
  EXPECT_FALSE(BenchKeys(900, 8).number_of("key-0900"));
}

TEST(BenchKeys, OneKeyNeedsOneDigit) {
  EXPECT_EQ(BenchKeys::digits_for(1), 1u);
  EXPECT_EQ(BenchKeys::digits_for(10), 1u);
  EXPECT_EQ(BenchKeys::digits_for(11), 2u);
  EXPECT_EQ(key_of(BenchKeys(1, 1), 0), "0");
}

TEST(BenchValueSizes, AreTheSameForAKeyAndCoverTheRange) {
  const BenchValueSizes sizes(3, 6);
  const BenchValueSizes again(3, 6);
  std::set<uint32_t> seen;
  for (uint32_t key = 0; key < 1000; ++key) {
    EXPECT_EQ(sizes.of(key), again.of(key));
    seen.insert(sizes.of(key));
  }
  EXPECT_EQ(seen, (std::set<uint32_t>{3, 4, 5, 6}));
  EXPECT_EQ(sizes.max(), 6u);
  EXPECT_EQ(BenchValueSizes(7, 7).of(123), 7u);
}

TEST(BenchRandom, IsTheSameForTheSameSeed) {
  BenchRandom one(17);
  BenchRandom other(17);
  BenchRandom third(18);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const uint32_t number = one.below(10);
    EXPECT_LT(number, 10u);
    EXPECT_EQ(number, other.below(10));
    differs |= number != third.below(10);
  }
  EXPECT_TRUE(differs);
}

/// How often each number was drawn is what Zipf's law says, within five standard deviations.
void expect_zipf(uint32_t count, double theta) {
  constexpr double kDraws = 200'000;
  const BenchZipf zipf(count, theta);
  BenchRandom random(99);
  std::vector<uint32_t> drawn(count);
  for (int i = 0; i < static_cast<int>(kDraws); ++i)
    ++drawn.at(zipf.draw(random));
  double sum = 0;
  for (uint32_t i = 0; i < count; ++i)
    sum += std::pow(i + 1.0, -theta);
  for (uint32_t i = 0; i < count; ++i) {
    const double share = std::pow(i + 1.0, -theta) / sum;
    const double deviation = std::sqrt(kDraws * share * (1 - share));
    EXPECT_NEAR(drawn[i], kDraws * share, 5 * deviation + 1) << "number " << i << ", theta " << theta;
  }
}

TEST(BenchZipf, DrawsByTheLaw) {
  for (const double theta : {0.0, 0.5, 0.99, 1.0, 1.5})
    expect_zipf(50, theta);
  expect_zipf(1000, 0.99);
  expect_zipf(1, 0.99);
  expect_zipf(2, 3);
}

}  // namespace
}  // namespace bobbin::cli
