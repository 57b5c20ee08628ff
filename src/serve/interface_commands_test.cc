// IFCONFIG: listeners that come and go, and what TLS goes by.

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "net/test_certificates.h"
#include "serve/interface_settings.h"
#include "serve/mcbp_fixture.h"
#include "wire/datatype.h"
#include "wire/json_value.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::JsonValue;

class InterfaceCommandsTest : public McbpTest {
 protected:
  InterfaceCommandsTest() {
    net::FrontEndOptions options;
    options.listen.push_back(*net::Address::parse("127.0.0.1:0", 0));
    // It is not run: nobody connects here.
    server_.listen(std::move(*net::FrontEnd::open(options, [](size_t) { return nullptr; })));
    hello({wire::Feature::xerror, wire::Feature::json});
  }
  Reply ifconfig(const std::string& verb, const std::string& value = {}) {
    return ask({.opcode = BinaryOpcode::ifconfig, .key = verb, .value = value});
  }
  BinaryStatus define(const std::string& json) { return ifconfig("define", json).status; }
  JsonValue list() { return *JsonValue::parse(ifconfig("list").value); }
  [[nodiscard]] net::FrontEnd& front() const { return *server_.engine().front_end; }
};

TEST_F(InterfaceCommandsTest, OneIsDefinedListedAndDeleted) {
  const Reply made = ifconfig("Define", R"({"family":"inet","port":0,"tag":"mine","type":"mcbp"})");
  ASSERT_EQ(made.status, BinaryStatus::success) << made.value;
  EXPECT_EQ(made.datatype, wire::kDatatypeJson);
  const auto json = *JsonValue::parse(made.value);
  EXPECT_TRUE(json.member("errors")->array()->empty());
  ASSERT_EQ(json.member("ports")->array()->size(), 1U);
  const JsonValue& port = json.member("ports")->array()->front();
  EXPECT_EQ(*port.member("host")->string(), "127.0.0.1") << "localhost, unless told otherwise";
  EXPECT_EQ(*port.member("family")->string(), "inet");
  EXPECT_EQ(*port.member("tag")->string(), "mine");
  EXPECT_EQ(*port.member("type")->string(), "mcbp");
  EXPECT_EQ(port.member("tls"), nullptr);
  EXPECT_NE(*port.member("port")->number(), 0U);
  ASSERT_EQ(list().array()->size(), 2U);
  EXPECT_EQ(*list().array()->back().member("uuid")->string(), *port.member("uuid")->string());

  const std::string uuid = *port.member("uuid")->string();
  EXPECT_EQ(ifconfig("delete", uuid).status, BinaryStatus::success);
  EXPECT_EQ(list().array()->size(), 1U);
  EXPECT_EQ(ifconfig("delete", uuid).status, BinaryStatus::key_not_found);
  for (const char* wrong : {"", "x", "c0ffee", "c0ffee-", "c0ffee-x", "c0ffee-1x", "c0ffee-99", "1"})
    EXPECT_EQ(ifconfig("delete", wrong).status, BinaryStatus::key_not_found) << wrong;
}

TEST_F(InterfaceCommandsTest, TheLastOneStays) {
  const std::string uuid = *list().array()->front().member("uuid")->string();
  const Reply reply = ifconfig("delete", uuid);
  EXPECT_EQ(reply.status, BinaryStatus::not_supported);
  EXPECT_NE(reply.value.find("\"context\":"), std::string::npos);
}

TEST_F(InterfaceCommandsTest, WhatCannotBeIsRefusedWithAReason) {
  for (const char* wrong :
       {"", "[]", "{", "{}", R"({"family":"unix"})", R"({"family":"inet","port":65536})",
        R"({"family":"inet","port":"1"})", R"({"family":"inet","tls":1})", R"({"family":"inet","host":""})",
        R"({"family":"inet","type":"x"})", R"({"family":"inet","unheard-of":1})", R"({"family":4})"}) {
    const Reply reply = ifconfig("define", wrong);
    EXPECT_EQ(reply.status, BinaryStatus::invalid_arguments) << wrong;
    EXPECT_NE(reply.value.find("\"context\":"), std::string::npos) << wrong;
  }
  EXPECT_EQ(define(R"({"family":"inet","type":"prometheus"})"), BinaryStatus::not_supported);
  EXPECT_EQ(define(R"({"family":"inet","system":true})"), BinaryStatus::not_supported);
  EXPECT_EQ(define(R"({"family":"inet6","host":"127.0.0.1"})"), BinaryStatus::internal_error);
  EXPECT_EQ(ifconfig("other").status, BinaryStatus::invalid_arguments);
  EXPECT_EQ(ifconfig("list", "x").status, BinaryStatus::invalid_arguments);
  EXPECT_EQ(front().listeners().size(), 1U);
}

TEST_F(InterfaceCommandsTest, NoAddressThatOthersReachWhereNobodyHasToLogIn) {
  for (const char* open : {R"({"family":"inet","host":"*"})", R"({"family":"inet6","host":"*"})"})
    EXPECT_EQ(define(open), BinaryStatus::no_access) << open;
  EXPECT_EQ(front().listeners().size(), 1U);
}

