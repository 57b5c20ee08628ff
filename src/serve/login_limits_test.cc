#include "serve/login_limits.h"

#include <gtest/gtest.h>

#include <string>

namespace bobbin::serve {
namespace {

constexpr const char* kHome = "tcp:192.0.2.1:4711";

class Limits : public testing::Test {
 protected:
  static LoginLimitsOptions options() {
    LoginLimitsOptions options;
    options.peer = {4, 60'000, 60'000};
    options.user = {3, 10'000, 60'000};
    options.acquainted = {4, 60'000, 60'000};
    options.hash_key = "key";
    return options;
  }

  [[nodiscard]] base::Now now() const { return {now_ms_ * 1'000'000}; }
  void pass_ms(uint64_t ms) { now_ms_ += ms; }
  void fail(const std::string& user, const std::string& peer, int times = 1) {
    for (int i = 0; i < times; ++i)
      limits_.failed(user, peer, now());
  }
  uint64_t wait_ms(const std::string& user, const std::string& peer) {
    return limits_.wait(user, peer, now()).ms;
  }

  LoginLimits limits_{options()};

 private:
  uint64_t now_ms_ = 1'700'000'000'000;
};

TEST_F(Limits, a_few_failures_are_free) {
  EXPECT_EQ(wait_ms("u", kHome), 0U);
  fail("u", kHome, 2);
  EXPECT_EQ(wait_ms("u", kHome), 0U);
}

TEST_F(Limits, then_each_doubles_the_wait_for_the_user) {
  fail("u", kHome, 3);
  EXPECT_EQ(wait_ms("u", "tcp:192.0.2.9:1"), 1000U);
  fail("u", "tcp:192.0.2.10:1");
  EXPECT_EQ(wait_ms("u", "tcp:192.0.2.9:1"), 2000U);
  fail("u", "tcp:192.0.2.11:1", 10);
  EXPECT_EQ(wait_ms("u", "tcp:192.0.2.9:1"), 10'000U);
  EXPECT_EQ(wait_ms("other", "tcp:192.0.2.9:1"), 0U);
}

TEST_F(Limits, and_for_the_address_whoever_it_says_it_is) {
  for (const char* user : {"a", "b", "c", "d"})
    fail(user, kHome);
  EXPECT_EQ(wait_ms("e", kHome), 1000U);
  EXPECT_EQ(wait_ms("e", "tcp:192.0.2.1:1"), 1000U);  // another port
  EXPECT_EQ(wait_ms("a", "tcp:192.0.2.2:1"), 0U);
  for (int i = 0; i < 100; ++i)
    fail(std::to_string(i), kHome);
  EXPECT_EQ(wait_ms("e", kHome), 60'000U);
}

TEST_F(Limits, the_wait_passes) {
  fail("u", kHome, 3);
  pass_ms(400);
  EXPECT_EQ(wait_ms("u", kHome), 600U);
  pass_ms(600);
  EXPECT_EQ(wait_ms("u", kHome), 0U);
}

TEST_F(Limits, failures_leak_away_one_by_one) {
  fail("u", kHome, 4);
  pass_ms(2 * 60'000);  // two are left of the user's
  fail("u", kHome);
  EXPECT_EQ(wait_ms("u", "tcp:192.0.2.9:1"), 1000U);
  pass_ms(10 * 60'000);
  fail("u", kHome, 2);
  EXPECT_EQ(wait_ms("u", kHome), 0U);
}

TEST_F(Limits, a_user_is_not_locked_out_where_it_has_logged_in) {
  limits_.succeeded("u", kHome, now());
  fail("u", "tcp:198.51.100.1:1", 50);
  EXPECT_EQ(wait_ms("u", "tcp:203.0.113.1:1"), 10'000U);
  EXPECT_EQ(wait_ms("u", kHome), 0U);
  for (int i = 0; i < 50; ++i)
    fail("neighbour", kHome);
  EXPECT_EQ(wait_ms("u", kHome), 0U);
}

TEST_F(Limits, but_may_not_guess_there_for_ever_either) {
  limits_.succeeded("u", kHome, now());
  fail("u", kHome, 4);
  EXPECT_EQ(wait_ms("u", kHome), 1000U);
  // And not more after every success.
  limits_.succeeded("u", kHome, now());
  EXPECT_EQ(wait_ms("u", kHome), 1000U);
}

TEST_F(Limits, acquaintances_are_forgotten) {
  limits_.succeeded("u", kHome, now());
  pass_ms(25ULL * 3600 * 1000);
  fail("u", "tcp:198.51.100.1:1", 50);
  EXPECT_EQ(wait_ms("u", kHome), 10'000U);
}

TEST_F(Limits, a_success_forgives_no_failure) {
  fail("victim", kHome, 3);
  fail("x", kHome);
  limits_.succeeded("mine", kHome, now());
  EXPECT_EQ(wait_ms("victim", kHome), 1000U);
}

TEST_F(Limits, a_wait_is_told_once) {
  fail("u", kHome, 3);
  EXPECT_TRUE(limits_.wait("u", kHome, now()).is_first);
  EXPECT_FALSE(limits_.wait("u", kHome, now()).is_first);
  pass_ms(1000);
  fail("u", kHome);
  EXPECT_TRUE(limits_.wait("u", kHome, now()).is_first);
}

TEST_F(Limits, a_clock_that_goes_back_holds_nobody_up_longer) {
  fail("u", kHome, 3);
  limits_.failed("u", kHome, base::Now{0});
  EXPECT_LE(limits_.wait("u", kHome, base::Now{0}).ms, 10'000U);
}

TEST(LoginLimits, remember_a_bounded_number_and_forget_the_least_guilty) {
  LoginLimitsOptions options;
  options.peer = {1000000, 60'000, 60'000};
  options.user = {3, 10'000, 60'000};
  options.entries = 64;
  options.hash_key = "key";
  LoginLimits limits(options);
  const base::Now now{1'700'000'000'000'000'000};
  for (int i = 0; i < 20; ++i)
    limits.failed("victim", kHome, now);
  for (int i = 0; i < 10'000; ++i)
    limits.failed("user" + std::to_string(i), "tcp:198.51.100." + std::to_string(i) + ":1", now);
  EXPECT_EQ(limits.wait("victim", "tcp:203.0.113.1:1", now).ms, 10'000U);
}

TEST(PeerGroup, is_an_address_or_a_network) {
  EXPECT_EQ(peer_group("tcp:192.0.2.1:4711"), "192.0.2.1");
  EXPECT_EQ(peer_group("tcp6:[::1]:4711"), "::");
  EXPECT_EQ(peer_group("tcp6:[::ffff:192.0.2.1]:4711"), "192.0.2.1");
  EXPECT_EQ(peer_group("tcp6:[2001:db8:1:2:3:4:5:6]:1"), "2001:db8:1:2::");
  EXPECT_EQ(peer_group("tcp6:[2001:db8:1:2::6]:1"), "2001:db8:1:2::");
  EXPECT_EQ(peer_group("tcp6:[2001:db8::6]:1"), "2001:db8::");
  EXPECT_EQ(peer_group("tcp6:[fe80::1%eth0]:1"), "fe80::");
  EXPECT_EQ(peer_group("unix"), "unix");
  EXPECT_EQ(peer_group(""), "");
  EXPECT_EQ(peer_group("tcp6:["), "::");
}

}  // namespace
}  // namespace bobbin::serve
