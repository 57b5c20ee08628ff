#include "cli/bench_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bobbin::cli {
namespace {

using testing::HasSubstr;

base::Result<BenchOptions, base::Error> parse(const std::vector<std::string>& words) {
  const auto arguments = parse_arguments(bench_line(), words);
  if (!arguments) return base::fail(arguments.error());
  return parse_bench_options(*arguments, 4711);
}

std::string error_of(const std::vector<std::string>& words) {
  const auto options = parse(words);
  return options ? "" : options.error().message;
}

TEST(BenchOptions, DefaultsAreWhatTheHelpSays) {
  const auto options = parse({"--server", "127.0.0.1:11211"});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->server.text(), "127.0.0.1:11211");
  EXPECT_EQ(options->protocol, BenchProtocol::text);
  EXPECT_EQ(options->connections, 50u);
  EXPECT_EQ(options->in_flight, 1u);
  EXPECT_EQ(options->threads, 1u);
  EXPECT_EQ(options->sets, 0u);
  EXPECT_EQ(options->gets, 1u);
  EXPECT_EQ(options->keys, 10'000u);
  EXPECT_EQ(options->key_bytes, 16u);
  EXPECT_EQ(options->max_value_bytes, 100u);
  EXPECT_EQ(options->duration, std::chrono::seconds(10));
  EXPECT_EQ(options->warmup, std::chrono::seconds(1));
  EXPECT_EQ(options->seed, 4711u);
  EXPECT_TRUE(options->fill);
  EXPECT_FALSE(options->zipf_theta);
}

TEST(BenchOptions, WhomItTrusts) {
  EXPECT_FALSE(parse({"--server", "a:1"})->tls);
  const auto plain = parse({"--server", "a:1", "--tls"});
  ASSERT_TRUE(plain && plain->tls);
  EXPECT_EQ(plain->tls->ca_file, "");
  EXPECT_FALSE(plain->tls->insecure);
  EXPECT_EQ(parse({"--server", "a:1", "--tls", "--cafile", "ca.pem"})->tls->ca_file, "ca.pem");
  EXPECT_TRUE(parse({"--server", "a:1", "--tls", "--insecure"})->tls->insecure);
  EXPECT_THAT(error_of({"--server", "a:1", "--insecure"}), HasSubstr("--tls"));
  EXPECT_THAT(error_of({"--server", "a:1", "--cafile", "ca.pem"}), HasSubstr("--tls"));
  EXPECT_THAT(error_of({"--server", "a:1", "--tls", "--insecure", "--cafile", "ca.pem"}),
              HasSubstr("--cafile"));
  EXPECT_THAT(error_of({"--server", "/run/b.sock", "--tls"}), HasSubstr("Unix socket"));
}

TEST(BenchOptions, EveryFlagReachesItsField) {
  const auto options =
      parse({"--server",     "/run/b.sock", "--protocol",  "binary", "--connections",  "8",
             "--in-flight",  "16",          "--threads",   "2",      "--ratio",        "1:10",
             "--keys",       "500",         "--key-size",  "32",     "--distribution", "zipf:1.2",
             "--value-size", "16-4K",       "--multi-get", "100",    "--duration",     "2s",
             "--warmup",     "0",           "--rate",      "1000",   "--seed",         "7",
             "--no-fill",    "--json",      "--quiet"});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->server.unix_path, "/run/b.sock");
  EXPECT_EQ(options->protocol, BenchProtocol::binary);
  EXPECT_EQ(options->connections, 8u);
  EXPECT_EQ(options->in_flight, 16u);
  EXPECT_EQ(options->threads, 2u);
  EXPECT_EQ(options->sets, 1u);
  EXPECT_EQ(options->gets, 10u);
  EXPECT_EQ(options->keys, 500u);
  EXPECT_EQ(options->key_bytes, 32u);
  EXPECT_EQ(options->zipf_theta, 1.2);
  EXPECT_EQ(options->min_value_bytes, 16u);
  EXPECT_EQ(options->max_value_bytes, 4096u);
  EXPECT_EQ(options->multi_get, 100u);
  EXPECT_EQ(options->duration, std::chrono::seconds(2));
  EXPECT_EQ(options->warmup.count(), 0);
  EXPECT_EQ(options->rate, 1000u);
  EXPECT_EQ(options->seed, 7u);
  EXPECT_FALSE(options->fill);
  EXPECT_TRUE(options->json);
  EXPECT_TRUE(options->quiet);
}

TEST(BenchOptions, ANumberOfRequestsTakesThePlaceOfTheTime) {
  EXPECT_EQ(parse({"--requests", "10"})->duration.count(), 0);
  EXPECT_EQ(parse({"--requests", "10", "--duration", "3s"})->duration, std::chrono::seconds(3));
}

TEST(BenchOptions, WhatIsWrongIsNamed) {
  EXPECT_EQ(error_of({"--protocol", "http"}),
            "--protocol: \"http\" is not text, meta, binary, mcbp or redis");
  for (const char* text : {"1", "0:0", "a:b", "1:2:3", ":", "-1:1"})
    EXPECT_THAT(error_of({"--ratio", text}), HasSubstr("--ratio: ")) << text;
  for (const char* text : {"zipfy", "zipf:", "zipf:x", "zipf:-1", "zipf:1x", "gauss", ""})
    EXPECT_THAT(error_of({"--distribution", text}), HasSubstr("--distribution: ")) << text;
  for (const char* text : {"x", "10-5", "1-", "-1", "2G"})
    EXPECT_THAT(error_of({std::string("--value-size=") + text}), HasSubstr("--value-size: ")) << text;
  EXPECT_THAT(error_of({"--connections", "0"}), HasSubstr("is not a number from 1 to"));
  EXPECT_THAT(error_of({"--key-size", "251"}), HasSubstr("is not a number from 1 to 250"));
  EXPECT_THAT(error_of({"--duration", "0"}), HasSubstr("--duration: 0 measures nothing"));
  EXPECT_THAT(error_of({"--duration", "soon"}), HasSubstr("is not a duration"));
  EXPECT_EQ(error_of({"--keys", "10001", "--key-size", "4"}), "--key-size: 10001 keys need at least 5 bytes");
  EXPECT_THAT(error_of({"--threads", "4", "--connections", "3"}), HasSubstr("--threads: "));
  EXPECT_THAT(error_of({"--paths", "3"}), HasSubstr("--paths: this is for --protocol mcbp"));
  EXPECT_THAT(error_of({"--paths", "3", "-p", "mcbp", "-m", "2"}), HasSubstr("gets of one key"));
  EXPECT_THAT(error_of({"--paths", "3", "-p", "mcbp", "-v", "97"}), HasSubstr("of 98 bytes at least"));
  EXPECT_THAT(error_of({"--paths", "3", "-p", "mcbp", "-v", "1K-2K"}), HasSubstr("has one --value-size"));
  EXPECT_EQ(parse({"--paths", "3", "-p", "mcbp", "-v", "98"})->paths, 3U);
  EXPECT_THAT(error_of({"--server", "host:port"}), HasSubstr("host:port"));
}

}  // namespace
}  // namespace bobbin::cli
