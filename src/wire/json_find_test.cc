#include "wire/json_find.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bobbin::wire {
namespace {

/// The value at a path, or why there is none.
std::string at(std::string_view text, std::string_view path_text) {
  SubdocPath path;
  if (path.parse(path_text) != SubdocStatus::success) return "no path";
  const std::vector<char> bytes(text.begin(), text.end());
  const std::string_view own(bytes.data(), bytes.size());
  JsonIndex index;
  index.build(own);
  const JsonPlace place = find_json(index, path.components());
  switch (place.state) {
    case FindState::found:
      return std::string(place.value.of(own));
    case FindState::missing:
      return "missing in " + std::string(place.container.of(own)) + " after " +
             std::to_string(place.matched) + " of " + std::to_string(place.container_entries);
    case FindState::mismatch:
      return "mismatch";
    case FindState::too_deep:
      return "too deep";
    case FindState::not_json:
      return "not json";
  }
  return "";
}

constexpr std::string_view kProduct = R"({
  "type":"product",
  "pType" : "toy",
  "pDetails": { "audience":"children" },
  "pDistributors":[
    { "dName": "Going Out of Business Wholesale", "dAdded": ["Feb", 36, 2025 ] },
    { "dName": "Everything Must Go!", "dAdded": ["May", 72, 1492] }
  ],
  "dot.ted.field": { "subfield" : -1.5e3 },
  "back`tick`field":null,
  "field.with.\"quotes\"": [ ],
  "u\u002Descape": true, "sm\uD83D\uDE00ile": 1, "half\ud83d": 2, "nul\u0000": 3, "tab\t": 4, "slash\\u0041": 5
})";

TEST(JsonFind, FollowsThePathsOfTheDocumentation) {
  EXPECT_EQ(at(kProduct, "type"), R"("product")");
  EXPECT_EQ(at(kProduct, "pDetails"), R"({ "audience":"children" })");
  EXPECT_EQ(at(kProduct, "pDistributors[0].dName"), R"("Going Out of Business Wholesale")");
  EXPECT_EQ(at(kProduct, "pDistributors[1].dAdded[2]"), "1492");
  EXPECT_EQ(at(kProduct, "pDistributors[0].dAdded[2]"), "2025");
  EXPECT_EQ(at(kProduct, "`dot.ted.field`.subfield"), "-1.5e3");
  EXPECT_EQ(at(kProduct, "`back``tick``field`"), "null");
  EXPECT_EQ(at(kProduct, "`field.with.\\\"quotes\\\"`"), "[ ]");
  EXPECT_EQ(at(kProduct, "pDistributors[-1].dAdded[-1]"), "1492");
  EXPECT_EQ(at(kProduct, "pDistributors[-1].dAdded[0]"), R"("May")");
  EXPECT_EQ(at(kProduct, "pDistributors.count"), "mismatch");
  EXPECT_EQ(at(kProduct, "pType.category"), "mismatch");
  EXPECT_EQ(at(kProduct, "pType[0]"), "mismatch");
  EXPECT_EQ(at(kProduct, "pDetails[0]"), "mismatch");
}

TEST(JsonFind, ComparesKeysByBytesAndDecodesOnlyTheUOfTheDocument) {
  EXPECT_EQ(at(kProduct, "u-escape"), "true");
  EXPECT_EQ(at(kProduct, "sm\xf0\x9f\x98\x80ile"), "1");
  EXPECT_EQ(at(kProduct, "tab\\t"), "4");
  EXPECT_EQ(at(kProduct, "slash\\\\u0041"), "5");
  EXPECT_TRUE(at(kProduct, "half").starts_with("missing"));
  EXPECT_TRUE(at(kProduct, "nul").starts_with("missing"));
  EXPECT_TRUE(at(kProduct, "slash\\\\A").starts_with("missing"));
  EXPECT_TRUE(at(R"({"a\/b":1})", "a/b").starts_with("missing"));
  EXPECT_EQ(at(R"({"\u00fc\u20ac":1})", "\xc3\xbc\xe2\x82\xac"), "1");
  EXPECT_TRUE(at(R"({"ab":1})", "a").starts_with("missing"));
  EXPECT_TRUE(at(R"({"a":1})", "ab").starts_with("missing"));
}

TEST(JsonFind, TakesTheFirstOfEqualKeys) {
  EXPECT_EQ(at(R"({"a":1,"a":2})", "a"), "1");
  EXPECT_EQ(at(R"({"x":{"a":0},"a":{"a":2}})", "a.a"), "2");
}

TEST(JsonFind, GivesTheRootForAnEmptyPath) {
  EXPECT_EQ(at(" [1, 2] ", ""), "[1, 2]");
  EXPECT_EQ(at("{}", ""), "{}");
}

