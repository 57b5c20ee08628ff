// What change streams send, byte for byte, as it comes out of a connection (kv_engine docs/dcp/documentation/
// commands). With BOBBIN_WRITE_VECTORS in the environment what comes is printed.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "feed/producer.h"
#include "serve/dcp_fixture.h"
#include "wire/datatype.h"
#include "wire/xattr.h"

namespace bobbin::serve {
namespace {

using wire::BinaryStatus;
using wire::Feature;
namespace open_flags = wire::dcp_open_flags;
namespace stream_flags = wire::dcp_stream_flags;

// When all is written here: CAS are of this time.
constexpr base::Now kNow{1'700'000'000'000'000'000};
constexpr uint32_t kIn2100 = 4'102'444'800;
constexpr uint32_t kOpaque = 0xdeadbeef;

class DcpVectorsTest : public DcpTest {
 protected:
  void put(store::DocKey key, std::string_view value, uint32_t expiry = 0, uint32_t flags = 0,
           uint8_t datatype = 0) {
    server_.await_streams();
    auto draft = server_.bucket().draft(key, flags, expiry, static_cast<uint32_t>(value.size()), kNow);
    ASSERT_TRUE(draft);
    std::copy(value.begin(), value.end(), draft->value().begin());
    draft->set_datatype(datatype);
    ASSERT_TRUE(server_.bucket().store(*draft, store::StoreMode::set, {.whole = datatype != 0}, kNow).ok());
  }
  void remove(store::DocKey key) {
    server_.await_streams();
    (void)server_.bucket().remove(key, {}, kNow);
  }
  void set_manifest(const store::Manifest& manifest) {
    server_.await_streams();
    ASSERT_TRUE(server_->disk()->save_manifest(manifest));
    server_.bucket().set_manifest(std::make_shared<store::Manifest>(manifest), kNow);
  }
  StreamClient consumer(const std::vector<Feature>& features, uint32_t flags = 0) {
    StreamClient made(server_->addresses()[0], features);
    EXPECT_EQ(made.open(flags | open_flags::kProducer, "vectors"), BinaryStatus::success);
    return made;
  }
  StreamClient plain() { return consumer({Feature::select_bucket, Feature::xerror}); }
  static void stream(StreamClient& client, const wire::DcpStreamRequest& request = {}, uint16_t vbucket = 0) {
    ASSERT_EQ(client.request(vbucket, request, kOpaque).status, BinaryStatus::success);
  }

  // In the groups of the header: magic and opcode, lengths, datatype, vbucket, body, opaque, CAS.
  static std::string text_of(std::string_view frame) {
    std::string text;
    for (size_t i = 0; i < frame.size(); ++i) {
      const bool begins = i == 2 || i == 4 || i == 5 || i == 6 || i == 8 || i == 12 || i == 16 || i == 24;
      text += fmt::format("{}{:02x}", begins ? " " : "", static_cast<unsigned char>(frame[i]));
    }
    return text;
  }
  // When a document expired may be told by the server's own clock.
  static void leave_out_time(const wire::DcpRemoval& removal, std::string& bytes) {
    if (removal.kind == wire::DcpRemovalKind::expiration)
      std::fill_n(bytes.begin() + 16, sizeof(uint64_t), '\0');
    if (removal.delete_time_s == 0) return;
    EXPECT_LE(removal.delete_time_s, base::SystemClock().now().unix_s());
    EXPECT_GE(removal.delete_time_s, kNow.unix_s());
    std::fill_n(bytes.begin() + wire::kBinaryHeaderBytes + 2 * sizeof(uint64_t), sizeof(uint32_t), '\0');
  }
  static void expect(StreamClient& client, const std::vector<std::string>& frames) {
    for (const std::string& expected : frames) {
      const auto received = client.next();
      ASSERT_NE(received, nullptr) << "instead of " << expected;
      std::string bytes = received->bytes;
      if (const auto* removal = std::get_if<wire::DcpRemoval>(&received->message))
        leave_out_time(*removal, bytes);
      const std::string text = text_of(bytes);
      if (std::getenv("BOBBIN_WRITE_VECTORS") != nullptr) {
        fmt::print("{}: \"{}\"\n", serve::text_of(received->message), text);
        continue;
      }
      EXPECT_EQ(text, expected) << serve::text_of(received->message);
    }
  }
};

TEST_F(DcpVectorsTest, FromMemoryToWhoKnowsOfNothing) {
  StreamClient client = plain();
  stream(client);
  put("k3", "world", kIn2100, 0x01020304, wire::kDatatypeJson);
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000000000000000000001"
                  "00000005",
                  "8057 0002 1f 00 0000 00000026 deadbeef 17979cfe362a0000 00000000000000010000000000000001"
                  "01020304f4865700000000000000006b33776f726c64"});
  remove("k3");
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000020000000000000002"
                  "00000005",
                  "8058 0002 12 00 0000 00000014 deadbeef 17979cfe362a0001 00000000000000020000000000000002"
                  "00006b33"});
}

