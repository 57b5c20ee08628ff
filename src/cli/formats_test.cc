#include <gtest/gtest.h>

#include <vector>

#include "cli/client_command.h"
#include "cli/json.h"
#include "cli/meta_client.h"
#include "cli/stat_format.h"

namespace bobbin::cli {
namespace {

TEST(Json, EscapesWhatMustBe) {
  EXPECT_EQ(json_string("plain"), "\"plain\"");
  EXPECT_EQ(json_string("a\"b\\c"), "\"a\\\"b\\\\c\"");
  EXPECT_EQ(json_string(std::string_view("\0\n\x1f\x7f", 4)), "\"\\u0000\\u000a\\u001f\\u007f\"");
  EXPECT_EQ(json_string("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"),
            "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"");
  EXPECT_EQ(json_string("\xc2\x9b"), "\"\\u009b\"");
}

TEST(Json, ReplacesWhatIsNotUtf8) {
  for (const char* wrong : {"\xff", "\x80", "\xc3", "\xe2\x82"}) {
    EXPECT_EQ(json_string(wrong).substr(0, 7), "\"\\ufffd") << wrong;
  }
  EXPECT_EQ(json_string("\xc0\xaf"), "\"\\ufffd\\ufffd\"");             // over-long
  EXPECT_EQ(json_string("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"");  // surrogate
  EXPECT_EQ(json_string("\xf4\x90\x80\x80").find("\xf4"), std::string::npos);
  EXPECT_EQ(json_string("\xff"
                        "a"),
            "\"\\ufffda\"");
}

TEST(Json, KeepsNumbersAndQuotesTheRest) {
  for (const char* number : {"0", "17", "-3", "1.25", "18446744073709551615", "-0.5"}) {
    EXPECT_EQ(json_number_or_string(number), number);
  }
  for (const char* text : {"", "-", "01", "1.", ".5", "1e", "+1", "1.6.18", "0x1", "NaN"}) {
    EXPECT_EQ(json_number_or_string(text), '"' + std::string(text) + '"');
  }
}

TEST(Stats, AreAlignedAndExplained) {
  const std::vector<Statistic> stats = {{"uptime", "7260"},      {"version", "1.6"},   {"bytes", "1572864"},
                                        {"get_hits", "75"},      {"get_misses", "25"}, {"items:5:age", "61"},
                                        {"limit_maxbytes", "9"}, {"domain_socket", ""}};
  EXPECT_EQ(stats_for_people(stats),
            "uptime             7260  (2h 1m)\n"
            "version         1.6\n"
            "bytes           1572864  (1.5 MiB)\n"
            "get_hits             75  (75.0 % of 100)\n"
            "get_misses           25\n"
            "items:5:age          61  (1m 1s)\n"
            "limit_maxbytes        9\n"
            "domain_socket   \n");
}

TEST(Stats, AsJson) {
  const std::vector<Statistic> stats = {{"uptime", "7260"}, {"version", "1.6.18"}, {"a\"b", ""}};
  EXPECT_EQ(stats_as_json(stats),
            "{\n  \"uptime\": 7260,\n  \"version\": \"1.6.18\",\n  \"a\\\"b\": \"\"\n}\n");
  EXPECT_EQ(stats_as_json({}), "{}\n");
}

TEST(WireKeys, AreSentAsTheyAreWherePossible) {
  EXPECT_EQ(wire_key("hello").text, "hello");
  EXPECT_EQ(wire_key("hello").flag, "");
  EXPECT_EQ(wire_key("gr\xc3\xbc\xc3\x9f").text, "gr\xc3\xbc\xc3\x9f");
}

TEST(WireKeys, AreBase64WhereTheProtocolWouldMisreadThem) {
  EXPECT_EQ(wire_key("a b").text, "YSBi");
  EXPECT_EQ(wire_key("a b").flag, " b");
  for (const char* key : {"a\r\nb", "\x01", "\x7f", "\t"})
    EXPECT_EQ(wire_key(key).flag, " b");
  EXPECT_EQ(wire_key(std::string_view("\0", 1)).text, "AA==");
}

TEST(WireKeys, HaveALength) {
  EXPECT_EQ(key_problem("k"), "");
  EXPECT_EQ(key_problem(std::string(250, 'k')), "");
  EXPECT_NE(key_problem(""), "");
  EXPECT_NE(key_problem(std::string(251, 'k')), "");
}

TEST(Printable, QuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(printable("hello"), "hello");
  EXPECT_EQ(printable("a b"), "\"a b\"");
  EXPECT_EQ(printable("a\nb"), "\"a\\u000ab\"");
}

}  // namespace
}  // namespace bobbin::cli
