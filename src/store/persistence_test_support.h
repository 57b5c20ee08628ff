#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "store/bucket.h"
#include "store/collection_event.h"

namespace bobbin::store {

/// A disk in memory: what a flusher has committed, by vbucket and key. Any thread.
class FakeDisk {
 public:
  struct Record {
    bool live = false;
    /// A tombstone with attributes.
    bool deleted = false;
    bool expired = false;
    uint64_t seqno = 0;
    uint64_t cas = 0;
    uint64_t revision = 0;
    uint32_t flags = 0;
    /// Of what was deleted: when, if somebody has told.
    uint32_t expiry = 0;
    uint8_t datatype = 0;
    bool stale = false;
    bool token_sent = false;
    std::string value;
    friend bool operator==(const Record&, const Record&) = default;
  };
  /// By stored key.
  using Documents = std::map<std::string, Record, std::less<>>;

  explicit FakeDisk(uint32_t vbuckets) : count_(vbuckets), vbuckets_(vbuckets) {}

  /// Writes a batch; returns for how many changes of unknown keys there was a live record.
  PriorsFound commit(const FlushBatch& batch) {
    const base::MutexLock lock(mutex_);
    VBucketFiles& files = vbuckets_[batch.vbucket];
    std::map<CollectionId, uint64_t> priors;
    bool in_order = true;
    if (batch.clears) files = {};
    batch.changes.changes.for_each([&](const Change& change) {
      in_order = in_order && change.seqno > files.last_seqno && change.seqno <= batch.changes.to;
      files.last_seqno = change.seqno;
      if (change.kind == ChangeKind::flush) {
        files = {{}, files.state, files.last_seqno, {}, {}, {}};
        return;
      }
      if (change.kind == ChangeKind::event) return take_event(change, files, priors);
      Record& record = files.documents[std::string(change.doc->stored_key())];
      if (batch.counts_priors && change.prior_unknown && record.live) ++priors[change.doc->collection()];
      record = record_of(change);
    });
    in_order_ = in_order_ && in_order;
    PriorsFound found;
    for (const auto& [id, count] : priors) {
      found.all += count;
      if (id != kDefaultCollection) found.of_collections.emplace_back(id, count);
    }
    files.take_state(batch.state, priors);
    files.state->items -= found.all;
    return found;
  }
  /// What the vbucket's history tells of scopes and collections.
  [[nodiscard]] std::map<uint64_t, std::string> events(uint16_t vbucket) const {
    const base::MutexLock lock(mutex_);
    return vbuckets_[vbucket].events;
  }
  [[nodiscard]] static Record record_of(const Change& change) {
    Record record;
    record.live = change.kind == ChangeKind::mutation;
    record.seqno = change.seqno;
    record.cas = change.cas;
    record.revision = change.revision;
    record.deleted = !record.live && change.doc->is_tombstone();
    record.expired = change.kind == ChangeKind::expiration;
    record.expiry = record.live ? change.expiry : deletion_time(change.expiry);
    if (!record.live && !record.deleted) return record;
    record.flags = change.doc->flags();
    record.datatype = change.doc->datatype();
    record.stale = change.stale;
    record.token_sent = change.token_sent;
    record.value = change.doc->value();
    return record;
  }
  void flush(Bucket& bucket, uint16_t vbucket, base::Now now) {
    const FlushBatch batch = bucket.take_log(vbucket, now);
    bucket.persisted(batch, commit(batch));
  }
  void flush_all_vbuckets(Bucket& bucket, base::Now now) {
    for (uint32_t i = 0; i < count_; ++i)
      flush(bucket, static_cast<uint16_t>(i), now);
  }

