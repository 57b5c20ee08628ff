// Extended attributes that are stored in front of a document's body, and what everybody sees of them.

#include <fmt/format.h>

#include <string>

#include "serve/mcbp_fixture.h"
#include "store/bucket.h"
#include "wire/crc32c.h"
#include "wire/subdoc.h"
#include "wire/subdoc_frame_test_support.h"
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

TEST_F(XattrTest, BytesThatAreNoJsonAreKeptAsAStringThatStandsForThem) {
  constexpr char kBinary = wire::path_flags::kBinaryValue;
  const std::string bytes("\0\xff\"value", 8);
  EXPECT_EQ(hello({Feature::xerror, Feature::xattr, Feature::subdoc_binary_xattr}), "\0\7\0\6\0\x21"s);
  ASSERT_EQ(part(BinaryOpcode::subdoc_dict_upsert, "tnx.op", "bytes", kXattr | kParents | kBinary).status,
            BinaryStatus::success);
  EXPECT_EQ(attribute("tnx"), R"({"op":"cb-content-base64-encoded:Ynl0ZXM="})");
  EXPECT_EQ(part(BinaryOpcode::subdoc_get, "tnx.op", "", kXattr | kBinary).value, "bytes");
  ASSERT_EQ(part(BinaryOpcode::subdoc_dict_upsert, "tnx.op", bytes, kXattr | kBinary).status,
            BinaryStatus::success);
  EXPECT_EQ(part(BinaryOpcode::subdoc_get, "tnx.op", "", kXattr | kBinary).value, bytes);
  EXPECT_EQ(part(BinaryOpcode::subdoc_array_push_last, "list", "a", kXattr | kParents | kBinary).status,
            BinaryStatus::success);
  EXPECT_EQ(attribute("list"), R"(["cb-content-base64-encoded:YQ=="])");

  put_two();
  EXPECT_EQ(part(BinaryOpcode::subdoc_get, "user.x", "", kXattr | kBinary).status,
            number(wire::SubdocStatus::field_not_binary));
  EXPECT_EQ(part(BinaryOpcode::subdoc_get, "a", "", kBinary).status,
            number(wire::SubdocStatus::xattr_invalid_flags));
  EXPECT_EQ(part(BinaryOpcode::subdoc_dict_upsert, "m", "x", kXattr | kBinary | kMacro).status,
            number(wire::SubdocStatus::xattr_invalid_flags));
  EXPECT_EQ(part(BinaryOpcode::subdoc_exists, "tnx.op", "", kXattr | kBinary).status,
            BinaryStatus::invalid_arguments);
  EXPECT_EQ(put("user.x", R"("cb-content-base64-encoded:?")"), number(wire::SubdocStatus::xattr_invalid));
  expect_two();

  EXPECT_EQ(part(BinaryOpcode::subdoc_replace_body_with_xattr, "tnx.op").status, BinaryStatus::success);
  EXPECT_TRUE(get("k").value.starts_with("\"cb-content-base64-encoded:"));
  EXPECT_EQ(part(BinaryOpcode::subdoc_replace_body_with_xattr, "tnx.op", "", kXattr | kBinary).status,
            BinaryStatus::success);
  EXPECT_EQ(get("k").value, bytes);
  EXPECT_EQ(get("k").datatype, 0) << "no JSON";
}

// A client that is granted binary attributes sends flags; who is not granted them may send both all the same.
TEST_F(XattrTest, AChangeOfPartsMaySayWhichFlagsTheDocumentIsToHave) {
  const auto change = [&](const std::string& key, const std::string& tail, const std::string& framing = {}) {
    return status({.opcode = BinaryOpcode::subdoc_multi_mutation,
                   .key = key,
                   .value = wire::mutation_spec(wire::SubdocOpcode::dict_upsert, "p", "1"),
                   .extras = tail,
                   .framing = framing});
  };
  const auto flags = [&](const std::string& key) { return get(key).extras; };
  const std::string ten("\0\0\0\0\0\0\0\x0a", 8);
  EXPECT_EQ(change("new", ten), BinaryStatus::key_not_found);
  EXPECT_EQ(change("new", ten + '\1'), BinaryStatus::success);
  EXPECT_EQ(flags("new"), "\0\0\0\x0a"s);
  EXPECT_EQ(change("new", ""), BinaryStatus::success);
  EXPECT_EQ(flags("new"), "\0\0\0\x0a"s) << "it keeps those that it has";
  EXPECT_EQ(change("new", std::string(4, '\0') + "\2\1\3\4"), BinaryStatus::success);
  EXPECT_EQ(flags("new"), "\2\1\3\4");
  EXPECT_EQ(part(BinaryOpcode::subdoc_dict_upsert, "p", "2", 0).status, BinaryStatus::success);
  EXPECT_EQ(flags("k"), std::string(4, '\0'));
  EXPECT_EQ(
      status(
          {.opcode = BinaryOpcode::subdoc_dict_upsert, .key = "k", .value = "p3", .extras = "\0\1\0"s + ten}),
      BinaryStatus::success);
  EXPECT_EQ(flags("k"), "\0\0\0\x0a"s);
  EXPECT_EQ(status({.opcode = BinaryOpcode::subdoc_get, .key = "k", .value = "p", .extras = "\0\1\0"s + ten}),
            BinaryStatus::invalid_arguments);
  EXPECT_EQ(status({.opcode = BinaryOpcode::subdoc_multi_lookup,
                    .key = "k",
                    .value = wire::lookup_spec(wire::SubdocOpcode::get, "p"),
                    .extras = ten}),
            BinaryStatus::invalid_arguments);
}

TEST_F(XattrTest, WhoSaysFlagsHasToSayAnExpiryAndMayKeepWhatIsThere) {
  hello({Feature::xattr, Feature::preserve_ttl, Feature::alt_request, Feature::subdoc_binary_xattr});
  EXPECT_EQ(text("touch k 1000\r\n"), "TOUCHED\r\n");
  const std::string expiry = attribute("$document.exptime");
  EXPECT_NE(expiry, "0");
  const auto change = [&](const std::string& framing) {
    return status({.opcode = BinaryOpcode::subdoc_multi_mutation,
                   .key = "k",
                   .value = wire::mutation_spec(wire::SubdocOpcode::dict_upsert, "p", "1"),
                   .extras = std::string(7, '\0') + '\x0a',
                   .framing = framing});
  };
  EXPECT_EQ(change("\x50"), BinaryStatus::success);
  EXPECT_EQ(attribute("$document.exptime"), expiry);
  EXPECT_EQ(attribute("$document.flags"), "10");
  EXPECT_EQ(change(""), BinaryStatus::success);
  EXPECT_EQ(attribute("$document.exptime"), "0");
}

TEST_F(XattrTest, WhoHasNotAgreedOnAttributesHasNoBinaryOnes) {
  hello({Feature::xerror, Feature::subdoc_binary_xattr});
  constexpr char kBinary = wire::path_flags::kBinaryValue;
  EXPECT_EQ(part(BinaryOpcode::subdoc_dict_upsert, "b", "\xff", kXattr | kBinary).status,
            BinaryStatus::not_supported);
  EXPECT_EQ(part(BinaryOpcode::subdoc_get, "b", "", kXattr | kBinary).status, BinaryStatus::not_supported);
  hello({Feature::xattr});
  EXPECT_EQ(attribute("$XTOC"), "[]");
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
