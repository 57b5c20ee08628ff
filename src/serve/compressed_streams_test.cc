// Values that are kept compressed, on their way through the disk: restarts, evictions, and change streams.

#include <gtest/gtest.h>

#include <string>

#include "net/blocking_stream.h"
#include "serve/stream_client.h"
#include "wire/compression.h"
#include "wire/datatype.h"

namespace bobbin::serve {
namespace {

using wire::BinaryStatus;
using wire::Feature;
namespace open_flags = wire::dcp_open_flags;

constexpr uint8_t kJson = wire::kDatatypeJson;
constexpr uint8_t kSnappy = wire::kDatatypeSnappy;
const std::string kValue = R"({"a":")" + std::string(300, 'x') + R"("})";

std::string deflated(std::string_view value) {
  std::string compressed;
  wire::deflate(value, compressed);
  return compressed;
}

using Shown = std::pair<uint8_t, std::string>;

class CompressedStreamsTest : public testing::TestWithParam<store::EvictionPolicy> {
 protected:
  void store(const std::string& value) {
    ASSERT_TRUE(server_.set(kKey, deflated(value), 0, 0, kSnappy | kJson).ok());
  }
  // The document in the last mutation of a stream.
  Shown streamed(bool snappy, uint32_t flags = 0, bool forced = false) {
    std::vector<Feature> features{Feature::xattr, Feature::select_bucket, Feature::json};
    if (snappy) features.push_back(Feature::snappy);
    StreamClient consumer(server_->addresses()[0], features);
    EXPECT_EQ(consumer.open(flags | open_flags::kProducer, "consumer " + std::to_string(++consumers_)),
              BinaryStatus::success);
    EXPECT_EQ(consumer.control("force_value_compression", forced ? "true" : "false"), BinaryStatus::success);
    const uint16_t vbucket = server_.bucket().vbucket_of(kKey);
    EXPECT_EQ(consumer.request(vbucket).status, BinaryStatus::success);
    for (;;) {
      const auto received = consumer.next();
      if (received == nullptr) return {};
      const auto* set = std::get_if<wire::DcpMutation>(&received->message);
      if (set != nullptr && set->seqno == server_.bucket().high_seqno(vbucket))
        return {set->datatype, std::string(set->value)};
    }
  }
  std::string text(const std::string& request, const std::string& expected) {
    auto client = *net::BlockingStream::connect(server_->addresses()[0], std::chrono::seconds(60));
    EXPECT_TRUE(client.write_all(request));
    std::string got(expected.size(), '\0');
    EXPECT_TRUE(client.read_exact(got));
    return got;
  }
  void expect_readable(const std::string& value) {
    const std::string bytes = std::to_string(value.size());
    const std::string got = "VALUE k 0 " + bytes + "\r\n" + value + "\r\nEND\r\n";
    EXPECT_EQ(text("get k\r\n", got), got);
    const std::string size = "HD s" + bytes + "\r\n";
    server_.evict();
    EXPECT_EQ(text("mg k s\r\n", size), size);
    const auto found = server_.bucket().fetch(kKey, {.takes_compressed = true}, server_.now());
    ASSERT_TRUE(found);
    EXPECT_EQ(found.doc->value(), deflated(value));
    EXPECT_EQ(found.doc->datatype(), kSnappy | kJson);
  }

  static constexpr const char* kKey = "k";
  StreamServer server_{GetParam()};
  int consumers_ = 0;
};

TEST_P(CompressedStreamsTest, OutlivesEvictionsAndRestarts) {
  store(kValue);
  server_.bring_to_disk();
  server_.evict();
  expect_readable(kValue);
  server_.restart();
  server_.wait_for_warmup();
  expect_readable(kValue);
  // What is made of one that has to be read first.
  server_.evict();
  const std::string stored = "STORED\r\n";
  EXPECT_EQ(text("append k 0 0 1\r\nz\r\n", stored), stored);
  const auto found = server_.bucket().fetch(kKey, {.takes_compressed = true}, server_.now());
  ASSERT_TRUE(found);
  EXPECT_EQ(found.doc->value(), kValue + "z");
  EXPECT_EQ(found.doc->datatype(), 0);
}

TEST_P(CompressedStreamsTest, AreStreamedAsTheirConsumerTakesThem) {
  for (const std::string& value : {kValue, std::string(R"("a)" + std::string(400'000, 'b') + '"')}) {
    store(value);
    for (const std::string from : {"log", "disk"}) {
      EXPECT_TRUE(streamed(true) == Shown(kSnappy | kJson, deflated(value))) << from;
      EXPECT_TRUE(streamed(true, 0, true) == Shown(kSnappy | kJson, deflated(value))) << from;
      EXPECT_TRUE(streamed(false) == Shown(kJson, value)) << from;
      EXPECT_TRUE(streamed(false, open_flags::kNoValue) == Shown(0, "")) << from;
      EXPECT_TRUE(streamed(true, open_flags::kNoValue) == Shown(0, "")) << from;
      EXPECT_TRUE(streamed(false, open_flags::kNoValueButDatatype) == Shown(kJson, "")) << from;
      EXPECT_TRUE(streamed(true, open_flags::kNoValueButDatatype) == Shown(kSnappy | kJson, "")) << from;
      server_.bring_to_disk();
      server_.restart();
      server_.wait_for_warmup();
    }
  }
}

// The first try may find that the document's state has to be read from disk: the second stores the same.
TEST_P(CompressedStreamsTest, AnActiveBucketCompressesWhatHasToWaitForTheDisk) {
  server_.bucket().set_compresses(true);
  const std::string stored = "STORED\r\n";
  const std::string value(300, 'y');
  ASSERT_EQ(text("set k 0 0 1\r\n1\r\n", stored), stored);
  server_.bring_to_disk();
  server_.evict();
  EXPECT_EQ(text("cas k 0 0 300 1\r\n" + value + "\r\n", "EXISTS\r\n"), "EXISTS\r\n");
  server_.evict();
  EXPECT_EQ(text("replace k 0 0 300\r\n" + value + "\r\n", stored), stored);
  const auto found = server_.bucket().fetch(kKey, {.takes_compressed = true}, server_.now());
  ASSERT_TRUE(found);
  EXPECT_EQ(found.doc->value(), deflated(value));
  EXPECT_EQ(found.doc->datatype(), kSnappy);
}

// A consumer that has not agreed on the bit sees by it that this is not the value.
TEST_P(CompressedStreamsTest, DamageIsStreamedAsItLies) {
  ASSERT_TRUE(server_.set(kKey, "\xff\xff\xff\xff\x0f", 0, 0, kSnappy).ok());
  EXPECT_EQ(streamed(false), Shown(kSnappy, "\xff\xff\xff\xff\x0f"));
}

INSTANTIATE_TEST_SUITE_P(Eviction, CompressedStreamsTest,
                         testing::Values(store::EvictionPolicy::value, store::EvictionPolicy::full),
                         [](const auto& kind) {
                           return kind.param == store::EvictionPolicy::value ? "Value" : "Full";
                         });

}  // namespace
}  // namespace bobbin::serve
