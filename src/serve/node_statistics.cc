// Groups of statistics of the server that are no bucket's, under the names that Couchbase's data service
// gives them (kv_engine daemon/).

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <ctime>
#include <string>
#include <vector>

#include "serve/engine.h"
#include "serve/stat_groups.h"
#include "store/memory.h"
#include "wire/json_text.h"

namespace bobbin::serve {
namespace {

std::string_view name_of(net::ConnectionState state) {
  switch (state) {
    case net::ConnectionState::idle:
      return "idle";
    case net::ConnectionState::waiting:
      return "waiting";
    case net::ConnectionState::landing:
      return "landing";
    case net::ConnectionState::writing:
      return "writing";
    case net::ConnectionState::closing:
      break;
  }
  return "closing";
}

void report_connection(const net::ConnectionStatus& status, const StatSink& sink) {
  using wire::json_string;
  sink(fmt::format_int(status.id).c_str(),
       fmt::format(R"({{"connection":{},"socket":{},"peername":{},"sockname":{},"state":"{}","idle_s":{}}})",
                   status.id, status.descriptor, json_string(status.peer), json_string(status.local),
                   name_of(status.state), status.idle_s));
}

// Who may not be told of others is told of itself, as upstream does. A number is a descriptor.
StatAnswer report_connections(const StatQuery& query, const StatSink& sink) {
  bool own = query.argument == "self";
  int wanted = -1;
  if (!own && !query.argument.empty()) {
    const char* const last = query.argument.data() + query.argument.size();
    const auto [end, error] = std::from_chars(query.argument.data(), last, wanted);
    if (error != std::errc() || end != last || wanted < 0) return StatAnswer::invalid;
  }
  own = own || !query.sees_server;
  if (query.engine.front_end == nullptr) return StatAnswer::unknown;
  bool told = false;
  for (const auto& loop : query.engine.front_end->loops()) {
    for (const net::ConnectionStatus& status : loop->connections()) {
      if (own && status.id != query.connection) continue;
      if (wanted >= 0 && status.descriptor != wanted) continue;
      report_connection(status, sink);
      told = true;
    }
  }
  return told ? StatAnswer::told : StatAnswer::unknown;
}

StatAnswer report_threads(const StatQuery& query, const StatSink& sink) {
  size_t readers = 0;
  size_t writers = 0;
  query.engine.buckets.visit([&](const ServedBucket& bucket) {
    if (bucket.disk() == nullptr) return;
    readers += bucket.disk()->readers();
    writers += bucket.disk()->writers();
  });
  const size_t feeds = query.engine.feeds == nullptr ? 0 : query.engine.feeds->numbers().threads;
  tell(sink, "num_frontend_threads_actual", query.engine.counters.size());
  tell(sink, "num_reader_threads_actual", readers);
  tell(sink, "num_writer_threads_actual", writers);
  tell(sink, "num_auxio_threads_actual", feeds);
  return StatAnswer::told;
}

StatAnswer report_buckets(const StatQuery& query, const StatSink& sink) {
  std::string buckets;
  size_t index = 0;
  bool told = false;
  query.engine.buckets.visit([&](const ServedBucket& bucket) {
    const size_t number = index++;
    if (!query.argument.empty() && bucket.name() != query.argument) return;
    const std::string one =
        fmt::format(R"({{"index":{},"name":{},"state":"ready","type":"{}"}})", number,
                    wire::json_string(bucket.name()), bucket.disk() == nullptr ? "ephemeral" : "couchbase");
    told = true;
    if (!query.argument.empty()) return sink(bucket.name(), one);
    buckets += (buckets.empty() ? "" : ",") + one;
  });
  if (!told) return StatAnswer::unknown;
  if (query.argument.empty()) sink("bucket details", R"({"buckets":[)" + buckets + "]}");
  return StatAnswer::told;
}

StatAnswer report_audit(const StatQuery& query, const StatSink& sink) {
  tell(sink, "written_events", query.engine.audit.written());
  tell(sink, "dropped_events", query.engine.audit.dropped());
  return StatAnswer::told;
}

StatAnswer report_allocator(const StatQuery&, const StatSink& sink) {
  const std::string report = store::allocator_report();
  sink("allocator", report.empty() ? store::allocator_name() : report);
  return StatAnswer::told;
}

// By status in hexadecimal digits; what spools have sent is not among them.
StatAnswer report_responses(const StatQuery& query, const StatSink& sink) {
  std::string json;
  for (size_t i = 0; i < CommandCounters::kStatuses; ++i) {
    uint64_t count = 0;
    for (const auto& loop : query.engine.counters)
      count += loop->responses[i].get();
    if (count != 0) json += fmt::format(R"({}"{:x}":{})", json.empty() ? "" : ",", i, count);
  }
  sink("responses", "{" + json + "}");
  return StatAnswer::told;
}

// What a look at a clock takes, and the smallest step that it makes, as far as a few looks show.
void report_clock(clockid_t clock, const std::string& name, const StatSink& sink) {
  constexpr int kLooks = 256;
  const auto look = [clock] {
    timespec time{};
    clock_gettime(clock, &time);
    return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
  };
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < kLooks; ++i)
    (void)look();
  const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - began;
  timespec step{};
  clock_getres(clock, &step);
  tell(sink, name + "_overhead_ns", static_cast<uint64_t>(took.count()) / kLooks);
  tell(sink, name + "_resolution_ns",
       static_cast<uint64_t>(step.tv_sec * int64_t{1'000'000'000} + step.tv_nsec));
}

StatAnswer report_clocks(const StatQuery&, const StatSink& sink) {
  report_clock(CLOCK_MONOTONIC, "clock_fine", sink);
  report_clock(CLOCK_MONOTONIC_COARSE, "clock_coarse", sink);
  return StatAnswer::told;
}

// Upstream tells what it has in its documentation.
StatAnswer report_groups(const StatQuery&, const StatSink& sink) {
  for_each_stat_group([&sink](const StatGroup& group) {
    if (!group.name.empty()) sink(group.name, group.about);
  });
  return StatAnswer::told;
}

// Feed threads' tasks; what else runs has a thread of its own.
StatAnswer report_tasks(const StatQuery& query, const StatSink& sink) {
  constexpr size_t kMost = 1000;
  constexpr std::string_view kStates[] = {"snoozed", "waiting", "running"};
  const auto ns_of = [](feed::Next::Time time) { return time.time_since_epoch().count(); };
  std::string json;
  const auto tasks =
      query.engine.feeds == nullptr ? std::vector<feed::TaskFacts>() : query.engine.feeds->list(kMost);
  for (const feed::TaskFacts& task : tasks) {
    json += fmt::format(
        R"({}{{"tid":{},"name":"{}","description":"{}","type":"AuxIO","state":"{}","num_runs":{},)",
        json.empty() ? "" : ",", task.number, task.kind, task.kind, kStates[task.state], task.steps);
    if (task.alarm) json += fmt::format(R"("waketime_ns":{},)", ns_of(*task.alarm));
    if (task.began) json += fmt::format(R"("last_starttime_ns":{},)", ns_of(*task.began));
    json += fmt::format(R"("previous_runtime_ns":{},"total_runtime_ns":{}}})", task.last_ran_ns, task.ran_ns);
  }
  sink("ep_tasks:tasks", "[" + json + "]");
  tell(sink, "ep_tasks:cur_time", static_cast<uint64_t>(ns_of(std::chrono::steady_clock::now())));
  return StatAnswer::told;
}

constexpr StatGroup kGroups[] = {
    {.name = "connections",
     .report = report_connections,
     .about = "each connection, as JSON under its number; who may not see the server's statistics: its own",
     .argument = "[descriptor or `self`]"},
    {.name = "threads", .report = report_threads, .about = "threads by what they do", .needs = kServerStats},
    {.name = "bucket_details",
     .report = report_buckets,
     .about = "the buckets, as JSON",
     .argument = "[bucket]",
     .needs = kServerStats},
    {.name = "audit",
     .report = report_audit,
     .about = "how many lines were written to the audit log, and how many found no room",
     .needs = kServerStats},
    {.name = "allocator",
     .report = report_allocator,
     .about = "what the allocator tells of itself, as one text",
     .needs = kServerStats},
    {.name = "clocks",
     .report = report_clocks,
     .about = "what a look at the system's clocks takes, and how fine they are"},
    {.name = "info", .report = report_groups, .about = "these groups, and what each tells"},
    {.name = "tasks-all",
     .report = report_tasks,
     .about = "tasks of the feed threads, for all buckets, the 1,000 oldest, as JSON; no times of what has "
              "not been, and no bucket",
     .needs = kServerStats},
    {.name = "responses",
     .report = report_responses,
     .about = "replies of the binary protocol by status, as JSON, of the whole server"},
};

}  // namespace

std::span<const StatGroup> node_groups() {
  return kGroups;
}

}  // namespace bobbin::serve
