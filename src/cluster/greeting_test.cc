#include "cluster/greeting.h"

#include <gtest/gtest.h>

#include <array>
#include <span>
#include <string>

#include "wire/feature.h"
#include "wire/scram.h"

namespace bobbin::cluster {
namespace {

using wire::BinaryHeader;
using wire::BinaryOpcode;
using wire::BinaryStatus;

std::string taken(net::Output& out) {
  std::string bytes;
  std::array<std::span<const char>, 16> runs;
  while (!out.empty()) {
    const size_t count = out.gather(runs, out.size());
    size_t size = 0;
    for (size_t i = 0; i < count; ++i) {
      bytes.append(runs[i].data(), runs[i].size());
      size += runs[i].size();
    }
    out.consume(size);
  }
  return bytes;
}

std::string reply(BinaryOpcode opcode, BinaryStatus status, std::string_view value = {}) {
  std::string bytes(wire::kBinaryHeaderBytes, '\0');
  wire::encode_header(bytes.data(), {.magic = wire::kBinaryReplyMagic,
                                     .opcode = static_cast<uint8_t>(opcode),
                                     .vbucket_or_status = static_cast<uint16_t>(status),
                                     .body_bytes = static_cast<uint32_t>(value.size())});
  return bytes.append(value);
}

std::string all_features() {
  std::string value;
  for (const wire::Feature feature : {wire::Feature::collections, wire::Feature::json, wire::Feature::xattr,
                                      wire::Feature::select_bucket, wire::Feature::snappy})
    value += {'\0', static_cast<char>(feature)};
  return value;
}

struct Request {
  BinaryOpcode opcode;
  std::string key;
  std::string value;
};

/// A greeting, and the requests that it has made so far.
class Talk {
 public:
  explicit Talk(GreetingOptions options) : greeting_(std::move(options)) { greeting_.begin(out_); }

  GreetingOutcome say(const std::string& frame) { return greeting_.take(frame, out_); }
  GreetingOutcome say_hello() {
    return say(reply(BinaryOpcode::hello, BinaryStatus::success, all_features()));
  }
  [[nodiscard]] const std::string& trouble() const { return greeting_.trouble(); }

  /// The one request that was made since the last call.
  Request request() {
    const std::string bytes = taken(out_);
    const BinaryHeader header = wire::decode_header(bytes.data());
    EXPECT_EQ(bytes.size(), wire::kBinaryHeaderBytes + header.body_bytes);
    return {static_cast<BinaryOpcode>(header.opcode),
            bytes.substr(wire::kBinaryHeaderBytes, header.key_bytes),
            bytes.substr(wire::kBinaryHeaderBytes + header.key_bytes)};
  }

 private:
  net::Output out_;
  Greeting greeting_;
};

TEST(Greeting, selects_the_bucket_without_a_login_where_there_is_no_user) {
  Talk talk({.agent = "follower"});
  EXPECT_EQ(talk.request().key, "follower");
  EXPECT_EQ(talk.say_hello(), GreetingOutcome::going_on);
  const Request select = talk.request();
  EXPECT_EQ(select.opcode, BinaryOpcode::select_bucket);
  EXPECT_EQ(select.key, "default");
  EXPECT_EQ(talk.say(reply(BinaryOpcode::select_bucket, BinaryStatus::success)), GreetingOutcome::done);
}

// Nothing hides what is sent.
TEST(Greeting, sends_no_password_where_nothing_stronger_is_offered) {
  Talk talk({.agent = "f", .user = "ann", .password = "secret"});
  talk.request();
  EXPECT_EQ(talk.say_hello(), GreetingOutcome::going_on);
  EXPECT_EQ(talk.request().opcode, BinaryOpcode::sasl_list_mechs);
  EXPECT_EQ(talk.say(reply(BinaryOpcode::sasl_list_mechs, BinaryStatus::success, "OTHER PLAIN")),
            GreetingOutcome::broken);
  EXPECT_NE(talk.trouble().find("no way to log in"), std::string::npos) << talk.trouble();
}

TEST(Greeting, begins_scram_with_the_strongest_hash) {
  Talk talk({.agent = "f", .user = "ann", .password = "secret"});
  talk.request();
  EXPECT_EQ(talk.say_hello(), GreetingOutcome::going_on);
  talk.request();
  EXPECT_EQ(talk.say(reply(BinaryOpcode::sasl_list_mechs, BinaryStatus::success,
                           "PLAIN SCRAM-SHA1 SCRAM-SHA512 SCRAM-SHA256")),
            GreetingOutcome::going_on);
  const Request login = talk.request();
  EXPECT_EQ(login.key, "SCRAM-SHA512");
  EXPECT_TRUE(login.value.starts_with("n,,n=ann,r="));
  EXPECT_EQ(talk.say(reply(BinaryOpcode::sasl_auth, BinaryStatus::auth_continue, "nonsense")),
            GreetingOutcome::broken);
}

TEST(Greeting, takes_no_success_that_proves_nothing) {
  Talk talk({.agent = "f", .user = "ann", .password = "secret"});
  talk.request();
  EXPECT_EQ(talk.say_hello(), GreetingOutcome::going_on);
  talk.request();
  EXPECT_EQ(talk.say(reply(BinaryOpcode::sasl_list_mechs, BinaryStatus::success, "SCRAM-SHA256")),
            GreetingOutcome::going_on);
  talk.request();
  EXPECT_EQ(talk.say(reply(BinaryOpcode::sasl_auth, BinaryStatus::success)), GreetingOutcome::broken);
}

TEST(Greeting, says_what_was_wrong) {
  struct Case {
    std::string frame;
    std::string_view words;
  };
  for (const Case& wrong : {Case{reply(BinaryOpcode::hello, BinaryStatus::unknown_command), "does not speak"},
                            Case{reply(BinaryOpcode::hello, BinaryStatus::success, "x"), "lacks feature"},
                            Case{reply(BinaryOpcode::stat, BinaryStatus::success), "something else"}}) {
    Talk talk({.agent = "f"});
    EXPECT_EQ(talk.say(wrong.frame), GreetingOutcome::broken);
    EXPECT_NE(talk.trouble().find(wrong.words), std::string::npos) << talk.trouble();
  }
  Talk talk({.agent = "f"});
  EXPECT_EQ(talk.say_hello(), GreetingOutcome::going_on);
  EXPECT_EQ(talk.say(reply(BinaryOpcode::select_bucket, BinaryStatus::no_access)), GreetingOutcome::broken);
  EXPECT_NE(talk.trouble().find("wants a login"), std::string::npos) << talk.trouble();
}

TEST(Greeting, says_that_the_password_is_wrong) {
  Talk talk({.agent = "f", .user = "ann", .password = "secret"});
  EXPECT_EQ(talk.say_hello(), GreetingOutcome::going_on);
  EXPECT_EQ(talk.say(reply(BinaryOpcode::sasl_list_mechs, BinaryStatus::success, "SCRAM-SHA1")),
            GreetingOutcome::going_on);
  EXPECT_EQ(talk.say(reply(BinaryOpcode::sasl_auth, BinaryStatus::auth_error)), GreetingOutcome::broken);
  EXPECT_NE(talk.trouble().find("wrong user or password"), std::string::npos) << talk.trouble();
}

}  // namespace
}  // namespace bobbin::cluster
