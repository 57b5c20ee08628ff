#include "cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "cli/load_config.h"
#include "cli/serve_command.h"

namespace bobbin::cli {
namespace {

const Option& row(std::string_view key) {
  for (const Option& option : serve_options()) {
    if (option.key == key) return option;
  }
  ADD_FAILURE() << "no option " << key;
  return serve_options().front();
}

base::Result<void, base::Error> set(ServeConfig& config, std::string_view key,
                                    std::vector<std::string> texts) {
  return set_option(config, row(key), texts);
}

std::string problem(std::string_view key, const std::string& text) {
  ServeConfig config;
  const auto done = set(config, key, {text});
  return done ? "no problem" : done.error().message;
}

TEST(Options, NamesFollowFromTheKey) {
  EXPECT_EQ(flag_name(row("max_item_size")), "--max-item-size");
  EXPECT_EQ(environment_name(row("max_item_size")), "BOBBIN_MAX_ITEM_SIZE");
}

TEST(Options, KeysAndFieldsAreDistinctAndGroupsAreNotSplit) {
  std::set<std::string_view> keys;
  std::set<Field> fields;
  std::set<std::string_view> groups;
  std::string_view group;
  ServeConfig config;
  for (const Option& option : serve_options()) {
    EXPECT_TRUE(keys.insert(option.key).second) << option.key;
    EXPECT_TRUE(fields.insert(option.field(config)).second) << option.key;
    EXPECT_FALSE(option.help.ends_with('.')) << option.key;
    if (option.group == group) continue;
    group = option.group;
    EXPECT_TRUE(groups.insert(group).second) << option.key;
  }
}

TEST(Options, EveryDefaultIsAcceptedAndSetsWhatIsThere) {
  for (const Option& option : serve_options()) {
    ServeConfig config;
    const std::string text = current_text(option, config);
    if (option.type == OptionType::addresses || text.empty()) continue;
    EXPECT_TRUE(set_option(config, option, std::vector<std::string>{text})) << option.key << " " << text;
    EXPECT_EQ(current_text(option, config), text) << option.key;
  }
}

TEST(Options, BothEndsOfEveryRangeAreAcceptedAndFitTheField) {
  for (const Option& option : serve_options()) {
    const std::string range = range_text(option);
    if (range.empty() || !option.choices.empty()) continue;
    const size_t to = range.find(" to ");
    for (const std::string& end : {range.substr(0, to), range.substr(to + 4)}) {
      ServeConfig config;
      ASSERT_TRUE(set_option(config, option, std::vector<std::string>{end})) << option.key << " " << end;
      EXPECT_EQ(current_text(option, config), end) << option.key;
    }
  }
}

TEST(Options, ChoicesAreNamed) {
  for (const Option& option : serve_options()) {
    EXPECT_EQ(option.choices.empty(), option.type != OptionType::choice) << option.key;
    for (const std::string_view choice : option.choices) {
      ServeConfig config;
      ASSERT_TRUE(set_option(config, option, std::vector<std::string>{std::string(choice)})) << option.key;
      EXPECT_EQ(current_text(option, config), choice) << option.key;
    }
  }
  ServeConfig config;
  const auto wrong = set(config, "durability", {"both"});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().message, "\"both\" is not one of memory, disk");
}

TEST(Options, SetTheFieldTheyNameInItsUnit) {
  ServeConfig config;
  ASSERT_TRUE(set(config, "port", {"4711"}));
  ASSERT_TRUE(set(config, "memory", {"1GiB"}));
  ASSERT_TRUE(set(config, "max_item_size", {"20M"}));
  ASSERT_TRUE(set(config, "max_connections", {"50"}));
  ASSERT_TRUE(set(config, "max_unread", {"64K"}));
  ASSERT_TRUE(set(config, "max_unsent", {"128K"}));
  ASSERT_TRUE(set(config, "spool_bytes", {"256K"}));
  ASSERT_TRUE(set(config, "idle_timeout", {"90"}));
  ASSERT_TRUE(set(config, "stall_timeout", {"500ms"}));
  ASSERT_TRUE(set(config, "drain_timeout", {"1s"}));
  ASSERT_TRUE(set(config, "backlog", {"17"}));
  ASSERT_TRUE(set(config, "threads", {"3"}));
  ASSERT_TRUE(set(config, "unix_socket", {"/tmp/s"}));
  ASSERT_TRUE(set(config, "unix_mode", {"0770"}));
  ASSERT_TRUE(set(config, "disable_evictions", {"true"}));
  ASSERT_TRUE(set(config, "log_level", {"debug"}));
  ASSERT_TRUE(set(config, "listen", {"127.0.0.1", "[::1]:7"}));
  using std::chrono::milliseconds;
  EXPECT_EQ(config.port, 4711);
  EXPECT_EQ(config.memory_bytes, size_t{1} << 30);
  EXPECT_EQ(config.max_item_bytes, size_t{20} << 20);
  EXPECT_EQ(config.limits.max_connections, 50u);
  EXPECT_EQ(config.limits.max_unread_bytes, 64u << 10);
  EXPECT_EQ(config.limits.max_unsent_bytes, 128u << 10);
  EXPECT_EQ(config.limits.spool_bytes, 256u << 10);
  EXPECT_EQ(config.limits.idle_timeout, milliseconds(90'000));
  EXPECT_EQ(config.limits.stall_timeout, milliseconds(500));
  EXPECT_EQ(config.limits.drain_timeout, milliseconds(1000));
  EXPECT_EQ(config.limits.backlog, 17);
  EXPECT_EQ(config.threads, 3u);
  EXPECT_EQ(config.unix_socket, "/tmp/s");
  EXPECT_EQ(config.unix_mode, 0770u);
  EXPECT_TRUE(config.disable_evictions);
  EXPECT_EQ(config.log_level, base::LogLevel::debug);
  EXPECT_THAT(config.listen, testing::ElementsAre("127.0.0.1", "[::1]:7"));
}

TEST(Options, SayWhatIsWrongAndHowItShouldLook) {
  EXPECT_EQ(problem("memory", "64Q"), "\"64Q\" is not a size (examples: 512M, 4GiB)");
  EXPECT_EQ(problem("port", "65536"), "\"65536\" is not a port (a number from 0 to 65535)");
  EXPECT_EQ(problem("threads", "none"), "\"none\" is not a number (digits only)");
  EXPECT_EQ(problem("idle_timeout", "soon"), "\"soon\" is not a duration (examples: 30s, 500ms, 5m)");
  EXPECT_EQ(problem("max_item_size", "512"), "512 is too small (1K to 20M)");
  EXPECT_EQ(problem("max_item_size", "21M"), "21M is too large (1K to 20M)");
  EXPECT_EQ(problem("unix_mode", "1777"), "\"1777\" is not a file mode (octal digits, for example 0770)");
  EXPECT_EQ(problem("log_level", "loud"), "\"loud\" is not a log level (error, warning, info or debug)");
  EXPECT_EQ(problem("disable_evictions", "maybe"),
            "\"maybe\" is not true or false (also accepted: yes, no, on, off, 1, 0)");
  EXPECT_EQ(problem("pid_file", ""), "\"\" is not a path (at least one character)");
  EXPECT_EQ(problem("listen", "[::1"), "\"[::1\" has no closing bracket");
}

TEST(Options, AWrongTextLeavesTheFieldAlone) {
  ServeConfig config;
  EXPECT_FALSE(set(config, "memory", {"64Q"}));
  EXPECT_FALSE(set(config, "listen", {"127.0.0.1", "a:b:c:99999999", "host:x"}));
  EXPECT_EQ(config.memory_bytes, ServeConfig{}.memory_bytes);
  EXPECT_EQ(config.listen, ServeConfig{}.listen);
}

TEST(Options, NoneStandsAlone) {
  ServeConfig config;
  ASSERT_TRUE(set(config, "listen", {"none"}));
  config.unix_socket = "/tmp/s";
  const auto addresses = listen_addresses(config);
  ASSERT_TRUE(addresses);
  ASSERT_EQ(addresses->size(), 1u);
  EXPECT_EQ(addresses->front().text(), "unix:/tmp/s");
  EXPECT_FALSE(set(config, "listen", {"127.0.0.1", "none"}));
}

TEST(Options, ThePortIsForAddressesThatNameNone) {
  ServeConfig config;
  config.port = 4711;
  config.listen = {"127.0.0.1", "[::1]:7", "::1"};
  const auto addresses = listen_addresses(config);
  ASSERT_TRUE(addresses);
  EXPECT_EQ((*addresses)[0].text(), "127.0.0.1:4711");
  EXPECT_EQ((*addresses)[1].text(), "[::1]:7");
  EXPECT_EQ((*addresses)[2].text(), "[::1]:4711");
}

TEST(Options, AllAreInHelpAndDocumentation) {
  const std::string help = help_text(serve_line());
  const std::string page = configuration_markdown();
  for (const Option& option : serve_options()) {
    EXPECT_NE(help.find("      " + flag_name(option)), std::string::npos) << option.key;
    EXPECT_NE(page.find("### `" + std::string(option.key) + "`"), std::string::npos) << option.key;
    EXPECT_NE(page.find("`" + environment_name(option) + "`"), std::string::npos) << option.key;
  }
  EXPECT_NE(help.find("[default 64M]"), std::string::npos);
  EXPECT_NE(page.find("* Default `[\"127.0.0.1\", \"::1\"]`"), std::string::npos);
}

}  // namespace
}  // namespace bobbin::cli
