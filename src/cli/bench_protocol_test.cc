#include "cli/bench_protocol.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "wire/json_value.h"

namespace bobbin::cli {
namespace {

using State = BenchReader::State;

const BenchKeys kKeys(1000, 8);
const BenchValueSizes kSizes(5, 5);

/// What a stream of replies tells, however it is cut.
struct Told {
  uint64_t replies = 0;  ///< complete ones
  bool broken = false;
  BenchReplies counts;

  bool operator==(const Told& other) const {
    return replies == other.replies && broken == other.broken && counts.hits == other.counts.hits &&
           counts.misses == other.counts.misses && counts.errors == other.counts.errors &&
           counts.first_refusal == other.counts.first_refusal;
  }
  [[nodiscard]] uint64_t errors(BenchError error) const { return counts.errors[static_cast<size_t>(error)]; }
};

struct Request {
  bool is_set;
  std::vector<uint32_t> keys;
};

/// Shows the bytes as a connection would: those of `first`, then the rest behind what was left of them.
/// `skipping` drops values instead of showing them.
Told read_in(BenchProtocol protocol, const std::vector<Request>& requests,
             const std::vector<std::string>& pieces, bool skipping) {
  const auto reader = make_bench_reader(protocol, kKeys, kSizes);
  Told told;
  std::string unread;
  for (const std::string& piece : pieces) {
    unread += piece;
    for (;;) {
      if (skipping) {
        const size_t n = std::min(reader->value_left(), unread.size());
        reader->skip(n);
        unread.erase(0, n);
      }
      if (told.replies == requests.size() || told.broken) break;
      const Request& request = requests[told.replies];
      const auto progress =
          reader->read(unread, {.is_set = request.is_set, .keys = request.keys}, told.counts);
      unread.erase(0, progress.consumed);
      told.broken = progress.state == State::broken;
      if (progress.state == State::done) ++told.replies;
      if (progress.state == State::more && (unread.empty() || progress.consumed == 0)) break;
    }
  }
  EXPECT_TRUE(told.broken || told.replies < requests.size() || unread.empty()) << unread;
  return told;
}

/// Reads the replies whole, cut in two at every byte, and byte by byte: the same must come out.
Told read_all_ways(BenchProtocol protocol, const std::vector<Request>& requests, const std::string& replies) {
  Told whole = read_in(protocol, requests, {replies}, false);
  std::vector<std::string> bytes;
  for (size_t i = 0; i < replies.size(); ++i) {
    bytes.emplace_back(1, replies[i]);
    for (const bool skipping : {false, true}) {
      EXPECT_EQ(read_in(protocol, requests, {replies.substr(0, i), replies.substr(i)}, skipping), whole)
          << "cut at " << i;
    }
  }
  EXPECT_EQ(read_in(protocol, requests, bytes, false), whole);
  return whole;
}

std::string get_of(BenchProtocol protocol, const std::vector<uint32_t>& keys) {
  const auto writer = make_bench_writer(protocol, kKeys);
  std::string out(writer->max_get_bytes(keys.size()), '?');
  out.resize(static_cast<size_t>(writer->write_get(out.data(), keys) - out.data()));
  return out;
}

std::string set_of(BenchProtocol protocol, uint32_t key, const std::string& value) {
  const auto writer = make_bench_writer(protocol, kKeys);
  std::string out(writer->max_set_head_bytes(), '?');
  char* const end = writer->write_set_head(out.data(), key, static_cast<uint32_t>(value.size()));
  out.resize(static_cast<size_t>(end - out.data()));
  return out + value + std::string(writer->set_tail());
}

std::string bytes(std::initializer_list<unsigned> numbers) {
  std::string out;
  for (const unsigned number : numbers)
    out += static_cast<char>(number);
  return out;
}

/// A frame of the binary protocol's replies.
std::string frame(unsigned opcode, unsigned status, unsigned opaque, const std::string& extras,
                  const std::string& body) {
  const auto size = static_cast<unsigned>(extras.size() + body.size());
  return bytes({0x81,   opcode, 0,      0, static_cast<unsigned>(extras.size()),
                0,      0,      status, 0, 0,
                0,      size,   0,      0, 0,
                opaque, 0,      0,      0, 0,
                0,      0,      0,      9}) +
         extras + body;
}

TEST(BenchProtocol, NamesReadBack) {
  for (const char* name : {"text", "meta", "binary", "mcbp", "redis"})
    EXPECT_EQ(bench_protocol_name(*parse_bench_protocol(name)), name);
  EXPECT_FALSE(parse_bench_protocol("http"));
}

TEST(BenchText, Requests) {
  EXPECT_EQ(get_of(BenchProtocol::text, {7}), "get key-0007\r\n");
  EXPECT_EQ(get_of(BenchProtocol::text, {7, 999}), "get key-0007 key-0999\r\n");
  EXPECT_EQ(set_of(BenchProtocol::text, 12, "abc"), "set key-0012 0 0 3\r\nabc\r\n");
}

TEST(BenchText, Replies) {
  const std::vector<Request> requests = {{false, {7}}, {true, {8}}, {false, {9}}, {false, {1, 2, 2, 3}}};
  const Told told = read_all_ways(BenchProtocol::text, requests,
                                  "VALUE key-0007 0 5\r\nab\r\nc\r\nEND\r\n"
                                  "STORED\r\n"
                                  "END\r\n"
                                  "VALUE key-0002 4294967295 5\r\n12345\r\nVALUE key-0003 0 5 77\r\nEND\r\n"
                                  "\r\nEND\r\n");
  EXPECT_EQ(told.replies, 4u);
  EXPECT_FALSE(told.broken);
  EXPECT_EQ(told.counts.hits, 3u);
  EXPECT_EQ(told.counts.misses, 3u);
  EXPECT_EQ(told.counts.error_count(), 0u);
}

TEST(BenchText, WhatIsWrongIsCounted) {
  const Told told = read_all_ways(
      BenchProtocol::text, {{false, {7}}, {true, {8}}, {true, {8}}, {false, {7}}},
      "VALUE key-0007 0 4\r\nabcd\r\nEND\r\nSERVER_ERROR out of memory\r\nNOT_STORED\r\nERROR\r\n");
  EXPECT_EQ(told.replies, 4u);
  EXPECT_EQ(told.counts.hits, 1u);
  EXPECT_EQ(told.counts.misses, 0u);
  EXPECT_EQ(told.errors(BenchError::wrong_size), 1u);
  EXPECT_EQ(told.errors(BenchError::refused), 3u);
  EXPECT_EQ(told.counts.first_refusal, "SERVER_ERROR out of memory");
}

TEST(BenchText, WhatIsNoReplyIsBroken) {
  for (const char* reply : {"STORED\r\n", "VALUE key-0008 0 5\r\nabcde\r\nEND\r\n", "VALUE key-0007 0\r\n",
                            "VALUE key-0007 0 5x\r\n", "VALUE key-0007 0 5\r\nabcdefg\r\n", "END\n", "\r\n",
                            "VALUE key-0007 0 5\r\nabcde\r\nVALUE key-0007 0 5\r\nabcde\r\nEND\r\n"}) {
    EXPECT_TRUE(read_all_ways(BenchProtocol::text, {{false, {7}}}, reply).broken) << reply;
  }
  EXPECT_TRUE(read_all_ways(BenchProtocol::text, {{true, {7}}}, "END\r\n").broken);
  EXPECT_TRUE(read_in(BenchProtocol::text, {{true, {7}}}, {std::string(3000, 'x')}, false).broken);
}

TEST(BenchMeta, Requests) {
  EXPECT_EQ(get_of(BenchProtocol::meta, {7}), "mg key-0007 v\r\n");
  EXPECT_EQ(get_of(BenchProtocol::meta, {7, 8}), "mg key-0007 k q v\r\nmg key-0008 k q v\r\nmn\r\n");
  EXPECT_EQ(set_of(BenchProtocol::meta, 12, "abc"), "ms key-0012 3\r\nabc\r\n");
}

TEST(BenchMeta, Replies) {
  const Told told = read_all_ways(BenchProtocol::meta,
                                  {{false, {7}}, {false, {7}}, {true, {8}}, {false, {1, 2, 3}}, {true, {1}}},
                                  "VA 5\r\nEN\r\n1\r\nEN\r\nHD\r\nVA 5 kkey-0002\r\nMN\r\n1\r\nMN\r\nNS\r\n");
  EXPECT_EQ(told.replies, 5u);
  EXPECT_EQ(told.counts.hits, 2u);
  EXPECT_EQ(told.counts.misses, 3u);
  EXPECT_EQ(told.errors(BenchError::refused), 1u);
  EXPECT_EQ(told.counts.error_count(), 1u);
}

TEST(BenchMeta, ARefusedKeyDoesNotEndAQuietSeries) {
  const Told told =
      read_all_ways(BenchProtocol::meta, {{false, {1, 2}}, {false, {1}}},
                    "SERVER_ERROR busy\r\nVA 4 kkey-0002\r\nabcd\r\nMN\r\nCLIENT_ERROR bad\r\n");
  EXPECT_EQ(told.replies, 2u);
  EXPECT_EQ(told.counts.hits, 1u);
  EXPECT_EQ(told.counts.misses, 0u);
  EXPECT_EQ(told.errors(BenchError::refused), 2u);
  EXPECT_EQ(told.errors(BenchError::wrong_size), 1u);
}

TEST(BenchMeta, WhatIsNoReplyIsBroken) {
  for (const char* reply : {"HD\r\n", "VA\r\n", "VA x\r\n", "MN\r\n", "VA 5\r\nabcdef\r\n"})
    EXPECT_TRUE(read_all_ways(BenchProtocol::meta, {{false, {7}}}, reply).broken) << reply;
  for (const char* reply : {"EN\r\n", "VA 5\r\nabcde\r\n", "VA 5 kkey-0009\r\nabcde\r\n"})
    EXPECT_TRUE(read_all_ways(BenchProtocol::meta, {{false, {7, 8}}}, reply).broken) << reply;
}

TEST(BenchBinary, Requests) {
  const std::string key_header = bytes({0, 8, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0});
  const std::string cas(8, '\0');
  EXPECT_EQ(get_of(BenchProtocol::binary, {7}),
            bytes({0x80, 0}) + key_header + bytes({0}) + cas + "key-0007");
  EXPECT_EQ(get_of(BenchProtocol::binary, {7, 8}),
            bytes({0x80, 9}) + key_header + bytes({0}) + cas + "key-0007" + bytes({0x80, 9}) + key_header +
                bytes({1}) + cas + "key-0008" + bytes({0x80, 10}) + std::string(22, '\0'));
  EXPECT_EQ(set_of(BenchProtocol::binary, 12, "abc"),
            bytes({0x80, 1, 0, 8, 8, 0, 0, 0, 0, 0, 0, 19, 0, 0, 0, 0}) + cas + std::string(8, '\0') +
                "key-0012abc");
}

TEST(BenchBinary, Replies) {
  const std::string flags(4, '\0');
  const Told told = read_all_ways(
      BenchProtocol::binary, {{false, {7}}, {false, {7}}, {true, {8}}, {false, {1, 2, 3}}, {true, {1}}},
      frame(0, 0, 0, flags, "12345") + frame(0, 1, 0, "", "Not found") + frame(1, 0, 0, "", "") +
          frame(9, 0, 1, flags, "1234") + frame(9, 0, 2, flags, "12345") + frame(10, 0, 0, "", "") +
          frame(1, 0x82, 0, "", "Out of memory"));
  EXPECT_EQ(told.replies, 5u);
  EXPECT_FALSE(told.broken);
  EXPECT_EQ(told.counts.hits, 3u);
  EXPECT_EQ(told.counts.misses, 2u);
  EXPECT_EQ(told.errors(BenchError::wrong_size), 1u);
  EXPECT_EQ(told.errors(BenchError::refused), 1u);
}

TEST(BenchBinary, WhatIsNoReplyIsBroken) {
  const std::string flags(4, '\0');
  const auto broken = [](const std::vector<uint32_t>& keys, const std::string& reply) {
    return read_all_ways(BenchProtocol::binary, {{false, keys}}, reply).broken;
  };
  EXPECT_TRUE(broken({7}, "HTTP/1.1 400 Bad Request"));
  EXPECT_TRUE(broken({7}, frame(1, 0, 0, "", "")));
  EXPECT_TRUE(broken({7}, frame(9, 0, 0, flags, "12345")));
  EXPECT_TRUE(broken({7, 8}, frame(9, 0, 2, flags, "12345")));
  EXPECT_TRUE(broken({7, 8}, frame(9, 0, 1, flags, "12345") + frame(9, 0, 0, flags, "12345")));
  std::string too_long_extras = frame(0, 0, 0, flags, "");
  too_long_extras[4] = 5;
  EXPECT_TRUE(broken({7}, too_long_extras));
}

TEST(BenchMcbp, ARequestNamesTheDefaultCollection) {
  const std::string key_header = bytes({0, 9, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0});
  const std::string cas(8, '\0');
  EXPECT_EQ(get_of(BenchProtocol::mcbp, {7}),
            bytes({0x80, 0}) + key_header + bytes({0}) + cas + bytes({0}) + "key-0007");
  EXPECT_EQ(set_of(BenchProtocol::mcbp, 12, "abc"),
            bytes({0x80, 1, 0, 9, 8, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0}) + cas + std::string(8, '\0') +
                bytes({0}) + "key-0012abc");
  EXPECT_TRUE(make_bench_writer(BenchProtocol::mcbp, kKeys)->greeting().starts_with("\x80\x1f"));
  EXPECT_EQ(make_bench_writer(BenchProtocol::binary, kKeys)->greeting(), "");
}

TEST(BenchMcbp, ALookupNamesItsPaths) {
  const auto writer = make_bench_writer(BenchProtocol::mcbp, kKeys, 2);
  const std::array<uint32_t, 1> keys = {7};
  std::string out(writer->max_get_bytes(1), '?');
  out.resize(static_cast<size_t>(writer->write_get(out.data(), keys) - out.data()));
  EXPECT_EQ(out, bytes({0x80, 0xd0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 27, 0, 0, 0, 0}) + std::string(8, '\0') +
                     bytes({0}) + "key-0007" + bytes({0xc5, 0, 0, 5}) + "path0" + bytes({0xc5, 0, 0, 5}) +
                     "path1");
}

TEST(BenchMcbp, WhatALookupFindsIsCounted) {
  const auto reader = make_bench_reader(BenchProtocol::mcbp, kKeys, kSizes, 2);
  const std::string found = bytes({0, 0, 0, 0, 0, 5}) + "10000" + bytes({0, 0, 0, 0, 0, 5}) + "10001";
  const std::array<uint32_t, 1> keys = {7};
  BenchReplies replies;
  for (const std::string& reply : {frame(0xd0, 0, 0, "", found), frame(0xd0, 0, 0, "", found + "1"),
                                   frame(0xd0, 1, 0, "", ""), frame(0xd0, 0xcc, 0, "", found)})
    EXPECT_EQ(reader->read(reply, {.is_set = false, .keys = keys}, replies).state, State::done);
  EXPECT_EQ(replies.hits, 2U);
  EXPECT_EQ(replies.misses, 1U);
  EXPECT_EQ(replies.errors[static_cast<size_t>(BenchError::wrong_size)], 1U);
  EXPECT_EQ(replies.errors[static_cast<size_t>(BenchError::refused)], 1U);
  EXPECT_EQ(reader->read(frame(0, 0, 0, "", found), {.is_set = false, .keys = keys}, replies).state,
            State::broken);
}

TEST(BenchMcbp, ADocumentHasItsPathsAndItsSize) {
  for (const uint32_t paths : {1U, 3U, kMaxBenchPaths}) {
    for (const uint32_t size : {2 + paths * kBenchPathBytes, 1024U, 1025U, 1026U}) {
      const std::string text = bench_document(size, paths);
      EXPECT_EQ(text.size(), size);
      const auto document = wire::JsonValue::parse(text);
      ASSERT_TRUE(document) << text;
      for (uint32_t path = 0; path < paths; ++path)
        EXPECT_EQ(document->member("path" + std::to_string(path))->number(), 10'000U + path);
    }
  }
}

TEST(BenchMcbp, RepliesMayHaveFramingExtras) {
  const std::string flags(4, '\0');
  std::string timed = frame(0, 0, 0, flags, "12345");
  timed[0] = '\x18';
  timed[2] = 3;    // framing extras: how long the server took
  timed[11] = 12;  // bytes of the body
  timed.insert(24, bytes({2, 0, 9}));
  const Told told = read_all_ways(BenchProtocol::mcbp, {{false, {7}}, {true, {8}}},
                                  frame(0x1f, 0, 0, "", bytes({0, 18})) + frame(0x89, 0, 0, "", "") + timed +
                                      frame(1, 0, 0, std::string(16, '\1'), ""));
  EXPECT_EQ(told.replies, 2u);
  EXPECT_FALSE(told.broken);
  EXPECT_EQ(told.counts.hits, 1u);
  EXPECT_EQ(told.errors(BenchError::wrong_size), 0u);
  EXPECT_TRUE(read_all_ways(BenchProtocol::mcbp, {{false, {7}}}, frame(0x89, 1, 0, "", "")).broken);
}

TEST(BenchRedis, Requests) {
  EXPECT_EQ(get_of(BenchProtocol::redis, {7}), "*2\r\n$3\r\nGET\r\n$8\r\nkey-0007\r\n");
  EXPECT_EQ(get_of(BenchProtocol::redis, {7, 8}), "*3\r\n$4\r\nMGET\r\n$8\r\nkey-0007\r\n$8\r\nkey-0008\r\n");
  EXPECT_EQ(set_of(BenchProtocol::redis, 12, "abc"), "*3\r\n$3\r\nSET\r\n$8\r\nkey-0012\r\n$3\r\nabc\r\n");
}

TEST(BenchRedis, Replies) {
  const Told told = read_all_ways(
      BenchProtocol::redis,
      {{false, {7}},
       {false, {7}},
       {true, {8}},
       {false, {1, 2, 3}},
       {false, {1, 2}},
       {true, {1}},
       {false, {1, 2}}},
      "$5\r\n$-1\r\n\r\n$-1\r\n+OK\r\n*3\r\n$-1\r\n$5\r\n12345\r\n$-1\r\n*2\r\n$-1\r\n$4\r\n1234\r\n"
      "-OOM no memory\r\n-ERR unknown\r\n");
  EXPECT_EQ(told.replies, 7u);
  EXPECT_FALSE(told.broken);
  EXPECT_EQ(told.counts.hits, 3u);
  EXPECT_EQ(told.counts.misses, 4u);
  EXPECT_EQ(told.errors(BenchError::wrong_size), 1u);
  EXPECT_EQ(told.errors(BenchError::refused), 2u);
  EXPECT_EQ(told.counts.first_refusal, "OOM no memory");
}

TEST(BenchRedis, WhatIsNoReplyIsBroken) {
  for (const char* reply :
       {"+OK\r\n", "*1\r\n$5\r\n12345\r\n", "$5x\r\n", ":1\r\n", "\r\n", "$5\r\n123456\r\n"})
    EXPECT_TRUE(read_all_ways(BenchProtocol::redis, {{false, {7}}}, reply).broken) << reply;
  for (const char* reply : {"*1\r\n$5\r\n12345\r\n", "$5\r\n12345\r\n"})
    EXPECT_TRUE(read_all_ways(BenchProtocol::redis, {{false, {7, 8}}}, reply).broken) << reply;
}

}  // namespace
}  // namespace bobbin::cli
