// What single commands answer, count and tell the live log, where that takes a clock or a store that a test
// can turn.

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "serve/test_session.h"

namespace bobbin::serve {
namespace {

class CommandsTest : public testing::Test {
 protected:
  std::string ask(std::string_view requests) {
    const auto connection = server_.connect();
    connection->feed(requests);
    return connection->replies();
  }
  uint64_t count(std::string_view name) { return server_.counts().at(name); }

  net::Loop loop_{net::Limits{}};
  TestEngine server_{loop_, {.max_value_bytes = 1000, .vbuckets = 1}};
};

// Each read has one time. Another loop may have read a moment later and been quicker.
TEST_F(CommandsTest, AnAccessInTheFutureIsNoTimeAgo) {
  ask("set k 0 0 1\r\n1\r\n");
  (void)server_.bucket().fetch("k", {server_.clock().now().unix_ns + 2'000'000'000});
  EXPECT_EQ(ask("mg k l u\r\n"), "HD l0\r\n");
  EXPECT_NE(ask("me k\r\n").find(" la=0 "), std::string::npos);
  EXPECT_NE(ask("stats items\r\n").find("items:1:age 0\r\n"), std::string::npos);
}

TEST_F(CommandsTest, EveryStoreWhoseValueCameIsCounted) {
  ask("set k 0 0 2\r\nlonger\r\nms k 2\r\nlonger\r\n");
  EXPECT_EQ(count("cmd_set"), 2U) << "memcached counts a value without its line end";
  const auto connection = server_.connect();
  for (const std::string_view part : {"set k 0 0 2\r\n", "lo", "ng", "\r\nms k 2\r\n", "lo", "ng", "\r\n"})
    connection->feed(part);
  EXPECT_EQ(count("cmd_set"), 4U);
  ask("set k 0 0 1001\r\n" + std::string(1001, 'v') + "\r\n");
  EXPECT_EQ(count("cmd_set"), 4U);
  EXPECT_EQ(count("store_too_large"), 1U);
}

TEST_F(CommandsTest, TotalItemsCountsWhatIsStoredAndNotWhatIsChanged) {
  ask("set n 0 0 1\r\n1\r\nincr n 5\r\ndecr n 1\r\nma n\r\nmd n I\r\nmd n x\r\ntouch n 0\r\n");
  EXPECT_EQ(count("total_items"), 1U);
  ask("append n 0 0 1\r\n1\r\nma created N0\r\nmg vivified N0\r\n");
  EXPECT_EQ(count("total_items"), 4U);
}

}  // namespace
}  // namespace bobbin::serve
