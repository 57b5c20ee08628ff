#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/small_mutex.h"
#include "store/bucket_types.h"
#include "store/document.h"
#include "store/document_locks.h"
#include "store/expiry.h"
#include "store/hash_table.h"
#include "store/persistence_types.h"
#include "store/replica.h"
#include "store/vbucket_types.h"

namespace bobbin::store {

// A client may name a CAS. The clock follows it if it is not further ahead of the time than this, so that
// later CAS are higher; a wilder one is kept by its document only, and cannot push the clock to its end.
inline constexpr uint64_t kMaxCasLeadNs = uint64_t{3600} * 1'000'000'000;

class CollectionTable;
class EventDocuments;
struct CollectionCount;
struct CollectionEvent;
struct PersistentState;
struct VBucketCollections;

/// One of a bucket's vbuckets: a lock, a hash table, a seqno counter, a CAS clock.
///
/// Any thread. Each function takes the lock for a lookup and a pointer swap; no document is allocated, filled
/// or freed under it (the table's own lines are, and what a document leaves behind: a placeholder, or a
/// tombstone with a copy of its system attributes). Keys come with their hash.
class alignas(64) VBucket {
 public:
  VBucket() noexcept;
  ~VBucket();
  VBucket(const VBucket&) = delete;
  VBucket& operator=(const VBucket&) = delete;

  /// Before any other use; not thread-safe.
  void attach(MemoryAccount& account) noexcept;
  void make_persistent(std::unique_ptr<PersistentState> state, base::Now now);

  [[nodiscard]] Fetched fetch(DocKey key, uint64_t hash, uint32_t now_s) noexcept;
  [[nodiscard]] Fetched fetch(DocKey key, uint64_t hash, const FetchOptions& options,
                              uint32_t now_s) noexcept;
  [[nodiscard]] std::optional<Peeked> peek(DocKey key, uint64_t hash, uint32_t now_s) noexcept;
  /// Without counting as an access; empty on a miss.
  [[nodiscard]] Snapshot snapshot(DocKey key, uint64_t hash, uint32_t now_s) noexcept;
  /// `expiry` becomes that which the document has now.
  [[nodiscard]] TouchStatus touch(DocKey key, uint64_t hash, uint32_t& expiry, uint32_t now_s) noexcept;

  /// Any mode but append and prepend. The draft is empty afterwards if and only if it was stored.
  [[nodiscard]] StoreResult publish(Draft& draft, uint64_t hash, StoreMode mode, const StoreOptions& options,
                                    base::Now now) noexcept;
  /// Publishes in the place of `expected` if that is still there and live; otherwise `exists`.
  [[nodiscard]] StoreResult publish_over(Draft& draft, uint64_t hash, const Document& expected,
                                         const Takeover& takeover, base::Now now) noexcept;
  /// Publishes an empty document whose refilling the caller has won, if the key is absent; nothing otherwise.
  [[nodiscard]] std::optional<Fetched> vivify(Draft& draft, uint64_t hash, const FetchOptions& options,
                                              base::Now now) noexcept;
  /// Of the options, `cas_compare` and `drop_attributes`.
  [[nodiscard]] RemoveResult remove(DocKey key, uint64_t hash, const RemoveOptions& options,
                                    base::Now now) noexcept;
  /// In a persistent bucket: publishes a copy with another expiry and the old CAS in the place of `expected`,
  /// and then fetches that.
  [[nodiscard]] TouchedOver touch_over(Draft& copy, uint64_t hash, const Document& expected,
                                       const FetchOptions& options, base::Now now) noexcept;

  // vbucket_foreign.cc: see Bucket.

  [[nodiscard]] StoreResult publish_foreign(Draft& draft, uint64_t hash, const ForeignChange& change,
                                            ConflictResolution rule, base::Now now) noexcept;
  [[nodiscard]] RemoveResult remove_foreign(DocKey key, uint64_t hash, const ForeignChange& change,
                                            ConflictResolution rule, Room& room, base::Now now) noexcept;
  [[nodiscard]] RemoveStatus evict_key(DocKey key, uint64_t hash, uint32_t now_s) noexcept;
  [[nodiscard]] VBucketFacts facts() const noexcept;
  /// Whether the table has every key.
  [[nodiscard]] bool knows_all_keys() const noexcept;

