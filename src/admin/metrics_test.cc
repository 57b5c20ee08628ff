// GET /metrics: Prometheus' format and its rules for names.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>

#include "admin/admin_test_support.h"
#include "admin/metrics_text.h"

namespace bobbin::admin {
namespace {

using testing::HasSubstr;
using testing::Not;

class MetricsTest : public testing::Test {
 protected:
  std::string metrics() { return std::string(body_of(http_.get("/metrics"))); }

  net::Loop loop_{net::Limits{}};
  TestHttp http_{loop_};
};

TEST_F(MetricsTest, EveryLineIsOneThatPrometheusReads) {
  const std::regex comment("# (HELP|TYPE) bobbin_[a-z_]+ .+");
  const std::regex sample(R"re(bobbin_[a-z_]+(\{([a-z]+="[^"]*",?)+\})? [0-9.e+-]+)re");
  std::istringstream lines(metrics());
  int samples = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#'))
      EXPECT_TRUE(std::regex_match(line, comment)) << line;
    else
      EXPECT_TRUE(std::regex_match(line, sample)) << line;
    ++samples;
  }
  EXPECT_GT(samples, 100);
}

TEST_F(MetricsTest, CountersEndInTotalAndNothingElseDoes) {
  std::istringstream lines(metrics());
  std::set<std::string> names;
  for (std::string hash, what, name, kind; lines >> hash;) {
    if (hash != "#") {
      std::getline(lines, hash);
      continue;
    }
    lines >> what >> name;
    std::getline(lines, kind);
    if (what != "TYPE") continue;
    EXPECT_EQ(kind == " counter", name.ends_with("_total")) << name;
    EXPECT_TRUE(names.insert(name).second) << name << " twice";
  }
  EXPECT_GT(names.size(), 30U);
}

TEST_F(MetricsTest, CommandsAreCountedByName) {
  const auto client = http_.server().connect();
  client->feed("set k 0 0 1\r\nx\r\nget k\r\nget none\r\nmg k v\r\nversion\r\nbogus\r\n");
  const std::string text = metrics();
  const auto count = [](std::string_view protocol, std::string_view command, int n) {
    return HasSubstr("bobbin_command_duration_seconds_count{protocol=\"" + std::string(protocol) +
                     "\",command=\"" + std::string(command) + "\"} " + std::to_string(n) + "\n");
  };
  EXPECT_THAT(text, count("text", "set", 1));
  EXPECT_THAT(text, count("text", "get", 2));
  EXPECT_THAT(text, count("meta", "mg", 1));
  EXPECT_THAT(text, Not(HasSubstr("command=\"delete\"")));
  EXPECT_THAT(text, HasSubstr("command=\"get\",le=\"1e-06\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("command=\"get\",le=\"+Inf\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("bobbin_operations_total{operation=\"get\",result=\"hit\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("bobbin_bucket_items{bucket=\"default\"} 1\n"));
}

TEST_F(MetricsTest, LoginsAreCounted) {
  http_.add_user("admin", "admin");
  (void)http_.get("/metrics", basic("admin", "wrong"));
  const std::string text(body_of(http_.get("/metrics", basic("admin", "secret"))));
  EXPECT_THAT(text, HasSubstr("bobbin_logins_total{result=\"failed\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("bobbin_http_answers_total{class=\"4xx\"} 1\n"));
}

TEST(MetricsTextTest, LabelsAreEscaped) {
  EXPECT_EQ(MetricsText::label("a", "x\"y\\z\n"), R"(a="x\"y\\z\n")");
}

}  // namespace
}  // namespace bobbin::admin
