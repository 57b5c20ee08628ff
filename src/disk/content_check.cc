// Compares documents, index and states of a shard with each other. What each of them is made of is under
// checksums already; this finds what was written wrongly, or belongs to another directory.
#include "disk/content_check.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "disk/bytes.h"
#include "disk/shard_impl.h"
#include "store/key_hash.h"

namespace bobbin::disk {

namespace {

constexpr uint64_t kProgressEvery = 4096;
/// What rows of the default family begin with. Purge seqnos were looked at when the shard was opened.
constexpr std::array kKinds = {kStatePrefix, kStateRecordPrefix, kStatesInRowsPrefix, kPurgePrefix};
/// What a bucket can have; other numbers of vbuckets have no rule for where a key belongs.
constexpr uint32_t kMostHashedVBuckets = 1024;
/// Odd, and many bits: the same name in two collections has two hashes.
constexpr uint64_t kCollectionFactor = 0x9e3779b97f4a7c15;

std::string_view view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

uint64_t hash_of(store::DocKey key) {
  return std::hash<std::string_view>()(key.name()) + key.collection() * kCollectionFactor;
}

/// What the index must say of a document.
struct Entry {
  uint64_t seqno;
  uint64_t key_hash;
  uint32_t value_bytes;
  RecordKind kind;
};

bool by_seqno(const Entry& a, const Entry& b) {
  return a.seqno < b.seqno;
}
bool by_hash(const Entry& a, const Entry& b) {
  return a.key_hash < b.key_hash;
}

/// The vbucket that a key of `docs` or `seqnos` begins with, in their order, also when it is no such key.
uint32_t prefix_of(const rocksdb::Slice& key) {
  const auto byte = [&](size_t i) { return i < key.size() ? static_cast<uint8_t>(key[i]) : 0U; };
  return byte(0) << 8U | byte(1);
}

/// How often something was wrong in a vbucket, by what is to be said about it.
class Complaints {
 public:
  void add(const char* what) { ++counts_[what]; }
  void tell(const std::string& where, std::vector<Finding>& findings) const {
    for (const auto& [what, count] : counts_)
      findings.push_back({ErrorKind::corrupt, where, std::to_string(count) + " " + std::string(what)});
  }

 private:
  std::map<std::string_view, uint64_t> counts_;
};

/// A walk through a column family that goes on behind damage, at the next vbucket that can be read.
class Walk {
 public:
  using Tell = std::function<void(Error)>;

  Walk(const Shard::Impl& shard, rocksdb::ColumnFamilyHandle* family, uint32_t vbuckets,
       std::set<uint32_t>& unreadable, Tell tell)
      : shard_(shard), vbuckets_(vbuckets), unreadable_(unreadable), tell_(std::move(tell)) {
    rocksdb::ReadOptions once;
    once.fill_cache = false;
    once.readahead_size = 2 << 20;
    rows_.reset(shard.db->NewIterator(once, family));
    rows_->SeekToFirst();
    if (is_damaged()) skip(0, 0);
  }

  [[nodiscard]] std::optional<uint32_t> vbucket() const {
    return rows_->Valid() ? std::optional(prefix_of(rows_->key())) : std::nullopt;
  }
  [[nodiscard]] std::string_view key() const { return view(rows_->key()); }
  [[nodiscard]] std::string_view value() const { return view(rows_->value()); }
  void next() {
    const uint32_t before = prefix_of(rows_->key());
    rows_->Next();
    if (is_damaged()) skip(before, before + 1);
  }

 private:
  [[nodiscard]] bool is_damaged() const { return !rows_->Valid() && !rows_->status().ok(); }
  void skip(uint32_t first_unreadable, uint32_t from) {
    while (is_damaged()) {
      tell_(shard_.error_of(rows_->status()));
      for (uint32_t vbucket = first_unreadable; vbucket < std::max(from, 1U); ++vbucket)
        unreadable_.insert(vbucket);
      if (from >= vbuckets_) return;
      std::string start;
      put_sortable(start, from++, 2);
      rows_->Seek(start);
    }
  }

