// What a shard keeps of its commits when they are in tables already, so that a backup can take them along:
// RocksDB's log files. It moves them into a folder of their own then, where this gives up the oldest.
#include <rocksdb/transaction_log.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "disk/shard_impl.h"

namespace bobbin::disk {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolder = "archive";
constexpr uint64_t kLookEveryBytes = uint64_t{1} << 20;

/// Finds the latest of the states that a commit has written.
class FindTime final : public rocksdb::WriteBatch::Handler {
 public:
  explicit FindTime(uint32_t rows) : rows_(rows) {}

  rocksdb::Status PutCF(uint32_t family, const rocksdb::Slice& key, const rocksdb::Slice& value) override {
    if (family != rows_) return rocksdb::Status::OK();
    bool understood = true;
    const auto take = [&](uint16_t vbucket, std::string_view bytes) {
      const auto state = decode_state(vbucket, bytes);
      understood = understood && state;
      if (state) as_of_ns_ = std::max(as_of_ns_, state->as_of_ns);
    };
    if (!visit_states({key.data(), key.size()}, {value.data(), value.size()}, take) || !understood)
      return rocksdb::Status::Corruption("the state of a vbucket");
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(uint32_t /*family*/, const rocksdb::Slice& /*key*/) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteRangeCF(uint32_t /*family*/, const rocksdb::Slice& /*from*/,
                                const rocksdb::Slice& /*to*/) override {
    return rocksdb::Status::OK();
  }
  [[nodiscard]] uint64_t as_of_ns() const { return as_of_ns_; }

 private:
  const uint32_t rows_;
  uint64_t as_of_ns_ = 0;
};

struct KeptFile {
  std::string name;
  uint64_t bytes;
};

/// The oldest first: their names are numbers, of six digits at least.
std::vector<KeptFile> kept_files(const std::string& folder) {
  std::vector<KeptFile> files;
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    std::error_code gone;
    const uint64_t bytes = entry->file_size(gone);
    if (!gone && entry->path().extension() == ".log")
      files.push_back({entry->path().filename().string(), bytes});
  }
  std::sort(files.begin(), files.end(), [](const KeptFile& a, const KeptFile& b) {
    return a.name.size() != b.name.size() ? a.name.size() < b.name.size() : a.name < b.name;
  });
  return files;
}

}  // namespace

void Shard::Impl::trim_history() {
  if (history_users.load(std::memory_order_acquire) != 0) return;
  const std::string folder = options.path + "/" + std::string(kFolder);
  const std::vector<KeptFile> files = kept_files(folder);
  uint64_t bytes = 0;
  for (const KeptFile& file : files)
    bytes += file.bytes;
  uint64_t allowed = options.history_bytes;
  // It is never the reason why a disk is full.
  std::error_code error;
  const fs::space_info space = fs::space(options.path, error);
  if (!error) allowed = std::min<uint64_t>(allowed, space.available / 2);
  for (const KeptFile& file : files) {
    if (bytes <= allowed || !db->DeleteFile(std::string(kFolder) + "/" + file.name).ok()) break;
    bytes -= file.bytes;
  }
  history_bytes.store(bytes, std::memory_order_relaxed);
}

void Shard::Impl::trim_history_after(uint64_t committed) {
  if (options.history_bytes == 0) return;
  untrimmed_bytes += committed;
  if (untrimmed_bytes < std::max(kLookEveryBytes, options.history_bytes / 16)) return;
  untrimmed_bytes = 0;
  trim_history();
}

Result<bool> Shard::read_history(uint64_t sequence, const VisitCommit& visit) const {
  const Impl& shard = *impl_;
  if (sequence >= this->sequence()) return sequence == this->sequence();
  std::unique_ptr<rocksdb::TransactionLogIterator> commits;
  const rocksdb::Status status = shard.db->GetUpdatesSince(sequence + 1, &commits);
  if (status.IsNotFound()) return false;
  if (!status.ok()) return base::fail(shard.error_of(status));
  // What is written meanwhile is not waited for.
  const uint64_t last = this->sequence();
  uint64_t next = sequence + 1;
  for (; next <= last && commits->Valid(); commits->Next()) {
    const rocksdb::BatchResult batch = commits->GetBatch();
    HistoryCommit commit;
    commit.sequence = batch.sequence;
    commit.writes = batch.writeBatchPtr->Count();
    if (commit.sequence != next) return false;
    FindTime time(shard.rows->GetID());
    if (!batch.writeBatchPtr->Iterate(&time).ok())
      return base::fail(shard.undecodable("a commit of the history", shard.rows));
    commit.as_of_ns = time.as_of_ns();
    commit.bytes = batch.writeBatchPtr->Data();
    if (auto visited = visit(commit); !visited) return base::fail(std::move(visited.error()));
    next += commit.writes;
  }
  if (next > last) return true;
  if (!commits->status().ok() && !commits->status().IsNotFound())
    return base::fail(shard.error_of(commits->status()));
  return false;
}

Result<void> Shard::replay(const HistoryCommit& commit) {
  Impl& shard = *impl_;
  if (commit.sequence != sequence() + 1) {
    return base::fail(Error{ErrorKind::corrupt, path(),
                            path() + ": the history goes on at " + std::to_string(commit.sequence) +
                                ", not at " + std::to_string(sequence() + 1)});
  }
  // It may have states.
  shard.state_records.reset();
  rocksdb::WriteBatch batch{std::string(commit.bytes)};
  const rocksdb::Status status = shard.db->Write({}, &batch);
  if (!status.ok()) return base::fail(shard.error_of(status));
  return {};
}

}  // namespace bobbin::disk
