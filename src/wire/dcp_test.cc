#include "wire/dcp.h"

#include <gtest/gtest.h>

#include <string>

#include "wire/dcp_test_support.h"

namespace bobbin::wire {
namespace {

// Vectors marked so are those of couchbase/kv_engine docs/dcp/documentation/commands.

TEST(Dcp, OpenIsTheDocumentedOne) {
  const std::string name = "bucketstream vb[100-105]";
  const std::string bytes =
      frame_of([&](char* out) { return write_dcp_open(out, 1, {.flags = 0, .name = name}); }, name);
  EXPECT_EQ(bytes,
            bytes_of("80500018 08000000 00000020 00000001 00000000 00000000 00000000 00000000") + name);
  const auto open = read_dcp_open(request_of(bytes));
  ASSERT_TRUE(open);
  EXPECT_EQ(open->name, name);
  EXPECT_EQ(open->flags, 0U);
  EXPECT_TRUE(open->value.empty());
}

TEST(Dcp, OpenTakesFlagsAndAValue) {
  const std::string bytes = frame_of(
      [](char* out) {
        return write_dcp_open(
            out, 7,
            {.flags = dcp_open_flags::kProducer | dcp_open_flags::kXattrs, .name = "n", .value = "{}"});
      },
      "n", "{}");
  const auto open = read_dcp_open(request_of(bytes));
  ASSERT_TRUE(open);
  EXPECT_EQ(open->flags, 5U);
  EXPECT_EQ(open->value, "{}");
}

TEST(Dcp, OpenNeedsANameOfSomeLength) {
  const std::string extras(8, '\0');
  EXPECT_FALSE(read_dcp_open(request_of(request_bytes(BinaryOpcode::dcp_open, extras))));
  EXPECT_FALSE(
      read_dcp_open(request_of(request_bytes(BinaryOpcode::dcp_open, extras, std::string(201, 'n')))));
  EXPECT_TRUE(
      read_dcp_open(request_of(request_bytes(BinaryOpcode::dcp_open, extras, std::string(200, 'n')))));
  EXPECT_FALSE(read_dcp_open(request_of(request_bytes(BinaryOpcode::dcp_open, "seven b", "name"))));
}

TEST(Dcp, ControlIsAKeyAndAValue) {
  const std::string bytes =
      frame_of([](char* out) { return write_dcp_control(out, 1, {.key = "enable_noop", .value = "true"}); },
               "enable_noop", "true");
  EXPECT_EQ(bytes, bytes_of("805e000b 00000000 0000000f 00000001 00000000 00000000") + "enable_nooptrue");
  const auto control = read_dcp_control(request_of(bytes));
  ASSERT_TRUE(control);
  EXPECT_EQ(control->key, "enable_noop");
  EXPECT_EQ(control->value, "true");
  EXPECT_FALSE(read_dcp_control(request_of(request_bytes(BinaryOpcode::dcp_control, {}, "key"))));
  EXPECT_FALSE(read_dcp_control(request_of(request_bytes(BinaryOpcode::dcp_control, {}, {}, "value"))));
  EXPECT_FALSE(read_dcp_control(request_of(request_bytes(BinaryOpcode::dcp_control, "e", "key", "value"))));
}

// The documented vector.
TEST(Dcp, StreamRequestIsTheDocumentedOne) {
  const std::string bytes = frame_of([](char* out) {
    return write_dcp_stream_request(
        out, {.opaque = 0x1000},
        {.start_seqno = 0xffeedd, .uuid = 0xfeeddeca, .snapshot_start = 0, .snapshot_end = 0xffeeff});
  });
  EXPECT_EQ(bytes, bytes_of("80530000 30000000 00000030 00001000 00000000 00000000"
                            "00000000 00000000 00000000 00ffeedd ffffffff ffffffff"
                            "00000000 feeddeca 00000000 00000000 00000000 00ffeeff"));
  const auto request = read_dcp_stream_request(request_of(bytes));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->start_seqno, 0xffeeddU);
  EXPECT_EQ(request->end_seqno, kDcpForever);
  EXPECT_EQ(request->uuid, 0xfeeddecaU);
  EXPECT_EQ(request->snapshot_start, 0U);
  EXPECT_EQ(request->snapshot_end, 0xffeeffU);
  EXPECT_TRUE(request->filter.empty());
}

TEST(Dcp, StreamRequestMayHaveAFilterButNoKey) {
  const std::string extras(48, '\1');
  const std::string bytes = request_bytes(BinaryOpcode::dcp_stream_request, extras, {}, "{}");
  EXPECT_EQ(read_dcp_stream_request(request_of(bytes))->filter, "{}");
  EXPECT_FALSE(
      read_dcp_stream_request(request_of(request_bytes(BinaryOpcode::dcp_stream_request, extras, "key"))));
  EXPECT_FALSE(read_dcp_stream_request(
      request_of(request_bytes(BinaryOpcode::dcp_stream_request, std::string(47, '\1')))));
}

// The documented vector.
TEST(Dcp, RollbackIsASeqno) {
  EXPECT_EQ(read_dcp_rollback(bytes_of("00000000 00ffeedd")), 0xffeeddU);
  EXPECT_FALSE(read_dcp_rollback("seven b"));
  EXPECT_FALSE(read_dcp_rollback({}));
}

// The documented vector.
TEST(Dcp, FailoverLogListsBranches) {
  const std::string value =
      bytes_of("00000000 feeddeca 00000000 00005432 00000000 00decafe 00000000 01343214");
  ASSERT_EQ(count_dcp_failover_entries(value), 2U);
  EXPECT_EQ(read_dcp_failover_entry(value, 0), (DcpFailoverEntry{0xfeeddeca, 0x5432}));
  EXPECT_EQ(read_dcp_failover_entry(value, 1), (DcpFailoverEntry{0xdecafe, 0x1343214}));
  std::string written(32, '\0');
  write_dcp_failover_entry(write_dcp_failover_entry(written.data(), {0xfeeddeca, 0x5432}),
                           {0xdecafe, 0x1343214});
  EXPECT_EQ(written, value);
  EXPECT_FALSE(count_dcp_failover_entries({}));
  EXPECT_FALSE(count_dcp_failover_entries(std::string_view(value).substr(0, 31)));
}

// The documented vectors.
TEST(Dcp, SmallMessagesAreTheDocumentedOnes) {
  EXPECT_EQ(frame_of([](char* out) { return write_dcp_add_stream(out, {.vbucket = 5, .opaque = 1}, 1); }),
            bytes_of("80510000 04000005 00000004 00000001 00000000 00000000 00000001"));
  EXPECT_EQ(frame_of([](char* out) {
              return write_dcp_bare(out, BinaryOpcode::dcp_close_stream,
                                    {.vbucket = 5, .opaque = 0xdeadbeef});
            }),
            bytes_of("80520000 00000005 00000000 deadbeef 00000000 00000000"));
  EXPECT_EQ(frame_of([](char* out) { return write_dcp_stream_end(out, {.opaque = 0xdeadbeef}, DcpEnd::ok); }),
            bytes_of("80550000 04000000 00000004 deadbeef 00000000 00000000 00000000"));
  EXPECT_EQ(frame_of([](char* out) {
              return write_dcp_vbucket_state(out, {.opaque = 0xdeadbeef}, DcpVbucketState::dead);
            }),
            bytes_of("805b0000 01000000 00000001 deadbeef 00000000 00000000 04"));
  EXPECT_EQ(frame_of([](char* out) { return write_dcp_noop(out, 5); }),
            bytes_of("805c0000 00000000 00000000 00000005 00000000 00000000"));
  EXPECT_EQ(frame_of([](char* out) {
              return write_dcp_reply(out, BinaryOpcode::dcp_noop, 5, BinaryStatus::success);
            }),
            bytes_of("815c0000 00000000 00000000 00000005 00000000 00000000"));
  EXPECT_EQ(frame_of([](char* out) { return write_dcp_buffer_ack(out, 5, 4096); }),
            bytes_of("805d0000 04000000 00000004 00000005 00000000 00000000 00001000"));
  EXPECT_EQ(frame_of([](char* out) {
              return write_dcp_seqno_acknowledged(out, {.vbucket = 0x210, .opaque = 0x1210}, 4);
            }),
            bytes_of("80610000 08000210 00000008 00001210 00000000 00000000 00000000 00000004"));
}

TEST(Dcp, SmallMessagesAreReadBack) {
  const auto end =
      frame_of([](char* out) { return write_dcp_stream_end(out, {.vbucket = 3}, DcpEnd::lost_privileges); });
  EXPECT_EQ(read_dcp_stream_end(request_of(end)), DcpEnd::lost_privileges);
  const auto ack = frame_of([](char* out) { return write_dcp_buffer_ack(out, 0, 0xfffffffe); });
  EXPECT_EQ(read_dcp_buffer_ack(request_of(ack)), 0xfffffffeU);
  const auto add = frame_of([](char* out) { return write_dcp_add_stream(out, {}, 0x11); });
  EXPECT_EQ(read_dcp_add_stream(request_of(add)), 0x11U);
  const auto seqno = frame_of([](char* out) { return write_dcp_seqno_acknowledged(out, {}, 1ULL << 40); });
  EXPECT_EQ(read_dcp_seqno_acknowledged(request_of(seqno)), 1ULL << 40);
  const auto state =
      frame_of([](char* out) { return write_dcp_vbucket_state(out, {}, DcpVbucketState::pending); });
  EXPECT_EQ(read_dcp_vbucket_state(request_of(state)), DcpVbucketState::pending);
}

TEST(Dcp, SmallMessagesOfAnotherShapeAreNotRead) {
  const BinaryOpcode any = BinaryOpcode::dcp_stream_end;
  for (const std::string& bytes :
       {request_bytes(any, "abc"), request_bytes(any, "abcde"), request_bytes(any, std::string(4, '\0'), "k"),
        request_bytes(any, std::string(4, '\0'), {}, "v"), request_bytes(any, {})}) {
    EXPECT_FALSE(read_dcp_stream_end(request_of(bytes)));
    EXPECT_FALSE(read_dcp_buffer_ack(request_of(bytes)));
    EXPECT_FALSE(read_dcp_add_stream(request_of(bytes)));
    EXPECT_FALSE(read_dcp_seqno_acknowledged(request_of(bytes)));
    EXPECT_FALSE(read_dcp_vbucket_state(request_of(bytes)));
  }
  EXPECT_FALSE(read_dcp_stream_end(request_of(request_bytes(any, std::string("\0\0\0\x09", 4)))));
  EXPECT_FALSE(read_dcp_vbucket_state(request_of(request_bytes(any, std::string("\0", 1)))));
  EXPECT_FALSE(read_dcp_vbucket_state(request_of(request_bytes(any, "\5"))));
}

TEST(Dcp, AStreamsIdIsAFramingExtra) {
  const DcpRoute route{.vbucket = 0x210, .opaque = 0x1210, .stream_id = 71};
  const std::string bytes =
      frame_of([&](char* out) { return write_dcp_stream_end(out, route, DcpEnd::closed); });
  EXPECT_EQ(bytes, bytes_of("08550300 04000210 00000007 00001210 00000000 00000000 220047 00000001"));
  const BinaryRequest request = request_of(bytes);
  EXPECT_EQ(read_dcp_route(request), route);
  EXPECT_EQ(read_dcp_stream_end(request), DcpEnd::closed);
}

TEST(Dcp, FramingThatDoesNotReadIsNoRoute) {
  std::string bytes =
      frame_of([](char* out) { return write_dcp_stream_end(out, {.stream_id = 1}, DcpEnd::ok); });
  bytes[24] = '\x23';  // a length of three
  EXPECT_FALSE(read_dcp_route(request_of(bytes)));
}

TEST(Dcp, WhatIsAcknowledgedIsTheFrame) {
  const auto bytes_for = [](BinaryOpcode opcode) {
    return dcp_flow_bytes(request_of(request_bytes(opcode, "ex", "key", "value")));
  };
  EXPECT_EQ(bytes_for(BinaryOpcode::dcp_mutation), 34U);
  EXPECT_EQ(bytes_for(BinaryOpcode::dcp_prepare), 36U);
  EXPECT_EQ(bytes_for(BinaryOpcode::dcp_noop), 0U);
  BinaryRequest reply;
  reply.header.magic = kBinaryReplyMagic;
  EXPECT_EQ(dcp_flow_bytes(reply), 0U);
}

TEST(Dcp, VbucketSeqnosAreTakenOneByOne) {
  const std::string value = bytes_of("0001 00000000 00000002 03ff 00000001 00000000");
  std::string_view rest = value;
  const auto first = take_dcp_vbucket_seqno(rest);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->vbucket, 1);
  EXPECT_EQ(first->seqno, 2U);
  EXPECT_EQ(take_dcp_vbucket_seqno(rest)->seqno, 1ULL << 32);
  EXPECT_TRUE(rest.empty());
  EXPECT_FALSE(take_dcp_vbucket_seqno(rest));
  rest = "nine byte";
  EXPECT_FALSE(take_dcp_vbucket_seqno(rest));
}

}  // namespace
}  // namespace bobbin::wire
