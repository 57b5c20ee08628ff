#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <string>
#include <utility>

#include "feed/producer.h"
#include "serve/served_bucket.h"
#include "serve/stat_groups.h"

namespace bobbin::serve {
namespace {

class Lines {
 public:
  Lines(const StatSink& sink, std::string prefix) : sink_(sink), prefix_(std::move(prefix)) {}
  void operator()(std::string_view name, std::string_view value) const {
    sink_(fmt::format("{}{}", prefix_, name), value);
  }
  void operator()(std::string_view name, uint64_t value) const {
    (*this)(name, std::string_view(fmt::format_int(value).c_str()));
  }

 private:
  const StatSink& sink_;
  const std::string prefix_;
};

// Why a stream that has something to send does not.
std::string_view pause_of(const feed::Producer::Report& report) {
  if (report.is_full) return "the client does not read";
  if (report.is_window_full) return "the client does not acknowledge";
  return {};
}

void report_stream(const feed::Stream& stream, const store::Bucket& bucket, std::string_view pause,
                   const Lines& lines) {
  const feed::StreamStatus& status = stream.status();
  const uint64_t seqno = status.seqno.load(std::memory_order_relaxed);
  const uint64_t high = bucket.high_seqno(stream.route().vbucket);
  const feed::StreamPhase phase = status.phase.load(std::memory_order_relaxed);
  const bool waits = phase == feed::StreamPhase::caught_up;
  lines("_state", feed::name_of(phase));
  lines("_idle_reason", waits || pause.empty() ? feed::name_of(phase) : pause);
  lines("_last_sent_seqno", seqno);
  lines("_last_sent_snap_end_seqno", status.snapshot_end.load(std::memory_order_relaxed));
  lines("_end_seqno", stream.end_seqno());
  lines("_items_behind", high - std::min(high, seqno));
  lines("_items_sent", status.items.load(std::memory_order_relaxed));
  lines("_backfill_items_sent", status.disk_items.load(std::memory_order_relaxed));
  lines("_backfills", status.backfills.load(std::memory_order_relaxed));
  lines("_cursors_dropped", status.lost_cursors.load(std::memory_order_relaxed));
  lines("_opaque", stream.route().opaque);
}

void report_producer(const feed::Producer& producer, const store::Bucket& bucket, const StatSink& sink) {
  const feed::Producer::Report report = producer.report();
  const Lines lines(sink, fmt::format("eq_dcpq:{}:", producer.name()));
  lines("type", "producer");
  lines("num_streams", producer.streams());
  lines("total_bytes_sent", report.sent_bytes);
  lines("max_buffer_bytes", report.window_bytes);
  lines("unacked_bytes", report.unacknowledged_bytes);
  lines("noop_tx_interval", report.noop_interval_s);
  lines("paused_reason", pause_of(report));
  producer.visit([&](const feed::Stream& stream) {
    const wire::DcpRoute& route = stream.route();
    std::string name = fmt::format("eq_dcpq:{}:stream_{}", producer.name(), route.vbucket);
    if (route.stream_id != 0) name += fmt::format("_sid_{}", route.stream_id);
    report_stream(stream, bucket, pause_of(report), Lines(sink, std::move(name)));
  });
}

StatAnswer report_streams(const StatQuery& query, const StatSink& sink) {
  const ServedBucket& served = query.bucket;
  const feed::BucketStreams& streams = served.streams();
  const feed::StreamTotals& totals = streams.totals();
  const Lines lines(sink, "ep_dcp_");
  lines("count", streams.producers());
  lines("producer_count", streams.producers());
  lines("consumer_count", uint64_t{0});
  lines("items_sent", totals.items.load(std::memory_order_relaxed));
  lines("total_bytes", totals.bytes.load(std::memory_order_relaxed));
  lines("streams_granted", totals.streams.load(std::memory_order_relaxed));
  lines("rollbacks", totals.rollbacks.load(std::memory_order_relaxed));
  lines("backfills", totals.backfills.load(std::memory_order_relaxed));
  lines("num_running_backfills", streams.backfills().running());
  lines("num_waiting_backfills", streams.backfills().waiting());
  lines("num_open_readers", streams.readers().held());
  lines("max_open_readers", streams.readers().limit());
  lines("changes_held_bytes", streams.changes().held());
  lines("changes_held_limit_bytes", streams.changes().limit());
  lines("streams_too_slow", totals.too_slow.load(std::memory_order_relaxed));
  lines("cursors_dropped", totals.lost_cursors.load(std::memory_order_relaxed));
  lines("cursor_lag_bytes", served.bucket().cursor_lag_bytes());
  lines("noop_disconnects", totals.noop_kicks.load(std::memory_order_relaxed));
  streams.visit([&](const feed::Producer& producer) { report_producer(producer, served.bucket(), sink); });
  return StatAnswer::told;
}

struct Sum {
  uint64_t producers = 0;
  uint64_t items_sent = 0;
  uint64_t items_remaining = 0;
  uint64_t bytes = 0;