TEST(JsonFind, SaysHowFarThePathLed) {
  EXPECT_EQ(at(R"({"a":{"b":{}}})", "a.b.c.d"), "missing in {} after 2 of 0");
  EXPECT_EQ(at(R"({"a":{"b":{ } ,"x":1}})", "a.c.d"), R"(missing in {"b":{ } ,"x":1} after 1 of 2)");
  EXPECT_EQ(at(R"({"a":[1,[2],3]})", "a[3]"), "missing in [1,[2],3] after 1 of 3");
  EXPECT_EQ(at(R"({"a":[ ]})", "a[-1].b"), "missing in [ ] after 1 of 0");
  EXPECT_EQ(at("[1,2]", "[18446744073709551615]"), "missing in [1,2] after 0 of 2");
  EXPECT_EQ(at("{}", "x"), "missing in {} after 0 of 0");
}

TEST(JsonFind, KnowsTheCommasBesideAnEntry) {
  constexpr std::string_view kText = R"({"a" : 1 , "b":2,"c":[ 7 ,8 ]})";
  JsonIndex index;
  ASSERT_TRUE(index.build(kText));
  const auto place = [&](std::string_view text) {
    SubdocPath path;
    EXPECT_EQ(path.parse(text), SubdocStatus::success);
    return find_json(index, path.components());
  };
  const JsonPlace first = place("a");
  EXPECT_EQ(first.entry.of(kText), R"("a" : 1)");
  EXPECT_FALSE(first.has_comma_before);
  EXPECT_TRUE(first.has_comma_after);
  EXPECT_EQ(first.comma_after, 9U);
  const JsonPlace last = place("c");
  EXPECT_EQ(last.entry.of(kText), R"("c":[ 7 ,8 ])");
  EXPECT_EQ(last.entries, 2U);
  EXPECT_TRUE(last.has_comma_before);
  EXPECT_EQ(kText[last.comma_before], ',');
  EXPECT_FALSE(last.has_comma_after);
  const JsonPlace element = place("c[-1]");
  EXPECT_EQ(element.entry.of(kText), "8");
  EXPECT_TRUE(element.has_comma_before);
  EXPECT_FALSE(element.has_comma_after);
}

TEST(JsonFind, RefusesADocumentThatIsNoContainer) {
  for (const std::string_view text : {"1", "\"a\"", "null", "", " ", "nonsense"}) {
    EXPECT_EQ(at(text, ""), "not json") << text;
    EXPECT_EQ(at(text, "a"), "not json") << text;
  }
}

TEST(JsonFind, StaysWithinATextThatIsNoJson) {
  for (const std::string_view text :
       {"{", "[", "{\"a\"", "{\"a\":", "{a:1}", "[1,", "{\"x\":1 2,\"a\":1}", "{\"x\":,\"a\":1}", "[,]", "{]",
        "{,", "{\"x\":[1,2,\"a\":3}", "{\"a\" 1}", "{\"x\":1]"}) {
    EXPECT_EQ(at(text, text[0] == '{' ? "a" : "[1]"), "not json") << text;
  }
}

TEST(JsonFind, StopsAtLevel32) {
  const auto nested = [](size_t levels, std::string_view inner) {
    return std::string(levels, '[') + std::string(inner) + std::string(levels, ']');
  };
  const auto path = [](size_t components) {
    std::string out;
    for (size_t i = 0; i < components; ++i)
      out += "[0]";
    return out;
  };
  EXPECT_EQ(at(nested(31, "1"), path(31)), "1");
  EXPECT_EQ(at(nested(31, "1"), path(30)), "[1]");
  EXPECT_EQ(at(nested(32, ""), path(31)), "[]");
  EXPECT_EQ(at(nested(32, "1"), path(31)), "too deep");
  EXPECT_EQ(at(nested(32, "1"), ""), "too deep");
  EXPECT_EQ(at(nested(10000, ""), ""), "too deep");
  EXPECT_EQ(at(nested(10000, ""), "[0][0]"), "too deep");
  // What comes before the value is passed over, what comes behind it is not looked at.
  EXPECT_EQ(at("[" + nested(40, "") + ",1]", "[1]"), "too deep");
  EXPECT_EQ(at("[1," + nested(40, "") + "]", "[0]"), "1");
  EXPECT_EQ(at("{\"a\":" + nested(31, "") + ",\"b\":2}", "b"), "2");
  EXPECT_EQ(at("{\"a\":" + nested(31, "0") + ",\"b\":2}", "b"), "too deep");
}

TEST(JsonFind, LooksForAnElementFromTheFrontOn) {
  const auto look = [](std::string_view text, std::string_view value) {
    JsonIndex index;
    EXPECT_TRUE(index.build(text));
    const JsonPlace place = find_json(index, {});
    return find_element(index, place.value, value);
  };
  EXPECT_EQ(look("[]", "1"), Membership::absent);
  EXPECT_EQ(look("[1, 2 ,\"3\"]", "2"), Membership::present);
  EXPECT_EQ(look("[1,2,\"3\"]", "3"), Membership::absent);
  EXPECT_EQ(look("[1,2,\"3\"]", "\"3\""), Membership::present);
  EXPECT_EQ(look("[1.0]", "1"), Membership::absent);
  EXPECT_EQ(look("[1,[2]]", "1"), Membership::present);
  EXPECT_EQ(look("[1,[2]]", "2"), Membership::has_containers);
  EXPECT_EQ(look("[{},1]", "1"), Membership::has_containers);
}

}  // namespace
}  // namespace bobbin::wire
