// What is wrong with a request, of every command: made from the rows of the tables and from the commands'
// vectors.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/binary_commands.h"
#include "serve/mcbp_fixture.h"
#include "subdoc_vectors.h"
#include "vector_text.h"
#include "wire/compression.h"
#include "wire/datatype.h"
#include "wire/subdoc_status.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Presence;

// What follows the request that is wrong.
constexpr uint32_t kNoopOpaque = 0x0a0a0a0a;
const std::string kNoop = [] {
  std::string frame = encoded({.opcode = BinaryOpcode::noop});
  wire::store_big_endian(frame.data() + 12, kNoopOpaque);
  return frame;
}();

// What a client gets to know.
struct Answer {
  std::vector<BinaryStatus> statuses;  // of the replies before that to the noop
  std::string bytes;                   // of all
  bool goes_on = false;                // the noop was answered
  bool closes = false;
};

// A request of this command as its first vector has it, or else of its shape.
Frame frame_of(const BinaryCommand& row) {
  for (const auto vectors : kMemoryVectors) {
    for (const WireVector& vector : vectors) {
      const std::string bytes = vector_bytes(vector.request);
      const wire::BinaryHeader header = wire::decode_header(bytes.data());
      if (header.opcode != static_cast<uint8_t>(row.opcode) || header.magic != wire::kBinaryRequestMagic ||
          bytes.size() != wire::kBinaryHeaderBytes + header.body_bytes)
        continue;
      const std::string_view body = std::string_view(bytes).substr(wire::kBinaryHeaderBytes);
      return {.opcode = row.opcode,
              .key = std::string(body.substr(header.extras_bytes, header.key_bytes)),
              .value = std::string(body.substr(header.extras_bytes + header.key_bytes)),
              .extras = std::string(body.substr(0, header.extras_bytes)),
              .datatype = header.datatype,
              .cas = header.cas};
    }
  }
  Frame frame{.opcode = row.opcode};
  uint8_t extras = 0;
  while (!row.shape.extras.has(extras))
    ++extras;
  frame.extras.assign(extras, '\0');
  if (row.shape.key == Presence::required) frame.key = row.key == KeyKind::document ? "\0k"s : "k"s;
  if (row.shape.value == Presence::required) frame.value = "v";
  return frame;
}

