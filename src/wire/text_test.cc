#include "wire/text.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace bobbin::wire {
namespace {

// ---- lines

TEST(CutLine, EndsAtTheNewlineAndDropsOneCarriageReturn) {
  const struct {
    std::string_view unread;
    std::string_view line;
    size_t consumed;
  } cases[] = {{"get a\r\n", "get a", 7}, {"get a\nget b\n", "get a", 6}, {"\n", "", 1},
               {"\r\n", "", 2},           {"get a\r\r\n", "get a\r", 8},  {"a\rb\n", "a\rb", 4}};
  for (const auto& c : cases) {
    const LineCut cut = cut_line(c.unread);
    EXPECT_EQ(cut.state, LineState::complete);
    EXPECT_EQ(cut.line, c.line);
    EXPECT_EQ(cut.consumed, c.consumed);
  }
}

TEST(CutLine, WithoutANewlineSaysHowFarItLooked) {
  for (const std::string_view unread : {"", "g", "get a", "get a\r"}) {
    const LineCut cut = cut_line(unread);
    EXPECT_EQ(cut.state, LineState::incomplete);
    EXPECT_EQ(cut.scanned, unread.size());
    EXPECT_EQ(cut.consumed, 0U);
  }
}

TEST(CutLine, DoesNotLookAgainAtWhatWasScanned) {
  // The newline lies in what the caller says was scanned: not found there, which proves it was not looked at.
  EXPECT_EQ(cut_line("ab\ncd", 4).state, LineState::incomplete);
  const LineCut cut = cut_line("abcd\n", 4);
  EXPECT_EQ(cut.state, LineState::complete);
  EXPECT_EQ(cut.line, "abcd");
  EXPECT_EQ(cut_line("ab", 7).state, LineState::incomplete);
}

TEST(CutLine, ALineMayHaveExactlyTheLimit) {
  const std::string at_limit(kMaxLineBytes, 'x');
  EXPECT_EQ(cut_line(at_limit).state, LineState::incomplete);
  EXPECT_EQ(cut_line(at_limit + "\n").state, LineState::complete);
  EXPECT_EQ(cut_line(at_limit + "x").state, LineState::too_long);
  EXPECT_EQ(cut_line(at_limit + "x\n").state, LineState::too_long);
}

TEST(CutLine, ARetrievalMayBeMuchLonger) {
  for (const std::string_view verb : {"get ", "gets ", "gat ", "gats ", "  get "}) {
    std::string line(verb);
    line.resize(kMaxRetrievalLineBytes, 'k');
    EXPECT_EQ(cut_line(line).state, LineState::incomplete) << verb;
    EXPECT_EQ(cut_line(line + "\n").state, LineState::complete) << verb;
    EXPECT_EQ(cut_line(line + "k").state, LineState::too_long) << verb;
    EXPECT_EQ(cut_line(line + "k\n").state, LineState::too_long) << verb;
  }
}

TEST(CutLine, OnlyARetrievalMay) {
  for (const std::string_view verb : {"set ", "mg ", "getx ", "GET ", "get", "gatss ", "xget "}) {
    std::string line(verb);
    line.resize(kMaxLineBytes + 1, 'k');
    EXPECT_EQ(cut_line(line).state, LineState::too_long) << verb;
  }
  EXPECT_EQ(cut_line(std::string(kMaxLineBytes + 1, ' ')).state, LineState::too_long);
}

// ---- words

TEST(Words, AreSeparatedByAnyNumberOfSpaces) {
  Words words("  a  bc   d ");
  EXPECT_EQ(words.next(), "a");
  EXPECT_EQ(words.next(), "bc");
  EXPECT_EQ(words.rest(), "   d ");
  EXPECT_EQ(words.next(), "d");
  EXPECT_EQ(words.next(), "");
  EXPECT_EQ(words.next(), "");
}

TEST(Words, OnlyTheSpaceSeparates) {
  Words words("a\tb\rc");
  EXPECT_EQ(words.next(), "a\tb\rc");
}

TEST(Words, FindTheSpaceAtEveryDistance) {
  // Among bytes that differ from the space in one bit or by one, which a search over whole words may mistake.
  for (const char filler : {'x', '!', '\x1f', '\xa0', '\0', '\xff', '0'}) {
    for (size_t length = 1; length <= 40; ++length) {
      const std::string word(length, filler);
      for (size_t lead = 0; lead < 9; ++lead) {
        const std::string line = std::string(lead, ' ') + word + " " + word;
        Words words(line);
        ASSERT_EQ(words.next(), word);
        ASSERT_EQ(words.next(), word);
        ASSERT_EQ(words.next(), "");
      }
    }
  }
}

TEST(SplitVerb, ToleratesSpacesAroundTheVerb) {
  EXPECT_EQ(split_verb("get a").verb, "get");
  EXPECT_EQ(split_verb("  get a").verb, "get");
  EXPECT_EQ(split_verb("quit").arguments, "");
  EXPECT_EQ(split_verb("").verb, "");
  EXPECT_EQ(split_verb("   ").verb, "");
}

// ---- requests

TEST(ParseText, ReadsAllOfAStorageLine) {
  TextRequest request;
  ASSERT_EQ(parse_text(Shape::storage, " k 7 -1 42", request), TextStatus::ok);
  EXPECT_EQ(request.key, "k");
  EXPECT_EQ(request.flags, 7U);
  EXPECT_EQ(request.exptime, -1);
  EXPECT_EQ(request.value_bytes, 42U);
  EXPECT_FALSE(request.noreply);
}

TEST(ParseText, LeavesNothingOfTheRequestBefore) {
  TextRequest request;
  ASSERT_EQ(parse_text(Shape::storage, "k 7 9 42 noreply", request), TextStatus::ok);
  ASSERT_EQ(parse_text(Shape::retrieval, "a", request), TextStatus::ok);
  EXPECT_FALSE(request.noreply);
  EXPECT_EQ(request.flags, 0U);
  EXPECT_EQ(request.value_bytes, 0U);
}

TEST(ParseText, ReadsTheCasOfACas) {
  TextRequest request;
  ASSERT_EQ(parse_text(Shape::cas, "k 0 0 1 18446744073709551615 noreply", request), TextStatus::ok);
  EXPECT_EQ(request.cas, UINT64_MAX);
  EXPECT_TRUE(request.noreply);
}

TEST(ParseText, ChecksEveryKeyOfARetrieval) {
  const std::string longest(kMaxKeyBytes, 'k');
  TextRequest request;
  EXPECT_EQ(parse_text(Shape::retrieval, longest, request), TextStatus::ok);
  EXPECT_EQ(parse_text(Shape::retrieval, "a " + longest + "  b", request), TextStatus::ok);
  EXPECT_EQ(parse_text(Shape::retrieval, longest + "k", request), TextStatus::bad_format);
  EXPECT_EQ(parse_text(Shape::retrieval, "a b " + longest + "k c", request), TextStatus::bad_format);
  EXPECT_EQ(parse_text(Shape::gat, "0 a " + longest + "k c", request), TextStatus::bad_format);
}

TEST(ParseText, GivesTheKeysOfARetrievalAsWords) {
  std::string line;
  for (int i = 0; i < 1000; ++i)
    line += "  key" + std::to_string(i);
  TextRequest request;
  ASSERT_EQ(parse_text(Shape::retrieval, line, request), TextStatus::ok);
  EXPECT_EQ(request.key, "key0");
  Words keys(request.words);
  for (int i = 0; i < 1000; ++i)
    ASSERT_EQ(keys.next(), "key" + std::to_string(i));
  EXPECT_EQ(keys.next(), "");
}

TEST(ParseText, AGatMayNameNoKey) {
  TextRequest request;
  ASSERT_EQ(parse_text(Shape::gat, "12", request), TextStatus::ok);
  EXPECT_EQ(request.exptime, 12);
  EXPECT_EQ(request.key, "");
  EXPECT_EQ(Words(request.words).next(), "");
}

TEST(ParseText, KeepsTheWordsOfStatsAndWatch) {
  TextRequest request;
  ASSERT_EQ(parse_text(Shape::words, " items 1", request), TextStatus::ok);
  EXPECT_EQ(request.words, " items 1");
}

TEST(TextError, HasALineForEveryStatus) {
  for (const TextStatus status :
       {TextStatus::wrong_word_count, TextStatus::bad_format, TextStatus::bad_exptime, TextStatus::bad_delta,
        TextStatus::bad_delete_format}) {
    EXPECT_TRUE(text_error(status).ends_with("\r\n"));
  }
  EXPECT_EQ(text_error(TextStatus::ok), "");
}

// ---- replies

TEST(TextReply, TheLongestValueLineFits) {
  const std::string key(kMaxKeyBytes, 'k');
  std::array<char, kMaxValueLineBytes> out{};
  const size_t size = write_value_line(out.data(), key, UINT32_MAX, UINT32_MAX, UINT64_MAX);
  EXPECT_EQ(size, kMaxValueLineBytes);
  EXPECT_EQ(std::string_view(out.data(), size),
            "VALUE " + key + " 4294967295 4294967295 18446744073709551615\r\n");
}

TEST(TextReply, Lines) {
  std::array<char, 128> out{};
  const auto text = [&](size_t size) { return std::string(out.data(), size); };
  EXPECT_EQ(text(write_value_line(out.data(), "k", 1, 2)), "VALUE k 1 2\r\n");
  EXPECT_EQ(text(write_value_line(out.data(), "k", 1, 2, 3)), "VALUE k 1 2 3\r\n");
  EXPECT_EQ(text(write_number_line(out.data(), 0)), "0\r\n");
  EXPECT_EQ(text(write_number_line(out.data(), UINT64_MAX)), "18446744073709551615\r\n");
  EXPECT_EQ(text(write_stat_line(out.data(), "pid", "12")), "STAT pid 12\r\n");
  EXPECT_EQ(text(write_stat_line(out.data(), "pid", 13)), "STAT pid 13\r\n");
  EXPECT_EQ(text(write_version_line(out.data(), "1.2")), "VERSION 1.2\r\n");
  EXPECT_EQ(stat_line_bytes("pid", "12"), std::string_view("STAT pid 12\r\n").size());
}

}  // namespace
}  // namespace bobbin::wire
