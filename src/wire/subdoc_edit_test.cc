#include "wire/subdoc_edit.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "wire/json_check.h"
#include "wire/subdoc_test_support.h"

namespace bobbin::wire {
namespace {

using Op = SubdocOperation;
using Status = SubdocStatus;

constexpr bool kCreateParents = true;

/// The document after an operation that has to succeed.
std::string after(std::string_view text, Op operation, std::string_view path, std::string_view value = {},
                  bool create_parents = false) {
  const RanOperation ran = run_on(text, operation, path, value, create_parents);
  EXPECT_EQ(ran.status, Status::success) << text << " " << path << " " << value;
  JsonIndex index;
  EXPECT_EQ(check_json(ran.text, index), JsonVerdict::valid) << ran.text;
  return ran.text;
}

Status status(std::string_view text, Op operation, std::string_view path, std::string_view value = {},
              bool create_parents = false) {
  const RanOperation ran = run_on(text, operation, path, value, create_parents);
  if (ran.status != Status::success) {
    EXPECT_EQ(ran.text, text);
  }
  return ran.status;
}

std::string result(std::string_view text, Op operation, std::string_view path, std::string_view value = {},
                   bool create_parents = false) {
  const RanOperation ran = run_on(text, operation, path, value, create_parents);
  EXPECT_EQ(ran.status, Status::success) << text << " " << path << " " << value;
  return ran.result;
}

std::string deep_path(size_t components, std::string_view last) {
  std::string path;
  for (size_t i = 0; i + 1 < components; ++i)
    path += "P" + std::to_string(i) + ".";
  return path + std::string(last);
}

TEST(SubdocLookup, GetsValuesAndTellsWhyThereIsNone) {
  EXPECT_EQ(result(R"({"a":{"b":[1,2]}})", Op::get, "a.b"), "[1,2]");
  EXPECT_EQ(result("[]", Op::get, ""), "[]");
  EXPECT_EQ(status(R"({"a":1})", Op::exists, "a"), Status::success);
  EXPECT_EQ(result(R"({"a":1})", Op::exists, "a"), "");
  EXPECT_EQ(status(R"({"a":1})", Op::exists, "b"), Status::path_missing);
  EXPECT_EQ(status(R"({"a":1})", Op::get, "b"), Status::path_missing);
  EXPECT_EQ(status(R"({"a":1})", Op::get, "a.b"), Status::path_mismatch);
  EXPECT_EQ(status(R"({"a":1})", Op::get, "a..b"), Status::path_invalid);
  EXPECT_EQ(status("nonsense", Op::get, "a"), Status::document_not_json);
  EXPECT_EQ(status("5", Op::get, "a"), Status::document_not_json);
  EXPECT_EQ(status(std::string(33, '[') + std::string(33, ']'), Op::get, "[1]"), Status::document_too_deep);
}

TEST(SubdocLookup, CountsElementsAndKeys) {
  EXPECT_EQ(result(R"({"array":[1,2,3,4]})", Op::get_count, "array"), "4");
  EXPECT_EQ(result(R"({"array":[[1,2],{"a":3}]})", Op::get_count, "array"), "2");
  EXPECT_EQ(result("[]", Op::get_count, ""), "0");
  EXPECT_EQ(result("{ }", Op::get_count, ""), "0");
  EXPECT_EQ(result(R"({"a":1,"b":2})", Op::get_count, ""), "2");
  EXPECT_EQ(result(R"({"array":[[]]})", Op::get_count, "array[-1]"), "0");
  EXPECT_EQ(status(R"({"array":[1]})", Op::get_count, "array[0]"), Status::path_mismatch);
  EXPECT_EQ(status("{}", Op::get_count, "non.exist.path"), Status::path_missing);
}

TEST(SubdocDictionary, AddsWhatIsNotThere) {
  EXPECT_EQ(after("{}", Op::dict_add, "a", "1"), R"({"a":1})");
  EXPECT_EQ(after("{ }", Op::dict_add, "a", "1"), R"({ "a":1})");
  EXPECT_EQ(after(R"({"a":1})", Op::dict_add, "b", R"({"c":[]})"), R"({"a":1,"b":{"c":[]}})");
  EXPECT_EQ(after(R"( { "x" : {"a": 1 } , "y":2 } )", Op::dict_add, "x.b", " 2 "),
            R"( { "x" : {"a": 1 ,"b": 2 } , "y":2 } )");
  EXPECT_EQ(after(R"([{"a":1}])", Op::dict_add, "[-1].b", "null"), R"([{"a":1,"b":null}])");
  EXPECT_EQ(status(R"({"a":1})", Op::dict_add, "a", "2"), Status::path_exists);
  EXPECT_EQ(status(R"({"a":1})", Op::dict_add, "b.c", "2"), Status::path_missing);
  EXPECT_EQ(status(R"({"a":1})", Op::dict_add, "a.c", "2"), Status::path_mismatch);
  EXPECT_EQ(status("[1]", Op::dict_add, "a", "2"), Status::path_mismatch);
}

TEST(SubdocDictionary, UpsertsEitherWay) {
  EXPECT_EQ(after(R"({"a" : 1 , "b":2})", Op::dict_upsert, "a", "[3]"), R"({"a" : [3] , "b":2})");
  EXPECT_EQ(after(R"({"a":1})", Op::dict_upsert, "b", "2"), R"({"a":1,"b":2})");
  EXPECT_EQ(after(R"({"a":1})", Op::dict_upsert, "`b.c`", "2"), R"({"a":1,"b.c":2})");
  EXPECT_EQ(after("{}", Op::dict_upsert, "q\\\"uoted", "2"), R"({"q\"uoted":2})");
  EXPECT_EQ(after("{}", Op::dict_upsert, "F\xc3\xba tbol", "2"), "{\"F\xc3\xba tbol\":2}");
}

TEST(SubdocDictionary, RefusesAnIndexAtTheEnd) {
  constexpr std::string_view kText = R"({"array":[null]})";
  for (const std::string_view path : {"array[0]", "array[1]", "array[-1]"}) {
    EXPECT_EQ(status(kText, Op::dict_upsert, path, "true"), Status::path_invalid) << path;
    EXPECT_EQ(status(kText, Op::dict_add, path, "true", kCreateParents), Status::path_invalid) << path;
  }
  EXPECT_EQ(status("{}", Op::dict_upsert, "a[0]", "true"), Status::path_invalid);
}

TEST(SubdocDictionary, CannotStoreAtTheRoot) {
  EXPECT_EQ(status("{}", Op::dict_add, "", "1"), Status::value_cannot_insert);
  EXPECT_EQ(status("[]", Op::dict_upsert, "", "1"), Status::value_cannot_insert);
  EXPECT_EQ(status("[]", Op::replace, "", "1"), Status::value_cannot_insert);
}

TEST(SubdocDictionary, CreatesParentsThatAreKeys) {
  EXPECT_EQ(after("{}", Op::dict_upsert, "foo.bar.baz", "[1,2,3]", kCreateParents),
            R"({"foo":{"bar":{"baz":[1,2,3]}}})");
  EXPECT_EQ(after(R"({"foo":{"x":1}})", Op::dict_add, "foo.bar.baz", "1", kCreateParents),
            R"({"foo":{"x":1,"bar":{"baz":1}}})");
  EXPECT_EQ(after(R"([{}])", Op::dict_add, "[0].a.b", "1", kCreateParents), R"([{"a":{"b":1}}])");
  EXPECT_EQ(status("{}", Op::dict_add, "foo[0].bar", "1", kCreateParents), Status::path_missing);
  EXPECT_EQ(status(R"({"foo":[]})", Op::dict_add, "foo[0].bar", "1", kCreateParents), Status::path_missing);
  EXPECT_EQ(status(R"({"foo":[]})", Op::dict_add, "foo[-1].bar", "1", kCreateParents), Status::path_missing);
  EXPECT_EQ(status("{}", Op::dict_add, "foo.bar", "1"), Status::path_missing);
}

TEST(SubdocDictionary, ReplacesWhatIsThereAndNothingElse) {
  EXPECT_EQ(after(R"({"a": 1 })", Op::replace, "a", "\"x\""), R"({"a": "x" })");
  EXPECT_EQ(after(R"([1,[2]])", Op::replace, "[-1]", "{}"), "[1,{}]");
  EXPECT_EQ(after(R"([1,[2]])", Op::replace, "[1][0]", "3"), "[1,[3]]");
  EXPECT_EQ(status("{}", Op::replace, "a", "1"), Status::path_missing);
  EXPECT_EQ(status("{}", Op::replace, "a", "1", kCreateParents), Status::path_missing);
  EXPECT_EQ(status("[1]", Op::replace, "[1]", "1"), Status::path_missing);
}

TEST(SubdocDictionary, TakesOneJsonValue) {
  constexpr std::string_view kText = R"({"k":1,"a":[1,2,3]})";
  for (const std::string_view value :
       {"INVALID", "1,2,3,4", "1,\"z\":2", "{},\"z\":{}", "\"s\",\"k\":2", "{ \"foo\" }", "{ \"foo\": }",
        "nul", "2.0.0", "2.", "2.0e", "2.0e+", " ", " \t\r\n ", "\"\xff\"", "1]", "1}"}) {
    EXPECT_EQ(status(kText, Op::dict_add, "new", value), Status::value_cannot_insert) << value;
    EXPECT_EQ(status(kText, Op::dict_add, "x.y", value, kCreateParents), Status::value_cannot_insert)
        << value;
    EXPECT_EQ(status(kText, Op::dict_upsert, "k", value), Status::value_cannot_insert) << value;
    EXPECT_EQ(status(kText, Op::replace, "a[0]", value), Status::value_cannot_insert) << value;
  }
  EXPECT_EQ(status(kText, Op::dict_upsert, "k", ""), Status::invalid_arguments);
}

TEST(SubdocRemove, TakesACommaWithIt) {
  EXPECT_EQ(after("[1,2]", Op::remove, "[0]"), "[2]");
  EXPECT_EQ(after("[1,2]", Op::remove, "[1]"), "[1]");
  EXPECT_EQ(after("[1,2]", Op::remove, "[-1]"), "[1]");
  EXPECT_EQ(after("[1]", Op::remove, "[0]"), "[]");
  EXPECT_EQ(after("[1]", Op::remove, "[-1]"), "[]");
  EXPECT_EQ(after(R"({"0": 1,"1": 2.0})", Op::remove, "0"), R"({"1": 2.0})");
  EXPECT_EQ(after(R"({"0": 1,"1": 2.0})", Op::remove, "1"), R"({"0": 1})");
  EXPECT_EQ(after(R"({ "a" : 1 , "b" : 2 , "c":3 })", Op::remove, "b"), R"({ "a" : 1 ,  "c":3 })");
  EXPECT_EQ(after(R"([0,[10,20,[100]],{"key":"value"}])", Op::remove, "[1][2][0]"),
            R"([0,[10,20,[]],{"key":"value"}])");
  EXPECT_EQ(after(R"([0,[10,20,[]],{"key":"value"}])", Op::remove, "[1][2]"),
            R"([0,[10,20],{"key":"value"}])");
  EXPECT_EQ(after("[1,2,3,[4,5,6,[7,8,9]]]", Op::remove, "[-1].[-1].[-1]"), "[1,2,3,[4,5,6,[7,8]]]");
}

TEST(SubdocRemove, WorksBehindANegativeIndex) {
  constexpr std::string_view kText = R"({"a":[{"b":1,"c":2,"d":3}],"x":[[1,2,3]]})";
  EXPECT_EQ(after(kText, Op::remove, "a[-1].b"), R"({"a":[{"c":2,"d":3}],"x":[[1,2,3]]})");
  EXPECT_EQ(after(kText, Op::remove, "a[-1].c"), R"({"a":[{"b":1,"d":3}],"x":[[1,2,3]]})");
  EXPECT_EQ(after(kText, Op::remove, "a[-1].d"), R"({"a":[{"b":1,"c":2}],"x":[[1,2,3]]})");
  EXPECT_EQ(after(kText, Op::remove, "x[-1][0]"), R"({"a":[{"b":1,"c":2,"d":3}],"x":[[2,3]]})");
  EXPECT_EQ(after(R"({"a":[{"b":1}]})", Op::remove, "a[-1].b"), R"({"a":[{}]})");
}

TEST(SubdocRemove, NeedsWhatItRemoves) {
  EXPECT_EQ(status("[1]", Op::remove, ""), Status::value_cannot_insert);
  EXPECT_EQ(status("[1]", Op::remove, "[1]"), Status::path_missing);
  EXPECT_EQ(status("[]", Op::remove, "[-1]"), Status::path_missing);
  EXPECT_EQ(status("{}", Op::remove, "a"), Status::path_missing);
  EXPECT_EQ(status("[1]", Op::remove, "a"), Status::path_mismatch);
}

TEST(SubdocArray, PushesAtBothEnds) {
  EXPECT_EQ(after(R"({"a":[4,5,6]})", Op::array_push_first, "a", "1,2,3"), R"({"a":[1,2,3,4,5,6]})");
  EXPECT_EQ(after(R"({"a":[4,5,6]})", Op::array_push_last, "a", "7,8,9"), R"({"a":[4,5,6,7,8,9]})");
  EXPECT_EQ(after("[]", Op::array_push_last, "", "1"), "[1]");
  EXPECT_EQ(after("[]", Op::array_push_first, "", "1"), "[1]");
  EXPECT_EQ(after(" [ ] ", Op::array_push_first, "", "1"), " [1] ");
  EXPECT_EQ(after("[ 1 ] ", Op::array_push_last, "", " 2 "), "[ 1 , 2 ] ");
  EXPECT_EQ(after("[[]]", Op::array_push_last, "[0]", "123"), "[[123]]");
  EXPECT_EQ(after("[0,[1]]", Op::array_push_last, "[-1]", "{}"), "[0,[1,{}]]");
}

TEST(SubdocArray, NeedsAnArray) {
  for (const Op operation : {Op::array_push_first, Op::array_push_last, Op::array_add_unique}) {
    EXPECT_EQ(status("{}", operation, "", "1"), Status::path_mismatch);
    EXPECT_EQ(status("{}", operation, "", "1", kCreateParents), Status::path_mismatch);
    EXPECT_EQ(status(R"({"a":{}})", operation, "a", "1"), Status::path_mismatch);
    EXPECT_EQ(status(R"({"a":"s"})", operation, "a", "1"), Status::path_mismatch);
    EXPECT_EQ(status("{}", operation, "a", "1"), Status::path_missing);
    EXPECT_EQ(status("[null]", operation, "foo.bar", "1", kCreateParents), Status::path_mismatch);
    EXPECT_EQ(status("nonjson", operation, "", "1"), Status::document_not_json);
    EXPECT_EQ(status("[]", operation, "", "notjson"), Status::value_cannot_insert);
    EXPECT_EQ(status("[]", operation, "", " "), Status::value_cannot_insert);
    EXPECT_EQ(status("[]", operation, "", ""), Status::invalid_arguments);
  }
}

TEST(SubdocArray, CreatesTheArrayAndItsParents) {
  EXPECT_EQ(after("{}", Op::array_push_last, "a", "1,2", kCreateParents), R"({"a":[1,2]})");
  EXPECT_EQ(after("{}", Op::array_push_first, "a.b", "1", kCreateParents), R"({"a":{"b":[1]}})");
  EXPECT_EQ(after(R"({"x":0})", Op::array_add_unique, "a.b.c", "\"v\"", kCreateParents),
            R"({"x":0,"a":{"b":{"c":["v"]}}})");
  for (const Op operation : {Op::array_push_first, Op::array_push_last, Op::array_add_unique}) {
    EXPECT_EQ(status(R"({"a":[null]})", operation, "a[1]", "true", kCreateParents), Status::path_missing);
    EXPECT_EQ(status(R"({"a":[null]})", operation, "a[2].b", "true", kCreateParents), Status::path_missing);
    EXPECT_EQ(status(R"({"a":[]})", operation, "a[-1]", "true", kCreateParents), Status::path_missing);
  }
}

TEST(SubdocArray, InsertsInFrontOfAnElementOrBehindTheLast) {
  EXPECT_EQ(after("[1,2,4,5]", Op::array_insert, "[2]", "3"), "[1,2,3,4,5]");
  EXPECT_EQ(after("[1, 2]", Op::array_insert, "[0]", "0"), "[0,1, 2]");
  EXPECT_EQ(after("[1,2]", Op::array_insert, "[2]", "3,4"), "[1,2,3,4]");
  EXPECT_EQ(after("[]", Op::array_insert, "[0]", "1"), "[1]");
  EXPECT_EQ(after(R"({"a":[1,2]})", Op::array_insert, "a[1]", "-3,-2"), R"({"a":[1,-3,-2,2]})");
  EXPECT_EQ(status("[1,2,3]", Op::array_insert, "[4]", "null"), Status::path_missing);
  EXPECT_EQ(status("[1,2,3]", Op::array_insert, "[-1]", "4"), Status::path_invalid);
  EXPECT_EQ(status("[1,2,3]", Op::array_insert, "[0].anything", "null"), Status::path_invalid);
  EXPECT_EQ(status("[1,2,3]", Op::array_insert, "", "null"), Status::path_invalid);
  EXPECT_EQ(status("{}", Op::array_insert, "non_exist[0]", "null"), Status::path_missing);
  EXPECT_EQ(status("{}", Op::array_insert, "non_exist[0]", "null", kCreateParents), Status::path_missing);
  EXPECT_EQ(status("{}", Op::array_insert, "[0]", "null"), Status::path_mismatch);
  EXPECT_EQ(status("[]", Op::array_insert, "[0]", "blah"), Status::value_cannot_insert);
}

TEST(SubdocArray, AddsAScalarOnce) {
  EXPECT_EQ(after("[]", Op::array_add_unique, "", "0"), "[0]");
  EXPECT_EQ(status("[0]", Op::array_add_unique, "", "0"), Status::path_exists);
  EXPECT_EQ(status("[0]", Op::array_add_unique, "", " 0 "), Status::path_exists);
  EXPECT_EQ(after(R"(["1"])", Op::array_add_unique, "", "1"), R"(["1",1])");
  EXPECT_EQ(after(R"(["23"])", Op::array_add_unique, "", "1234"), R"(["23",1234])");
  EXPECT_EQ(after("[1]", Op::array_add_unique, "", "1.0"), "[1,1.0]");
  EXPECT_EQ(status(R"([true,"a"])", Op::array_add_unique, "", R"("a")"), Status::path_exists);
  EXPECT_EQ(status(R"({"u":[1]})", Op::array_add_unique, "u", "[]"), Status::value_cannot_insert);
  EXPECT_EQ(status(R"({"u":[1]})", Op::array_add_unique, "u", "{}"), Status::value_cannot_insert);
  EXPECT_EQ(status(R"({"u":[1]})", Op::array_add_unique, "u", "1,2,3"), Status::value_cannot_insert);
  EXPECT_EQ(status(R"({"u":[1,[]]})", Op::array_add_unique, "u", "2"), Status::path_mismatch);
  EXPECT_EQ(status(R"({"u":[1,[]]})", Op::array_add_unique, "u", "1"), Status::path_exists);
}

TEST(SubdocArray, AddsAScalarOnceBehindANegativeIndex) {
  constexpr std::string_view kText = R"({"a":[[0],[1,2]],"o":[{"b":[1,2]}]})";
  EXPECT_EQ(status(kText, Op::array_add_unique, "a[-1]", "2"), Status::path_exists);
  EXPECT_EQ(status(kText, Op::array_add_unique, "o[-1].b", "1"), Status::path_exists);
  EXPECT_EQ(after(kText, Op::array_add_unique, "a[-1]", "0"), R"({"a":[[0],[1,2,0]],"o":[{"b":[1,2]}]})");
  EXPECT_EQ(status(R"({"a":[[1,[2]]]})", Op::array_add_unique, "a[-1]", "3"), Status::path_mismatch);
  EXPECT_EQ(status(R"({"a":[1,"s"]})", Op::array_add_unique, "a[-1]", "3"), Status::path_mismatch);
}

TEST(SubdocNegativeIndex, OfAScalarIsAMismatchLikeItsPositiveOne) {
  for (const std::string_view last : {"false", "12", R"("s")", "null"}) {
    const std::string text = R"({"a":[[1],)" + std::string(last) + "]}";
    for (const std::string_view suffix : {"[-1]", "[0]", ".k"}) {
      for (const Op operation : {Op::get, Op::replace, Op::remove, Op::dict_upsert, Op::array_push_last}) {
        EXPECT_EQ(status(text, operation, "a[-1]" + std::string(suffix), "1"), Status::path_mismatch)
            << text << suffix;
        EXPECT_EQ(status(text, operation, "a[1]" + std::string(suffix), "1"), Status::path_mismatch)
            << text << suffix;
      }
    }
  }
}

TEST(SubdocCounter, AddsToWhatIsThere) {
  EXPECT_EQ(after(R"({"c": 1 })", Op::counter, "c", "-101"), R"({"c": -100 })");
  EXPECT_EQ(result(R"({"c":1})", Op::counter, "c", "-101"), "-100");
  EXPECT_EQ(result(R"({"c":-99})", Op::counter, "c", "9223372036854775807"), "9223372036854775708");
  EXPECT_EQ(result(R"({"c":-0})", Op::counter, "c", "5"), "5");
  EXPECT_EQ(after("[-20]", Op::counter, "[0]", "1"), "[-19]");
  EXPECT_EQ(after("[1,-20]", Op::counter, "[-1]", "1"), "[1,-19]");
}

TEST(SubdocCounter, BeginsWithTheDelta) {
  EXPECT_EQ(after("{}", Op::counter, "c", "7"), R"({"c":7})");
  EXPECT_EQ(result("{}", Op::counter, "c", "7"), "7");
  EXPECT_EQ(after(R"({"x":{"y":1}})", Op::counter, "x.c", "-7"), R"({"x":{"y":1,"c":-7}})");
  EXPECT_EQ(after("{}", Op::counter, "a.b.c", "7", kCreateParents), R"({"a":{"b":{"c":7}}})");
  EXPECT_EQ(status("{}", Op::counter, "a.b.c", "7"), Status::path_missing);
  EXPECT_EQ(status("[]", Op::counter, "[0]", "42"), Status::path_missing);
  EXPECT_EQ(status("[]", Op::counter, "[0]", "42", kCreateParents), Status::path_missing);
  EXPECT_EQ(status(R"({"a":[null]})", Op::counter, "a[1]", "100", kCreateParents), Status::path_missing);
  EXPECT_EQ(status("{}", Op::counter, "a[0]", "1", kCreateParents), Status::path_invalid);
}

TEST(SubdocCounter, ReachesTheLimitsOfAnInt64AndNoFurther) {
  const std::string min = std::to_string(std::numeric_limits<int64_t>::min());
  const std::string max = std::to_string(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(result(R"({"c":0})", Op::counter, "c", min), min);
  EXPECT_EQ(result(R"({"c":0})", Op::counter, "c", max), max);
  EXPECT_EQ(result("{\"c\":" + max + "}", Op::counter, "c", min), "-1");
  EXPECT_EQ(result(R"({"c":9223372036854775806})", Op::counter, "c", "1"), max);
  EXPECT_EQ(status(R"({"c":9223372036854775806})", Op::counter, "c", "2"), Status::value_cannot_insert);
  EXPECT_EQ(result(R"({"c":-9223372036854775807})", Op::counter, "c", "-1"), min);
  EXPECT_EQ(status(R"({"c":-9223372036854775807})", Op::counter, "c", "-2"), Status::value_cannot_insert);
  EXPECT_EQ(status(R"({"c":9223372036854775808})", Op::counter, "c", "1"), Status::number_out_of_range);
  EXPECT_EQ(status(R"({"c":9999999999999999999999999999999})", Op::counter, "c", "1"),
            Status::number_out_of_range);
}

TEST(SubdocCounter, NeedsWholeNumbers) {
  for (const std::string_view old : {"3.14", "1e5", "\"1\"", "true", "null", "[]", "{}"})
    EXPECT_EQ(status("{\"c\":" + std::string(old) + "}", Op::counter, "c", "1"), Status::path_mismatch)
        << old;
  for (const std::string_view delta :
       {"bad", "3.14", "-", "43f", "0", "-0", "01", "+1", " 1", "1 ", "", "\"1\"", "9223372036854775808",
        "-9223372036854775809", "99999999999999999999999"})
    EXPECT_EQ(status(R"({"c":1})", Op::counter, "c", delta, kCreateParents), Status::delta_invalid) << delta;
  EXPECT_EQ(status("{}", Op::counter, "", "1"), Status::path_mismatch);
}

TEST(SubdocDepth, OfTheResultIsAtMost32) {
  const auto nested = [](size_t levels, std::string_view inner) {
    return std::string(levels, '[') + std::string(inner) + std::string(levels, ']');
  };
  const auto path = [](size_t components) {
    std::string out;
    for (size_t i = 0; i < components; ++i)
      out += "[0]";
    return out;
  };
  EXPECT_EQ(status(nested(31, "1"), Op::replace, path(31), "2"), Status::success);
  EXPECT_EQ(status(nested(31, "1"), Op::replace, path(30), "[3,4]"), Status::success);
  EXPECT_EQ(status(nested(31, "1"), Op::replace, path(30), "[[5]]"), Status::value_too_deep);
  EXPECT_EQ(status(nested(31, "1"), Op::replace, path(30), "[[]]"), Status::success);
  EXPECT_EQ(status(nested(31, "1"), Op::array_insert, path(31), "2"), Status::success);
  EXPECT_EQ(status(nested(31, "1"), Op::array_insert, path(31), "[2]"), Status::value_too_deep);
  EXPECT_EQ(status(nested(31, "1"), Op::array_push_last, path(30), "[]"), Status::success);
  EXPECT_EQ(status(nested(31, "1"), Op::array_push_last, path(30), "[2]"), Status::value_too_deep);
}

TEST(SubdocDepth, AllowsPathsOf31Components) {
  struct Case {
    Op operation;
    bool adds_below;  ///< a path of 31 components leaves no level for the element
  };
  for (const Case& test :
       {Case{Op::get, false}, Case{Op::exists, false}, Case{Op::replace, false}, Case{Op::remove, false},
        Case{Op::dict_upsert, false}, Case{Op::dict_add, false}, Case{Op::array_push_first, true},
        Case{Op::array_push_last, true}, Case{Op::array_add_unique, true}, Case{Op::array_insert, false},
        Case{Op::counter, false}, Case{Op::get_count, false}}) {
    const std::string_view last = test.operation == Op::array_insert ? "[0]" : "last";
    const Status longest = status("{}", test.operation, deep_path(31, last), "123");
    EXPECT_EQ(longest, test.adds_below ? Status::value_too_deep : Status::path_missing);
    EXPECT_EQ(status("{}", test.operation, deep_path(32, last), "123"), Status::path_too_big);
  }
}

TEST(SubdocHostile, AnswersWhateverIsThere) {
  const std::string deep = std::string(10000, '[') + std::string(10000, ']');
  EXPECT_EQ(status(deep, Op::get, "[0][0]"), Status::document_too_deep);
  EXPECT_EQ(status(deep, Op::array_push_last, "", "1"), Status::document_too_deep);
  EXPECT_EQ(status("[]", Op::array_push_last, "", deep), Status::value_too_deep);
  const std::string large = "[\"" + std::string(20 << 20, 'x') + "\"]";
  EXPECT_EQ(result(large, Op::get_count, ""), "1");
  EXPECT_EQ(run_on(large, Op::array_push_last, "", "1").text.size(), large.size() + 2);
  EXPECT_EQ(run_on("[1]", Op::array_push_first, "", large).text.size(), large.size() + 4);
  EXPECT_EQ(status("{\"\xff\":1}", Op::get, "a"), Status::document_not_json);
}

TEST(TextEdit, AppliesInPlaceWhatItWouldWrite) {
  for (const std::string_view value : {"", "x", "longer than what was there before"}) {
    TextEdit edit;
    edit.cut = {3, 6};
    edit.head = "<";
    edit.value = value;
    edit.tail = ">";
    std::string text = "0123456789";
    std::string written(edit.size_after(text.size()), '\0');
    edit.write(written.data(), text);
    EXPECT_EQ(written, "012<" + std::string(value) + ">6789");
    edit.apply(text);
    EXPECT_EQ(text, written);
  }
}

}  // namespace
}  // namespace bobbin::wire