class MalformedRequestsTest : public testing::Test {
 protected:
  // On a server of its own, with document k, to a client that has agreed on everything.
  static Answer answer(const std::string& request) {
    net::Loop loop{net::Limits{}};
    TestEngine server(loop);
    const auto client = server.connect();
    using enum wire::Feature;
    std::string features;
    for (const wire::Feature feature : {mutation_seqno, xattr, xerror, json, snappy, tracing, alt_request,
                                        sync_replication, collections, preserve_ttl})
      features += {'\0', static_cast<char>(feature)};
    client->feed(encoded({.opcode = BinaryOpcode::hello, .value = features}));
    client->feed(encoded({.opcode = BinaryOpcode::set, .key = "\0k"s, .value = "{}", .extras = kSetExtras}));
    const size_t begin = client->replies().size();
    client->feed(request + kNoop);
    return read(std::string_view(client->replies()).substr(begin), client->closing());
  }
  static Answer read(std::string_view replies, bool closes) {
    Answer answer;
    answer.closes = closes;
    answer.bytes = replies;
    while (!replies.empty()) {
      EXPECT_GE(replies.size(), wire::kBinaryHeaderBytes);
      const wire::BinaryHeader header = wire::decode_header(replies.data());
      const size_t size = wire::kBinaryHeaderBytes + header.body_bytes;
      EXPECT_LE(size, replies.size());
      if (size > replies.size()) break;
      replies.remove_prefix(size);
      answer.goes_on = replies.empty() && header.opaque == kNoopOpaque;
      if (!answer.goes_on) answer.statuses.push_back(static_cast<BinaryStatus>(header.vbucket_or_status));
    }
    return answer;
  }
  // The request is refused, and the connection goes on with the next.
  static void expect_refused(const Frame& frame, std::string_view what,
                             std::optional<BinaryStatus> status = BinaryStatus::invalid_arguments) {
    const Answer got = answer(encoded(frame));
    ASSERT_TRUE(got.goes_on && !got.closes) << what;
    ASSERT_EQ(got.statuses.size(), 1U) << what;
    if (status) {
      EXPECT_EQ(got.statuses[0], *status) << what;
      if (*status == BinaryStatus::invalid_arguments) expect_bare(got.bytes, frame.opcode, *status, what);
    } else {
      EXPECT_NE(got.statuses[0], BinaryStatus::success) << what;
    }
  }
  // Byte for byte: nothing but the status, and how long the request took.
  static void expect_bare(std::string_view bytes, BinaryOpcode opcode, BinaryStatus status,
                          std::string_view what) {
    const std::string expected =
        vector_bytes(fmt::format("18{:02x} 0300 00 00 {:04x} 00000003 00000007 0000000000000000 020000",
                                 static_cast<unsigned>(opcode), static_cast<unsigned>(status)));
    EXPECT_EQ(testing::PrintToString(bytes.substr(0, expected.size())), testing::PrintToString(expected))
        << what;
  }
  static void for_each_row(const std::function<void(const BinaryCommand&)>& visit) {
    for_each_binary_command([&](const BinaryCommand& row) {
      const bool ends = row.opcode == BinaryOpcode::quit || row.opcode == BinaryOpcode::quitq;
      if (row.audience == Audience::memcached || ends) return;
      SCOPED_TRACE(row.name);
      visit(row);
    });
  }
  static bool takes_value(const BinaryCommand& row) { return row.shape.value != Presence::forbidden; }
};

TEST_F(MalformedRequestsTest, ExtrasOfAnotherLength) {
  for_each_row([](const BinaryCommand& row) {
    const Frame good = frame_of(row);
    for (const size_t length : {good.extras.size() + 1, good.extras.size() - 1, size_t{255}}) {
      if (length > 255 || row.shape.extras.has(static_cast<uint8_t>(length))) continue;
      Frame wrong = good;
      wrong.extras.resize(length);
      expect_refused(wrong, std::to_string(length) + " bytes of extras");
    }
  });
}

TEST_F(MalformedRequestsTest, KeysAndValuesThatShouldNotBeThereOrAreNot) {
  for_each_row([](const BinaryCommand& row) {
    Frame wrong = frame_of(row);
    wrong.key = row.shape.key == Presence::forbidden ? "k" : "";
    if (row.shape.key != Presence::optional) expect_refused(wrong, "key");
    wrong = frame_of(row);
    wrong.key.assign(wire::kMaxBinaryKeyBytes + 2, 'k');
    if (row.shape.key != Presence::forbidden) expect_refused(wrong, "key of 252 bytes");
    wrong = frame_of(row);
    wrong.value = row.shape.value == Presence::forbidden ? "v" : "";
    if (row.shape.value != Presence::optional) expect_refused(wrong, "value");
  });
}

// The lengths contradict each other: there is no next request to be found.
TEST_F(MalformedRequestsTest, ALengthOfAKeyThatIsNotThere) {
  for_each_row([](const BinaryCommand& row) {
    const Frame good = frame_of(row);
    std::string bytes = encoded(good);
    const size_t key_bytes = good.key.size() + good.value.size() + 1;
    bytes[2] = static_cast<char>(key_bytes >> 8U);
    bytes[3] = static_cast<char>(key_bytes);
    const Answer got = answer(bytes);
    EXPECT_TRUE(got.closes && !got.goes_on);
    EXPECT_EQ(got.statuses, std::vector{BinaryStatus::invalid_arguments});
  });
}