  /// A document, or a tombstone with attributes.
  [[nodiscard]] std::optional<Record> read(uint16_t vbucket, DocKey key) const {
    auto found = read_any(vbucket, key);
    if (found && !found->live && !found->deleted) found.reset();
    return found;
  }
  /// Removals, too.
  [[nodiscard]] std::optional<Record> read_any(uint16_t vbucket, DocKey key) const {
    const base::MutexLock lock(mutex_);
    const Documents& documents = vbuckets_[vbucket].documents;
    const auto at = documents.find(key.stored());
    if (at == documents.end()) return std::nullopt;
    return at->second;
  }
  /// As a compaction forgets a tombstone.
  void purge(uint16_t vbucket, DocKey key) {
    const base::MutexLock lock(mutex_);
    vbuckets_[vbucket].documents.erase(key.stored());
  }
  [[nodiscard]] Documents snapshot(uint16_t vbucket) const {
    const base::MutexLock lock(mutex_);
    return vbuckets_[vbucket].documents;
  }
  static Loaded deliver(Bucket& bucket, DocKey key, const std::optional<Record>& record, LoadTicket ticket,
                        LoadPurpose purpose, base::Now now, bool metadata_only = false) {
    if (!record) return bucket.load(key, nullptr, ticket, purpose, now);
    LoadedRecord loaded;
    loaded.seqno = record->seqno;
    loaded.cas = record->cas;
    loaded.revision = record->revision;
    loaded.flags = record->flags;
    loaded.expiry = record->expiry;
    loaded.datatype = record->datatype;
    loaded.stale = record->stale;
    loaded.token_sent = record->token_sent;
    loaded.deleted = !record->live;
    loaded.value_size = static_cast<uint32_t>(record->value.size());
    if (!metadata_only) loaded.value = record->value;
    return bucket.load(key, &loaded, ticket, purpose, now);
  }
  /// What a fetcher does.
  Loaded fetch(Bucket& bucket, DocKey key, base::Now now, LoadPurpose purpose = LoadPurpose::fetch) const {
    const uint16_t vbucket = bucket.vbucket_of(key);
    while (true) {
      const LoadTicket ticket = bucket.begin_load(vbucket);
      Loaded loaded = deliver(bucket, key, read_any(vbucket, key), ticket, purpose, now);
      if (loaded.status != LoadStatus::read_again) return loaded;
    }
  }
  void warm_up(Bucket& bucket, uint16_t vbucket, base::Now now) const {
    const LoadTicket ticket = bucket.begin_load(vbucket);
    for (const auto& [key, record] : snapshot(vbucket)) {
      if (record.live || record.deleted)
        (void)deliver(bucket, *DocKey::parse(key), record, ticket, LoadPurpose::warmup, now);
    }
    learn(bucket, vbucket);
    bucket.finish_warmup(vbucket, true);
  }
  /// Shows the bucket the revisions of all there is.
  void learn(Bucket& bucket, uint16_t vbucket) const {
    SeenRevisions seen;
    for (const auto& [key, record] : snapshot(vbucket))
      seen.take(record.revision, record.live ? std::nullopt : std::optional(record.cas));
    bucket.learn_revisions(vbucket, seen);
  }
  /// As a program leaves it that keeps no revisions.
  void forget_revisions(uint16_t vbucket) {
    const base::MutexLock lock(mutex_);
    vbuckets_[vbucket].state->revisions = {0, false};
    vbuckets_[vbucket].state->removals = {0, 0, false};
  }
  /// A new bucket with what is on this disk, and the first states written, as a server starts.
  [[nodiscard]] std::unique_ptr<Bucket> start(const BucketOptions& options, base::Now now) {
    auto bucket = std::make_unique<Bucket>(options);
    for (uint32_t i = 0; i < count_; ++i) {
      const std::optional<VBucketState> known = state(static_cast<uint16_t>(i));
      if (known) bucket->restore(static_cast<uint16_t>(i), *known, now);
    }
    flush_all_vbuckets(*bucket, now);
    return bucket;
  }
  [[nodiscard]] std::optional<VBucketState> state(uint16_t vbucket) const {
    const base::MutexLock lock(mutex_);
    return vbuckets_[vbucket].state;
  }
  void close(uint16_t vbucket) {
    const base::MutexLock lock(mutex_);
    vbuckets_[vbucket].state->close();
  }
  /// Every change came with a higher seqno than the one before it.
  [[nodiscard]] bool in_order() const {
    const base::MutexLock lock(mutex_);
    return in_order_;
  }

 private:
  struct VBucketFiles {
    Documents documents;
    std::optional<VBucketState> state;
    uint64_t last_seqno = 0;
    std::map<ScopeId, ScopeState> scopes;
    std::map<CollectionId, CollectionState> collections;
    std::map<uint64_t, std::string> events;

    void take_state(const VBucketState& written, const std::map<CollectionId, uint64_t>& priors) {
      for (const ScopeState& scope : written.scopes)
        scopes[scope.id] = scope;
      for (const CollectionState& collection : written.collections)
        collections[collection.id] = collection;
      for (const auto& [id, count] : priors) {
        if (id != kDefaultCollection) collections.at(id).items -= count;
      }
      state = written;
      state->scopes.clear();
      for (const auto& [id, scope] : scopes)
        state->scopes.push_back(scope);
      state->collections.clear();
      for (const auto& [id, collection] : collections)
        state->collections.push_back(collection);
    }
  };

  static void take_event(const Change& change, VBucketFiles& files,
                         std::map<CollectionId, uint64_t>& priors) {
    const CollectionEvent event = decode_event(change.doc->value()).value();
    files.events[change.seqno] = std::to_string(static_cast<int>(event.kind)) + ":" +
                                 std::to_string(event.scope) + ":" + std::to_string(event.collection) + ":" +
                                 std::string(event.name);
    if (event.kind == EventKind::scope_dropped) files.scopes.erase(event.scope);
    if (event.kind != EventKind::collection_dropped) return;
    files.collections.erase(event.collection);
    priors.erase(event.collection);
    std::erase_if(files.documents, [&](const auto& entry) {
      return DocKey::parse(entry.first)->collection() == event.collection;
    });
  }

