// GET /metrics, for Prometheus: names and units follow its rules (prometheus.io, "Metric and label naming").

#include <array>
#include <optional>
#include <vector>

#include "admin/bucket_text.h"
#include "admin/health.h"
#include "admin/http_session.h"
#include "admin/metrics_text.h"
#include "serve/binary_commands.h"
#include "serve/follow_statistics.h"
#include "serve/text_commands.h"

namespace bobbin::admin {
namespace {

using Kind = MetricsText::Kind;
using serve::CommandTimes;

struct CommandName {
  std::string_view protocol;
  std::string_view name;
};

/// By CommandTimes' numbers. An opcode that means something else to each of two audiences has the first's
/// name.
std::array<CommandName, CommandTimes::kCommands> command_names() {
  std::array<CommandName, CommandTimes::kCommands> names{};
  size_t place = 0;
  for (const serve::TextCommand& row : serve::text_commands())
    names.at(place++) = {"text", row.verb};
  place = CommandTimes::kMeta;
  for (const serve::MetaCommandRow& row : serve::meta_commands())
    names.at(place++) = {"meta", row.verb};
  serve::for_each_binary_command([&](const serve::BinaryCommand& row) {
    CommandName& name = names.at(CommandTimes::kBinary + static_cast<size_t>(row.opcode));
    if (name.name.empty()) name = {"binary", row.name};
  });
  return names;
}

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
  static const std::array<CommandName, CommandTimes::kCommands> kNames = command_names();
  text.family("bobbin_command_duration_seconds", Kind::histogram,
              "Time from a read of the socket until what it brought was answered, for each request in it.");
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i].name.empty()) continue;
    const std::string labels = MetricsText::label("protocol", kNames[i].protocol) + "," +
                               MetricsText::label("command", kNames[i].name);
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