  const Shard::Impl& shard_;
  const uint32_t vbuckets_;
  std::set<uint32_t>& unreadable_;
  const Tell tell_;
  std::unique_ptr<rocksdb::Iterator> rows_;
};

class Check {
 public:
  Check(const Shard::Impl& shard, const ContentRules& rules,
        const std::function<void(uint64_t, uint64_t)>& progress)
      : shard_(shard),
        rules_(rules),
        progress_(progress),
        documents_(shard, shard.docs, rules.vbuckets, unreadable_,
                   [this](Error error) { tell(std::move(error)); }),
        index_(shard, shard.seqnos, rules.vbuckets, unreadable_,
               [this](Error error) { tell(std::move(error)); }) {
    (void)shard.db->GetIntProperty(shard.docs, rocksdb::DB::Properties::kEstimateNumKeys, &expected_);
  }

  ContentCheck run() {
    take_states();
    while (documents_.vbucket() || index_.vbucket())
      check_vbucket(
          std::min(documents_.vbucket().value_or(UINT32_MAX), index_.vbucket().value_or(UINT32_MAX)));
    for (const auto& [vbucket, state] : states_) {
      if (!seen_.contains(vbucket) && !unreadable_.contains(vbucket) && state.items != 0)
        tell_items(vbucket, state, 0);
    }
    numbers_.vbuckets = states_.size();
    return std::move(numbers_);
  }

 private:
  void take_states() {
    constexpr const char* kWrong = "states of vbuckets cannot be understood or do not belong here";
    const std::unique_ptr<rocksdb::Iterator> rows(shard_.db->NewIterator({}, shard_.rows));
    Complaints wrong;
    for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
      const std::string_view name = view(rows->key());
      const char kind = name.empty() ? '\0' : name.front();
      if (kind == kCollectionPrefix)
        take_collection_row(name, view(rows->value()), wrong);
      else if (std::ranges::find(kKinds, kind) == kKinds.end())
        wrong.add(kWrong);
    }
    if (!rows->status().ok()) tell(shard_.error_of(rows->status()));
    StatesOnDisk on_disk;
    const rocksdb::Status read = read_states(*rows, rules_.vbuckets, on_disk);
    if (!read.ok()) tell(shard_.error_of(read));
    for (uint32_t i = 0; i < on_disk.undecodable; ++i)
      wrong.add(kWrong);
    for (const auto& [vbucket, bytes] : on_disk.newest) {
      auto state = decode_state(vbucket, bytes);
      if (!state || !belongs(vbucket)) {
        wrong.add(kWrong);
        continue;
      }
      numbers_.branches = std::max<uint64_t>(numbers_.branches, state->failover.size());
      if (auto known = collections_.extract(vbucket)) {
        state->scopes = std::move(known.mapped().scopes);
        state->collections = std::move(known.mapped().collections);
      }
      states_.emplace(vbucket, std::move(*state));
    }
    for (size_t i = 0; i < collections_.size(); ++i)
      wrong.add("vbuckets know collections and have no state");
    wrong.tell(shard_.options.path, numbers_.findings);
  }

  void take_collection_row(std::string_view name, std::string_view value, Complaints& wrong) {
    ByteReader key(name.substr(1));
    const auto vbucket = static_cast<uint16_t>(key.sortable(2));
    if (!key.ok() || !belongs(vbucket) || !read_collection_row(name, value, collections_[vbucket]))
      wrong.add("rows of collections cannot be understood or do not belong here");
  }

  [[nodiscard]] bool belongs(uint32_t vbucket) const {
    return vbucket < rules_.vbuckets && vbucket % rules_.shards == rules_.shard;
  }
  [[nodiscard]] bool has_rule() const {
    return rules_.vbuckets <= kMostHashedVBuckets && (rules_.vbuckets & (rules_.vbuckets - 1)) == 0;
  }
  [[nodiscard]] std::string name_of(uint32_t vbucket) const {
    return shard_.options.path + ", vbucket " + std::to_string(vbucket);
  }

  void tell(Error error) {
    const auto same = [&](const Finding& told) { return told.where == error.path; };
    if (std::none_of(numbers_.findings.begin(), numbers_.findings.end(), same))
      numbers_.findings.push_back({error.kind, std::move(error.path), std::move(error.message)});
  }

