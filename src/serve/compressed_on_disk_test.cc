// Compressed values that are on disk only, read by those who want the values themselves.

#include <gtest/gtest.h>

#include <regex>
#include <string>

#include "serve/unordered_fixture.h"
#include "wire/compression.h"
#include "wire/datatype.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryStatus;

class CompressedOnDiskTest : public UnorderedTest {
 protected:
  static inline const std::string kValue = std::string(900'000, 'x');

  void put_compressed_on_disk(const std::string& key, uint32_t expiry = 0) {
    std::string bytes;
    wire::deflate(kValue, bytes);
    store::Bucket& bucket = server_->bucket();
    auto draft = bucket.draft(key, 0, expiry, static_cast<uint32_t>(bytes.size()), clock_.now());
    ASSERT_TRUE(draft);
    std::memcpy(draft->value().data(), bytes.data(), bytes.size());
    draft->set_datatype(wire::kDatatypeSnappy);
    ASSERT_TRUE(bucket.store(*draft, store::StoreMode::set, {}, clock_.now()).ok());
    put_on_disk({"other"});
  }
};

// Each reply is a copy of its own: no more are made than the client takes.
TEST_F(CompressedOnDiskTest, RepliesInAnyOrderGoAsFarAsTheClientReads) {
  start();
  put_compressed_on_disk("k");
  const auto client = connect();
  hold_reads();
  constexpr uint32_t kRequests = 40;
  for (uint32_t i = 1; i <= kRequests; ++i)
    client->send(i, get("k"));
  wait_until_held();
  wait_until_aside(kRequests);
  heal();
  // Everything that can be sent has been made when neighbours are answered after the first.
  const std::string head = client->socket().receive(1);
  EXPECT_FALSE(head.empty());
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(connect(kOrdered)->ask({.opcode = BinaryOpcode::noop}), BinaryStatus::success);
  const uint64_t held = server_->bucket().statistics().inflated_bytes;
  EXPECT_LE(held, 4 * kValue.size());
  size_t left = kRequests * (wire::kBinaryHeaderBytes + 4 + kValue.size()) - 1;
  while (left > 0) {
    const size_t n = client->socket().receive(std::min<size_t>(left, 1 << 20)).size();
    ASSERT_GT(n, 0U);
    left -= n;
  }
  EXPECT_EQ(client->ask({.opcode = BinaryOpcode::noop}), BinaryStatus::success);
  EXPECT_EQ(server_->bucket().statistics().inflated_bytes, 0U);
}

// Who is to refill it is told so once: by the time that the disk has been read, nobody else may have been.
TEST_F(CompressedOnDiskTest, AskingForTheSizeAloneTakesNothingAway) {
  start();
  put_compressed_on_disk("k", clock_.now().unix_s() + 20);
  net::TestSocket socket(server_->addresses()[0]);
  const auto ask = [&](const std::string& request) {
    EXPECT_TRUE(socket.send_all(request + "\r\n"));
    std::string line;
    while (!line.ends_with("\r\n")) {
      const std::string byte = socket.receive(1);
      if (byte.empty()) break;
      line += byte;
    }
    return line;
  };
  // How long ago the last access was is asked for with them; a second may begin between storing and asking.
  const std::string told = ask("mg k s h l R30");
  EXPECT_TRUE(std::regex_match(told, std::regex("HD s900000 h0 l[0-9]+ W\r\n"))) << told;
  EXPECT_EQ(ask("mg k s h R30"), "HD s900000 h1 Z\r\n");
}

}  // namespace
}  // namespace bobbin::serve
