#include "wire/binary_xattr.h"

#include <gtest/gtest.h>

namespace bobbin::wire {
namespace {

using namespace std::string_literals;

TEST(BinaryXattrTest, BytesAreAStringThatSaysSo) {
  EXPECT_EQ(encode_binary_value("value"), R"("cb-content-base64-encoded:dmFsdWU=")");
  EXPECT_EQ(encode_binary_value(""), R"("cb-content-base64-encoded:")");
  for (const std::string& bytes : {""s, "a"s, "ab"s, "abc"s, "\0\xff\n\""s, std::string(10'000, '\x80')})
    EXPECT_EQ(decode_binary_value(encode_binary_value(bytes)), bytes);
}

TEST(BinaryXattrTest, NothingElseIsDecoded) {
  for (const std::string_view json :
       {"", "\"", "\"\"", "1", R"("value")", R"("cb-content-base64-encoded:dmFsdWU)",
        R"("cb-content-base64-encoded:dmFsdWU")", R"("cb-content-base64-encoded:d!==")",
        R"("cb-content-base64-encoded")", R"({"a":"cb-content-base64-encoded:"})",
        R"("xcb-content-base64-encoded:")"})
    EXPECT_EQ(decode_binary_value(json), std::nullopt) << json;
}

TEST(BinaryXattrTest, WhatIsBrokenIsFoundAnywhere) {
  EXPECT_FALSE(has_broken_binary_value(R"({"a":"x","b":"cb-content-base64-encoded:dmFsdWU="})"));
  EXPECT_FALSE(has_broken_binary_value(R"("cb-content-base64-encoded:")"));
  EXPECT_FALSE(has_broken_binary_value("1"));
  EXPECT_TRUE(has_broken_binary_value(R"({"b":"cb-content-base64-encoded:dmFsdWU"})"));
  EXPECT_TRUE(
      has_broken_binary_value(R"(["cb-content-base64-encoded:dmFsdWU=","cb-content-base64-encoded:?"])"));
  EXPECT_TRUE(has_broken_binary_value("\"cb-content-base64-encoded:abc"));
}

}  // namespace
}  // namespace bobbin::wire
