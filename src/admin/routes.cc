#include <algorithm>
#include <functional>

#include "admin/route.h"

namespace bobbin::admin {
namespace {

constexpr auto kTables = {cluster_routes, bucket_routes, bucket_change_routes, collection_routes,
                          user_routes,    change_routes, health_routes};

/// Whether the path fits; `names` has what stands for the pattern's {…} then.
bool fits(std::string_view pattern, const std::vector<std::string>& segments,
          std::vector<std::string>& names) {
  names.clear();
  size_t at = 0;
  pattern.remove_prefix(1);
  while (!pattern.empty()) {
    const size_t end = std::min(pattern.find('/'), pattern.size());
    const std::string_view part = pattern.substr(0, end);
    pattern.remove_prefix(std::min(end + 1, pattern.size()));
    if (at == segments.size()) return false;
    const std::string& segment = segments[at++];
    if (part.starts_with('{'))
      names.push_back(segment);
    else if (part != segment)
      return false;
  }
  return at == segments.size();
}

}  // namespace

void for_each_route(const std::function<void(const Route&)>& visit) {
  for (const auto table : kTables) {
    for (const Route& row : table())
      visit(row);
  }
}

RouteMatch find_route(std::string_view method, const std::vector<std::string>& segments) {
  RouteMatch match;
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  std::vector<std::string> names;
  for_each_route([&](const Route& row) {
    if (match.route != nullptr || !fits(row.pattern, segments, names)) return;
    if (row.method == wanted) {
      match.route = &row;
      match.names = names;
      return;
    }
    if (match.allowed.find(row.method) != std::string::npos) return;
    match.allowed += (match.allowed.empty() ? "" : ", ") + std::string(row.method);
    if (row.method == "GET") match.allowed += ", HEAD";
  });
  if (match.route != nullptr) match.allowed.clear();
  return match;
}

}  // namespace bobbin::admin