  // vbucket_replica.cc: see Bucket. `hash` is the key's, and the key's vbucket is this.

  void follow(base::Now now);
  /// True: it did.
  bool stop_following(base::Now now);
  [[nodiscard]] bool follows() const noexcept;
  [[nodiscard]] ReplicaFacts replica_facts() const;
  [[nodiscard]] ReplicaStatus begin_snapshot(const ReplicaSnapshot& snapshot) noexcept;
  [[nodiscard]] ReplicaStatus adopt_failover(std::span<const FailoverEntry> failover);
  [[nodiscard]] ReplicaStatus apply(Draft& draft, uint64_t hash, const ReplicaChange& change,
                                    base::Now now) noexcept;
  [[nodiscard]] ReplicaStatus apply_tombstone(Draft& draft, uint64_t hash, const ReplicaChange& change,
                                              base::Now now) noexcept;
  [[nodiscard]] ReplicaStatus apply_removal(DocKey key, uint64_t hash, const ReplicaChange& change,
                                            base::Now now) noexcept;
  [[nodiscard]] ReplicaStatus advance_seqno(uint64_t seqno) noexcept;
  /// Whether an event at this seqno would be applied.
  [[nodiscard]] ReplicaStatus admits_event(uint64_t seqno) const noexcept;
  /// `document` is the event as the log holds it. `table` has the names. `has_dropped` becomes true when
  /// there is something for sweep_dropped.
  [[nodiscard]] ReplicaStatus apply_event(const CollectionEvent& event, DocumentRef document,
                                          const std::shared_ptr<const CollectionTable>& table, uint64_t seqno,
                                          bool& has_dropped);
  void set_role(VBucketRole role) noexcept;
  [[nodiscard]] VBucketRole role() const noexcept;
  /// Counts how often it was cleared: what was learnt of it before is of another vbucket.
  [[nodiscard]] uint32_t generation() const noexcept;

  // vbucket_locks.cc: see Bucket.

  [[nodiscard]] LockResult lock(DocKey key, uint64_t hash, uint32_t seconds, base::Now now) noexcept;
  [[nodiscard]] LockStatus unlock(DocKey key, uint64_t hash, uint64_t cas, uint32_t now_s) noexcept;

  /// Hints that load what an operation on this key will read, in this order, each for several keys at once;
  /// see Bucket::fetch_ahead.
  void prefetch_lock() const noexcept { __builtin_prefetch(&mutex_, 1); }
  void prefetch_line(uint64_t hash) const noexcept;
  void prefetch_document(uint64_t hash) const noexcept;

  /// Moves the clock hand over buckets until it has examined `documents`, has come round, or `victims` is
  /// full. Returns how many it examined. Nothing without the lock when the vbucket is empty.
  uint32_t reclaim(Reclaim mode, uint32_t documents, uint32_t now_s, Victims& victims) noexcept;
  /// Unlinks expired documents of at least `documents` documents from `cursor` on; stops when `victims` is
  /// full.
  uint32_t sweep(uint32_t& cursor, uint32_t documents, uint32_t now_s, Victims& victims) noexcept;

  /// One step of a walk: appends the live documents of one bucket, moves the cursor (HashTable::kEnd: done).
  void walk(uint32_t& cursor, uint32_t now_s, std::vector<Peeked>& found) noexcept;
  /// The same without references: (document size, charged size, last access).
  struct Measured {
    uint64_t size;
    uint64_t charged;
    uint32_t last_access;
  };
  void measure(uint32_t& cursor, uint32_t now_s, std::vector<Measured>& found) noexcept;

  /// Takes all documents out.
  struct CutOff {
    HashTable table;
    ChangeChunks changes;
  };
  [[nodiscard]] CutOff cut_off(base::Now now) noexcept;
  /// See Bucket::clear; vbucket_replica.cc.
  [[nodiscard]] std::optional<CutOff> clear(base::Now now) noexcept;
  /// Whether there is nothing to take out, as a hint, or nothing may be.
  [[nodiscard]] bool is_left_out_of_flushes() const noexcept;

