#include "wire/json_check.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

namespace bobbin::wire {
namespace {

JsonVerdict verdict(std::string_view text, size_t max_levels = kMaxCheckedLevels) {
  // On its own, so that a sanitizer sees a read beyond the end.
  const std::vector<char> bytes(text.begin(), text.end());
  JsonIndex index;
  return check_json({bytes.data(), bytes.size()}, index, max_levels);
}

std::string nested(std::string_view open, std::string_view inner, std::string_view close, size_t levels) {
  std::string out;
  for (size_t i = 0; i < levels; ++i)
    out += open;
  out += inner;
  for (size_t i = 0; i < levels; ++i)
    out += close;
  return out;
}

TEST(JsonCheck, TakesEveryKindOfValue) {
  for (const std::string_view text : {"null",
                                      "true",
                                      "false",
                                      "0",
                                      "-0",
                                      "12",
                                      "-1.5",
                                      "1e5",
                                      "1E+5",
                                      "0.25e-10",
                                      "\"\"",
                                      "\"text\"",
                                      "[]",
                                      "{}",
                                      "[1,2,3]",
                                      "[[],{}]",
                                      "{\"a\":1}",
                                      "{\"a\":{\"b\":[null]},\"c\":\"d\"}",
                                      " [ 1 , 2 ] ",
                                      "\t\r\n{ } ",
                                      "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
                                      "\"\\\\\"",
                                      "[\"]\",\"}\",\",\",\":\"]",
                                      "\"\\ud83d\\ude00\"",
                                      "\"\\ud800\"",
                                      "\"gr\xc3\xbc\xc3\x9f\"",
                                      "123456789012345678901234567890",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"\":0}"})
    EXPECT_EQ(verdict(text), JsonVerdict::valid) << text;
}

TEST(JsonCheck, RefusesWhatIsNoJson) {
  for (const std::string_view text : {"",
                                      " ",
                                      "nul",
                                      "nulll",
                                      "True",
                                      "tru e",
                                      "INVALID",
                                      "01",
                                      "-",
                                      "+1",
                                      "1.",
                                      ".5",
                                      "2.0.0",
                                      "2.0e",
                                      "2.0e+",
                                      "1e",
                                      "0x10",
                                      "1 2",
                                      "1,2",
                                      "1,",
                                      ",1",
                                      "[",
                                      "]",
                                      "{",
                                      "}",
                                      "[}",
                                      "{]",
                                      "[1",
                                      "[1,]",
                                      "[,1]",
                                      "[1 2]",
                                      "[1,,2]",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{,}",
                                      "{1:2}",
                                      "{\"a\" 1}",
                                      "{\"a\":1 \"b\":2}",
                                      "{\"a\":1:2}",
                                      "{a:1}",
                                      "[\"a\":1]",
                                      "[]]",
                                      "{}}",
                                      "[] []",
                                      "\"",
                                      "\"abc",
                                      "\"abc\\\"",
                                      "\"\\x\"",
                                      "\"\\u12\"",
                                      "\"\\u12g4\"",
                                      "\"\\",
                                      "\"a\"b",
                                      "1\"a\"",
                                      "\"a\"\"b\"",
                                      "'a'",
                                      "\"a\nb\"",
                                      "\"a\x01\"",
                                      "NaN",
                                      "Infinity",
                                      "[1]x",
                                      "x[1]",
                                      "//\n1"})
    EXPECT_EQ(verdict(text), JsonVerdict::invalid) << text;
  EXPECT_EQ(verdict(std::string_view("\0", 1)), JsonVerdict::invalid);
  EXPECT_EQ(verdict(std::string_view("[1]\0", 4)), JsonVerdict::invalid);
  EXPECT_EQ(verdict("\xef\xbb\xbf{}"), JsonVerdict::invalid) << "a byte order mark";
}

TEST(JsonCheck, RefusesStringsThatAreNotUtf8) {
  for (const std::string_view text :
       {"\"\xff\"", "\"\xc3\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf8\x88\x80\x80\x80\"",
        "\"\xf4\x90\x80\x80\"", "{\"\x80\":1}", "\xc3\xa9"})
    EXPECT_EQ(verdict(text), JsonVerdict::invalid) << text;
}

TEST(JsonCheck, CountsAScalarAsALevel) {
  EXPECT_EQ(verdict("1", 1), JsonVerdict::valid);
  EXPECT_EQ(verdict("[]", 1), JsonVerdict::valid);
  EXPECT_EQ(verdict("[1]", 1), JsonVerdict::too_deep);
  EXPECT_EQ(verdict("[1]", 2), JsonVerdict::valid);
  EXPECT_EQ(verdict("[[],{}]", 2), JsonVerdict::valid);
  EXPECT_EQ(verdict("{\"a\":{\"b\":1}}", 2), JsonVerdict::too_deep);
  EXPECT_EQ(verdict(nested("[", "", "]", 32), 32), JsonVerdict::valid);
  EXPECT_EQ(verdict(nested("[", "1", "]", 32), 32), JsonVerdict::too_deep);
}

TEST(JsonCheck, AnswersWhateverTheDepth) {
  EXPECT_EQ(verdict(nested("[", "", "]", 10000)), JsonVerdict::valid);
  EXPECT_EQ(verdict(nested("{\"a\":", "1", "}", 10000)), JsonVerdict::valid);
  EXPECT_EQ(verdict(nested("[", "1", "]", kMaxCheckedLevels - 1)), JsonVerdict::valid);
  EXPECT_EQ(verdict(nested("[", "1", "]", kMaxCheckedLevels)), JsonVerdict::too_deep);
  EXPECT_EQ(verdict(nested("[{\"a\":", "1", "}]", 1000000)), JsonVerdict::too_deep);
  EXPECT_EQ(verdict(nested("[", "]", "", 10000)), JsonVerdict::invalid) << "one bracket closed";
  // Which kind each open container is has to be remembered at any depth.
  EXPECT_EQ(verdict(nested("[{\"a\":", "[}", "}]", 500)), JsonVerdict::invalid);
  EXPECT_EQ(verdict(nested("[{\"a\":", "[]", "}]", 500)), JsonVerdict::valid);
}

TEST(JsonCheck, TakesLargeTexts) {
  constexpr size_t kBytes = 20 << 20;
  EXPECT_EQ(verdict("\"" + std::string(kBytes, 'x') + "\""), JsonVerdict::valid);
  EXPECT_EQ(verdict("\"" + std::string(kBytes, 'x')), JsonVerdict::invalid);
  EXPECT_EQ(verdict(std::string(kBytes, '[')), JsonVerdict::too_deep);
  EXPECT_EQ(verdict(std::string(kBytes, ' ') + "1"), JsonVerdict::valid);
  EXPECT_EQ(verdict(std::string(kBytes, '1')), JsonVerdict::valid);
  EXPECT_EQ(verdict("[" + std::string(kBytes, ',') + "]"), JsonVerdict::invalid);
}

TEST(JsonCheck, TellsHowManyValuesThereAre) {
  const auto values = [](std::string_view text) {
    JsonIndex index;
    return check_json_values(text, index);
  };
  EXPECT_EQ(values("1,2,3").count, 3U);
  EXPECT_EQ(values(" \"a\" , [1,2], null ").count, 3U);
  EXPECT_EQ(values("[1,2]").count, 1U);
  EXPECT_TRUE(values("1,[2]").has_containers);
  EXPECT_TRUE(values("{}").has_containers);
  EXPECT_FALSE(values("1,\"[]\"").has_containers);
  for (const std::string_view text :
       {"", " ", ",", "1,", ",1", "1,,2", "1 2", "1]", "1],[2", "\"a\":1", "1,\"a\":2"})
    EXPECT_EQ(values(text).verdict, JsonVerdict::invalid) << text;
}

TEST(JsonCheck, IndexForgetsATextThatItRefuses) {
  JsonIndex index;
  ASSERT_TRUE(index.build("[1]"));
  EXPECT_EQ(index.tokens().size(), 3U);
  EXPECT_FALSE(index.build("\""));
  EXPECT_TRUE(index.tokens().empty());
  ASSERT_TRUE(index.build("[1,2]"));
  EXPECT_EQ(index.tokens().size(), 5U);
  index.release();
  EXPECT_TRUE(index.tokens().empty());
}

/// Texts that are nearly JSON, judged by another library.
TEST(JsonCheck, AgreesWithAnotherLibraryOnDamagedTexts) {
  std::mt19937 random(20261124);
  const std::string good =
      R"({"a":[1,-2.5e3,true,null,{"b":"x\n\u00e9\"y"}],"c d":{},"e":[[],[""]],"f":0.1})";
  const std::string alphabet = "{}[]:,\"\\ 0123456789-+.eEtrufalsn\nx\x01\xc3\xa9";
  size_t valid = 0;
  for (int round = 0; round < 30000; ++round) {
    std::string text = good;
    for (size_t changes = random() % 4; changes > 0; --changes) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text.erase(at, 1 + random() % 3);
          break;
        case 1:
          text.insert(at, 1, alphabet[random() % alphabet.size()]);
          break;
        case 2:
          text[at] = alphabet[random() % alphabet.size()];
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 8));
      }
      if (text.empty()) text = "1";
    }
    const bool expected = nlohmann::json::accept(text);
    valid += expected ? 1 : 0;
    ASSERT_EQ(verdict(text) == JsonVerdict::valid, expected) << text;
  }
  EXPECT_GT(valid, 5000U);
  EXPECT_LT(valid, 25000U);
}

}  // namespace
}  // namespace bobbin::wire
