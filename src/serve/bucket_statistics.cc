// Groups of statistics of a bucket as a whole, and of its disk, under the names that Couchbase's engine gives
// them (ep-engine docs/stats.org).

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <string>

#include "serve/disk_statistics.h"
#include "serve/engine.h"
#include "serve/stat_groups.h"
#include "store/memory.h"

namespace bobbin::serve {
namespace {

StatAnswer report_uuid(const StatQuery& query, const StatSink& sink) {
  sink("uuid", query.bucket.uuid());
  return StatAnswer::told;
}

StatAnswer report_memory(const StatQuery& query, const StatSink& sink) {
  const store::Statistics all = query.bucket.bucket().statistics();
  tell(sink, "bytes", all.used_bytes);
  tell(sink, "mem_used", all.used_bytes);
  tell(sink, "ep_kv_size", all.item_bytes);
  tell(sink, "ep_max_size", all.quota_bytes);
  tell(sink, "ep_overhead", all.used_bytes - std::min(all.used_bytes, all.item_bytes));
  tell(sink, "ep_mem_high_wat", all.quota_bytes);
  tell(sink, "ep_tmp_oom_errors", all.no_memory);
  tell(sink, "inflated_bytes", all.inflated_bytes);
  tell(sink, "inflated_refused", all.inflated_refused);
  const store::AllocatorStatistics heap = store::allocator_statistics();
  tell(sink, "total_allocated_bytes", heap.allocated_bytes);
  tell(sink, "total_heap_size", heap.mapped_bytes);
  tell(sink, "total_fragmentation_bytes",
       heap.active_bytes - std::min(heap.active_bytes, heap.allocated_bytes));
  tell(sink, "total_metadata_bytes", heap.metadata_bytes);
  tell(sink, "total_resident_bytes", heap.resident_bytes);
  tell(sink, "total_retained_bytes", heap.retained_bytes);
  return StatAnswer::told;
}

// Of a durability level: the interface for people has other words.
std::string_view engine_name(std::string_view level) {
  if (level == "majorityAndPersistActive") return "majority_and_persist_on_master";
  return level == "persistToMajority" ? "persist_to_majority" : level;
}

StatAnswer report_config(const StatQuery& query, const StatSink& sink) {
  const store::Bucket& bucket = query.bucket.bucket();
  const bool persistent = bucket.is_persistent();
  const bool full = bucket.eviction_policy() == store::EvictionPolicy::full;
  sink("ep_bucket_type", persistent ? "persistent" : "cache");
  sink("ep_item_eviction_policy", !persistent ? "auto_delete" : full ? "full_eviction" : "value_only");
  tell(sink, "ep_max_size", bucket.quota_bytes());
  tell(sink, "ep_max_item_size", bucket.max_value_bytes());
  tell(sink, "ep_max_vbuckets", bucket.vbucket_count());
  const BucketSettings settings = query.bucket.settings();
  sink("ep_conflict_resolution_type", settings.conflicts);
  sink("ep_compression_mode", settings.compression);
  tell(sink, "ep_max_ttl", settings.max_ttl_s);
  sink("ep_durability_min_level", engine_name(settings.durability_min));
  // What is no business of Couchbase's engine. Followers ask for it.
  tell(sink, "bobbin_replicas", settings.replicas);
  sink("bobbin_flush_enabled", settings.flush_enabled ? "true" : "false");
  return StatAnswer::told;
}

StatAnswer report_warming(const StatQuery& query, const StatSink& sink) {
  report_warmup(query.bucket, sink);
  return StatAnswer::told;
}

StatAnswer report_disk_space(const StatQuery& query, const StatSink& sink) {
  if (!query.argument.empty() && query.argument != "detail") return StatAnswer::unknown;
  if (query.bucket.disk() == nullptr) return StatAnswer::unknown;
  const auto shards = query.bucket.disk()->shard_activity();
  if (!query.argument.empty()) {
    for (size_t i = 0; i < shards.size(); ++i) {
      tell(sink, fmt::format("shard_{}:data_size", i), shards[i].files.data_bytes);
      tell(sink, fmt::format("shard_{}:file_size", i), shards[i].files.file_bytes);
      tell(sink, fmt::format("shard_{}:history_size", i), shards[i].files.history_bytes);
    }
    return StatAnswer::told;
  }
  disk::ShardStatistics sum;
  for (const disk::ShardActivity& shard : shards) {
    sum.data_bytes += shard.files.data_bytes;
    sum.file_bytes += shard.files.file_bytes;
    sum.history_bytes += shard.files.history_bytes;
  }
  tell(sink, "ep_db_data_size", sum.data_bytes);
  tell(sink, "ep_db_file_size", sum.file_bytes);
  tell(sink, "disk_history_bytes", sum.history_bytes);
  return StatAnswer::told;
}

StatAnswer report_failed(const StatQuery& query, const StatSink& sink) {
  if (query.bucket.disk() == nullptr) return StatAnswer::unknown;
  report_disk_failures(query.bucket, sink);
  return StatAnswer::told;
}

StatAnswer report_slow(const StatQuery& query, const StatSink& sink) {
  const char* const last = query.argument.data() + query.argument.size();
  uint32_t slow_after_s = 0;
  const auto [end, error] = std::from_chars(query.argument.data(), last, slow_after_s);
  if (error != std::errc() || end != last) return StatAnswer::invalid;
  if (query.bucket.disk() == nullptr) return StatAnswer::unknown;
  const disk::DiskInProgress now = query.bucket.disk()->in_progress(std::chrono::seconds(slow_after_s));
  tell(sink, "pending_disk_read_num", now.reads.all);
  tell(sink, "pending_disk_read_slow_num", now.reads.slow);
  tell(sink, "pending_disk_write_num", now.commits.all);
  tell(sink, "pending_disk_write_slow_num", now.commits.slow);
  return StatAnswer::told;
}

StatAnswer report_kvstore(const StatQuery& query, const StatSink& sink) {
  if (query.bucket.disk() == nullptr) return StatAnswer::unknown;
  const auto shards = query.bucket.disk()->shard_activity();
  for (size_t i = 0; i < shards.size(); ++i) {
    const disk::ShardActivity& shard = shards[i];
    const std::string of = fmt::format("rw_{}:", i);
    sink(of + "backend_type", "rocksdb");
    tell(sink, of + "io_num_write", shard.files.changes - shard.files.superseded);
    tell(sink, of + "io_write_bytes", shard.files.committed_bytes);
    tell(sink, of + "io_bg_fetch_docs_read", shard.read_documents);
    tell(sink, of + "failure_set", shard.commit_failures);
    tell(sink, of + "commits", shard.files.commits);
    tell(sink, of + "memtable_bytes", shard.files.memtable_bytes);
    tell(sink, of + "table_reader_bytes", shard.files.table_reader_bytes);
    tell(sink, of + "pending_compaction_bytes", shard.files.pending_compaction_bytes);
    tell(sink, of + "running_compactions", shard.files.running_compactions);
    tell(sink, of + "tombstones_purged", shard.files.tombstones_purged);
  }
  return StatAnswer::told;
}

StatAnswer report_workload(const StatQuery& query, const StatSink& sink) {
  const disk::Persistence* const disk = query.bucket.disk();
  const feed::PoolNumbers pool =
      query.engine.feeds == nullptr ? feed::PoolNumbers() : query.engine.feeds->numbers();
  tell(sink, "ep_workload:num_shards", disk == nullptr ? 0 : disk->directory().shards());
  tell(sink, "ep_workload:num_writers", disk == nullptr ? 0 : disk->writers());
  tell(sink, "ep_workload:num_readers", disk == nullptr ? 0 : disk->readers());
  tell(sink, "ep_workload:num_auxio", pool.threads);
  tell(sink, "ep_workload:num_sleepers", pool.threads - std::min(pool.threads, pool.running));
  tell(sink, "ep_workload:ready_tasks", pool.runnable);
  return StatAnswer::told;
}

constexpr StatGroup kGroups[] = {
    {.name = "uuid", .report = report_uuid, .about = "the bucket's uuid"},
    {.name = "memory", .report = report_memory, .about = "memory of the bucket; `total_`: of the process"},
    {.name = "config", .report = report_config, .about = "what the bucket is made as"},
    {.name = "warmup", .report = report_warming, .about = "how the start gets on, in a persistent bucket"},
    {.name = "diskinfo",
     .report = report_disk_space,
     .about = "sizes of files; `detail`: of each shard, as a vbucket has no files of its own",
     .argument = "[detail]"},
    {.name = "disk-failures",
     .report = report_failed,
     .about =
         "reads for clients that have failed, and whether a commit has (1), which is the last then; in a "
         "persistent bucket"},
    {.name = "disk-slowness",
     .report = report_slow,
     .about = "reads for clients and commits that are under way, and those that take so long already",
     .argument = "seconds"},
    {.name = "kvstore", .report = report_kvstore, .about = "what each shard has read and written"},
    {.name = "workload",
     .report = report_workload,
     .about = "shards, and threads; `auxio`, `sleepers` and `ready_tasks`: of the feed threads"},
};

}  // namespace

std::span<const StatGroup> bucket_groups() {
  return kGroups;
}

}  // namespace bobbin::serve
