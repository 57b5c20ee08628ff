#include "serve/logins.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "disk/disk_test_support.h"
#include "wire/base64.h"

namespace bobbin::serve {
namespace {

constexpr const char* kPeer = "tcp:192.0.2.1:4711";
constexpr const char* kElsewhere = "tcp:198.51.100.1:4711";

std::string base64(std::string_view bytes) {
  std::string text(wire::base64_chars(bytes.size()), '\0');
  text.resize(wire::encode_base64(bytes, text.data()));
  return text;
}

std::string unbase64(std::string_view text) {
  std::string bytes(text.size(), '\0');
  bytes.resize(wire::decode_base64(text, bytes.data()).value_or(0));
  return bytes;
}

/// The client's side of SCRAM: the last message for what the server said.
std::string client_final(wire::Hash hash, const std::string& bare, const std::string& password,
                         const std::string& server_first) {
  const size_t salt_at = server_first.find(",s=");
  const size_t iterations_at = server_first.rfind(",i=");
  const std::string salt = unbase64(server_first.substr(salt_at + 3, iterations_at - salt_at - 3));
  const auto iterations = static_cast<uint32_t>(std::stoul(server_first.substr(iterations_at + 3)));
  const wire::Digest salted = wire::pbkdf2(hash, password, salt, iterations);
  const wire::Digest client_key = wire::hmac(hash, salted.view(), "Client Key");
  const wire::Digest stored_key = wire::digest(hash, client_key.view());
  const std::string without_proof = "c=biws," + server_first.substr(0, salt_at);
  const wire::Digest signature =
      wire::hmac(hash, stored_key.view(), bare + "," + server_first + "," + without_proof);
  std::string proof(client_key.view());
  for (size_t i = 0; i < proof.size(); ++i)
    proof[i] = static_cast<char>(proof[i] ^ signature.view()[i]);
  return without_proof + ",p=" + base64(proof);
}

class LoginsTest : public testing::Test {
 protected:
  LoginsTest() {
    EXPECT_TRUE(users_->add({"app", "secret", std::nullopt, *parse_roles("data_reader[b]")}));
    logins_ = std::make_unique<Logins>(*users_, *audit_, clock_);
  }

  base::Result<Logins::Scrammed, LoginError> scram(const std::string& user, const std::string& password,
                                                   wire::Hash hash = wire::Hash::sha512,
                                                   const char* peer = kPeer) {
    const std::string bare = "n=" + user + ",r=0x0d 0xff ";
    auto exchange = logins_->begin_scram(hash, "n,," + bare, peer);
    if (!exchange) return base::fail(exchange.error());
    const std::string last = client_final(hash, bare, password, exchange->server_first());
    return logins_->finish_scram(std::move(*exchange), last, peer);
  }
  /// What the log has, when it has ended.
  std::string audited() {
    logins_.reset();
    audit_.reset();
    return disk::contents(path());
  }
  [[nodiscard]] std::string path() const { return folder_.path() + "/audit.log"; }