  // Collections; vbucket_collections.cc.

  /// See Bucket::set_max_ttl. After restore().
  void set_bucket_ttl(uint32_t ttl_s);
  /// Follows a manifest: announces what is new, forgets what is not in it any more. True when there is
  /// something for sweep_dropped.
  [[nodiscard]] bool set_collections(const std::shared_ptr<const CollectionTable>& table,
                                     EventDocuments& events, base::Now now);
  /// Unlinks the documents of dropped collections among `documents` documents; true when there may be more.
  [[nodiscard]] bool sweep_dropped(uint32_t documents, uint32_t& examined, Victims& victims) noexcept;
  /// Nothing as long as the collection is there, or not all that was dropped is so on disk; otherwise a seqno
  /// that is above those of its documents.
  [[nodiscard]] std::optional<uint64_t> dropped_seqno_on_disk(CollectionId id) const noexcept;
  [[nodiscard]] uint64_t high_seqno_of(CollectionId collection) const noexcept;
  /// Documents of it that are in the table, none of them shells for certain.
  [[nodiscard]] bool has_documents_of(CollectionId collection) const noexcept;
  void add_collections_to(std::map<CollectionId, CollectionStatistics>& sums) const;

  // Of persistent buckets; vbucket_persist.cc.

  /// Before any other use, but for make_persistent.
  void restore(const VBucketState& state, base::Now now);
  [[nodiscard]] FlushBatch take_log(base::Now now);
  void persisted(const FlushBatch& batch, const PriorsFound& priors) noexcept;
  [[nodiscard]] LoadTicket begin_load() const noexcept;
  /// `found` is what the disk has, or a placeholder for nothing; taken over when it is installed.
  [[nodiscard]] Loaded load(Draft& found, uint64_t hash, LoadTicket ticket, base::Now now) noexcept;
  void finish_warmup(bool complete) noexcept;
  [[nodiscard]] bool lacks_revisions() const noexcept;
  void learn_revisions(const SeenRevisions& seen) noexcept;
  void refuse_changes() noexcept;
  /// When it is to be flushed, in Unix seconds, 0 for never: goes to disk with the state. Nothing happens
  /// here when it has come.
  void set_flush_moment(uint32_t unix_s) noexcept;
  /// 0 also where nothing may be flushed any more.
  [[nodiscard]] uint32_t flush_moment() const noexcept;
  [[nodiscard]] std::optional<uint64_t> seqno_on_disk(DocKey key, uint64_t hash) const noexcept;
  /// One step of removing the placeholders of a vbucket that does not need them; true when there may be more.
  bool drop_placeholders(uint32_t& cursor, Victims& victims) noexcept;
  [[nodiscard]] ChangeLog::CursorId open_cursor(std::string_view name);
  [[nodiscard]] AttachedCursor attach_cursor(std::string_view name, uint64_t seqno, uint64_t reach);
  void close_cursor(ChangeLog::CursorId cursor) noexcept;
  [[nodiscard]] TakenChanges take(ChangeLog::CursorId cursor);
  [[nodiscard]] uint64_t high_seqno() const noexcept;
  [[nodiscard]] uint64_t persisted_seqno() const noexcept;
  [[nodiscard]] StreamFacts stream_facts() const;
  [[nodiscard]] ChangeLogFacts log_facts() const;
  /// Of what it has announced; only `scopes` and `collections` are filled in.
  [[nodiscard]] VBucketState announced_collections() const;
  /// The newest first, one at least; empty in a cache.
  [[nodiscard]] std::vector<FailoverEntry> failover_log() const;
  /// Of the newest branch; 0 in a cache.
  [[nodiscard]] uint64_t uuid() const noexcept;

  void add_to(Statistics& sum) const noexcept;
  void reset_statistics() noexcept;
  /// May be stale by the time it returns.
  [[nodiscard]] uint64_t items_hint() const noexcept { return items_.load(std::memory_order_relaxed); }
  [[nodiscard]] uint64_t items_with_expiry_hint() const noexcept {
    return with_expiry_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] uint64_t items_with_expiry() const noexcept EXCLUDES(mutex_);

