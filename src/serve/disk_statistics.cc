#include "serve/disk_statistics.h"

#include <fmt/format.h>

#include "serve/served_bucket.h"

namespace bobbin::serve {
namespace {

void number(const StatSink& sink, std::string_view name, uint64_t value) {
  sink(name, fmt::format_int(value).c_str());
}

std::string_view warmup_state(const disk::WarmupProgress& warmup) {
  if (!warmup.finished) return "running";
  return warmup.failed ? "failed" : "complete";
}

// How much an acknowledgement from memory may lose, and what bounds it.
void report_unsaved(const ServedBucket& served, const store::Statistics& bucket,
                    const disk::PersistenceStatistics& disk, const StatSink& sink) {
  sink("durability", served.durable_replies() ? "disk" : "memory");
  const auto failure = served.disk()->failure();
  sink("disk_state", failure ? "read-only" : "writable");
  if (failure) sink("disk_failure", failure->message);
  number(sink, "ep_queue_size", bucket.dirty_items);
  number(sink, "unsaved_bytes", bucket.dirty_bytes);
  number(sink, "unsaved_limit_bytes", disk.max_dirty_bytes);
  number(sink, "unsaved_oldest_us", disk.oldest_dirty_us);
  number(sink, "change_log_bytes", bucket.log_bytes);
}

void report_flusher(const disk::PersistenceStatistics& disk, const StatSink& sink) {
  number(sink, "ep_commit_num", disk.commits);
  number(sink, "ep_commit_time_us", disk.last_commit_us);
  number(sink, "ep_commit_time_max_us", disk.longest_commit_us);
  number(sink, "ep_item_commit_failed", disk.commit_failures);
  number(sink, "ep_total_persisted", disk.flushed_items);
  number(sink, "ep_total_persisted_bytes", disk.flushed_bytes);
}

void report_fetches(const store::Statistics& bucket, const disk::PersistenceStatistics& disk,
                    const StatSink& sink) {
  number(sink, "ep_num_non_resident", bucket.non_resident_items);
  number(sink, "items_on_disk_only", bucket.items_on_disk_only);
  number(sink, "would_block", bucket.would_block);
  number(sink, "ep_bg_fetched", disk.fetches);
  number(sink, "ep_bg_fetch_waiters", disk.fetch_waiters);
  number(sink, "ep_bg_fetch_failed", disk.fetch_failures);
  number(sink, "ep_bg_fetch_pending", disk.fetches_pending);
}

void report_files(const ServedBucket& served, const disk::ShardStatistics& shards, const StatSink& sink) {
  number(sink, "ep_db_data_size", shards.data_bytes);
  number(sink, "ep_db_file_size", shards.file_bytes);
  number(sink, "disk_history_bytes", shards.history_bytes);
  number(sink, "disk_memory_bytes", served.disk()->directory().resources().used_bytes());
  number(sink, "disk_memory_limit_bytes", served.disk()->directory().resources().budget_bytes());
  number(sink, "disk_memtable_bytes", shards.memtable_bytes);
  number(sink, "disk_pending_compaction_bytes", shards.pending_compaction_bytes);
  number(sink, "disk_running_compactions", shards.running_compactions);
  number(sink, "disk_running_flushes", shards.running_flushes);
  number(sink, "disk_delayed_write_rate", shards.delayed_write_bytes_per_s);
  number(sink, "disk_writes_stopped", shards.stopped ? 1 : 0);
}

}  // namespace

void report_disk(const ServedBucket& served, const StatSink& sink) {
  if (served.disk() == nullptr) return;
  const store::Statistics bucket = served.bucket().statistics();
  const disk::PersistenceStatistics disk = served.disk()->statistics();
  report_unsaved(served, bucket, disk, sink);
  report_flusher(disk, sink);
  report_fetches(bucket, disk, sink);
  report_files(served, disk.shards, sink);
  sink("ep_warmup_state", warmup_state(disk.warmup));
  number(sink, "ep_data_write_failed", served.disk()->failure() ? 1 : 0);
  sink("data_uuid", served.disk()->directory().uuid());
}

void report_disk_failures(const ServedBucket& served, const StatSink& sink) {
  if (served.disk() == nullptr) return;
  number(sink, "ep_data_read_failed", served.disk()->statistics().fetch_failures);
  number(sink, "ep_data_write_failed", served.disk()->failure() ? 1 : 0);
}

void report_warmup(const ServedBucket& served, const StatSink& sink) {
  if (served.disk() == nullptr) return;
  const disk::WarmupProgress warmup = served.disk()->warmup();
  sink("ep_warmup_state", warmup_state(warmup));
  sink("ep_warmup_thread", warmup.finished ? "complete" : "running");
  number(sink, "ep_warmup_estimated_key_count", warmup.items_total);
  number(sink, "ep_warmup_key_count", warmup.items_loaded);
  number(sink, "ep_warmup_value_count", warmup.values_loaded);
  number(sink, "ep_warmup_vbuckets", warmup.vbuckets_total);
  number(sink, "ep_warmup_vbuckets_done", warmup.vbuckets_done);
  number(sink, "ep_warmup_time", warmup.elapsed_us);
}

}  // namespace bobbin::serve
