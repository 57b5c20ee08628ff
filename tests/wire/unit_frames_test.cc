// What replies say of units that were read and written, to who has agreed on ReportUnitUsage.

#include <string>

#include "serve/mcbp_fixture.h"
#include "vector_text.h"
#include "wire/subdoc.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Feature;

std::string read_units(uint16_t n) {
  return {0x12, static_cast<char>(n >> 8), static_cast<char>(n)};
}
std::string write_units(uint16_t n) {
  return {0x22, static_cast<char>(n >> 8), static_cast<char>(n)};
}
const std::string kDurable("\x11\x01", 2);

/// The path, or a name and a JSON value of one attribute.
Frame subdoc(BinaryOpcode opcode, const std::string& path, const std::string& value = {},
             bool attribute = false) {
  std::string extras(3, '\0');
  extras[1] = static_cast<char>(path.size());
  if (attribute) extras[2] = 0x04;
  return {.opcode = opcode, .key = "k", .value = path + value, .extras = extras};
}

class UnitFramesTest : public McbpTest {
 protected:
  UnitFramesTest() { agree({Feature::report_unit_usage, Feature::alt_request, Feature::xattr}); }

  void agree(const std::vector<Feature>& features) { hello(features); }

  /// The framing extras of the reply to one frame.
  std::string framing(const Frame& frame, BinaryStatus status = BinaryStatus::success) {
    const std::string bytes = reply(encoded(frame));
    const wire::BinaryHeader header = wire::decode_header(bytes.data());
    EXPECT_EQ(header.vbucket_or_status, static_cast<uint16_t>(status));
    EXPECT_EQ(bytes.size(), wire::kBinaryHeaderBytes + header.body_bytes);
    return bytes.substr(wire::kBinaryHeaderBytes, header.framing_bytes);
  }
  std::string reply(const std::string& request) {
    const size_t before = client_->replies().size();
    client_->feed(request);
    return client_->replies().substr(before);
  }
  static Frame storing(size_t value_bytes, BinaryOpcode opcode = BinaryOpcode::set) {
    const bool extends = opcode == BinaryOpcode::append || opcode == BinaryOpcode::prepend;
    return {.opcode = opcode,
            .key = "k",
            .value = std::string(value_bytes, 'v'),
            .extras = extends ? std::string() : kSetExtras};
  }
  static Frame of(BinaryOpcode opcode) { return {.opcode = opcode, .key = "k"}; }
};

// A CAS and a moment are "?".
TEST_F(UnitFramesTest, AreTheseBytes) {
  struct Vector {
    const char* request;
    const char* reply;
  };
  const Vector vectors[] = {
      {"8001 0001 08 00 0000 0000000a deadbeef 0000000000000000 0000000000000000 6b 76",
       "1801 0300 00 00 0000 00000003 deadbeef ???????????????? 220001"},
      {"0801 0201 08 00 0000 0000000c deadbeef 0000000000000000 11010000000000000000 6b 76",
       "1801 0300 00 00 0000 00000003 deadbeef ???????????????? 220002"},
      {"8000 0001 00 00 0000 00000001 deadbeef 0000000000000000 6b",
       "1800 0300 04 00 0000 00000008 deadbeef ???????????????? 1200010000000076"},
      {"8000 0001 00 00 0000 00000001 deadbeef 0000000000000000 78",
       "8100 0000 00 00 0001 00000000 deadbeef 0000000000000000"},
      {"800a 0000 00 00 0000 00000000 deadbeef 0000000000000000",
       "810a 0000 00 00 0000 00000000 deadbeef 0000000000000000"},
      {"8004 0001 00 00 0000 00000001 deadbeef 0000000000000000 6b",
       "1804 0300 00 00 0000 00000003 deadbeef ???????????????? 220001"},
  };
  for (const Vector& vector : vectors) {
    const std::string told = vector_text(reply(vector_bytes(vector.request)));
    EXPECT_TRUE(vector_matches(told, vector.reply)) << vector.request << "\n" << told;
  }
}

