#include "wire/compression.h"

#include <gtest/gtest.h>

#include <string>

namespace bobbin::wire {
namespace {

using namespace std::string_literals;

std::optional<std::string> inflated(std::string_view compressed) {
  const auto bytes = inflated_bytes(compressed);
  if (!bytes) return std::nullopt;
  std::string out(*bytes, '?');
  if (!inflate(compressed, out.data())) return std::nullopt;
  return out;
}

// A length, then literals (two low bits 0, above them the length minus 1) and copies (1: three bits of length
// minus 4, eleven of offset).
TEST(Compression, LiteralsAndCopiesAreWrittenOut) {
  EXPECT_EQ(inflated("\3\x08"
                     "abc"),
            "abc");
  EXPECT_EQ(inflated("\x07\x08"
                     "abc\x01\x03"),
            "abcabca");
  EXPECT_EQ(inflated("\0"s), "");
}

TEST(Compression, WhatIsDamagedIsNotRead) {
  for (const std::string& wrong : {""s, "\x80"s, "\3"s,
                                   "\3\x08"
                                   "ab"s,
                                   "\2\x08"
                                   "abc"s,
                                   "\4\x08"
                                   "abc"s,
                                   "\x07\x08"
                                   "abc\x01\x04"s,
                                   "\x07\x08"
                                   "abc\x01\0"s,
                                   "\x07\x08"
                                   "abc\x01"s}) {
    EXPECT_FALSE(inflated(wrong)) << testing::PrintToString(wrong);
    EXPECT_FALSE(is_sound(wrong)) << testing::PrintToString(wrong);
    std::string out;
    EXPECT_FALSE(inflate(wrong, 100, out)) << testing::PrintToString(wrong);
  }
}

TEST(Compression, ALengthIsToldBeforeAnythingIsWritten) {
  EXPECT_EQ(inflated_bytes("\xff\xff\xff\xff\x0f"), 0xffffffffU);
  EXPECT_FALSE(inflated_bytes("\xff\xff\xff\xff\x1f"));
}

TEST(Compression, WhatBecomesTooLongIsNotInflated) {
  const std::string abcabca =
      "\x07\x08"
      "abc\x01\x03";
  std::string out = "before";
  EXPECT_TRUE(is_sound(abcabca));
  EXPECT_FALSE(inflate(abcabca, 6, out));
  EXPECT_EQ(out, "before");
  EXPECT_TRUE(inflate(abcabca, 7, out));
  EXPECT_EQ(out, "abcabca");
  EXPECT_FALSE(inflate("\xff\xff\xff\xff\x0f", 1 << 20, out));
}

}  // namespace
}  // namespace bobbin::wire