 private:
  struct Events {
    uint64_t total_items = 0;
    uint64_t evictions = 0;
    uint64_t evicted_unfetched = 0;
    uint64_t evicted_with_expiry = 0;
    uint64_t expired = 0;
    uint64_t expired_unfetched = 0;
    uint64_t reclaimed = 0;
  };

  /// The live document's slot; an expired one is removed.
  HashTable::Slot find_live(DocKey key, uint64_t hash, uint32_t now_s, Aftermath& after) noexcept
      REQUIRES(mutex_) {
    const HashTable::Slot slot = table_.find(key, HashTable::tag_of(hash));
    if (slot && is_live(*slot.document(), now_s)) [[likely]]
      return slot;
    find_dead(slot, now_s, after);
    return {};
  }
  /// The same where `deleted` finds tombstones, too.
  HashTable::Slot find_there(DocKey key, uint64_t hash, bool deleted, uint32_t now_s,
                             Aftermath& after) noexcept REQUIRES(mutex_) {
    if (!deleted) return find_live(key, hash, now_s, after);
    const HashTable::Slot slot = table_.find(key, HashTable::tag_of(hash));
    if (slot && is_there(*slot.document(), deleted, now_s)) return slot;
    find_dead(slot, now_s, after);
    return {};
  }
  [[nodiscard]] bool knows(CollectionId id) const noexcept REQUIRES(mutex_) {
    return id == kDefaultCollection || has_collection(id);
  }
  /// Its collection was.
  [[nodiscard]] bool is_dropped(const Document& document) const noexcept REQUIRES(mutex_) {
    return !knows(document.collection());
  }
  /// Neither expired nor a placeholder nor a tombstone.
  [[nodiscard]] bool is_live(const Document& document, uint32_t now_s) const noexcept REQUIRES(mutex_);
  /// Live, or with `deleted` a tombstone.
  [[nodiscard]] bool is_there(const Document& document, bool deleted, uint32_t now_s) const noexcept
      REQUIRES(mutex_);
  /// Why there is no live document.
  void find_dead(HashTable::Slot slot, uint32_t now_s, Aftermath& after) noexcept REQUIRES(mutex_);
  void count_access(Document& document, uint32_t now_s) noexcept REQUIRES(mutex_);
  void set_expiry(Document& document, uint32_t expiry) noexcept REQUIRES(mutex_);
  /// What a fetch does with a document that it has found.
  void inspect(Document& document, const FetchOptions& options, uint32_t now_s, Fetched& found) noexcept
      REQUIRES(mutex_);
  /// The document's lock, or what is left of it; null for most.
  [[nodiscard]] DocumentLocks::Entry* lock_of(const Document& document) const noexcept REQUIRES(mutex_) {
    if ((document.state_ & Document::kLocked) == 0) [[likely]]
      return nullptr;
    return locks_->find(document);
  }
  [[nodiscard]] bool is_locked(const Document& document, uint32_t now_s) const noexcept REQUIRES(mutex_) {
    const DocumentLocks::Entry* const lock = lock_of(document);
    return lock != nullptr && lock->holds(now_s);
  }
  /// What its CAS is compared with.
  [[nodiscard]] uint64_t cas_of(const Document& document) const noexcept REQUIRES(mutex_) {
    const DocumentLocks::Entry* const lock = lock_of(document);
    return lock != nullptr ? lock->cas : document.cas();
  }
  /// Room for one more lock.
  [[nodiscard]] bool has_room_for_lock(uint32_t now_s) noexcept REQUIRES(mutex_);
  void drop_lock(const Document& document) noexcept REQUIRES(mutex_);
  /// What a document has from elsewhere; else it gets its own.
  struct Given {
    std::optional<uint64_t> cas = std::nullopt;
    std::optional<uint64_t> revision = std::nullopt;
  };
  /// Gives the draft its CAS, seqno and revision and puts it into the table; the document it replaces, if
  /// any, goes to `after`. False when there is no memory: then nothing has changed.
  bool link(Draft& draft, uint64_t hash, HashTable::Slot old, const Given& given, base::Now now,
            Aftermath& after) noexcept REQUIRES(mutex_);
  /// Of what a new document replaces, or may have to be told from.
  [[nodiscard]] uint64_t revision_before(HashTable::Slot old) const noexcept REQUIRES(mutex_);
  /// Whether a document may be stored, with its attributes (`whole`) or not, in the place of what is unknown.
  [[nodiscard]] bool may_store_unseen(bool whole) const noexcept REQUIRES(mutex_);
  void count(const Document& document, int by) noexcept REQUIRES(mutex_);
  void count_linked(const Document& document) noexcept REQUIRES(mutex_);
  void count_unlinked(const Document& document) noexcept REQUIRES(mutex_);
  /// For shells and tombstones; false when it counts for nothing else.
  bool count_special(const Document& document, int by) noexcept REQUIRES(mutex_);
  void bump_with_expiry(int by) noexcept REQUIRES(mutex_);
  void count_expired(const Document& document) noexcept REQUIRES(mutex_);
  [[nodiscard]] uint64_t next_cas(std::optional<uint64_t> explicit_cas, base::Now now) noexcept
      REQUIRES(mutex_);
  [[nodiscard]] static StoreResult stored(const Document& document) noexcept;
  [[nodiscard]] Peeked describe(Document& document, uint32_t now_s) const noexcept REQUIRES(mutex_);