TEST_F(InterfaceCommandsTest, OnlyAnAdministratorMay) {
  (void)server_.users().add({"app", "secret", std::nullopt, *parse_roles("bucket_admin[default]")});
  (void)server_.users().add({"admin", "secret", std::nullopt, *parse_roles("admin")});
  const auto log_in = [this](const std::string& name) {
    EXPECT_EQ(
        status({.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = '\0' + name + '\0' + "secret"}),
        BinaryStatus::success);
  };
  log_in("app");
  for (const char* verb : {"list", "define", "delete", "tls"})
    EXPECT_EQ(ifconfig(verb, verb == std::string("list") ? "" : "{}").status, BinaryStatus::no_access)
        << verb;
  log_in("admin");
  const Reply made = ifconfig("define", R"({"family":"inet","host":"*"})");
  EXPECT_EQ(made.status, BinaryStatus::success) << made.value;
}

TEST_F(InterfaceCommandsTest, TlsIsTold) {
  const net::TestFolder folder;
  const net::TestCertificate own(folder / "own", "own");
  EXPECT_EQ(ifconfig("tls").status, BinaryStatus::key_not_found) << "there is none";
  const Reply defined = ifconfig("define", R"({"family":"inet","tls":true})");
  EXPECT_EQ(defined.status, BinaryStatus::success) << "it works once there is a certificate";
  EXPECT_NE(defined.value.find("\"tls\":true"), std::string::npos);
  const std::string files =
      R"("private key":")" + own.key_path() + R"(","certificate chain":")" + own.certificate_path() + '"';
  const Reply set = ifconfig("TLS", '{' + files + R"(,"minimum version":"TLS 1.3","cipher order":false})");
  ASSERT_EQ(set.status, BinaryStatus::success) << set.value;
  EXPECT_EQ(ifconfig("tls").value, set.value);
  const auto json = *JsonValue::parse(set.value);
  EXPECT_EQ(*json.member("private key")->string(), own.key_path());
  EXPECT_EQ(*json.member("minimum version")->string(), "TLS 1.3");
  EXPECT_EQ(*json.member("password")->string(), "not set");
  EXPECT_EQ(*json.member("client cert auth")->string(), "disabled");
  ASSERT_NE(front().tls(), nullptr);

  const auto context = front().tls();
  const Reply wrong = ifconfig("tls", R"({"private key":"/nowhere","certificate chain":"/nowhere"})");
  EXPECT_EQ(wrong.status, BinaryStatus::invalid_arguments);
  EXPECT_NE(wrong.value.find("/nowhere"), std::string::npos);
  EXPECT_EQ(ifconfig("tls").value, set.value) << "nothing was changed";
  EXPECT_EQ(ifconfig("tls", '{' + files + R"(,"minimum version":"TLS 1.1"})").status,
            BinaryStatus::not_supported);
  ASSERT_EQ(ifconfig("tls", '{' + files + R"(,"CA file":")" + own.certificate_path() +
                                R"(","client cert auth":"enabled"})")
                .status,
            BinaryStatus::success);
  EXPECT_EQ(front().tls(), context) << "listeners go by the same, changed";
  EXPECT_EQ(context->files().clients, net::ClientCertificates::optional);
  EXPECT_TRUE(context->files().chooses_cipher);
}

TEST(InterfaceSettings, TlsReadsWhatItWrites) {
  const auto files = read_tls_settings(
      R"({"private key":"/k","certificate chain":"/c","CA file":"/a","password":"c2VjcmV0",)"
      R"("minimum version":"TLS 1.2","cipher list":{"TLS 1.2":"HIGH","TLS 1.3":"TLS_AES_128_GCM_SHA256"},)"
      R"("cipher order":true,"client cert auth":"mandatory"})");
  ASSERT_TRUE(files);
  EXPECT_EQ(files->password, "secret");
  EXPECT_EQ(files->ciphers_1_2, "HIGH");
  EXPECT_EQ(files->ciphers_1_3, "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(files->clients, net::ClientCertificates::required);
  EXPECT_EQ(
      tls_settings_text(*files),
      R"({"private key":"/k","certificate chain":"/c","CA file":"/a","password":"set",)"
      R"("minimum version":"TLS 1.2","cipher list":{"TLS 1.2":"HIGH","TLS 1.3":"TLS_AES_128_GCM_SHA256"},)"
      R"("cipher order":true,"client cert auth":"mandatory"})");
}

TEST(InterfaceSettings, TlsThatIsWrong) {
  const std::string files = R"({"private key":"/k","certificate chain":"/c")";
  for (const std::string& wrong :
       {std::string("{}"), std::string("[]"), files, R"({"private key":"/k"})" + std::string(),
        files + R"(,"password":"?"})", files + R"(,"minimum version":"SSL 3"})",
        files + R"(,"cipher list":"x"})", files + R"(,"cipher list":{"TLS 1.4":"x"}})",
        files + R"(,"cipher order":"yes"})", files + R"(,"client cert auth":"perhaps"})",
        files + R"(,"client cert auth":"enabled"})", files + R"(,"more":1})"}) {
    const auto read = read_tls_settings(wrong);
    ASSERT_FALSE(read) << wrong;
    EXPECT_EQ(read.error().status, BinaryStatus::invalid_arguments) << wrong;
  }
}

}  // namespace
}  // namespace bobbin::serve