void write_outcomes(MetricsText& text, const serve::Engine& engine) {
  text.family("bobbin_operations_total", Kind::counter, "Operations on documents, by how they came out.");
  for (const OutcomeRow& row : kOutcomes) {
    uint64_t sum = 0;
    for (const auto& loop : engine.counters)
      sum += ((*loop).*row.counter).get();
    text.sample(
        MetricsText::label("operation", row.operation) + "," + MetricsText::label("result", row.result), sum);
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
  text.one("bobbin_tls_handshakes_total", Kind::counter, "TLS handshakes that were done.", events.handshakes);
  text.one("bobbin_tls_handshake_failures_total", Kind::counter,
           "TLS handshakes that failed: another protocol, version or certificate than is allowed.",
           events.handshake_failures);
  text.one("bobbin_accept_pauses_total", Kind::counter,
           "Times that no further connection was accepted for a while.", events.listener_pauses);
  text.one("bobbin_received_bytes_total", Kind::counter, "Bytes from data clients.", events.bytes_read);
  text.one("bobbin_sent_bytes_total", Kind::counter, "Bytes to data clients.", events.bytes_written);
  text.one("bobbin_socket_writes_total", Kind::counter, "Gathered writes, each one system call.",
           events.writes);
  text.one("bobbin_unsent_pauses_total", Kind::counter,
           "Times that a client's untaken replies stopped its requests.", events.unsent_pauses);
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
}

/// A number of each bucket.
struct BucketRow {
  std::string_view name;
  Kind kind;
  std::string_view help;
  uint64_t store::Statistics::*field;
};
constexpr BucketRow kBucketRows[] = {
    {"bobbin_bucket_items", Kind::gauge, "Documents.", &store::Statistics::items},
    {"bobbin_bucket_items_with_expiry", Kind::gauge, "Documents that expire.",
     &store::Statistics::items_with_expiry},
    {"bobbin_bucket_items_without_value", Kind::gauge, "Documents whose value is only on disk.",
     &store::Statistics::non_resident_items},
    {"bobbin_bucket_items_on_disk_only", Kind::gauge, "Documents that are not in memory at all.",
     &store::Statistics::items_on_disk_only},
    {"bobbin_bucket_item_bytes", Kind::gauge, "Memory of documents.", &store::Statistics::item_bytes},
    {"bobbin_bucket_table_bytes", Kind::gauge, "Memory of hash tables.", &store::Statistics::table_bytes},
    {"bobbin_bucket_used_bytes", Kind::gauge, "Memory that counts for the quota.",
     &store::Statistics::used_bytes},
    {"bobbin_bucket_quota_bytes", Kind::gauge, "Memory that the bucket may use.",
     &store::Statistics::quota_bytes},
    {"bobbin_bucket_stored_items_total", Kind::counter, "Documents stored.", &store::Statistics::total_items},
    {"bobbin_bucket_evictions_total", Kind::counter, "Documents, or their values, evicted.",
     &store::Statistics::evictions},
    {"bobbin_bucket_expirations_total", Kind::counter, "Expired documents removed.",
     &store::Statistics::expired},
    {"bobbin_bucket_refusals_total", Kind::counter, "Writes refused for lack of memory.",
     &store::Statistics::no_memory},
    {"bobbin_bucket_disk_waits_total", Kind::counter, "Operations that had to wait for the disk.",
     &store::Statistics::would_block},
    {"bobbin_disk_queue_items", Kind::gauge, "Changes that are not on disk.",
     &store::Statistics::dirty_items},
    {"bobbin_disk_queue_bytes", Kind::gauge, "Bytes of changes that are not on disk.",
     &store::Statistics::dirty_bytes},
};

/// The same of its disk.
struct DiskRow {
  std::string_view name;
  Kind kind;
  std::string_view help;
  uint64_t disk::PersistenceStatistics::*field;
  double unit = 1;  ///< the number is told in so many of it
};
constexpr double kMicroseconds = 1e6;
constexpr DiskRow kDiskRows[] = {
    {"bobbin_disk_queue_age_seconds", Kind::gauge, "Age of the oldest change that is not on disk.",
     &disk::PersistenceStatistics::oldest_dirty_us, kMicroseconds},
    {"bobbin_disk_commits_total", Kind::counter, "Commits.", &disk::PersistenceStatistics::commits},
    {"bobbin_disk_commit_failures_total", Kind::counter, "Commits that failed.",
     &disk::PersistenceStatistics::commit_failures},
    {"bobbin_disk_written_items_total", Kind::counter, "Changes brought to disk.",
     &disk::PersistenceStatistics::flushed_items},
    {"bobbin_disk_written_bytes_total", Kind::counter, "Bytes of these.",
     &disk::PersistenceStatistics::flushed_bytes},
    {"bobbin_disk_last_commit_seconds", Kind::gauge, "What the last commit took.",
     &disk::PersistenceStatistics::last_commit_us, kMicroseconds},
    {"bobbin_disk_longest_commit_seconds", Kind::gauge, "What the longest commit took.",
     &disk::PersistenceStatistics::longest_commit_us, kMicroseconds},
    {"bobbin_disk_reads_total", Kind::counter, "Reads of documents that were not in memory.",
     &disk::PersistenceStatistics::fetches},
    {"bobbin_disk_read_failures_total", Kind::counter, "Reads that failed.",
     &disk::PersistenceStatistics::fetch_failures},
    {"bobbin_disk_reads_pending", Kind::gauge, "Keys on their way from the disk.",
     &disk::PersistenceStatistics::fetches_pending},
};

/// The numbers of all buckets at one moment: those of a family stand together.
struct BucketNumbers {
  std::string label;
  store::Statistics store;
  uint64_t upload_bytes = 0;
  std::optional<disk::PersistenceStatistics> disk = std::nullopt;
  bool writable = true;
  std::array<uint64_t, 10> streams{};  ///< by kStreamRows
};

/// Change streams: gauges from the bucket's list, counters from its totals.
struct StreamRow {
  const char* name;
  Kind kind;
  const char* help;
};
constexpr StreamRow kStreamRows[] = {
    {"bobbin_stream_producers", Kind::gauge, "Connections that get change streams."},
    {"bobbin_stream_backfills_running", Kind::gauge, "Streams that read the disk."},
    {"bobbin_stream_backfills_waiting", Kind::gauge, "Streams that wait for a turn to read the disk."},
    {"bobbin_stream_cursor_lag_bytes", Kind::gauge, "Memory that streams pin in change logs."},
    {"bobbin_streams_granted_total", Kind::counter, "Streams that were asked for and granted."},
    {"bobbin_stream_rollbacks_total", Kind::counter, "Streams that were refused with a rollback."},
    {"bobbin_stream_items_total", Kind::counter, "Changes of documents sent by streams."},
    {"bobbin_stream_bytes_total", Kind::counter, "Bytes sent by streams."},
    {"bobbin_stream_cursors_dropped_total", Kind::counter, "Streams sent back to the disk for lagging."},
    {"bobbin_stream_noop_disconnects_total", Kind::counter, "Consumers that gave no sign of life."},
};

std::array<uint64_t, 10> stream_numbers(const feed::BucketStreams& streams, const store::Bucket& bucket) {
  const feed::StreamTotals& totals = streams.totals();
  return {streams.producers(),       streams.backfills().running(), streams.backfills().waiting(),
          bucket.cursor_lag_bytes(), totals.streams.load(),         totals.rollbacks.load(),
          totals.items.load(),       totals.bytes.load(),           totals.lost_cursors.load(),
          totals.noop_kicks.load()};
}

std::vector<BucketNumbers> bucket_numbers(const serve::Engine& engine) {
  std::vector<BucketNumbers> all;
  for (const auto& bucket : engine.buckets.all()) {
    BucketNumbers numbers{MetricsText::label("bucket", bucket->name()), bucket->bucket().statistics(),
                          bucket->uploads().used_bytes()};
    if (bucket->disk() != nullptr) {
      numbers.disk = bucket->disk()->statistics();
      numbers.writable = !bucket->disk()->failure();
      numbers.streams = stream_numbers(bucket->streams(), bucket->bucket());
    }
    all.push_back(std::move(numbers));
  }
  return all;
}

void write_disk_rows(MetricsText& text, const std::vector<BucketNumbers>& buckets) {
  const auto each = [&](const auto& tell) {
    for (const BucketNumbers& bucket : buckets)
      if (bucket.disk) tell(bucket);
  };
  for (const DiskRow& row : kDiskRows) {
    text.family(row.name, row.kind, row.help);
    each([&](const BucketNumbers& bucket) {
      const uint64_t number = (*bucket.disk).*row.field;
      if (row.unit == 1)
        text.sample(bucket.label, number);
      else
        text.sample(bucket.label, static_cast<double>(number) / row.unit);
    });
  }
  text.family("bobbin_disk_file_bytes", Kind::gauge, "Bytes of its files.");
  each([&](const BucketNumbers& bucket) { text.sample(bucket.label, bucket.disk->shards.file_bytes); });
  text.family("bobbin_disk_writable", Kind::gauge, "1, or 0 after a write that failed.");
  each([&](const BucketNumbers& bucket) { text.sample(bucket.label, bucket.writable ? 1 : 0); });
  text.family("bobbin_warmup_complete", Kind::gauge, "1 when all documents have been brought to memory.");
  each([&](const BucketNumbers& bucket) { text.sample(bucket.label, bucket.disk->warmup.finished ? 1 : 0); });
  for (size_t i = 0; i < std::size(kStreamRows); ++i) {
    text.family(kStreamRows[i].name, kStreamRows[i].kind, kStreamRows[i].help);
    each([&](const BucketNumbers& bucket) { text.sample(bucket.label, bucket.streams[i]); });
  }
}

void write_buckets(MetricsText& text, const serve::Engine& engine) {
  const std::vector<BucketNumbers> buckets = bucket_numbers(engine);
  for (const BucketRow& row : kBucketRows) {
    text.family(row.name, row.kind, row.help);
    for (const BucketNumbers& bucket : buckets)
      text.sample(bucket.label, bucket.store.*row.field);
  }
  text.family("bobbin_bucket_upload_bytes", Kind::gauge,
              "Memory of values that have not arrived as a whole.");
  for (const BucketNumbers& bucket : buckets)
    text.sample(bucket.label, bucket.upload_bytes);
  write_disk_rows(text, buckets);
}

void write_follow(MetricsText& text, const serve::Engine& engine) {
  if (engine.following == nullptr) return;
  const feed::FollowNumbers& numbers = engine.following->numbers;
  const serve::Following::Link link = engine.following->link();
  text.one("bobbin_follow_connected", Kind::gauge, "1 while the source's changes come in.",
           link.state == serve::FollowLink::streaming ? 1 : 0);
  text.one("bobbin_follow_lag_seqnos", Kind::gauge, "Changes that the source has and this server has not.",
           serve::seqnos_behind(engine));
  text.one("bobbin_follow_lag_seconds", Kind::gauge,
           "Time from a question how far the source is to when all of that was here.",
           static_cast<double>(numbers.lag_ms.load()) / 1000);
  text.one("bobbin_follow_connections_total", Kind::counter, "Connections that came to change streams.",
           link.connections);
  text.one("bobbin_follow_failures_total", Kind::counter, "Connections that failed, or were not made.",
           link.failures);
  text.family("bobbin_follow_streams_total", Kind::counter, "Streams of vbuckets, by where they began.");
  text.sample("from=\"position\"", numbers.resumed.get());
  text.sample("from=\"beginning\"", numbers.began_new.get());
  text.one("bobbin_follow_rollbacks_total", Kind::counter,
           "Streams that were refused because the source's history is another one.", numbers.rollbacks.get());
  text.one("bobbin_follow_cleared_vbuckets_total", Kind::counter,
           "Vbuckets that were emptied to be copied again.", numbers.cleared.get());
  text.family("bobbin_follow_changes_total", Kind::counter, "Changes of the source that were taken.");
  text.sample("kind=\"mutation\"", numbers.mutations.get());
  text.sample("kind=\"deletion\"", numbers.deletions.get());
  text.sample("kind=\"expiration\"", numbers.expirations.get());
  text.sample("kind=\"event\"", numbers.events.get());
  text.one("bobbin_follow_bytes_total", Kind::counter, "Bytes of these.", numbers.bytes.get());
  text.one("bobbin_follow_memory_waits_total", Kind::counter,
           "Times that a change had to wait for the disk of this server.", numbers.memory_waits.get());
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