  // Collections; vbucket_collections.cc. Not for the default one, unless they say so.

  [[nodiscard]] bool has_collection(CollectionId id) const noexcept REQUIRES(mutex_);
  /// False when it was dropped: then the document is in no count any more.
  bool count_in_collection(const Document& document, int by) noexcept REQUIRES(mutex_);
  void count_expiry_in_collection(CollectionId id, int by) noexcept REQUIRES(mutex_);
  /// The default one's, too.
  void count_on_disk_only(CollectionId id, int64_t by) noexcept REQUIRES(mutex_);
  /// The vbucket's last seqno is of a change there.
  void note_change_of(CollectionId id) noexcept REQUIRES(mutex_);
  /// The expiry that a document gets whose writer wants this one; any collection's. There are collections_.
  [[nodiscard]] uint32_t limited(CollectionId id, uint32_t expiry, uint32_t now_s) const noexcept
      REQUIRES(mutex_);
  [[nodiscard]] uint32_t expiry_in(CollectionId id, uint32_t expiry, uint32_t now_s) const noexcept
      REQUIRES(mutex_) {
    return collections_ == nullptr ? expiry : limited(id, expiry, now_s);
  }
  /// Its seqno; 0 where it cannot be written.
  uint64_t log_event(DocumentRef event, base::Now now, Aftermath& after) noexcept REQUIRES(mutex_);
  [[nodiscard]] bool drop_collections(EventDocuments& events, base::Now now, Aftermath& after)
      REQUIRES(mutex_);
  /// A collection goes with what was counted of it.
  void take_off_counts(const CollectionCount& count) noexcept REQUIRES(mutex_);
  void begin_sweep_of_dropped() noexcept REQUIRES(mutex_);
  /// What is not yet.
  void announce_collections(base::Now now, Aftermath& after) noexcept REQUIRES(mutex_);
  /// A flush has taken the history that told of them.
  void announce_again(base::Now now, Aftermath& after) noexcept REQUIRES(mutex_);

  // Tombstones; vbucket_tombstones.cc.

