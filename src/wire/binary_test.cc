#include "wire/binary.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "wire/dialect.h"

namespace bobbin::wire {
namespace {

std::string frame(const BinaryHeader& header, std::string_view body = {}) {
  std::string bytes(kBinaryHeaderBytes, '\0');
  encode_header(bytes.data(), header);
  return bytes.append(body);
}

TEST(Dialect, OnlyTheRequestMagicIsBinary) {
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(dialect_of(static_cast<uint8_t>(byte)), byte == 0x80 ? Dialect::binary : Dialect::text);
  }
}

TEST(BinaryHeader, IsBigEndianAtTheDocumentedOffsets) {
  const BinaryHeader header{.magic = 0x80,
                            .opcode = 0x01,
                            .key_bytes = 0x0203,
                            .extras_bytes = 0x04,
                            .datatype = 0x05,
                            .vbucket_or_status = 0x0607,
                            .body_bytes = 0x08090a0b,
                            .opaque = 0x0c0d0e0f,
                            .cas = 0x1011121314151617};
  const std::string bytes = frame(header);
  EXPECT_EQ(bytes, std::string("\x80\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
                               "\x10\x11\x12\x13\x14\x15\x16\x17",
                               24));
  EXPECT_EQ(decode_header(bytes.data()), header);
}

TEST(CutFrame, NamesEachStageAsBytesArrive) {
  const std::string bytes =
      frame({.opcode = 1, .key_bytes = 3, .extras_bytes = 8, .body_bytes = 16}, "EXTRAS!!keyvalue");
  for (size_t size = 0; size <= bytes.size(); ++size) {
    BinaryRequest request;
    const FrameState state = cut_frame(std::string_view(bytes).substr(0, size), request);
    if (size < 24) {
      EXPECT_EQ(state, FrameState::incomplete) << size;
      continue;
    }
    EXPECT_EQ(request.value_bytes, 5U);
    EXPECT_EQ(request.frame_bytes(), 40U);
    if (size < 35) {
      EXPECT_EQ(state, FrameState::header) << size;
      continue;
    }
    EXPECT_EQ(request.extras, "EXTRAS!!");
    EXPECT_EQ(request.key, "key");
    EXPECT_EQ(request.value, std::string_view("value").substr(0, size - 35));
    EXPECT_EQ(state, size < 40 ? FrameState::head : FrameState::complete) << size;
  }
}

TEST(CutFrame, LeavesTheNextFrameAlone) {
  const std::string noop = frame({.opcode = 0x0a});
  BinaryRequest request;
  EXPECT_EQ(cut_frame(noop + noop, request), FrameState::complete);
  EXPECT_EQ(request.frame_bytes(), 24U);
  EXPECT_TRUE(request.value.empty());
}

TEST(CutFrame, RefusesAWrongMagicAtTheFirstByte) {
  BinaryRequest request;
  for (const char magic : {'\x81', '\x08', '\x18', 'g', '\0'}) {
    EXPECT_EQ(cut_frame(std::string(1, magic), request), FrameState::bad_magic);
  }
}

TEST(CutFrame, ChecksTheSumOfTheLengthsBeforeAnythingElse) {
  const struct {
    uint16_t key;
    uint8_t extras;
    uint32_t body;
    FrameState state;
  } cases[] = {
      {1, 8, 9, FrameState::header},
      {1, 8, 8, FrameState::bad_lengths},
      {1, 8, 0, FrameState::bad_lengths},
      {0, 1, 0, FrameState::bad_lengths},
      {65535, 255, 65790, FrameState::header},
      {65535, 255, 65789, FrameState::bad_lengths},
      {65535, 255, 254, FrameState::bad_lengths},
      {1, 8, 0xffffffff, FrameState::header},
      {0, 0, 0x80000000, FrameState::head},
  };
  for (const auto& c : cases) {
    BinaryRequest request;
    const std::string bytes =
        frame({.opcode = 1, .key_bytes = c.key, .extras_bytes = c.extras, .body_bytes = c.body, .opaque = 7});
    EXPECT_EQ(cut_frame(bytes, request), c.state) << c.key << ' ' << int{c.extras} << ' ' << c.body;
    EXPECT_EQ(request.header.opaque, 7U);
    EXPECT_EQ(request.frame_bytes(), 24 + uint64_t{c.body});
  }
}

// ---- shapes

BinaryHeader lengths(uint8_t extras, uint16_t key, uint32_t value) {
  return {.key_bytes = key, .extras_bytes = extras, .body_bytes = uint32_t{extras} + key + value};
}

TEST(CheckShape, HoldsEachPartToItsPresence) {
  using namespace binary_shapes;  // NOLINT(google-build-using-namespace)
  const auto fits = [](const BinaryHeader& header, const BinaryShape& shape) {
    return check_shape(header, shape) == BinaryStatus::success;
  };
  EXPECT_TRUE(fits(lengths(0, 0, 0), kNothing));
  EXPECT_FALSE(fits(lengths(1, 0, 0), kNothing));
  EXPECT_FALSE(fits(lengths(0, 1, 0), kNothing));
  EXPECT_FALSE(fits(lengths(0, 0, 1), kNothing));
  EXPECT_TRUE(fits(lengths(0, 1, 0), kKey));
  EXPECT_FALSE(fits(lengths(0, 0, 0), kKey));
  EXPECT_FALSE(fits(lengths(0, 1, 1), kKey));
  EXPECT_FALSE(fits(lengths(4, 1, 0), kKey));
  EXPECT_TRUE(fits(lengths(8, 1, 0), kStore));
  EXPECT_TRUE(fits(lengths(8, 250, 5), kStore));
  EXPECT_FALSE(fits(lengths(8, 251, 5), kStore));
  for (const uint8_t extras : {0, 4, 7, 9, 20, 255})
    EXPECT_FALSE(fits(lengths(extras, 1, 5), kStore));
  EXPECT_TRUE(fits(lengths(0, 0, 0), kFlush));
  EXPECT_TRUE(fits(lengths(4, 0, 0), kFlush));
  EXPECT_FALSE(fits(lengths(3, 0, 0), kFlush));
  EXPECT_TRUE(fits(lengths(20, 1, 0), kArithmetic));
  EXPECT_FALSE(fits(lengths(19, 1, 0), kArithmetic));
  EXPECT_FALSE(fits(lengths(20, 1, 1), kArithmetic));
}

TEST(CheckMarks, HoldsEachToWhatTheCommandTakes) {
  using namespace binary_shapes;  // NOLINT(google-build-using-namespace)
  const auto fits = [](const BinaryHeader& header, const BinaryShape& shape) {
    return check_marks(header, shape) == BinaryStatus::success;
  };
  EXPECT_TRUE(fits({}, kKey));
  EXPECT_FALSE(fits({.cas = 1}, kKey));
  EXPECT_TRUE(fits({.cas = 1}, kDelete));
  EXPECT_FALSE(fits({}, BinaryShape{.extras = {}, .cas = Presence::required}));
  EXPECT_FALSE(fits({.datatype = kDatatypeJson}, kKey));
  EXPECT_TRUE(fits({.datatype = kDatatypeJson | kDatatypeSnappy}, kAdd));
  EXPECT_FALSE(fits({.datatype = kDatatypeXattr}, kAdd));
  EXPECT_FALSE(fits({.datatype = 0x80}, kAdd));
  EXPECT_FALSE(fits({.cas = 1}, kAdd));
  EXPECT_TRUE(fits({.cas = 1}, kStore));
  EXPECT_TRUE(fits({.vbucket_or_status = 1}, kNothing));
  EXPECT_FALSE(fits({.vbucket_or_status = 1}, of_no_vbucket(kNothing)));
}

TEST(CheckShape, DoesNotTrustTheBodyLength) {
  EXPECT_EQ(check_shape({.key_bytes = 1, .extras_bytes = 8, .body_bytes = 8}, binary_shapes::kStore),
            BinaryStatus::invalid_arguments);
  EXPECT_EQ(check_shape({.key_bytes = 1, .extras_bytes = 0, .body_bytes = 0xffffffff}, binary_shapes::kKey),
            BinaryStatus::invalid_arguments);
}

TEST(ReadExtras, AreBigEndian) {
  const StoreExtras store = read_store_extras(std::string_view("\0\0\1\2\0\0\3\4", 8));
  EXPECT_EQ(store.flags, 0x102U);
  EXPECT_EQ(store.exptime, 0x304U);
  const ArithmeticExtras arithmetic = read_arithmetic_extras(
      std::string_view("\0\0\0\0\0\0\0\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 20));
  EXPECT_EQ(arithmetic.delta, 1U);
  EXPECT_EQ(arithmetic.initial, UINT64_MAX);
  EXPECT_EQ(arithmetic.exptime, kDoNotCreate);
  EXPECT_EQ(read_u32_extras(std::string_view("\0\0\0\5", 4)), 5U);
  EXPECT_EQ(read_u32_extras({}), 0U);
}

// ---- replies

TEST(BinaryReply, EchoesOpcodeAndOpaqueAlsoOnErrors) {
  const BinaryHeader request{.opcode = 0x11, .vbucket_or_status = 5, .opaque = 0xdeadbeef, .cas = 9};
  std::array<char, kMaxBinaryErrorBytes> out{};
  const size_t size = write_binary_error(out.data(), request, BinaryStatus::key_exists);
  const BinaryHeader reply = decode_header(out.data());
  EXPECT_EQ(
      reply,
      (BinaryHeader{
          .magic = 0x81, .opcode = 0x11, .vbucket_or_status = 2, .body_bytes = 20, .opaque = 0xdeadbeef}));
  EXPECT_EQ(std::string_view(out.data() + 24, size - 24), "Data exists for key.");
}

TEST(BinaryReply, EveryTextFitsItsBound) {
  for (uint32_t status = 0; status < 0x100; ++status) {
    EXPECT_LE(binary_status_text(static_cast<BinaryStatus>(status)).size(), kMaxBinaryErrorBytes - 24)
        << status;
  }
}

TEST(BinaryReply, TheLongestHitFits) {
  const std::string key(kMaxBinaryKeyBytes, 'k');
  std::array<char, kMaxBinaryHeadBytes> out{};
  const BinaryReply hit{.framing = "123456", .extras = "1234", .key = key, .value_bytes = 1 << 20};
  EXPECT_EQ(write_binary_head(out.data(), {.opcode = 0x0c}, hit), out.size());
  EXPECT_EQ(decode_header(out.data()).body_bytes, 6 + 4 + 250 + (1U << 20));
}

}  // namespace
}  // namespace bobbin::wire