  void tell_items(uint32_t vbucket, const VBucketState& state, uint64_t there) {
    numbers_.findings.push_back({ErrorKind::corrupt, name_of(vbucket),
                                 "its state counts " + std::to_string(state.items) +
                                     " documents, there are " + std::to_string(there)});
  }

  void check_vbucket(uint32_t vbucket) {
    Complaints wrong;
    seen_.insert(vbucket);
    const auto found = states_.find(vbucket);
    const VBucketState* const state = found == states_.end() ? nullptr : &found->second;
    entries_.clear();
    items_of_.clear();
    flushed_to_ = 0;
    const uint64_t documents_before = numbers_.documents;
    for (; documents_.vbucket() == vbucket; documents_.next())
      take_document(vbucket, state, wrong);
    const uint64_t documents = numbers_.documents - documents_before;
    compare_index(vbucket, state, wrong);
    if (state != nullptr && !unreadable_.contains(vbucket)) check_collections(*state, wrong);
    if (!belongs(vbucket)) wrong.add("vbucket does not belong into this shard; it is served to nobody");
    if (state == nullptr && belongs(vbucket))
      wrong.add("vbucket has documents or index entries, but no state");
    wrong.tell(name_of(vbucket), numbers_.findings);
    if (!unreadable_.contains(vbucket) && state != nullptr && state->items != documents)
      tell_items(vbucket, *state, documents);
  }

  /// Whether the vbucket knows the collection; the default one always.
  [[nodiscard]] static bool knows(const VBucketState* state, store::CollectionId id) {
    if (id == store::kDefaultCollection || state == nullptr) return true;
    return std::any_of(state->collections.begin(), state->collections.end(),
                       [=](const store::CollectionState& collection) { return collection.id == id; });
  }

  void check_collections(const VBucketState& state, Complaints& wrong) {
    for (const store::CollectionState& collection : state.collections) {
      if (collection.items != items_of_[collection.id])
        wrong.add("collections have another number of documents than is written of them");
    }
    for (const auto& [id, items] : items_of_) {
      if (!knows(&state, id)) wrong.add("collections that do not exist have documents");
    }
  }

  void take_document(uint32_t vbucket, const VBucketState* state, Complaints& wrong) {
    const auto name = decode_document_key(documents_.key());
    const auto record = decode_record(documents_.value());
    if (!name || !record)
      return wrong.add("documents cannot be understood, though their checksums are right");
    const bool lives = record->kind == RecordKind::document;
    ++(lives ? numbers_.documents : numbers_.tombstones);
    if (name->key.collection() != store::kDefaultCollection)
      items_of_[name->key.collection()] += lives ? 1 : 0;
    numbers_.key_bytes += name->key.name().size();
    numbers_.value_bytes += record->value.size();
    if (has_rule() && store::vbucket_of_key(name->key.name(), rules_.vbuckets) != vbucket)
      wrong.add("documents belong into other vbuckets: nobody will find them here");
    if (state != nullptr && record->seqno > state->high_seqno)
      wrong.add("documents have a seqno above the highest that the state knows");
    if (state != nullptr && state->revisions.complete && record->revision > state->revisions.revision)
      wrong.add("documents have a revision above the highest that the state knows");
    entries_.push_back(
        {record->seqno, hash_of(name->key), static_cast<uint32_t>(record->value.size()), record->kind});
    if (progress_ && (numbers_.documents + numbers_.tombstones) % kProgressEvery == 0)
      progress_(numbers_.documents + numbers_.tombstones,
                std::max(expected_, numbers_.documents + numbers_.tombstones));
  }

