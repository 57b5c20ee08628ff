// Extended attributes that are stored in front of a document's body, and what everybody sees of them.

#include <fmt/format.h>

#include <string>

#include "serve/mcbp_fixture.h"
#include "store/bucket.h"
#include "wire/crc32c.h"
#include "wire/subdoc.h"
#include "wire/subdoc_status.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Feature;

BinaryStatus number(wire::SubdocStatus status) {
  return static_cast<BinaryStatus>(status);
}

class XattrTest : public McbpTest {
 protected:
  static constexpr char kXattr = wire::path_flags::kXattr;
  static constexpr char kParents = wire::path_flags::kCreateParents;
  static constexpr char kMacro = wire::path_flags::kExpandMacros;

  XattrTest() {
    hello({Feature::xerror, Feature::xattr, Feature::json, Feature::mutation_seqno, Feature::alt_request});
    set("k", R"({"a":1})");
  }
  // One path of document k.
  Reply part(BinaryOpcode opcode, const std::string& path, const std::string& value = {}, char flags = kXattr,
             uint64_t cas = 0) {
    const std::string extras{static_cast<char>(path.size() >> 8), static_cast<char>(path.size()), flags};
    return ask({.opcode = opcode, .key = "k", .value = path + value, .extras = extras, .cas = cas});
  }
  BinaryStatus put(const std::string& path, const std::string& value) {
    return part(BinaryOpcode::subdoc_dict_upsert, path, value, kXattr | kParents).status;
  }
  std::string attribute(const std::string& path) { return part(BinaryOpcode::subdoc_get, path).value; }
  void put_two() {
    EXPECT_EQ(put("user.x", "1"), BinaryStatus::success);
    EXPECT_EQ(put("_sys.y", "[2]"), BinaryStatus::success);
  }
  void expect_two() {
    EXPECT_EQ(attribute("user"), R"({"x":1})");
    EXPECT_EQ(attribute("_sys"), R"({"y":[2]})");
  }
};

TEST_F(XattrTest, WhatIsStoredIsReadBackAndTheBodyIsAsItWas) {
  put_two();
  expect_two();
  const Reply got = get("k");
  EXPECT_EQ(got.value, R"({"a":1})");
  EXPECT_EQ(got.datatype, 1);
  EXPECT_EQ(part(BinaryOpcode::subdoc_get, "a", "", 0).value, "1");
  EXPECT_EQ(part(BinaryOpcode::subdoc_dict_upsert, "b", "2", 0).status, BinaryStatus::success);
  EXPECT_EQ(get("k").value, R"({"a":1,"b":2})");
  expect_two();
  EXPECT_EQ(part(BinaryOpcode::subdoc_delete, "user").status, BinaryStatus::success);
  EXPECT_EQ(part(BinaryOpcode::subdoc_get, "user").status, number(wire::SubdocStatus::path_missing));
}

