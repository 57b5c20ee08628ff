// Documents that come with the metadata of another place.

#include <string>

#include "serve/mcbp_fixture.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Feature;

class WithMetaTest : public McbpTest {
 protected:
  WithMetaTest() { hello({Feature::xerror, Feature::xattr, Feature::json, Feature::mutation_seqno}); }

  template <typename Number>
  static std::string bytes(Number number) {
    std::string encoded(sizeof(Number), '\0');
    wire::store_big_endian(encoded.data(), number);
    return encoded;
  }
  static std::string extras(uint64_t revision, uint64_t cas, const std::string& more = {}) {
    return bytes(uint32_t{5}) + bytes(uint32_t{0}) + bytes(revision) + bytes(cas) + more;
  }
  static std::string options(uint32_t bits) { return bytes(bits); }
  BinaryStatus store(const std::string& with, BinaryOpcode opcode = BinaryOpcode::set_with_meta) {
    return status({.opcode = opcode, .key = "k", .value = "[1]", .extras = with});
  }
  BinaryStatus remove(const std::string& with) {
    return status({.opcode = BinaryOpcode::del_with_meta, .key = "k", .extras = with});
  }
};

TEST_F(WithMetaTest, TheDocumentHasThem) {
  const Reply stored =
      ask({.opcode = BinaryOpcode::set_with_meta, .key = "k", .value = "[1]", .extras = extras(7, 0x1234)});
  EXPECT_EQ(stored.status, BinaryStatus::success);
  EXPECT_EQ(stored.cas, 0x1234U);
  EXPECT_EQ(stored.extras.size(), 16U);
  const Reply meta = ask({.opcode = BinaryOpcode::get_meta, .key = "k", .extras = "\2"});
  EXPECT_EQ(meta.cas, 0x1234U);
  EXPECT_EQ(meta.extras, "\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\7\1"s);
  EXPECT_EQ(get("k").value, "[1]");
  EXPECT_EQ(get("k").extras, "\0\0\0\5"s);
}

TEST_F(WithMetaTest, WhatLosesIsRefused) {
  EXPECT_EQ(store(extras(7, 100)), BinaryStatus::success);
  EXPECT_EQ(store(extras(6, 200)), BinaryStatus::key_exists);
  EXPECT_EQ(store(extras(7, 100)), BinaryStatus::key_exists);
  EXPECT_EQ(store(extras(9, 300), BinaryOpcode::add_with_meta), BinaryStatus::key_exists);
  EXPECT_EQ(remove(extras(6, 200)), BinaryStatus::key_exists);
  EXPECT_EQ(store(extras(1, 50, options(1))), BinaryStatus::success);
  EXPECT_EQ(get("k").cas, 50U);
  EXPECT_EQ(store(extras(1, 50, options(5))), BinaryStatus::success);
  EXPECT_NE(get("k").cas, 50U);
  EXPECT_EQ(remove(extras(2, 60, options(0x10))), BinaryStatus::success);
  EXPECT_EQ(get("k").status, BinaryStatus::key_not_found);
  EXPECT_EQ(store(extras(1, 70), BinaryOpcode::add_with_meta), BinaryStatus::success);
}

TEST_F(WithMetaTest, AttributesComeAlongAndAreLookedAt) {
  const std::string pair = "user\0{\"a\":1}\0"s;
  const std::string block =
      bytes(static_cast<uint32_t>(pair.size() + 4)) + bytes(static_cast<uint32_t>(pair.size())) + pair;
  const auto store_block = [&](const std::string& value, uint64_t revision) {
    return status({.opcode = BinaryOpcode::set_with_meta,
                   .key = "k",
                   .value = value,
                   .extras = extras(revision, 100),
                   .datatype = 4});
  };
  EXPECT_EQ(store_block(block + "[5]", 1), BinaryStatus::success);
  EXPECT_EQ(get("k").value, "[5]");
  const Reply whole = ask({.opcode = BinaryOpcode::get_ex, .key = "k"});
  EXPECT_EQ(whole.value, block + "[5]");
  EXPECT_EQ(whole.datatype, 5);
  EXPECT_EQ(store_block("", 2), BinaryStatus::xattr_invalid);
  EXPECT_EQ(store_block("\0\0\0"s, 2), BinaryStatus::xattr_invalid);
  EXPECT_EQ(store_block("\xff\xff\xff\xff", 2), BinaryStatus::xattr_invalid);
  for (size_t i = 4; i < 8; ++i) {
    std::string lies = block + "[5]";
    lies[i] = '\x7f';
    EXPECT_EQ(store_block(lies, 2), BinaryStatus::xattr_invalid) << i;
  }
  EXPECT_EQ(get("k").value, "[5]");
}