  const uint32_t count_;
  mutable base::Mutex mutex_;
  std::vector<VBucketFiles> vbuckets_ GUARDED_BY(mutex_);
  bool in_order_ GUARDED_BY(mutex_) = true;
};

/// A bucket of any type with its fake disk: operations that fetch what they have to wait for.
class BucketOnDisk {
 public:
  explicit BucketOnDisk(const BucketOptions& options)
      : options_(options), disk_(options.vbuckets), bucket_(disk_start()) {}

  [[nodiscard]] Bucket& bucket() { return *bucket_; }
  [[nodiscard]] FakeDisk& disk() { return disk_; }
  [[nodiscard]] base::ManualClock& clock() { return clock_; }
  [[nodiscard]] base::Now now() const { return clock_.now(); }
  [[nodiscard]] uint32_t in(uint32_t seconds) const { return now().unix_s() + seconds; }
  [[nodiscard]] bool persistent() const { return options_.type == BucketType::persistent; }
  [[nodiscard]] uint64_t blocked() const { return blocked_; }

  /// Runs an operation, and after a fetch of its key again, until it does not block.
  template <typename Operation, typename Blocked>
  auto until_known(DocKey key, Operation&& operation, Blocked&& is_blocked) {
    DocumentRef pin;
    while (true) {
      auto result = operation();
      if (!is_blocked(result)) return result;
      ++blocked_;
      pin = std::move(disk_.fetch(*bucket_, key, now()).pin);
    }
  }
  StoreResult put(StoreMode mode, DocKey key, std::string_view value, const StoreOptions& options = {},
                  uint32_t expiry = 0, uint32_t flags = 0) {
    auto made = bucket_->draft(key, flags, expiry, static_cast<uint32_t>(value.size()), now());
    if (!made) return {StoreStatus::no_memory};
    if (!value.empty()) std::memcpy(made->value().data(), value.data(), value.size());
    return until_known(
        key, [&] { return bucket_->store(*made, mode, options, now()); },
        [](const StoreResult& result) { return result.status == StoreStatus::would_block; });
  }
  StoreResult set(DocKey key, std::string_view value, uint32_t expiry = 0, uint32_t flags = 0) {
    return put(StoreMode::set, key, value, {}, expiry, flags);
  }
  Fetched fetch(DocKey key, const FetchOptions& options) {
    return until_known(
        key, [&] { return bucket_->fetch(key, options, now()); },
        [](const Fetched& found) { return found.would_block; });
  }
  std::string get(DocKey key) {
    const Fetched found = until_known(
        key, [&] { return bucket_->fetch(key, now()); }, [](const Fetched& one) { return one.would_block; });
    return found ? std::string(found.doc->value()) : "<miss>";
  }
  std::optional<Peeked> peek(DocKey key) {
    return until_known(
        key, [&] { return bucket_->peek(key, now()); },
        [](const std::optional<Peeked>& seen) { return seen && seen->would_block; });
  }
  TouchStatus touch(DocKey key, uint32_t expiry) {
    return until_known(
        key, [&] { return bucket_->touch(key, expiry, now()).status; },
        [](TouchStatus status) { return status == TouchStatus::would_block; });
  }
  RemoveResult remove(DocKey key, const RemoveOptions& options = {}) {
    return until_known(
        key, [&] { return bucket_->remove(key, options, now()); },
        [](const RemoveResult& result) { return result.status == RemoveStatus::would_block; });
  }
  ArithmeticResult arithmetic(DocKey key, const ArithmeticOptions& options) {
    return until_known(
        key, [&] { return bucket_->arithmetic(key, options, now()); },
        [](const ArithmeticResult& result) { return result.status == ArithmeticStatus::would_block; });
  }

  void flush_to_disk() {
    if (persistent()) disk_.flush_all_vbuckets(*bucket_, now());
  }
  /// Evicts all that can be evicted.
  void evict() {
    const uint64_t quota = bucket_->quota_bytes();
    bucket_->set_quota_bytes(1);
    (void)bucket_->draft("nobody", 0, 0, 0, now());
    bucket_->set_quota_bytes(quota);
  }
  /// As after kill -9: only what was flushed is there.
  void crash() {
    bucket_.reset();
    bucket_ = disk_start();
  }

 private:
  [[nodiscard]] std::unique_ptr<Bucket> disk_start() {
    if (!persistent()) return std::make_unique<Bucket>(options_);
    return disk_.start(options_, now());
  }

  const BucketOptions options_;
  base::ManualClock clock_;
  FakeDisk disk_;
  std::unique_ptr<Bucket> bucket_;
  uint64_t blocked_ = 0;
};

}  // namespace bobbin::store