TEST_F(XattrTest, ClientsOfMemcachedSeeTheBodyOnly) {
  put_two();
  EXPECT_EQ(text("get k\r\n"), "VALUE k 0 7\r\n{\"a\":1}\r\nEND\r\n");
  EXPECT_EQ(text("mg k s v\r\n"), "VA 7 s7\r\n{\"a\":1}\r\n");
  EXPECT_EQ(text("get k k k\r\n").find("user"), std::string::npos);
  const std::string large(100'000, 'v');
  set("k", large);
  EXPECT_EQ(text("get k\r\n"), "VALUE k 0 100000\r\n" + large + "\r\nEND\r\n");
  expect_two();
}

TEST_F(XattrTest, EveryChangeOfTheBodyKeepsThem) {
  put_two();
  EXPECT_EQ(text("set k 7 0 1\r\n5\r\n"), "STORED\r\n");
  expect_two();
  EXPECT_EQ(text("add k 0 0 1\r\n5\r\n"), "NOT_STORED\r\n");
  EXPECT_EQ(text("incr k 6\r\n"), "11\r\n");
  EXPECT_EQ(text("append k 0 0 1\r\n2\r\n"), "STORED\r\n");
  EXPECT_EQ(text("prepend k 0 0 1\r\n3\r\n"), "STORED\r\n");
  EXPECT_EQ(text("touch k 100\r\n"), "TOUCHED\r\n");
  EXPECT_EQ(text("md k I\r\n"), "HD\r\n");
  EXPECT_EQ(text("get k\r\n"), "VALUE k 7 4\r\n3112\r\nEND\r\n");
  expect_two();
  EXPECT_EQ(text("ms k 1\r\n9\r\n"), "HD\r\n");
  EXPECT_EQ(text("replace k 0 0 2\r\n10\r\n"), "STORED\r\n");
  EXPECT_EQ(text("get k\r\n"), "VALUE k 0 2\r\n10\r\nEND\r\n");
  expect_two();
  EXPECT_EQ(text("md k x\r\n"), "HD\r\n");
  EXPECT_EQ(text("get k\r\n"), "VALUE k 0 0\r\n\r\nEND\r\n");
  expect_two();
}

TEST_F(XattrTest, ADeletedDocumentsAttributesAreGone) {
  put_two();
  EXPECT_EQ(text("delete k\r\n"), "DELETED\r\n");
  set("k", "1");
  EXPECT_EQ(attribute("user"), "");
  EXPECT_EQ(attribute("_sys"), "");
}

TEST_F(XattrTest, ConditionsHoldForDocumentsThatHaveThem) {
  put_two();
  const uint64_t cas = get("k").cas;
  const auto store = [&](BinaryOpcode opcode, uint64_t compared) {
    return status({.opcode = opcode, .key = "k", .value = "5", .extras = kSetExtras, .cas = compared});
  };
  EXPECT_EQ(store(BinaryOpcode::set, cas + 1), BinaryStatus::key_exists);
  EXPECT_EQ(store(BinaryOpcode::set, cas), BinaryStatus::success);
  const uint64_t lock = ask({.opcode = BinaryOpcode::get_locked, .key = "k"}).cas;
  EXPECT_EQ(store(BinaryOpcode::set, 0), BinaryStatus::locked);
  EXPECT_EQ(put("user", "2"), BinaryStatus::locked);
  EXPECT_EQ(store(BinaryOpcode::replace, lock), BinaryStatus::success);
  expect_two();
  EXPECT_EQ(store(BinaryOpcode::replace, 0), BinaryStatus::success);
  EXPECT_EQ(get("k").value, "5");
}

TEST_F(XattrTest, MacrosSayWhatTheChangeHasBecome) {
  const auto expand = [&](const std::string& path, const std::string& macro) {
    return part(BinaryOpcode::subdoc_dict_upsert, path, "\"${Mutation." + macro + "}\"",
                kXattr | kParents | kMacro);
  };
  const Reply stamped = expand("_sync.cas", "CAS");
  ASSERT_EQ(stamped.status, BinaryStatus::success);
  EXPECT_EQ(get("k").cas, stamped.cas);
  EXPECT_EQ(attribute("_sync.cas"), fmt::format("\"0x{:016x}\"", __builtin_bswap64(stamped.cas)));
  const Reply counted = expand("_sync.seqno", "seqno");
  ASSERT_EQ(counted.extras.size(), 16U);
  EXPECT_EQ(attribute("_sync.seqno"),
            fmt::format("\"0x{:016x}\"", wire::load_big_endian<uint64_t>(counted.extras.data() + 8)));
  EXPECT_EQ(expand("_sync.crc", "value_crc32c").status, BinaryStatus::success);
  EXPECT_EQ(attribute("_sync.crc"), fmt::format("\"0x{:08x}\"", wire::crc32c(R"({"a":1})")));
  EXPECT_EQ(attribute("_sync.cas"), fmt::format("\"0x{:016x}\"", __builtin_bswap64(stamped.cas)));
}

TEST_F(XattrTest, VirtualAttributesTellOfThem) {
  EXPECT_EQ(attribute("$XTOC"), "[]");
  put_two();
  EXPECT_EQ(attribute("$XTOC"), R"(["user","_sys"])");
  EXPECT_EQ(attribute("$document.datatype"), R"(["json","xattr"])");
  EXPECT_EQ(attribute("$document.value_bytes"), "7");
  EXPECT_EQ(attribute("$document.value_crc32c"), fmt::format("\"0x{:08x}\"", wire::crc32c(R"({"a":1})")));
}

TEST_F(XattrTest, ABodyIsTakenFromAnAttribute) {
  EXPECT_EQ(put("staged", R"({"b":[1]})"), BinaryStatus::success);
  EXPECT_EQ(part(BinaryOpcode::subdoc_replace_body_with_xattr, "staged").status, BinaryStatus::success);
  EXPECT_EQ(get("k").value, R"({"b":[1]})");
  EXPECT_EQ(attribute("staged"), R"({"b":[1]})");
  EXPECT_EQ(part(BinaryOpcode::subdoc_replace_body_with_xattr, "absent").status,
            number(wire::SubdocStatus::path_missing));
}

TEST_F(XattrTest, SystemAttributesHaveRoomOfTheirOwn) {
  const std::string large = '"' + std::string(600'000, 'x') + '"';
  set("k", std::string(store::kDefaultMaxValueBytes, 'v'));
  EXPECT_EQ(put("user", "1"), BinaryStatus::too_large);
  EXPECT_EQ(put("_a", large), BinaryStatus::success);
  EXPECT_EQ(put("_b", large), BinaryStatus::too_large);
  EXPECT_EQ(put("_b", "1"), BinaryStatus::success);
  EXPECT_EQ(get("k").value.size(), store::kDefaultMaxValueBytes);
}

TEST_F(XattrTest, ALargeChangeComesInPieces) {
  const std::string path = "big";
  const std::string large = '"' + std::string(900'000, 'x') + '"';
  const auto frame = [&](const std::string& value) {
    return encoded({.opcode = BinaryOpcode::subdoc_dict_upsert,
                    .key = "k",
                    .value = path + value,
                    .extras = {'\0', static_cast<char>(path.size()), '\0'}});
  };
  const auto send = [&](const std::string& bytes) {
    const size_t before = client_->replies().size();
    for (size_t i = 0; i < bytes.size(); i += 70'000)
      client_->feed(std::string_view(bytes).substr(i, 70'000));
    EXPECT_GE(client_->replies().size(), before + wire::kBinaryHeaderBytes);
    return static_cast<BinaryStatus>(
        wire::decode_header(client_->replies().data() + before).vbucket_or_status);
  };
  EXPECT_EQ(send(frame(large)), BinaryStatus::success);
  EXPECT_EQ(get("k").value, R"({"a":1,"big":)" + large + "}");
  EXPECT_EQ(server_.counts()["upload_bytes"], 0U);
  EXPECT_EQ(send(frame("{")), number(wire::SubdocStatus::value_cannot_insert));
  // More than a document with attributes can have is not even received.
  EXPECT_EQ(send(frame(std::string(2 * 1024 * 1024 + 1, 'x'))), BinaryStatus::too_large);
  EXPECT_EQ(part(BinaryOpcode::subdoc_get, "a", "", 0).value, "1");
}

TEST_F(XattrTest, WhatIsMalformedIsRefused) {
  EXPECT_EQ(put("", "1"), BinaryStatus::xattr_invalid);
  EXPECT_EQ(put("a234567890123456", "1"), BinaryStatus::xattr_invalid);
  EXPECT_EQ(put("$document", "1"), number(wire::SubdocStatus::xattr_cannot_modify_virtual));
  EXPECT_EQ(put("user", "{"), number(wire::SubdocStatus::value_cannot_insert));
  EXPECT_EQ(status({.opcode = BinaryOpcode::set,
                    .key = "k",
                    .value = "\0\0\0\0"s,
                    .extras = kSetExtras,
                    .datatype = 4}),
            BinaryStatus::invalid_arguments);
  EXPECT_EQ(attribute("$XTOC"), "[]");
  hello({});
  EXPECT_EQ(put("user", "1"), BinaryStatus::not_supported);
}

TEST_F(XattrTest, SystemAttributesTakeAPrivilege) {
  put_two();
  UserChange change;
  change.name = "writer";
  change.password = "secret";
  change.roles = parse_roles("data_writer[default],data_reader[default]").value();
  ASSERT_TRUE(server_.users().add(change));
  EXPECT_EQ(status({.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = "\0writer\0secret"s}),
            BinaryStatus::success);
  EXPECT_EQ(attribute("user"), R"({"x":1})");
  EXPECT_EQ(attribute("$XTOC"), R"(["user"])");
  EXPECT_EQ(part(BinaryOpcode::subdoc_get, "_sys").status, BinaryStatus::no_access);
  EXPECT_EQ(put("_sys", "1"), BinaryStatus::no_access);
  EXPECT_EQ(put("user", "2"), BinaryStatus::success);
}

}  // namespace
}  // namespace bobbin::serve
