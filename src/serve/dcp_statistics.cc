#include "serve/dcp_statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "feed/producer.h"
#include "serve/served_bucket.h"

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

}  // namespace

bool report_streams(const ServedBucket& served, std::string_view group, const StatSink& sink) {
  if (group != "dcp") return false;
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
  return true;
}

}  // namespace bobbin::serve