TEST_F(UnitFramesTest, StandBehindTheServersDuration) {
  agree({Feature::report_unit_usage, Feature::tracing});
  const std::string told = framing(storing(1));
  ASSERT_EQ(told.size(), 6U);
  EXPECT_EQ(told[0], 0x02);
  EXPECT_EQ(told.substr(3), write_units(1));
  EXPECT_EQ(framing({.opcode = BinaryOpcode::noop}).size(), 3U);
}

TEST_F(UnitFramesTest, NobodyIsToldWhoHasNotAsked) {
  agree({Feature::alt_request});
  EXPECT_EQ(framing(storing(1)), "");
  EXPECT_EQ(framing(of(BinaryOpcode::get)), "");
}

// The key counts as it is stored: two bytes, with the collection's number.
TEST_F(UnitFramesTest, CountWhatIsBegun) {
  EXPECT_EQ(framing(storing(1022)), write_units(1));
  EXPECT_EQ(framing(storing(1023)), write_units(2));
  EXPECT_EQ(framing(storing(4094)), write_units(4));
  EXPECT_EQ(framing(of(BinaryOpcode::get)), read_units(1));
  EXPECT_EQ(framing(storing(4095)), write_units(5));
  EXPECT_EQ(framing(of(BinaryOpcode::get)), read_units(2));
  EXPECT_EQ(framing(storing(1 << 20)), write_units(1025));
  EXPECT_EQ(framing(of(BinaryOpcode::get)), read_units(257));
}

TEST_F(UnitFramesTest, ADurableWriteCountsTwice) {
  Frame write = storing(1023);
  write.framing = kDurable;
  EXPECT_EQ(framing(write), write_units(4));
  write = of(BinaryOpcode::remove);
  write.framing = kDurable;
  EXPECT_EQ(framing(write), write_units(2));
}

TEST_F(UnitFramesTest, WhatIsExtendedCountsWhole) {
  (void)framing(storing(1000));
  EXPECT_EQ(framing(storing(22, BinaryOpcode::append)), write_units(1));
  EXPECT_EQ(framing(storing(1, BinaryOpcode::prepend)), write_units(2));
}

TEST_F(UnitFramesTest, AttributesThatAreKeptCount) {
  (void)framing(storing(1));
  const std::string value = '"' + std::string(2000, 'x') + '"';
  EXPECT_EQ(framing(subdoc(BinaryOpcode::subdoc_dict_upsert, "a", value, true)), write_units(2));
  EXPECT_EQ(framing(storing(1)), write_units(2));
  EXPECT_EQ(framing(storing(100, BinaryOpcode::append)), write_units(3));
  EXPECT_EQ(framing(of(BinaryOpcode::get)), read_units(1));
  EXPECT_EQ(framing(of(BinaryOpcode::remove)), write_units(1)) << "those of users go";
}

TEST_F(UnitFramesTest, AttributesOfTheSystemStayAndCount) {
  (void)framing(storing(1));
  const std::string value = '"' + std::string(2000, 'x') + '"';
  (void)framing(subdoc(BinaryOpcode::subdoc_dict_upsert, "_a", value, true));
  EXPECT_EQ(framing(of(BinaryOpcode::remove)), write_units(2));
}

TEST_F(UnitFramesTest, ATouchWritesTheDocument) {
  (void)framing(storing(4095));
  Frame touch = of(BinaryOpcode::touch);
  touch.extras = "\0\0\1\0"s;
  EXPECT_EQ(framing(touch), write_units(5));
  touch.opcode = BinaryOpcode::gat;
  EXPECT_EQ(framing(touch), write_units(5)) << "and reads for nothing";
  touch.key = "x";
  EXPECT_EQ(framing(touch, BinaryStatus::key_not_found), "");
}

TEST_F(UnitFramesTest, ACounterIsWritten) {
  const std::string by_one = "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0"s;
  const Frame count{.opcode = BinaryOpcode::increment, .key = "n", .extras = by_one};
  EXPECT_EQ(framing(count), write_units(1));
  EXPECT_EQ(framing(count), write_units(1));
  (void)framing(storing(1));
  EXPECT_EQ(
      framing({.opcode = BinaryOpcode::increment, .key = "k", .extras = by_one}, BinaryStatus::non_numeric),
      "");
}

