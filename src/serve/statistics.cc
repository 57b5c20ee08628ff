#include "serve/statistics.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "serve/disk_statistics.h"
#include "serve/engine.h"
#include "serve/stat_groups.h"
#include "serve/storing.h"

namespace bobbin::serve {
namespace {

// Every event count but those of commands, once: for subtracting, and for reading off the loops.
constexpr uint64_t EventCounts::*kEventFields[] = {
    &EventCounts::total_connections,  &EventCounts::bytes_read,
    &EventCounts::bytes_written,      &EventCounts::writes,
    &EventCounts::write_yields,       &EventCounts::unsent_pauses,
    &EventCounts::unread_kicks,       &EventCounts::idle_kicks,
    &EventCounts::stalled_kicks,      &EventCounts::spool_wakes,
    &EventCounts::handshakes,         &EventCounts::handshake_failures,
    &EventCounts::handshake_kicks,    &EventCounts::overdue_kicks,
    &EventCounts::spool_drains,       &EventCounts::spool_bytes_in,
    &EventCounts::listener_pauses,    &EventCounts::listener_no_descriptors,
    &EventCounts::listener_paused_us, &EventCounts::log_sent,
    &EventCounts::log_skipped,
};
static_assert(sizeof(EventCounts) == (std::size(kEventFields) + kCommandCounters.size()) * sizeof(uint64_t),
              "a count is missing from kEventFields");

constexpr std::pair<uint64_t EventCounts::*, net::OwnedCounter net::LoopCounters::*> kLoopFields[] = {
    {&EventCounts::total_connections, &net::LoopCounters::connections_opened},
    {&EventCounts::bytes_read, &net::LoopCounters::bytes_read},
    {&EventCounts::bytes_written, &net::LoopCounters::bytes_written},
    {&EventCounts::writes, &net::LoopCounters::writes},
    {&EventCounts::write_yields, &net::LoopCounters::write_yields},
    {&EventCounts::unsent_pauses, &net::LoopCounters::unsent_pauses},
    {&EventCounts::unread_kicks, &net::LoopCounters::unread_kicks},
    {&EventCounts::idle_kicks, &net::LoopCounters::idle_kicks},
    {&EventCounts::stalled_kicks, &net::LoopCounters::stalled_kicks},
    {&EventCounts::handshakes, &net::LoopCounters::handshakes},
    {&EventCounts::handshake_failures, &net::LoopCounters::handshake_failures},
    {&EventCounts::handshake_kicks, &net::LoopCounters::handshake_kicks},
    {&EventCounts::overdue_kicks, &net::LoopCounters::overdue_kicks},
    {&EventCounts::spool_wakes, &net::LoopCounters::spool_wakes},
    {&EventCounts::spool_drains, &net::LoopCounters::spool_drains},
    {&EventCounts::spool_bytes_in, &net::LoopCounters::spool_bytes_in},
};

// Formats numbers for a sink that takes text.
class Report {
 public:
  explicit Report(const StatSink& sink) : sink_(sink) {}
  void operator()(std::string_view name, std::string_view value) const { sink_(name, value); }
  void operator()(std::string_view name, const char* value) const { sink_(name, value); }
  template <typename Number>
  requires std::integral<Number>
  void operator()(std::string_view name, Number value) const { sink_(name, fmt::format_int(value).c_str()); }
  [[nodiscard]] const StatSink& sink() const noexcept { return sink_; }