// A body that is one byte longer or shorter than it says: what follows begins in the wrong place.
TEST_F(MalformedRequestsTest, ALengthOfTheBodyThatIsOffByOne) {
  for_each_row([](const BinaryCommand& row) {
    const std::string good = encoded(frame_of(row));
    const size_t body = good.size() - wire::kBinaryHeaderBytes;
    for (const size_t length : {body + 1, body - 1}) {
      if (body == 0 && length != 1) continue;
      std::string wrong = good;
      wire::store_big_endian(wrong.data() + 8, static_cast<uint32_t>(length));
      const Answer got = answer(wrong);
      EXPECT_TRUE(got.closes && !got.goes_on) << length;
    }
  });
}

TEST_F(MalformedRequestsTest, DatatypesThatNobodyKnowsOrMaySend) {
  for_each_row([](const BinaryCommand& row) {
    Frame wrong = frame_of(row);
    for (const uint8_t datatype : {0x08, 0x10, 0x80, 0xff}) {
      wrong.datatype = datatype;
      expect_refused(wrong, "datatype " + std::to_string(datatype));
    }
    wrong.datatype = wire::kDatatypeSnappy;
    if (!row.takes_compressed) expect_refused(wrong, "Snappy");
  });
}

TEST_F(MalformedRequestsTest, FramingThatContradictsItselfOrIsUnknown) {
  for_each_row([](const BinaryCommand& row) {
    Frame wrong = frame_of(row);
    // A barrier of one byte that is not there, and one that is; two; a durability level without its byte, and
    // of two; a stream's id of one byte; nobody to be impersonated; a number that goes on and does not; an
    // expiry that is kept, of one byte.
    for (const std::string& framing : {"\x01"s, "\x01x"s, "\0\0"s, "\x10"s, "\x12\x01\0"s, "\x21\0"s, "\x40"s,
                                       "\xf0"s, "\x0f"s, "\x51\0"s}) {
      wrong.framing = framing;
      expect_refused(wrong, testing::PrintToString(framing));
    }
    wrong.framing = "\x70"s;
    expect_refused(wrong, "unknown", BinaryStatus::unknown_frame_info);
  });
}

TEST_F(MalformedRequestsTest, CollectionsThatAreNoNumbersOrUnknown) {
  for_each_row([](const BinaryCommand& row) {
    if (row.key != KeyKind::document || row.shape.key == Presence::forbidden || !row.needs_bucket) return;
    Frame wrong = frame_of(row);
    for (const std::string& key : {"\x80"s, "\x80\x80"s, "\xff\xff\xff\xff\xff\xff\x01k"s, "\x80\0k"s,
                                   "\xff\xff\xff\xff\x1fk"s, "\0"s}) {
      wrong.key = key;
      expect_refused(wrong, testing::PrintToString(key));
    }
    wrong.key = "\x09k";
    expect_refused(wrong, "unknown", BinaryStatus::unknown_collection);
  });
}

TEST_F(MalformedRequestsTest, NamesThatAreNoText) {
  for_each_row([](const BinaryCommand& row) {
    Frame wrong = frame_of(row);
    for (const std::string& text :
         {"\xff\xfe"s, "\xc0\x80.x"s, "\xed\xa0\x80"s, "a\0b"s, std::string(250, '\xff')}) {
      if (row.key == KeyKind::name && row.shape.key != Presence::forbidden) {
        wrong = frame_of(row);
        wrong.key = text;
        EXPECT_TRUE(answer(encoded(wrong)).goes_on) << testing::PrintToString(text);
      }
      if (row.key == KeyKind::name && takes_value(row)) {
        wrong = frame_of(row);
        wrong.value = text;
        EXPECT_TRUE(answer(encoded(wrong)).goes_on) << testing::PrintToString(text);
      }
    }
  });
}

