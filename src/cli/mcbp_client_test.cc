// Against a server in this process.

#include "cli/mcbp_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "serve/server.h"

namespace bobbin::cli {
namespace {

using testing::HasSubstr;
using wire::BinaryOpcode;
using wire::BinaryStatus;

class McbpClientTest : public testing::Test {
 protected:
  McbpClientTest() {
    serve::ServerOptions options;
    options.front_end.listen.push_back(*net::Address::parse("127.0.0.1:0", 0));
    options.bucket.cache.vbuckets = 4;
    options.users = std::move(*serve::Users::open({"", serve::kDevPasswordIterations, &clock_}));
    EXPECT_TRUE(options.users->add({"ann", "se,c=ret", std::nullopt, *serve::parse_roles("admin")}));
    EXPECT_TRUE(
        options.users->add({"eve", "x", std::nullopt, *serve::parse_roles("data_reader[elsewhere]")}));
    server_ = std::move(*serve::Server::start(std::move(options)));
    options_.address = server_->addresses()[0];
    options_.user = "ann";
    options_.password = "se,c=ret";
    options_.bucket = "default";
  }
  std::string error() { return McbpClient::connect(options_).error().message; }

  base::SystemClock clock_;
  std::unique_ptr<serve::Server> server_;
  McbpOptions options_;
};

TEST_F(McbpClientTest, LogsInSelectsABucketAndAsks) {
  options_.features = {wire::Feature::collections, wire::Feature::json};
  auto client = McbpClient::connect(options_);
  ASSERT_TRUE(client) << client.error().message;
  const auto stored = client->ask({.opcode = BinaryOpcode::set,
                                   .key = std::string_view("\0key", 4),
                                   .value = "value",
                                   .extras = std::string_view("\0\0\0\0\0\0\0\0", 8),
                                   .vbucket = 1,
                                   .opaque = 77});
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(stored->status(), BinaryStatus::success);
  const auto found =
      client->ask({.opcode = BinaryOpcode::get, .key = std::string_view("\0key", 4), .opaque = 78});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->value(), "value");
  EXPECT_EQ(found->extras().size(), 4U);
}

TEST_F(McbpClientTest, KnowsVbucketsAndCollections) {
  auto client = McbpClient::connect(options_);
  ASSERT_TRUE(client) << client.error().message;
  const auto vbuckets = client->vbuckets();
  ASSERT_TRUE(vbuckets);
  ASSERT_EQ(vbuckets->size(), 4U);
  EXPECT_EQ(vbuckets->at(3).number, 3);
  EXPECT_EQ(client->vbucket_uuid(0).value(), server_->bucket().vbucket_uuid(0));
  EXPECT_EQ(client->collection_id("_default._default").value(), 0U);
  EXPECT_EQ(client->scope_id("_default").value(), 0U);
  EXPECT_THAT(client->collection_id("_default.none").error().message, HasSubstr("no such collection"));
  EXPECT_THAT(client->scope_id("none").error().message, HasSubstr("no such scope"));
  EXPECT_THAT(client->manifest().value(), HasSubstr("\"uid\":\"0\""));
}

TEST_F(McbpClientTest, SaysWhatIsWrong) {
  options_.password = "wrong";
  EXPECT_EQ(error(), "cannot log in as ann: wrong user or password");
  options_.password = "se,c=ret";
  options_.bucket = "nowhere";
  EXPECT_EQ(error(), "bucket \"nowhere\": not found");
  options_.bucket = "default";
  options_.features = {static_cast<wire::Feature>(0x3f)};
  EXPECT_THAT(error(), HasSubstr("lacks feature 0x3f"));
  options_.features = {};
  options_.user = "eve";
  options_.password = "x";
  EXPECT_EQ(error(), "bucket \"default\": no access");
}

TEST_F(McbpClientTest, TakesRepliesAsTheyCome) {
  auto client = McbpClient::connect(options_);
  ASSERT_TRUE(client) << client.error().message;
  for (uint32_t i = 1; i <= 3; ++i)
    ASSERT_TRUE(client->send({.opcode = BinaryOpcode::noop, .opaque = i}));
  McbpFrame frame;
  for (uint32_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(client->receive(frame));
    EXPECT_EQ(frame.header.opaque, i);
  }
}

}  // namespace
}  // namespace bobbin::cli