  void compare_index(uint32_t vbucket, const VBucketState* state, Complaints& wrong) {
    std::sort(entries_.begin(), entries_.end(), by_seqno);
    std::vector<Entry> names = entries_;
    std::sort(names.begin(), names.end(), by_hash);
    const uint64_t purged =
        vbucket < shard_.filters->persisted.size() ? shard_.filters->persisted[vbucket].load() : 0;
    size_t at = 0;
    const auto miss = [&](const Entry& entry) {
      // A tombstone that may go: its index entry may have gone first.
      if (!is_tombstone(entry.kind) || entry.seqno > purged)
        wrong.add("documents are missing from the index: a copy that follows it lacks them");
    };
    for (; index_.vbucket() == vbucket; index_.next()) {
      const auto key = decode_seqno_key(index_.key());
      const auto value = decode_index_entry(index_.value());
      if (!key || !value) {
        wrong.add("index entries cannot be understood, though their checksums are right");
        continue;
      }
      ++numbers_.index_entries;
      if (state != nullptr && key->seqno > state->high_seqno)
        wrong.add("index entries have a seqno above the highest that the state knows");
      if (value->kind == RecordKind::flush) {
        ++numbers_.flushes;
        flushed_to_ = key->seqno;
        continue;
      }
      if (value->kind == RecordKind::event) {
        ++numbers_.events;
        continue;
      }
      for (; at < entries_.size() && entries_[at].seqno < key->seqno; ++at)
        miss(entries_[at]);
      const Entry said{key->seqno, hash_of(value->key), value->value_bytes, value->kind};
      if (at < entries_.size() && entries_[at].seqno == said.seqno &&
          entries_[at].key_hash == said.key_hash) {
        if (entries_[at].kind != said.kind || entries_[at].value_bytes != said.value_bytes)
          wrong.add("index entries describe another version than the document of that seqno");
        ++at;
        continue;
      }
      if (!knows(state, value->key.collection())) {
        ++numbers_.stale_entries;
        continue;
      }
      judge_stale(vbucket, said, names, purged, wrong);
    }
    if (unreadable_.contains(vbucket)) return;
    for (; at < entries_.size(); ++at)
      miss(entries_[at]);
    for (const Entry& entry : entries_) {
      if (entry.seqno <= flushed_to_) wrong.add("documents are older than the flush that took them");
    }
  }

  /// An entry without a document of its seqno.
  void judge_stale(uint32_t vbucket, const Entry& said, const std::vector<Entry>& names, uint64_t purged,
                   Complaints& wrong) {
    const auto [from, to] = std::equal_range(names.begin(), names.end(), said, by_hash);
    const bool is_newer = std::any_of(from, to, [&](const Entry& entry) { return entry.seqno > said.seqno; });
    if (is_newer || said.seqno <= purged)
      ++numbers_.stale_entries;
    else if (!unreadable_.contains(vbucket))
      wrong.add("index entries name versions of documents that are not there: they are lost");
  }

  const Shard::Impl& shard_;
  const ContentRules rules_;
  const std::function<void(uint64_t, uint64_t)>& progress_;
  uint64_t expected_ = 0;
  std::map<uint32_t, VBucketState> states_;
  /// What there is for states that have not been read yet.
  std::map<uint32_t, VBucketState> collections_;
  std::set<uint32_t> seen_;
  ContentCheck numbers_;
  /// Those of which something is missing that a walk passed over.
  std::set<uint32_t> unreadable_;
  // These tell what they find at once: behind what they tell it to.
  Walk documents_;
  Walk index_;

  // Of the vbucket that is being checked.
  std::vector<Entry> entries_;
  uint64_t flushed_to_ = 0;
  /// Live documents of each collection but the default one.
  std::map<store::CollectionId, uint64_t> items_of_;
};

}  // namespace

void ContentCheck::add(const ContentCheck& other) {
  documents += other.documents;
  tombstones += other.tombstones;
  key_bytes += other.key_bytes;
  value_bytes += other.value_bytes;
  index_entries += other.index_entries;
  stale_entries += other.stale_entries;
  flushes += other.flushes;
  events += other.events;
  vbuckets += other.vbuckets;
  branches = std::max(branches, other.branches);
  findings.insert(findings.end(), other.findings.begin(), other.findings.end());
}

ContentCheck Shard::check_content(const ContentRules& rules,
                                  const std::function<void(uint64_t, uint64_t)>& progress) const {
  return Check(*impl_, rules, progress).run();
}

}  // namespace bobbin::disk