  base::ManualClock clock_;
  disk::TemporaryFolder folder_;
  std::unique_ptr<Users> users_ = std::move(*Users::open({"", 3, &clock_}));
  std::unique_ptr<AuditLog> audit_ =
      std::make_unique<AuditLog>(AuditOptions{{path(), 1 << 20, 1}, &clock_, 1 << 20});
  std::unique_ptr<Logins> logins_;
};

TEST_F(LoginsTest, by_each_mechanism) {
  for (const wire::Hash hash : {wire::Hash::sha1, wire::Hash::sha256, wire::Hash::sha512}) {
    const auto in = scram("app", "secret", hash);
    ASSERT_TRUE(in);
    EXPECT_EQ(in->user, "app");
    EXPECT_TRUE(in->answer.starts_with("v="));
  }
  EXPECT_EQ(logins_->plain(std::string("\0app\0secret", 11), kPeer).value_or(""), "app");
  EXPECT_TRUE(logins_->password("app", "secret", kPeer, "basic", false));
  EXPECT_EQ(logins_->succeeded(), 5U);
  EXPECT_EQ(logins_->failed(), 0U);
  const std::string log = audited();
  EXPECT_NE(
      log.find("\"ok\":true,\"user\":\"app\",\"peer\":\"tcp:192.0.2.1:4711\",\"mechanism\":\"SCRAM-SHA1\""),
      std::string::npos)
      << log;
  EXPECT_NE(log.find("\"mechanism\":\"PLAIN\""), std::string::npos);
  EXPECT_EQ(log.find("basic"), std::string::npos);
  EXPECT_EQ(log.find("secret"), std::string::npos);
}

TEST_F(LoginsTest, wrong_password_and_unknown_user_look_the_same) {
  for (const char* user : {"app", "nobody"}) {
    const auto in = scram(user, "wrong");
    ASSERT_FALSE(in);
    EXPECT_EQ(in.error().kind, LoginError::Kind::refused);
    const auto plain = logins_->password(user, "wrong", kPeer, "basic", false);
    ASSERT_FALSE(plain);
    EXPECT_EQ(plain.error().kind, LoginError::Kind::refused);
  }
  EXPECT_FALSE(scram("nobody", "secret"));
  EXPECT_EQ(logins_->failed(), 5U);
  const std::string log = audited();
  EXPECT_NE(
      log.find("\"ok\":false,\"user\":\"nobody\",\"peer\":\"tcp:192.0.2.1:4711\",\"mechanism\":\"basic\","
               "\"reason\":\"unknown user or wrong password\""),
      std::string::npos)
      << log;
}

TEST_F(LoginsTest, a_nonce_is_never_given_twice) {
  const auto first = logins_->begin_scram(wire::Hash::sha1, "n,,n=app,r=x", kPeer);
  const auto second = logins_->begin_scram(wire::Hash::sha1, "n,,n=app,r=x", kPeer);
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->server_first(), second->server_first());
}

TEST_F(LoginsTest, guessing_is_slowed_down) {
  LoginError error;
  int refused = 0;
  for (; refused < 100; ++refused) {
    const auto in = scram("app", "wrong");
    ASSERT_FALSE(in);
    error = in.error();
    if (error.kind == LoginError::Kind::too_often) break;
  }
  EXPECT_EQ(refused, 10);
  EXPECT_EQ(error.wait_ms, 1000U);
  // Not even the right password is looked at, so that nothing is learnt.
  EXPECT_EQ(scram("app", "secret").error().kind, LoginError::Kind::too_often);
  EXPECT_EQ(logins_->plain(std::string("\0app\0secret", 11), kPeer).error().kind,
            LoginError::Kind::too_often);
  clock_.advance_s(1);
  EXPECT_TRUE(scram("app", "secret"));
}

TEST_F(LoginsTest, exchanges_that_were_begun_before_do_not_get_around_that) {
  const std::string bare = "n=app,r=x";
  std::vector<wire::ScramExchange> exchanges;
  for (int i = 0; i < 30; ++i)
    exchanges.push_back(std::move(*logins_->begin_scram(wire::Hash::sha1, "n,," + bare, kPeer)));
  int refused = 0;
  for (wire::ScramExchange& exchange : exchanges) {
    const std::string last = client_final(wire::Hash::sha1, bare, "wrong", exchange.server_first());
    const auto in = logins_->finish_scram(std::move(exchange), last, kPeer);
    ASSERT_FALSE(in);
    refused += in.error().kind == LoginError::Kind::refused ? 1 : 0;
  }
  EXPECT_EQ(refused, 10);
}

TEST_F(LoginsTest, nobody_is_locked_out_from_where_the_user_has_been_before) {
  ASSERT_TRUE(scram("app", "secret"));
  for (int i = 0; i < 100; ++i)
    EXPECT_FALSE(scram("app", "wrong", wire::Hash::sha1, kElsewhere));
  EXPECT_TRUE(scram("app", "secret"));
  EXPECT_FALSE(scram("app", "secret", wire::Hash::sha1, kElsewhere));
}

TEST_F(LoginsTest, refusals_by_the_limit_and_malformed_messages_do_not_fill_the_log) {
  for (int i = 0; i < 500; ++i) {
    EXPECT_FALSE(scram("app", "wrong"));
    const auto malformed = logins_->begin_scram(wire::Hash::sha1, "nonsense", kElsewhere);
    ASSERT_FALSE(malformed);
    EXPECT_EQ(malformed.error().kind, LoginError::Kind::malformed);
    EXPECT_FALSE(logins_->plain("nonsense", kElsewhere));
  }
  EXPECT_EQ(logins_->failed(), 1500U);
  const std::string log = audited();
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 50);
  EXPECT_NE(log.find("too many failures"), std::string::npos);
  EXPECT_NE(log.find("malformed message"), std::string::npos);
}

TEST_F(LoginsTest, a_malformed_last_message_is_no_guess_and_no_login) {
  for (int i = 0; i < 3; ++i) {
    auto exchange = logins_->begin_scram(wire::Hash::sha1, "n,,n=app,r=x", kPeer);
    ASSERT_TRUE(exchange);
    const auto in = logins_->finish_scram(std::move(*exchange), "", kPeer);
    ASSERT_FALSE(in);
    EXPECT_EQ(in.error().kind, LoginError::Kind::malformed);
  }
}

TEST_F(LoginsTest, a_removed_user_is_one_that_does_not_exist) {
  ASSERT_TRUE(users_->remove("app"));
  EXPECT_EQ(scram("app", "secret").error().kind, LoginError::Kind::refused);
}

}  // namespace
}  // namespace bobbin::serve
