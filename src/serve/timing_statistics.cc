// Histograms of what took how long, under the names that Couchbase's engine gives them (ep-engine
// docs/stats.org).

#include <fmt/format.h>

#include <array>
#include <string>
#include <utility>

#include "serve/command_names.h"
#include "serve/engine.h"
#include "serve/stat_groups.h"

namespace bobbin::serve {
namespace {

// What commands count for. In the order in which they are told.
struct Timed {
  std::string_view histogram;
  std::string_view command;
};
constexpr Timed kTimed[] = {
    {"get_cmd", "get"},
    {"get_cmd", "gets"},
    {"get_cmd", "getq"},
    {"get_cmd", "getk"},
    {"get_cmd", "getkq"},
    {"get_cmd", "get_ex"},
    {"get_cmd", "mg"},
    {"arith_cmd", "incr"},
    {"arith_cmd", "decr"},
    {"arith_cmd", "ma"},
    {"arith_cmd", "increment"},
    {"arith_cmd", "incrementq"},
    {"arith_cmd", "decrement"},
    {"arith_cmd", "decrementq"},
    {"set_with_meta", "set_with_meta"},
    {"set_with_meta", "setq_with_meta"},
    {"get_stats_cmd", "stats"},
    {"get_stats_cmd", "stat"},
    {"get_vb_cmd", "get_vbucket"},
    {"set_vb_cmd", "set_vbucket"},
    {"del_vb_cmd", "del_vbucket"},
    {"chk_persistence_cmd", "seqno_persistence"},
};

base::DurationCounts times_of(const Engine& engine, std::string_view command) {
  base::DurationCounts counts;
  for (size_t i = 0; i < CommandTimes::kCommands; ++i) {
    if (command_names()[i].name != command) continue;
    for (const auto& loop : engine.counters)
      counts.add(loop->times.of(i).counts());
  }
  return counts;
}

StatAnswer report_timings(const StatQuery& query, const StatSink& sink) {
  for (size_t i = 0; i < std::size(kTimed);) {
    const std::string_view histogram = kTimed[i].histogram;
    base::DurationCounts counts;
    for (; i < std::size(kTimed) && kTimed[i].histogram == histogram; ++i)
      counts.add(times_of(query.engine, kTimed[i].command));
    tell(sink, histogram, counts);
  }
  if (query.bucket.disk() == nullptr) return StatAnswer::told;
  base::DurationCounts reads;
  base::DurationCounts commits;
  for (const disk::ShardTimes& shard : query.bucket.disk()->shard_times()) {
    reads.add(shard.reads);
    commits.add(shard.commits);
  }
  tell(sink, "bg_load", reads);
  tell(sink, "disk_commit", commits);
  return StatAnswer::told;
}

StatAnswer report_disk_timings(const StatQuery& query, const StatSink& sink) {
  if (query.bucket.disk() == nullptr) return StatAnswer::unknown;
  const auto shards = query.bucket.disk()->shard_times();
  for (size_t i = 0; i < shards.size(); ++i) {
    tell(sink, fmt::format("rw_{}:commit", i), shards[i].commits);
    tell(sink, fmt::format("rw_{}:readTime", i), shards[i].reads);
  }
  return StatAnswer::told;
}

template <base::DurationCounts feed::StepTimes::*which>
StatAnswer report_steps(const StatQuery& query, const StatSink& sink) {
  if (query.engine.feeds == nullptr) return StatAnswer::told;
  for (const auto& [kind, times] : query.engine.feeds->numbers().steps)
    tell(sink, fmt::format("{}_tasks", kind), times.*which);
  return StatAnswer::told;
}

// `name` is a literal, which the group has, too.
template <SampledTimes CommandCounters::*which>
StatAnswer report_samples(const StatQuery& query, const StatSink& sink, std::string_view name) {
  base::DurationCounts counts;
  for (const auto& loop : query.engine.counters)
    counts.add(((*loop).*which).counts());
  tell(sink, name, counts);
  return StatAnswer::told;
}

StatAnswer report_json_checks(const StatQuery& query, const StatSink& sink) {
  return report_samples<&CommandCounters::json_checks>(query, sink, "json_validate");
}
StatAnswer report_inflations(const StatQuery& query, const StatSink& sink) {
  return report_samples<&CommandCounters::inflations>(query, sink, "snappy_decompress");
}
StatAnswer report_subdoc_runs(const StatQuery& query, const StatSink& sink) {
  return report_samples<&CommandCounters::subdoc_runs>(query, sink, "subdoc_execute");
}

StatAnswer report_stat_times(const StatQuery& query, const StatSink& sink) {
  for (const auto& [group, times] : query.engine.stat_times.counts())
    tell(sink, group.empty() ? "all" : group, times);
  return StatAnswer::told;
}

constexpr StatGroup kGroups[] = {
    {.name = "timings",
     .report = report_timings,
     .about =
         "commands by kind, of the whole server; the bucket's reads of the disk (`bg_load`) and commits"},
    {.name = "kvtimings", .report = report_disk_timings, .about = "reads and commits of each shard"},
    {.name = "scheduler",
     .report = report_steps<&feed::StepTimes::waited>,
     .about = "how long steps of range scans, change streams and statistics waited for a feed thread"},
    {.name = "runtimes", .report = report_steps<&feed::StepTimes::ran>, .about = "how long these took"},
    {.name = "json_validate",
     .report = report_json_checks,
     .about = "how long it took to find out whether a value is JSON, of one in 64, of the whole server"},
    {.name = "snappy_decompress",
     .report = report_inflations,
     .about = "how long values that came compressed took to decompress, of one in 64, of the whole server"},
    {.name = "subdoc_execute",
     .report = report_subdoc_runs,
     .about = "how long the paths of sub-document requests took, of one request in 64, of the whole server"},
    {.name = "stat-timings",
     .report = report_stat_times,
     .about = "how long each of these groups took that was asked for; `all`: the general ones"},
};

}  // namespace

std::span<const StatGroup> timing_groups() {
  return kGroups;
}

}  // namespace bobbin::serve
