// The tables of calls: rows that can be found, and that the documentation has.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "admin/route.h"

namespace bobbin::admin {
namespace {

std::string page() {
  std::ifstream file(BOBBIN_SOURCE_FOLDER "/docs/http.md");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// As the page writes a pattern: "/pools/default/b/B".
std::string documented(std::string_view pattern) {
  std::string text;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '{') {
      text += pattern[i];
      continue;
    }
    text += static_cast<char>(std::toupper(pattern[i + 1]));
    i = pattern.find('}', i);
  }
  return text;
}

TEST(RoutesTest, EachRowIsFoundUnderItsMethodAndPath) {
  std::set<std::string> seen;
  for_each_route([&](const Route& row) {
    ASSERT_TRUE(row.pattern.starts_with('/'));
    EXPECT_TRUE(seen.insert(std::string(row.method) + std::string(row.pattern)).second) << row.pattern;
    const auto segments = path_segments(documented(row.pattern));
    ASSERT_TRUE(segments);
    const RouteMatch match = find_route(row.method, *segments);
    EXPECT_EQ(match.route, &row) << row.pattern;
    const auto names = static_cast<size_t>(std::count(row.pattern.begin(), row.pattern.end(), '{'));
    EXPECT_EQ(match.names.size(), names);
    EXPECT_TRUE(row.door != Door::bucket || names > 0);
    // What changes something takes as long as the disk does.
    EXPECT_TRUE(row.method == "GET" || row.waits) << row.pattern;
    EXPECT_TRUE(row.method == "GET" || row.door != Door::everybody) << row.pattern;
  });
}

TEST(RoutesTest, EachRowIsDocumented) {
  const std::string text = page();
  for_each_route([&](const Route& row) {
    EXPECT_NE(text.find(documented(row.pattern)), std::string::npos) << row.method << " " << row.pattern;
  });
}

TEST(RoutesTest, APathWithAnotherMethodSaysWhich) {
  EXPECT_EQ(find_route("BREW", {"pools"}).allowed, "GET, HEAD");
  EXPECT_EQ(find_route("GET", {"pots"}).allowed, "");
  EXPECT_EQ(find_route("HEAD", {"pools"}).route, find_route("GET", {"pools"}).route);
}

}  // namespace
}  // namespace bobbin::admin
