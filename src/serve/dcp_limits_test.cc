// What a consumer can hold up, and what ends it.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "feed/producer.h"
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

// With one that reads, four readers may be open: that of a client which takes nothing goes when another needs
// it.
TEST_F(DcpTest, ReadersOfClientsThatTakeNothingAreBounded) {
  server_.max_backfills = 1;
  server_.stream_patience = std::chrono::milliseconds(0);
  for (int i = 0; i < 100; ++i)
    server_.set("k" + std::to_string(i), std::string(1000, 'v'));
  server_.bring_to_disk();
  server_.restart();
  std::vector<std::unique_ptr<StreamClient>> stalled;
  const auto& streams = server_->engine().bucket->streams();
  for (size_t i = 0; i < 4; ++i) {
    stalled.push_back(std::make_unique<StreamClient>(server_->addresses()[0]));
    ASSERT_EQ(stalled[i]->open(open_flags::kProducer, std::to_string(i)), BinaryStatus::success);
    ASSERT_EQ(stalled[i]->control("connection_buffer_size", "1"), BinaryStatus::success);
    ASSERT_EQ(stalled[i]->request(0).status, BinaryStatus::success);
    EXPECT_TRUE(text_of(stalled[i]->next()->message).starts_with("marker 0-"));
    EXPECT_EQ(streams.readers().held(), i + 1);
  }
  StreamClient other(server_->addresses()[0]);
  ASSERT_EQ(other.open(open_flags::kProducer, "other"), BinaryStatus::success);
  for (uint16_t vbucket = 0; vbucket < StreamServer::kVBuckets; ++vbucket)
    ASSERT_EQ(other.request(vbucket).status, BinaryStatus::success);
  for (int mutations = 0; mutations < 100;) {
    mutations += std::holds_alternative<wire::DcpMutation>(other.next()->message) ? 1 : 0;
    EXPECT_LE(streams.readers().held(), 4U);
  }
  EXPECT_GE(streams.totals().too_slow.load(), 1U);
  // What it had begun to be sent comes first.
  std::string last;
  while (!last.starts_with("end")) {
    stalled[0]->acknowledge(100'000);
    last = text_of(stalled[0]->next()->message);
  }
  EXPECT_EQ(last, "end 4");
}

// What is taken from the change log and not sent is an eighth of the quota, 8 MiB.
TEST_F(DcpTest, ChangesThatStalledClientsHaveTakenAreBounded) {
  server_.stop();
  server_.stream_patience = std::chrono::milliseconds(0);
  server_.start();
  const auto& streams = server_->engine().bucket->streams();
  std::vector<std::unique_ptr<StreamClient>> stalled;
  for (size_t i = 0; i < 10; ++i) {
    stalled.push_back(std::make_unique<StreamClient>(server_->addresses()[0]));
    ASSERT_EQ(stalled[i]->open(open_flags::kProducer, std::to_string(i)), BinaryStatus::success);
    ASSERT_EQ(stalled[i]->control("connection_buffer_size", "1"), BinaryStatus::success);
    ASSERT_EQ(stalled[i]->request(0).status, BinaryStatus::success);
  }
  const auto caught_up = [&streams] {
    size_t count = 0;
    streams.visit([&count](const feed::Producer& producer) {
      producer.visit([&count](const feed::Stream& stream) {
        count += stream.status().phase.load() == feed::StreamPhase::caught_up ? 1 : 0;
      });
    });
    return count;
  };
  while (caught_up() != stalled.size())
    std::this_thread::yield();
  server_.set(k_[0], std::string(1 << 20, 'v'));
  // Each has its marker then, or waits for those that have theirs.
  while (streams.totals().too_slow.load() == 0)
    std::this_thread::yield();
  StreamClient other(server_->addresses()[0]);
  ASSERT_EQ(other.open(open_flags::kProducer, "other"), BinaryStatus::success);
  ASSERT_EQ(other.request(0).status, BinaryStatus::success);
  server_.set(k_[1], "v");
  std::string last;
  while (!last.starts_with("set " + k_[1])) {
    last = text_of(other.next()->message);
    EXPECT_LE(streams.changes().held(), streams.changes().limit() + 3 * (1 << 20));
  }
  stalled.clear();
  while (streams.changes().held() != 0)
    std::this_thread::yield();
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
