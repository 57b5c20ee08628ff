// Requests whose values are not what their datatype says, or no text where there should be one, of every
// command that takes a value.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "malformed_fixture.h"
#include "wire/compression.h"
#include "wire/datatype.h"
#include "wire/subdoc_status.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::SubdocStatus;

class MalformedValuesTest : public MalformedTest {};

BinaryStatus status_of(SubdocStatus status) {
  return static_cast<BinaryStatus>(status);  // both are MCBP's numbers
}

bool edits_one_path(const BinaryCommand& row) {
  return row.opcode >= BinaryOpcode::subdoc_dict_add && row.opcode <= BinaryOpcode::subdoc_array_add_unique &&
         row.opcode != BinaryOpcode::subdoc_delete;
}

TEST_F(MalformedValuesTest, WhatIsNotCompressed) {
  for_each_row([](const BinaryCommand& row) {
    if (!row.takes_compressed()) return;
    Frame wrong = frame_of(row);
    wrong.datatype |= wire::kDatatypeSnappy;
    if (row.name.starts_with("del")) wrong.datatype |= wire::kDatatypeXattr;  // or else it takes no value
    // It ends in the middle; a copy of what was never there; nothing; a length that does not end; more than
    // it says.
    for (const std::string& value :
         {"\x0a\x24xx"s, "\x08\x15\x40"s, ""s, "\xff\xff\xff\xff\xff\x0f\0x"s, "\x01\x04xx"s}) {
      wrong.value = value;
      expect_refused(wrong, testing::PrintToString(value));
    }
  });
}

// 64 MiB in 3 MiB, and four bytes that say they are 4 GiB.
TEST_F(MalformedValuesTest, WhatBecomesTooLarge) {
  const std::string bomb = [] {
    std::string out;
    wire::deflate(std::string(64 << 20, 'x'), out);
    return out;
  }();
  for_each_row([&](const BinaryCommand& row) {
    if (!row.takes_compressed()) return;
    Frame wrong = frame_of(row);
    wrong.datatype |= wire::kDatatypeSnappy;
    if (row.name.starts_with("del")) wrong.datatype |= wire::kDatatypeXattr;  // or else it takes no value
    for (const std::string& value : {"\xff\xff\xff\xff\x0f\0x"s, bomb}) {
      wrong.value = value;
      expect_refused(wrong, std::to_string(value.size()), BinaryStatus::too_large);
    }
  });
}

constexpr int kLevels = 10'000;

std::string deep_arrays() {
  return std::string(kLevels, '[') + std::string(kLevels, ']');
}

std::string deep_objects() {
  std::string text;
  for (int i = 0; i < kLevels; ++i)
    text += R"({"a":)";
  return text + "1" + std::string(kLevels, '}');
}

// A document may be as deep as its client likes, but then its parts cannot be had.
TEST_F(MalformedValuesTest, DocumentsThatAreTooDeep) {
  const std::string get = encoded({.opcode = BinaryOpcode::get, .key = document_key()});
  for (const auto& [path, value] : {std::pair("[0]"s, deep_arrays()), std::pair("a"s, deep_objects())}) {
    const std::string get_part = encoded({.opcode = BinaryOpcode::subdoc_get,
                                          .key = document_key(),
                                          .value = path,
                                          .extras = {'\0', static_cast<char>(path.size()), '\0'}});
    const std::string set = encoded({.opcode = BinaryOpcode::set,
                                     .key = document_key(),
                                     .value = value,
                                     .extras = kSetExtras,
                                     .datatype = wire::kDatatypeJson});
    const Answer got = answer(set + get + get_part);
    EXPECT_TRUE(got.goes_on && !got.closes);
    const std::string expected =
        stored(BinaryOpcode::set, kDocumentCas + 1) +
        vector_bytes(fmt::format("1800 0300 04 01 0000 {:08x} 00000007 {:016x} 02000000000000",
                                 7 + value.size(), kDocumentCas + 1)) +
        value +
        refusal(BinaryOpcode::subdoc_get, status_of(SubdocStatus::document_too_deep), kDocumentCas + 1);
    expect_bytes(got, expected, path);
  }
}

TEST_F(MalformedValuesTest, PartsOfDocumentsThatAreTooDeep) {
  for_each_row([&](const BinaryCommand& row) {
    if (!edits_one_path(row)) return;
    for (const std::string& value : {deep_arrays(), deep_objects()}) {
      Frame frame = frame_of(row);
      const size_t path_bytes = static_cast<uint8_t>(frame.extras[1]);
      frame.value = frame.value.substr(0, path_bytes) + value;
      expect_refused(frame, value.substr(0, 5), status_of(SubdocStatus::value_too_deep), kDocumentCas);
    }
  });
}

