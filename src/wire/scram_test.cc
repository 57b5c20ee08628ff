#include "wire/scram.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "wire/base64.h"

namespace bobbin::wire {
namespace {

std::string decoded(std::string_view base64) {
  std::string bytes(base64.size(), '\0');
  bytes.resize(decode_base64(base64, bytes.data()).value_or(0));
  return bytes;
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    text += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

/// One whole conversation.
struct Vector {
  Hash hash;
  std::string user;
  std::string password;
  std::string salt;  // base64
  uint32_t iterations;
  std::string server_nonce;
  std::string client_first;
  std::string server_first;
  std::string client_final;
  std::string server_final;
};

// RFC 5802, section 5.
const Vector kSha1{Hash::sha1,
                   "user",
                   "pencil",
                   "QSXCR+Q6sek8bf92",
                   4096,
                   "3rfcNHYJY1ZVvWVs7j",
                   "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
                   "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                   "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                   "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="};

// RFC 7677, section 3.
const Vector kSha256{Hash::sha256,
                     "user",
                     "pencil",
                     "W22ZaJ0SNY7soEsUEjb6gQ==",
                     4096,
                     "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
                     "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
                     "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                     "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                     "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="};

// No RFC has one for SHA-512. Computed with Python's hashlib.pbkdf2_hmac and hmac, whose results for the
// other two are the RFCs'.
const Vector kSha512{
    Hash::sha512,
    "user",
    "pencil",
    "QSXCR+Q6sek8bf92",
    4096,
    "3rfcNHYJY1ZVvWVs7j",
    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
    "p=VdS8LkrURiej1tG6iX+fqCXQfUnBb//d9llXYaH+ylUbDwBUz9geyR9fC4TewskRUM2tlYSalhAT4Aay1Q5dTA==",
    "v=14PAAuavk9hxBEkgB0brDxUhvWu+N16meYk+qxVNFqchR8QPohM09Y4Z6WaTCuX4C6nqMB9KIJTDm6RpSM990g=="};

// The same with everything that can be odd: a user "a,b=c", an authorization identity, a client that would
// have liked channel binding, a password that is not ASCII, and a nonce as the official client makes them.
const Vector kOdd{
    Hash::sha512,
    "a,b=c",
    "p\xc3\xa4 ss",
    "AAECAwQFBgcICQoLDA0ODw==",
    1000,
    "Zk9/+x",
    "y,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=0x0d 0xffffffcb 0x15 0x7f ",
    "r=0x0d 0xffffffcb 0x15 0x7f Zk9/+x,s=AAECAwQFBgcICQoLDA0ODw==,i=1000",
    "c=eSxhPWE9MkNiPTNEYyw=,r=0x0d 0xffffffcb 0x15 0x7f Zk9/+x,"
    "p=iOZrYwbXhW1K4zZsozRQJAu8+lq9yjPAuRyZPI3BROyWxubSSGKDbsaJLUJeRyX26eB+S5oDoyiq5oYDDniwow==",
    "v=8SY9h0Qoz/zcWCrpHNofvpn36XfNuU08nHIFDXSTif5XZGJ6+AfS7N+/NXdBKdM6KwjaCC7fjybKkuWFbWwhJw=="};

ScramExchange begin(const Vector& vector, bool is_known = true) {
  auto first = parse_scram_first(vector.client_first);
  EXPECT_TRUE(first) << vector.client_first;
  return {vector.hash, std::move(*first),
          scram_keys(vector.hash, vector.password, decoded(vector.salt), vector.iterations), is_known,
          vector.server_nonce};
}

SaslError error_of(base::Result<std::string, SaslError> result) {
  EXPECT_FALSE(result);
  return result ? SaslError{99} : result.error();
}

SaslError first_error(std::string_view message) {
  const auto parsed = parse_scram_first(message);
  EXPECT_FALSE(parsed) << message;
  return parsed ? SaslError{99} : parsed.error();
}

class ScramVectors : public testing::TestWithParam<Vector> {};

TEST_P(ScramVectors, are_answered) {
  const Vector& vector = GetParam();
  ScramExchange exchange = begin(vector);
  EXPECT_EQ(exchange.user(), vector.user);
  EXPECT_EQ(exchange.server_first(), vector.server_first);
  EXPECT_EQ(std::move(exchange).finish(vector.client_final).value_or("refused"), vector.server_final);
}

TEST_P(ScramVectors, a_user_that_does_not_exist_is_refused_at_the_end) {
  const Vector& vector = GetParam();
  ScramExchange exchange = begin(vector, false);
  EXPECT_EQ(exchange.server_first(), vector.server_first);
  EXPECT_EQ(error_of(std::move(exchange).finish(vector.client_final)), SaslError::refused);
}

TEST_P(ScramVectors, another_password_is_refused) {
  Vector vector = GetParam();
  vector.password += "x";
  EXPECT_EQ(error_of(begin(vector).finish(vector.client_final)), SaslError::refused);
}

TEST_P(ScramVectors, every_changed_byte_of_the_last_message_is_noticed) {
  const Vector& vector = GetParam();
  for (size_t at = 0; at < vector.client_final.size(); ++at) {
    std::string changed = vector.client_final;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(begin(vector).finish(changed)) << changed;
    EXPECT_FALSE(begin(vector).finish(changed.substr(0, at))) << changed.substr(0, at);
  }
}

TEST_P(ScramVectors, passwords_are_checked_against_the_same_keys) {
  const Vector& vector = GetParam();
  const ScramKeys keys = scram_keys(vector.hash, vector.password, decoded(vector.salt), vector.iterations);
  EXPECT_TRUE(is_password(keys, vector.hash, vector.password));
  EXPECT_FALSE(is_password(keys, vector.hash, vector.password + " "));
  EXPECT_FALSE(is_password(keys, vector.hash, ""));
}

INSTANTIATE_TEST_SUITE_P(Scram, ScramVectors, testing::Values(kSha1, kSha256, kSha512, kOdd));

TEST(Scram, keys_are_what_python_computes) {
  const ScramKeys keys = scram_keys(Hash::sha1, "pencil", decoded("QSXCR+Q6sek8bf92"), 4096);
  EXPECT_EQ(hex(keys.stored_key.view()), "e9d94660c39d65c38fbad91c358f14da0eef2bd6");
  EXPECT_EQ(hex(keys.server_key.view()), "0fe09258b3ac852ba502cc62ba903eaacdbf7d31");
}

TEST(Scram, an_empty_proof_key_is_no_key) {
  // As it would be if a file of users could be cut short.
  ScramKeys keys;
  keys.salt = "salt";
  keys.iterations = 1;
  ScramExchange exchange(Hash::sha1, *parse_scram_first("n,,n=u,r=x"), keys, true, "y");
  EXPECT_EQ(error_of(std::move(exchange).finish("c=biws,r=xy,p=" + std::string(27, 'A') + "=")),
            SaslError::refused);
}

TEST(Scram, mechanisms_are_named_as_the_binary_protocol_names_them) {
  EXPECT_EQ(scram_hash("SCRAM-SHA512"), Hash::sha512);
  EXPECT_EQ(scram_hash("SCRAM-SHA256"), Hash::sha256);
  EXPECT_EQ(scram_hash("SCRAM-SHA1"), Hash::sha1);
  EXPECT_EQ(scram_hash("SCRAM-SHA-1"), std::nullopt);
  EXPECT_EQ(scram_mechanism(Hash::sha512), "SCRAM-SHA512");
}

TEST(Scram, first_messages_that_are_malformed) {
  const std::vector<std::string> messages = {"",
                                             "n",
                                             "n,",
                                             "n,,",
                                             "n,,n",
                                             "n,,n=",
                                             "n,,n=user",
                                             "n,,n=user,",
                                             "n,,n=user,r",
                                             "n,,n=user,r=",
                                             "n,,r=nonce,n=user",
                                             "x,,n=user,r=nonce",
                                             ",,n=user,r=nonce",
                                             "n,user,n=user,r=nonce",
                                             "n,a=,n=user,r=nonce",
                                             "n,a=us=er,n=user,r=nonce",
                                             "n,,n=us=er,r=nonce",
                                             "n,,n=user=,r=nonce",
                                             "n,,n=user=2,r=nonce",
                                             "n,,n=user=2c,r=nonce",
                                             "n,,n=user,r=non\tce",
                                             "n,,n=user,r=non\xc3\xa4",
                                             "n,,n=user,r=nonce,",
                                             "n,,n=user,r=nonce,x",
                                             "n,,n=user,r=nonce,x=",
                                             "n,,n=user,r=nonce,1=y",
                                             "n,,n=us\xff,r=nonce",
                                             std::string("n,,n=us\0er,r=nonce", 18),
                                             "nn,,n=user,r=nonce",
                                             "n,,n=" + std::string(kMaxSaslMessageBytes, 'u') + ",r=nonce"};
  for (const std::string& message : messages)
    EXPECT_EQ(first_error(message), SaslError::malformed) << message;
}

TEST(Scram, what_a_client_may_not_demand) {
  EXPECT_EQ(first_error("p=tls-unique,,n=user,r=nonce"), SaslError::unsupported);
  EXPECT_EQ(first_error("n,,m=must,n=user,r=nonce"), SaslError::unsupported);
  EXPECT_EQ(first_error("n,a=admin,n=user,r=nonce"), SaslError::other_identity);
}

TEST(Scram, extensions_that_may_be_ignored_are) {
  const auto first = parse_scram_first("n,,n=user,r=nonce,x=1,Y=z");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->user, "user");
  EXPECT_EQ(first->nonce, "nonce");
  EXPECT_EQ(first->bare, "n=user,r=nonce,x=1,Y=z");
}

TEST(Scram, last_messages_that_are_malformed) {
  const std::string proof = "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
  const std::string nonce = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
  const std::vector<std::string> messages = {
      "",
      proof,
      "," + proof,
      "c=biws," + nonce,
      nonce + ",c=biws," + proof,
      "c=biws," + proof,
      "c=," + nonce + "," + proof + "=",
      "c=biws," + nonce + ",p=",
      "c=biws," + nonce + ",p=AAAA",
      "c=biws," + nonce + "," + proof + ",x=1",
      "c=biws," + nonce + ",x," + proof,
      "c=biws," + nonce + ",p=" + std::string(28, '='),
      "c=biws," + nonce + ",p=v0X8v3Bz2T0CJGbJQyF0X+HI4Tt=",  // bits left over
      "c=biws," + nonce + ",x=" + std::string(kMaxSaslMessageBytes, 'x') + "," + proof};
  for (const std::string& message : messages)
    EXPECT_EQ(error_of(begin(kSha1).finish(message)), SaslError::malformed) << message;
}

TEST(Scram, another_binding_or_nonce_is_refused) {
  EXPECT_EQ(error_of(begin(kSha1).finish("c=eSws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
                                         "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")),
            SaslError::refused);
  EXPECT_EQ(error_of(begin(kSha1).finish("c=biws,r=fyko+d2lbbFgONRv9qkxdawL,"
                                         "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")),
            SaslError::refused);
}

TEST(SaslPlain, says_user_and_password) {
  const auto plain = parse_sasl_plain(std::string_view("\0user\0pass word", 15));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->user, "user");
  EXPECT_EQ(plain->password, "pass word");
  EXPECT_TRUE(parse_sasl_plain(std::string_view("user\0user\0password", 18)));
}

TEST(SaslPlain, is_refused_when_it_is_something_else) {
  using std::string_view;
  const std::vector<string_view> malformed = {"",
                                              "user",
                                              string_view("\0", 1),
                                              string_view("\0user", 5),
                                              string_view("\0user\0", 6),
                                              string_view("\0\0password", 10),
                                              string_view("\0user\0pass\0", 11),
                                              string_view("\0user\0pass\0word", 15),
                                              string_view("\0us\xff\0password", 13)};
  for (const string_view message : malformed) {
    const auto parsed = parse_sasl_plain(message);
    ASSERT_FALSE(parsed) << hex(message);
    EXPECT_EQ(parsed.error(), SaslError::malformed) << hex(message);
  }
  EXPECT_EQ(parse_sasl_plain(string_view("admin\0user\0password", 19)).error(), SaslError::other_identity);
  const std::string longer = std::string("\0user\0", 6) + std::string(kMaxSaslMessageBytes, 'p');
  EXPECT_EQ(parse_sasl_plain(longer).error(), SaslError::malformed);
}

TEST(Crypto, random_bytes_do_not_repeat) {
  EXPECT_EQ(random_bytes(16).size(), 16U);
  EXPECT_NE(random_bytes(16), random_bytes(16));
}

TEST(Crypto, compares_lengths_too) {
  EXPECT_TRUE(equal_in_constant_time("", ""));
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
}

}  // namespace
}  // namespace bobbin::wire
