#include "feed/consumer.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "disk/persistence_fixture.h"
#include "wire/compression.h"
#include "wire/datatype.h"
#include "wire/dcp_test_support.h"
#include "wire/xattr.h"

namespace bobbin::feed {
namespace {

using namespace std::chrono_literals;
using wire::BinaryHeader;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::frame_of;
using Failover = std::vector<wire::DcpFailoverEntry>;

constexpr uint64_t kUuid = 0xabc;

struct Request {
  BinaryHeader header;
  std::string bytes;
};

std::string reply(BinaryOpcode opcode, BinaryStatus status, uint32_t opaque, std::string_view value = {}) {
  std::string bytes(wire::kBinaryHeaderBytes, '\0');
  wire::encode_header(bytes.data(), {.magic = wire::kBinaryReplyMagic,
                                     .opcode = static_cast<uint8_t>(opcode),
                                     .vbucket_or_status = static_cast<uint16_t>(status),
                                     .body_bytes = static_cast<uint32_t>(value.size()),
                                     .opaque = opaque});
  return bytes.append(value);
}

/// A consumer in front of a bucket of two vbuckets, and the source's part, by hand.
class ConsumerTest : public testing::Test {
 protected:
  ConsumerTest() {
    disk_.options().directory.vbuckets = 2;
    disk_.options().directory.shards = 1;
    disk_.start_warm();
    connect();
  }
  ~ConsumerTest() override {
    consumer_.reset();
    disk_.close();
  }

  // Everything up to the answer which vbuckets there are.
  void connect() {
    requests();
    consumer_ = std::make_unique<Consumer>(disk_.there(), numbers_,
                                           ConsumerOptions{.name = "test", .buffer_bytes = 1000});
    consumer_->begin(steady_, out_);
  }

  FrameOutcome take(const std::string& frame) { return consumer_->take(frame, disk_.now(), steady_, out_); }

  std::vector<Request> requests() {
    std::string bytes;
    std::array<std::span<const char>, 16> runs;
    while (!out_.empty()) {
      const size_t count = out_.gather(runs, out_.size());
      size_t size = 0;
      for (size_t i = 0; i < count; ++i) {
        bytes.append(runs[i].data(), runs[i].size());
        size += runs[i].size();
      }
      out_.consume(size);
    }
    std::vector<Request> found;
    for (size_t at = 0; at < bytes.size();) {
      const BinaryHeader header = wire::decode_header(bytes.data() + at);
      const size_t size = wire::kBinaryHeaderBytes + header.body_bytes;
      found.push_back({header, bytes.substr(at, size)});
      at += size;
    }
    return found;
  }

  FrameOutcome tell_seqnos(const std::vector<uint64_t>& seqnos) {
    std::string value;
    std::array<char, 10> entry;
    for (size_t i = 0; i < seqnos.size(); ++i) {
      wire::store_big_endian(entry.data(), static_cast<uint16_t>(i));
      wire::store_big_endian(entry.data() + 2, seqnos[i]);
      value.append(entry.data(), entry.size());
    }
    return take(reply(BinaryOpcode::get_all_vb_seqnos, BinaryStatus::success, 1, value));
  }

  FrameOutcome accept(uint32_t opaque, const Failover& failover) {
    return take(
        reply(BinaryOpcode::dcp_stream_request, BinaryStatus::success, opaque, failover_value(failover)));
  }
  FrameOutcome roll_back(uint32_t opaque, uint64_t seqno) {
    std::string value(wire::kDcpRollbackBytes, '\0');
    wire::store_big_endian(value.data(), seqno);
    return take(reply(BinaryOpcode::dcp_stream_request, BinaryStatus::rollback, opaque, value));
  }

  FrameOutcome tell_history(uint32_t opaque, const Failover& failover) {
    return take(
        reply(BinaryOpcode::dcp_failover_log, BinaryStatus::success, opaque, failover_value(failover)));
  }
  static std::string failover_value(const Failover& failover) {
    std::string value(failover.size() * wire::kDcpFailoverEntryBytes, '\0');
    char* out = value.data();
    for (const wire::DcpFailoverEntry& entry : failover)
      out = wire::write_dcp_failover_entry(out, entry);
    return value;
  }
  void store_own(const std::string& name) {
    auto draft = disk_.bucket().draft(name, 0, 0, 1, disk_.now());
    ASSERT_TRUE(draft);
    draft->value()[0] = 'x';
    ASSERT_TRUE(disk_.bucket().store(std::move(*draft), store::StoreMode::set, disk_.now()).ok());
  }

