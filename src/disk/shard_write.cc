// How changes become one write batch.
#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "disk/bytes.h"
#include "disk/give_way.h"
#include "disk/shard_impl.h"
#include "store/collection_event.h"

namespace bobbin::disk {

namespace {

using rocksdb::Slice;
using rocksdb::SliceParts;
using rocksdb::Status;

/// Takes RocksDB some ten microseconds to sum and to copy, in one go.
constexpr size_t kLongBatchBytes = 16 << 10;

/// The vbucket and the first six bytes of the stored key as a number: comparing two of these decides nearly
/// always.
uint64_t head_of(const Change& change) noexcept {
  std::array<uint8_t, 6> start{};
  const store::CollectionPrefix prefix(change.key.collection());
  const std::string_view name = change.key.name();
  std::memcpy(start.data(), prefix.bytes().data(), prefix.size());
  std::memcpy(start.data() + prefix.size(), name.data(), std::min(name.size(), start.size() - prefix.size()));
  uint64_t head = change.vbucket;
  for (const uint8_t byte : start)
    head = head << 8U | byte;
  return head;
}

/// All keys that begin with a vbucket.
struct VBucketRange {
  explicit VBucketRange(uint16_t vbucket) : from(prefix_of(vbucket)), to(from) {
    // Beyond the longest key; the next vbucket's prefix would not exist after the last.
    to.append(store::kMaxStoredKeyBytes + 1, '\xff');
  }
  static std::string prefix_of(uint16_t vbucket) {
    std::string prefix;
    put_sortable(prefix, vbucket, 2);
    return prefix;
  }
  std::string from;
  std::string to;
};

/// In the order of the stored keys; below, at or above 0. The heads are the same, and with them the prefixes.
int compare_names(const Change& a, const Change& b) noexcept {
  return a.key.name().compare(b.key.name());
}

bool same_document(const Change& a, const Change& b) noexcept {
  return a.vbucket == b.vbucket && a.key == b.key;
}

}  // namespace

Result<void> Shard::commit(std::span<const Change> changes, std::span<const VBucketState> states, Sync sync) {
  Impl& shard = *impl_;
  if (auto error = sealed()) return base::fail(std::move(*error));
  shard.batch.Clear();
  Status status = shard.add_clears(states);
  if (status.ok()) status = shard.add_changes(changes);
  if (status.ok()) status = shard.add_states(states);
  std::vector<std::pair<uint16_t, uint64_t>> purged;
  if (status.ok() && shard.filters->is_purge_wanted.exchange(false, std::memory_order_acquire))
    status = shard.add_purge_seqnos(purged);
  if (status.ok()) {
    rocksdb::WriteOptions options;
    options.sync = sync == Sync::yes;
    if (shard.batch.GetDataSize() >= kLongBatchBytes) give_way_now();
    status = shard.db->Write(options, &shard.batch);
  }
  if (!status.ok()) {
    Error error = shard.error_of(status);
    if (shard.options.read_only) {
      error = shard.options.read_only_because.value_or(
          Error{ErrorKind::read_only, path(), path() + ": was opened to be read only"});
    }
    shard.seal_with(error);
    return base::fail(std::move(error));
  }
  // An unsynced purge seqno could be lost while a compaction that relies on it is not.
  if (sync == Sync::no && !purged.empty())
    shard.filters->is_purge_wanted.store(true, std::memory_order_release);
  for (const VBucketState& state : states) {
    if (state.clears) shard.filters->persisted[state.vbucket].store(0, std::memory_order_release);
  }
  for (const auto& entry : purged) {
    if (sync == Sync::yes)
      shard.filters->persisted[entry.first].store(entry.second, std::memory_order_release);
  }
  shard.commits.fetch_add(1, std::memory_order_relaxed);
  shard.changes.fetch_add(changes.size(), std::memory_order_relaxed);
  shard.committed_bytes.fetch_add(shard.batch.GetDataSize(), std::memory_order_relaxed);
  shard.trim_history_after(shard.batch.GetDataSize());
  return {};
}

Status Shard::Impl::add_clears(std::span<const VBucketState> states) {
  for (const VBucketState& state : states) {
    if (!state.clears) continue;
    // Nothing of it has been purged; what a compaction wants until it sees the new documents is too much at
    // worst.
    filters->wanted[state.vbucket].store(0, std::memory_order_release);
    const VBucketRange all(state.vbucket);
    Status status = batch.DeleteRange(docs, all.from, all.to);
    if (status.ok()) status = batch.DeleteRange(seqnos, all.from, all.to);
    if (status.ok()) status = batch.Delete(rows, row_key(kPurgePrefix, state.vbucket));
    if (status.ok()) {
      // The highest number is nobody's.
      status = batch.DeleteRange(rows, row_key(kCollectionPrefix, state.vbucket),
                                 collection_row_key(state.vbucket, CollectionRow::collection, UINT32_MAX));
    }
    if (!status.ok()) return status;
  }
  return Status::OK();
}

Status Shard::Impl::add_changes(std::span<const Change> all) {
  // A flush takes what came before it and leaves what follows, and so does the end of a collection with its
  // documents: they are sorted in between only.
  size_t start = 0;
  for (size_t i = 0; i <= all.size(); ++i) {
    if (i < all.size() && has_document(all[i].record.kind)) continue;
    Status status = add_documents(all.subspan(start, i - start));
    if (status.ok() && i < all.size())
      status = all[i].record.kind == RecordKind::flush ? add_flush(all[i]) : add_event(all[i]);
    if (!status.ok()) return status;
    start = i + 1;
  }
  return Status::OK();
}

Status Shard::Impl::add_documents(std::span<const Change> run) {
  order.clear();
  for (uint32_t i = 0; i < run.size(); ++i)
    order.push_back({head_of(run[i]), i});
  std::sort(order.begin(), order.end(), [&](const Order& a, const Order& b) {
    if (a.head != b.head) return a.head < b.head;
    const int by_name = compare_names(run[a.position], run[b.position]);
    return by_name != 0 ? by_name < 0 : a.position > b.position;
  });
  superseded_by_later.assign(run.size(), false);
  uint64_t left_out = 0;
  const Change* before = nullptr;
  for (const Order& at : order) {
    const Change& change = run[at.position];
    assert(change.key.is_valid() && change.vbucket < options.vbuckets);
    give_way_now_and_then();
    if (before != nullptr && same_document(*before, change)) {
      superseded_by_later[at.position] = true;
      ++left_out;
      continue;
    }
    before = &change;
    scratch.clear();
    append_document_key(scratch, change.vbucket, change.key);
    const Slice key(scratch);
    value.clear();
    Record header = change.record;
    header.value = {};
    append_record(value, header);
    const std::array<Slice, 2> parts = {Slice(value),
                                        Slice(change.record.value.data(), change.record.value.size())};
    Status status = batch.Put(docs, SliceParts(&key, 1), SliceParts(parts.data(), 2));
    if (!status.ok()) return status;
  }
  superseded.fetch_add(left_out, std::memory_order_relaxed);
  return add_index_entries(run);
}

Status Shard::Impl::add_index_entries(std::span<const Change> run) {
  // In the order they came, which is that of the seqnos of each vbucket.
  for (size_t i = 0; i < run.size(); ++i) {
    if (superseded_by_later[i]) continue;
    const Change& change = run[i];
    give_way_now_and_then();
    scratch.clear();
    append_seqno_key(scratch, change.vbucket, change.record.seqno);
    value.clear();
    append_index_entry(value,
                       {change.record.kind, static_cast<uint32_t>(change.record.value.size()), change.key});
    Status status = batch.Put(seqnos, scratch, value);
    if (!status.ok()) return status;
  }
  return Status::OK();
}

Status Shard::Impl::add_flush(const Change& flush) {
  const VBucketRange all(flush.vbucket);
  Status status = batch.DeleteRange(docs, all.from, all.to);
  if (!status.ok()) return status;
  const std::string& from = all.from;
  std::string to;
  append_seqno_key(to, flush.vbucket, flush.record.seqno);
  status = batch.DeleteRange(seqnos, from, to);
  if (!status.ok()) return status;
  // What is still there is announced again behind it, which puts the row back.
  status = batch.DeleteRange(rows, row_key(kCollectionPrefix, flush.vbucket),
                             collection_row_key(flush.vbucket, CollectionRow::collection, UINT32_MAX));
  if (!status.ok()) return status;
  value.clear();
  append_index_entry(value, {RecordKind::flush, 0, {}});
  return batch.Put(seqnos, to, value);
}

Status Shard::Impl::add_event(const Change& event) {
  scratch.clear();
  append_seqno_key(scratch, event.vbucket, event.record.seqno);
  value.clear();
  const std::string_view bytes = event.record.value;
  append_index_entry(value, {RecordKind::event, static_cast<uint32_t>(bytes.size()), {}, bytes});
  Status status = batch.Put(seqnos, scratch, value);
  const auto read = store::decode_event(bytes);
  if (!status.ok() || !read) return status;
  if (read->kind == store::EventKind::scope_dropped)
    return batch.Delete(rows, collection_row_key(event.vbucket, CollectionRow::scope, read->scope));
  if (read->kind != store::EventKind::collection_dropped) return status;
  status = batch.Delete(rows, collection_row_key(event.vbucket, CollectionRow::collection, read->collection));
  if (!status.ok()) return status;
  std::string from;
  put_sortable(from, event.vbucket, 2);
  from.append(store::CollectionPrefix(read->collection).bytes());
  // The last byte of a prefix says that none follows: the next number is still one byte.
  std::string to = from;
  to.back() = static_cast<char>(to.back() + 1);
  return batch.DeleteRange(docs, from, to);
}

Status Shard::Impl::add_states(std::span<const VBucketState> states) {
  if (!state_records) {
    const std::unique_ptr<rocksdb::Iterator> reading(db->NewIterator({}, rows));
    StatesOnDisk on_disk;
    Status status = read_states(*reading, options.vbuckets, on_disk);
    if (status.ok() && on_disk.undecodable != 0) status = Status::Corruption("the state of a vbucket");
    if (!status.ok()) return status;
    state_records.emplace(std::move(on_disk), options.vbuckets);
  }
  Status status = state_records->add(states, batch, rows);
  if (!status.ok()) return status;
  for (const VBucketState& state : states) {
    filters->no_higher_than[state.vbucket].store(state.high_seqno + 1, std::memory_order_relaxed);
    for (const store::ScopeState& scope : state.scopes) {
      if (!status.ok()) return status;
      value.clear();
      append_scope(value, scope);
      status = batch.Put(rows, collection_row_key(state.vbucket, CollectionRow::scope, scope.id), value);
    }
    for (const store::CollectionState& collection : state.collections) {
      if (!status.ok()) return status;
      value.clear();
      append_collection(value, collection);
      status =
          batch.Put(rows, collection_row_key(state.vbucket, CollectionRow::collection, collection.id), value);
    }
    if (!status.ok()) return status;
  }
  return Status::OK();
}

Status Shard::Impl::add_purge_seqnos(std::vector<std::pair<uint16_t, uint64_t>>& purged) {
  for (size_t vbucket = 0; vbucket < filters->wanted.size(); ++vbucket) {
    uint64_t seqno = filters->wanted[vbucket].load(std::memory_order_acquire);
    if (seqno <= filters->persisted[vbucket].load(std::memory_order_relaxed)) continue;
    const uint64_t next = filters->no_higher_than[vbucket].load(std::memory_order_relaxed);
    if (next != 0 && seqno >= next) {
      filters->wanted[vbucket].compare_exchange_strong(seqno, 0, std::memory_order_relaxed);
      continue;
    }
    const auto number = static_cast<uint16_t>(vbucket);
    value.clear();
    put_number(value, seqno, 8);
    Status status = batch.Put(rows, row_key(kPurgePrefix, number), value);
    if (!status.ok()) return status;
    purged.emplace_back(number, seqno);
  }
  return Status::OK();
}

}  // namespace bobbin::disk
