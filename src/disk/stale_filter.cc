#include "disk/stale_filter.h"

#include <string>

#include "disk/give_way.h"
#include "disk/record.h"
#include "store/collection_event.h"

namespace bobbin::disk {

namespace {

using rocksdb::CompactionFilter;
using rocksdb::Slice;
using rocksdb::TableFileCreationReason;

std::string_view view(const Slice& slice) {
  return {slice.data(), slice.size()};
}

constexpr uint32_t kLookAt = 4;

class StaleFilter final : public CompactionFilter {
 public:
  /// Of the entries that the store does not know, every `look_at`-th is looked up; none when it is 0.
  StaleFilter(std::shared_ptr<FilterState> state, uint32_t look_at)
      : state_(std::move(state)), look_at_(look_at) {}

  [[nodiscard]] const char* Name() const override { return "bobbin.StaleFilter"; }

  Decision FilterV2(int /*level*/, const Slice& key, ValueType type, const Slice& value,
                    std::string* /*new_value*/, std::string* /*skip_until*/) const override {
    // Most of what is looked at may go: then this is all that RocksDB calls. A look into the store is dear.
    give_way_now_and_then(4);
    const auto name = decode_seqno_key(view(key));
    const auto entry = decode_index_entry(view(value));
    // What cannot be read is kept, for whoever reads it to report.
    if (type != ValueType::kValue || !name || !entry || entry->kind == RecordKind::flush)
      return Decision::kKeep;
    const bool is_over =
        entry->kind == RecordKind::event ? is_of_dropped(*name, *entry) : is_stale(*name, *entry);
    if (!is_over) return Decision::kKeep;
    state_->index_entries_dropped.fetch_add(1, std::memory_order_relaxed);
    return Decision::kRemove;
  }

 private:
  /// What is told of a collection before its end is not worth telling after it.
  [[nodiscard]] bool is_of_dropped(const SeqnoKey& name, const IndexEntry& entry) const {
    const auto event = store::decode_event(entry.event);
    if (!event || !state_->freshness) return false;
    if (event->kind != store::EventKind::collection_created &&
        event->kind != store::EventKind::collection_changed)
      return false;
    // Any name will do.
    const store::DocKey key(event->collection, "_");
    return state_->freshness(name.vbucket, key, name.seqno) == Freshness::superseded;
  }

  [[nodiscard]] bool is_stale(const SeqnoKey& name, const IndexEntry& entry) const {
    const Freshness known =
        state_->freshness ? state_->freshness(name.vbucket, entry.key, name.seqno) : Freshness::unknown;
    if (known != Freshness::unknown) return known == Freshness::superseded;
    if (is_tombstone(entry.kind) && is_purged(name)) return true;
    return look_at_ != 0 && ++unknown_ % look_at_ == 0 && has_newer_document(name, entry);
  }

  /// Its document went because of this purge seqno, or will.
  [[nodiscard]] bool is_purged(const SeqnoKey& name) const {
    return name.vbucket < state_->persisted.size() &&
           name.seqno <= state_->persisted[name.vbucket].load(std::memory_order_acquire);
  }

  [[nodiscard]] bool has_newer_document(const SeqnoKey& name, const IndexEntry& entry) const {
    rocksdb::DB* db = state_->db.load(std::memory_order_acquire);
    rocksdb::ColumnFamilyHandle* docs = state_->docs.load(std::memory_order_acquire);
    if (db == nullptr || docs == nullptr) return false;
    std::string key;
    append_document_key(key, name.vbucket, entry.key);
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    std::string bytes;
    if (!db->Get(options, docs, key, &bytes).ok()) return false;
    const auto record = decode_record(bytes);
    return record && record->seqno > name.seqno;
  }

  std::shared_ptr<FilterState> state_;
  uint32_t look_at_;
  mutable uint32_t unknown_ = 0;  // a filter belongs to one thread
};

class PurgeFilter final : public CompactionFilter {
 public:
  explicit PurgeFilter(std::shared_ptr<FilterState> state)
      : state_(std::move(state)), now_s_(state_->clock != nullptr ? state_->clock->now().unix_s() : 0) {}

