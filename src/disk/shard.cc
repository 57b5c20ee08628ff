#include "disk/shard.h"

#include <rocksdb/convenience.h>
#include <rocksdb/listener.h>
#include <rocksdb/sst_file_reader.h>

#include <cassert>
#include <filesystem>
#include <utility>

#include "disk/blob_names.h"
#include "disk/bytes.h"
#include "disk/give_way.h"
#include "disk/rocks_options.h"
#include "disk/shard_impl.h"

namespace bobbin::disk {

namespace {

/// Seals the shard when a flush or a compaction fails: RocksDB takes no more writes then, and says so only to
/// the next one.
class SealOnError final : public rocksdb::EventListener {
 public:
  explicit SealOnError(Shard::Impl& shard) : shard_(shard) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason /*reason*/, rocksdb::Status* status) override {
    if (!status->ok()) shard_.seal_with(shard_.error_of(*status));
  }

 private:
  Shard::Impl& shard_;
};

Result<void> check(const ShardOptions& options) {
  assert(options.blob_from_bytes > kRecordHeaderBytes);
  if (options.resources && options.vbuckets > 0 && options.vbuckets <= 65536) return {};
  return base::fail(
      Error{ErrorKind::config, options.path, options.path + ": a shard has 1 to 65536 vbuckets"});
}

/// The first table in the folder that cannot even be opened; empty when all can.
std::string damaged_table(const std::string& folder, rocksdb::Env* env) {
  rocksdb::Options options;
  options.env = env;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(folder, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (entry->path().extension() != ".sst") continue;
    rocksdb::SstFileReader table(options);
    if (!table.Open(entry->path().string()).ok()) return entry->path().string();
  }
  return {};
}

/// Why a shard did not open, with the file that is to blame: RocksDB calls damage in what it reads of each
/// table at the start, such as its properties, damage of the manifest.
Error opening_error(const Shard::Impl& shard, const rocksdb::Status& status) {
  Error error = shard.error_of(status);
  const std::string& folder = shard.options.path;
  // Without `create`, "does not exist" is damage: the directory says that the shard was there.
  const bool is_missing = error.kind == ErrorKind::config;
  if (!is_missing && (error.kind != ErrorKind::corrupt || !error.path.starts_with(folder + "/MANIFEST")))
    return error;
  error.kind = ErrorKind::corrupt;
  error.path = is_missing ? std::string() : damaged_table(folder, shard.env.get());
  if (error.path.empty()) error.path = first_file(folder);
  error.message = error.path + ": damaged or missing (" + status.ToString() +
                  "); restore it, or the whole directory, from a backup";
  return error;
}

}  // namespace

Shard::Shard(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Shard::~Shard() = default;

Result<std::unique_ptr<Shard>> Shard::open(const ShardOptions& options) {
  if (auto checked = check(options); !checked) return base::fail(checked.error());
  // What a log has is done again on this thread, before anybody is served from here.
  const InHurry in_hurry;
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->log = std::make_shared<RocksLog>();
  impl->filters = std::make_shared<FilterState>(options.freshness, options.clock, options.tombstone_age_s,
                                                options.vbuckets);
  rocksdb::DBOptions database = database_options(options, impl->log);
  impl->env = make_blob_naming_env(options.files.get());
  database.env = impl->env.get();
  database.listeners.push_back(std::make_shared<SealOnError>(*impl));
  const auto families = column_families(options, impl->filters);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      options.read_only ? rocksdb::DB::OpenForReadOnly(database, options.path, families, &handles, &db)
                        : rocksdb::DB::Open(database, options.path, families, &handles, &db);
  if (!status.ok()) return base::fail(opening_error(*impl, status));
  impl->db.reset(db);
  impl->rows = handles[0];
  impl->docs = handles[1];
  impl->seqnos = handles[2];
  if (auto loaded = impl->load_purge_seqnos(); !loaded) return base::fail(loaded.error());
  impl->filters->docs.store(impl->docs, std::memory_order_release);
  impl->filters->db.store(db, std::memory_order_release);
  if (!options.read_only) impl->trim_history();
  return std::unique_ptr<Shard>(new Shard(std::move(impl)));
}

Result<void> Shard::close() {
  if (!impl_->db) return {};
  rocksdb::Status status;
  if (!impl_->options.read_only && !sealed()) {
    status = impl_->db->SyncWAL();
    if (status.ok()) status = impl_->db->Flush({}, {impl_->rows, impl_->docs, impl_->seqnos});
  }
  std::optional<Error> error = sealed();
  if (!error && !status.ok()) error = impl_->error_of(status);
  impl_->release();
  if (error) return base::fail(std::move(*error));
  return {};
}

std::optional<Error> Shard::sealed() const {
  if (!impl_->is_sealed.load(std::memory_order_acquire)) return std::nullopt;
  const base::MutexLock lock(impl_->mutex);
  return impl_->seal;
}

uint64_t Shard::purge_seqno(uint16_t vbucket) const noexcept {
  const auto& persisted = impl_->filters->persisted;
  return vbucket < persisted.size() ? persisted[vbucket].load(std::memory_order_acquire) : 0;
}

uint64_t Shard::sequence() const noexcept {
  return impl_->db->GetLatestSequenceNumber();
}

const std::string& Shard::path() const noexcept {
  return impl_->options.path;
}

std::string row_key(char prefix, uint16_t vbucket) {
  std::string key(1, prefix);
  key.push_back(static_cast<char>(vbucket >> 8U));
  key.push_back(static_cast<char>(vbucket));
  return key;
}

std::string collection_row_key(uint16_t vbucket, CollectionRow kind, uint32_t id) {
  std::string key = row_key(kCollectionPrefix, vbucket);
  key.push_back(static_cast<char>(kind));
  put_sortable(key, id, 4);
  return key;
}

Error Shard::Impl::error_of(const rocksdb::Status& status) const {
  return disk::error_of(status, options.path, log.get());
}

Error Shard::Impl::undecodable(const char* what, rocksdb::ColumnFamilyHandle* family) const {
  return Error{ErrorKind::corrupt, options.path,
               options.path + ": " + what + " in " + family->GetName() +
                   " cannot be read, though its checksum is right"};
}

void Shard::Impl::seal_with(const Error& error) {
  const base::MutexLock lock(mutex);
  if (!seal) seal = error;
  is_sealed.store(true, std::memory_order_release);
}

void Shard::Impl::release() {
  if (!db) return;
  // Filters must not look into a database that is going.
  rocksdb::CancelAllBackgroundWork(db.get(), true);
  filters->db.store(nullptr, std::memory_order_release);
  filters->docs.store(nullptr, std::memory_order_release);
  for (rocksdb::ColumnFamilyHandle** handle : {&rows, &docs, &seqnos}) {
    if (*handle != nullptr) (void)db->DestroyColumnFamilyHandle(*handle);
    *handle = nullptr;
  }
  (void)db->Close();
  db.reset();
}

}  // namespace bobbin::disk
