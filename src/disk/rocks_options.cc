#include "disk/rocks_options.h"

#include <rocksdb/file_checksum.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/memtablerep.h>
#include <rocksdb/table.h>
#include <rocksdb/table_properties.h>

#include <algorithm>
#include <bit>

#include "disk/document_memtable.h"
#include "disk/give_way.h"
#include "disk/seqno_memtable.h"

namespace bobbin::disk {

namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kSmallestWriteBuffer = 2 * kMiB;
// Larger ones fall out of the processor's caches, and make a start after a crash replay more.
constexpr uint64_t kLargestWriteBuffer = 16 * kMiB;
constexpr size_t kDocumentBlockBytes = 8 * 1024;
constexpr size_t kIndexBlockBytes = 16 * 1024;
constexpr double kBloomBitsPerKey = 10;
// RocksDB looks at sizes every ten minutes only, so it is told to keep everything, and the shard trims
// (shard_history.cc). Not by age: 7.8 takes a log that was written in the second that has just begun for one
// of the year 1.
constexpr uint64_t kKeepLogsMiB = uint64_t{1} << 30;

/// Collects nothing: it is called for each key that a flush or a compaction writes, on RocksDB's threads.
class GivesWay final : public rocksdb::TablePropertiesCollector {
 public:
  rocksdb::Status AddUserKey(const rocksdb::Slice& /*key*/, const rocksdb::Slice& /*value*/,
                             rocksdb::EntryType /*type*/, rocksdb::SequenceNumber /*sequence*/,
                             uint64_t /*file_bytes*/) override {
    give_way_now_and_then();
    return rocksdb::Status::OK();
  }
  rocksdb::Status Finish(rocksdb::UserCollectedProperties* /*properties*/) override {
    return rocksdb::Status::OK();
  }
  [[nodiscard]] rocksdb::UserCollectedProperties GetReadableProperties() const override { return {}; }
  [[nodiscard]] const char* Name() const override { return "bobbin.GivesWay"; }
};

class GivesWayFactory final : public rocksdb::TablePropertiesCollectorFactory {
 public:
  rocksdb::TablePropertiesCollector* CreateTablePropertiesCollector(Context /*context*/) override {
    return std::make_unique<GivesWay>().release();  // RocksDB's to delete
  }
  [[nodiscard]] const char* Name() const override { return "bobbin.GivesWay"; }
};

rocksdb::ColumnFamilyOptions family_options(const ShardOptions& options, size_t block_bytes, bool has_bloom) {
  rocksdb::ColumnFamilyOptions family;
  family.write_buffer_size = options.resources->impl().write_buffer_bytes;
  // One is written to, others are on their way to disk: a burst is not held up by a flush.
  family.max_write_buffer_number = 4;
  family.level_compaction_dynamic_level_bytes = true;
  family.compression = rocksdb::kLZ4Compression;
  family.bottommost_compression = rocksdb::kLZ4Compression;
  family.table_properties_collector_factories.push_back(std::make_shared<GivesWayFactory>());
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = options.resources->impl().cache;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  // In pieces: those of a file of 64 MiB are half a megabyte, which a small cache would read again for each
  // key.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = has_bloom;
  table.pin_top_level_index_and_filter = true;
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;
  table.block_size = block_bytes;
  if (has_bloom) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return family;
}

/// How many documents a memtable is made for, those of a hundred bytes or so.
uint32_t slots_for(uint64_t memtable_bytes) noexcept {
  constexpr uint64_t kBytesOfDocument = 256;
  return static_cast<uint32_t>(std::bit_floor(memtable_bytes / kBytesOfDocument));
}

}  // namespace

Resources::Resources(uint64_t budget_bytes, uint32_t shards) : impl_(std::make_unique<Impl>()) {
  impl_->budget_bytes = budget_bytes;
  impl_->memtable_budget_bytes = budget_bytes / 2;
  // Two large families in each shard, each with one memtable that is written to and one on its way out.
  const uint64_t each = impl_->memtable_budget_bytes / (uint64_t{std::max(shards, 1U)} * 4);
  impl_->write_buffer_bytes = std::clamp(each, kSmallestWriteBuffer, kLargestWriteBuffer);
  impl_->cache = rocksdb::NewLRUCache(budget_bytes);
  impl_->memtables =
      std::make_shared<rocksdb::WriteBufferManager>(impl_->memtable_budget_bytes, impl_->cache);
}

