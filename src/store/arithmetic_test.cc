#include <gtest/gtest.h>

#include <string>

#include "store/number_text.h"
#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

class ArithmeticTest : public testing::Test, protected BucketFixture {
 protected:
  ArithmeticResult incr(uint64_t delta = 1) { return bucket().arithmetic("n", {.delta = delta}, now()); }
  ArithmeticResult decr(uint64_t delta = 1) {
    return bucket().arithmetic("n", {.direction = Direction::decrement, .delta = delta}, now());
  }
};

TEST_F(ArithmeticTest, CountsUpAndDown) {
  EXPECT_EQ(incr().status, ArithmeticStatus::not_found);
  set("n", "10", 0, 7);
  EXPECT_EQ(incr().value, 11U);
  EXPECT_EQ(get("n"), "11");
  EXPECT_EQ(decr(5).value, 6U);
  EXPECT_EQ(bucket().fetch("n", now()).doc->flags(), 7U);
}

TEST_F(ArithmeticTest, WrapsAboveAndStopsBelow) {
  set("n", "18446744073709551615");
  EXPECT_EQ(incr().value, 0U);
  set("n", "5");
  EXPECT_EQ(decr(6).value, 0U);
}

TEST_F(ArithmeticTest, AShorterNumberIsFilledWithBlanks) {
  set("n", "100");
  EXPECT_EQ(decr().value, 99U);
  EXPECT_EQ(get("n"), "99 ");
  EXPECT_EQ(incr(5).value, 104U);
  EXPECT_EQ(get("n"), "104");
  set("n", "18446744073709551615");
  incr();
  EXPECT_EQ(get("n"), "0" + std::string(19, ' '));
}

TEST_F(ArithmeticTest, GrowsWhenTheNumberDoes) {
  set("n", "99");
  incr();
  EXPECT_EQ(get("n"), "100");
}

TEST_F(ArithmeticTest, ReadsNumbersAsMemcachedDoes) {
  for (const char* text :
       {"5", "00005", "000000000000000000000005", " 5", "+5", "5 ", "5 abc", "5\t", "\t5"}) {
    EXPECT_EQ(parse_number(text), 5U) << text;
  }
  EXPECT_EQ(parse_number("-0"), 0U);
  EXPECT_EQ(parse_number("11111111111111111111"), 11111111111111111111U);
  for (const char* text :
       {"", " ", "+", "5a", "-5", "18446744073709551616", "111111111111111111111", "x5", "+-5"}) {
    EXPECT_FALSE(parse_number(text)) << text;
    set("n", text);
    EXPECT_EQ(incr().status, ArithmeticStatus::not_a_number) << text;
    EXPECT_EQ(get("n"), text);
  }
}

TEST_F(ArithmeticTest, CreatesWithAnInitialNumber) {
  const ArithmeticResult created =
      bucket().arithmetic("n", {.delta = 3, .initial = 40, .initial_expiry = in(30)}, now());
  EXPECT_EQ(created.status, ArithmeticStatus::created);
  EXPECT_EQ(created.value, 40U);
  EXPECT_EQ(created.expiry, in(30));
  EXPECT_EQ(bucket().arithmetic("n", {.delta = 3, .initial = 40}, now()).value, 43U);
  EXPECT_EQ(bucket().peek("n", now())->expiry, in(30));
}

TEST_F(ArithmeticTest, ComparesCasAndTakesAnExplicitOneAndAnExpiry) {
  const uint64_t cas = set("n", "1").cas;
  EXPECT_EQ(bucket().arithmetic("n", {.cas_compare = cas + 1}, now()).status, ArithmeticStatus::exists);
  const ArithmeticResult result =
      bucket().arithmetic("n", {.cas_compare = cas, .explicit_cas = 123, .expiry = in(9)}, now());
  EXPECT_EQ(result.status, ArithmeticStatus::stored);
  EXPECT_EQ(result.cas, 123U);
  EXPECT_EQ(result.expiry, in(9));
}

TEST_F(ArithmeticTest, KeepsTheMarksOfTheDocument) {
  set("n", "1");
  (void)bucket().remove("n", {.mark_stale = true}, now());
  incr();
  EXPECT_TRUE(bucket().fetch("n", FetchOptions{}, now()).stale);
}

}  // namespace
}  // namespace bobbin::store