  void add(const Sum& other) {
    producers += other.producers;
    items_sent += other.items_sent;
    items_remaining += other.items_remaining;
    bytes += other.bytes;
  }
};

uint64_t items_behind(const feed::Stream& stream, const store::Bucket& bucket) {
  const uint64_t high = bucket.high_seqno(stream.route().vbucket);
  return high - std::min(high, stream.status().seqno.load(std::memory_order_relaxed));
}

Sum sum_of(const feed::Producer& producer, const store::Bucket& bucket) {
  Sum sum{.producers = 1, .bytes = producer.report().sent_bytes};
  producer.visit([&](const feed::Stream& stream) {
    sum.items_sent += stream.status().items.load(std::memory_order_relaxed);
    sum.items_remaining += items_behind(stream, bucket);
  });
  return sum;
}

void report_sum(const std::string& of, const Sum& sum, const StatSink& sink) {
  tell(sink, of + ":count", sum.producers);
  tell(sink, of + ":producer_count", sum.producers);
  tell(sink, of + ":items_sent", sum.items_sent);
  tell(sink, of + ":items_remaining", sum.items_remaining);
  tell(sink, of + ":total_bytes", sum.bytes);
}

// Producers whose names begin alike, up to the separator, and all together.
StatAnswer report_stream_sums(const StatQuery& query, const StatSink& sink) {
  const std::string_view separator = query.argument.empty() ? ":" : query.argument;
  std::map<std::string, Sum> sums;
  Sum all;
  query.bucket.streams().visit([&](const feed::Producer& producer) {
    const Sum one = sum_of(producer, query.bucket.bucket());
    all.add(one);
    const size_t end = producer.name().find(separator);
    if (separator != "_" && end != std::string::npos) sums[producer.name().substr(0, end)].add(one);
  });
  for (const auto& [prefix, sum] : sums)
    report_sum(prefix, sum, sink);
  report_sum(":total", all, sink);
  return StatAnswer::told;
}

std::string_view takeover_status(feed::StreamPhase phase) {
  switch (phase) {
    case feed::StreamPhase::in_memory:
    case feed::StreamPhase::caught_up:
      return "in-memory";
    case feed::StreamPhase::ended:
      return "does_not_exist";
    default:
      return "backfilling";
  }
}

// How far somebody is who copies a vbucket (kv_engine docs/dcp, stats-vbucket-takeover).
StatAnswer report_takeover(const StatQuery& query, const StatSink& sink) {
  const size_t space = std::min(query.argument.find(' '), query.argument.size());
  const char* const last = query.argument.data() + space;
  uint16_t vbucket = 0;
  const auto [end, error] = std::from_chars(query.argument.data(), last, vbucket);
  if (error != std::errc() || end != last) return StatAnswer::invalid;
  const store::Bucket& bucket = query.bucket.bucket();
  if (vbucket >= bucket.vbucket_count()) return StatAnswer::unknown;
  const std::string_view name = query.argument.substr(std::min(space + 1, query.argument.size()));
  const store::VBucketFacts facts = bucket.facts(vbucket);
  std::string_view status = "does_not_exist";
  uint64_t estimate = facts.items;
  query.bucket.streams().visit([&](const feed::Producer& producer) {
    if (name.empty() || producer.name() != name) return;
    producer.visit([&](const feed::Stream& stream) {
      if (stream.route().vbucket != vbucket) return;
      status = takeover_status(stream.status().phase.load(std::memory_order_relaxed));
      estimate = items_behind(stream, bucket);
    });
  });
  if (!name.empty()) sink("name", fmt::format("eq_dcpq:{}", name));
  sink("status", status);
  tell(sink, "estimate", estimate);
  tell(sink, "vb_items", facts.items);
  tell(sink, "chk_items", bucket.log_facts(vbucket).items);
  return StatAnswer::told;
}

constexpr StatGroup kGroups[] = {
    {.name = "dcp", .report = report_streams, .about = "change streams, each one and in all"},
    {.name = "dcpagg",
     .report = report_stream_sums,
     .about = "the same summed up by the beginnings of their names, to the separator (`:`; `_`: none)",
     .argument = "[separator]"},
    {.name = "dcp-vbtakeover",
     .report = report_takeover,
     .about = "how far a copy of a vbucket is; there is no count of deletions on disk",
     .argument = "vbucket [stream]"},
};

}  // namespace

std::span<const StatGroup> stream_groups() {
  return kGroups;
}

}  // namespace bobbin::serve
