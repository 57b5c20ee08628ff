#include "admin/metrics_buckets.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "serve/engine.h"

namespace bobbin::admin {
namespace {

using Kind = MetricsText::Kind;

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
    {"bobbin_bucket_evictions_unfetched_total", Kind::counter, "Documents evicted that nobody had read.",
     &store::Statistics::evicted_unfetched},
    {"bobbin_bucket_evictions_with_expiry_total", Kind::counter, "Documents evicted before their time came.",
     &store::Statistics::evicted_with_expiry},
    {"bobbin_bucket_expirations_unfetched_total", Kind::counter,
     "Expired documents removed that nobody had read.", &store::Statistics::expired_unfetched},
    {"bobbin_bucket_reclaimed_total", Kind::counter,
     "Expired documents removed because something needed their place.", &store::Statistics::reclaimed},
    {"bobbin_bucket_flushed_items_not_freed", Kind::gauge, "Documents of flushes that are still in memory.",
     &store::Statistics::garbage_items},
    {"bobbin_bucket_change_log_bytes", Kind::gauge, "Change logs, with the documents that they pin.",
     &store::Statistics::log_bytes},
    {"bobbin_bucket_inflated_bytes", Kind::gauge,
     "Copies of compressed values that clients have not taken yet.", &store::Statistics::inflated_bytes},
    {"bobbin_bucket_inflated_refusals_total", Kind::counter,
     "Reads refused because such copies leave no room.", &store::Statistics::inflated_refused},
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
    {"bobbin_disk_read_waiters_total", Kind::counter, "Keys that somebody waited for.",
     &disk::PersistenceStatistics::fetch_waiters},
    {"bobbin_disk_queue_limit_bytes", Kind::gauge, "Above this writers wait for a commit.",
     &disk::PersistenceStatistics::max_dirty_bytes},
};

/// The same of its shards, summed up.
struct ShardRow {
  std::string_view name;
  std::string_view help;
  uint64_t disk::ShardStatistics::*field;
};
constexpr ShardRow kShardRows[] = {
    {"bobbin_disk_file_bytes", "Bytes of its files.", &disk::ShardStatistics::file_bytes},
    {"bobbin_disk_data_bytes", "Of these, live documents as compressed: an estimate.",
     &disk::ShardStatistics::data_bytes},
    {"bobbin_disk_history_bytes", "Of these, commits that are kept.", &disk::ShardStatistics::history_bytes},
    {"bobbin_disk_memtable_bytes", "Memory of what RocksDB has not written to tables.",
     &disk::ShardStatistics::memtable_bytes},
    {"bobbin_disk_pending_compaction_bytes", "Bytes that compactions have to rewrite.",
     &disk::ShardStatistics::pending_compaction_bytes},
    {"bobbin_disk_running_compactions", "Compactions that run.", &disk::ShardStatistics::running_compactions},
    {"bobbin_disk_running_flushes", "Flushes of memtables that run.",
     &disk::ShardStatistics::running_flushes},
    {"bobbin_disk_delayed_write_bytes_per_second", "How fast RocksDB takes writes; 0: as they come.",
     &disk::ShardStatistics::delayed_write_bytes_per_s},
};

/// The numbers of all buckets at one moment: those of a family stand together.
struct BucketNumbers {
  std::string label;
  store::Statistics store;
  uint64_t upload_bytes = 0;
  std::optional<disk::PersistenceStatistics> disk = std::nullopt;
  bool writable = true;
  uint64_t disk_memory_bytes = 0;
  uint64_t disk_memory_limit_bytes = 0;
  std::array<uint64_t, 16> streams{};  ///< by kStreamRows
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
    {"bobbin_stream_backfills_total", Kind::counter, "Times that a stream read the disk."},
    {"bobbin_streams_too_slow_total", Kind::counter, "Streams ended that kept others from what they held."},
    {"bobbin_stream_readers", Kind::gauge, "Readers of the disk that streams have open."},
    {"bobbin_stream_readers_limit", Kind::gauge, "Readers that may be open."},
    {"bobbin_stream_changes_held_bytes", Kind::gauge, "Changes taken from the logs and not sent."},
    {"bobbin_stream_changes_held_limit_bytes", Kind::gauge, "Bytes of these that there may be."},
};

std::array<uint64_t, 16> stream_numbers(const feed::BucketStreams& streams, const store::Bucket& bucket) {
  const feed::StreamTotals& totals = streams.totals();
  return {streams.producers(),       streams.backfills().running(), streams.backfills().waiting(),
          bucket.cursor_lag_bytes(), totals.streams.load(),         totals.rollbacks.load(),
          totals.items.load(),       totals.bytes.load(),           totals.lost_cursors.load(),
          totals.noop_kicks.load(),  totals.backfills.load(),       totals.too_slow.load(),
          streams.readers().held(),  streams.readers().limit(),     streams.changes().held(),
          streams.changes().limit()};
}

std::vector<BucketNumbers> bucket_numbers(const serve::Engine& engine) {
  std::vector<BucketNumbers> all;
  for (const auto& bucket : engine.buckets.all()) {
    BucketNumbers numbers{MetricsText::label("bucket", bucket->name()), bucket->bucket().statistics(),
                          bucket->uploads().used_bytes()};
    if (bucket->disk() != nullptr) {
      numbers.disk = bucket->disk()->statistics();
      numbers.writable = !bucket->disk()->failure();
      const disk::Resources& resources = bucket->disk()->directory().resources();
      numbers.disk_memory_bytes = resources.used_bytes();
      numbers.disk_memory_limit_bytes = resources.budget_bytes();
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
  for (const ShardRow& row : kShardRows) {
    text.family(row.name, Kind::gauge, row.help);
    each([&](const BucketNumbers& bucket) { text.sample(bucket.label, bucket.disk->shards.*row.field); });
  }
  text.family("bobbin_disk_writes_stopped", Kind::gauge, "1 while RocksDB takes no writes.");
  each([&](const BucketNumbers& bucket) { text.sample(bucket.label, bucket.disk->shards.stopped ? 1 : 0); });
  text.family("bobbin_disk_memory_bytes", Kind::gauge, "Memory of RocksDB, of all buckets of the directory.");
  each([&](const BucketNumbers& bucket) { text.sample(bucket.label, bucket.disk_memory_bytes); });
  text.family("bobbin_disk_memory_limit_bytes", Kind::gauge, "Memory that RocksDB may use.");
  each([&](const BucketNumbers& bucket) { text.sample(bucket.label, bucket.disk_memory_limit_bytes); });
  text.family("bobbin_disk_writable", Kind::gauge, "1, or 0 after a write that failed.");
  each([&](const BucketNumbers& bucket) { text.sample(bucket.label, bucket.writable ? 1 : 0); });
  text.family("bobbin_warmup_complete", Kind::gauge, "1 when all documents have been brought to memory.");
  each([&](const BucketNumbers& bucket) { text.sample(bucket.label, bucket.disk->warmup.finished ? 1 : 0); });
  for (size_t i = 0; i < std::size(kStreamRows); ++i) {
    text.family(kStreamRows[i].name, kStreamRows[i].kind, kStreamRows[i].help);
    each([&](const BucketNumbers& bucket) { text.sample(bucket.label, bucket.streams[i]); });
  }
}

}  // namespace

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

}  // namespace bobbin::admin
