// Requests arrive in whatever pieces the network makes of them. Every command of every protocol must come to
// the same whatever these are: the replies, the documents and the counts.

#include <gtest/gtest.h>

#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "serve/binary_commands.h"
#include "serve/test_session.h"
#include "serve/text_commands.h"

namespace bobbin::serve {

static void PrintTo(const Outcome& outcome, std::ostream* out) {
  *out << testing::PrintToString(outcome.replies) << (outcome.closed ? ", closed" : "") << ", "
       << testing::PrintToString(outcome.counts) << ", " << outcome.contents.size() << " documents";
}

namespace {

using wire::BinaryOpcode;
using namespace std::string_literals;

const std::vector<std::string> kText = {
    "set a 1 0 5\r\nhello\r\n",
    "set e 0 0 0\r\n\r\n",
    "get a e b\r\n",
    "gets a\r\n",
    "gat 100 a b\r\n",
    "gats 100 a\r\n",
    "add a 0 0 1\r\nx\r\n",
    "add c 0 0 1 noreply\r\nx\r\n",
    "replace a 2 0 3\r\nnew\r\n",
    "append a 0 0 2\r\n\r\n\r\n",
    "prepend a 0 0 1\r\n<\r\n",
    "cas a 0 0 1 1\r\nx\r\n",
    "cas none 0 0 1 1\r\nx\r\n",
    "set n 0 0 1\r\n9\r\n",
    "incr n 1\r\n",
    "decr n 100 noreply\r\n",
    "touch n 100\r\n",
    "delete c\r\n",
    "delete c noreply\r\n",
    "verbosity 1\r\n",
    "version\r\n",
    "stats\r\n",
    "stats nonsense\r\n",
    "nonsense\r\n",
    "set a 0 0 x\r\n",
    "set bad 0 0 2\r\nlonger\r\n",
    "set big 0 0 5000 noreply\r\n" + std::string(5000, 'B') + "\r\n",
    "set huge 0 0 9000\r\n" + std::string(9000, 'H') + "\r\n",
    "get big\r\n",
    "get " + std::string(251, 'k') + "\r\n",
    "\r\n",
    "flush_all 100 noreply\r\n",
    "flush_all\r\n",
    "get big\r\n",
};
const std::vector<std::string> kMeta = {
    "mn\r\n",
    "ms m 2 c T100 F5\r\nhi\r\n",
    "ms m 4 T100 F5\r\nmeta\r\n",
    "ms m 4 MA k O1 s\r\nmore\r\n",
    "ms v 1 MP N30 q\r\n1\r\n",
    "ms m 1 C7 I k\r\nx\r\n",
    "ms m x\r\n",
    "ms m 2 F-1\r\nhi\r\n",
    "ms big 5000 q\r\n" + std::string(5000, 'B') + "\r\n",
    "ms huge 9000\r\n" + std::string(9000, 'H') + "\r\n",
    "ms bTE= 2 b k c\r\nhi\r\n",
    "mg m v f s k c t h l Oabc\r\n",
    "mg m v q\r\n",
    "mg absent q\r\n",
    "mg won N30 R10 v t\r\n",
    "mg bTE= b k v\r\n",
    "ma c N0 J5 v t\r\n",
    "ma c MD D2 q\r\n",
    "me m\r\n",
    "me absent\r\n",
    "md m I T30 O9\r\n",
    "mg m v\r\n",
    "md m x\r\n",
    "md m q\r\n",
    "mg\r\n",
    "mg m " + std::string(20, 'v') + " v v\r\n",
    "mn\r\n",
};

std::string frame(BinaryOpcode opcode, std::string_view key = {}, std::string_view value = {},
                  std::string_view extras = {}) {
  static uint32_t opaque = 0;
  std::string bytes(wire::kBinaryHeaderBytes, '\0');
  wire::encode_header(bytes.data(),
                      {.opcode = static_cast<uint8_t>(opcode),
                       .key_bytes = static_cast<uint16_t>(key.size()),
                       .extras_bytes = static_cast<uint8_t>(extras.size()),
                       .body_bytes = static_cast<uint32_t>(extras.size() + key.size() + value.size()),
                       .opaque = ++opaque});
  return bytes.append(extras).append(key).append(value);
}

std::vector<std::string> binary_vectors() {
  using enum BinaryOpcode;
  const std::string none;
  const std::string store(8, '\0');
  const std::string expiry = "\0\0\0\x64"s;
  const std::string count = std::string(7, '\0') + "\2" + std::string(7, '\0') + "\7" + std::string(4, '\0');
  const std::string no_create = count.substr(0, 16) + "\xff\xff\xff\xff";
  std::vector<std::string> frames;
  for (const BinaryOpcode opcode : {add, set, setq, addq, replace, replaceq})
    frames.push_back(frame(opcode, "a", "value", store));
  for (const BinaryOpcode opcode : {append, appendq, prepend, prependq})
    frames.push_back(frame(opcode, "a", "more"));
  for (const BinaryOpcode opcode : {increment, incrementq, decrement, decrementq})
    frames.push_back(frame(opcode, "n", none, count));
  frames.push_back(frame(increment, "none", none, no_create));
  frames.push_back(frame(increment, "a", none, count));
  for (const BinaryOpcode opcode : {get, getq, getk, getkq}) {
    frames.push_back(frame(opcode, "a"));
    frames.push_back(frame(opcode, "absent"));
  }
  for (const BinaryOpcode opcode : {touch, gat, gatq, gatk, gatkq}) {
    frames.push_back(frame(opcode, "a", none, expiry));
    frames.push_back(frame(opcode, "absent", none, expiry));
  }
  frames.push_back(frame(set, "big", std::string(5000, 'B'), store));
  frames.push_back(frame(setq, "huge", std::string(9000, 'H'), store));
  frames.push_back(frame(getk, "big"));
  frames.push_back(frame(BinaryOpcode{0x70}, "key", "value", "extras"));
  for (const BinaryOpcode opcode : {removeq, remove})
    frames.push_back(frame(opcode, "a"));
  frames.push_back(frame(verbosity, none, none, expiry));
  for (const BinaryOpcode opcode : {version, stat, flushq, noop})
    frames.push_back(frame(opcode));
  frames.push_back(frame(BinaryOpcode::flush, none, none, expiry));
  return frames;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts)
    all += part;
  return all;
}

class DeliveryTest : public testing::Test {
 protected:
  static constexpr store::BucketOptions kBucket{.max_value_bytes = 8 << 10, .vbuckets = 1};

