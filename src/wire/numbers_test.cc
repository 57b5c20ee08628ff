#include "wire/numbers.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace bobbin::wire {
namespace {

TEST(ParseNumber, TakesTheWholeRangeOfItsType) {
  EXPECT_EQ(parse_number<uint64_t>("0"), 0U);
  EXPECT_EQ(parse_number<uint64_t>("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(parse_number<uint32_t>("4294967295"), UINT32_MAX);
  EXPECT_EQ(parse_number<int64_t>("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(parse_number<int64_t>("9223372036854775807"), INT64_MAX);
}

TEST(ParseNumber, RefusesOneBeyondTheRange) {
  EXPECT_EQ(parse_number<uint64_t>("18446744073709551616"), std::nullopt);
  EXPECT_EQ(parse_number<uint32_t>("4294967296"), std::nullopt);
  EXPECT_EQ(parse_number<int64_t>("9223372036854775808"), std::nullopt);
  EXPECT_EQ(parse_number<int64_t>("-9223372036854775809"), std::nullopt);
  EXPECT_EQ(parse_number<uint32_t>("99999999999999999999999999999999999999"), std::nullopt);
}

TEST(ParseNumber, AnUnsignedHasNoMinus) {
  EXPECT_EQ(parse_number<uint32_t>("-1"), std::nullopt);
  EXPECT_EQ(parse_number<uint64_t>("-18446744073709551615"), std::nullopt);
}

TEST(ParseNumber, IsAsLenientAsMemcached) {
  EXPECT_EQ(parse_number<uint32_t>("+1"), 1U);
  EXPECT_EQ(parse_number<uint32_t>("007"), 7U);
  EXPECT_EQ(parse_number<uint32_t>("\t1"), 1U);
  EXPECT_EQ(parse_number<uint32_t>("1\t"), 1U);
  EXPECT_EQ(parse_number<uint32_t>("1\r"), 1U);
}

TEST(ParseNumber, RefusesEverythingElse) {
  for (const std::string_view word :
       {"", "+", "-", "+-1", "--1", "x", "1x", "x1", "0x1", "1.5", "1,", "\t"}) {
    EXPECT_EQ(parse_number<int64_t>(word), std::nullopt) << word;
    EXPECT_EQ(parse_number<uint64_t>(word), std::nullopt) << word;
  }
  EXPECT_EQ(parse_number<uint32_t>(std::string_view("\0001", 2)), std::nullopt);
}

TEST(PutNumber, WritesTheLongestNumbers) {
  std::array<char, kMaxU64Chars> out{};
  EXPECT_EQ(std::string(out.data(), put_number(out.data(), UINT64_MAX)), "18446744073709551615");
  EXPECT_EQ(std::string(out.data(), put_number(out.data(), INT64_MIN)), "-9223372036854775808");
  EXPECT_EQ(std::string(out.data(), put_number(out.data(), uint32_t{0})), "0");
}

}  // namespace
}  // namespace bobbin::wire