TEST_F(DcpVectorsTest, FromTheDiskToWhoKnowsOfNothing) {
  put("k3", "world");
  put("k11", "");
  remove("k3");
  server_.bring_to_disk();
  StreamClient client = plain();
  stream(client, from(0, 0, stream_flags::kDiskOnly));
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000000000000000000003"
                  "00000006",
                  "8057 0003 1f 00 0000 00000022 deadbeef 17979cfe362a0001 00000000000000020000000000000001"
                  "0000000000000000000000000000006b3131",
                  "8058 0002 12 00 0000 00000014 deadbeef 17979cfe362a0002 00000000000000030000000000000002"
                  "00006b33",
                  "8055 0000 04 00 0000 00000004 deadbeef 0000000000000000 00000000"});
}

TEST_F(DcpVectorsTest, MarkersOfVersion2) {
  put("k3", "world");
  server_.bring_to_disk();
  for (const auto& [version, marker] :
       {std::pair("2.0",
                  "8056 0000 01 00 0000 00000025 deadbeef 0000000000000000 000000000000000000000000"
                  "00000000010000000600000000000000010000000000000000"),
        std::pair("2.2",
                  "8056 0000 01 00 0000 00000035 deadbeef 0000000000000000 020000000000000000000000"
                  "00000000010000000600000000000000010000000000000000000000000000000000000000000000"
                  "00")}) {
    StreamClient client = plain();
    ASSERT_EQ(client.control("max_marker_version", version), BinaryStatus::success);
    stream(client, from(0, 0, stream_flags::kDiskOnly));
    expect(client, {marker});
    (void)client.next();
    (void)client.next();
  }
}

TEST_F(DcpVectorsTest, CollectionsAndTheirEvents) {
  const auto first = store::Manifest().with_collection("_default", "fruit", 2'000'000'000);
  set_manifest(*first);
  server_.bring_to_disk();
  StreamClient client = consumer({Feature::select_bucket, Feature::collections, Feature::json});
  ASSERT_EQ(client.control("bobbin_collection_changes", "true"), BinaryStatus::success);
  stream(client);
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000000000000000000001"
                  "00000006",
                  "805f 0005 0d 00 0000 00000026 deadbeef 0000000000000000 00000000000000010000000001667275"
                  "69740000000000000001000000000000000877359400"});
  put({8, "k3"}, "{}", kIn2100, 0, wire::kDatatypeJson);
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000020000000000000002"
                  "00000005",
                  "8057 0003 1f 01 0000 00000024 deadbeef 17979cfe362a0001 00000000000000020000000000000001"
                  "00000000dc89850000000000000000086b337b7d"});
  remove({8, "k3"});
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000030000000000000003"
                  "00000005",
                  "8058 0003 15 00 0000 00000018 deadbeef 17979cfe362a0002 00000000000000030000000000000002"
                  "0000000000086b33"});
  const auto second = first->with_max_ttl("_default", "fruit", 60);
  set_manifest(*second);
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000040000000000000004"
                  "00000005",
                  "805f 0005 0d 00 0000 00000026 deadbeef 0000000000000000 00000000000000040000000501667275"
                  "6974000000000000000200000000000000080000003c"});
  const auto third = second->without_collection("_default", "fruit");
  set_manifest(*third);
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000050000000000000005"
                  "00000005",
                  "805f 0000 0d 00 0000 0000001d deadbeef 0000000000000000 00000000000000050000000100000000"
                  "00000000030000000000000008"});
  const auto fourth = third->with_scope("market");
  set_manifest(*fourth);
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000060000000000000006"
                  "00000005",
                  "805f 0006 0d 00 0000 0000001f deadbeef 0000000000000000 000000000000000600000003006d6172"
                  "6b6574000000000000000400000008"});
  const auto fifth = fourth->with_collection("market", "stall", std::nullopt);
  set_manifest(*fifth);
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000070000000000000007"
                  "00000005",
                  "805f 0005 0d 00 0000 00000022 deadbeef 0000000000000000 00000000000000070000000000737461"
                  "6c6c00000000000000050000000800000009"});
  set_manifest(*fifth->without_collection("market", "stall")->without_scope("market"));
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000080000000000000009"
                  "00000005",
                  "805f 0000 0d 00 0000 0000001d deadbeef 0000000000000000 00000000000000080000000100000000"
                  "00000000070000000800000009",
                  "805f 0000 0d 00 0000 00000019 deadbeef 0000000000000000 00000000000000090000000400000000"
                  "000000000700000008"});
}

