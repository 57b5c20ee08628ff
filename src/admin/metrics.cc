// GET /metrics, for Prometheus: names and units follow its rules (prometheus.io, "Metric and label naming").

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "admin/bucket_text.h"
#include "admin/health.h"
#include "admin/http_session.h"
#include "admin/metrics_buckets.h"
#include "admin/metrics_text.h"
#include "serve/command_names.h"
#include "serve/follow_statistics.h"

namespace bobbin::admin {
namespace {

using Kind = MetricsText::Kind;
using serve::CommandTimes;

void write_histogram(MetricsText& text, const std::string& labels, const serve::Engine& engine,
                     size_t command) {
  std::array<uint64_t, CommandTimes::kSteps> steps{};
  uint64_t sum_ns = 0;
  for (const auto& loop : engine.counters) {
    const CommandTimes::Histogram& histogram = loop->times.of(command);
    for (size_t i = 0; i < steps.size(); ++i)
      steps[i] += histogram.steps[i].get();
    sum_ns += histogram.sum_ns.get();
  }
  uint64_t count = 0;
  for (const uint64_t step : steps)
    count += step;
  if (count == 0) return;
  uint64_t so_far = 0;
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    so_far += steps[i];
    const double le_s = static_cast<double>(uint64_t{1} << i) / 1e6;
    text.sample(fmt::format("{},le=\"{}\"", labels, le_s), so_far, "_bucket");
  }
  text.sample(labels + ",le=\"+Inf\"", count, "_bucket");
  text.sample(labels, static_cast<double>(sum_ns) / 1e9, "_sum");
  text.sample(labels, count, "_count");
}

void write_commands(MetricsText& text, const serve::Engine& engine) {
  const auto& names = serve::command_names();
  text.family("bobbin_command_duration_seconds", Kind::histogram,
              "Time from a read of the socket until what it brought was answered, for each request in it.");
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].name.empty()) continue;
    const std::string labels = MetricsText::label("protocol", names[i].protocol) + "," +
                               MetricsText::label("command", names[i].name);
    write_histogram(text, labels, engine, i);
  }
}

/// What memcached's statistics count, with how it came out.
struct OutcomeRow {
  std::string_view operation;
  std::string_view result;
  net::OwnedCounter serve::CommandCounters::*counter;
};
constexpr OutcomeRow kOutcomes[] = {
    {"get", "hit", &serve::CommandCounters::get_hits},
    {"get", "miss", &serve::CommandCounters::get_misses},
    {"delete", "hit", &serve::CommandCounters::delete_hits},
    {"delete", "miss", &serve::CommandCounters::delete_misses},
    {"increment", "hit", &serve::CommandCounters::incr_hits},
    {"increment", "miss", &serve::CommandCounters::incr_misses},
    {"decrement", "hit", &serve::CommandCounters::decr_hits},
    {"decrement", "miss", &serve::CommandCounters::decr_misses},
    {"cas", "hit", &serve::CommandCounters::cas_hits},
    {"cas", "miss", &serve::CommandCounters::cas_misses},
    {"cas", "mismatch", &serve::CommandCounters::cas_badval},
    {"touch", "hit", &serve::CommandCounters::touch_hits},
    {"touch", "miss", &serve::CommandCounters::touch_misses},
    {"store", "tried", &serve::CommandCounters::cmd_set},
    {"store", "too_large", &serve::CommandCounters::store_too_large},
    {"store", "no_memory", &serve::CommandCounters::store_no_memory},
};

/// Sums over the loops, of what no other family tells.
struct LoopRow {
  std::string_view name;
  Kind kind;
  std::string_view help;
  net::OwnedCounter serve::CommandCounters::*counter;
};
constexpr LoopRow kLoopRows[] = {
    {"bobbin_get_expired_total", Kind::counter, "Gets that found a document whose time had come.",
     &serve::CommandCounters::get_expired},
    {"bobbin_unordered_aside_total", Kind::counter,
     "Requests that were put aside, so that those behind need not wait for them.",
     &serve::CommandCounters::unordered_aside},
    {"bobbin_unordered_in_order_total", Kind::counter, "Requests that might have been, and were not.",
     &serve::CommandCounters::unordered_in_order},
};