  /// What stays of a document, for its caller to date and link; null when nothing does. Of a value that is
  /// not resident nothing does.
  [[nodiscard]] base::Result<Document*, RemoveStatus> tombstone_of(const Document& document) noexcept
      REQUIRES(mutex_);
  /// What stays in the place of a document gets the change's CAS, its seqno, which is the latest, and the
  /// next revision.
  void date_end(Document& left, const Document& document, uint64_t cas, base::Now now) noexcept
      REQUIRES(mutex_);
  /// Of a cache. False when there is no memory.
  [[nodiscard]] bool drop_from_cache(HashTable::Slot slot, bool keep_attributes, std::optional<uint64_t> cas,
                                     base::Now now, Aftermath& after) noexcept REQUIRES(mutex_);
  /// What is known of a key whose slot, or the lack of one, shows that it has no document, nor a tombstone
  /// that is_there.
  [[nodiscard]] Gone find_gone(HashTable::Slot slot, DocKey key, uint32_t now_s) noexcept REQUIRES(mutex_);
  /// The same, for who fetches deleted documents.
  void fetch_gone(DocKey key, uint64_t hash, uint32_t now_s, Fetched& found) noexcept REQUIRES(mutex_);
  /// Removes what is removed already, with the next revision.
  [[nodiscard]] RemoveResult remove_gone(DocKey key, uint64_t hash, const RemoveOptions& options,
                                         base::Now now, Aftermath& after) noexcept REQUIRES(mutex_);
  /// Keeps what a load found of a key of which the table, which has all keys, has nothing.
  [[nodiscard]] Loaded recall(Draft& found, LoadTicket ticket) noexcept REQUIRES(mutex_);
  /// It may leave the table without a trace when its time has come.
  [[nodiscard]] bool may_forget(const Document& tombstone) const noexcept REQUIRES(mutex_);

  // Changes from elsewhere; vbucket_foreign.cc.

  /// One that meets what is there.
  struct Conflict {
    const ForeignChange& change;
    /// Of a deletion: when it was made.
    uint32_t expiry;
    uint32_t flags;
    ConflictResolution rule;
  };
  /// Whether a change is newer than what the slot, or the lack of one, stands for.
  [[nodiscard]] Resolved resolve(HashTable::Slot slot, DocKey key, const Conflict& conflict,
                                 uint32_t now_s) noexcept REQUIRES(mutex_);
  /// A deletion of what is not there: who is asked for it later has it.
  [[nodiscard]] RemoveResult remove_nothing(DocKey key, uint64_t hash, const ForeignChange& change,
                                            ConflictResolution rule, Room& room, base::Now now,
                                            Aftermath& after) noexcept REQUIRES(mutex_);

  // Of persistent buckets; vbucket_persist.cc.

