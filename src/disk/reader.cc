#include "disk/reader.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <thread>
#include <utility>

#include "disk/bytes.h"
#include "disk/shard_impl.h"

namespace bobbin::disk {

namespace {

// How far the next document may be before seeking is cheaper than stepping.
constexpr int kSteps = 4;
constexpr size_t kReadaheadBytes = 2 * 1024 * 1024;
constexpr size_t kItemBytes = 100;
// Documents looked up before others have the processor, if they wait for it: some 0.1 ms.
constexpr size_t kGiveWayItems = 16;

std::string_view view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

std::string vbucket_prefix(uint16_t vbucket) {
  std::string prefix;
  put_sortable(prefix, vbucket, 2);
  return prefix;
}

/// What a walk reads once has no place in the cache that serves the others.
rocksdb::ReadOptions walking() {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  return options;
}

}  // namespace

struct KeyReader::Impl {
  const Shard::Impl& shard;
  std::string end;  // what `end_slice` refers to, which RocksDB's iterator does
  rocksdb::Slice end_slice;
  std::unique_ptr<rocksdb::Iterator> documents;
  std::string prefix;  // empty: all vbuckets
  bool started = true;
  DocumentKey name;
  Record record;
  std::string resume;  // where next() goes on; empty: where the iterator is
};

KeyReader::KeyReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KeyReader::~KeyReader() = default;

Result<bool> KeyReader::next() {
  rocksdb::Iterator& documents = *impl_->documents;
  if (!impl_->resume.empty())
    documents.Seek(std::exchange(impl_->resume, {}));
  else if (impl_->started)
    impl_->started = false;
  else if (documents.Valid())
    documents.Next();
  if (!documents.Valid() || !documents.key().starts_with(impl_->prefix)) {
    impl_->name = {};
    impl_->record = {};
    if (documents.status().ok()) return false;
    return base::fail(impl_->shard.error_of(documents.status()));
  }
  const auto name = decode_document_key(view(documents.key()));
  const auto record = decode_record(view(documents.value()));
  if (!name || !record) return base::fail(impl_->shard.undecodable("a document", impl_->shard.docs));
  impl_->name = *name;
  impl_->record = *record;
  return true;
}

void KeyReader::let_go(Resume at) {
  assert(!impl_->end.empty() && impl_->documents->Valid());
  impl_->resume = impl_->documents->key().ToString();
  if (at == Resume::following) impl_->resume.push_back('\0');
  impl_->name = {};
  impl_->record = {};
  // Behind its bound: RocksDB's iterator lets go of a value when it moves, and there is none.
  impl_->documents->Seek(impl_->end_slice);
}

uint16_t KeyReader::vbucket() const noexcept {
  return impl_->name.vbucket;
}
store::DocKey KeyReader::key() const noexcept {
  return impl_->name.key;
}
std::string_view KeyReader::stored_key() const noexcept {
  return view(impl_->documents->key()).substr(2);
}
const Record& KeyReader::record() const noexcept {
  return impl_->record;
}

std::unique_ptr<KeyReader::Impl> Shard::Impl::read_documents() const {
  rocksdb::ReadOptions ahead = walking();
  ahead.readahead_size = kReadaheadBytes;
  return std::make_unique<KeyReader::Impl>(KeyReader::Impl{
      *this, {}, {}, std::unique_ptr<rocksdb::Iterator>(db->NewIterator(ahead, docs)), {}, true, {}, {}, {}});
}

std::unique_ptr<KeyReader> Shard::read_range(uint16_t vbucket, std::string_view from,
                                             std::string_view to) const {
  auto impl = std::make_unique<KeyReader::Impl>(
      KeyReader::Impl{*impl_, vbucket_prefix(vbucket).append(to), {}, nullptr, {}, true, {}, {}, {}});
  impl->end_slice = impl->end;
  rocksdb::ReadOptions options = walking();
  options.iterate_upper_bound = &impl->end_slice;
  impl->documents.reset(impl_->db->NewIterator(options, impl_->docs));
  impl->documents->Seek(vbucket_prefix(vbucket).append(from));
  return std::make_unique<KeyReader>(std::move(impl));
}

std::unique_ptr<KeyReader> Shard::read_keys_from(uint16_t first_vbucket) const {
  auto impl = impl_->read_documents();
  impl->documents->Seek(vbucket_prefix(first_vbucket));
  return std::make_unique<KeyReader>(std::move(impl));
}

std::unique_ptr<KeyReader> Shard::read_keys(std::optional<uint16_t> vbucket,
                                            std::optional<store::DocKey> after) const {
  auto impl = impl_->read_documents();
  if (vbucket) {
    impl->prefix = vbucket_prefix(*vbucket);
    // Keys have no length limit of zero: the first that sorts behind `after` is `after` with a zero byte.
    std::string from = impl->prefix;
    if (after) {
      after->append_stored(from);
      from.push_back('\0');
    }
    impl->documents->Seek(from);
  } else {
    impl->documents->SeekToFirst();
  }
  return std::make_unique<KeyReader>(std::move(impl));
}

namespace {

// How often a commit may come in between before a snapshot is taken.
constexpr int kAttempts = 8;

/// Iterators over the index and the documents, of one moment: RocksDB gives each family one of its own.
rocksdb::Status make_both(const Shard::Impl& shard, rocksdb::ReadOptions options,
                          std::vector<rocksdb::Iterator*>& both) {
  const std::vector<rocksdb::ColumnFamilyHandle*> families = {shard.seqnos, shard.docs};
  // The release of a snapshot has RocksDB compact files for it.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const uint64_t before = shard.db->GetLatestSequenceNumber();
    rocksdb::Status status = shard.db->NewIterators(options, families, &both);
    if (!status.ok() || shard.db->GetLatestSequenceNumber() == before) return status;
    for (const rocksdb::Iterator* iterator : both)
      delete iterator;
    both.clear();
  }
  // The iterators need it no longer than they are made.
  rocksdb::ManagedSnapshot moment(shard.db.get());
  options.snapshot = moment.snapshot();
  return shard.db->NewIterators(options, families, &both);
}

/// The seqno that a vbucket's index ends with. The iterator is somewhere else afterwards.
uint64_t last_seqno_of(rocksdb::Iterator& index, uint16_t vbucket) {
  std::string key;
  append_seqno_key(key, vbucket, kMaxSeqno);
  index.SeekForPrev(key);
  if (!index.Valid()) return 0;
  const auto name = decode_seqno_key(view(index.key()));
  return name && name->vbucket == vbucket ? name->seqno : 0;
}

}  // namespace