void write_outcomes(MetricsText& text, const serve::Engine& engine) {
  text.family("bobbin_operations_total", Kind::counter, "Operations on documents, by how they came out.");
  for (const OutcomeRow& row : kOutcomes) {
    uint64_t sum = 0;
    for (const auto& loop : engine.counters)
      sum += ((*loop).*row.counter).get();
    text.sample(
        MetricsText::label("operation", row.operation) + "," + MetricsText::label("result", row.result), sum);
  }
  for (const LoopRow& row : kLoopRows) {
    uint64_t sum = 0;
    for (const auto& loop : engine.counters)
      sum += ((*loop).*row.counter).get();
    text.one(row.name, row.kind, row.help, sum);
  }
}

void write_connections(MetricsText& text, const serve::Engine& engine, const serve::EventCounts& events) {
  if (engine.front_end == nullptr) return;
  text.one("bobbin_connections", Kind::gauge, "Connections of data clients that are open.",
           engine.front_end->connection_count());
  text.one("bobbin_connections_limit", Kind::gauge, "Connections that may be open at once.",
           engine.front_end->limits().max_connections);
  text.one("bobbin_connections_accepted_total", Kind::counter, "Connections that were accepted.",
           events.total_connections);
  text.family("bobbin_connections_closed_total", Kind::counter, "Connections that a limit ended.");
  text.sample("reason=\"idle\"", events.idle_kicks);
  text.sample("reason=\"stalled\"", events.stalled_kicks);
  text.sample("reason=\"unread\"", events.unread_kicks);
  text.sample("reason=\"handshake\"", events.handshake_kicks);
  text.sample("reason=\"overdue\"", events.overdue_kicks);
  text.one("bobbin_tls_handshakes_total", Kind::counter, "TLS handshakes that were done.", events.handshakes);
  text.one("bobbin_tls_handshake_failures_total", Kind::counter,
           "TLS handshakes that failed: another protocol, version or certificate than is allowed.",
           events.handshake_failures);
  text.one("bobbin_accept_pauses_total", Kind::counter,
           "Times that no further connection was accepted for a while.", events.listener_pauses);
  text.one("bobbin_accept_pauses_no_descriptors_total", Kind::counter,
           "Of these, those for lack of file descriptors.", events.listener_no_descriptors);
  text.one("bobbin_accept_paused_seconds_total", Kind::counter, "Time spent so.",
           static_cast<double>(events.listener_paused_us) / 1e6);
  text.one("bobbin_received_bytes_total", Kind::counter, "Bytes from data clients.", events.bytes_read);
  text.one("bobbin_sent_bytes_total", Kind::counter, "Bytes to data clients.", events.bytes_written);
  text.one("bobbin_socket_writes_total", Kind::counter, "Gathered writes, each one system call.",
           events.writes);
  text.one("bobbin_unsent_pauses_total", Kind::counter,
           "Times that a client's untaken replies stopped its requests.", events.unsent_pauses);
  text.one("bobbin_write_yields_total", Kind::counter,
           "Times that a connection had more to write than its turn allows.", events.write_yields);
}

void write_scans(MetricsText& text, const serve::Engine& engine) {
  const feed::ScanStatistics scans = engine.scans.statistics();
  text.one("bobbin_range_scans", Kind::gauge, "Range scans that are open.", scans.open);
  text.one("bobbin_range_scans_limit", Kind::gauge, "Range scans that may be open at once.",
           engine.scans.limits().scans);
  text.one("bobbin_range_scans_created_total", Kind::counter, "Range scans that had something to scan.",
           scans.created);
  text.family("bobbin_range_scans_ended_total", Kind::counter, "Range scans, by how they ended.");
  text.sample("reason=\"completed\"", scans.completed);
  text.sample("reason=\"cancelled\"", scans.cancelled);
  text.sample("reason=\"expired\"", scans.expired);
  text.one("bobbin_range_scans_refused_total", Kind::counter, "Range scans that were too many.",
           scans.refused);
  text.one("bobbin_range_scan_items_total", Kind::counter, "Keys and documents that range scans have sent.",
           scans.items);
  text.one("bobbin_range_scan_bytes_total", Kind::counter, "Bytes of these.", scans.bytes);
  text.one("bobbin_range_scan_held_bytes", Kind::gauge,
           "Bytes of large documents that range scans have read and not sent.", scans.memory.held_bytes);
  text.one("bobbin_range_scan_held_bytes_limit", Kind::gauge, "Such bytes that there may be.",
           engine.scans.limits().memory.bytes);
  text.one("bobbin_range_scans_waiting", Kind::gauge, "Range scans that wait for their turn to hold some.",
           scans.memory.waiting);
}