TEST_F(DcpVectorsTest, WhatAStreamDoesNotShowMovesItsSeqno) {
  const auto manifest = store::Manifest().with_collection("_default", "fruit", std::nullopt);
  set_manifest(*manifest);
  server_.bring_to_disk();
  StreamClient client = consumer({Feature::select_bucket, Feature::collections});
  stream(client, filtered(R"({"collections":["8"]})"));
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000000000000000000001"
                  "00000006",
                  "805f 0005 0d 00 0000 00000022 deadbeef 0000000000000000 00000000000000010000000000667275"
                  "697400000000000000010000000000000008"});
  put("k3", "world");
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000020000000000000002"
                  "00000005",
                  "8064 0000 08 00 0000 00000008 deadbeef 0000000000000000 0000000000000002"});
  set_manifest(*manifest->without_collection("_default", "fruit"));
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000030000000000000003"
                  "00000005",
                  "805f 0000 0d 00 0000 0000001d deadbeef 0000000000000000 00000000000000030000000100000000"
                  "00000000020000000000000008",
                  "8055 0000 04 00 0000 00000004 deadbeef 0000000000000000 00000007"});
}

TEST_F(DcpVectorsTest, Attributes) {
  std::string attributes;
  wire::set_xattr(attributes, "_s", "1");
  wire::set_xattr(attributes, "u", "2");
  StreamClient client = consumer(
      {Feature::select_bucket, Feature::xattr, Feature::json, Feature::collections}, open_flags::kXattrs);
  stream(client);
  put("k3", attributes + "{}", 0, 0, wire::kDatatypeXattr | wire::kDatatypeJson);
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000000000000000000001"
                  "00000005",
                  "8057 0003 1f 05 0000 00000039 deadbeef 17979cfe362a0000 00000000000000010000000000000001"
                  "000000000000000000000000000000006b3300000011000000055f7300310000000004750032007b7d"});
  remove("k3");
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000020000000000000002"
                  "00000005",
                  "8058 0003 15 04 0000 00000025 deadbeef 17979cfe362a0001 00000000000000020000000000000002"
                  "0000000000006b3300000009000000055f73003100"});
}

TEST_F(DcpVectorsTest, AttributesAndCompression) {
  std::string attributes;
  wire::set_xattr(attributes, "_s", "1");
  put("k3", std::string(64, 'x'));
  server_.bring_to_disk();
  StreamClient client =
      consumer({Feature::select_bucket, Feature::snappy, Feature::xattr}, open_flags::kXattrs);
  ASSERT_EQ(client.control("force_value_compression", "true"), BinaryStatus::success);
  stream(client);
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000000000000000000001"
                  "00000006",
                  "8057 0002 1f 02 0000 00000027 deadbeef 17979cfe362a0000 00000000000000010000000000000001"
                  "0000000000000000000000000000006b33400078fa0100"});
  put("k3", attributes + std::string(64, 'x'), 0, 0, wire::kDatatypeXattr);
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000020000000000000002"
                  "00000005",
                  "8057 0002 1f 06 0000 00000034 deadbeef 17979cfe362a0001 00000000000000020000000000000002"
                  "0000000000000000000000000000006b334d3400000009000000055f7300310078fa0100"});
  put("k3", "short");
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000030000000000000003"
                  "00000005",
                  "8057 0002 1f 04 0000 00000033 deadbeef 17979cfe362a0002 00000000000000030000000000000003"
                  "0000000000000000000000000000006b3300000009000000055f7300310073686f7274"});
}

