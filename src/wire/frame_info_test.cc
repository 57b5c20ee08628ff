#include "wire/frame_info.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "wire/crc32c.h"
#include "wire/leb128.h"

namespace bobbin::wire {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

BinaryStatus read(std::string_view framing) {
  FrameInfo info;
  return read_frame_info(framing, info);
}

TEST(FrameInfo, IsReadWhole) {
  FrameInfo info;
  ASSERT_EQ(read_frame_info("\x00\x13\x02\x01\x02\x22\x00\x07\x43joe\x50"sv, info), BinaryStatus::success);
  EXPECT_TRUE(info.barrier);
  EXPECT_EQ(info.durability, DurabilityLevel::majority_and_persist_on_master);
  EXPECT_EQ(info.durability_timeout_ms, 0x102);
  EXPECT_EQ(info.stream_id, 7);
  EXPECT_EQ(info.impersonated, "joe");
  EXPECT_TRUE(info.preserve_ttl);
}

TEST(FrameInfo, LongLengthsTakeAnotherByte) {
  const std::string name(20, 'u');
  const std::string framing = "\x4f\x05" + name;
  FrameInfo info;
  ASSERT_EQ(read_frame_info(framing, info), BinaryStatus::success);
  EXPECT_EQ(info.impersonated, name);
}

TEST(FrameInfo, LengthsThatLieAreRefused) {
  for (const std::string_view lie :
       {"\x11"sv, "\x13\x01\x01"sv, "\x4f"sv, "\x4f\xff"sv, "\xf0"sv, "\x22\x00"sv})
    EXPECT_EQ(read(lie), BinaryStatus::invalid_arguments) << lie.size();
}

TEST(FrameInfo, WrongValuesAreRefused) {
  EXPECT_EQ(read("\x11\x00"sv), BinaryStatus::durability_invalid_level);
  EXPECT_EQ(read("\x11\x04"sv), BinaryStatus::durability_invalid_level);
  EXPECT_EQ(read("\x13\x01\x00\x00"sv), BinaryStatus::invalid_arguments);
  EXPECT_EQ(read("\x13\x01\xff\xff"sv), BinaryStatus::invalid_arguments);
  EXPECT_EQ(read("\x12\x01\x01"sv), BinaryStatus::invalid_arguments);
  EXPECT_EQ(read("\x01\x00"sv), BinaryStatus::invalid_arguments);
  EXPECT_EQ(read("\x40"sv), BinaryStatus::invalid_arguments);
  EXPECT_EQ(read("\x50\x50"sv), BinaryStatus::invalid_arguments);
  EXPECT_EQ(read("\x30"sv), BinaryStatus::unknown_frame_info);
  EXPECT_EQ(read("\xf0\xff"sv), BinaryStatus::unknown_frame_info);
}

TEST(FrameInfo, ExtraPrivilegesAreTakenOneByOne) {
  FrameInfo info;
  const std::string_view framing = "\x64Read\x43joe\x66Upsert\x50"sv;
  ASSERT_EQ(read_frame_info(framing, info), BinaryStatus::success);
  EXPECT_TRUE(info.extra_privileges);
  std::string_view rest = framing;
  EXPECT_EQ(take_extra_privilege(rest), "Read");
  EXPECT_EQ(take_extra_privilege(rest), "Upsert");
  EXPECT_EQ(take_extra_privilege(rest), "");
  EXPECT_EQ(read("\x60"sv), BinaryStatus::invalid_arguments);
  EXPECT_EQ(read("\x65Read"sv), BinaryStatus::invalid_arguments);
}

std::string units(const Moved& moved, bool durable = false) {
  std::string out(kUnitsBytes, '\0');
  out.resize(write_units(out.data(), moved, durable));
  return out;
}

TEST(Units, AreThoseThatWereBegun) {
  EXPECT_EQ(units({}), "");
  EXPECT_EQ(units({.read = 1}), "\x12\0\1"s);
  EXPECT_EQ(units({.read = 4096}), "\x12\0\1"s);
  EXPECT_EQ(units({.read = 4097}), "\x12\0\2"s);
  EXPECT_EQ(units({.read = 4097}, true), "\x12\0\2"s);
  EXPECT_EQ(units({.written = 1024}), "\x22\0\1"s);
  EXPECT_EQ(units({.written = 1025}), "\x22\0\2"s);
  EXPECT_EQ(units({.written = 1025}, true), "\x22\0\4"s);
  EXPECT_EQ(units({.read = 1 << 20, .written = 1}), "\x22\0\1"s);
  EXPECT_EQ(units({.written = 70'000 << 10}), "\x22\xff\xff"s);
}

TEST(Trace, DecodesToAboutWhatItWas) {
  EXPECT_EQ(trace_of(0), (std::array<char, 3>{2, 0, 0}));
  for (const uint64_t us : {1ULL, 10ULL, 255ULL, 256ULL, 5000ULL, 1000000ULL, 100000000ULL}) {
    const auto trace = trace_of(us);
    const double decoded = std::pow(load_big_endian<uint16_t>(trace.data() + 1), 1.74) / 2;
    EXPECT_NEAR(decoded, static_cast<double>(us), 1 + 0.6 * std::pow(static_cast<double>(us), 0.75)) << us;
  }
  EXPECT_EQ(load_big_endian<uint16_t>(trace_of(UINT64_MAX).data() + 1), 0xffff);
}

TEST(Crc32c, IsThatOfTheRfc) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c({}), 0U);
}

TEST(Leb128, TakesOneNumber) {
  std::string_view bytes = "\x00key"sv;
  EXPECT_EQ(take_leb128(bytes), 0U);
  EXPECT_EQ(bytes, "key");
  bytes = "\xac\x02x"sv;
  EXPECT_EQ(take_leb128(bytes), 300U);
  bytes = "\xff\xff\xff\xff\x0f"sv;
  EXPECT_EQ(take_leb128(bytes), UINT32_MAX);
  EXPECT_TRUE(bytes.empty());
}

TEST(Leb128, WhatIsNoNumberIsRefusedAndKept) {
  for (const std::string_view wrong : {""sv, "\x80"sv, "\xff\xff\xff\xff"sv, "\xff\xff\xff\xff\x1f"sv,
                                       "\xff\xff\xff\xff\xff\x01"sv, "\x80\x00"sv, "\x81\x80\x00"sv}) {
    std::string_view bytes = wrong;
    EXPECT_EQ(take_leb128(bytes), std::nullopt);
    EXPECT_EQ(bytes, wrong);
  }
}

}  // namespace
}  // namespace bobbin::wire