void write_spools(MetricsText& text, const serve::Engine& engine, const serve::EventCounts& events) {
  const serve::LoopGauges now = serve::loop_gauges(engine);
  text.one("bobbin_unsent_bytes", Kind::gauge, "Replies and frames that clients have not taken.",
           now.unsent_bytes);
  text.one("bobbin_unread_bytes", Kind::gauge, "Bytes kept of requests that are not complete.",
           now.unread_bytes);
  text.one("bobbin_spool_bytes", Kind::gauge, "Of the unsent bytes, those that came through spools.",
           now.spool_bytes);
  text.one("bobbin_spooled_bytes_total", Kind::counter, "Bytes that other threads have sent through spools.",
           events.spool_bytes_in);
  text.one("bobbin_spool_wakes_total", Kind::counter, "Times that a loop was woken to drain spools.",
           events.spool_wakes);
  text.one("bobbin_spool_drains_total", Kind::counter, "Spools that were drained.", events.spool_drains);
  text.one("bobbin_unordered_waiting", Kind::gauge, "Requests that are aside.", now.unordered_waiting);
  text.one("bobbin_unordered_bytes", Kind::gauge,
           "Bytes of these, and of replies in any order that wait for commits.", now.unordered_bytes);
  text.one("bobbin_log_watcher_sent_total", Kind::counter, "Lines of the live log that were sent.",
           events.log_sent);
  text.one("bobbin_log_watcher_skipped_total", Kind::counter,
           "Lines of the live log that a watcher had no room for.", events.log_skipped);
}

/// A copy, as it is while its numbers are written.
struct FollowedNumbers {
  std::shared_ptr<serve::FollowedBucket> bucket;
  std::string label;
  uint64_t seqnos_behind = 0;
  serve::FollowedBucket::Link link;
};

std::vector<FollowedNumbers> followed_numbers(const serve::Engine& engine) {
  std::vector<FollowedNumbers> all;
  for (auto& bucket : engine.following->all()) {
    FollowedNumbers one{bucket, MetricsText::label("bucket", bucket->name()), 0, bucket->link()};
    engine.buckets.visit([&](const serve::ServedBucket& served) {
      if (served.name() == bucket->name()) one.seqnos_behind = serve::seqnos_behind(*bucket, served.bucket());
    });
    all.push_back(std::move(one));
  }
  return all;
}

void write_followed_changes(MetricsText& text, const std::vector<FollowedNumbers>& all) {
  text.family("bobbin_follow_streams_total", Kind::counter, "Streams of vbuckets, by where they began.");
  for (const FollowedNumbers& one : all) {
    text.sample(one.label + ",from=\"position\"", one.bucket->numbers.resumed.get());
    text.sample(one.label + ",from=\"beginning\"", one.bucket->numbers.began_new.get());
  }
  text.family("bobbin_follow_changes_total", Kind::counter, "Changes of the source that were taken.");
  for (const FollowedNumbers& one : all) {
    const feed::FollowNumbers& numbers = one.bucket->numbers;
    text.sample(one.label + ",kind=\"mutation\"", numbers.mutations.get());
    text.sample(one.label + ",kind=\"deletion\"", numbers.deletions.get());
    text.sample(one.label + ",kind=\"expiration\"", numbers.expirations.get());
    text.sample(one.label + ",kind=\"event\"", numbers.events.get());
  }
}

