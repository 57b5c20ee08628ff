#include "cli/quantity.h"

#include <gtest/gtest.h>

#include <limits>

namespace bobbin::cli {
namespace {

TEST(Quantity, SizesArePowersOf1024InAnySpelling) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("512"), 512u);
  EXPECT_EQ(parse_size("7B"), 7u);
  EXPECT_EQ(parse_size("64M"), 64u << 20);
  for (const char* text : {"4k", "4K", "4KB", "4kb", "4KiB", "4 KiB"})
    EXPECT_EQ(parse_size(text), 4096u) << text;
  EXPECT_EQ(parse_size("4GiB"), 4ull << 30);
  EXPECT_EQ(parse_size("2T"), 2ull << 40);
}

TEST(Quantity, OtherTextsAreNoSizes) {
  for (const char* text : {"", "M", "64Q", "-1", "+1", "1.5G", "64MM", " 64M", "64  M", "0x10",
                           "18446744073709551616", "16777216T"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
  EXPECT_EQ(parse_size("18446744073709551615"), std::numeric_limits<uint64_t>::max());
}

TEST(Quantity, DurationsAreSecondsUnlessTheySayOtherwise) {
  EXPECT_EQ(parse_duration_ms("0"), 0u);
  EXPECT_EQ(parse_duration_ms("30"), 30'000u);
  EXPECT_EQ(parse_duration_ms("30s"), 30'000u);
  EXPECT_EQ(parse_duration_ms("500ms"), 500u);
  EXPECT_EQ(parse_duration_ms("5m"), 300'000u);
  EXPECT_EQ(parse_duration_ms("2h"), 7'200'000u);
  EXPECT_EQ(parse_duration_ms("1d"), 86'400'000u);
  for (const char* text : {"", "s", "-1s", "1y", "1.5s", "1 s s"})
    EXPECT_FALSE(parse_duration_ms(text)) << text;
}

TEST(Quantity, CountsAreDigitsOnly) {
  EXPECT_EQ(parse_count("17"), 17u);
  for (const char* text : {"", "-1", "+1", "1k", "1 ", "1.0", "none"})
    EXPECT_FALSE(parse_count(text)) << text;
}

TEST(Quantity, MomentsAreInUtcOrSecondsSince1970) {
  constexpr uint64_t kSecond = 1'000'000'000;
  EXPECT_EQ(parse_moment_ns("1970-01-01T00:00:00Z"), 0u);
  EXPECT_EQ(parse_moment_ns("2026-11-24T15:00:00Z"), 1'795'532'400 * kSecond);
  EXPECT_EQ(parse_moment_ns("2024-02-29 23:59:59"), 1'709'251'199 * kSecond);
  EXPECT_EQ(parse_moment_ns("2026-11-24T15:00:00.25Z"), 1'795'532'400 * kSecond + kSecond / 4);
  EXPECT_EQ(parse_moment_ns("1795532400"), 1'795'532'400 * kSecond);
  EXPECT_EQ(parse_moment_ns("1795532400.000000001"), 1'795'532'400 * kSecond + 1);
  for (const char* text :
       {"", "now", "-1", "1.", "1.0000000001", "1.-5", "1Z", "2026-11-24", "2026-11-24T15:00Z",
        "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z", "2026-11-24T24:00:00Z", "2026-11-24T15:60:00Z",
        "2026-11-24T15:00:00+01:00", "2026-11-24T15:00:00ZZ", "2026-11-24x15:00:00Z", "2026-1-24T15:00:00Z",
        "1969-12-31T23:59:59Z", "18446744073709551615"}) {
    EXPECT_FALSE(parse_moment_ns(text)) << text;
  }
}

TEST(Quantity, ModesAreOctal) {
  EXPECT_EQ(parse_mode("0700"), 0700u);
  EXPECT_EQ(parse_mode("660"), 0660u);
  for (const char* text : {"", "8", "rwx", "0o700", "00700"})
    EXPECT_FALSE(parse_mode(text)) << text;
}

TEST(Quantity, WhatIsWrittenReadsBackTheSame) {
  for (const uint64_t bytes : {0ull, 1ull, 1000ull, 1024ull, 1536ull, 64ull << 20, 20ull << 20, 3ull << 40}) {
    EXPECT_EQ(parse_size(format_size(bytes)), bytes);
  }
  for (const uint64_t ms : {0ull, 1ull, 1500ull, 30'000ull, 90'000ull, 3'600'000ull, 86'400'000ull}) {
    EXPECT_EQ(parse_duration_ms(format_duration(ms)), ms);
  }
  EXPECT_EQ(format_size(64 << 20), "64M");
  EXPECT_EQ(format_duration(60'000), "1m");
  EXPECT_EQ(format_mode(0770), "0770");
}

TEST(Quantity, PeopleGetRoundNumbers) {
  EXPECT_EQ(human_bytes(17), "17 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(64 << 20), "64.0 MiB");
  EXPECT_EQ(human_seconds(59), "59s");
  EXPECT_EQ(human_seconds(725), "12m 5s");
  EXPECT_EQ(human_seconds(7260), "2h 1m");
  EXPECT_EQ(human_seconds(90'000), "1d 1h");
}

}  // namespace
}  // namespace bobbin::cli
