// What statistics tell, metrics tell: each of the general ones, of change streams and of range scans has its
// metric, or stands here with the reason why not.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>

#include "admin/admin_test_support.h"
#include "serve/statistics.h"
#include "serve/stream_client.h"

namespace bobbin::admin {
namespace {

struct Pair {
  std::string_view statistic;
  std::string_view metric;  ///< "bobbin_" is in front; empty: see `why`
  std::string_view why = {};
};

constexpr std::string_view kByCommand = "bobbin_command_duration_seconds counts it by command";
constexpr std::string_view kText = "text";
constexpr std::string_view kNever = "never anything else, for who knows memcached's";

constexpr Pair kPairs[] = {
    {"pid", "", "Prometheus knows whom it asks"},
    {"uptime", "start_time_seconds"},
    {"time", "start_time_seconds"},
    {"version", "build_info"},
    {"pointer_size", "", kNever},
    {"rusage_user", "process_cpu_seconds_total"},
    {"rusage_system", "process_cpu_seconds_total"},
    {"max_connections", "connections_limit"},
    {"curr_connections", "connections"},
    {"total_connections", "connections_accepted_total"},
    {"rejected_connections", "", kNever},
    {"connection_structures", "connections"},
    {"cmd_get", "operations_total"},
    {"cmd_set", "operations_total"},
    {"cmd_flush", "", kByCommand},
    {"cmd_touch", "operations_total"},
    {"cmd_meta", "", kByCommand},
    {"get_hits", "operations_total"},
    {"get_misses", "operations_total"},
    {"get_expired", "get_expired_total"},
    {"delete_misses", "operations_total"},
    {"delete_hits", "operations_total"},
    {"incr_misses", "operations_total"},
    {"incr_hits", "operations_total"},
    {"decr_misses", "operations_total"},
    {"decr_hits", "operations_total"},
    {"cas_misses", "operations_total"},
    {"cas_hits", "operations_total"},
    {"cas_badval", "operations_total"},
    {"touch_hits", "operations_total"},
    {"touch_misses", "operations_total"},
    {"store_too_large", "operations_total"},
    {"store_no_memory", "operations_total"},
    {"unordered_aside", "unordered_aside_total"},
    {"unordered_in_order", "unordered_in_order_total"},
    {"auth_cmds", "", kNever},
    {"auth_errors", "", kNever},
    {"bytes_read", "received_bytes_total"},
    {"bytes_written", "sent_bytes_total"},
    {"accepting_conns", "accept_pauses_total"},
    {"listen_disabled_num", "accept_pauses_total"},
    {"listen_no_descriptors", "accept_pauses_no_descriptors_total"},
    {"time_in_listen_disabled_us", "accept_paused_seconds_total"},
    {"threads", "loops"},
    {"conn_yields", "write_yields_total"},
    {"idle_kicks", "connections_closed_total"},
    {"stalled_kicks", "connections_closed_total"},
    {"unread_kicks", "connections_closed_total"},
    {"ssl_handshakes", "tls_handshakes_total"},
    {"ssl_handshake_errors", "tls_handshake_failures_total"},
    {"ssl_handshake_kicks", "connections_closed_total"},
    {"overdue_kicks", "connections_closed_total"},
    {"unsent_pauses", "unsent_pauses_total"},
    {"socket_writes", "socket_writes_total"},
    {"conn_unsent_bytes", "unsent_bytes"},
    {"conn_unread_bytes", "unread_bytes"},
    {"upload_bytes", "bucket_upload_bytes"},
    {"unordered_waiting", "unordered_waiting"},
    {"unordered_bytes", "unordered_bytes"},
    {"spool_bytes", "spool_bytes"},
    {"spool_bytes_in", "spooled_bytes_total"},
    {"spool_wakes", "spool_wakes_total"},
    {"spool_drains", "spool_drains_total"},
    {"log_watchers", "log_watchers"},
    {"log_watcher_sent", "log_watcher_sent_total"},
    {"log_watcher_skipped", "log_watcher_skipped_total"},
    {"hash_bytes", "bucket_table_bytes"},
    {"hash_is_expanding", "", kNever},
    {"bytes", "bucket_item_bytes"},
    {"bytes_used", "bucket_used_bytes"},
    {"limit_maxbytes", "bucket_quota_bytes"},
    {"curr_items", "bucket_items"},
    {"curr_items_with_expiry", "bucket_items_with_expiry"},
    {"flushed_items_not_freed", "bucket_flushed_items_not_freed"},
    {"total_items", "bucket_stored_items_total"},
    {"expired", "bucket_expirations_total"},
    {"expired_unfetched", "bucket_expirations_unfetched_total"},
    {"evicted_unfetched", "bucket_evictions_unfetched_total"},
    {"evicted_nonzero", "bucket_evictions_with_expiry_total"},
    {"evictions", "bucket_evictions_total"},
    {"reclaimed", "bucket_reclaimed_total"},
    {"durability", "", kText},
    {"disk_state", "disk_writable"},
    {"disk_failure", "", kText},
    {"ep_queue_size", "disk_queue_items"},
    {"unsaved_bytes", "disk_queue_bytes"},
    {"unsaved_limit_bytes", "disk_queue_limit_bytes"},
    {"unsaved_oldest_us", "disk_queue_age_seconds"},
    {"change_log_bytes", "bucket_change_log_bytes"},
    {"ep_commit_num", "disk_commits_total"},
    {"ep_commit_time_us", "disk_last_commit_seconds"},
    {"ep_commit_time_max_us", "disk_longest_commit_seconds"},
    {"ep_item_commit_failed", "disk_commit_failures_total"},
    {"ep_total_persisted", "disk_written_items_total"},
    {"ep_total_persisted_bytes", "disk_written_bytes_total"},
    {"ep_num_non_resident", "bucket_items_without_value"},
    {"items_on_disk_only", "bucket_items_on_disk_only"},
    {"would_block", "bucket_disk_waits_total"},
    {"ep_bg_fetched", "disk_reads_total"},
    {"ep_bg_fetch_waiters", "disk_read_waiters_total"},
    {"ep_bg_fetch_failed", "disk_read_failures_total"},
    {"ep_bg_fetch_pending", "disk_reads_pending"},
    {"ep_db_data_size", "disk_data_bytes"},
    {"ep_db_file_size", "disk_file_bytes"},
    {"disk_history_bytes", "disk_history_bytes"},
    {"disk_memory_bytes", "disk_memory_bytes"},
    {"disk_memory_limit_bytes", "disk_memory_limit_bytes"},
    {"disk_memtable_bytes", "disk_memtable_bytes"},
    {"disk_pending_compaction_bytes", "disk_pending_compaction_bytes"},
    {"disk_running_compactions", "disk_running_compactions"},
    {"disk_running_flushes", "disk_running_flushes"},
    {"disk_delayed_write_rate", "disk_delayed_write_bytes_per_second"},
    {"disk_writes_stopped", "disk_writes_stopped"},
    {"ep_warmup_state", "warmup_complete"},
    {"ep_data_write_failed", "disk_writable"},
    {"data_uuid", "", kText},
    {"ep_dcp_count", "stream_producers"},
    {"ep_dcp_producer_count", "stream_producers"},
    {"ep_dcp_consumer_count", "", "bobbin_follow_connected is of each"},
    {"ep_dcp_items_sent", "stream_items_total"},
    {"ep_dcp_total_bytes", "stream_bytes_total"},
    {"ep_dcp_streams_granted", "streams_granted_total"},
    {"ep_dcp_rollbacks", "stream_rollbacks_total"},
    {"ep_dcp_backfills", "stream_backfills_total"},
    {"ep_dcp_num_running_backfills", "stream_backfills_running"},
    {"ep_dcp_num_waiting_backfills", "stream_backfills_waiting"},
    {"ep_dcp_num_open_readers", "stream_readers"},
    {"ep_dcp_max_open_readers", "stream_readers_limit"},
    {"ep_dcp_changes_held_bytes", "stream_changes_held_bytes"},
    {"ep_dcp_changes_held_limit_bytes", "stream_changes_held_limit_bytes"},
    {"ep_dcp_streams_too_slow", "streams_too_slow_total"},
    {"ep_dcp_cursors_dropped", "stream_cursors_dropped_total"},
    {"ep_dcp_cursor_lag_bytes", "stream_cursor_lag_bytes"},
    {"ep_dcp_noop_disconnects", "stream_noop_disconnects_total"},
    {"range_scans_open", "range_scans"},
    {"range_scans_limit", "range_scans_limit"},
    {"range_scans_created", "range_scans_created_total"},
    {"range_scans_completed", "range_scans_ended_total"},
    {"range_scans_cancelled", "range_scans_ended_total"},
    {"range_scans_expired", "range_scans_ended_total"},
    {"range_scans_refused", "range_scans_refused_total"},
    {"range_scans_items", "range_scan_items_total"},
    {"range_scans_bytes", "range_scan_bytes_total"},
    {"range_scans_held_bytes", "range_scan_held_bytes"},
    {"range_scans_held_limit", "range_scan_held_bytes_limit"},
    {"range_scans_waiting", "range_scans_waiting"},
};

constexpr Pair kOfFollowing[] = {
    {"follow_state", "follow_connected"},
    {"follow_source", "", kText},
    {"follow_trouble", "", kText},
    {"follow_settings_differ", "", kText},
    {"follow_buckets", "follow_expected"},
    {"follow_buckets_streaming", "follow_connected"},
    {"follow_buckets_ready", "ready"},
    {"follow_buckets_trouble", "", kText},
    {"follow_ready", "follow_ready"},
    {"follow_caught_up", "follow_caught_up"},
    {"follow_connections", "follow_connections_total"},
    {"follow_failures", "follow_failures_total"},
    {"follow_streams", "follow_streams"},
    {"follow_lag_seqnos", "follow_lag_seqnos"},
    {"follow_lag_ms", "follow_lag_seconds"},
    {"follow_resumed_vbuckets", "follow_streams_total"},
    {"follow_full_copies", "follow_streams_total"},
    {"follow_rollbacks", "follow_rollbacks_total"},
    {"follow_cleared_vbuckets", "follow_cleared_vbuckets_total"},
    {"follow_mutations", "follow_changes_total"},
    {"follow_deletions", "follow_changes_total"},
    {"follow_expirations", "follow_changes_total"},
    {"follow_collection_events", "follow_changes_total"},
    {"follow_snapshots", "follow_snapshots_total"},
    {"follow_bytes", "follow_bytes_total"},
    {"follow_memory_waits", "follow_memory_waits_total"},
};

class MetricsStatisticsTest : public testing::Test {
 protected:
  // The families that an engine's GET /metrics tells of.
  std::set<std::string> families(const serve::Engine& engine) {
    Admin admin{engine, streams_, counters_, [](const std::function<void()>& task) {
                  task();
                  return true;
                }};
    serve::TestConnection connection(loop_, std::make_unique<HttpSession>(admin));
    connection.feed("GET /metrics HTTP/1.1\r\nHost: b\r\n\r\n");
    while (connection.suspended())
      connection.resume();
    std::set<std::string> names;
    std::istringstream lines(connection.replies());
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("# TYPE ")) names.insert(line.substr(7, line.find(' ', 7) - 7));
    }
    return names;
  }
  static std::set<std::string> statistics(const serve::Engine& engine, std::string_view group) {
    std::set<std::string> names;
    EXPECT_TRUE(
        serve::report_statistics(engine, *engine.bucket, group,
                                 [&](std::string_view name, std::string_view) { names.emplace(name); }));
    return names;
  }
  template <size_t size>
  static void compare(std::set<std::string> told, const std::set<std::string>& families,
                      const Pair (&pairs)[size]) {
    for (const Pair& pair : pairs) {
      EXPECT_EQ(told.erase(std::string(pair.statistic)), pair.statistic == "disk_failure" ? 0U : 1U)
          << pair.statistic;
      EXPECT_NE(pair.metric.empty(), pair.why.empty()) << pair.statistic;
      const std::string metric = "bobbin_" + std::string(pair.metric);
      EXPECT_TRUE(pair.metric.empty() || families.contains(metric)) << metric;
    }
    EXPECT_TRUE(told.empty()) << *told.begin() << " has no metric";
  }