void write_follow(MetricsText& text, const serve::Engine& engine) {
  if (engine.following == nullptr) return;
  const std::vector<FollowedNumbers> all = followed_numbers(engine);
  const auto write = [&](std::string_view name, Kind kind, std::string_view help, const auto& number_of) {
    text.family(name, kind, help);
    for (const FollowedNumbers& one : all)
      text.sample(one.label, number_of(one));
  };
  using One = const FollowedNumbers&;
  write("bobbin_follow_connected", Kind::gauge, "1 while the source's changes come in.",
        [](One one) { return one.link.state == serve::FollowLink::streaming ? 1 : 0; });
  write("bobbin_follow_expected", Kind::gauge, "1 unless the source has no such bucket.",
        [](One one) { return one.bucket->is_expected() ? 1 : 0; });
  write("bobbin_follow_ready", Kind::gauge, "1 where the copy is a whole one.",
        [](One one) { return one.bucket->is_ready() ? 1 : 0; });
  write("bobbin_follow_caught_up", Kind::gauge, "1 once all was here that the source had when it was asked.",
        [](One one) { return one.bucket->numbers.caught_up.load() ? 1 : 0; });
  write("bobbin_follow_streams", Kind::gauge, "Streams of vbuckets that are open.",
        [](One one) { return one.bucket->numbers.streams.get(); });
  write("bobbin_follow_snapshots_total", Kind::counter, "Snapshots that the source began.",
        [](One one) { return one.bucket->numbers.snapshots.get(); });
  write("bobbin_follow_lag_seqnos", Kind::gauge, "Changes that the source has and this server has not.",
        [](One one) { return one.seqnos_behind; });
  write("bobbin_follow_lag_seconds", Kind::gauge,
        "Time from a question how far the source is to when all of that was here.",
        [](One one) { return static_cast<double>(one.bucket->numbers.lag_ms.load()) / 1000; });
  write("bobbin_follow_connections_total", Kind::counter, "Connections that came to change streams.",
        [](One one) { return one.link.connections; });
  write("bobbin_follow_failures_total", Kind::counter, "Connections that failed, or were not made.",
        [](One one) { return one.link.failures; });
  write("bobbin_follow_rollbacks_total", Kind::counter,
        "Streams that were refused because the source's history is another one.",
        [](One one) { return one.bucket->numbers.rollbacks.get(); });
  write("bobbin_follow_cleared_vbuckets_total", Kind::counter,
        "Vbuckets that were emptied to be copied again.",
        [](One one) { return one.bucket->numbers.cleared.get(); });
  write("bobbin_follow_bytes_total", Kind::counter, "Bytes of the source's messages.",
        [](One one) { return one.bucket->numbers.bytes.get(); });
  write("bobbin_follow_memory_waits_total", Kind::counter,
        "Times that a change had to wait for the disk of this server.",
        [](One one) { return one.bucket->numbers.memory_waits.get(); });
  write_followed_changes(text, all);
}

void write_logins(MetricsText& text, const Call& call) {
  const serve::Engine& engine = call.engine();
  text.family("bobbin_logins_total", Kind::counter, "Logins, by how they came out.");
  text.sample("result=\"succeeded\"", engine.logins.succeeded());
  text.sample("result=\"failed\"", engine.logins.failed());
  text.family("bobbin_audit_lines_total", Kind::counter, "Lines for the audit log.");
  text.sample("result=\"written\"", engine.audit.written());
  text.sample("result=\"dropped\"", engine.audit.dropped());
  text.family("bobbin_http_answers_total", Kind::counter,
              "Answers over HTTP, by the first digit of their status.");
  for (size_t i = 2; i < call.admin.counters.answers.size(); ++i)
    text.sample(fmt::format("class=\"{}xx\"", i), call.admin.counters.answers[i].get());
  text.one("bobbin_log_watchers", Kind::gauge, "Connections that watch the live log.", engine.log.watchers());
}

void write_process(MetricsText& text, const serve::Engine& engine) {
  const ProcessUse use = process_use();
  text.family("bobbin_build_info", Kind::gauge, "Always 1; the version is a label.");
  text.sample(MetricsText::label("version", BOBBIN_VERSION), 1);
  text.one("bobbin_start_time_seconds", Kind::gauge, "Unix time of the start.", engine.started.unix_s());
  text.one("bobbin_process_cpu_seconds_total", Kind::counter, "Processor time.", use.cpu_s);
  text.one("bobbin_process_resident_memory_bytes", Kind::gauge, "Resident memory.", use.resident_bytes);
  text.one("bobbin_loops", Kind::gauge, "Threads that serve connections.", engine.counters.size());
  text.one("bobbin_ready", Kind::gauge, "Whether /readyz would answer 200.",
           not_ready(engine).empty() ? 1 : 0);
}

}  // namespace

HttpResponse handle_metrics(const Call& call) {
  const serve::Engine& engine = call.engine();
  const serve::EventCounts events = serve::count_events(engine);
  MetricsText text;
  write_process(text, engine);
  write_commands(text, engine);
  write_outcomes(text, engine);
  write_connections(text, engine, events);
  write_spools(text, engine, events);
  write_scans(text, engine);
  write_follow(text, engine);
  write_buckets(text, engine);
  write_logins(text, call);
  HttpResponse response = text_answer(text.take());
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return response;
}

}  // namespace bobbin::admin