  Outcome whole(std::string_view requests) {
    return deliver(roomy_, kBucket, requests, [] { return size_t{0}; });
  }
  Outcome in_pieces_of(std::string_view requests, size_t size, bool congested = false) {
    return deliver(congested ? narrow_ : roomy_, kBucket, requests, [&] { return size; });
  }
  Outcome cut_at(std::string_view requests, size_t at) {
    size_t next = at;
    return deliver(roomy_, kBucket, requests, [&] { return std::exchange(next, 0); });
  }
  void expect_the_same_however_it_arrives(const std::string& requests) {
    const Outcome expected = whole(requests);
    EXPECT_EQ(in_pieces_of(requests, 1), expected) << "byte by byte";
    EXPECT_EQ(in_pieces_of(requests, 7), expected);
    EXPECT_EQ(in_pieces_of(requests, 0, true), expected) << "to a client that takes one reply at a time";
    EXPECT_EQ(in_pieces_of(requests, 1, true), expected);
    for (size_t at = 1; at < std::min<size_t>(requests.size(), 1000); ++at)
      ASSERT_EQ(cut_at(requests, at), expected) << "cut at byte " << at;
  }
  // Each request in front of which something is there for it to find, and behind which the next one follows.
  void expect_each_the_same(const std::vector<std::string>& requests, const std::string& before,
                            const std::string& after) {
    for (const std::string& request : requests) {
      SCOPED_TRACE(request.substr(0, 60));
      const std::string all = before + request + after;
      const Outcome expected = whole(all);
      for (size_t cut = 0; cut <= std::min<size_t>(request.size(), 200); ++cut)
        ASSERT_EQ(cut_at(all, before.size() + cut), expected) << "cut at byte " << cut;
      for (size_t cut = 0; cut < 8 && cut < request.size(); ++cut)
        ASSERT_EQ(cut_at(all, all.size() - after.size() - cut), expected) << cut << " bytes before its end";
    }
  }