const std::vector<std::string>& no_names() {
  static const std::vector<std::string> texts = {"\xff\xfe"s, "\xc0\x80.x"s, "\xed\xa0\x80"s, "a\0b"s,
                                                 std::string(250, '\xff')};
  return texts;
}

// What stands where commands have a name is refused as a name of nothing, where it is not just copied.
TEST_F(MalformedValuesTest, NamesThatAreNoText) {
  using enum BinaryStatus;
  const std::map<std::string_view, BinaryStatus> not_einval = {
      {"stat", key_not_found},           // no such group
      {"select_bucket", key_not_found},  // no such bucket
      {"get_cmd_timer", key_not_found},  //
      {"sasl_auth", auth_error},         // no such mechanism
      {"sasl_step", auth_error},         //
      {"set_param", not_supported},      // whatever it is
      {"dcp_open", not_supported},       // of a cache
      // Its path is the value, which is still that of a collection that is not there.
      {"collections_get_id", unknown_collection},
  };
  for_each_row([&](const BinaryCommand& row) {
    if (row.key != KeyKind::name || row.shape.key == wire::Presence::forbidden) return;
    for (const std::string& text : no_names()) {
      Frame wrong = frame_of(row);
      wrong.key = text;
      if (row.name == "hello") {  // who says what he is may say anything
        EXPECT_EQ(vector_text(answer(encoded(wrong)).bytes),
                  "811f 0000 00 00 0000 00000006 00000007 0000000000000000 000600070012");
      } else if (row.name == "collections_get_scope_id") {  // as of the other, and this one is there
        EXPECT_EQ(vector_text(answer(encoded(wrong)).bytes),
                  "18bc 0300 0c 00 0000 0000000f 00000007 0000000000000000 020000000000000000000000000000");
      } else {
        const auto found = not_einval.find(row.name);
        const bool is_long = row.name == "dcp_open" && text.size() > 200;
        expect_refused(wrong, testing::PrintToString(text),
                       found == not_einval.end() || is_long ? invalid_arguments : found->second);
      }
    }
  });
}

// The same of values, which are JSON or numbers otherwise.
TEST_F(MalformedValuesTest, ValuesThatAreNoText) {
  using enum BinaryStatus;
  const std::map<std::string_view, BinaryStatus> not_einval = {
      {"sasl_step", auth_error},     // nothing has begun
      {"set_param", not_supported},  // whatever it is
      {"dcp_open", not_supported},   // of a cache
      {"stat", success},             // nobody looks at it
      {"set_vbucket", success},      // the state is in the extras
  };
  std::vector<std::string> texts = no_names();
  texts.push_back(deep_arrays());
  texts.push_back(deep_objects());
  for_each_row([&](const BinaryCommand& row) {
    if (row.key != KeyKind::name || !takes_value(row)) return;
    for (const std::string& text : texts) {
      Frame wrong = frame_of(row);
      wrong.value = text;
      if (row.name == "hello" && text.size() % 2 == 0) {  // features that nobody knows
        EXPECT_EQ(vector_text(answer(encoded(wrong)).bytes),
                  "811f 0000 00 00 0000 00000000 00000007 0000000000000000");
      } else if (row.name == "get_error_map" && text.size() == 2) {  // the newest
        EXPECT_EQ(vector_text(answer(encoded(wrong)).bytes),
                  "18fe 0300 00 01 0000 00001829 00000007 0000000000000000 ~80dd104a");
      } else {
        const auto found = not_einval.find(row.name);
        expect_refused(wrong, testing::PrintToString(text.substr(0, 10)),
                       found == not_einval.end() ? invalid_arguments : found->second);
      }
    }
  });
}

// A scan is what its JSON says, and nothing is to be scanned in a cache.
TEST_F(MalformedValuesTest, ScansThatAreNoText) {
  for (const std::string& text : no_names()) {
    Frame frame{.opcode = BinaryOpcode::range_scan_create, .value = text, .datatype = wire::kDatatypeJson};
    expect_refused(frame, testing::PrintToString(text), BinaryStatus::not_supported);
  }
}

// Says how long the pairs are, and has them.
std::string block(uint32_t says, const std::string& pairs) {
  std::string bytes(4, '\0');
  wire::store_big_endian(bytes.data(), says);
  return bytes + pairs;
}