  // What is here already is compared first; the source has had it.
  std::vector<Request> requests_for_streams() {
    auto asked = requests();
    bool compares = false;
    for (const Request& request : asked) {
      if (request.header.opcode != static_cast<uint8_t>(BinaryOpcode::dcp_failover_log)) continue;
      compares = true;
      EXPECT_EQ(tell_history(request.header.opaque, {{kUuid, 0}}), FrameOutcome::taken);
    }
    return compares ? requests() : asked;
  }

  // Both streams are open, and the source has `seqnos`. Their requests.
  std::array<wire::DcpStreamRequest, 2> open_streams(const std::vector<uint64_t>& seqnos) {
    requests();
    EXPECT_EQ(tell_seqnos(seqnos), FrameOutcome::taken);
    const auto asked = requests_for_streams();
    std::array<wire::DcpStreamRequest, 2> found;
    EXPECT_EQ(asked.size(), 2U);
    for (const Request& request : asked) {
      const uint16_t vbucket = request.header.vbucket_or_status;
      opaque_.at(vbucket) = request.header.opaque;
      found.at(vbucket) = *wire::read_dcp_stream_request(wire::request_of(request.bytes));
      found.at(vbucket).filter = {};
      EXPECT_EQ(accept(request.header.opaque, {{kUuid, 0}}), FrameOutcome::taken);
    }
    return found;
  }

  [[nodiscard]] wire::DcpRoute route(uint16_t vbucket) const {
    return {.vbucket = vbucket, .opaque = opaque_.at(vbucket)};
  }
  std::string marker(uint16_t vbucket, uint64_t start, uint64_t end) {
    return frame_of([&](char* out) {
      return wire::write_dcp_snapshot_marker(out, route(vbucket), {.start_seqno = start, .end_seqno = end});
    });
  }
  std::string mutation(uint16_t vbucket, uint64_t seqno, const std::string& name, std::string_view value,
                       uint8_t datatype = 0) {
    const std::string key = '\0' + name;
    wire::DcpMutation change{
        .seqno = seqno, .revision = 3, .cas = 1000 + seqno, .flags = 5, .datatype = datatype};
    change.key.wire = key;
    change.value = value;
    return frame_of([&](char* out) { return wire::write_dcp_mutation(out, route(vbucket), change); }, key,
                    value);
  }
  std::string deletion(uint16_t vbucket, uint64_t seqno, const std::string& name) {
    const std::string key = '\0' + name;
    wire::DcpRemoval change{
        .kind = wire::DcpRemovalKind::deletion_v2, .seqno = seqno, .revision = 4, .cas = 9};
    change.key.wire = key;
    return frame_of([&](char* out) { return wire::write_dcp_removal(out, route(vbucket), change); }, key);
  }
  // A name of that vbucket.
  std::string name_in(uint16_t vbucket, int number = 0) {
    for (int i = 0;; ++i) {
      const std::string name = "k" + std::to_string(i);
      if (disk_.bucket().vbucket_of(name) == vbucket && number-- == 0) return name;
    }
  }

