// One client's conversation: who is let in, which row answers, and in which form.

#include "admin/http_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/admin_test_support.h"
#include "wire/json_value.h"

namespace bobbin::admin {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class HttpSessionTest : public testing::Test {
 protected:
  net::Loop loop_{net::Limits{}};
  TestHttp http_{loop_};
};

TEST_F(HttpSessionTest, AnAnswerHasWhatClientsNeed) {
  EXPECT_EQ(http_.get("/livez"),
            "HTTP/1.1 200 OK\r\nServer: bobbin\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\nContent-Length: 3\r\n\r\nok\n");
}

TEST_F(HttpSessionTest, HeadHasTheHeadOfGet) {
  const std::string answer = http_.ask("HEAD /livez HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpSessionTest, RequestsThatFollowEachOtherAreAnsweredInTheirOrder) {
  const auto connection = http_.connect();
  connection->feed("GET /livez HTTP/1.1\r\n\r\nGET /none HTTP/1.1\r\n\r\nGET /livez HTTP/1.1\r\n\r\n");
  const std::string& replies = connection->replies();
  const size_t first = replies.find("200 OK");
  const size_t second = replies.find("404 Not Found");
  EXPECT_LT(first, second);
  EXPECT_NE(replies.find("200 OK", second), std::string::npos);
  EXPECT_FALSE(connection->closing());
}

TEST_F(HttpSessionTest, TheConnectionEndsWhenTheClientWantsIt) {
  for (const std::string_view request :
       {"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\nGET /none HTTP/1.1\r\n\r\n",
        "GET /livez HTTP/1.0\r\n\r\n"}) {
    const auto connection = http_.connect();
    connection->feed(request);
    EXPECT_TRUE(connection->closing());
    EXPECT_THAT(connection->replies(), HasSubstr("Connection: close\r\n"));
    EXPECT_THAT(connection->replies(), Not(HasSubstr("404")));
  }
  EXPECT_THAT(http_.ask("GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
              HasSubstr("Connection: keep-alive\r\n"));
}

TEST_F(HttpSessionTest, WhatCannotBeUnderstoodIsAnsweredAndEnds) {
  const std::pair<std::string, std::string_view> cases[] = {
      {"nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
      {"GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x'), "HTTP/1.1 431 "},
      {"POST / HTTP/1.1\r\nContent-Length: 20971520\r\n\r\n", "HTTP/1.1 413 "},
      {"GET / HTTP/3.7\r\n\r\n", "HTTP/1.1 505 "},
  };
  for (const auto& [request, answer] : cases) {
    const auto connection = http_.connect();
    connection->feed(request);
    EXPECT_THAT(connection->replies(), StartsWith(std::string(answer)));
    EXPECT_TRUE(connection->closing());
  }
  EXPECT_THAT(http_.get("*"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpSessionTest, AMethodThatAPathDoesNotHave) {
  const std::string answer = http_.ask("DELETE /pools HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n"));
  EXPECT_THAT(http_.ask("get /pools HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
}

TEST_F(HttpSessionTest, WhoIsRefusedIsToldBeforeTheBodyIsRead) {
  http_.add_user("admin", "admin");
  const auto connection = http_.connect();
  connection->feed("POST /pools HTTP/1.1\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_THAT(connection->replies(), StartsWith("HTTP/1.1 401 "));
  EXPECT_TRUE(connection->closing());
}

TEST_F(HttpSessionTest, WithoutUsersAnybodyMayAsk) {
  EXPECT_THAT(http_.get("/pools"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(http_.get("/pools", basic("any", "body")), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpSessionTest, WithUsersOneHasToLogIn) {
  http_.add_user("admin", "admin");
  EXPECT_THAT(http_.get("/pools"), HasSubstr("WWW-Authenticate: Basic realm="));
  EXPECT_THAT(http_.get("/pools", basic("admin", "wrong")), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(http_.get("/pools", "Authorization: Basic ???\r\n"), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(http_.get("/pools", basic("admin", "secret")), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(http_.get("/no/such/path"), StartsWith("HTTP/1.1 401 ")) << "what there is, is told nobody";
  for (const std::string_view open : {"/", "/livez"})
    EXPECT_THAT(http_.get(open), StartsWith("HTTP/1.1 200 ")) << open;
}

TEST_F(HttpSessionTest, WhoGuessesHasToWait) {
  http_.add_user("admin", "admin");
  std::string last;
  for (int i = 0; i < 40; ++i)
    last = http_.get("/pools", basic("admin", "guess"));
  EXPECT_THAT(last, StartsWith("HTTP/1.1 429 "));
  EXPECT_THAT(last, HasSubstr("Retry-After: "));
}

TEST_F(HttpSessionTest, RolesDecide) {
  http_.add_user("reader", "data_reader[default:s:c]");
  http_.add_user("other", "data_reader[elsewhere]");
  const std::string reader = basic("reader", "secret");
  const std::string other = basic("other", "secret");
  EXPECT_THAT(http_.get("/pools/default/b/default", reader), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(http_.get("/pools/default/b/default", other), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(http_.get("/pools/default/buckets", reader), HasSubstr("\"name\":\"default\""));
  EXPECT_EQ(body_of(http_.get("/pools/default/buckets", other)), "[]");
  EXPECT_THAT(http_.get("/metrics", reader), StartsWith("HTTP/1.1 403 "));
}

TEST_F(HttpSessionTest, DescriptionsAreJson) {
  for (const std::string_view target :
       {"/pools", "/pools/default", "/pools/nodes", "/pools/default/nodeServices", "/pools/default/buckets",
        "/pools/default/buckets/default", "/pools/default/b/default",
        "/pools/default/buckets/default/scopes"}) {
    const std::string answer = http_.get(target);
    EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n"));
    EXPECT_TRUE(wire::JsonValue::parse(body_of(answer))) << answer;
  }
}

TEST_F(HttpSessionTest, ABucketThatIsNotThere) {
  for (const std::string_view target : {"/pools/default/buckets/none", "/pools/default/b/none",
                                        "/pools/default/bs/none", "/pools/default/buckets/none/scopes"}) {
    const std::string answer = http_.get(target);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 ")) << target;
    EXPECT_EQ(body_of(answer), "Requested resource not found.");
  }
}

TEST_F(HttpSessionTest, WhatWasDialledIsWhatIsToldUnlessItCannotStandThere) {
  const auto nodes = [&](std::string_view host) {
    return http_.ask("GET /pools/nodes HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
  };
  EXPECT_THAT(nodes("db.example:4711"), HasSubstr(R"("hostname":"db.example:8091")"));
  EXPECT_THAT(nodes("[::1]:4711"), HasSubstr(R"("hostname":"[::1]:8091")"));
  EXPECT_THAT(nodes("a\"b"), HasSubstr(R"("hostname":"127.0.0.1:8091")"));
  http_.server().node().advertised.host = "outside";
  EXPECT_THAT(nodes("db.example"), HasSubstr(R"("hostname":"outside:8091")"));
  EXPECT_THAT(http_.get("/pools/default/b/default"), HasSubstr(R"("hostname":"outside")"));
}

TEST_F(HttpSessionTest, TheTerseConfigurationLeavesTheHostToTheClient) {
  const std::string answer = http_.get("/pools/default/b/default");
  EXPECT_THAT(answer, HasSubstr(R"("services":{"kv":11210,"mgmt":8091})"));
  EXPECT_THAT(answer, HasSubstr(R"("serverList":["$HOST:11210"])"));
}

TEST_F(HttpSessionTest, ACertificatesNameIsTheUser) {
  http_.add_user("app", "ro_admin");
  EXPECT_THAT(http_.get("/pools/default"), StartsWith("HTTP/1.1 401 "));
  http_.tls = net::TlsPeer{"TLSv1.3", true, "app"};
  EXPECT_THAT(http_.get("/pools/default"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(http_.get("/pools/default", basic("app", "wrong")), StartsWith("HTTP/1.1 401 "))
      << "who gives a password means it";
  http_.tls->common_name = "nobody";
  EXPECT_THAT(http_.get("/pools/default"), StartsWith("HTTP/1.1 401 "));
  http_.tls = net::TlsPeer{"TLSv1.3", false, "app"};
  EXPECT_THAT(http_.get("/pools/default"), StartsWith("HTTP/1.1 401 "));
}

TEST_F(HttpSessionTest, PortsForTlsAreNamed) {
  EXPECT_EQ(http_.get("/pools/nodes").find("httpsMgmt"), std::string::npos);
  http_.server().node().tls_management_port = 18091;
  http_.server().node().tls_data_port = 11207;
  EXPECT_THAT(http_.get("/pools/nodes"), HasSubstr(R"("ports":{"direct":11210,"httpsMgmt":18091})"));
  EXPECT_THAT(http_.get("/pools/default/b/default"),
              HasSubstr(R"("services":{"kv":11210,"mgmt":8091,"kvSSL":11207,"mgmtSSL":18091})"));
}

}  // namespace
}  // namespace bobbin::admin