TEST_F(MalformedRequestsTest, WhatIsNotCompressedOrBecomesTooLarge) {
  const std::string bomb = [] {
    std::string out;
    wire::deflate(std::string(64 << 20, 'x'), out);
    return out;
  }();
  for_each_row([&](const BinaryCommand& row) {
    if (!row.takes_compressed) return;
    Frame wrong = frame_of(row);
    wrong.datatype |= wire::kDatatypeSnappy;
    // It says 4 GiB; it ends in the middle; a copy of what was never there; nothing; 64 MiB in 3 MiB.
    for (const std::string& value : {"\xff\xff\xff\xff\x0f\0x"s, "\x0a\x24xx"s, "\x08\x15\x40"s, ""s, bomb}) {
      wrong.value = value;
      expect_refused(wrong, std::to_string(value.size()), std::nullopt);
    }
  });
}

TEST_F(MalformedRequestsTest, JsonThatIsTooDeep) {
  const std::string deep = std::string(10'000, '[') + std::string(10'000, ']');
  const std::string objects = [] {
    std::string text;
    for (int i = 0; i < 10'000; ++i)
      text += R"({"a":)";
    return text + "1" + std::string(10'000, '}');
  }();
  for_each_row([&](const BinaryCommand& row) {
    if (!takes_value(row)) return;
    for (const std::string& value : {deep, objects}) {
      Frame frame = frame_of(row);
      frame.value = value;
      frame.datatype = wire::kDatatypeJson;
      const Answer got = answer(encoded(frame));
      EXPECT_TRUE(got.goes_on && !got.closes);
      // The value of a document is what its client likes; and see below.
      if (row.key == KeyKind::name && !row.quiet) {
        ASSERT_EQ(got.statuses.size(), 1U);
      }
    }
  });
  for_each_row([&](const BinaryCommand& row) {
    const bool of_one_path = row.opcode >= BinaryOpcode::subdoc_dict_add &&
                             row.opcode <= BinaryOpcode::subdoc_array_add_unique &&
                             row.opcode != BinaryOpcode::subdoc_delete;
    if (!of_one_path) return;
    Frame frame = frame_of(row);
    const size_t path_bytes = static_cast<uint8_t>(frame.extras[1]);
    frame.value = frame.value.substr(0, path_bytes) + deep;
    expect_refused(frame, "a part of a document", std::nullopt);
  });
}

TEST_F(MalformedRequestsTest, AttributesWhoseLengthsLie) {
  const auto block = [](uint32_t says, const std::string& pairs) {
    std::string bytes(4, '\0');
    wire::store_big_endian(bytes.data(), says);
    return bytes + pairs;
  };
  const std::string pair =
      "\0\0\0\x05_s\0"
      "1\0"s;
  const std::vector<std::string> lies = {""s,
                                         "\0\0"s,
                                         block(0xffffffff, pair),
                                         block(10, pair),
                                         block(8, pair),
                                         block(9,
                                               "\0\0\0\x06_s\0"
                                               "1\0"s),
                                         block(9,
                                               "\0\0\0\x04_s\0"
                                               "1\0"s),
                                         block(9,
                                               "\xff\xff\xff\xff_s\0"
                                               "1\0"s),
                                         block(9, "\0\0\0\x05_s11\0"s),
                                         block(9,
                                               "\0\0\0\x05_s\0"
                                               "11"s),
                                         block(4, "\0\0\0\0"s),
                                         block(3, "\0\0\0"s),
                                         block(9,
                                               "\0\0\0\x05\0s\0"
                                               "1\0"s),
                                         block(9, "\0\0\0\x05_s\0{\0"s)};
  for_each_row([&](const BinaryCommand& row) {
    if (!row.writes || !takes_value(row) || row.key != KeyKind::document || row.name.starts_with("subdoc"))
      return;
    for (const std::string& value : lies) {
      Frame wrong = frame_of(row);
      wrong.value = value;
      wrong.datatype = wire::kDatatypeXattr;
      expect_refused(wrong, testing::PrintToString(value), std::nullopt);
    }
  });
}

}  // namespace
}  // namespace bobbin::serve
