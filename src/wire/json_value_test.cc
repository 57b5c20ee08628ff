#include "wire/json_value.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "wire/json_text.h"

namespace bobbin::wire {
namespace {

TEST(JsonValue, reads_every_kind) {
  const auto value = JsonValue::parse(
      " { \"null\" : null, \"yes\":true,\"no\":false, \"n\": 18446744073709551615, \"s\":\"x\", "
      "\"list\":[1,[],{}], \"empty\" : {} }\n");
  ASSERT_TRUE(value);
  ASSERT_NE(value->object(), nullptr);
  EXPECT_EQ(value->object()->size(), 7U);
  EXPECT_TRUE(value->member("null")->is_null());
  EXPECT_EQ(value->member("yes")->boolean(), true);
  EXPECT_EQ(value->member("no")->boolean(), false);
  EXPECT_EQ(value->member("n")->number(), UINT64_MAX);
  EXPECT_EQ(*value->member("s")->string(), "x");
  ASSERT_EQ(value->member("list")->array()->size(), 3U);
  EXPECT_EQ((*value->member("list")->array())[0].number(), 1U);
  EXPECT_TRUE(value->member("empty")->object()->empty());
  EXPECT_EQ(value->member("other"), nullptr);
  EXPECT_EQ(value->member("s")->member("x"), nullptr);
  EXPECT_EQ(value->member("s")->number(), std::nullopt);
  EXPECT_EQ(value->member("n")->string(), nullptr);
}

TEST(JsonValue, only_whole_numbers_are_numbers_of_ours) {
  for (const char* text : {"-1", "1.0", "1e3", "18446744073709551616", "-0"}) {
    const auto value = JsonValue::parse(text);
    ASSERT_TRUE(value) << text;
    EXPECT_EQ(value->number(), std::nullopt) << text;
  }
  EXPECT_EQ(JsonValue::parse("0")->number(), 0U);
}

TEST(JsonValue, understands_escapes) {
  const auto value = JsonValue::parse(R"("\"\\\/\b\f\n\r\t\u0041\u00e4\u20AC\ud83d\ude00")");
  ASSERT_TRUE(value);
  EXPECT_EQ(*value->string(), "\"\\/\b\f\n\r\tA\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
}

TEST(JsonValue, reads_what_json_string_writes) {
  const std::string text = "a\"b\\c\n\x01\x7f\xc2\x80 \xc3\xa4\xf0\x9f\x98\x80";
  const auto value = JsonValue::parse(json_string(text));
  ASSERT_TRUE(value);
  EXPECT_EQ(*value->string(), text);
}

TEST(JsonValue, refuses_what_is_no_json) {
  const std::vector<std::string> texts = {"",
                                          " ",
                                          "nul",
                                          "truefalse",
                                          "1 2",
                                          "01",
                                          "-",
                                          "1.",
                                          ".5",
                                          "1e",
                                          "+1",
                                          "0x1",
                                          "NaN",
                                          "'a'",
                                          "\"",
                                          "\"a",
                                          "\"\\\"",
                                          "\"\\x\"",
                                          "\"\\u12\"",
                                          "\"\\u12g4\"",
                                          "\"\\u 123\"",
                                          "\"\\ud800\"",
                                          "\"\\ud800\\u0041\"",
                                          "\"\\udc00\"",
                                          "\"\n\"",
                                          "\"\xff\"",
                                          "[",
                                          "[1",
                                          "[1,",
                                          "[1,]",
                                          "[,1]",
                                          "]",
                                          "{",
                                          "{}{",
                                          "{\"a\"}",
                                          "{\"a\":}",
                                          "{\"a\":1,}",
                                          "{a:1}",
                                          "{1:1}",
                                          "{\"a\":1 \"b\":2}",
                                          "{\"a\":1,\"a\":2}",
                                          "\xef\xbb\xbf{}",
                                          std::string("{}\0", 3),
                                          "/* */ {}"};
  for (const std::string& text : texts)
    EXPECT_FALSE(JsonValue::parse(text)) << text;
}

TEST(JsonValue, tells_where_a_text_is_no_json) {
  EXPECT_EQ(JsonValue::fault_in("{\"a\":}"), 5U);
  EXPECT_EQ(JsonValue::fault_in("[1, x]"), 4U);
  EXPECT_EQ(JsonValue::fault_in("{} {}"), 3U);
  EXPECT_EQ(JsonValue::fault_in("[1"), 2U);
  EXPECT_EQ(JsonValue::fault_in(""), 0U);
}

TEST(JsonValue, bounds_the_nesting) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(JsonValue::parse(nested(JsonValue::kMaxDepth)));
  EXPECT_FALSE(JsonValue::parse(nested(JsonValue::kMaxDepth + 2)));
  EXPECT_FALSE(JsonValue::parse(std::string(1'000'000, '[')));
  EXPECT_FALSE(JsonValue::parse(std::string(100'000, '{')));
}

}  // namespace
}  // namespace bobbin::wire