TEST_F(UnitFramesTest, LocksAreReadAndUnlockedForNothing) {
  (void)framing(storing(4095));
  const std::string bytes = reply(encoded(of(BinaryOpcode::get_locked)));
  const wire::BinaryHeader header = wire::decode_header(bytes.data());
  EXPECT_EQ(bytes.substr(wire::kBinaryHeaderBytes, header.framing_bytes), read_units(2));
  Frame unlock = of(BinaryOpcode::unlock_key);
  unlock.cas = header.cas;
  EXPECT_EQ(framing(unlock), "");
}

TEST_F(UnitFramesTest, WhatFailsCostsNothing) {
  EXPECT_EQ(framing(of(BinaryOpcode::get), BinaryStatus::key_not_found), "");
  (void)framing(storing(4095));
  EXPECT_EQ(framing(storing(1, BinaryOpcode::add), BinaryStatus::key_exists), "");
  Frame wrong = storing(1);
  wrong.cas = 1;
  EXPECT_EQ(framing(wrong, BinaryStatus::key_exists), "");
  EXPECT_EQ(framing({.opcode = BinaryOpcode::noop}), "") << "nothing is left of it for the next";
}

TEST_F(UnitFramesTest, PartsCostTheWholeDocument) {
  const std::string filler(4095, 'x');
  Frame document = storing(0);
  document.value = R"({"a":1,"b":")" + filler + R"("})";
  EXPECT_EQ(framing(document), write_units(5));
  EXPECT_EQ(framing(subdoc(BinaryOpcode::subdoc_get, "a")), read_units(2));
  EXPECT_EQ(framing(subdoc(BinaryOpcode::subdoc_exists, "a")), read_units(2));
  const auto missing = static_cast<BinaryStatus>(wire::SubdocStatus::path_missing);
  EXPECT_EQ(framing(subdoc(BinaryOpcode::subdoc_get, "c"), missing), "");
  EXPECT_EQ(framing(subdoc(BinaryOpcode::subdoc_replace, "a", "2")), write_units(5));
  const auto partly = static_cast<BinaryStatus>(wire::SubdocStatus::multi_path_failure);
  const std::string get_c = "\xc5\0\0\1c"s;
  EXPECT_EQ(framing({.opcode = BinaryOpcode::subdoc_multi_lookup, .key = "k", .value = get_c}, partly),
            read_units(2))
      << "of several paths it costs, whatever there was";
}

TEST_F(UnitFramesTest, MetadataIsOneUnit) {
  (void)framing(storing(100'000));
  EXPECT_EQ(framing(of(BinaryOpcode::get_meta)), read_units(1));
  EXPECT_EQ(framing({.opcode = BinaryOpcode::get_keys, .key = "k"}), read_units(1));
  EXPECT_EQ(framing({.opcode = BinaryOpcode::get_random_key}), read_units(25));
}

TEST_F(UnitFramesTest, ForeignChangesAreWritten) {
  const std::string meta = std::string(15, '\0') + '\1' + std::string(7, '\0') + '\5';
  EXPECT_EQ(framing({.opcode = BinaryOpcode::set_with_meta,
                     .key = "k",
                     .value = std::string(1023, 'v'),
                     .extras = meta}),
            write_units(2));
  const std::string later = std::string(15, '\0') + '\2' + std::string(7, '\0') + '\6';
  EXPECT_EQ(framing({.opcode = BinaryOpcode::del_with_meta, .key = "k", .extras = later}), write_units(1));
  EXPECT_EQ(framing({.opcode = BinaryOpcode::return_meta,
                     .key = "k",
                     .value = std::string(1023, 'v'),
                     .extras = "\0\0\0\1\0\0\0\0\0\0\0\0"s}),
            write_units(2));
}

TEST_F(UnitFramesTest, AQuietWriteThatIsNotAnsweredLeavesNothing) {
  client_->feed(encoded(storing(5000, BinaryOpcode::setq)));
  EXPECT_EQ(framing({.opcode = BinaryOpcode::noop}), "");
}

}  // namespace
}  // namespace bobbin::serve
