#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/config_test_support.h"

namespace bobbin::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string errors_of_file(const std::string& text) {
  return ConfigCase{.file = text}.errors();
}

TEST(ConfigErrors, AWrongValueIsNamedWithItsLine) {
  EXPECT_EQ(errors_of_file("# a comment\n\nport = 1\nmemory = \"64Q\"\n"),
            "FILE:4: memory: \"64Q\" is not a size (examples: 512M, 4GiB)\n");
}

TEST(ConfigErrors, AnUnknownKeyIsNamedWithItsLineAndTheOneThatWasMeant) {
  EXPECT_EQ(errors_of_file("port = 1\nmax_itemsize = 5\n"),
            "FILE:2: unknown key \"max_itemsize\", did you mean max_item_size?\n");
  EXPECT_EQ(errors_of_file("[limits]\nport = 1\n"), "FILE:1: unknown key \"limits\"\n");
}

TEST(ConfigErrors, AWrongTypeIsNamedWithItsLine) {
  EXPECT_EQ(errors_of_file("port = \"1\"\n"), "FILE:1: port: expected a number, found the text \"1\"\n");
  EXPECT_EQ(errors_of_file("\nthreads = 2.5\n"),
            "FILE:2: threads: expected a number, found a number with a decimal point\n");
  EXPECT_EQ(errors_of_file("disable_evictions = 1\n"),
            "FILE:1: disable_evictions: expected true or false, found the number 1\n");
  EXPECT_EQ(errors_of_file("unix_mode = 700\n"),
            "FILE:1: unix_mode: expected a file mode in quotes (example: \"0770\"), found the number 700\n");
  EXPECT_EQ(
      errors_of_file("memory = true\n"),
      "FILE:1: memory: expected a size (examples: \"512M\", \"4GiB\", or a number of bytes), found true\n");
  EXPECT_EQ(errors_of_file("port = [1]\n"), "FILE:1: port: expected a number, found a list\n");
  EXPECT_EQ(errors_of_file("pid_file = 1979-05-27\n"),
            "FILE:1: pid_file: expected a text in quotes, found a date or time\n");
}

TEST(ConfigErrors, AWrongElementIsNamedWithItsOwnLine) {
  EXPECT_EQ(errors_of_file("listen = [\"127.0.0.1\",\n\"::1\",\n\"host:99999\"]\n"),
            "FILE:3: listen: \"host:99999\" has a port that is not a number from 0 to 65535\n");
  EXPECT_THAT(errors_of_file("listen = [\"127.0.0.1\",\n5]\n"),
              StartsWith("FILE:2: listen: expected a list"));
}

TEST(ConfigErrors, ARangeIsNamedWithItsLine) {
  EXPECT_EQ(errors_of_file("max_item_size = \"1G\"\n"),
            "FILE:1: max_item_size: 1G is too large (1K to 20M)\n");
  EXPECT_EQ(errors_of_file("max_connections = 0\n"),
            "FILE:1: max_connections: 0 is too small (1 to 1000000)\n");
  EXPECT_EQ(errors_of_file("threads = -1\n"), "FILE:1: threads: \"-1\" is not a number (digits only)\n");
}

TEST(ConfigErrors, WhatIsNoTomlIsNamedWithLineAndColumn) {
  EXPECT_THAT(errors_of_file("port = 1\nmemory =\n"), StartsWith("FILE:2:"));
  EXPECT_THAT(errors_of_file("port = 1\nport = 2\n"), StartsWith("FILE:2:"));
  EXPECT_THAT(errors_of_file("listen = [\"a\"\n"), StartsWith("FILE:"));
}

TEST(ConfigErrors, AllOfThemAreTold) {
  const ConfigCase all{.file = "port = true\nfrobnicate = 1\nthreads = 9999\n",
                       .environment = {{"BOBBIN_MEMORY", "much"}},
                       .words = {"--idle-timeout", "never"}};
  EXPECT_EQ(all.errors(),
            "FILE:1: port: expected a number, found true\n"
            "FILE:2: unknown key \"frobnicate\"\n"
            "FILE:3: threads: 9999 is too large (0 to 1024)\n"
            "environment variable BOBBIN_MEMORY: \"much\" is not a size (examples: 512M, 4GiB)\n"
            "--idle-timeout: \"never\" is not a duration (examples: 30s, 500ms, 5m)\n");
}

TEST(ConfigErrors, AFileThatCannotBeReadIsNamed) {
  EXPECT_EQ((ConfigCase{.words = {"--config", "/no/such/file"}}.errors()),
            "/no/such/file: No such file or directory\n");
  EXPECT_EQ((ConfigCase{.words = {"--config", "/"}}.errors()), "/: is a directory\n");
}

TEST(ConfigErrors, APublicAddressSaysWhereItCameFrom) {
  EXPECT_THAT(errors_of_file("\nlisten = [\"0.0.0.0\"]\n"),
              StartsWith("FILE:2: listen: refusing to listen on 0.0.0.0:11211"));
  EXPECT_THAT((ConfigCase{.words = {"--listen", "::"}}.errors()),
              StartsWith("--listen: refusing to listen on [::]:11211"));
  EXPECT_THAT((ConfigCase{.environment = {{"BOBBIN_LISTEN", "0.0.0.0"}}}.errors()),
              HasSubstr("environment variable BOBBIN_LISTEN: refusing"));
}

