#include "serve/stat_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "serve/served_bucket.h"

namespace bobbin::serve {
namespace {

constexpr std::span<const StatGroup> (*kTables[])() = {
    general_groups, node_groups,       vbucket_groups, key_groups,  bucket_groups,
    timing_groups,  collection_groups, stream_groups,  scan_groups, follow_groups};

StatAnswer report_vbuckets(const StatGroup& group, const StatQuery& query, const StatSink& sink) {
  const uint32_t vbuckets = query.bucket.bucket().vbucket_count();
  if (query.argument.empty()) {
    for (uint32_t i = 0; i < vbuckets; ++i)
      group.of_vbucket(query.bucket, static_cast<uint16_t>(i), sink);
    return StatAnswer::told;
  }
  const std::string_view digits = query.argument;
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || number >= vbuckets)
    return StatAnswer::unknown;
  group.of_vbucket(query.bucket, number, sink);
  return StatAnswer::told;
}

}  // namespace

NamedStatGroup find_stat_group(std::string_view text) {
  const size_t space = std::min(text.find(' '), text.size());
  const std::string_view name = text.substr(0, space);
  for (const auto table : kTables) {
    for (const StatGroup& group : table()) {
      if (group.name == name) return {&group, text.substr(std::min(space + 1, text.size()))};
    }
  }
  return {};
}

StatAnswer report_group(const StatGroup& group, const StatQuery& query, const StatSink& sink) {
  if (group.argument.empty() && !query.argument.empty()) return StatAnswer::unknown;
  return group.of_vbucket != nullptr ? report_vbuckets(group, query, sink) : group.report(query, sink);
}

void for_each_stat_group(const std::function<void(const StatGroup&)>& visit) {
  for (const auto table : kTables) {
    for (const StatGroup& group : table())
      visit(group);
  }
}

void tell(const StatSink& sink, std::string_view name, uint64_t value) {
  sink(name, fmt::format_int(value).c_str());
}

void tell(const StatSink& sink, std::string_view name, const base::DurationCounts& counts) {
  using base::DurationCounts;
  const uint64_t all = counts.count();
  if (all == 0) return;
  for (size_t i = 0; i < DurationCounts::kSteps; ++i) {
    if (counts.steps[i] == 0) continue;
    tell(sink, fmt::format("{}_{},{}", name, DurationCounts::above_us(i), DurationCounts::up_to_us(i)),
         counts.steps[i]);
  }
  tell(sink, fmt::format("{}_mean", name), counts.sum_ns / all / 1000);
}

bool report_statistics(const Engine& engine, const ServedBucket& bucket, std::string_view request,
                       const StatSink& sink) {
  const auto [group, argument] = find_stat_group(request);
  return group != nullptr && report_group(*group, {engine, bucket, argument}, sink).kind == StatAnswer::told;
}

}  // namespace bobbin::serve