Result<KeysUntil> Shard::read_keys_until(uint16_t vbucket) const {
  rocksdb::ReadOptions ahead = walking();
  ahead.readahead_size = kReadaheadBytes;
  std::vector<rocksdb::Iterator*> both;
  const rocksdb::Status status = make_both(*impl_, ahead, both);
  if (!status.ok()) return base::fail(impl_->error_of(status));
  const std::unique_ptr<rocksdb::Iterator> index(both[0]);
  auto impl = std::make_unique<KeyReader::Impl>(KeyReader::Impl{*impl_,
                                                                {},
                                                                {},
                                                                std::unique_ptr<rocksdb::Iterator>(both[1]),
                                                                vbucket_prefix(vbucket),
                                                                true,
                                                                {},
                                                                {},
                                                                {}});
  KeysUntil keys;
  keys.last_seqno = last_seqno_of(*index, vbucket);
  if (!index->status().ok()) return base::fail(impl_->error_of(index->status()));
  impl->documents->Seek(impl->prefix);
  keys.reader = std::make_unique<KeyReader>(std::move(impl));
  return keys;
}

struct SeqnoReader::Impl {
  const Shard::Impl& shard;
  // Both of one moment.
  std::unique_ptr<rocksdb::Iterator> index;
  std::unique_ptr<rocksdb::Iterator> documents;
  uint16_t vbucket;
  uint64_t to;
  uint64_t last_seqno = 0;

  [[nodiscard]] Result<std::vector<SeqnoItem>> read_index(size_t items, size_t bytes);
  /// Fills in what is still current, marks the rest by an empty key; answers in the order of `run`.
  [[nodiscard]] Result<void> read_documents(std::vector<SeqnoItem>& run);
  /// The document of a key that sorts behind all that were asked before; false when it is not there.
  [[nodiscard]] bool find(const std::string& name);
};

SeqnoReader::SeqnoReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SeqnoReader::~SeqnoReader() = default;

uint64_t SeqnoReader::last_seqno() const noexcept {
  return impl_->last_seqno;
}

