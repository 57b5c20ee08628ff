// What is different for clients that come over TLS: who they are, how they may log in, and where they are
// sent.

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "serve/mcbp_fixture.h"
#include "wire/json_value.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryStatus;

class TlsLoginTest : public McbpTest {
 protected:
  TlsLoginTest() {
    (void)server_.users().add({"app", "secret", std::nullopt, *parse_roles("data_reader[default]")});
    (void)server_.users().add({"stranger", "secret", std::nullopt, *parse_roles("data_reader[other]")});
  }
  void connect(const std::optional<net::TlsPeer>& peer) { client_ = server_.connect(peer); }
  std::string asked_in_text() {
    const auto client = server_.connect(peer_);
    client->feed("get k\r\n");
    return client->replies();
  }
  std::optional<net::TlsPeer> peer_;
};

TEST_F(TlsLoginTest, PlainIsListedFirst) {
  EXPECT_EQ(ask({.opcode = BinaryOpcode::sasl_list_mechs}).value,
            "SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1 PLAIN");
  connect(net::TlsPeer{"TLSv1.3", false, ""});
  EXPECT_EQ(ask({.opcode = BinaryOpcode::sasl_list_mechs}).value,
            "PLAIN SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1");
}

TEST_F(TlsLoginTest, ACertificatesNameIsTheUser) {
  peer_ = net::TlsPeer{"TLSv1.3", true, "app"};
  EXPECT_EQ(asked_in_text(), "END\r\n") << "in a protocol that knows no login";
  connect(peer_);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get, .key = "k"}), BinaryStatus::key_not_found);
  peer_->common_name = "stranger";
  EXPECT_NE(asked_in_text(), "END\r\n") << "a user without this right";
}

TEST_F(TlsLoginTest, WhoMayReadChangesNothingInText) {
  peer_ = net::TlsPeer{"TLSv1.3", true, "app"};
  const auto client = server_.connect(peer_);
  const auto answer = [&](const std::string& request) {
    const size_t before = client->replies().size();
    client->feed(request);
    return client->replies().substr(before);
  };
  const std::string no = "CLIENT_ERROR no access\r\n";
  for (const char* request : {"set k 0 0 1\r\nv\r\n",
                              "add k 0 0 1\r\nv\r\n",
                              "replace k 0 0 1\r\nv\r\n",
                              "append k 0 0 1\r\nv\r\n",
                              "prepend k 0 0 1\r\nv\r\n",
                              "cas k 0 0 1 7\r\nv\r\n",
                              "delete k\r\n",
                              "incr k 1\r\n",
                              "decr k 1\r\n",
                              "touch k 1\r\n",
                              "gat 1 k\r\n",
                              "gats 1 k\r\n",
                              "flush_all\r\n",
                              "watch fetchers\r\n",
                              "ms k 1\r\nv\r\n",
                              "md k\r\n",
                              "ma k\r\n",
                              "mg k v T9\r\n",
                              "mg k v N9\r\n",
                              "mg k v R9\r\n"})
    EXPECT_EQ(answer(request), no) << request;
  EXPECT_EQ(answer("set k 0 0 1 noreply\r\nv\r\nget k\r\nmg k v\r\nmn\r\n"), "END\r\nEN\r\nMN\r\n")
      << "values are no requests";
}

TEST_F(TlsLoginTest, OtherNamesAreNobody) {
  const std::string refused = asked_in_text();
  EXPECT_NE(refused, "END\r\n");
  for (const net::TlsPeer& peer :
       {net::TlsPeer{"TLSv1.3", false, "app"}, net::TlsPeer{"TLSv1.3", true, "App"},
        net::TlsPeer{"TLSv1.3", true, ""}, net::TlsPeer{"TLSv1.3", true, "app "}}) {
    peer_ = peer;
    EXPECT_EQ(asked_in_text(), refused) << peer.common_name;
  }
}

TEST_F(TlsLoginTest, AUserThatIsGoneMayNothingAnyMore) {
  connect(net::TlsPeer{"TLSv1.3", true, "app"});
  EXPECT_EQ(status({.opcode = BinaryOpcode::get, .key = "k"}), BinaryStatus::key_not_found);
  ASSERT_TRUE(server_.users().remove("app"));
  EXPECT_NE(status({.opcode = BinaryOpcode::get, .key = "k"}), BinaryStatus::key_not_found);
}

TEST_F(TlsLoginTest, WhoFailsToLogInIsNoLongerWhoTheCertificateSays) {
  connect(net::TlsPeer{"TLSv1.3", true, "app"});
  const std::string wrong("\0app\0wrong", 10);
  EXPECT_EQ(status({.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = wrong}),
            BinaryStatus::auth_error);
  EXPECT_NE(status({.opcode = BinaryOpcode::get, .key = "k"}), BinaryStatus::key_not_found);
}

class TlsConfigTest : public McbpTest {
 protected:
  std::string services(const std::optional<net::TlsPeer>& peer) {
    server_.node().data_port = 11210;
    server_.node().management_port = 8091;
    client_ = server_.connect(peer);
    hello({});
    const std::string config = ask({.opcode = BinaryOpcode::get_cluster_config}).value;
    const size_t from = config.find(R"("services":)");
    return from == std::string::npos ? config : config.substr(from, config.find('}', from) + 1 - from);
  }
};

TEST_F(TlsConfigTest, ConfigurationsNameBothWays) {
  server_.node().tls_data_port = 11207;
  server_.node().tls_management_port = 18091;
  const std::string both = R"("services":{"kv":11210,"mgmt":8091,"kvSSL":11207,"mgmtSSL":18091})";
  EXPECT_EQ(services(net::TlsPeer{"TLSv1.3", false, ""}), both);
}

TEST_F(TlsConfigTest, OnlyWhatThereIs) {
  server_.node().tls_data_port = 11207;
  EXPECT_EQ(services(net::TlsPeer{"TLSv1.3", false, ""}),
            R"("services":{"kv":11210,"mgmt":8091,"kvSSL":11207})");
}

}  // namespace
}  // namespace bobbin::serve