  net::Loop loop_{net::Limits{}};
  ConfigStreams streams_;
  HttpCounters counters_;
};

TEST_F(MetricsStatisticsTest, WhatIsToldIsMeasured) {
  serve::StreamServer server;
  const serve::Engine& engine = server->engine();
  std::set<std::string> told = statistics(engine, "");
  told.merge(statistics(engine, "dcp"));
  told.merge(statistics(engine, "range-scans"));
  compare(told, families(engine), kPairs);
}

TEST_F(MetricsStatisticsTest, SoIsHowACopyGetsOn) {
  serve::TestEngine server(loop_);
  serve::Following following("source:11210");
  following.put(std::make_shared<serve::FollowedBucket>("default", 1, false));
  const serve::Engine& plain = server.engine();
  const serve::Engine engine{
      plain.bucket,     plain.buckets, plain.feeds,    plain.scans,    plain.errands,   plain.login_checks,
      plain.clock,      plain.log,     plain.counters, plain.settings, plain.front_end, plain.baseline,
      plain.stat_times, plain.node,    plain.users,    plain.logins,   plain.audit,     plain.allow_anonymous,
      plain.started,    &following};
  compare(statistics(engine, "follow"), families(engine), kOfFollowing);
}

}  // namespace
}  // namespace bobbin::admin
