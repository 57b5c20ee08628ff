// Certificates: which are loaded, which are refused and how, and what the server learns of its clients'.

#include <gtest/gtest.h>

#include <fstream>

#include "net/tls_test_fixture.h"

namespace bobbin::net {
namespace {

using testing::TempDir;

class TlsContextTest : public TlsTest {
 protected:
  std::string peer_name() {
    std::string name;
    on_loop([&] {
      EXPECT_NE(peer_.connection->tls(), nullptr);
      name =
          (peer_.connection->tls()->is_certified ? "certified: " : "") + peer_.connection->tls()->common_name;
    });
    return name;
  }
  // The server has looked at the certificate and let the client in, or not.
  bool is_let_in(TlsClientOptions options) {
    opened_ = {};
    TlsClient client(address(), options);
    const bool is_in = client.shake_hands() && client.send_all("a") && client.receive(1) == "a";
    if (is_in) peer_ = opened_.get_future().get();
    return is_in;
  }
};

std::string error_of(TlsFiles files) {
  const auto loaded = TlsContext::load(std::move(files));
  return loaded ? "" : loaded.error().message;
}

TEST_F(TlsContextTest, NamesTheFileThatIsAtFault) {
  TlsFiles absent = files();
  absent.certificate = folder_ / "absent.pem";
  EXPECT_NE(error_of(absent).find(absent.certificate + ": No such file"), std::string::npos)
      << error_of(absent);
  TlsFiles keyless = files();
  keyless.key = folder_ / "absent.key";
  EXPECT_NE(error_of(keyless).find(keyless.key), std::string::npos) << error_of(keyless);
  TlsFiles garbage = files();
  garbage.certificate = folder_ / "garbage";
  std::ofstream(garbage.certificate) << "this is no certificate\n";
  EXPECT_NE(error_of(garbage).find(garbage.certificate), std::string::npos) << error_of(garbage);
  TlsFiles other_key = files();
  other_key.key = authority_.key_path();
  EXPECT_NE(error_of(other_key).find(other_key.key), std::string::npos) << error_of(other_key);
  EXPECT_NE(error_of(other_key).find(other_key.certificate), std::string::npos) << error_of(other_key);
  TlsFiles no_authority = files(ClientCertificates::optional);
  no_authority.client_ca = folder_ / "absent-ca.pem";
  EXPECT_NE(error_of(no_authority).find(no_authority.client_ca), std::string::npos) << error_of(no_authority);
  no_authority.clients = ClientCertificates::off;
  EXPECT_EQ(error_of(no_authority), "") << "it is not looked at";
}

TEST_F(TlsContextTest, AKeyWithAPasswordIsRefusedWithoutAsking) {
  TlsFiles locked = files();
  locked.key = folder_ / "locked.key";
  FILE* file = std::fopen(locked.key.c_str(), "w");
  PEM_write_PrivateKey(file, server_.key(), EVP_aes_128_cbc(), nullptr, 0, nullptr,
                       const_cast<char*>("secret"));
  std::fclose(file);
  EXPECT_NE(error_of(locked).find(locked.key), std::string::npos);
}

TEST_F(TlsContextTest, KnowsUntilWhenTheCertificateIsValid) {
  const auto context = std::move(*TlsContext::load(files()));
  const int64_t now = time(nullptr);
  EXPECT_GT(context->valid_until_s(), now + 3500);
  EXPECT_LT(context->valid_until_s(), now + 3700);
}

TEST_F(TlsContextTest, ReloadServesTheNewCertificateAndKeepsConnections) {
  start_tls();
  const auto before = connect_tls();
  EXPECT_EQ(before->server_name(), "server one");
  const TestCertificate next(folder_ / "next", "server two", &authority_);
  next.write_to(server_.certificate_path(), server_.key_path());
  EXPECT_EQ(connect_tls()->server_name(), "server one") << "nobody has said that the files are new";
  ASSERT_TRUE(tls_->reload());
  EXPECT_EQ(connect_tls()->server_name(), "server two");
  ASSERT_TRUE(before->send_all("ab"));
  EXPECT_EQ(before->receive(2), "ab");
}

TEST_F(TlsContextTest, WhatDoesNotLoadChangesNothing) {
  start_tls();
  const auto before = connect_tls();
  std::ofstream(server_.key_path()) << "-----BEGIN PRIVATE KEY-----\nnonsense\n";
  const auto loaded = tls_->reload();
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find(server_.key_path()), std::string::npos) << loaded.error().message;
  EXPECT_EQ(connect_tls()->server_name(), "server one");
  ASSERT_TRUE(before->send_all("ab"));
  EXPECT_EQ(before->receive(2), "ab");
}

// The handshake that has begun ends with the certificate that it began with.
TEST_F(TlsContextTest, ReloadInTheMiddleOfAHandshakeLeavesItAlone) {
  start_tls();
  TlsClient client(address());
  SSL_do_handshake(client.ssl());
  ASSERT_TRUE(client.send_sealed());
  ASSERT_FALSE(client.socket().receive_some(1).empty()) << "the server has answered";
  const TestCertificate next(folder_ / "next", "server two", &authority_);
  next.write_to(server_.certificate_path(), server_.key_path());
  ASSERT_TRUE(tls_->reload());
  EXPECT_EQ(connect_tls()->server_name(), "server two");
}

TEST_F(TlsContextTest, AsksNobodyForACertificateUnlessToldTo) {
  start_tls();
  const TestCertificate app(folder_ / "app", "app", &authority_);
  const auto client = connect_tls({.certificate = &app});
  EXPECT_EQ(peer_name(), "");
}

TEST_F(TlsContextTest, OptionalCertificates) {
  start_tls({}, ClientCertificates::optional);
  const TestCertificate app(folder_ / "app", "app", &authority_);
  const TestCertificate stranger(folder_ / "stranger", "app");
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto nobody = connect_tls({.version = version});
    EXPECT_EQ(peer_name(), "");
    const auto client = connect_tls({.certificate = &app, .version = version});
    EXPECT_EQ(peer_name(), "certified: app");
    EXPECT_FALSE(is_let_in({.certificate = &stranger, .version = version})) << "signed by somebody else";
  }
  EXPECT_EQ(counters().handshake_failures.get(), 2U);
  EXPECT_EQ(counters().handshakes.get(), 4U);
}

TEST_F(TlsContextTest, RequiredCertificates) {
  start_tls({}, ClientCertificates::required);
  const TestCertificate app(folder_ / "app", "äpp", &authority_);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    EXPECT_FALSE(is_let_in({.version = version}));
    EXPECT_TRUE(is_let_in({.certificate = &app, .version = version}));
  }
  EXPECT_EQ(counters().handshake_failures.get(), 2U);
}

TEST_F(TlsContextTest, ANameThatEndsEarlyIsNobodys) {
  start_tls({}, ClientCertificates::required);
  const TestCertificate odd(folder_ / "odd", std::string("admin\0.example", 14), &authority_);
  const auto client = connect_tls({.certificate = &odd});
  EXPECT_EQ(peer_name(), "certified: ");
}

}  // namespace
}  // namespace bobbin::net