TEST(ConfigErrors, APublicAddressIsToldOnceWhateverItsPorts) {
  const auto config = ConfigCase{.words = {"--listen", "0.0.0.0"}}.load();
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().size(), 1u);
}

TEST(ConfigErrors, WhoLetsEverybodyInDoesSoOnLoopbackOnly) {
  EXPECT_THAT((ConfigCase{.words = {"--dev", "--listen", "0.0.0.0", "--force-public"}}.errors()),
              StartsWith("--listen: --dev lets everybody in"));
}

TEST(ConfigErrors, WhatIsAdvertisedIsAHostOrOneWithAPort) {
  for (const char* fine : {"db.example.org", "db.example.org:4711", "192.0.2.7:11210", "::1", "[::1]:4711"})
    EXPECT_TRUE((ConfigCase{.words = {"--advertise", fine}}.load())) << fine;
  for (const char* wrong : {"a\"b", "host:port", "host:99999", "unix:/s", "/s", "[::1", "a b", "$HOST"})
    EXPECT_THAT((ConfigCase{.words = {"--advertise", wrong}}.errors()), StartsWith("--advertise: ")) << wrong;
}

TEST(ConfigErrors, NothingToListenOn) {
  EXPECT_THAT((ConfigCase{.words = {"--listen", "none"}}.errors()), HasSubstr("nothing to listen on"));
}

TEST(ConfigErrors, ATooLongSocketPathIsNamed) {
  EXPECT_THAT((ConfigCase{.words = {"--unix-socket", "/" + std::string(200, 's')}}.errors()),
              StartsWith("--unix-socket: "));
}

TEST(ConfigErrors, AServerThatFollowsAnotherHasASourceADiskAndNoSeed) {
  EXPECT_EQ(errors_of_file("follow = \"host:99999\"\n"),
            "FILE:1: follow: \"host:99999\" has a port that is not a number from 0 to 65535\n");
  EXPECT_THAT(errors_of_file("follow = \"host\"\nmemory = \"64M\"\n"), HasSubstr("keeps no history"));
  EXPECT_THAT(errors_of_file("follow = \"host\"\n[[buckets]]\nname = \"b\"\n"), HasSubstr("is its source's"));
  EXPECT_EQ(errors_of_file("follow_user = \"ann\"\n"),
            "FILE:1: follow_user: this is for a server that follows another (--follow)\n");
  EXPECT_THAT(errors_of_file("follow = \"host\"\nfollow_password = \"x\"\n"), HasSubstr("(--follow-user)"));
  EXPECT_THAT(
      errors_of_file("follow = \"host\"\nfollow_user = \"ann\"\nfollow_password_file = \"/no/file\"\n"),
      HasSubstr("/no/file cannot be read"));
}

TEST(ConfigErrors, ASourceThatIsTrustedIsSpokenToThroughTls) {
  EXPECT_THAT(errors_of_file("follow_tls = true\n"), HasSubstr("(--follow)"));
  EXPECT_THAT(errors_of_file("follow = \"host\"\nfollow_cafile = \"ca.pem\"\n"), HasSubstr("(--follow-tls)"));
  EXPECT_THAT(errors_of_file("follow = \"host\"\nfollow_insecure = true\n"), HasSubstr("(--follow-tls)"));
  EXPECT_THAT(errors_of_file("follow = \"unix:/socket\"\nfollow_tls = true\n"), HasSubstr("no name"));
  EXPECT_THAT(errors_of_file("follow = \"host\"\nfollow_tls = true\nfollow_cafile = \"ca.pem\"\n"
                             "follow_insecure = true\n"),
              HasSubstr("nobody is asked"));
}

TEST(ConfigErrors, BucketsThatAreFollowedHaveNames) {
  EXPECT_THAT(errors_of_file("follow_buckets = \"a\"\n"), HasSubstr("(--follow)"));
  EXPECT_EQ(errors_of_file("follow = \"host\"\nfollow_buckets = \"a,,b\"\n"),
            "FILE:2: follow_buckets: \"\" is no name of a bucket\n");
  EXPECT_EQ(errors_of_file("follow = \"host\"\nfollow_buckets = \"a,b,a\"\n"),
            "FILE:2: follow_buckets: a is named twice\n");
  const auto config = ConfigCase{.words = {"--follow", "host", "--follow-buckets", "a,default"}}.load();
  ASSERT_TRUE(config);
  EXPECT_THAT(followed_buckets(*config), testing::ElementsAre("a", "default"));
}

TEST(ConfigErrors, ASourcesPortIsThatOfTlsWhereTlsIsSpoken) {
  const auto plain = ConfigCase{.words = {"--follow", "host"}}.load();
  ASSERT_TRUE(plain);
  EXPECT_EQ(source_address(*plain)->port, 11210);
  const auto through_tls = ConfigCase{.words = {"--follow", "host", "--follow-tls"}}.load();
  ASSERT_TRUE(through_tls);
  EXPECT_EQ(source_address(*through_tls)->port, 11207);
}

TEST(ConfigErrors, ThePasswordOfAFileIsItsFirstLine) {
  const TemporaryFile secret("se cret\r\nmore\n");
  const auto config = ConfigCase{.environment = {{"BOBBIN_FOLLOW", "host"}, {"BOBBIN_FOLLOW_USER", "ann"}},
                                 .words = {"--follow-password-file", secret.path()}}
                          .load();
  ASSERT_TRUE(config);
  EXPECT_EQ(config->follow_password, "se cret");
}

}  // namespace
}  // namespace bobbin::cli