TEST_F(WithMetaTest, WhatIsMalformedIsRefused) {
  for (const size_t size : {0, 8, 23, 25, 27, 29, 31})
    EXPECT_EQ(store(std::string(size, '\1')), BinaryStatus::invalid_arguments) << size;
  EXPECT_EQ(store(extras(0, 100)), BinaryStatus::invalid_arguments);
  EXPECT_EQ(store(extras(uint64_t{1} << 48, 100)), BinaryStatus::invalid_arguments);
  EXPECT_EQ(store(extras(1, 0)), BinaryStatus::key_exists);
  EXPECT_EQ(store(extras(1, UINT64_MAX)), BinaryStatus::key_exists);
  EXPECT_EQ(store(extras(1, 100, options(4))), BinaryStatus::invalid_arguments);
  EXPECT_EQ(store(extras(1, 100, options(0x20))), BinaryStatus::invalid_arguments);
  EXPECT_EQ(store(extras(1, 100, options(0x10))), BinaryStatus::invalid_arguments);
  EXPECT_EQ(store(extras(1, 100, "\0\1"s)), BinaryStatus::not_supported);
  EXPECT_EQ(store(extras(1, 100, options(0) + "\0\1"s)), BinaryStatus::not_supported);
  EXPECT_EQ(get("k").status, BinaryStatus::key_not_found);
  EXPECT_EQ(store(extras(1, 100, options(2) + "\0\0"s)), BinaryStatus::success);
}

TEST_F(WithMetaTest, AQuietOneSaysNothingOfSuccess) {
  const size_t before = client_->replies().size();
  client_->feed(
      encoded({.opcode = BinaryOpcode::setq_with_meta, .key = "k", .value = "v", .extras = extras(1, 9)}));
  client_->feed(encoded({.opcode = BinaryOpcode::delq_with_meta, .key = "k", .extras = extras(2, 9)}));
  EXPECT_EQ(client_->replies().size(), before);
  EXPECT_EQ(get("k").status, BinaryStatus::key_not_found);
}

TEST_F(WithMetaTest, ALargeValueComesInPieces) {
  const std::string value(200'000, 'v');
  const std::string frame =
      encoded({.opcode = BinaryOpcode::set_with_meta, .key = "k", .value = value, .extras = extras(1, 9)});
  for (size_t i = 0; i < frame.size(); i += 50'000)
    client_->feed(std::string_view(frame).substr(i, 50'000));
  EXPECT_EQ(get("k").value, value);
  EXPECT_EQ(get("k").cas, 9U);
}

TEST_F(WithMetaTest, AChangeTellsItsMetadata) {
  const auto change = [&](uint32_t type, const std::string& value) {
    return ask({.opcode = BinaryOpcode::return_meta,
                .key = "k",
                .value = value,
                .extras = bytes(type) + bytes(uint32_t{7}) + bytes(uint32_t{0})});
  };
  const Reply stored = change(1, "v");
  EXPECT_EQ(stored.status, BinaryStatus::success);
  EXPECT_EQ(stored.extras, "\0\0\0\7\0\0\0\0\0\0\0\0\0\0\0\1"s);
  EXPECT_EQ(stored.cas, get("k").cas);
  EXPECT_EQ(change(2, "v").status, BinaryStatus::key_exists);
  EXPECT_EQ(change(1, "w").extras, "\0\0\0\7\0\0\0\0\0\0\0\0\0\0\0\2"s);
  EXPECT_EQ(change(3, "v").status, BinaryStatus::invalid_arguments);
  EXPECT_EQ(change(3, "").extras.substr(8), "\0\0\0\0\0\0\0\3"s);
  EXPECT_EQ(change(3, "").status, BinaryStatus::key_not_found);
  EXPECT_EQ(change(4, "").status, BinaryStatus::invalid_arguments);
  EXPECT_EQ(change(0, "").status, BinaryStatus::invalid_arguments);
}

}  // namespace
}  // namespace bobbin::serve