const std::vector<std::string>& lying_attributes() {
  const std::string pair =
      "\0\0\0\x05_s\0"
      "1\0"s;
  static const std::vector<std::string> lies = {
      ""s,
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
      block(9, "\0\0\0\x05_s\0{\0"s),
      // The key is no UTF-8, and the value.
      block(9,
            "\0\0\0\x05_\xff\0"
            "1\0"s),
      block(11, "\0\0\0\x07_s\0\"\xff\"\0"s),
  };
  return lies;
}

TEST_F(MalformedValuesTest, AttributesWhoseLengthsLie) {
  for_each_row([&](const BinaryCommand& row) {
    if (!row.writes || !takes_value(row) || row.key != KeyKind::document || row.name.starts_with("subdoc"))
      return;
    const bool takes_attributes = row.name.ends_with("_with_meta");
    for (const std::string& value : lying_attributes()) {
      Frame wrong = frame_of(row);
      wrong.value = value;
      wrong.datatype = wire::kDatatypeXattr;
      // Who takes no attributes does not look at them.
      expect_refused(wrong, testing::PrintToString(value),
                     takes_attributes ? BinaryStatus::xattr_invalid : BinaryStatus::invalid_arguments);
    }
  });
}

// Begins of characters, ones that are longer than they must be, halves of a pair, what is above the last.
const std::vector<std::string>& broken_utf8() {
  static const std::vector<std::string> texts = {"\xff"s,
                                                 "\x80"s,
                                                 "\xc3"s,
                                                 "\xc0\x80"s,
                                                 "\xe2\x82"s,
                                                 "\xed\xa0\x80"s,
                                                 "\xf4\x90\x80\x80"s,
                                                 "\xf0\x80\x80\x80"s};
  return texts;
}

// A document may be anything: what its client says of it is not believed.
TEST_F(MalformedValuesTest, DocumentsThatSayTheyAreJsonAndAreNoUtf8) {
  const Frame get{.opcode = BinaryOpcode::get, .key = document_key()};
  for_each_row([&](const BinaryCommand& row) {
    const bool stores = row.writes && !row.quiet && row.shape.value == wire::Presence::optional &&
                        row.key == KeyKind::document && !row.name.starts_with("subdoc") &&
                        (row.name.starts_with("set") || row.name == "replace");
    if (!stores) return;
    for (const std::string& text : broken_utf8()) {
      Frame frame = frame_of(row);
      frame.value = R"({"a":")" + text + R"("})";
      frame.datatype = wire::kDatatypeJson;
      const Answer got = answer(encoded(frame) + encoded(get));
      ASSERT_EQ(got.statuses, (std::vector{BinaryStatus::success, BinaryStatus::success})) << row.name;
      const std::string read = got.bytes.substr(got.bytes.size() - frame.value.size() - 31);
      EXPECT_EQ(read[5], 0) << testing::PrintToString(text);
      EXPECT_TRUE(read.ends_with(frame.value));
    }
  });
}

TEST_F(MalformedValuesTest, PathsAndPartsThatAreNoUtf8) {
  for_each_row([&](const BinaryCommand& row) {
    const bool of_one_path = row.name.starts_with("subdoc") && !row.name.starts_with("subdoc_multi");
    if (!of_one_path) return;
    for (const std::string& text : broken_utf8()) {
      Frame frame = frame_of(row);
      const size_t path_bytes = static_cast<uint8_t>(frame.extras[1]);
      const std::string value = frame.value.substr(path_bytes);
      const auto ask = [&](char flags, const std::string& path, BinaryStatus status, uint64_t cas) {
        frame.extras[1] = static_cast<char>(path.size());
        frame.extras[2] = flags;
        frame.value = path + value;
        expect_refused(frame, testing::PrintToString(path), status, cas);
      };
      if (row.opcode != BinaryOpcode::subdoc_replace_body_with_xattr)
        ask(0, "a." + text, status_of(SubdocStatus::path_invalid), kDocumentCas);
      ask(4, "a" + text, BinaryStatus::xattr_invalid, 0);
    }
  });
  for_each_row([&](const BinaryCommand& row) {
    if (!edits_one_path(row)) return;
    for (const std::string& text : broken_utf8()) {
      Frame frame = frame_of(row);
      const size_t path_bytes = static_cast<uint8_t>(frame.extras[1]);
      frame.value = frame.value.substr(0, path_bytes) + '"' + text + '"';
      expect_refused(frame, "a part of a document", status_of(SubdocStatus::value_cannot_insert),
                     kDocumentCas);
    }
  });
}

}  // namespace
}  // namespace bobbin::serve
