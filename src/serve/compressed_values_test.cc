// Values that are kept as they came, compressed: who is given them so, and that everybody else has the value
// itself.

#include <string>

#include "serve/mcbp_fixture.h"
#include "store/bucket.h"
#include "wire/compression.h"
#include "wire/crc32c.h"
#include "wire/datatype.h"
#include "wire/subdoc.h"
#include "wire/xattr.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using testing::Test;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Feature;

constexpr uint8_t kJson = wire::kDatatypeJson;
constexpr uint8_t kSnappy = wire::kDatatypeSnappy;
constexpr uint8_t kXattr = wire::kDatatypeXattr;
const std::string kValue = R"({"a":")" + std::string(300, 'x') + R"("})";

std::string deflated(std::string_view value) {
  std::string compressed;
  wire::deflate(value, compressed);
  return compressed;
}

class CompressedValuesTest : public McbpTest {
 protected:
  CompressedValuesTest() {
    set_mode("passive");
    agree(true);
  }
  void set_mode(const std::string& mode) {
    const auto bucket = server_.buckets().find("default");
    BucketSettings settings = bucket->settings();
    settings.compression = mode;
    bucket->set_settings(settings);
  }
  // Another connection, which knows of compression or not.
  void agree(bool snappy) {
    connect_again();
    std::vector<Feature> features{Feature::json, Feature::xattr, Feature::xerror};
    if (snappy) features.push_back(Feature::snappy);
    hello(features);
  }
  BinaryStatus store(const std::string& value, uint8_t datatype = kSnappy, const std::string& key = "k",
                     BinaryOpcode opcode = BinaryOpcode::set) {
    const bool appends = opcode == BinaryOpcode::append || opcode == BinaryOpcode::prepend;
    return status({.opcode = opcode,
                   .key = key,
                   .value = value,
                   .extras = appends ? ""s : kSetExtras,
                   .datatype = datatype});
  }
  void store_whole(const std::string& value, const std::string& key = "k") {
    ASSERT_EQ(store(deflated(value), kSnappy, key), BinaryStatus::success);
  }
  // What lies in the bucket.
  std::pair<std::string, uint8_t> kept(const std::string& key = "k") {
    const auto found = server_.bucket().fetch(key, {.takes_compressed = true}, server_.clock().now());
    EXPECT_TRUE(found);
    if (!found) return {};
    return {std::string(found.doc->value()), found.doc->datatype()};
  }
  // As a disk may give it back.
  void damage(const std::string& value, const std::string& key = "k") {
    auto draft =
        server_.bucket().draft(key, 0, 0, static_cast<uint32_t>(value.size()), server_.clock().now());
    ASSERT_TRUE(draft);
    std::copy(value.begin(), value.end(), draft->value().begin());
    draft->set_datatype(kSnappy);
    ASSERT_TRUE(server_.bucket().store(std::move(*draft), store::StoreMode::set, server_.clock().now()).ok());
  }
  Reply path(BinaryOpcode opcode, const std::string& path, const std::string& value = {}, char flags = 0) {
    const std::string extras{'\0', static_cast<char>(path.size()), flags};
    return ask({.opcode = opcode, .key = "k", .value = path + value, .extras = extras});
  }
  std::string item(std::string_view value) {
    return "VALUE k 0 " + std::to_string(value.size()) + "\r\n" + std::string(value) + "\r\n";
  }
  using Kept = std::pair<std::string, uint8_t>;
};

TEST_F(CompressedValuesTest, WhoAgreedOnItGetsThemAsTheyCame) {
  store_whole(kValue);
  EXPECT_EQ(kept(), Kept(deflated(kValue), kSnappy | kJson));
  const std::string lock_seconds("\0\0\0\1", 4);
  for (const Frame& frame :
       {Frame{.opcode = BinaryOpcode::get, .key = "k"}, Frame{.opcode = BinaryOpcode::getk, .key = "k"},
        Frame{.opcode = BinaryOpcode::gat, .key = "k", .extras = lock_seconds},
        Frame{.opcode = BinaryOpcode::get_ex, .key = "k"}, Frame{.opcode = BinaryOpcode::get_random_key},
        Frame{.opcode = BinaryOpcode::get_locked, .key = "k", .extras = lock_seconds}}) {
    const Reply reply = ask(frame);
    EXPECT_EQ(reply.value, deflated(kValue)) << static_cast<int>(frame.opcode);
    EXPECT_EQ(reply.datatype, kSnappy | kJson) << static_cast<int>(frame.opcode);
  }
}

TEST_F(CompressedValuesTest, OtherClientsOfCouchbaseGetTheValue) {
  store_whole(kValue);
  agree(false);
  const std::string lock_seconds("\0\0\0\1", 4);
  for (const Frame& frame :
       {Frame{.opcode = BinaryOpcode::get, .key = "k"}, Frame{.opcode = BinaryOpcode::getk, .key = "k"},
        Frame{.opcode = BinaryOpcode::gat, .key = "k", .extras = lock_seconds},
        Frame{.opcode = BinaryOpcode::get_ex, .key = "k"}, Frame{.opcode = BinaryOpcode::get_random_key},
        Frame{.opcode = BinaryOpcode::get_locked, .key = "k", .extras = lock_seconds}}) {
    const Reply reply = ask(frame);
    EXPECT_EQ(reply.value, kValue) << static_cast<int>(frame.opcode);
    EXPECT_EQ(reply.datatype, kJson) << static_cast<int>(frame.opcode);
  }
  EXPECT_EQ(kept(), Kept(deflated(kValue), kSnappy | kJson)) << "reading changes nothing";
}

TEST_F(CompressedValuesTest, ClientsOfMemcachedGetTheValue) {
  store_whole(kValue);
  const std::string large = std::string(100'000, 'y');
  store_whole(large, "large");
  set("plain", "p");
  EXPECT_EQ(text("get k\r\n"), item(kValue) + "END\r\n");
  EXPECT_EQ(text("get none k large plain\r\n"),
            item(kValue) + "VALUE large 0 100000\r\n" + large + "\r\nVALUE plain 0 1\r\np\r\nEND\r\n");
  EXPECT_EQ(text("gat 0 k\r\n"), item(kValue) + "END\r\n");
  EXPECT_EQ(text("mg k v\r\n"), "VA " + std::to_string(kValue.size()) + "\r\n" + kValue + "\r\n");
  EXPECT_EQ(text("mg k s\r\n"), "HD s" + std::to_string(kValue.size()) + "\r\n");
  const std::string binary = text(encoded({.opcode = BinaryOpcode::get, .key = "k"}));
  EXPECT_EQ(binary.substr(wire::kBinaryHeaderBytes + 4), kValue);
  EXPECT_EQ(binary[5], 0) << "no datatype";
}

// The client does not read while the answer is made: it is continued, and nothing comes twice.
TEST_F(CompressedValuesTest, ManyLargeOnesAreInflatedOneAfterTheOther) {
  std::string request = "get";
  std::string expected;
  for (int i = 0; i < 40; ++i) {
    const std::string key = "k" + std::to_string(i);
    const std::string value(200'000, static_cast<char>('A' + i));
    if (i > 3) store_whole(value, key);
    if (i > 3) expected += "VALUE " + key + " 0 200000\r\n" + value + "\r\n";
    request += " " + key;
  }
  EXPECT_EQ(text(request + "\r\n"), expected + "END\r\n");
}

TEST_F(CompressedValuesTest, WhatIsMadeOfThemIsNotCompressed) {
  store_whole(kValue);
  EXPECT_EQ(store("z", 0, "k", BinaryOpcode::append), BinaryStatus::success);
  EXPECT_EQ(kept(), Kept(kValue + "z", 0));
  store_whole(kValue);
  EXPECT_EQ(store(deflated(std::string(100, 'z')), kSnappy, "k", BinaryOpcode::prepend),
            BinaryStatus::success);
  EXPECT_EQ(kept(), Kept(std::string(100, 'z') + kValue, 0));
  store_whole(kValue);
  EXPECT_EQ(text("append k 0 0 1\r\nz\r\n"), "STORED\r\n");
  EXPECT_EQ(kept(), Kept(kValue + "z", 0));

  const std::string number = "1" + std::string(60, ' ');
  EXPECT_EQ(text("set n 0 0 61\r\n" + number + "\r\nincr n 1\r\n"), "STORED\r\n2\r\n") << "as a plain one";
  store_whole(number, "n");
  ASSERT_EQ(kept("n").second & kSnappy, kSnappy);
  EXPECT_EQ(text("incr n 41\r\n"), "42\r\n");
  EXPECT_EQ(kept("n").first, "42" + std::string(59, ' '));
  EXPECT_EQ(kept("n").second & kSnappy, 0);
}

TEST_F(CompressedValuesTest, SubDocumentsAreOfTheValue) {
  const std::string value = R"({"a":1,"b":")" + std::string(300, 'x') + R"("})";
  store_whole(value);
  EXPECT_EQ(path(BinaryOpcode::subdoc_get, "a").value, "1");
  const std::string told = path(BinaryOpcode::subdoc_get, "$document", {}, wire::path_flags::kXattr).value;
  EXPECT_NE(told.find("\"value_bytes\":" + std::to_string(value.size()) + ","), std::string::npos) << told;
  EXPECT_NE(told.find(R"("datatype":["json"])"), std::string::npos) << told;
  EXPECT_EQ(kept().second, kSnappy | kJson);
  EXPECT_EQ(path(BinaryOpcode::subdoc_dict_upsert, "a", "2").status, BinaryStatus::success);
  EXPECT_EQ(kept(), Kept(R"({"a":2,"b":")" + std::string(300, 'x') + R"("})", kJson));
}

TEST_F(CompressedValuesTest, AttributesStandInFrontOfTheValueItself) {
  store_whole(kValue);
  EXPECT_EQ(path(BinaryOpcode::subdoc_dict_upsert, "user", "1", wire::path_flags::kXattr).status,
            BinaryStatus::success);
  EXPECT_EQ(kept().second, kXattr | kJson);
  const std::string other = R"({"b":")" + std::string(300, 'y') + R"("})";
  store_whole(other);
  EXPECT_EQ(kept().second, kXattr | kJson) << "they stay, and it is inflated behind them";
  EXPECT_EQ(get("k").value, other);
  EXPECT_EQ(path(BinaryOpcode::subdoc_get, "user", {}, wire::path_flags::kXattr).value, "1");
}

TEST_F(CompressedValuesTest, TouchKeepsThem) {
  store_whole(kValue);
  EXPECT_EQ(status({.opcode = BinaryOpcode::touch, .key = "k", .extras = std::string(4, '\0')}),
            BinaryStatus::success);
  EXPECT_EQ(text("touch k 100\r\n"), "TOUCHED\r\n");
  EXPECT_EQ(text("md k I\r\n"), "HD\r\n");
  EXPECT_EQ(kept(), Kept(deflated(kValue), kSnappy | kJson));
}

TEST_F(CompressedValuesTest, TheModeSaysWhetherTheyAreKept) {
  set_mode("off");
  store_whole(kValue);
  EXPECT_EQ(kept(), Kept(kValue, kJson));
  set_mode("active");
  store_whole(kValue);
  EXPECT_EQ(kept(), Kept(deflated(kValue), kSnappy | kJson));
  set_mode("off");
  EXPECT_EQ(get("k").value, deflated(kValue)) << "what is there stays what it is";
  EXPECT_EQ(get("k").datatype, kSnappy | kJson);
}

TEST_F(CompressedValuesTest, AnActiveBucketCompressesWhateverComes) {
  set_mode("active");
  EXPECT_EQ(store(kValue, 0), BinaryStatus::success);
  EXPECT_EQ(kept(), Kept(deflated(kValue), kSnappy | kJson));
  EXPECT_EQ(get("k").value, deflated(kValue));
  const std::string line = std::string(300, 'y');
  EXPECT_EQ(text("set k 7 0 300\r\n" + line + "\r\n"), "STORED\r\n");
  EXPECT_EQ(kept(), Kept(deflated(line), kSnappy));
  EXPECT_EQ(text("get k\r\n"), "VALUE k 7 300\r\n" + line + "\r\nEND\r\n");
  EXPECT_EQ(text("add k 0 0 300\r\n" + line + "\r\n"), "NOT_STORED\r\n");
  EXPECT_EQ(text("ms k 300\r\n" + std::string(300, 'z') + "\r\n"), "HD\r\n");
  EXPECT_EQ(kept(), Kept(deflated(std::string(300, 'z')), kSnappy));
  // A part is changed in the value itself, and the whole compressed again.
  EXPECT_EQ(store(kValue, 0), BinaryStatus::success);
  EXPECT_EQ(path(BinaryOpcode::subdoc_dict_upsert, "b", "1").status, BinaryStatus::success);
  const std::string changed = kValue.substr(0, kValue.size() - 1) + R"(,"b":1})";
  EXPECT_EQ(kept(), Kept(deflated(changed), kSnappy | kJson));
}

TEST_F(CompressedValuesTest, AnActiveBucketLeavesWhatWouldNotPay) {
  set_mode("active");
  std::string noise(1000, '\0');
  for (size_t i = 0; i < noise.size(); ++i)
    noise[i] = static_cast<char>(wire::crc32c(std::to_string(i)));
  const std::string large(store::kLargestCompressedBytes + 1, 'l');
  for (const std::string& value : {std::string(63, 's'), noise, large}) {
    EXPECT_EQ(store(value, 0), BinaryStatus::success);
    EXPECT_EQ(kept(), Kept(value, 0));
  }
  EXPECT_EQ(store(std::string(64, 's'), 0), BinaryStatus::success);
  EXPECT_EQ(kept().second, kSnappy);
  EXPECT_EQ(store(large.substr(1), 0), BinaryStatus::success);
  EXPECT_EQ(kept().second, kSnappy);
  // Attributes are wanted at once when the document goes.
  EXPECT_EQ(path(BinaryOpcode::subdoc_dict_upsert, "user", "1", wire::path_flags::kXattr).status,
            BinaryStatus::success);
  EXPECT_EQ(kept().second, kXattr);
  EXPECT_EQ(text("set k 0 0 300\r\n" + std::string(300, 'y') + "\r\n"), "STORED\r\n");
  EXPECT_EQ(kept().second, kXattr) << "nor what is put behind them";
  EXPECT_EQ(text("get k\r\n"), item(std::string(300, 'y')) + "END\r\n");
}

TEST_F(CompressedValuesTest, WhatGetsNoShorterIsInflated) {
  const std::string value = "[1]";
  ASSERT_GE(deflated(value).size(), value.size());
  store_whole(value);
  EXPECT_EQ(kept(), Kept(value, kJson));
  store_whole("");
  EXPECT_EQ(kept(), Kept("", 0));
}

TEST_F(CompressedValuesTest, WhoDoesNotSayJsonIsNotToldOfIt) {
  connect_again();
  hello({Feature::snappy});
  store_whole(kValue);
  EXPECT_EQ(kept(), Kept(deflated(kValue), kSnappy));
  EXPECT_EQ(get("k").datatype, kSnappy);
}

TEST_F(CompressedValuesTest, ChangesFromElsewhereAreKeptAsTheyCame) {
  const auto store_foreign = [&](const std::string& value, uint8_t datatype, char revision) {
    return status({.opcode = BinaryOpcode::set_with_meta,
                   .key = "k",
                   .value = value,
                   .extras = std::string(15, '\0') + revision + std::string(7, '\0') + revision,
                   .datatype = datatype});
  };
  EXPECT_EQ(store_foreign(deflated(kValue), kSnappy, 1), BinaryStatus::success);
  EXPECT_EQ(kept(), Kept(deflated(kValue), kSnappy | kJson));
  std::string attributes;
  wire::set_xattr(attributes, "_a", "1");
  EXPECT_EQ(store_foreign(deflated(attributes + kValue), kSnappy | kXattr, 2), BinaryStatus::success);
  EXPECT_EQ(kept(), Kept(attributes + kValue, kXattr | kJson));
  EXPECT_EQ(store_foreign("\x07\x08nonsense", kSnappy, 3), BinaryStatus::invalid_arguments);
}

TEST_F(CompressedValuesTest, MetadataTellsItToWhoAgreed) {
  store_whole(kValue);
  const Frame asked{.opcode = BinaryOpcode::get_meta, .key = "k", .extras = "\2"};
  EXPECT_EQ(ask(asked).extras.back(), kSnappy | kJson);
  agree(false);
  EXPECT_EQ(ask(asked).extras.back(), kJson);
}

TEST_F(CompressedValuesTest, WhatIsNoneIsRefused) {
  EXPECT_EQ(store("\xff\xff\xff\xff\x0f"), BinaryStatus::too_large);
  EXPECT_EQ(store("\x81\x80\x40"), BinaryStatus::too_large) << "a mebibyte and a byte";
  for (const std::string& wrong : {""s, "\x80"s,
                                   "\x07\x08"
                                   "abc\x01\x04"s,
                                   deflated(kValue) + "x", deflated(kValue).substr(0, 10)})
    EXPECT_EQ(store(wrong), BinaryStatus::invalid_arguments) << testing::PrintToString(wrong);
  EXPECT_EQ(get("k").status, BinaryStatus::key_not_found);
  agree(false);
  EXPECT_EQ(store(deflated(kValue)), BinaryStatus::invalid_arguments);
}

TEST_F(CompressedValuesTest, DamageIsToldAndChangesNothing) {
  for (const std::string& wrong : {"\xff\xff\xff\xff\x0f"s, "\x80"s, "\x07\x08nonsense"s, ""s}) {
    damage(wrong);
    agree(true);
    EXPECT_EQ(get("k").value, wrong) << "its client finds out";
    EXPECT_EQ(path(BinaryOpcode::subdoc_get, "a").status, BinaryStatus::temporary_failure);
    agree(false);
    for (const BinaryOpcode opcode : {BinaryOpcode::get, BinaryOpcode::get_ex, BinaryOpcode::get_locked})
      EXPECT_EQ(status({.opcode = opcode, .key = "k"}), BinaryStatus::temporary_failure);
    EXPECT_EQ(text("get k\r\n").substr(0, 12), "SERVER_ERROR");
    EXPECT_EQ(text("get none k\r\n").substr(0, 12), "SERVER_ERROR");
    EXPECT_EQ(text("gat 0 k\r\n").substr(0, 12), "SERVER_ERROR");
    EXPECT_EQ(text("mg k v\r\n").substr(0, 12), "SERVER_ERROR");
    EXPECT_EQ(text("append k 0 0 1\r\nz\r\n"), "NOT_STORED\r\n");
    EXPECT_EQ(text("incr k 1\r\n").substr(0, 12), "CLIENT_ERROR");
    EXPECT_EQ(kept(), Kept(wrong, kSnappy));
    EXPECT_EQ(text("delete k\r\n"), "DELETED\r\n");
  }
}

// Sent from where it lies, and counted for as long as that takes.
TEST_F(CompressedValuesTest, MemoryComesBack) {
  const std::string value(500'000, 'x');
  store_whole(value);
  const uint64_t before = server_.bucket().used_bytes();
  EXPECT_LT(before, 500'000U);
  agree(false);
  EXPECT_EQ(get("k").value, value);
  EXPECT_EQ(server_.bucket().used_bytes(), before);
}

// A request of a few bytes that goes through a megabyte leaves room for others behind it.
TEST_F(CompressedValuesTest, WorkIsDoneInTurns) {
  const std::string value = R"({"a":1,"b":")" + std::string(900'000, 'x') + R"("})";
  store_whole(value);
  const Reply one = path(BinaryOpcode::subdoc_get, "a");
  ASSERT_EQ(one.value, "1");
  EXPECT_EQ(client_->yields(), 0U);
  const size_t before = client_->replies().size();
  std::string pipeline;
  for (int i = 0; i < 9; ++i)
    pipeline += encoded({.opcode = BinaryOpcode::subdoc_get, .key = "k", .value = "a", .extras = "\0\1\0"s});
  client_->feed(pipeline);
  EXPECT_EQ(client_->yields(), 4U) << "after two of them each";
  EXPECT_EQ(client_->replies().size() - before, 9 * (wire::kBinaryHeaderBytes + 1));
}

// A part of a document may be as large as that: what is copied for its reader is counted until it is sent.
TEST_F(CompressedValuesTest, LargePartsAreCounted) {
  const std::string part(900'000, 'x');
  store_whole(R"({"b":")" + part + R"("})");
  EXPECT_EQ(path(BinaryOpcode::subdoc_get, "b").value, '"' + part + '"');
  EXPECT_EQ(server_.bucket().statistics().inflated_bytes, 0U);
  std::vector<store::DocumentRef> held;
  while (auto copy = server_.bucket().copy_for_reader("k", part))
    held.push_back(std::move(copy));
  EXPECT_EQ(path(BinaryOpcode::subdoc_get, "b").status, BinaryStatus::temporary_failure);
  held.clear();
  EXPECT_EQ(path(BinaryOpcode::subdoc_get, "b").status, BinaryStatus::success);
}

TEST_F(CompressedValuesTest, TheLengthThatIsToldIsTheValuesOwn) {
  set_mode("active");
  EXPECT_EQ(text("ms k 5000 s\r\n" + std::string(5000, 'A') + "\r\n"), "HD s5000\r\n");
  EXPECT_LT(kept().first.size(), 1000U);
  EXPECT_EQ(text("mg k s\r\n"), "HD s5000\r\n");
}

// What cannot be made shorter gets longer.
TEST_F(CompressedValuesTest, TheLimitIsThatOfTheValueItself) {
  std::string value(server_.bucket().max_value_bytes(), '\0');
  uint32_t state = 1;
  for (char& byte : value)
    byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  const std::string longer = deflated(value);
  ASSERT_GT(longer.size(), value.size());
  EXPECT_EQ(store(longer), BinaryStatus::success);
  EXPECT_EQ(kept().first, value);
  EXPECT_EQ(store(deflated(value + "x")), BinaryStatus::too_large);
}

}  // namespace
}  // namespace bobbin::serve