  [[nodiscard]] const char* Name() const override { return "bobbin.PurgeFilter"; }

  Decision FilterV2(int /*level*/, const Slice& key, ValueType type, const Slice& value,
                    std::string* /*new_value*/, std::string* /*skip_until*/) const override {
    give_way_now_and_then();
    if (type != ValueType::kValue) return Decision::kKeep;
    const auto record = decode_record(view(value));
    if (!record || !is_tombstone(record->kind) || now_s_ < record->time_s) return Decision::kKeep;
    if (now_s_ - record->time_s < state_->tombstone_age_s) return Decision::kKeep;
    const auto name = decode_document_key(view(key));
    if (!name || name->vbucket >= state_->persisted.size()) return Decision::kKeep;
    if (record->seqno > state_->persisted[name->vbucket].load(std::memory_order_acquire)) {
      want(name->vbucket, record->seqno);
      return Decision::kKeep;
    }
    state_->tombstones_purged.fetch_add(1, std::memory_order_relaxed);
    return Decision::kRemove;
  }

  /// What lies in a blob file is a document's value, but for tombstones with kilobytes of attributes: to find
  /// these every blob would have to be read. They stay.
  BlobDecision PrepareBlobOutput(const Slice& /*key*/, const Slice& /*value*/,
                                 std::string* /*new_value*/) const override {
    return BlobDecision::kKeep;
  }
  Decision FilterBlobByKey(int /*level*/, const Slice& /*key*/, std::string* /*new_value*/,
                           std::string* /*skip_until*/) const override {
    return Decision::kKeep;
  }

 private:
  void want(uint16_t vbucket, uint64_t seqno) const {
    std::atomic<uint64_t>& wanted = state_->wanted[vbucket];
    uint64_t before = wanted.load(std::memory_order_relaxed);
    while (before < seqno && !wanted.compare_exchange_weak(before, seqno, std::memory_order_release))
      continue;
    state_->is_purge_wanted.store(true, std::memory_order_release);
  }

  std::shared_ptr<FilterState> state_;
  uint32_t now_s_;
};

class StaleFilterFactory final : public rocksdb::CompactionFilterFactory {
 public:
  explicit StaleFilterFactory(std::shared_ptr<FilterState> state) : state_(std::move(state)) {}

  [[nodiscard]] const char* Name() const override { return "bobbin.StaleFilterFactory"; }
  [[nodiscard]] bool ShouldFilterTableFileCreation(TableFileCreationReason reason) const override {
    return reason == TableFileCreationReason::kCompaction || reason == TableFileCreationReason::kFlush;
  }
  std::unique_ptr<CompactionFilter> CreateCompactionFilter(
      const CompactionFilter::Context& context) override {
    // A lookup costs ten times what passing an entry on does: none while a memtable waits to be written out,
    // some when RocksDB compacts by itself (an entry comes by once for each level), all when somebody asked
    // for it.
    if (context.reason != TableFileCreationReason::kCompaction)
      return std::make_unique<StaleFilter>(state_, 0);
    return std::make_unique<StaleFilter>(state_, context.is_manual_compaction ? 1 : kLookAt);
  }

 private:
  std::shared_ptr<FilterState> state_;
};

class PurgeFilterFactory final : public rocksdb::CompactionFilterFactory {
 public:
  explicit PurgeFilterFactory(std::shared_ptr<FilterState> state) : state_(std::move(state)) {}

  [[nodiscard]] const char* Name() const override { return "bobbin.PurgeFilterFactory"; }
  std::unique_ptr<CompactionFilter> CreateCompactionFilter(
      const CompactionFilter::Context& /*context*/) override {
    return std::make_unique<PurgeFilter>(state_);
  }

 private:
  std::shared_ptr<FilterState> state_;
};

}  // namespace

std::shared_ptr<rocksdb::CompactionFilterFactory> make_stale_filter(std::shared_ptr<FilterState> state) {
  return std::make_shared<StaleFilterFactory>(std::move(state));
}

std::shared_ptr<rocksdb::CompactionFilterFactory> make_purge_filter(std::shared_ptr<FilterState> state) {
  return std::make_shared<PurgeFilterFactory>(std::move(state));
}

}  // namespace bobbin::disk
