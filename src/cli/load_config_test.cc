#include "cli/load_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/config_test_support.h"

namespace bobbin::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(LoadConfig, WithoutAnythingEverythingIsDefault) {
  const auto config = ConfigCase{}.load();
  ASSERT_TRUE(config);
  EXPECT_EQ(config->port, 11211);
  EXPECT_THAT(config->listen, ElementsAre("127.0.0.1", "::1"));
  EXPECT_EQ(config->limits.max_connections, net::Limits{}.max_connections);
}

TEST(LoadConfig, TheFileWinsOverTheDefault) {
  EXPECT_EQ(ConfigCase{.file = "port = 1\n"}.load()->port, 1);
}

TEST(LoadConfig, TheEnvironmentWinsOverTheFile) {
  EXPECT_EQ((ConfigCase{.file = "port = 1\n", .environment = {{"BOBBIN_PORT", "2"}}}.load()->port), 2);
}

TEST(LoadConfig, AFlagWinsOverTheEnvironment) {
  const ConfigCase all{.file = "port = 1\nthreads = 7\n",
                       .environment = {{"BOBBIN_PORT", "2"}, {"BOBBIN_MEMORY", "2M"}},
                       .words = {"--port", "3"}};
  const auto config = all.load();
  ASSERT_TRUE(config);
  EXPECT_EQ(config->port, 3);
  // What only one place sets comes from there.
  EXPECT_EQ(config->threads, 7u);
  EXPECT_EQ(config->memory_bytes, 2u << 20);
}

TEST(LoadConfig, AListReplacesAndDoesNotAdd) {
  const ConfigCase all{.file = "listen = ['127.0.0.1', '::1']\n",
                       .environment = {{"BOBBIN_LISTEN", "127.0.0.2, 127.0.0.3:5"}}};
  EXPECT_THAT(all.load()->listen, ElementsAre("127.0.0.2", "127.0.0.3:5"));
  ConfigCase with_flags = all;
  with_flags.words = {"--listen", "127.0.0.4", "--listen", "127.0.0.5"};
  EXPECT_THAT(with_flags.load()->listen, ElementsAre("127.0.0.4", "127.0.0.5"));
}

TEST(LoadConfig, TheFileTakesEveryTypeItsOwnWay) {
  const auto config = ConfigCase{.file = R"(
listen = "127.0.0.1"
memory = 1048576
max_item_size = "2M"
idle_timeout = 30
stall_timeout = "250ms"
disable_evictions = true
unix_socket = "/tmp/s"
unix_mode = "0770"
log_level = "warning"
)"}
                          .load();
  ASSERT_TRUE(config);
  EXPECT_THAT(config->listen, ElementsAre("127.0.0.1"));
  EXPECT_EQ(config->memory_bytes, 1u << 20);
  EXPECT_EQ(config->max_item_bytes, 2u << 20);
  EXPECT_EQ(config->limits.idle_timeout, std::chrono::seconds(30));
  EXPECT_EQ(config->limits.stall_timeout, std::chrono::milliseconds(250));
  EXPECT_TRUE(config->disable_evictions);
  EXPECT_EQ(config->unix_mode, 0770u);
  EXPECT_EQ(config->log_level, base::LogLevel::warning);
}

TEST(LoadConfig, MemoryAloneAsksForACacheAndADirectoryForAStore) {
  const auto nothing = ConfigCase{}.load();
  EXPECT_TRUE(nothing->persistent);
  EXPECT_EQ(nothing->data, "bobbin-data");
  EXPECT_GE(nothing->memory_bytes, 64u << 20);
  const auto memory = ConfigCase{.words = {"--memory", "32M"}}.load();
  EXPECT_FALSE(memory->persistent);
  EXPECT_EQ(memory->memory_bytes, 32u << 20);
  const auto both = ConfigCase{.environment = {{"BOBBIN_DATA", "d"}}, .words = {"--memory", "32M"}}.load();
  EXPECT_TRUE(both->persistent);
  EXPECT_EQ(both->data, "d");
  EXPECT_EQ(both->memory_bytes, 32u << 20);
  EXPECT_TRUE((ConfigCase{.words = {"--data", "d"}}.load()->persistent));
}

TEST(LoadConfig, ACacheHasNoDisk) {
  const auto config = ConfigCase{.words = {"--memory", "32M", "--durability", "disk"}}.load();
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error()[0].message,
            "--durability: a cache, which --memory without --data asks for, has no disk");
}

TEST(LoadConfig, TheDiskCannotHaveMostOfTheMemory) {
  const auto config = ConfigCase{.words = {"--memory", "64M", "--data", "d", "--disk-memory", "40M"}}.load();
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error()[0].message,
            "--memory: the disk's part of the memory, 40M, would be more than half of 64M");
}

TEST(LoadConfig, ABareFlagIsTrueAndCanBeTakenBack) {
  const ConfigCase file{.file = "disable_evictions = true\n"};
  EXPECT_TRUE(ConfigCase{.words = {"--disable-evictions"}}.load()->disable_evictions);
  ConfigCase taken_back = file;
  taken_back.words = {"--disable-evictions=false"};
  EXPECT_FALSE(taken_back.load()->disable_evictions);
}

