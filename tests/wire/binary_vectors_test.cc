#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "readers.h"
#include "wire/binary.h"

namespace bobbin::wire_tests {
namespace {

using Events = std::vector<std::string>;
using namespace std::string_view_literals;

constexpr std::string_view kInvalid = "! 0004 Invalid arguments";
constexpr std::string_view kUnknown = "! 0081 Unknown command";

/// A request whose lengths are right.
std::string request(uint8_t opcode, std::string_view extras = {}, std::string_view key = {},
                    std::string_view value = {}, uint64_t cas = 0) {
  std::string bytes(wire::kBinaryHeaderBytes, '\0');
  wire::encode_header(bytes.data(),
                      {.opcode = opcode,
                       .key_bytes = static_cast<uint16_t>(key.size()),
                       .extras_bytes = static_cast<uint8_t>(extras.size()),
                       .body_bytes = static_cast<uint32_t>(extras.size() + key.size() + value.size()),
                       .opaque = 7,
                       .cas = cas});
  return bytes.append(extras).append(key).append(value);
}

/// A header that says what it likes, and a body that does not have to agree.
std::string lying(uint8_t opcode, uint16_t key_bytes, uint8_t extras_bytes, uint32_t body_bytes,
                  std::string_view body = {}) {
  std::string bytes(wire::kBinaryHeaderBytes, '\0');
  wire::encode_header(
      bytes.data(),
      {.opcode = opcode, .key_bytes = key_bytes, .extras_bytes = extras_bytes, .body_bytes = body_bytes});
  return bytes.append(body);
}

Events read(std::string_view bytes) {
  BinaryReader reader;
  reader.feed(bytes);
  return reader.events();
}

const std::string kExtras8(8, '\0');
const std::string kExtras20(20, '\0');
const std::string kExtras4(4, '\0');
const std::string kNoop = request(0x0a);
constexpr std::string_view kNoopEvent = "0a opaque=7 cas=0 extras= key= value=";

TEST(BinaryVectors, ASetByteForByte) {
  // The wiki's layout, written out: magic, opcode, key length, extras length, datatype, vbucket, body length,
  // opaque, cas; then flags deadbeef, expiry 0e10, "Hello", "World".
  EXPECT_EQ(
      read("\x80\x02\x00\x05\x08\x00\x00\x00\x00\x00\x00\x12\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
           "\xde\xad\xbe\xef\x00\x00\x0e\x10HelloWorld"sv),
      Events{"02 opaque=0 cas=0 extras=deadbeef00000e10 key=Hello value=World"});
}

TEST(BinaryVectors, AnErrorReplyByteForByte) {
  std::array<char, wire::kMaxBinaryErrorBytes> out{};
  const size_t size =
      wire::write_binary_error(out.data(), {.opcode = 0x00, .opaque = 1}, wire::BinaryStatus::key_not_found);
  EXPECT_EQ(std::string_view(out.data(), size),
            "\x81\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x09\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"
            "Not found"sv);
}

TEST(BinaryVectors, AHitWithKeyByteForByte) {
  std::array<char, wire::kMaxBinaryHeadBytes> out{};
  const size_t size =
      wire::write_binary_head(out.data(), {.opcode = 0x0c, .opaque = 2},
                              {.cas = 9, .extras = "\xde\xad\xbe\xef", .key = "Hello", .value_bytes = 5});
  EXPECT_EQ(std::string_view(out.data(), size),
            "\x81\x0c\x00\x05\x04\x00\x00\x00\x00\x00\x00\x0e\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x09"
            "\xde\xad\xbe\xefHello"sv);
}

TEST(BinaryVectors, OtherRepliesByteForByte) {
  std::array<char, 64> out{};
  const wire::BinaryHeader asked{.opcode = 0x05, .opaque = 3};
  const auto written = [&](const wire::BinaryReply& reply) {
    return std::string_view(out.data(), wire::write_binary_head(out.data(), asked, reply));
  };
  EXPECT_EQ(
      written({.cas = 4}),
      "\x81\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x04"sv);
  EXPECT_EQ(
      written({.status = wire::BinaryStatus::key_not_found, .key = "zz"}),
      "\x81\x05\x00\x02\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00zz"sv);
  EXPECT_EQ(written({.framing = "\x02\x00\x0d"sv, .extras = "ee", .key = "pid", .value_bytes = 2}),
            "\x18\x05\x03\x03\x02\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00"
            "\x02\x00\x0d"
            "eepid"sv);
}

TEST(BinaryVectors, EveryOpcodeTakesItsOwnShape) {
  const struct {
    std::vector<uint8_t> opcodes;
    std::string_view extras;
    std::string_view key;
    std::string_view value;
  } rows[] = {
      {{0x00, 0x09, 0x0c, 0x0d, 0x04, 0x14}, {}, "k", {}},
      {{0x01, 0x11, 0x02, 0x12, 0x03, 0x13}, kExtras8, "k", "value"},
      {{0x0e, 0x19, 0x0f, 0x1a}, {}, "k", "value"},
      {{0x05, 0x15, 0x06, 0x16}, kExtras20, "k", {}},
      {{0x1c, 0x1d, 0x1e, 0x23, 0x24}, kExtras4, "k", {}},
      {{0x08, 0x18, 0x1b}, kExtras4, {}, {}},
      {{0x08, 0x18, 0x07, 0x17, 0x0a, 0x0b, 0x10, 0x20}, {}, {}, {}},
      {{0x10}, {}, "items", {}},
      {{0x21, 0x22}, {}, "PLAIN", "value"},
  };
  for (const auto& row : rows) {
    for (const uint8_t opcode : row.opcodes) {
      const std::string good = request(opcode, row.extras, row.key, row.value, 5);
      const Events events = read(good + kNoop);
      ASSERT_EQ(events.size(), 2U) << int{opcode};
      EXPECT_TRUE(events[0].find(" opaque=7 cas=5 ") != std::string::npos) << events[0];
      EXPECT_EQ(events[1], kNoopEvent);
      // One byte of extras too many is never right, nor is a key of 251 bytes.
      const std::string more_extras = std::string(row.extras) + '\0';
      EXPECT_EQ(read(request(opcode, more_extras, row.key, row.value)), Events{std::string(kInvalid)});
      EXPECT_EQ(read(request(opcode, row.extras, std::string(251, 'k'), row.value)),
                Events{std::string(kInvalid)});
      EXPECT_EQ(first_split_difference<BinaryReader>(good + kNoop), "") << int{opcode};
    }
  }
}

TEST(BinaryVectors, PartsThatACommandDoesNotTake) {
  for (const std::string& bytes : {request(0x00),
                                   request(0x00, {}, "k", "v"),
                                   request(0x00, kExtras4, "k"),
                                   request(0x01, {}, "k", "v"),
                                   request(0x01, kExtras4, "k", "v"),
                                   request(0x01, kExtras8, "", "v"),
                                   request(0x04, kExtras8, "k"),
                                   request(0x05, std::string(19, '\0'), "k"),
                                   request(0x05, kExtras20, "k", "v"),
                                   request(0x07, {}, {}, "x"),
                                   request(0x08, std::string(3, '\0')),
                                   request(0x08, {}, "k"),
                                   request(0x0a, {}, "k"),
                                   request(0x0a, {}, {}, "v"),
                                   request(0x0b, {}, "k"),
                                   request(0x0e, kExtras8, "k", "v"),
                                   request(0x10, kExtras4),
                                   request(0x1a),
                                   request(0x1b),
                                   request(0x1c, {}, "k"),
                                   request(0x1d, kExtras4, "k", "v"),
                                   request(0x21, {}, {}, "v")}) {
    EXPECT_EQ(read(bytes + kNoop), Events{std::string(kInvalid)}) << int{bytes[1]};
    EXPECT_EQ(first_split_difference<BinaryReader>(bytes + kNoop), "");
  }
}

TEST(BinaryVectors, LengthsThatDisagree) {
  // set (CVE-2011-4971), append and prepend (CVE-2016-8704), store (CVE-2016-8705), SASL (CVE-2016-8706): a
  // body shorter than what it must hold, where a subtraction would wrap. Extras longer than expected
  // (CVE-2020-10931). All are refused from the header alone, before a byte of the body.
  for (const std::string& bytes :
       {lying(0x01, 1, 8, 0), lying(0x01, 1, 8, 5), lying(0x01, 1, 8, 8), lying(0x02, 0xffff, 8, 9),
        lying(0x0e, 3, 0, 2), lying(0x0f, 3, 0, 2), lying(0x19, 0xffff, 0, 1), lying(0x21, 32, 0, 5),
        lying(0x21, 0xffff, 0, 0), lying(0x00, 100, 0, 1), lying(0x00, 1, 0, 0xffffffff),
        lying(0x01, 1, 255, 0x7fffffff), lying(0x01, 1, 9, 100), lying(0x05, 1, 255, 256),
        lying(0x1c, 1, 8, 9), lying(0x08, 0, 255, 255), lying(0x0a, 0xffff, 0xff, 0xffffffff)}) {
    EXPECT_EQ(read(bytes), Events{std::string(kInvalid)}) << int{bytes[1]};
  }
}

TEST(BinaryVectors, AHugeBodyIsOnlyAnnounced) {
  for (const uint32_t body : {0x7fffffffU, 0x80000000U, 0xffffffffU}) {
    const std::string bytes = lying(0x01, 1, 8, body, kExtras8 + "kv");
    wire::BinaryRequest cut;
    EXPECT_EQ(wire::cut_frame(bytes, cut), wire::FrameState::head);
    EXPECT_EQ(cut.value_bytes, body - 9);
    EXPECT_EQ(cut.value, "v");
    EXPECT_EQ(read(bytes), Events{});
  }
}

TEST(BinaryVectors, UnknownCommandsAreSkippedWhole) {
  for (const int opcode : {0x1f, 0x25, 0x30, 0x50, 0xff}) {
    EXPECT_EQ(read(request(static_cast<uint8_t>(opcode), kExtras4, "k", "v") + kNoop),
              (Events{std::string(kUnknown), std::string(kNoopEvent)}));
  }
}

TEST(BinaryVectors, AnythingButTheMagicEndsTheStream) {
  for (const std::string_view wrong : {"\x81"sv, "\x08"sv, "\x18"sv, "version\r\n"sv, "\0"sv}) {
    EXPECT_EQ(read(kNoop + std::string(wrong) + kNoop), (Events{std::string(kNoopEvent), "! magic"}));
  }
}

TEST(BinaryVectors, DatatypeAndVbucketAreNotJudged) {
  std::string bytes = request(0x00, {}, "k");
  bytes[5] = 1;
  bytes[7] = 5;
  EXPECT_EQ(read(bytes), Events{"00 opaque=7 cas=0 extras= key=k value="});
}

}  // namespace
}  // namespace bobbin::wire_tests