  /// Whether a key that is not in the table may be on disk.
  [[nodiscard]] bool is_unknown(HashTable::Slot slot) const noexcept REQUIRES(mutex_);
  void count_blocked() const noexcept REQUIRES(mutex_);
  /// Writes a published document into the log. `old` is what it replaced, or null.
  void log_mutation(const Document& document, const Document* old, Aftermath& after) noexcept
      REQUIRES(mutex_);
  /// Empties what the log has of this document; whether nobody knew if its key was on disk.
  bool supersede(const Document& document, Aftermath& after) noexcept REQUIRES(mutex_);
  void append_change(ChangeKind kind, Document* document, uint64_t seqno, uint64_t cas, uint8_t marks,
                     Aftermath& after) noexcept REQUIRES(mutex_);
  void mark_dirty(Aftermath& after) noexcept REQUIRES(mutex_);
  /// What is told of an end.
  struct End {
    ChangeKind kind = ChangeKind::deletion;
    /// The attributes of the system outlive it.
    bool keep_attributes = true;
    std::optional<uint64_t> explicit_cas = std::nullopt;
    /// Else that of the document and one.
    std::optional<uint64_t> revision = std::nullopt;
    /// With a revision: when it was; else that is told by the clock.
    uint32_t time_s = 0;
  };
  [[nodiscard]] static uint32_t moment_of_end(const End& end, base::Now now) noexcept {
    return end.time_s != 0 ? end.time_s : now.unix_s();
  }
  /// Why a change with this seqno is not one of the source's that comes next; `applied` if it is.
  [[nodiscard]] ReplicaStatus refusal_of(uint64_t seqno) const noexcept REQUIRES(mutex_);
  /// Links a draft with the source's seqno, CAS and revision.
  [[nodiscard]] ReplicaStatus link_replica(Draft& draft, uint64_t hash, const ReplicaChange& change,
                                           base::Now now, Aftermath& after) noexcept REQUIRES(mutex_);
  /// Writes the end of a key into the log, of which the table has nothing, or a placeholder. `end` has
  /// everything. False when there is no memory, or nothing may be changed.
  [[nodiscard]] bool bury_nothing(HashTable::Slot slot, DocKey key, uint64_t hash, const End& end,
                                  base::Now now, Aftermath& after) noexcept REQUIRES(mutex_);
  /// The same where the table has nothing, with a seqno that may be given out.
  [[nodiscard]] bool bury_unknown(DocKey key, uint64_t hash, const End& end, uint64_t seqno, base::Now now,
                                  Aftermath& after) noexcept REQUIRES(mutex_);
  /// Empties the table and what is counted of it.
  [[nodiscard]] HashTable take_table() noexcept REQUIRES(mutex_);
  /// Writes the end of a document into the log, with the table's reference to it. Returns what takes its
  /// place in the table: a tombstone, a placeholder, null, or, when there is no memory, the document itself.
  [[nodiscard]] Document* bury(Document* document, const End& end, base::Now now, Aftermath& after) noexcept
      REQUIRES(mutex_);
  /// Buries what is in a slot; false when there is no memory.
  [[nodiscard]] bool bury_at(HashTable::Slot slot, const End& end, base::Now now, Aftermath& after) noexcept
      REQUIRES(mutex_);
  /// Supersedes all there was, and begins a new branch of history. Returns what nobody needs any more.
  [[nodiscard]] ChangeChunks log_flush(base::Now now, Aftermath& after) noexcept REQUIRES(mutex_);
  void add_persistent_to(Statistics& sum) const noexcept REQUIRES(mutex_);
  /// Puts a placeholder where a load found what is dead: flushed, or expired, which then goes into the log.
  [[nodiscard]] Loaded load_dead(const Document& record, uint64_t hash, base::Now now,
                                 Aftermath& after) noexcept REQUIRES(mutex_);
  /// Puts what a load found where the table has nothing, or a document without its value.
  [[nodiscard]] Loaded install(Draft& found, uint64_t hash, HashTable::Slot shell, Aftermath& after) noexcept
      REQUIRES(mutex_);
  void remember_token(const Document& document) noexcept REQUIRES(mutex_);
  [[nodiscard]] uint32_t reclaim_persistent(Reclaim mode, uint32_t documents, uint32_t now_s,
                                            Victims& victims) noexcept;
  /// What stays of a document that the hand takes: a shell, nothing, or the document itself.
  [[nodiscard]] Document* evict(Document* document, Victims& victims) noexcept REQUIRES(mutex_);
  [[nodiscard]] VBucketState state(base::Now now) const REQUIRES(mutex_);
  [[nodiscard]] uint64_t items() const noexcept REQUIRES(mutex_);

  mutable base::SmallMutex mutex_;
  HashTable table_ GUARDED_BY(mutex_);
  // Null in a cache bucket. The pointer is set before use and stays.
  std::unique_ptr<PersistentState> persistent_ BOBBIN_THREAD_ANNOTATION(pt_guarded_by(mutex_));
  // Null until the first lock.
  std::unique_ptr<DocumentLocks> locks_ GUARDED_BY(mutex_);
  // Null as long as there was never more than the default collection, nor a max TTL of the bucket.
  std::unique_ptr<VBucketCollections> collections_ BOBBIN_THREAD_ANNOTATION(pt_guarded_by(mutex_));
  // Written under the lock; read without it as hints.
  std::atomic<uint64_t> items_{0};
  std::atomic<uint32_t> with_expiry_{0};
  // There may be documents of dropped collections in the table.
  std::atomic<bool> has_dropped_{false};
  uint32_t hand_ GUARDED_BY(mutex_) = 0;
  uint64_t item_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t seqno_ GUARDED_BY(mutex_) = 0;
  uint64_t cas_clock_ GUARDED_BY(mutex_) = 0;
  Events events_ GUARDED_BY(mutex_);
};

inline bool VBucket::is_live(const Document& document, uint32_t now_s) const noexcept {
  return !is_expired(document.expiry_, now_s) && !document.is_gone();
}

inline bool VBucket::is_there(const Document& document, bool deleted, uint32_t now_s) const noexcept {
  if (is_live(document, now_s)) return true;
  return deleted && document.is_tombstone() && !is_expired(document.expiry_, now_s);
}

static_assert(sizeof(VBucket) == 192, "three cache lines, as long as no bucket persists");

}  // namespace bobbin::store
