#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "disk/rocks_log.h"
#include "disk/shard.h"
#include "disk/stale_filter.h"
#include "disk/state_records.h"

namespace bobbin::disk {

/// Names a row of the vbuckets in the default family.
inline constexpr char kStatePrefix = 'v';
inline constexpr char kPurgePrefix = 'p';
[[nodiscard]] std::string row_key(char prefix, uint16_t vbucket);
/// Names a row of something that a vbucket has: ids sort.
inline constexpr char kCollectionPrefix = 'c';
enum class CollectionRow : uint8_t { scope = 0, collection = 1 };
[[nodiscard]] std::string collection_row_key(uint16_t vbucket, CollectionRow kind, uint32_t id);
/// Reads such a row into the state of its vbucket; false when it is none.
[[nodiscard]] bool read_collection_row(std::string_view key, std::string_view value, VBucketState& state);

struct Shard::Impl {
  ShardOptions options;
  std::shared_ptr<RocksLog> log;
  std::shared_ptr<FilterState> filters;
  // Outlives db.
  std::unique_ptr<rocksdb::Env> env;
  std::unique_ptr<rocksdb::DB> db;
  // Owned by db; gone with it.
  rocksdb::ColumnFamilyHandle* rows = nullptr;
  rocksdb::ColumnFamilyHandle* docs = nullptr;
  rocksdb::ColumnFamilyHandle* seqnos = nullptr;

  // The committing thread's, kept for their memory.
  struct Order {
    uint64_t head;
    uint32_t position;
  };
  rocksdb::WriteBatch batch;
  std::vector<Order> order;
  /// Of the documents that are being added, in their order.
  std::vector<bool> superseded_by_later;
  std::string scratch;
  std::string value;
  /// Made for the first commit, from what is on disk.
  std::optional<StateRecords> state_records;

  // Since what is kept was last looked at; the committing thread's.
  uint64_t untrimmed_bytes = 0;
  /// Copies that may want to read it.
  mutable std::atomic<uint32_t> history_users{0};
  std::atomic<uint64_t> history_bytes{0};

  mutable base::Mutex mutex;
  std::optional<Error> seal GUARDED_BY(mutex);
  std::atomic<bool> is_sealed{false};
  std::atomic<uint64_t> commits{0};
  std::atomic<uint64_t> changes{0};
  std::atomic<uint64_t> superseded{0};
  std::atomic<uint64_t> committed_bytes{0};

  ~Impl() { release(); }

  /// An Error of this shard, with the file's name found where RocksDB does not give it.
  [[nodiscard]] Error error_of(const rocksdb::Status& status) const;
  /// The same for bytes that RocksDB gave and that do not decode.
  [[nodiscard]] Error undecodable(const char* what, rocksdb::ColumnFamilyHandle* family) const;
  /// Keeps the first error.
  void seal_with(const Error& error) EXCLUDES(mutex);
  /// Closes the database and forgets the handles.
  void release();

  /// Everything of these vbuckets goes, before what else is in the commit.
  [[nodiscard]] rocksdb::Status add_clears(std::span<const VBucketState> states);
  [[nodiscard]] rocksdb::Status add_changes(std::span<const Change> all);
  [[nodiscard]] rocksdb::Status add_documents(std::span<const Change> run);
  /// Of those documents that are not superseded_by_later.
  [[nodiscard]] rocksdb::Status add_index_entries(std::span<const Change> run);
  [[nodiscard]] rocksdb::Status add_flush(const Change& flush);
  [[nodiscard]] rocksdb::Status add_event(const Change& event);
  [[nodiscard]] rocksdb::Status add_states(std::span<const VBucketState> states);
  /// What cannot be read of the index is left out and logged.
  void read_flush_seqnos(std::span<VBucketState> states) const;
  [[nodiscard]] rocksdb::Status add_purge_seqnos(std::vector<std::pair<uint16_t, uint64_t>>& purged);
  [[nodiscard]] Result<void> load_purge_seqnos();
  /// Gives up the oldest commits that are more than is to be kept.
  void trim_history();
  /// The same, now and then.
  void trim_history_after(uint64_t committed_bytes);
  [[nodiscard]] std::unique_ptr<KeyReader::Impl> read_documents() const;
};

}  // namespace bobbin::disk
