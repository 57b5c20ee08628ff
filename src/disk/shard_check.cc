// What a shard tells of itself and gives to copies, and its upkeep.
#include <rocksdb/file_checksum.h>
#include <rocksdb/options.h>

#include <filesystem>

#include "disk/file_copy.h"
#include "disk/shard_impl.h"

namespace bobbin::disk {

namespace fs = std::filesystem;

namespace {

constexpr size_t kReadBytes = 1024 * 1024;

uint64_t number(const Shard::Impl& shard, rocksdb::ColumnFamilyHandle* family, const std::string& property) {
  uint64_t value = 0;
  return shard.db->GetIntProperty(family, property, &value) ? value : 0;
}

/// Over the families with documents and index.
uint64_t sum(const Shard::Impl& shard, const std::string& property) {
  return number(shard, shard.docs, property) + number(shard, shard.seqnos, property);
}

uint64_t bytes_of_files(const std::string& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(folder, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    // One that is deleted meanwhile counts nothing.
    std::error_code gone;
    const uint64_t size = entry->file_size(gone);
    if (!gone) bytes += size;
  }
  return bytes;
}

/// Compares the checksum of a whole file with the one that was recorded when it was written. It covers more
/// than the checksums of blocks do: also what no read would touch.
rocksdb::Status verify_file(const Shard::Impl& shard, const rocksdb::LiveFileStorageInfo& file) {
  const std::string path = file.directory + "/" + file.relative_filename;
  rocksdb::FileChecksumGenContext context;
  context.file_name = path;
  const auto checksum = rocksdb::GetFileChecksumGenCrc32cFactory()->CreateFileChecksumGenerator(context);
  std::unique_ptr<rocksdb::SequentialFile> bytes;
  rocksdb::Status status = shard.db->GetEnv()->NewSequentialFile(path, &bytes, rocksdb::EnvOptions());
  std::vector<char> buffer(kReadBytes);
  rocksdb::Slice read;
  do {
    if (status.ok()) status = bytes->Read(buffer.size(), &read, buffer.data());
    if (status.ok()) checksum->Update(read.data(), read.size());
  } while (status.ok() && !read.empty());
  if (!status.ok()) return status;
  checksum->Finalize();
  if (checksum->GetChecksum() == file.file_checksum) return status;
  return rocksdb::Status::Corruption("checksum of the file is not the one that was recorded", path);
}

}  // namespace

ShardStatistics Shard::statistics() const {
  using Properties = rocksdb::DB::Properties;
  const Impl& shard = *impl_;
  ShardStatistics all;
  all.memtable_bytes = sum(shard, Properties::kCurSizeAllMemTables);
  // The estimate has the live bytes of blob files in it.
  all.data_bytes =
      sum(shard, Properties::kEstimateLiveDataSize) + sum(shard, Properties::kCurSizeActiveMemTable);
  all.file_bytes = bytes_of_files(path());
  all.history_bytes = shard.history_bytes.load(std::memory_order_relaxed);
  all.keys = number(shard, shard.docs, Properties::kEstimateNumKeys);
  all.table_reader_bytes = sum(shard, Properties::kEstimateTableReadersMem);
  all.pending_compaction_bytes = sum(shard, Properties::kEstimatePendingCompactionBytes);
  all.running_compactions = number(shard, shard.docs, Properties::kNumRunningCompactions);
  all.running_flushes = number(shard, shard.docs, Properties::kNumRunningFlushes);
  all.delayed_write_bytes_per_s = number(shard, shard.docs, Properties::kActualDelayedWriteRate);
  all.stopped = number(shard, shard.docs, Properties::kIsWriteStopped) != 0;
  all.sealed = shard.is_sealed.load(std::memory_order_acquire);
  all.commits = shard.commits.load(std::memory_order_relaxed);
  all.changes = shard.changes.load(std::memory_order_relaxed);
  all.superseded = shard.superseded.load(std::memory_order_relaxed);
  all.committed_bytes = shard.committed_bytes.load(std::memory_order_relaxed);
  all.index_entries_dropped = shard.filters->index_entries_dropped.load(std::memory_order_relaxed);
  all.tombstones_purged = shard.filters->tombstones_purged.load(std::memory_order_relaxed);
  return all;
}

Result<void> Shard::compact() {
  const Impl& shard = *impl_;
  rocksdb::CompactRangeOptions options;
  // Otherwise what already lies in the last level is not shown to the filters.
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  options.exclusive_manual_compaction = false;
  rocksdb::Status status = shard.db->CompactRange(options, shard.docs, nullptr, nullptr);
  if (status.ok() && shard.filters->is_purge_wanted.load(std::memory_order_acquire)) {
    // The first pass found old tombstones. Now that it is told on disk, the second may drop them.
    if (auto told = commit({}, {}, Sync::yes); !told) return told;
    status = shard.db->CompactRange(options, shard.docs, nullptr, nullptr);
  }
  if (status.ok()) status = shard.db->CompactRange(options, shard.seqnos, nullptr, nullptr);
  if (!status.ok()) return base::fail(shard.error_of(status));
  return {};
}

Result<void> Shard::compact_meanwhile(std::atomic<bool>& canceled) const {
  const Impl& shard = *impl_;
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  options.exclusive_manual_compaction = false;
  options.canceled = &canceled;
  for (rocksdb::ColumnFamilyHandle* const family : {shard.docs, shard.seqnos}) {
    const rocksdb::Status status = shard.db->CompactRange(options, family, nullptr, nullptr);
    if (canceled.load()) return {};
    if (!status.ok()) return base::fail(shard.error_of(status));
  }
  return {};
}

Result<void> Shard::verify(const std::function<void(uint64_t, uint64_t)>& progress,
                           std::vector<Error>* damaged) const {
  const Impl& shard = *impl_;
  rocksdb::LiveFilesStorageInfoOptions options;
  options.include_checksum_info = true;
  options.wal_size_for_flush = UINT64_MAX;  // nothing is changed by looking
  std::vector<rocksdb::LiveFileStorageInfo> files;
  const rocksdb::Status status = shard.db->GetLiveFilesStorageInfo(options, &files);
  if (!status.ok()) return base::fail(shard.error_of(status));
  std::erase_if(files, [](const auto& file) { return file.file_checksum.empty(); });
  uint64_t total = 0;
  for (const auto& file : files)
    total += file.size;
  uint64_t done = 0;
  for (const auto& file : files) {
    const rocksdb::Status checked = verify_file(shard, file);
    if (!checked.ok() && damaged == nullptr) return base::fail(shard.error_of(checked));
    if (!checked.ok()) damaged->push_back(shard.error_of(checked));
    done += file.size;
    if (progress) progress(done, total);
  }
  return {};
}

Result<void> Shard::with_files(const std::function<Result<void>(std::span<const ShardFile>)>& use) const {
  const Impl& shard = *impl_;
  shard.history_users.fetch_add(1, std::memory_order_acq_rel);
  // One that is read only deletes nothing, and says that it does not know how to stop that.
  const bool is_held = shard.db->DisableFileDeletions().ok();
  rocksdb::LiveFilesStorageInfoOptions options;
  options.include_checksum_info = true;
  std::vector<rocksdb::LiveFileStorageInfo> live;
  const rocksdb::Status status = shard.db->GetLiveFilesStorageInfo(options, &live);
  Result<void> used;
  if (status.ok()) {
    std::vector<ShardFile> files;
    for (const rocksdb::LiveFileStorageInfo& file : live) {
      const bool is_fixed = file.file_type == rocksdb::kTableFile || file.file_type == rocksdb::kBlobFile;
      files.push_back({file.relative_filename, file.size,
                       is_fixed ? checksum_text(file.file_checksum) : std::string(),
                       file.replacement_contents});
    }
    used = use(files);
  } else {
    used = base::fail(shard.error_of(status));
  }
  if (is_held) (void)shard.db->EnableFileDeletions(false);
  shard.history_users.fetch_sub(1, std::memory_order_acq_rel);
  return used;
}

}  // namespace bobbin::disk
