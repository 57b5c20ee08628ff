// What a consumer can hold up, and what ends it.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "serve/dcp_fixture.h"

namespace bobbin::serve {
namespace {

using wire::BinaryStatus;
namespace open_flags = wire::dcp_open_flags;

TEST_F(DcpTest, SendsNoMoreThanTheWindowUntilItIsAcknowledged) {
  for (size_t i = 0; i < 10; ++i)
    server_.set(k_[i], std::string(1000, 'v'));
  server_.bring_to_disk();
  StreamClient consumer = client();
  EXPECT_EQ(consumer.control("connection_buffer_size", "2000"), BinaryStatus::success);
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  std::vector<std::string> frames;
  uint32_t bytes = 0;
  // One more than fits is sent, and then no other before it is acknowledged.
  while (bytes < 2000) {
    frames.push_back(consumer.next()->bytes);
    bytes += static_cast<uint32_t>(frames.back().size());
  }
  EXPECT_EQ(frames.size(), 3U);
  EXPECT_EQ(consumer.ask(wire::BinaryOpcode::noop, {}).status, BinaryStatus::success);
  for (size_t i = 2; i < 10; ++i) {
    consumer.acknowledge(bytes);
    bytes = 0;
    while (i < 10 && bytes < 2000) {
      bytes += static_cast<uint32_t>(consumer.next()->bytes.size());
      if (bytes < 2000) ++i;
    }
  }
}

TEST_F(DcpTest, AsksForASignOfLifeAndLeavesTheDead) {
  StreamClient consumer = client();
  EXPECT_EQ(consumer.control("set_noop_interval", "1"), BinaryStatus::success);
  EXPECT_EQ(consumer.control("enable_noop", "true"), BinaryStatus::success);
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  for (int i = 0; i < 2; ++i) {
    const auto noop = consumer.next();
    ASSERT_EQ(text_of(noop->message), "noop");
    std::array<char, wire::kBinaryHeaderBytes> reply;
    wire::write_dcp_reply(reply.data(), wire::BinaryOpcode::dcp_noop, noop->route.opaque,
                          BinaryStatus::success);
    if (i == 0) consumer.send({reply.data(), reply.size()});
  }
  EXPECT_EQ(consumer.next(), nullptr) << "the second was not answered";
}

TEST_F(DcpTest, AClientThatTakesNothingLeavesTheDiskToOthers) {
  server_.max_backfills = 1;
  for (int i = 0; i < 400; ++i)
    server_.set("k" + std::to_string(i), std::string(1000, 'v'));
  server_.bring_to_disk();
  server_.restart();
  // Its first stream fills the window, the second stands in the queue for the disk.
  StreamClient stalled = client();
  EXPECT_EQ(stalled.control("connection_buffer_size", "1"), BinaryStatus::success);
  for (uint16_t vbucket = 0; vbucket < StreamServer::kVBuckets; ++vbucket)
    ASSERT_EQ(stalled.request(vbucket).status, BinaryStatus::success);
  (void)stalled.next();
  StreamClient other(server_->addresses()[0]);
  ASSERT_EQ(other.open(open_flags::kProducer, "other"), BinaryStatus::success);
  for (uint16_t vbucket = 0; vbucket < StreamServer::kVBuckets; ++vbucket)
    ASSERT_EQ(other.request(vbucket).status, BinaryStatus::success);
  for (int mutations = 0; mutations < 400;) {
    mutations += std::holds_alternative<wire::DcpMutation>(other.next()->message) ? 1 : 0;
  }
}

TEST_F(DcpTest, WhoHasNothingIsNotToldToWaitForASnapshotThatIsNot) {
  server_.set(k_[0], "v");
  server_.bring_to_disk();
  server_.restart();
  StreamClient consumer = client();
  ASSERT_EQ(consumer.request(0, {.snapshot_end = 1000}).status, BinaryStatus::success);
  EXPECT_EQ(next(consumer, 2), "marker 0-1 disk, set " + k_[0] + "@1=v");
}

TEST_F(DcpTest, StatisticsTellHowFarEachStreamIs) {
  server_.set(k_[0], std::string(100'000, 'v'));
  server_.bring_to_disk();
  StreamClient consumer = client();
  EXPECT_EQ(consumer.control("connection_buffer_size", "1"), BinaryStatus::success);
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  ASSERT_EQ(consumer.request(1).status, BinaryStatus::success);
  (void)consumer.next();
  std::map<std::string, std::string> told;
  // What is read here the step may have told of only after it has sent.
  while (told["eq_dcpq:stream test:paused_reason"].empty()) {
    ASSERT_TRUE(report_statistics(
        server_->engine(), *server_->engine().bucket, "dcp",
        [&told](std::string_view name, std::string_view value) { told[std::string(name)] = value; }));
  }
  EXPECT_EQ(told["ep_dcp_producer_count"], "1");
  EXPECT_EQ(told["eq_dcpq:stream test:num_streams"], "2");
  EXPECT_EQ(told["eq_dcpq:stream test:paused_reason"], "the client does not acknowledge");
  EXPECT_EQ(told["eq_dcpq:stream test:stream_0_idle_reason"], "the client does not acknowledge");
  EXPECT_EQ(told["eq_dcpq:stream test:stream_0_items_behind"], "1");
}

}  // namespace
}  // namespace bobbin::serve