Resources::~Resources() = default;

uint64_t Resources::budget_bytes() const noexcept {
  return impl_->budget_bytes;
}
uint64_t Resources::used_bytes() const {
  return impl_->cache->GetUsage();
}
uint64_t Resources::memtable_bytes() const {
  return impl_->memtables->memory_usage();
}
uint64_t Resources::pinned_bytes() const {
  return impl_->cache->GetPinnedUsage();
}

rocksdb::DBOptions database_options(const ShardOptions& options, std::shared_ptr<RocksLog> log) {
  rocksdb::DBOptions database;
  database.create_if_missing = options.create;
  database.create_missing_column_families = options.create;
  database.info_log = std::move(log);
  database.write_buffer_manager = options.resources->impl().memtables;
  database.max_background_jobs = static_cast<int>(options.background_jobs);
  database.allow_concurrent_memtable_write = false;
  // A half-written last record is what a crash leaves, and never was acknowledged; anything else that does
  // not read is damage and must be told. The other modes drop what follows without a word, or refuse the
  // former. (RocksDB does not recycle log files in this mode.)
  database.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  database.track_and_verify_wals_in_manifest = true;
  database.paranoid_checks = true;
  // What failed once is not tried again behind our back: the shard is sealed.
  database.max_bgerror_resume_count = 0;
  database.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  database.WAL_size_limit_MB = options.history_bytes == 0 ? 0 : kKeepLogsMiB;
  // Bounds what has to be replayed after a crash.
  database.max_total_wal_size = 4 * options.resources->impl().write_buffer_bytes;
  database.max_manifest_file_size = 16 * kMiB;
  database.manifest_preallocation_size = 256 * 1024;
  database.max_open_files = 1000;
  // Threads that open tables, made at each start: few tables do not pay for sixteen of them.
  database.max_file_opening_threads = 2;
  // RocksDB's threads do not give way while they copy to the kernel and have it write: in pieces, then.
  database.writable_file_max_buffer_size = 64 * 1024;
  database.bytes_per_sync = 256 * 1024;
  database.stats_dump_period_sec = 0;
  database.stats_persist_period_sec = 0;
  return database;
}

std::vector<rocksdb::ColumnFamilyDescriptor> column_families(const ShardOptions& options,
                                                             const std::shared_ptr<FilterState>& filters) {
  rocksdb::ColumnFamilyOptions rows = family_options(options, kDocumentBlockBytes, false);
  // Each commit writes a record of the states in it, and nobody reads these rows but whole, at a start and in
  // a check: appended to a vector they cost no search.
  rows.write_buffer_size = std::max(kSmallestWriteBuffer, options.resources->impl().write_buffer_bytes / 2);
  rows.memtable_factory = std::make_shared<rocksdb::VectorRepFactory>();
  rocksdb::ColumnFamilyOptions docs = family_options(options, kDocumentBlockBytes, true);
  docs.memtable_factory = document_memtables(slots_for(docs.write_buffer_size));
  docs.enable_blob_files = true;
  docs.min_blob_size = options.blob_from_bytes;
  docs.blob_compression_type = rocksdb::kLZ4Compression;
  docs.enable_blob_garbage_collection = true;
  docs.compaction_filter_factory = make_purge_filter(filters);
  rocksdb::ColumnFamilyOptions seqnos = family_options(options, kIndexBlockBytes, false);
  seqnos.memtable_factory = seqno_memtables();
  seqnos.compaction_filter_factory = make_stale_filter(filters);
  return {{rocksdb::kDefaultColumnFamilyName, rows}, {"docs", docs}, {"seqnos", seqnos}};
}

}  // namespace bobbin::disk
