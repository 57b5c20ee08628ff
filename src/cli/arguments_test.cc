#include "cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/suggestion.h"

namespace bobbin::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

CommandLine sample() {
  CommandLine line;
  line.usage = "set KEY [VALUE] [options]";
  line.summary = "Stores a value.";
  line.flags = {{"--ttl", 't', "DURATION", "Expire after this time", "Options", "default 0"},
                {"--listen", 0, "ADDRESS", "Where", "Options"},
                {"--add", 0, "", "Only if it is not there", "Conditions"}};
  line.min_positionals = 1;
  line.max_positionals = 2;
  line.examples = "bobbin set a b\nbobbin set c d";
  return line;
}

base::Result<Arguments, base::Error> parse(const std::vector<std::string>& words) {
  return parse_arguments(sample(), words);
}

std::string problem(const std::vector<std::string>& words) {
  const auto arguments = parse(words);
  return arguments ? "no problem" : arguments.error().message;
}

TEST(ArgumentsTest, FlagsAndPositionalsMayMix) {
  const auto arguments = parse({"--ttl", "5s", "key", "--add", "value"});
  ASSERT_TRUE(arguments) << arguments.error().message;
  EXPECT_EQ(arguments->last("--ttl"), "5s");
  EXPECT_TRUE(arguments->has("--add"));
  EXPECT_FALSE(arguments->has("--listen"));
  EXPECT_THAT(arguments->positionals(), ElementsAre("key", "value"));
}

TEST(ArgumentsTest, LettersAndEqualSignsWork) {
  EXPECT_EQ(parse({"key", "-t", "5s"})->last("--ttl"), "5s");
  EXPECT_EQ(parse({"key", "--ttl=5s"})->last("--ttl"), "5s");
  EXPECT_EQ(parse({"key", "--add=false"})->last("--add"), "false");
}

TEST(ArgumentsTest, AFlagTakesOneValueEachTimeAndTheLastWins) {
  const auto arguments = parse({"--listen", "a", "key", "--listen", "b", "value", "-t", "1", "-t", "2"});
  ASSERT_TRUE(arguments) << arguments.error().message;
  EXPECT_THAT(arguments->all("--listen"), ElementsAre("a", "b"));
  EXPECT_EQ(arguments->last("--ttl"), "2");
  EXPECT_THAT(arguments->positionals(), ElementsAre("key", "value"));
}

TEST(ArgumentsTest, TwoDashesEndTheFlags) {
  EXPECT_THAT(parse({"key", "--", "--add"})->positionals(), ElementsAre("key", "--add"));
  EXPECT_FALSE(parse({"key", "--", "--add"})->has("--add"));
  EXPECT_THAT(parse({"--", "--", "x"})->positionals(), ElementsAre("--", "x"));
}

TEST(ArgumentsTest, ASingleDashAndAnEmptyTextArePositionals) {
  EXPECT_THAT(parse({"key", "-"})->positionals(), ElementsAre("key", "-"));
  EXPECT_THAT(parse({"key", ""})->positionals(), ElementsAre("key", ""));
}

TEST(ArgumentsTest, ErrorsSayWhatIsMeant) {
  EXPECT_THAT(problem({"key", "--tll", "5"}), HasSubstr("unknown flag --tll, did you mean --ttl?"));
  EXPECT_THAT(problem({"key", "--tll=5"}), HasSubstr("unknown flag --tll, did you mean --ttl?"));
  EXPECT_THAT(problem({"key", "--completely-else"}), HasSubstr("unknown flag --completely-else (put --"));
  EXPECT_EQ(problem({"key", "--ttl"}), "--ttl needs a value");
  EXPECT_EQ(problem({}), "an argument is missing (usage: bobbin set KEY [VALUE] [options])");
  EXPECT_THAT(problem({"a", "b", "c"}), HasSubstr("unexpected argument \"c\""));
}

TEST(ArgumentsTest, HelpIsGivenWhateverElseIsWrong) {
  for (const char* flag : {"-h", "--help"}) {
    const auto arguments = parse({"--nonsense", flag});
    ASSERT_TRUE(arguments) << arguments.error().message;
    EXPECT_TRUE(arguments->help());
  }
}

TEST(HelpText, HasEverythingAndStaysWithinTheWidth) {
  CommandLine line = sample();
  line.flags.push_back(
      {"--a-flag-with-a-very-long-name-indeed", 0, "VALUE", std::string(300, 'x') + " y", "More"});
  line.details = "many words " + std::string(80, 'a') + " " + std::string(80, 'b');
  const std::string text = help_text(line);
  EXPECT_THAT(text, HasSubstr("Usage: bobbin set KEY [VALUE] [options]\n"));
  EXPECT_THAT(text, HasSubstr("\nOptions:\n  -t, --ttl DURATION"));
  EXPECT_THAT(text, HasSubstr("Expire after this time [default 0]\n"));
  EXPECT_THAT(text, HasSubstr("\nConditions:\n      --add "));
  EXPECT_THAT(text, HasSubstr("  -h, --help "));
  EXPECT_THAT(text, HasSubstr("\nExamples:\n  bobbin set a b\n  bobbin set c d\n"));
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = text.find('\n', at);
    const std::string one = text.substr(at, end - at);
    if (one.find("xxx") == std::string::npos) {
      EXPECT_LE(one.size(), 100u) << one;
    }
    at = end + 1;
  }
}

TEST(Suggestion, OffersTheClosestOrNothing) {
  const std::vector<std::string> known = {"serve", "get", "set", "stat"};
  EXPECT_EQ(did_you_mean("sevre", known), ", did you mean serve?");
  EXPECT_EQ(did_you_mean("stats", known), ", did you mean stat?");
  EXPECT_EQ(did_you_mean("banana", known), "");
  EXPECT_EQ(did_you_mean("", known), "");
}

}  // namespace
}  // namespace bobbin::cli