  disk::PersistenceFixture disk_;
  FollowNumbers numbers_{2};
  net::Output out_;
  Consumer::SteadyTime steady_{1000s};
  std::unique_ptr<Consumer> consumer_;
  std::array<uint32_t, 2> opaque_{};
};

TEST_F(ConsumerTest, asks_for_each_vbucket_from_the_beginning_and_applies_what_comes) {
  const auto asked = open_streams({2, 0});
  EXPECT_EQ(asked[0].start_seqno, 0U);
  EXPECT_EQ(asked[0].uuid, 0U);
  EXPECT_TRUE(consumer_->is_streaming());
  EXPECT_FALSE(numbers_.caught_up.load());
  EXPECT_EQ(take(marker(0, 1, 2)), FrameOutcome::taken);
  EXPECT_EQ(take(mutation(0, 1, name_in(0), "value")), FrameOutcome::taken);
  steady_ += 7ms;
  EXPECT_EQ(take(mutation(0, 2, name_in(0, 1), "other")), FrameOutcome::taken);
  EXPECT_TRUE(numbers_.caught_up.load());
  EXPECT_EQ(numbers_.lag_ms.load(), 7U);
  const auto found = disk_.bucket().fetch(name_in(0), disk_.now());
  ASSERT_TRUE(found);
  EXPECT_EQ(found.doc->value(), "value");
  EXPECT_EQ(found.doc->cas(), 1001U);
  EXPECT_EQ(found.doc->revision(), 3U);
  EXPECT_EQ(found.doc->flags(), 5U);
  EXPECT_EQ(disk_.bucket().high_seqno(0), 2U);
  EXPECT_EQ(numbers_.began_new.get(), 1U) << "the other has nothing";
}

TEST_F(ConsumerTest, keeps_compressed_values_as_they_come) {
  const std::string value(500, 'x');
  std::string compressed;
  wire::deflate(value, compressed);
  open_streams({2, 0});
  ASSERT_EQ(take(marker(0, 1, 2)), FrameOutcome::taken);
  EXPECT_EQ(take(mutation(0, 1, name_in(0), compressed, wire::kDatatypeSnappy)), FrameOutcome::taken);
  const auto lies = disk_.bucket().fetch(name_in(0), {.takes_compressed = true}, disk_.now());
  ASSERT_TRUE(lies);
  EXPECT_EQ(lies.doc->value(), compressed);
  EXPECT_EQ(lies.doc->datatype(), wire::kDatatypeSnappy);
  EXPECT_EQ(disk_.bucket().fetch(name_in(0), disk_.now()).doc->value(), value);
  // With attributes, which are wanted at once when the document goes, it is inflated.
  std::string attributes;
  wire::set_xattr(attributes, "_a", "1");
  wire::deflate(attributes + value, compressed);
  constexpr uint8_t kBoth = wire::kDatatypeSnappy | wire::kDatatypeXattr;
  EXPECT_EQ(take(mutation(0, 2, name_in(0, 1), compressed, kBoth)), FrameOutcome::taken);
  const auto whole = disk_.bucket().fetch(name_in(0, 1), {.takes_compressed = true}, disk_.now());
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole.doc->value(), attributes + value);
  EXPECT_EQ(whole.doc->datatype(), wire::kDatatypeXattr);
}

TEST_F(ConsumerTest, takes_no_compressed_value_that_is_none) {
  using namespace std::string_literals;
  constexpr uint8_t kBoth = wire::kDatatypeSnappy | wire::kDatatypeXattr;
  std::string bare;
  wire::deflate("no attributes", bare);
  struct Case {
    std::string value;
    uint8_t datatype;
  };
  for (const Case& wrong :
       {Case{"\xff\xff\xff\xff\x0f"s, wire::kDatatypeSnappy}, Case{"\xff\xff\xff\xff\x0f"s, kBoth},
        Case{""s, wire::kDatatypeSnappy}, Case{"\x07\x08nonsense"s, wire::kDatatypeSnappy},
        Case{"\x07\x08nonsense"s, kBoth}, Case{bare, kBoth}, Case{"v"s, 0x08}}) {
    connect();
    open_streams({1, 0});
    ASSERT_EQ(take(marker(0, 1, 1)), FrameOutcome::taken);
    EXPECT_EQ(take(mutation(0, 1, name_in(0), wrong.value, wrong.datatype)), FrameOutcome::broken);
    EXPECT_FALSE(disk_.bucket().fetch(name_in(0), disk_.now()));
  }
}

TEST_F(ConsumerTest, goes_on_where_it_was) {
  open_streams({3, 0});
  ASSERT_EQ(take(marker(0, 1, 3)), FrameOutcome::taken);
  ASSERT_EQ(take(mutation(0, 1, name_in(0), "value")), FrameOutcome::taken);
  ASSERT_EQ(take(deletion(0, 2, name_in(0))), FrameOutcome::taken);
  connect();
  auto asked = open_streams({3, 0});
  EXPECT_EQ(asked[0].start_seqno, 2U);
  EXPECT_EQ(asked[0].uuid, kUuid);
  EXPECT_LE(asked[0].snapshot_start, 1U);
  EXPECT_EQ(asked[0].snapshot_end, 3U);
  ASSERT_EQ(take(marker(0, 1, 3)), FrameOutcome::taken);
  ASSERT_EQ(take(mutation(0, 3, name_in(0), "again")), FrameOutcome::taken);
  connect();
  asked = open_streams({3, 0});
  EXPECT_EQ(asked[0].start_seqno, 3U);
  EXPECT_EQ(asked[0].snapshot_start, 3U) << "that was all of it";
  EXPECT_EQ(asked[0].snapshot_end, 3U);
  EXPECT_EQ(numbers_.resumed.get(), 2U);
}

TEST_F(ConsumerTest, empties_a_vbucket_that_has_more_than_the_source) {
  open_streams({2, 0});
  ASSERT_EQ(take(marker(0, 1, 2)), FrameOutcome::taken);
  ASSERT_EQ(take(mutation(0, 1, name_in(0), "value")), FrameOutcome::taken);
  ASSERT_EQ(take(mutation(0, 2, name_in(0, 1), "lost")), FrameOutcome::taken);
  connect();
  requests();
  ASSERT_EQ(tell_seqnos({1, 0}), FrameOutcome::taken);
  const auto asked = requests_for_streams();
  ASSERT_EQ(asked[0].header.vbucket_or_status, 0U);
  ASSERT_EQ(roll_back(asked[0].header.opaque, 1), FrameOutcome::taken);
  EXPECT_EQ(numbers_.cleared.get(), 1U);
  const auto again = requests();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(wire::read_dcp_stream_request(wire::request_of(again[0].bytes))->start_seqno, 0U);
  EXPECT_EQ(disk_.bucket().high_seqno(0), 0U);
  EXPECT_FALSE(disk_.bucket().fetch(name_in(0), disk_.now()));
}

TEST_F(ConsumerTest, keeps_what_nobody_has_beside_it) {
  store_own(name_in(0));
  requests();
  ASSERT_EQ(tell_seqnos({9, 9}), FrameOutcome::taken);
  const auto history = requests();
  ASSERT_EQ(history.size(), 1U) << "before anything else is asked for";
  EXPECT_EQ(history[0].header.opcode, static_cast<uint8_t>(BinaryOpcode::dcp_failover_log));
  EXPECT_EQ(tell_history(history[0].header.opaque, {{kUuid, 0}}), FrameOutcome::broken);
  EXPECT_NE(consumer_->trouble().find("would lose them"), std::string::npos);
  EXPECT_TRUE(disk_.bucket().fetch(name_in(0), disk_.now()));
  EXPECT_FALSE(disk_.bucket().follows(0));
  EXPECT_FALSE(disk_.bucket().follows(1));
}

// A source that has lost its disk, or another one under its name.
TEST_F(ConsumerTest, is_not_emptied_for_a_source_without_a_part_of_its_history) {
  open_streams({9, 9});
  ASSERT_EQ(take(marker(0, 1, 5)), FrameOutcome::taken);
  ASSERT_EQ(take(mutation(0, 5, name_in(0), "v")), FrameOutcome::taken);
  connect();
  requests();
  ASSERT_EQ(tell_seqnos({9, 9}), FrameOutcome::taken);
  const auto history = requests();
  ASSERT_EQ(history.size(), 1U);
  EXPECT_EQ(tell_history(history[0].header.opaque, {{kUuid + 1, 0}}), FrameOutcome::broken);
  EXPECT_NE(consumer_->trouble().find("would lose them"), std::string::npos);
  EXPECT_TRUE(disk_.bucket().fetch(name_in(0), disk_.now()));
}

TEST_F(ConsumerTest, asks_for_the_beginning_once) {
  requests();
  ASSERT_EQ(tell_seqnos({9, 9}), FrameOutcome::taken);
  const auto asked = requests();
  ASSERT_EQ(roll_back(asked[0].header.opaque, 0), FrameOutcome::taken);
  const auto again = requests();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(roll_back(again[0].header.opaque, 0), FrameOutcome::broken);
  EXPECT_EQ(numbers_.cleared.get(), 0U);
}

TEST_F(ConsumerTest, empties_its_own_where_the_source_has_a_part_of_its_history) {
  store_own(name_in(0));
  requests();
  ASSERT_EQ(tell_seqnos({9, 0}), FrameOutcome::taken);
  const auto history = requests();
  ASSERT_EQ(tell_history(history[0].header.opaque, {{kUuid, 5}, {disk_.bucket().vbucket_uuid(0), 0}}),
            FrameOutcome::taken);
  const auto asked = requests();
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(wire::read_dcp_stream_request(wire::request_of(asked[0].bytes))->start_seqno, 1U);
  ASSERT_EQ(roll_back(asked[0].header.opaque, 0), FrameOutcome::taken);
  EXPECT_FALSE(disk_.bucket().fetch(name_in(0), disk_.now()));
  EXPECT_TRUE(disk_.bucket().follows(0));
  ASSERT_EQ(requests().size(), 1U);
}

TEST_F(ConsumerTest, takes_nothing_that_cannot_be) {
  open_streams({9, 9});
  ASSERT_EQ(take(marker(0, 1, 5)), FrameOutcome::taken);
  ASSERT_EQ(take(mutation(0, 2, name_in(0), "value")), FrameOutcome::taken);
  wire::DcpRoute stranger = route(0);
  ++stranger.opaque;
  const std::string other_stream = frame_of([&](char* out) {
    return wire::write_dcp_snapshot_marker(out, stranger, {.start_seqno = 6, .end_seqno = 7});
  });
  for (const std::string& wrong :
       {mutation(0, 2, name_in(0), "again"), mutation(0, 6, name_in(0), "later"),
        mutation(0, 3, name_in(1), "elsewhere"), mutation(0, 3, std::string(251, 'k'), "long"),
        mutation(0, 3, name_in(0), "x", 2), mutation(0, 3, name_in(0), "xattr", 4),
        mutation(1, 3, name_in(1), "no snapshot"), marker(0, 5, 4), marker(0, 1, 1), other_stream,
        reply(BinaryOpcode::dcp_stream_request, BinaryStatus::success, 4711),
        reply(BinaryOpcode::get, BinaryStatus::success, 1)}) {
    EXPECT_EQ(take(wrong), FrameOutcome::broken) << consumer_->trouble();
    EXPECT_FALSE(consumer_->trouble().empty());
  }
  EXPECT_EQ(disk_.bucket().high_seqno(0), 2U);
  EXPECT_EQ(disk_.bucket().high_seqno(1), 0U);
}

TEST_F(ConsumerTest, wants_as_many_vbuckets_as_there_are) {
  for (const std::vector<uint64_t>& wrong : {std::vector<uint64_t>{1}, std::vector<uint64_t>{1, 1, 1}}) {
    connect();
    EXPECT_EQ(tell_seqnos(wrong), FrameOutcome::broken);
    EXPECT_NE(consumer_->trouble().find("the same number"), std::string::npos);
  }
}

TEST_F(ConsumerTest, asks_again_for_a_stream_that_has_ended) {
  open_streams({0, 0});
  const std::string end =
      frame_of([&](char* out) { return wire::write_dcp_stream_end(out, route(1), wire::DcpEnd::rollback); });
  ASSERT_EQ(take(end), FrameOutcome::taken);
  EXPECT_FALSE(consumer_->is_streaming());
  EXPECT_EQ(numbers_.streams.get(), 1U);
  EXPECT_TRUE(requests().empty());
  consumer_->tick(steady_, out_);
  const auto asked = requests();
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].header.vbucket_or_status, 1U);
  EXPECT_EQ(take(end), FrameOutcome::broken) << "of a stream that is not open";
}

