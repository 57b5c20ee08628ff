// Reading: single documents, and the states of the vbuckets.
#include <algorithm>

#include "base/log.h"
#include "disk/bytes.h"
#include "disk/shard_impl.h"

namespace bobbin::disk {

namespace {

using rocksdb::PinnableSlice;
using rocksdb::Slice;
using rocksdb::Status;

std::string_view view(const Slice& slice) {
  return {slice.data(), slice.size()};
}

Result<std::optional<StoredRecord>> stored(const Shard::Impl& shard, const Status& status,
                                           const Slice& bytes) {
  if (status.IsNotFound()) return std::optional<StoredRecord>();
  if (!status.ok()) return base::fail(shard.error_of(status));
  if (!decode_record(view(bytes))) return base::fail(shard.undecodable("a document", shard.docs));
  return std::optional<StoredRecord>(StoredRecord(bytes.ToString()));
}

/// Several keys that are looked up at once, and what each has.
struct Lookup {
  std::vector<PinnableSlice> bytes;
  std::vector<Status> statuses;

  Lookup(const Shard::Impl& shard, const rocksdb::ReadOptions& options, std::span<const DocumentKey> names)
      : bytes(names.size()), statuses(names.size()) {
    std::vector<std::string> keys(names.size());
    std::vector<Slice> slices(names.size());
    for (size_t i = 0; i < names.size(); ++i) {
      append_document_key(keys[i], names[i].vbucket, names[i].key);
      slices[i] = keys[i];
    }
    shard.db->MultiGet(options, shard.docs, names.size(), slices.data(), bytes.data(), statuses.data());
  }
};

/// Of a read that was to stay in memory: what the key has is known, and it lies in a blob file. RocksDB says
/// so in its message only; where it should say it otherwise one day, the value is read.
bool lies_in_blob(const Status& status) {
  return status.IsIncomplete() && status.ToString().find("blob") != std::string::npos;
}

}  // namespace

Result<std::optional<StoredRecord>> Shard::get(uint16_t vbucket, store::DocKey key) const {
  std::string name;
  append_document_key(name, vbucket, key);
  PinnableSlice bytes;
  const Status status = impl_->db->Get({}, impl_->docs, name, &bytes);
  return stored(*impl_, status, bytes);
}

std::vector<Result<std::optional<StoredRecord>>> Shard::get_many(std::span<const DocumentKey> names) const {
  const Lookup found(*impl_, {}, names);
  std::vector<Result<std::optional<StoredRecord>>> answers;
  answers.reserve(names.size());
  for (size_t i = 0; i < names.size(); ++i)
    answers.push_back(stored(*impl_, found.statuses[i], found.bytes[i]));
  return answers;
}

std::vector<Result<bool>> Shard::are_documents(std::span<const DocumentKey> names,
                                               bool may_have_attributes) const {
  rocksdb::ReadOptions cached;
  cached.read_tier = rocksdb::kBlockCacheTier;
  const Lookup near(*impl_, cached, names);
  std::vector<Result<bool>> answers(names.size(), false);
  std::vector<DocumentKey> unknown;
  std::vector<size_t> unknown_at;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto record = near.statuses[i].ok() ? decode_record(view(near.bytes[i])) : std::nullopt;
    if (record) {
      answers[i] = !is_tombstone(record->kind);
    } else if (!may_have_attributes && lies_in_blob(near.statuses[i])) {
      answers[i] = true;
    } else if (!near.statuses[i].IsNotFound()) {
      unknown.push_back(names[i]);
      unknown_at.push_back(i);
    }
  }
  auto found = get_many(unknown);
  for (size_t i = 0; i < found.size(); ++i) {
    if (!found[i])
      answers[unknown_at[i]] = base::fail(std::move(found[i].error()));
    else
      answers[unknown_at[i]] = *found[i] && !is_tombstone((*found[i])->record().kind);
  }
  return answers;
}

