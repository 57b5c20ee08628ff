// The server on a socket: streaming, clients that end in the middle, the worker, the end.

#include "admin/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/admin_test_support.h"
#include "net/test_socket.h"
#include "wire/json_value.h"

namespace bobbin::admin {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class HttpServerTest : public testing::Test {
 protected:
  void SetUp() override {
    HttpServerOptions options;
    options.listen = {net::Address{"127.0.0.1", 0, {}}};
    auto opened = HttpServer::open(options, server_.engine());
    ASSERT_TRUE(opened) << opened.error().message;
    http_ = std::move(*opened);
    http_->run();
  }

  net::Loop loop_{net::Limits{}};
  serve::TestEngine server_{loop_, {.vbuckets = 1}};
  std::unique_ptr<HttpServer> http_;
};

TEST_F(HttpServerTest, AnswersAndKeepsTheConnection) {
  net::TestSocket client(http_->addresses()[0]);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send_all("GET /livez HTTP/1.1\r\n\r\n"));
    std::string answer;
    while (!answer.ends_with("ok\n"))
      answer += client.receive(1);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  }
}

TEST_F(HttpServerTest, AStreamBeginsWithTheConfigurationAndStaysOpen) {
  net::TestSocket client(http_->addresses()[0]);
  ASSERT_TRUE(client.send_all("GET /pools/default/bs/default HTTP/1.1\r\nHost: h\r\n\r\n"));
  std::string answer;
  while (answer.find("\n\n\n\n\r\n") == std::string::npos)
    answer += client.receive_some(65'536);
  EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked\r\n"));
  const size_t body = answer.find("\r\n\r\n") + 4;
  const size_t line_end = answer.find("\r\n", body);
  const size_t size = std::stoul(answer.substr(body, line_end - body), nullptr, 16);
  EXPECT_EQ(answer.size(), line_end + 2 + size + 2);
  EXPECT_THAT(answer.substr(line_end + 2), StartsWith("{\"rev\":"));
  http_->drain();
  EXPECT_EQ(client.receive_to_end(), "");
}

TEST_F(HttpServerTest, TheClusterIsStreamedToo) {
  for (const std::string target :
       {"/poolsStreaming/default?uuid=1", "/pools/default/nodeServicesStreaming"}) {
    net::TestSocket client(http_->addresses()[0]);
    ASSERT_TRUE(client.send_all("GET " + target + " HTTP/1.1\r\nHost: dialled\r\n\r\n"));
    std::string answer;
    while (answer.find("\n\n\n\n\r\n") == std::string::npos)
      answer += client.receive_some(65'536);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n")) << target;
    const size_t begin = answer.find("\r\n{") + 2;
    const auto json = wire::JsonValue::parse(answer.substr(begin, answer.find("\n\n\n\n") - begin));
    ASSERT_TRUE(json) << answer;
    const bool of_pool = target.starts_with("/poolsStreaming");
    EXPECT_NE(json->member(of_pool ? "nodes" : "nodesExt"), nullptr) << answer;
    if (of_pool) {
      EXPECT_THAT(answer, HasSubstr("\"hostname\":\"dialled:"));
    }
  }
}

TEST_F(HttpServerTest, ADrainAnswersWhatHasArrived) {
  net::TestSocket client(http_->addresses()[0]);
  ASSERT_TRUE(client.send_all("HEAD /livez HTTP/1.1\r\n\r\n"));
  std::string head;  // of the first answer: the connection has been accepted
  while (!head.ends_with("\r\n\r\n"))
    head += client.receive(1);
  ASSERT_TRUE(client.send_all("GET /livez HTTP/1.1\r\n\r\n"));
  client.wait_until_arrived();
  http_->drain();
  EXPECT_THAT(client.receive_to_end(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

// --- streams ---

class DeafReceiver final : public net::Receiver {
 public:
  size_t on_bytes(net::Connection&, std::span<const char> unread, size_t) override { return unread.size(); }
};

TEST(ConfigStreamsTest, TellsWhatIsNewAndOnlyThat) {
  net::Loop loop{net::Limits{}};
  ConfigStreams streams;
  std::string text = "one";
  int asked = 0;
  {
    const auto connection = std::make_unique<serve::TestConnection>(loop, std::make_unique<DeafReceiver>());
    streams.add(
        connection->spool(), [&] { return ++asked, text; }, true);
    EXPECT_EQ(connection->spool().unwritten_bytes(), std::string("7\r\none\n\n\n\n\r\n").size());
    streams.changed();
    EXPECT_EQ(connection->spool().unwritten_bytes(), std::string("7\r\none\n\n\n\n\r\n").size());
    text = "three";
    streams.changed();
    EXPECT_EQ(connection->spool().unwritten_bytes(),
              std::string("7\r\none\n\n\n\n\r\n9\r\nthree\n\n\n\n\r\n").size());
    text.clear();
    streams.changed();
    EXPECT_EQ(asked, 4);
    EXPECT_EQ(streams.size(), 1U);
  }
  streams.changed();
  EXPECT_EQ(asked, 4);
  EXPECT_EQ(streams.size(), 0U);
}

}  // namespace
}  // namespace bobbin::admin
