// The vectors of disk_vectors.h, each on a connection of its own to a server with a disk, where there is one
// document in vbucket 0. With BOBBIN_WRITE_VECTORS in the environment the answers are printed as JSON.

#include "disk_vectors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "feed/scans.h"
#include "net/blocking_stream.h"
#include "serve/mcbp_fixture.h"
#include "serve/stream_client.h"
#include "vector_text.h"

namespace bobbin::serve {
namespace {

constexpr uint32_t kNoopOpaque = 0x0a0a0a0a;

/// A client that has agreed on what these vectors need, and has selected the bucket.
class VectorClient {
 public:
  explicit VectorClient(const net::Address& address)
      : stream_(*net::BlockingStream::connect(address, std::chrono::seconds(60))) {
    using enum wire::Feature;
    std::string features;
    for (const wire::Feature feature : {xattr, xerror, select_bucket, json, alt_request, collections})
      features += {'\0', static_cast<char>(feature)};
    (void)ask(encoded({.opcode = wire::BinaryOpcode::hello, .value = features}));
    (void)ask(encoded({.opcode = wire::BinaryOpcode::select_bucket, .key = "default"}));
  }
  /// All that is answered; where a stream is granted, up to its end.
  std::string ask(const std::string& request) {
    EXPECT_TRUE(stream_.write_all(request));
    std::string noop = encoded({.opcode = wire::BinaryOpcode::noop});
    wire::store_big_endian(noop.data() + 12, kNoopOpaque);
    EXPECT_TRUE(stream_.write_all(noop));
    std::string all;
    bool is_streaming = false;
    for (bool has_noop = false; !has_noop || is_streaming;) {
      const std::string frame = next();
      if (frame.empty()) break;
      const wire::BinaryHeader header = wire::decode_header(frame.data());
      const auto opcode = static_cast<wire::BinaryOpcode>(header.opcode);
      if (opcode == wire::BinaryOpcode::noop && header.opaque == kNoopOpaque) {
        has_noop = true;
        continue;
      }
      is_streaming =
          is_streaming || (opcode == wire::BinaryOpcode::dcp_stream_request && header.vbucket_or_status == 0);
      if (opcode == wire::BinaryOpcode::dcp_stream_end) is_streaming = false;
      all += frame;
    }
    return all;
  }

 private:
  std::string next() {
    std::string frame(wire::kBinaryHeaderBytes, '\0');
    if (!stream_.read_exact(frame)) return {};
    std::string body(wire::decode_header(frame.data()).body_bytes, '\0');
    if (!stream_.read_exact(body)) return {};
    return frame + body;
  }
  net::BlockingStream stream_;
};

std::string digits_of(std::string_view bytes) {
  std::string digits;
  for (const char c : bytes)
    digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return digits;
}

void replace(std::string& text, std::string_view name, const std::string& with) {
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name))
    text.replace(at, name.size(), with);
}

std::string reply_to(StreamServer& server, const WireVector& vector) {
  VectorClient client(server->addresses()[0]);
  std::string before;
  // One after the other, as what waits for the disk does not keep others waiting.
  for (std::string_view rest = vector.before; !rest.empty();) {
    before = client.ask(vector_bytes(rest.substr(0, rest.find(';'))));
    rest.remove_prefix(std::min(rest.size(), rest.find(';')));
    rest.remove_prefix(rest.empty() ? 0 : 1);
  }
  std::string request(vector.request);
  replace(request, "<scan>", digits_of(before.size() < 16 ? before : before.substr(before.size() - 16)));
  replace(request, "<uuid>", fmt::format("{:016x}", server.bucket().failover_log(0).front().uuid));
  return vector_text(client.ask(vector_bytes(request)));
}

TEST(DiskVectorsTest, EveryAnswerIsExact) {
  const bool writes = std::getenv("BOBBIN_WRITE_VECTORS") != nullptr;
  StreamServer server;
  server.wait_for_warmup();
  ASSERT_EQ(server.bucket().vbucket_of("g"), 0);
  ASSERT_TRUE(server.set("g", R"({"a":1})", 0, 0x02000006, 1).ok());
  server.bring_to_disk();
  const char* comma = "{";
  for (const WireVector& vector : kDiskVectors) {
    const std::string reply = reply_to(server, vector);
    if (writes) {
      fmt::print("{}\"{}\": \"{}\"\n", std::exchange(comma, ","), vector.name, reply);
    } else {
      EXPECT_TRUE(vector_matches(reply, vector.reply)) << vector.name << ": " << reply;
    }
  }
  if (writes) fmt::print("}}\n");
}

TEST(DiskVectorsTest, OneConnectionHasOnlySoManyScans) {
  StreamServer server;
  server.wait_for_warmup();
  ASSERT_TRUE(server.set("g", "1", 0, 0, 1).ok());
  server.bring_to_disk();
  VectorClient client(server->addresses()[0]);
  for (size_t i = 0; i < feed::ScanLimits().scans_per_connection; ++i)
    EXPECT_EQ(client.ask(vector_bytes(kManyScansVector.before)).size(), wire::kBinaryHeaderBytes + 16);
  EXPECT_EQ(vector_text(client.ask(vector_bytes(kManyScansVector.request))), kManyScansVector.reply);
}

}  // namespace
}  // namespace bobbin::serve