  net::Loop roomy_{net::Limits{}};
  net::Loop narrow_{net::Limits{.max_unsent_bytes = 1}};
};

TEST_F(DeliveryTest, TheVectorsHoldEveryCommand) {
  std::set<std::string> verbs;
  for (const auto& vectors : {kText, kMeta}) {
    for (const std::string& line : vectors)
      verbs.insert(line.substr(0, line.find_first_of(" \r")));
  }
  for (const TextCommand& row : text_commands()) {
    const bool ends = row.verb == "quit" || row.verb == "watch";  // those have tests of their own
    EXPECT_TRUE(ends || verbs.contains(std::string(row.verb))) << row.verb;
  }
  for (const MetaCommandRow& row : meta_commands())
    EXPECT_TRUE(verbs.contains(std::string(row.verb))) << row.verb;
  std::set<uint8_t> opcodes;
  for (const std::string& request : binary_vectors())
    opcodes.insert(static_cast<uint8_t>(request[1]));
  for (const BinaryCommand& row : classic_commands()) {
    const bool ends = row.opcode == BinaryOpcode::quit || row.opcode == BinaryOpcode::quitq;
    EXPECT_TRUE(ends || opcodes.contains(static_cast<uint8_t>(row.opcode))) << row.name;
  }
}

TEST_F(DeliveryTest, TextCommands) {
  expect_the_same_however_it_arrives(joined(kText) + "quit\r\nget a\r\n");
  expect_each_the_same(kText, "set a 0 0 1\r\n1\r\nset n 0 0 1\r\n5\r\n", "gets a n c e bad\r\n");
}

TEST_F(DeliveryTest, MetaCommands) {
  expect_the_same_however_it_arrives(joined(kMeta));
  expect_each_the_same(kMeta, "ms m 1 T50\r\n1\r\n", "mg m v c t h\r\nmn\r\n");
}

TEST_F(DeliveryTest, BinaryCommands) {
  const std::vector<std::string> vectors = binary_vectors();
  for (const BinaryOpcode end : {BinaryOpcode::quit, BinaryOpcode::quitq})
    expect_the_same_however_it_arrives(joined(vectors) + frame(end) + frame(BinaryOpcode::noop));
  const std::string before = frame(BinaryOpcode::set, "a", "1", std::string(8, '\0'));
  expect_each_the_same(vectors, before, frame(BinaryOpcode::getk, "a") + frame(BinaryOpcode::noop));
}

TEST_F(DeliveryTest, BrokenBinaryFrames) {
  const std::string noop = frame(BinaryOpcode::noop);
  for (const size_t at : {0, 1, 3, 4, 8, 11}) {
    for (const char byte : {'\0', '\1', '\x7f', '\xff'}) {
      std::string broken = frame(BinaryOpcode::set, "key", "value", std::string(8, '\0'));
      broken[at] = byte;
      SCOPED_TRACE(at);
      const std::string all = noop + broken + noop;
      const Outcome expected = whole(all);
      for (size_t cut = 1; cut < all.size(); ++cut)
        ASSERT_EQ(cut_at(all, cut), expected) << cut;
    }
  }
}

TEST_F(DeliveryTest, NothingBehindAWatchIsARequest) {
  expect_the_same_however_it_arrives("set a 0 0 1\r\n1\r\nwatch fetchers\r\nset a 0 0 1\r\n2\r\nget a\r\n");
}

}  // namespace
}  // namespace bobbin::serve