 private:
  const StatSink& sink_;
};

std::string seconds(const timeval& time) {
  return fmt::format("{}.{:06}", time.tv_sec, time.tv_usec);
}

void report_process(const Engine& engine, const Report& stat) {
  const base::Now now = engine.clock.now();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  stat("pid", getpid());
  stat("uptime", now.unix_s() - engine.started.unix_s());
  stat("time", now.unix_s());
  stat("version", kProtocolVersion);
  stat("pointer_size", sizeof(void*) * 8);
  stat("rusage_user", seconds(usage.ru_utime));
  stat("rusage_system", seconds(usage.ru_stime));
}

void report_connections(const Engine& engine, const EventCounts& counts, const Report& stat) {
  const bool started = engine.front_end != nullptr;
  stat("max_connections", started ? engine.front_end->limits().max_connections : 0);
  stat("curr_connections", started ? engine.front_end->connection_count() : 0);
  stat("total_connections", counts.total_connections);
  stat("rejected_connections", 0);
  stat("connection_structures", started ? engine.front_end->connection_count() : 0);
}

void report_traffic(const Engine& engine, const ServedBucket& bucket, const EventCounts& counts,
                    const Report& stat) {
  const bool started = engine.front_end != nullptr;
  const LoopGauges now = loop_gauges(engine);
  stat("auth_cmds", 0);
  stat("auth_errors", 0);
  stat("bytes_read", counts.bytes_read);
  stat("bytes_written", counts.bytes_written);
  stat("accepting_conns", started && engine.front_end->listener_counters().accepting.load() ? 1 : 0);
  stat("listen_disabled_num", counts.listener_pauses);
  stat("listen_no_descriptors", counts.listener_no_descriptors);
  stat("time_in_listen_disabled_us", counts.listener_paused_us);
  stat("threads", engine.counters.size());
  stat("conn_yields", counts.write_yields);
  stat("idle_kicks", counts.idle_kicks);
  stat("stalled_kicks", counts.stalled_kicks);
  stat("unread_kicks", counts.unread_kicks);
  stat("ssl_handshakes", counts.handshakes);
  stat("ssl_handshake_errors", counts.handshake_failures);
  stat("ssl_handshake_kicks", counts.handshake_kicks);
  stat("overdue_kicks", counts.overdue_kicks);
  stat("unsent_pauses", counts.unsent_pauses);
  stat("socket_writes", counts.writes);
  stat("conn_unsent_bytes", now.unsent_bytes);
  stat("conn_unread_bytes", now.unread_bytes);
  stat("upload_bytes", bucket.uploads().used_bytes());
  stat("unordered_waiting", now.unordered_waiting);
  stat("unordered_bytes", now.unordered_bytes);
  stat("spool_bytes", now.spool_bytes);
  stat("spool_bytes_in", counts.spool_bytes_in);
  stat("spool_wakes", counts.spool_wakes);
  stat("spool_drains", counts.spool_drains);
  stat("log_watchers", engine.log.watchers());
  stat("log_watcher_sent", counts.log_sent);
  stat("log_watcher_skipped", counts.log_skipped);
}

void report_store(const store::Statistics& store, const Report& stat) {
  stat("hash_bytes", store.table_bytes);
  stat("hash_is_expanding", 0);
  stat("bytes", store.item_bytes);
  stat("bytes_used", store.used_bytes);
  stat("limit_maxbytes", store.quota_bytes);
  stat("curr_items", store.items);
  stat("curr_items_with_expiry", store.items_with_expiry);
  stat("flushed_items_not_freed", store.garbage_items);
  stat("total_items", store.total_items);
  stat("expired", store.expired);
  stat("expired_unfetched", store.expired_unfetched);
  stat("evicted_unfetched", store.evicted_unfetched);
  stat("evicted_nonzero", store.evicted_with_expiry);
  stat("evictions", store.evictions);
  stat("reclaimed", store.reclaimed);
}

void report_general(const Engine& engine, const ServedBucket& bucket, const Report& stat) {
  const EventCounts counts = engine.baseline.since(count_events(engine));
  report_process(engine, stat);
  report_connections(engine, counts, stat);
  for (size_t i = 0; i < kCommandCounters.size(); ++i)
    stat(kCommandCounters[i].name, counts.commands[i]);
  report_traffic(engine, bucket, counts, stat);
  report_store(bucket.bucket().statistics(), stat);
  report_disk(bucket, stat.sink());
}

std::string_view state_name(net::ConnectionState state) {
  switch (state) {
    case net::ConnectionState::idle:
      return "conn_read";
    case net::ConnectionState::waiting:
      return "conn_waiting";
    case net::ConnectionState::landing:
      return "conn_nread";
    case net::ConnectionState::writing:
      return "conn_mwrite";
    case net::ConnectionState::closing:
      return "conn_closing";
  }
  return "conn_read";
}

// The path of a Unix socket is nobody's business (CVE-2019-15026 began with copying it).
std::string listen_name(std::string_view local) {
  return local.starts_with("unix") ? "unix" : fmt::format("tcp:{}", local);
}

void report_conns(const Engine& engine, const ServedBucket&, const Report& stat) {
  if (engine.front_end == nullptr) return;
  for (const auto& loop : engine.front_end->loops()) {
    for (const net::ConnectionStatus& status : loop->connections()) {
      stat(fmt::format("{}:addr", status.descriptor), status.peer);
      stat(fmt::format("{}:listen_addr", status.descriptor), listen_name(status.local));
      stat(fmt::format("{}:state", status.descriptor), state_name(status.state));
      stat(fmt::format("{}:secs_since_last_cmd", status.descriptor), status.idle_s);
    }
  }
}

void report_items(const Engine& engine, const ServedBucket& bucket, const Report& stat) {
  const base::Now now = engine.clock.now();
  const store::Census census = bucket.bucket().census(now);
  for (size_t i = 0; i < census.classes.size(); ++i) {
    const store::SizeClass& size = census.classes[i];
    stat(fmt::format("items:{}:number", i + 1), size.items);
    stat(fmt::format("items:{}:age", i + 1), age_of(size.oldest_access_s, now));
    stat(fmt::format("items:{}:mem_requested", i + 1), size.requested_bytes);
  }
}

// There are no slabs: the allocator's size classes are the nearest thing.
void report_slabs(const Engine& engine, const ServedBucket& bucket, const Report& stat) {
  const store::Census census = bucket.bucket().census(engine.clock.now());
  for (size_t i = 0; i < census.classes.size(); ++i) {
    const store::SizeClass& size = census.classes[i];
    stat(fmt::format("{}:chunk_size", i + 1), size.chunk_bytes);
    stat(fmt::format("{}:used_chunks", i + 1), size.items);
    stat(fmt::format("{}:mem_requested", i + 1), size.requested_bytes);
  }
  stat("active_slabs", census.classes.size());
  stat("total_malloced", bucket.bucket().statistics().used_bytes);
}

void report_sizes(const Engine& engine, const ServedBucket& bucket, const Report& stat) {
  for (const store::SizeCount& count : bucket.bucket().census(engine.clock.now()).sizes) {
    stat(fmt::format_int(count.upper_bytes).c_str(), count.items);
  }
}

void report_settings(const Engine& engine, const ServedBucket&, const Report& stat) {
  for (const Setting& setting : engine.settings)
    stat(setting.name, setting.value);
  // Not what the server was started with: users come and go.
  stat("auth_enabled_sasl", engine.allow_anonymous || engine.users.empty() ? "no" : "yes");
}

// Told as text and numbers by functions that know nothing of arguments.
template <void (*report)(const Engine&, const ServedBucket&, const Report&)>
StatAnswer told_by(const StatQuery& query, const StatSink& sink) {
  report(query.engine, query.bucket, Report(sink));
  return StatAnswer::told;
}

StatAnswer reset(const StatQuery& query, const StatSink&) {
  query.engine.baseline.set(count_events(query.engine));
  query.bucket.bucket().reset_statistics();
  return StatAnswer::told;
}

constexpr StatGroup kGroups[] = {
    {.name = "",
     .report = told_by<report_general>,
     .about = "the general ones: of the server, then of the bucket"},
    {.name = "items", .report = told_by<report_items>, .about = "documents by size class of the allocator"},
    {.name = "slabs", .report = told_by<report_slabs>, .about = "memory by size class of the allocator"},
    {.name = "sizes", .report = told_by<report_sizes>, .about = "documents by size"},
    {.name = "settings", .report = told_by<report_settings>, .about = "what the server was started with"},
    {.name = "conns", .report = told_by<report_conns>, .about = "connections, as memcached tells of them"},
    {.name = "reset", .report = reset, .about = "tells nothing: counts begin anew"},
};

}  // namespace

std::span<const StatGroup> general_groups() {
  return kGroups;
}

EventCounts count_events(const Engine& engine) {
  EventCounts counts;
  for (size_t i = 0; i < kCommandCounters.size(); ++i) {
    for (const auto& loop : engine.counters)
      counts.commands[i] += ((*loop).*kCommandCounters[i].counter).get();
  }
  counts.log_sent = engine.log.sent();
  counts.log_skipped = engine.log.skipped();
  if (engine.front_end == nullptr) return counts;
  for (const auto& loop : engine.front_end->loops()) {
    for (const auto& [field, counter] : kLoopFields)
      counts.*field += (loop->counters().*counter).get();
  }
  const net::ListenerCounters& listeners = engine.front_end->listener_counters();
  counts.listener_pauses = listeners.pauses.get();
  counts.listener_no_descriptors = listeners.no_descriptors.get();
  counts.listener_paused_us = listeners.paused_us.get();
  return counts;
}

LoopGauges loop_gauges(const Engine& engine) {
  LoopGauges sum;
  for (const auto& counters : engine.counters) {
    sum.unordered_waiting += counters->unordered_waiting.get();
    sum.unordered_bytes += counters->unordered_bytes.get();
  }
  if (engine.front_end == nullptr) return sum;
  for (const auto& loop : engine.front_end->loops()) {
    sum.unsent_bytes += loop->counters().unsent_bytes.get();
    sum.unread_bytes += loop->counters().unread_bytes.get();
    sum.spool_bytes += loop->counters().spool_bytes_now.get();
  }
  return sum;
}

EventCounts StatBaseline::since(const EventCounts& now) const {
  EventCounts difference = now;
  const base::MutexLock lock(mutex_);
  for (size_t i = 0; i < now.commands.size(); ++i)
    difference.commands[i] -= at_reset_.commands[i];
  for (const auto field : kEventFields)
    difference.*field -= at_reset_.*field;
  return difference;
}

void StatBaseline::set(const EventCounts& now) {
  const base::MutexLock lock(mutex_);
  at_reset_ = now;
}

void StatTimes::add(std::string_view group, std::chrono::nanoseconds took) {
  const base::MutexLock lock(mutex_);
  groups_[group].add(static_cast<uint64_t>(took.count()));
}

std::map<std::string_view, base::DurationCounts> StatTimes::counts() const {
  const base::MutexLock lock(mutex_);
  return groups_;
}

}  // namespace bobbin::serve