TEST(LoadConfig, AnEmptyVariableIsNotSet) {
  EXPECT_EQ((ConfigCase{.environment = {{"BOBBIN_PORT", ""}}}.load()->port), 11211);
}

TEST(LoadConfig, TheEnvironmentCanNameTheFile) {
  const TemporaryFile file("port = 17\n");
  EXPECT_EQ((ConfigCase{.environment = {{"BOBBIN_CONFIG", file.path()}}}.load()->port), 17);
}

TEST(LoadConfig, AnEmptyListMeansNoTcp) {
  const auto config = ConfigCase{.file = "listen = []\nunix_socket = '/tmp/s'\n"}.load();
  ASSERT_TRUE(config);
  EXPECT_EQ(listen_addresses(*config)->size(), 1u);
}

TEST(LoadConfig, EveryHostListensOnCouchbasesPortTooUnlessAnotherPortIsGiven) {
  const auto ports = [](std::vector<std::string> words) {
    const auto config = ConfigCase{.words = std::move(words)}.load();
    const auto addresses = listen_addresses(*config);
    std::vector<std::string> texts;
    for (const net::Address& address : *addresses)
      texts.push_back(address.text());
    return texts;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(ports({"--listen", "127.0.0.1"}), (Texts{"127.0.0.1:11211", "127.0.0.1:11210"}));
  EXPECT_EQ(ports({"--listen", "127.0.0.1", "--port", "4711"}), Texts{"127.0.0.1:4711"});
  EXPECT_EQ(ports({"--listen", "127.0.0.1", "--port", "4711", "--mcbp-port", "4712"}),
            (Texts{"127.0.0.1:4711", "127.0.0.1:4712"}));
  EXPECT_EQ(ports({"--listen", "127.0.0.1:4711"}), Texts{"127.0.0.1:4711"});
  EXPECT_EQ(ports({"--listen", "127.0.0.1", "--mcbp-port", "0"}), Texts{"127.0.0.1:11211"});
}

TEST(LoadConfig, PublicAddressesAreForced) {
  EXPECT_FALSE((ConfigCase{.words = {"--listen", "0.0.0.0"}}.load()));
  EXPECT_TRUE((ConfigCase{.words = {"--listen", "0.0.0.0", "--force-public"}}.load()));
  EXPECT_TRUE((ConfigCase{.words = {"--listen", "127.0.0.9", "--listen", "localhost"}}.load()));
}

TEST(LoadConfig, ACertificateNeedsItsKeyAndAPort) {
  const auto problem = [](std::vector<std::string> words) {
    const auto config = ConfigCase{.words = std::move(words)}.load();
    return config ? "" : config.error().front().message;
  };
  EXPECT_EQ(problem({"--tls-cert", "c", "--tls-key", "k"}), "");
  EXPECT_THAT(problem({"--tls-cert", "c"}), HasSubstr("--tls-key"));
  EXPECT_THAT(problem({"--tls-key", "k"}), HasSubstr("--tls-cert"));
  EXPECT_THAT(problem({"--tls-client-ca", "a"}), HasSubstr("--tls-cert"));
  EXPECT_THAT(problem({"--tls-cert", "c", "--tls-key", "k", "--tls-client-certificates", "required"}),
              HasSubstr("--tls-client-ca"));
  EXPECT_THAT(problem({"--port", "0", "--tls-cert", "c", "--tls-key", "k"}), HasSubstr("--tls-port"));
  EXPECT_EQ(problem({"--port", "0", "--tls-cert", "c", "--tls-key", "k", "--tls-http-port", "1"}), "");
}

TEST(LoadConfig, WhoSaysWhoSignsClientsCertificatesLooksAtThem) {
  const auto of = [](std::vector<std::string> more) {
    std::vector<std::string> words = {"--tls-cert", "c", "--tls-key", "k"};
    words.insert(words.end(), more.begin(), more.end());
    return ConfigCase{.words = words}.load()->tls_client_certificates;
  };
  EXPECT_EQ(of({}), net::ClientCertificates::off);
  EXPECT_EQ(of({"--tls-client-ca", "a"}), net::ClientCertificates::optional);
  EXPECT_EQ(of({"--tls-client-ca", "a", "--tls-client-certificates", "off"}), net::ClientCertificates::off);
  EXPECT_EQ(of({"--tls-client-ca", "a", "--tls-client-certificates", "required"}),
            net::ClientCertificates::required);
}

TEST(LoadConfig, TlsListensOnEveryHostOnce) {
  const auto texts = [](const ServeConfig& config) {
    std::vector<std::string> all;
    for (const auto& addresses : {tls_addresses(config), tls_http_addresses(config)})
      for (const net::Address& address : *addresses)
        all.push_back(address.text());
    return all;
  };
  const ConfigCase all{.words = {"--listen", "127.0.0.1", "--listen", "127.0.0.1:5", "--listen", "unix:/s",
                                 "--tls-cert", "c", "--tls-key", "k"}};
  EXPECT_THAT(texts(*all.load()), ElementsAre("127.0.0.1:11207", "127.0.0.1:18091"));
  EXPECT_THAT(texts(*ConfigCase{}.load()), ElementsAre());
}

}  // namespace
}  // namespace bobbin::cli