TEST_F(ConsumerTest, acknowledges_what_was_applied) {
  open_streams({9, 0});
  ASSERT_EQ(take(marker(0, 1, 9)), FrameOutcome::taken);
  uint64_t seqno = 0;
  std::vector<Request> sent;
  while (sent.empty() && seqno < 9) {
    ASSERT_EQ(take(mutation(0, ++seqno, name_in(0), std::string(50, 'v'))), FrameOutcome::taken);
    sent = requests();
  }
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].header.opcode, static_cast<uint8_t>(BinaryOpcode::dcp_buffer_ack));
  EXPECT_GE(*wire::read_dcp_buffer_ack(wire::request_of(sent[0].bytes)), 200U);
}

TEST_F(ConsumerTest, asks_how_far_the_source_is_again_and_again) {
  open_streams({0, 0});
  consumer_->tick(steady_, out_);
  EXPECT_TRUE(requests().empty());
  steady_ += 250ms;
  consumer_->tick(steady_, out_);
  ASSERT_EQ(requests().size(), 1U);
  ASSERT_EQ(tell_seqnos({1, 0}), FrameOutcome::taken);
  steady_ += 40ms;
  consumer_->tick(steady_, out_);
  EXPECT_EQ(numbers_.lag_ms.load(), 40U) << "so long at least";
  ASSERT_EQ(take(marker(0, 1, 1)), FrameOutcome::taken);
  ASSERT_EQ(take(mutation(0, 1, name_in(0), "v")), FrameOutcome::taken);
  EXPECT_EQ(numbers_.lag_ms.load(), 40U);
  steady_ += 100ms;
  EXPECT_EQ(tell_seqnos({1, 0}), FrameOutcome::broken) << "nobody has asked";
}

}  // namespace
}  // namespace bobbin::feed
