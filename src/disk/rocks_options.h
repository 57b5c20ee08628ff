#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/cache.h>
#include <rocksdb/options.h>
#include <rocksdb/write_buffer_manager.h>

#include <memory>

#include "disk/rocks_log.h"
#include "disk/shard.h"
#include "disk/stale_filter.h"

namespace bobbin::disk {

struct Resources::Impl {
  uint64_t budget_bytes = 0;
  uint64_t memtable_budget_bytes = 0;
  /// Of one column family with documents.
  uint64_t write_buffer_bytes = 0;
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> memtables;
};

/// How a shard's RocksDB is set up; docs/disk.md has the measurements behind the figures.
[[nodiscard]] rocksdb::DBOptions database_options(const ShardOptions& options, std::shared_ptr<RocksLog> log);
/// default, docs, seqnos, in this order.
[[nodiscard]] std::vector<rocksdb::ColumnFamilyDescriptor> column_families(
    const ShardOptions& options, const std::shared_ptr<FilterState>& filters);

}  // namespace bobbin::disk
