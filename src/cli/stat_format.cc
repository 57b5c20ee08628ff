#include "cli/stat_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "cli/json.h"
#include "cli/quantity.h"

namespace bobbin::cli {
namespace {

using Numbers = std::map<std::string, uint64_t, std::less<>>;

/// The part of a name behind the last colon: "items:5:number" is a number like any other.
std::string_view last_part(std::string_view name) {
  const size_t colon = name.rfind(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

bool is_size(std::string_view name) {
  constexpr std::array<std::string_view, 7> kSizes = {
      "bytes", "maxbytes", "item_size_max", "mem_requested", "total_malloced", "chunk_size", "hash_bytes"};
  const bool counts_bytes =
      name.ends_with("_bytes") || name.ends_with("_maxbytes") || name.starts_with("bytes_");
  return counts_bytes || std::find(kSizes.begin(), kSizes.end(), name) != kSizes.end();
}

bool is_seconds(std::string_view name) {
  constexpr std::array<std::string_view, 6> kTimes = {"uptime",       "age",     "evicted_time",
                                                      "idle_seconds", "age_hot", "secs_since_last_cmd"};
  return std::find(kTimes.begin(), kTimes.end(), name) != kTimes.end();
}

/// The share of hits among hits and misses, for "get_hits" and its like.
std::string hit_share(std::string_view name, uint64_t hits, const Numbers& numbers) {
  if (!name.ends_with("_hits")) return "";
  const std::string misses_name = std::string(name.substr(0, name.size() - 4)) + "misses";
  const auto misses = numbers.find(misses_name);
  if (misses == numbers.end() || hits + misses->second == 0) return "";
  const double share = 100.0 * static_cast<double>(hits) / static_cast<double>(hits + misses->second);
  return fmt::format("{:.1f} % of {}", share, hits + misses->second);
}

std::string meaning(const Statistic& stat, const Numbers& numbers) {
  const auto number = parse_count(stat.second);
  if (!number) return "";
  const std::string_view name = last_part(stat.first);
  if (is_size(name) && *number >= 1024) return human_bytes(*number);
  if (is_seconds(name) && *number >= 60) return human_seconds(*number);
  return hit_share(stat.first, *number, numbers);
}

}  // namespace

std::string stats_for_people(std::span<const Statistic> stats) {
  size_t name_width = 0;
  size_t number_width = 0;
  Numbers numbers;
  for (const Statistic& stat : stats) {
    name_width = std::max(name_width, stat.first.size());
    const auto number = parse_count(stat.second);
    if (!number) continue;
    number_width = std::max(number_width, stat.second.size());
    numbers[stat.first] = *number;
  }
  std::string out;
  for (const Statistic& stat : stats) {
    const bool number = numbers.find(stat.first) != numbers.end();
    out += fmt::format("{:<{}}  ", stat.first, name_width);
    out += number ? fmt::format("{:>{}}", stat.second, number_width) : stat.second;
    if (const std::string means = meaning(stat, numbers); !means.empty()) out += fmt::format("  ({})", means);
    out += '\n';
  }
  return out;
}

std::string stats_as_json(std::span<const Statistic> stats) {
  std::string out = "{";
  std::string_view separator = "\n";
  for (const auto& [name, value] : stats) {
    out += fmt::format("{}  {}: {}", separator, json_string(name), json_number_or_string(value));
    separator = ",\n";
  }
  return out + (stats.empty() ? "}\n" : "\n}\n");
}

}  // namespace bobbin::cli
