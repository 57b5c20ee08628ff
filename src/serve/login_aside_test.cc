// A password takes milliseconds to check: that is done aside, and the connection waits for it.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "serve/mcbp_fixture.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using wire::BinaryOpcode;
using wire::BinaryStatus;

class LoginAsideTest : public testing::Test {
 protected:
  LoginAsideTest() {
    UserChange change;
    change.name = "app";
    change.password = "secret";
    change.roles = parse_roles("admin").value();
    EXPECT_TRUE(server_.users().add(change));
  }
  static std::string login(const std::string& password, const std::string& user = "app") {
    return encoded(
        {.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = "\0"s + user + "\0"s + password});
  }
  void check() {
    server_.errands().run_waiting();
    client_->resume();
  }
  // Of the replies that have come since.
  std::vector<BinaryStatus> statuses() {
    std::vector<BinaryStatus> found;
    std::string_view bytes = std::string_view(client_->replies()).substr(seen_);
    seen_ = client_->replies().size();
    while (bytes.size() >= wire::kBinaryHeaderBytes) {
      const wire::BinaryHeader header = wire::decode_header(bytes.data());
      found.push_back(static_cast<BinaryStatus>(header.vbucket_or_status));
      bytes.remove_prefix(wire::kBinaryHeaderBytes + header.body_bytes);
    }
    return found;
  }
  using Statuses = std::vector<BinaryStatus>;

  net::Loop loop_{net::Limits{}};
  TestEngine server_{loop_, {.vbuckets = 1}, base::Worker::Where::nobody};
  std::unique_ptr<TestConnection> client_ = server_.connect();
  size_t seen_ = 0;
  const std::string get_ = encoded({.opcode = BinaryOpcode::get, .key = "k"});
};

TEST_F(LoginAsideTest, WhatFollowsWaitsForIt) {
  client_->feed(login("secret") + get_);
  EXPECT_TRUE(client_->suspended());
  EXPECT_EQ(client_->replies(), "");
  check();
  EXPECT_EQ(statuses(), (Statuses{BinaryStatus::success, BinaryStatus::key_not_found}));
}

TEST_F(LoginAsideTest, AWrongOneLetsNobodyIn) {
  client_->feed(login("wrong") + get_);
  EXPECT_EQ(statuses(), Statuses());
  check();
  EXPECT_EQ(statuses(), (Statuses{BinaryStatus::auth_error, BinaryStatus::auth_error}));
}

TEST_F(LoginAsideTest, WhoIsCheckedIsNobodyMeanwhile) {
  client_->feed(login("secret"));
  check();
  client_->feed(login("wrong") + get_);
  check();
  EXPECT_EQ(statuses(),
            (Statuses{BinaryStatus::success, BinaryStatus::auth_error, BinaryStatus::auth_error}));
}

TEST_F(LoginAsideTest, OneThatWasRightAMomentAgoIsNoWork) {
  client_->feed(login("secret"));
  check();
  client_ = server_.connect();
  seen_ = 0;
  client_->feed(login("secret") + get_);
  EXPECT_FALSE(client_->suspended());
  EXPECT_EQ(statuses(), (Statuses{BinaryStatus::success, BinaryStatus::key_not_found}));
  client_->feed(login("secret", "other"));
  EXPECT_TRUE(client_->suspended()) << "of somebody else";
}

TEST_F(LoginAsideTest, WhatIsNoLoginIsRefusedAtOnce) {
  client_->feed(encoded({.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = "nothing"}));
  EXPECT_EQ(statuses(), Statuses{BinaryStatus::invalid_arguments});
}

TEST_F(LoginAsideTest, WhoComesTooOftenKeepsNobodyWaiting) {
  int checked = 0;
  for (int i = 0; i < 100; ++i) {
    client_->feed(login("wrong"));
    checked += client_->suspended() ? 1 : 0;
    if (client_->suspended()) check();
  }
  EXPECT_EQ(statuses(), Statuses(100, BinaryStatus::auth_error));
  EXPECT_LT(checked, 20);
}

TEST_F(LoginAsideTest, WhoLeavesIsNotMissed) {
  client_->feed(login("secret"));
  client_.reset();
  server_.errands().run_waiting();
  client_ = server_.connect();
  client_->feed(get_);
  EXPECT_EQ(statuses(), Statuses{BinaryStatus::auth_error});
}

// The queue of them has an end.
TEST_F(LoginAsideTest, TooManyAreToldToComeAgain) {
  std::vector<std::unique_ptr<TestConnection>> others;
  for (size_t i = 0; i < base::Worker::kMaxWaiting; ++i) {
    others.push_back(server_.connect());
    others.back()->feed(login("secret"));
  }
  client_->feed(login("secret"));
  EXPECT_EQ(statuses(), Statuses{BinaryStatus::temporary_failure});
  server_.errands().run_waiting();
  others.back()->resume();
  EXPECT_NE(others.back()->replies(), "");
}

}  // namespace
}  // namespace bobbin::serve
