#include "wire/subdoc_path.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bobbin::wire {
namespace {

/// A path's components, keys in quotes, indexes as numbers, or what is wrong with it.
std::string parsed(std::string_view text) {
  SubdocPath path;
  const SubdocStatus status = path.parse(text);
  if (status == SubdocStatus::path_invalid) return "invalid";
  if (status == SubdocStatus::path_too_big) return "too big";
  std::string out;
  for (const PathComponent& component : path.components()) {
    if (component.kind == PathComponent::Kind::last) out += "last ";
    if (component.kind == PathComponent::Kind::index) out += std::to_string(component.index) + " ";
    if (component.is_key()) out += "<" + std::string(component.key) + "> ";
  }
  return out;
}

std::string repeated(std::string_view piece, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i)
    out += piece;
  return out;
}

TEST(SubdocPath, SeparatesKeysByDotsAndIndexesByBrackets) {
  EXPECT_EQ(parsed("type"), "<type> ");
  EXPECT_EQ(parsed("foo.bar.baz"), "<foo> <bar> <baz> ");
  EXPECT_EQ(parsed("array[1].item[9]"), "<array> 1 <item> 9 ");
  EXPECT_EQ(parsed("foo[0][0][0]"), "<foo> 0 0 0 ");
  EXPECT_EQ(parsed("[1][2][3]"), "1 2 3 ");
  EXPECT_EQ(parsed("pDistributors[-1].dAdded[-1]"), "<pDistributors> last <dAdded> last ");
  EXPECT_EQ(parsed("0"), "<0> ");
  EXPECT_EQ(parsed("F\xc3\xba tbol"), "<F\xc3\xba tbol> ");
}

TEST(SubdocPath, WithoutComponentsIsTheRoot) {
  EXPECT_EQ(parsed(""), "");
}

TEST(SubdocPath, TakesEverythingBetweenBackticksAsItIs) {
  EXPECT_EQ(parsed("`simple`.`escaped`.`path`"), "<simple> <escaped> <path> ");
  EXPECT_EQ(parsed("escaped.`arr.idx`[9]"), "<escaped> <arr.idx> 9 ");
  EXPECT_EQ(parsed("`dot.ted.field`.subfield"), "<dot.ted.field> <subfield> ");
  EXPECT_EQ(parsed("`a[0]]`[0]"), "<a[0]]> 0 ");
  EXPECT_EQ(parsed("ab`.`cd.e"), "<ab.cd> <e> ");
}

TEST(SubdocPath, TakesTwoBackticksForOne) {
  EXPECT_EQ(parsed("`BACKTICK``HAPPY`.`CAMPER`"), "<BACKTICK`HAPPY> <CAMPER> ");
  EXPECT_EQ(parsed("`back``tick``field`"), "<back`tick`field> ");
  EXPECT_EQ(parsed("a``b.c``d"), "<a`b> <c`d> ");
}

TEST(SubdocPath, KeepsEscapesOfJson) {
  EXPECT_EQ(parsed("\\\"quoted.path"), "<\\\"quoted> <path> ");
  EXPECT_EQ(parsed("`field.with.\\\"quotes\\\"`"), "<field.with.\\\"quotes\\\"> ");
  EXPECT_EQ(parsed("a\\\\b\\n"), "<a\\\\b\\n> ");
}

TEST(SubdocPath, ForgivesADotAtTheEndAndBeforeABracket) {
  EXPECT_EQ(parsed("foo."), "<foo> ");
  EXPECT_EQ(parsed("[1].[2].[3]"), "1 2 3 ");
}

TEST(SubdocPath, RefusesWhatIsNoPath) {
  for (const std::string_view text : {".",
                                      "....",
                                      ".foo",
                                      "foo..bar",
                                      "a]",
                                      "a]b",
                                      "[",
                                      "a[",
                                      "a[1",
                                      "[not][a][number]",
                                      "a[]",
                                      "a[-2]",
                                      "a[--1]",
                                      "a[-]",
                                      "a[1 ]",
                                      "a[+1]",
                                      "a[1.5]",
                                      "hello[0]world",
                                      "[18446744073709551616]",
                                      "\"invalid.path",
                                      "a\\",
                                      "a\\x",
                                      "a\\u0041",
                                      "`",
                                      "``",
                                      "`a",
                                      "a`",
                                      "a.`b.c",
                                      "a.``",
                                      "a\x1f",
                                      "a\nb",
                                      "\xc3",
                                      "\xff.a"})
    EXPECT_EQ(parsed(text), "invalid") << text;
  EXPECT_EQ(parsed(std::string_view("a\0b", 3)), "invalid");
}

TEST(SubdocPath, HasAtMostThirtyOneComponents) {
  EXPECT_EQ(parsed(repeated("[0]", kMaxPathComponents)), repeated("0 ", kMaxPathComponents));
  EXPECT_EQ(parsed(repeated("[0]", kMaxPathComponents + 1)), "too big");
  EXPECT_EQ(parsed(repeated("k.", kMaxPathComponents) + "k"), "too big");
}

TEST(SubdocPath, HasAtMost1024Bytes) {
  EXPECT_EQ(parsed(std::string(1024, 'k')), "<" + std::string(1024, 'k') + "> ");
  EXPECT_EQ(parsed(std::string(1025, 'k')), "too big");
  // Unescaped keys have room, however many there are.
  const std::string key(58, 'a');
  EXPECT_EQ(parsed(repeated(key + "``.", 16)), repeated("<" + key + "`> ", 16));
}

TEST(SubdocPath, CanBeParsedAgain) {
  SubdocPath path;
  ASSERT_EQ(path.parse("a``b.c"), SubdocStatus::success);
  ASSERT_EQ(path.parse("d``e"), SubdocStatus::success);
  ASSERT_EQ(path.components().size(), 1U);
  EXPECT_EQ(path.components()[0].key, "d`e");
}

TEST(SubdocPath, OfAnAttributeBeginsWithAKeyThatKnowsNoBackticks) {
  SubdocPath path;
  ASSERT_EQ(path.parse_xattr("_sync.rev[0].`a.b`", 5), SubdocStatus::success);
  ASSERT_EQ(path.components().size(), 4U);
  EXPECT_EQ(path.components()[0].key, "_sync");
  EXPECT_EQ(path.components()[3].key, "a.b");
  ASSERT_EQ(path.parse_xattr("list[-1]", 4), SubdocStatus::success);
  EXPECT_EQ(path.components().size(), 2U);
  EXPECT_EQ(path.parse_xattr("a`b", 3), SubdocStatus::path_invalid);
  EXPECT_EQ(path.parse_xattr("a\"b", 3), SubdocStatus::path_invalid);
  EXPECT_EQ(path.parse_xattr("a\\b", 3), SubdocStatus::path_invalid);
  EXPECT_EQ(path.parse_xattr("a]b", 3), SubdocStatus::path_invalid);
  EXPECT_EQ(path.parse_xattr("a\tb", 3), SubdocStatus::path_invalid);
  EXPECT_EQ(path.parse_xattr("", 0), SubdocStatus::path_invalid);
}

}  // namespace
}  // namespace bobbin::wire