bool read_collection_row(std::string_view key, std::string_view value, VBucketState& state) {
  ByteReader name(key.substr(3));
  const auto kind = static_cast<CollectionRow>(name.number(1));
  const auto id = static_cast<uint32_t>(name.sortable(4));
  if (!name.ok() || !name.rest().empty()) return false;
  if (kind == CollectionRow::scope) {
    const auto scope = decode_scope(id, value);
    if (scope) state.scopes.push_back(*scope);
    return scope.has_value();
  }
  const auto collection = kind == CollectionRow::collection ? decode_collection(id, value) : std::nullopt;
  if (collection) state.collections.push_back(*collection);
  return collection.has_value();
}

void Shard::Impl::read_flush_seqnos(std::span<VBucketState> states) const {
  std::unique_ptr<rocksdb::Iterator> index;
  std::string key;
  for (VBucketState& state : states) {
    // A flush begins a new branch.
    if (std::ranges::all_of(state.failover, [](const FailoverEntry& entry) { return entry.seqno == 0; }))
      continue;
    if (index == nullptr) index.reset(db->NewIterator({}, seqnos));
    key.clear();
    append_seqno_key(key, state.vbucket, 0);
    index->Seek(key);
    if (!index->status().ok()) {
      // Documents can be served all the same, and who streams from here is told then.
      base::log(base::LogLevel::error,
                "disk: looking for the last flush of each vbucket: " + error_of(index->status()).message);
      return;
    }
    if (!index->Valid()) return;
    // It has taken with it what came before.
    const auto name = decode_seqno_key(view(index->key()));
    const auto entry = decode_index_entry(view(index->value()));
    if (name && entry && name->vbucket == state.vbucket && entry->kind == RecordKind::flush)
      state.flush_seqno = name->seqno;
  }
}

Result<std::vector<VBucketState>> Shard::states() const {
  const std::unique_ptr<rocksdb::Iterator> rows(impl_->db->NewIterator({}, impl_->rows));
  StatesOnDisk on_disk;
  const Status read = read_states(*rows, impl_->options.vbuckets, on_disk);
  if (!read.ok()) return base::fail(impl_->error_of(read));
  std::vector<VBucketState> states;
  for (const auto& [vbucket, bytes] : on_disk.newest) {
    if (auto state = decode_state(vbucket, bytes)) states.push_back(std::move(*state));
  }
  if (on_disk.undecodable != 0 || states.size() != on_disk.newest.size())
    return base::fail(impl_->undecodable("the state of a vbucket", impl_->rows));
  const std::string collections(1, kCollectionPrefix);
  auto of = states.begin();
  for (rows->Seek(collections); rows->Valid() && rows->key().starts_with(collections); rows->Next()) {
    ByteReader key(view(rows->key()).substr(1));
    const auto vbucket = static_cast<uint16_t>(key.sortable(2));
    // Both are in the order of the vbuckets.
    while (of != states.end() && of->vbucket < vbucket)
      ++of;
    if (!key.ok() || of == states.end() || of->vbucket != vbucket ||
        !read_collection_row(view(rows->key()), view(rows->value()), *of))
      return base::fail(impl_->undecodable("what a vbucket knows of a collection", impl_->rows));
  }
  if (!rows->status().ok()) return base::fail(impl_->error_of(rows->status()));
  impl_->read_flush_seqnos(states);
  return states;
}

Result<void> Shard::Impl::load_purge_seqnos() {
  const std::unique_ptr<rocksdb::Iterator> found(db->NewIterator({}, rows));
  const std::string from(1, kPurgePrefix);
  for (found->Seek(from); found->Valid() && found->key().starts_with(from); found->Next()) {
    ByteReader key(view(found->key()).substr(1));
    ByteReader seqno(view(found->value()));
    const uint64_t vbucket = key.sortable(2);
    const uint64_t number = seqno.number(8);
    if (!key.ok() || !seqno.ok() || vbucket >= filters->persisted.size())
      return base::fail(undecodable("a purge seqno", rows));
    filters->persisted[vbucket].store(number, std::memory_order_release);
  }
  if (!found->status().ok()) return base::fail(error_of(found->status()));
  return {};
}

}  // namespace bobbin::disk