std::unique_ptr<SeqnoReader> Shard::read_seqnos(uint16_t vbucket, uint64_t from, uint64_t to) const {
  std::vector<rocksdb::Iterator*> both;
  const rocksdb::Status status = make_both(*impl_, walking(), both);
  if (!status.ok()) both = {rocksdb::NewErrorIterator(status), rocksdb::NewErrorIterator(status)};
  auto impl = std::make_unique<SeqnoReader::Impl>(
      SeqnoReader::Impl{*impl_, std::unique_ptr<rocksdb::Iterator>(both[0]),
                        std::unique_ptr<rocksdb::Iterator>(both[1]), vbucket, std::min(to, kMaxSeqno)});
  impl->last_seqno = last_seqno_of(*impl->index, vbucket);
  // An error stays with the iterator unless it seeks once more: next_run has to find it.
  if (impl->index->status().ok()) {
    std::string key;
    append_seqno_key(key, vbucket, from);
    impl->index->Seek(key);
  }
  return std::make_unique<SeqnoReader>(std::move(impl));
}

Result<std::vector<SeqnoItem>> SeqnoReader::next_run(size_t items, size_t bytes) {
  // A run may be superseded as a whole; that is not the end.
  for (;;) {
    auto run = impl_->read_index(items, bytes);
    if (!run || run->empty()) return run;
    if (auto read = impl_->read_documents(*run); !read) return base::fail(read.error());
    std::erase_if(*run,
                  [](const SeqnoItem& item) { return has_document(item.kind) && item.stored_key.empty(); });
    if (!run->empty()) return run;
  }
}

Result<std::vector<SeqnoItem>> SeqnoReader::Impl::read_index(size_t items, size_t bytes) {
  std::vector<SeqnoItem> run;
  size_t sum = 0;
  for (; index->Valid() && run.size() < items && sum < bytes; index->Next()) {
    const auto name = decode_seqno_key(view(index->key()));
    if (!name) return base::fail(shard.undecodable("an index entry", shard.seqnos));
    if (name->vbucket != vbucket || name->seqno > to) break;
    const auto entry = decode_index_entry(view(index->value()));
    if (!entry) return base::fail(shard.undecodable("an index entry", shard.seqnos));
    std::string key = has_document(entry->kind) ? entry->key.stored() : std::string();
    sum += kItemBytes + key.size() + entry->value_bytes;
    run.push_back(
        {entry->kind, name->seqno, std::move(key), StoredRecord{std::string()}, std::string(entry->event)});
  }
  if (!index->status().ok()) return base::fail(shard.error_of(index->status()));
  return run;
}

bool SeqnoReader::Impl::find(const std::string& name) {
  for (int step = 0; step < kSteps && documents->Valid() && documents->key().compare(name) < 0; ++step)
    documents->Next();
  if (!documents->Valid() || documents->key().compare(name) < 0) documents->Seek(name);
  return documents->Valid() && documents->key() == rocksdb::Slice(name);
}

Result<void> SeqnoReader::Impl::read_documents(std::vector<SeqnoItem>& run) {
  std::vector<SeqnoItem*> order;
  order.reserve(run.size());
  for (SeqnoItem& item : run) {
    if (has_document(item.kind)) order.push_back(&item);
  }
  std::sort(order.begin(), order.end(),
            [](const SeqnoItem* a, const SeqnoItem* b) { return a->stored_key < b->stored_key; });
  const std::string prefix = vbucket_prefix(vbucket);
  std::string name = prefix;
  if (!order.empty()) documents->Seek(name.append(order.front()->stored_key));
  for (size_t looked_up = 0; SeqnoItem * item : order) {
    // Each may be in a block of its own: all of them take milliseconds, and who waits for this processor is a
    // loop.
    if (++looked_up % kGiveWayItems == 0) std::this_thread::yield();
    name.assign(prefix).append(item->stored_key);
    const bool found = find(name);
    if (!documents->status().ok()) return base::fail(shard.error_of(documents->status()));
    const auto record = found ? decode_record(view(documents->value())) : std::nullopt;
    if (found && !record) return base::fail(shard.undecodable("a document", shard.docs));
    if (record && record->seqno == item->seqno)
      item->stored = StoredRecord(documents->value().ToString());
    else
      item->stored_key.clear();
  }
  return {};
}

}  // namespace bobbin::disk
