// Change streams as a consumer sees them, over a socket of a server with a disk.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "serve/dcp_fixture.h"
#include "wire/compression.h"
#include "wire/datatype.h"
#include "wire/xattr.h"

namespace bobbin::serve {
namespace {

using wire::BinaryStatus;
using wire::Feature;
namespace open_flags = wire::dcp_open_flags;
namespace stream_flags = wire::dcp_stream_flags;

TEST_F(DcpTest, SendsWhatIsThereAndThenWhatIsWritten) {
  server_.set(k_[0], "a");
  server_.set(k_[1], "b");
  server_.bring_to_disk();
  StreamClient consumer = client();
  const StreamClient::Reply reply = consumer.request(0);
  ASSERT_EQ(reply.status, BinaryStatus::success);
  EXPECT_EQ(wire::read_dcp_failover_entry(reply.value, 0).uuid, server_.bucket().vbucket_uuid(0));
  EXPECT_EQ(next(consumer, 3), "marker 0-2 disk, set k3@1=a, set " + k_[1] + "@2=b");
  server_.await_streams();
  server_.set(k_[0], "c");
  EXPECT_EQ(next(consumer, 2), "marker 3-3 memory, set " + k_[0] + "@3=c");
  server_.await_streams();
  server_.remove(k_[0]);
  EXPECT_EQ(next(consumer, 2), "marker 4-4 memory, del " + k_[0] + "@4");
}

// The frames themselves, as the documentation has them; CAS come from a clock.
TEST_F(DcpTest, WritesTheDocumentedBytes) {
  StreamClient consumer = client(open_flags::kProducer, {Feature::select_bucket, Feature::xerror});
  ASSERT_EQ(consumer.request(0, {}, 0x1210).status, BinaryStatus::success);
  server_.await_streams();
  const auto stored = server_.set("k3", "world", 0, 0x01020304);
  ASSERT_EQ(vbucket_of("k3"), 0) << "the key of these frames";
  std::string cas(8, '\0');
  wire::store_big_endian(cas.data(), stored.cas);
  const auto marker = consumer.next();
  EXPECT_EQ(marker->bytes, std::string("\x80\x56\0\0\x14\0\0\0\0\0\0\x14\0\0\x12\x10\0\0\0\0\0\0\0\0", 24) +
                               std::string("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x05", 20));
  const auto mutation = consumer.next();
  EXPECT_EQ(
      mutation->bytes,
      std::string("\x80\x57\0\x02\x1f\0\0\0\0\0\0\x26\0\0\x12\x10", 16) + cas +
          std::string("\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\x01\x02\x03\x04\0\0\0\0\0\0\0\0\0\0\0", 31) +
          "k3world");
  const auto removed = server_.remove("k3");
  wire::store_big_endian(cas.data(), removed.cas);
  (void)consumer.next();
  const auto deletion = consumer.next();
  EXPECT_EQ(deletion->bytes, std::string("\x80\x58\0\x02\x12\0\0\0\0\0\0\x14\0\0\x12\x10", 16) + cas +
                                 std::string("\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0", 18) + "k3");
}

TEST_F(DcpTest, GoesFromTheDiskToMemory) {
  for (int i = 0; i < 5; ++i)
    server_.set(k_[static_cast<size_t>(i)], "v");
  server_.set(k_[0], "w");
  server_.bring_to_disk();
  server_.restart();
  StreamClient consumer = client();
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  EXPECT_EQ(next(consumer, 6), "marker 0-6 disk, set " + k_[1] + "@2=v, set " + k_[2] + "@3=v, set " + k_[3] +
                                   "@4=v, set " + k_[4] + "@5=v, set " + k_[0] + "@6=w");
  server_.await_streams();
  server_.set(k_[1], "x");
  EXPECT_EQ(next(consumer, 2), "marker 7-7 memory, set " + k_[1] + "@7=x");
}

TEST_F(DcpTest, GoesOnWhereTheConsumerIs) {
  for (int i = 0; i < 5; ++i)
    server_.set(k_[static_cast<size_t>(i)], "v");
  server_.bring_to_disk();
  const uint64_t uuid = server_.bucket().vbucket_uuid(0);
  StreamClient consumer = client();
  ASSERT_EQ(consumer.request(0, from(uuid, 3)).status, BinaryStatus::success);
  EXPECT_EQ(next(consumer, 3), "marker 3-5 disk, set " + k_[3] + "@4=v, set " + k_[4] + "@5=v");
  EXPECT_EQ(consumer.request(0, from(uuid, 3)).status, BinaryStatus::key_exists);
  const auto ahead = consumer.request(1, from(server_.bucket().vbucket_uuid(1), 1000));
  EXPECT_EQ(ahead.status, BinaryStatus::rollback);
  EXPECT_EQ(wire::read_dcp_rollback(ahead.value), server_.bucket().high_seqno(1));
  EXPECT_EQ(*wire::read_dcp_rollback(consumer.request(1, from(uuid + 1, 1)).value), 0U);
  wire::DcpStreamRequest wrong = from(uuid, 3);
  wrong.end_seqno = 2;
  EXPECT_EQ(consumer.request(1, wrong).status, BinaryStatus::out_of_range);
}

TEST_F(DcpTest, EndsWhereItWasToEnd) {
  for (int i = 0; i < 3; ++i)
    server_.set(k_[static_cast<size_t>(i)], "v");
  server_.bring_to_disk();
  StreamClient consumer = client();
  ASSERT_EQ(consumer.request(0, from(0, 0, stream_flags::kToLatest)).status, BinaryStatus::success);
  EXPECT_TRUE(next(consumer, 5).ends_with("@3=v, end 0"));
  ASSERT_EQ(consumer.request(0, from(0, 0, stream_flags::kDiskOnly)).status, BinaryStatus::success);
  EXPECT_TRUE(next(consumer, 5).ends_with("@3=v, end 0"));
  const uint64_t empty = server_.bucket().high_seqno(1);
  ASSERT_EQ(empty, 0U);
  ASSERT_EQ(consumer.request(1, from(0, 0, stream_flags::kToLatest)).status, BinaryStatus::success);
  EXPECT_EQ(next(consumer, 1), "end 0");
  ASSERT_EQ(consumer.request(0, from(0, 0, stream_flags::kFromLatest)).status, BinaryStatus::success);
  server_.await_streams();
  server_.set(k_[4], "w");
  EXPECT_EQ(next(consumer, 2), "marker 3-4 memory, set " + k_[4] + "@4=w");
}

TEST_F(DcpTest, ClosesAStream) {
  StreamClient consumer = client();
  EXPECT_EQ(consumer.close_stream(0), BinaryStatus::key_not_found);
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  EXPECT_EQ(consumer.close_stream(0), BinaryStatus::success);
  EXPECT_EQ(consumer.control("send_stream_end_on_client_close_stream", "true"), BinaryStatus::success);
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  EXPECT_EQ(consumer.close_stream(0), BinaryStatus::success);
  EXPECT_EQ(next(consumer, 1), "end 1") << "of the second: the first was closed without a word";
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  server_.await_streams();
  server_.set(k_[0], "v");
  EXPECT_EQ(next(consumer, 2), "marker 0-1 memory, set k3@1=v");
}

TEST_F(DcpTest, WhoHasSeenWhatWasFlushedBeginsAnew) {
  server_.set(k_[0], "v");
  StreamClient consumer = client();
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  (void)next(consumer, 2);
  const uint64_t uuid = server_.bucket().vbucket_uuid(0);
  server_.bucket().flush(server_.now());
  EXPECT_EQ(next(consumer, 1), "end 6");
  server_.set(k_[1], "w");
  const auto reply = consumer.request(0, from(uuid, 1));
  ASSERT_EQ(reply.status, BinaryStatus::rollback);
  EXPECT_EQ(*wire::read_dcp_rollback(reply.value), 0U);
  server_.bring_to_disk();
  ASSERT_EQ(consumer.request(0, from(uuid, 0)).status, BinaryStatus::success);
  EXPECT_EQ(next(consumer, 2), "marker 0-3 disk, set " + k_[1] + "@3=w");
}

TEST_F(DcpTest, AStreamOfAVBucketThatIsClearedEnds) {
  server_.set(k_[0], "v");
  server_.set(k_[1], "v");
  StreamClient consumer = client();
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  (void)next(consumer, 3);
  const uint64_t uuid = server_.bucket().vbucket_uuid(0);
  (void)server_.bucket().clear(0, server_.now());
  EXPECT_EQ(next(consumer, 1), "end 6");
  const auto reply = consumer.request(0, from(uuid, 2));
  ASSERT_EQ(reply.status, BinaryStatus::rollback);
  EXPECT_EQ(*wire::read_dcp_rollback(reply.value), 0U);
  // The disk may still have what is gone.
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  server_.set(k_[2], "w");
  (void)next(consumer, 1);
  EXPECT_EQ(next(consumer, 1), "set " + k_[2] + "@1=w");
}

TEST_F(DcpTest, WhoMissedAFlushBeginsAnewAfterARestart) {
  for (size_t i = 0; i < 3; ++i)
    server_.set(k_[i], "v");
  server_.bring_to_disk();
  const uint64_t uuid = server_.bucket().vbucket_uuid(0);
  server_.bucket().flush(server_.now());
  server_.set(k_[1], "w");
  server_.bring_to_disk();
  server_.restart();
  StreamClient consumer = client();
  const auto reply = consumer.request(0, from(uuid, 2));
  ASSERT_EQ(reply.status, BinaryStatus::rollback);
  EXPECT_EQ(*wire::read_dcp_rollback(reply.value), 0U);
  ASSERT_EQ(consumer.request(0, from(uuid, 0)).status, BinaryStatus::success);
  EXPECT_EQ(next(consumer, 2), "marker 0-5 disk, set " + k_[1] + "@5=w");
  EXPECT_EQ(server_.bucket().stream_facts(0).flush_seqno, 4U);
  EXPECT_EQ(server_.bucket().stream_facts(1).flush_seqno, 0U);
}

TEST_F(DcpTest, ThereIsOneProducerOfEachName) {
  StreamClient first = client();
  ASSERT_EQ(first.request(0).status, BinaryStatus::success);
  StreamClient second = client();
  EXPECT_EQ(first.next(), nullptr);
  ASSERT_EQ(second.request(0).status, BinaryStatus::success);
}

TEST_F(DcpTest, RefusesWhatItCannotDo) {
  StreamClient consumer(server_->addresses()[0]);
  EXPECT_EQ(consumer.request(0).status, BinaryStatus::invalid_arguments) << "it has not been opened";
  EXPECT_EQ(consumer.control("enable_noop", "true"), BinaryStatus::invalid_arguments);
  EXPECT_EQ(consumer.open(0), BinaryStatus::not_supported) << "a consumer";
  EXPECT_EQ(consumer.open(open_flags::kProducer | open_flags::kNotifier), BinaryStatus::invalid_arguments);
  EXPECT_EQ(consumer.open(open_flags::kProducer | 0x4000), BinaryStatus::invalid_arguments);
  EXPECT_EQ(consumer.open(), BinaryStatus::success);
  EXPECT_EQ(consumer.open(), BinaryStatus::invalid_arguments);
  EXPECT_EQ(consumer.request(0, from(0, 0, stream_flags::kTakeover)).status, BinaryStatus::not_supported);
  EXPECT_EQ(consumer.request(0, from(0, 0, stream_flags::kNoValue)).status, BinaryStatus::invalid_arguments);
  EXPECT_EQ(consumer.request(99).status, BinaryStatus::not_my_vbucket);
  EXPECT_EQ(consumer.request(0, filtered("{\"sid\":1}")).status, BinaryStatus::dcp_stream_id_invalid);
  EXPECT_EQ(consumer.request(0, filtered("{\"collections\":[\"77\"]}")).status,
            BinaryStatus::unknown_collection);
  EXPECT_EQ(consumer.request(0, filtered("{\"scope\":\"77\"}")).status, BinaryStatus::unknown_scope);
  EXPECT_EQ(consumer.request(0, filtered("{")).status, BinaryStatus::invalid_arguments);
  EXPECT_EQ(consumer.control("stream_buffer_size", "10"), BinaryStatus::not_supported);
  EXPECT_EQ(consumer.control("set_noop_interval", "0"), BinaryStatus::invalid_arguments);
  EXPECT_EQ(consumer.control("connection_buffer_size", "x"), BinaryStatus::invalid_arguments);
  EXPECT_EQ(consumer.control("max_marker_version", "3"), BinaryStatus::invalid_arguments);
  EXPECT_EQ(consumer.ask(wire::BinaryOpcode::select_bucket, {}, "default").status,
            BinaryStatus::not_supported);
  EXPECT_EQ(consumer.ask(wire::BinaryOpcode::dcp_failover_log, {}).value.size(), 16U);
}

TEST_F(DcpTest, TellsOfExpirationsWhoWantsToKnow) {
  StreamClient plain = client();
  StreamClient asking(server_->addresses()[0]);
  ASSERT_EQ(asking.open(open_flags::kProducer, "other"), BinaryStatus::success);
  EXPECT_EQ(asking.control("enable_expiry_opcode", "true"), BinaryStatus::success);
  ASSERT_EQ(plain.request(0).status, BinaryStatus::success);
  ASSERT_EQ(asking.request(0).status, BinaryStatus::success);
  server_.set(k_[0], "v", 1);
  (void)server_.bucket().fetch(k_[0], server_.now());
  const auto last_of = [](StreamClient& consumer) {
    std::string text;
    do {
      text = text_of(consumer.next()->message);
    } while (!text.ends_with("@2"));
    return text;
  };
  EXPECT_EQ(last_of(plain), "del k3@2");
  EXPECT_EQ(last_of(asking), "exp k3@2");
}

TEST_F(DcpTest, LeavesValuesOutForWhoWantsNone) {
  std::string attributes("\0\0\0\x0c\0\0\0\x08_a\0\"bc\"\0", 16);
  attributes[7] = 8;
  server_.set(k_[0], attributes + "{}", 0, 0, wire::kDatatypeXattr | wire::kDatatypeJson);
  const auto mutation = [this](uint32_t flags, const std::string& name, bool compress = false) {
    StreamClient consumer(server_->addresses()[0]);
    EXPECT_EQ(consumer.open(flags | open_flags::kProducer, name), BinaryStatus::success);
    EXPECT_EQ(consumer.control("force_value_compression", compress ? "true" : "false"),
              BinaryStatus::success);
    EXPECT_EQ(consumer.request(0).status, BinaryStatus::success);
    (void)consumer.next();
    const auto received = consumer.next();
    const auto set = std::get<wire::DcpMutation>(received->message);
    return std::pair(set.datatype, std::string(set.value));
  };
  using Shown = std::pair<uint8_t, std::string>;
  EXPECT_EQ(mutation(0, "a"), Shown(wire::kDatatypeJson, "{}"));
  EXPECT_EQ(mutation(open_flags::kXattrs, "b"),
            Shown(wire::kDatatypeJson | wire::kDatatypeXattr, attributes + "{}"));
  EXPECT_EQ(mutation(open_flags::kNoValue, "c"), Shown(0, ""));
  EXPECT_EQ(mutation(open_flags::kNoValue | open_flags::kXattrs, "d"),
            Shown(wire::kDatatypeXattr, attributes));
  EXPECT_EQ(mutation(open_flags::kNoValueButDatatype, "e"), Shown(wire::kDatatypeJson, ""));
  server_.set(k_[0], std::string(500, 'x'));
  server_.bring_to_disk();
  const auto [datatype, value] = mutation(0, "f", true);
  EXPECT_EQ(datatype, wire::kDatatypeSnappy);
  ASSERT_EQ(wire::inflated_bytes(value), 500U);
  std::string inflated(500, '\0');
  ASSERT_TRUE(wire::inflate(value, inflated.data()));
  EXPECT_EQ(inflated, std::string(500, 'x'));
}

TEST_F(DcpTest, SendsAttributesOfDeletedDocumentsToWhoReadsAttributes) {
  std::string attributes;
  wire::set_xattr(attributes, "_system", "1");
  const std::string kept = attributes;
  wire::set_xattr(attributes, "user", "2");
  server_.set(k_[0], attributes + "{}", 0, 0, wire::kDatatypeXattr | wire::kDatatypeJson);
  ASSERT_TRUE(server_.remove(k_[0]).left_tombstone);
  const auto removal = [this](uint32_t flags, const std::string& name) {
    StreamClient consumer(server_->addresses()[0]);
    EXPECT_EQ(consumer.open(flags | open_flags::kProducer, name), BinaryStatus::success);
    EXPECT_EQ(consumer.request(0).status, BinaryStatus::success);
    for (;;) {
      const auto received = consumer.next();
      if (const auto* removed = std::get_if<wire::DcpRemoval>(&received->message))
        return std::pair(removed->datatype, std::string(removed->value));
    }
  };
  using Shown = std::pair<uint8_t, std::string>;
  // Out of the change log, and off the disk.
  for (const std::string from : {"log", "disk"}) {
    EXPECT_EQ(removal(0, "a" + from), Shown(0, "")) << from;
    EXPECT_EQ(removal(open_flags::kXattrs, "b" + from), Shown(wire::kDatatypeXattr, kept)) << from;
    server_.bring_to_disk();
  }
}

TEST_F(DcpTest, SendsLargeValuesWhole) {
  const std::string large(300'000, 'L');
  server_.set(k_[0], large);
  StreamClient consumer = client();
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  (void)consumer.next();
  EXPECT_EQ(text_of(consumer.next()->message), "set k3@1=" + large);
  server_.set(k_[1], large);
  server_.set(k_[2], "s");
  uint64_t seqno = 1;
  while (seqno < 3) {
    const auto received = consumer.next();
    if (const auto* set = std::get_if<wire::DcpMutation>(&received->message)) {
      EXPECT_EQ(set->seqno, seqno + 1);
      EXPECT_EQ(set->value.size(), seqno == 1 ? large.size() : 1U);
      seqno = set->seqno;
    }
  }
}

TEST_F(DcpTest, ShowsTheCollectionsThatWereAskedFor) {
  const auto one = store::Manifest().with_collection("_default", "a", 7);
  const auto two = one->with_collection("_default", "b", std::nullopt);
  server_.set_manifest(*two);
  const auto put = [this](store::CollectionId id) { return server_.set({id, k_[0]}, "v"); };
  StreamClient all = client();
  StreamClient some(server_->addresses()[0]);
  ASSERT_EQ(some.open(open_flags::kProducer, "some"), BinaryStatus::success);
  StreamClient unaware(server_->addresses()[0], {Feature::select_bucket});
  ASSERT_EQ(unaware.open(open_flags::kProducer, "unaware"), BinaryStatus::success);
  put(9);
  put(8);
  put(0);
  put(9);
  server_.bring_to_disk();
  ASSERT_EQ(all.request(0).status, BinaryStatus::success);
  ASSERT_EQ(some.request(0, filtered("{\"collections\":[\"8\"]}")).status, BinaryStatus::success);
  ASSERT_EQ(unaware.request(0).status, BinaryStatus::success);
  EXPECT_EQ(next(all, 6),
            "marker 0-6 disk, event 0:8 a@1, event 0:9 b@2, set 8/k3@4=v, set k3@5=v, set 9/k3@6=v");
  EXPECT_EQ(next(some, 4), "marker 0-6 disk, event 0:8 a@1, set 8/k3@4=v, advanced 6");
  EXPECT_EQ(next(unaware, 2), "marker 0-6 disk, set k3@5=v");
  server_.await_streams();
  put(9);
  EXPECT_EQ(next(all, 2), "marker 7-7 memory, set 9/k3@7=v");
  EXPECT_EQ(next(some, 2), "marker 7-7 memory, advanced 7");
  server_.await_streams();
  server_.set_manifest(*two->without_collection("_default", "a"));
  EXPECT_EQ(next(some, 3), "marker 8-8 memory, event 1:8 @8, end 7");
  put(0);
  std::string text;
  for (int i = 0; i < 5 && !text.ends_with("k3@9=v"); ++i)
    text = next(unaware, 1);
  EXPECT_EQ(text, "set k3@9=v");
}

TEST_F(DcpTest, CopiesOutOfOrderWhoLetsIt) {
  const auto one = store::Manifest().with_collection("_default", "a", std::nullopt);
  server_.set_manifest(*one);
  for (size_t i = 10; i-- > 0;)
    server_.set(k_[i], "v");
  server_.set({8, k_[0]}, "w");
  server_.set_manifest(*one->with_max_ttl("_default", "a", 1000));
  server_.bring_to_disk();
  server_.restart();
  StreamClient consumer = client();
  EXPECT_EQ(consumer.control("enable_out_of_order_snapshots", "true_with_seqno_advanced"),
            BinaryStatus::success);
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  const std::string text = next(consumer, 15);
  EXPECT_TRUE(text.starts_with("oso 1, event 0:8 a@1, set k11@9=v, set ")) << text;
  EXPECT_TRUE(text.ends_with("set 8/k3@12=w, oso 2, advanced 13")) << text;
  server_.await_streams();
  server_.set(k_[1], "x");
  EXPECT_EQ(next(consumer, 2), "marker 14-14 memory, set " + k_[1] + "@14=x");
}

TEST_F(DcpTest, HasSeveralStreamsOfAVbucketWithIds) {
  StreamClient consumer = client();
  EXPECT_EQ(consumer.control("enable_stream_id", "true"), BinaryStatus::success);
  EXPECT_EQ(consumer.request(0).status, BinaryStatus::dcp_stream_id_invalid);
  EXPECT_EQ(consumer.request(0, filtered("{\"sid\":1}")).status, BinaryStatus::success);
  EXPECT_EQ(consumer.request(0, filtered("{\"sid\":2}")).status, BinaryStatus::success);
  EXPECT_EQ(consumer.request(0, filtered("{\"sid\":2}")).status, BinaryStatus::key_exists);
  server_.set(k_[0], "v");
  std::map<uint16_t, int> of;
  for (int i = 0; i < 4; ++i)
    ++of[consumer.next()->route.stream_id];
  EXPECT_EQ(of, (std::map<uint16_t, int>{{1, 2}, {2, 2}}));
}

TEST_F(DcpTest, WritesMarkersOfTheVersionThatWasAskedFor) {
  server_.set(k_[0], "v");
  server_.bring_to_disk();
  for (const auto& [value, version] :
       {std::pair("2.0", wire::DcpMarkerVersion::v2_0), std::pair("2.2", wire::DcpMarkerVersion::v2_2)}) {
    StreamClient consumer(server_->addresses()[0]);
    ASSERT_EQ(consumer.open(open_flags::kProducer, value), BinaryStatus::success);
    EXPECT_EQ(consumer.control("max_marker_version", value), BinaryStatus::success);
    ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
    const auto received = consumer.next();
    const auto marker = std::get<wire::DcpSnapshotMarker>(received->message);
    EXPECT_EQ(marker.version, version);
    EXPECT_EQ(marker.max_visible_seqno, 1U);
    EXPECT_EQ(marker.end_seqno, 1U);
  }
}

}  // namespace
}  // namespace bobbin::serve