TEST_F(DcpVectorsTest, Expirations) {
  StreamClient client = plain();
  ASSERT_EQ(client.control("enable_expiry_opcode", "true"), BinaryStatus::success);
  put("k3", "world", 1);
  (void)server_.bucket().fetch("k3", kNow);
  server_.bring_to_disk();
  stream(client, from(0, 0, stream_flags::kDiskOnly));
  expect(client, {"8056 0000 14 00 0000 00000014 deadbeef 0000000000000000 00000000000000000000000000000002"
                  "00000006",
                  "8059 0002 14 00 0000 00000016 deadbeef 0000000000000000 00000000000000020000000000000002"
                  "000000006b33",
                  "8055 0000 04 00 0000 00000004 deadbeef 0000000000000000 00000000"});
}

TEST_F(DcpVectorsTest, OutOfOrder) {
  put("k11", "b");
  put("k3", "a");
  server_.bring_to_disk();
  server_.restart();
  StreamClient client = consumer({Feature::select_bucket, Feature::collections});
  ASSERT_EQ(client.control("enable_out_of_order_snapshots", "true_with_seqno_advanced"),
            BinaryStatus::success);
  stream(client);
  expect(client, {"8065 0000 04 00 0000 00000004 deadbeef 0000000000000000 00000001",
                  "8057 0004 1f 00 0000 00000024 deadbeef 17979cfe362a0000 00000000000000010000000000000001"
                  "000000000000000000000000000000006b313162",
                  "8057 0003 1f 00 0000 00000023 deadbeef 17979cfe362a0001 00000000000000020000000000000001"
                  "000000000000000000000000000000006b3361",
                  "8065 0000 04 00 0000 00000004 deadbeef 0000000000000000 00000002"});
}

TEST_F(DcpVectorsTest, StreamsWithIds) {
  StreamClient client = consumer({Feature::select_bucket, Feature::collections});
  ASSERT_EQ(client.control("enable_stream_id", "true"), BinaryStatus::success);
  stream(client, filtered(R"({"sid":263})"));
  put("k3", "world");
  expect(client, {"0856 0300 14 00 0000 00000017 deadbeef 0000000000000000 22010700000000000000000000000000"
                  "00000100000005",
                  "0857 0303 1f 00 0000 0000002a deadbeef 17979cfe362a0000 22010700000000000000010000000000"
                  "000001000000000000000000000000000000006b33776f726c64"});
}

TEST_F(DcpVectorsTest, EndsAndTheirReasons) {
  StreamClient client = plain();
  ASSERT_EQ(client.control("send_stream_end_on_client_close_stream", "true"), BinaryStatus::success);
  stream(client, from(0, 0, stream_flags::kToLatest));
  expect(client, {"8055 0000 04 00 0000 00000004 deadbeef 0000000000000000 00000000"});
  stream(client);
  ASSERT_EQ(client.close_stream(0), BinaryStatus::success);
  expect(client, {"8055 0000 04 00 0000 00000004 deadbeef 0000000000000000 00000001"});
  stream(client);
  put("k3", "v");
  (void)client.next();
  (void)client.next();
  server_.bucket().flush(kNow);
  expect(client, {"8055 0000 04 00 0000 00000004 deadbeef 0000000000000000 00000006"});
}

TEST_F(DcpVectorsTest, Noops) {
  StreamClient client = plain();
  ASSERT_EQ(client.control("set_noop_interval", "1"), BinaryStatus::success);
  ASSERT_EQ(client.control("enable_noop", "true"), BinaryStatus::success);
  stream(client);
  expect(client, {"805c 0000 00 00 0000 00000000 0b0b0001 0000000000000000"});
}

}  // namespace
}  // namespace bobbin::serve
