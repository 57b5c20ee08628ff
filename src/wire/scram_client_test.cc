#include "wire/scram_client.h"

#include <gtest/gtest.h>

#include "wire/scram.h"

namespace bobbin::wire {
namespace {

// RFC 5802, section 5; RFC 7677, section 3.
TEST(ScramClient, SpeaksAsTheVectorsOfTheRfcs) {
  ScramClient sha1(Hash::sha1, "user", "pencil", "fyko+d2lbbFgONRv9qkxdawL");
  EXPECT_EQ(sha1.first(), "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
  EXPECT_EQ(sha1.answer("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096").value(),
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
  EXPECT_TRUE(sha1.is_right("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="));
  EXPECT_FALSE(sha1.is_right("v=rmF9pqV8S7suAoZWja4dJRkFsKA="));
  EXPECT_FALSE(sha1.is_right("e=other-error"));

  ScramClient sha256(Hash::sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO");
  EXPECT_EQ(sha256
                .answer("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,"
                        "i=4096")
                .value(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  EXPECT_TRUE(sha256.is_right("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
}

TEST(ScramClient, LogsInToTheServersSideWithAnyName) {
  for (const Hash hash : {Hash::sha1, Hash::sha256, Hash::sha512}) {
    ScramClient client(hash, "a,b=c", "secret", "nonce");
    auto first = parse_scram_first(client.first());
    ASSERT_TRUE(first);
    EXPECT_EQ(first->user, "a,b=c");
    ScramExchange exchange(hash, std::move(*first), scram_keys(hash, "secret", "salty", 1'000), true, "more");
    const auto last = client.answer(exchange.server_first());
    ASSERT_TRUE(last);
    const auto end = std::move(exchange).finish(*last);
    ASSERT_TRUE(end);
    EXPECT_TRUE(client.is_right(*end));
  }
}

TEST(ScramClient, IsNotFooledByWhatIsNoAnswer) {
  for (const std::string_view wrong :
       {"", "r=nonce,s=QSXCR+Q6sek8bf92,i=4096", "r=other,s=QSXCR+Q6sek8bf92,i=4096", "r=nonce2,s=,i=4096",
        "r=nonce2,s=QSXCR+Q6sek8bf92", "r=nonce2,s=QSXCR+Q6sek8bf92,i=0", "r=nonce2,s=QSXCR+Q6sek8bf92,i=1",
        "r=nonce2,s=QSXCR+Q6sek8bf92,i=999", "r=nonce2,s=QSXCR+Q6sek8bf92,i=1000001",
        "r=nonce2,s=QSXCR+Q6sek8bf92,i=4294967295", "r=nonce2,s=QSXCR+Q6sek8bf92,i=1x",
        "s=QSXC,r=nonce2,i=1"}) {
    ScramClient client(Hash::sha256, "user", "pencil", "nonce");
    EXPECT_FALSE(client.answer(wrong)) << wrong;
    EXPECT_FALSE(client.is_right("v="));
    EXPECT_FALSE(client.is_right(""));
  }
}

}  // namespace
}  // namespace bobbin::wire
