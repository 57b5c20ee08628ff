#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "store/bucket_types.h"
#include "store/document.h"
#include "store/expiry.h"
#include "store/hash_table.h"
#include "store/manifest.h"
#include "store/memory.h"
#include "store/persistence_types.h"
#include "store/plain_document.h"
#include "store/replica.h"

namespace bobbin::store {

class FollowedManifest;
class News;
class VBucket;
struct CollectionEvent;
struct SharedPersistence;
struct Victims;

/// A bucket: memcached's semantics over 1024 vbuckets, within a quota.
///
/// A cache bucket evicts and forgets. A persistent bucket writes each change into a log, which a flusher
/// brings to disk, evicts only what is there, and answers `would_block` where it takes the disk to know: this
/// folder knows no disk, so a fetcher has to read and call load(). Per vbucket, seqnos rise by one and CAS
/// rise, also over restarts.
///
/// Every public function may be called from any thread at any time, and waits at most for a vbucket's lock,
/// which is held for a lookup and a pointer swap. Keys are valid (asserted: codecs check them). Time
/// comes in with each call, so that one request sees one time. DocumentRefs may outlive the bucket.
class Bucket {
 public:
  explicit Bucket(const BucketOptions& options);
  ~Bucket();
  /// Whether the accounts are there that another bucket takes. Those of buckets that are gone stay taken
  /// while a client is sent something of them.
  [[nodiscard]] static bool has_room_for_another() noexcept { return MemoryAccount::available() >= 2; }

  Bucket(const Bucket&) = delete;
  Bucket& operator=(const Bucket&) = delete;

  // -- Writing ------------------------------------------------------------------------------------------

  /// Memory for a value of `value_len` bytes that the caller fills and gives to store(). Counted from here
  /// on. Makes room by freeing garbage and evicting, a bounded amount of work; what cannot be had is
  /// `no_memory`. `expiry` is absolute (store/expiry.h). `attributes`: the value begins with some, and may be
  /// longer by kAttributeAllowanceBytes.
  [[nodiscard]] base::Result<Draft, DraftError> draft(DocKey key, uint32_t flags, uint32_t expiry,
                                                      uint32_t value_len, base::Now now,
                                                      bool attributes = false);
  /// Another with the key, flags and expiry of a draft.
  [[nodiscard]] base::Result<Draft, DraftError> draft_like(const Draft& given, uint32_t value_len,
                                                           base::Now now, bool attributes);
  /// Publishes a draft if the mode's condition holds. The draft is empty afterwards, unless the answer is
  /// `would_block`, `no_memory` or `locked`: then it is as it was, for another try.
  StoreResult store(Draft& draft, StoreMode mode, const StoreOptions& options, base::Now now);
  StoreResult store(Draft&& draft, StoreMode mode, const StoreOptions& options, base::Now now) {
    Draft given = std::move(draft);
    return store(given, mode, options, now);
  }
  StoreResult store(Draft&& draft, StoreMode mode, base::Now now) {
    return store(std::move(draft), mode, {}, now);
  }
  /// Publishes a document that was changed elsewhere, with the metadata that it has there. The draft is as
  /// after store().
  StoreResult store_foreign(Draft& draft, const ForeignChange& change, base::Now now);
  /// The same for a deletion. Where no document is, a persistent bucket keeps it all the same; in a cache
  /// there is nothing to be done, which is `removed`.
  RemoveResult remove_foreign(DocKey key, const ForeignChange& change, base::Now now);
  /// incr and decr. The number is decimal text, as memcached keeps it.
  ArithmeticResult arithmetic(DocKey key, const ArithmeticOptions& options, base::Now now);
  /// Removes, or with `mark_stale` and `drop_value` changes, a document.
  RemoveResult remove(DocKey key, const RemoveOptions& options, base::Now now);
  /// Sets the expiry (absolute). Counts as an access.
  TouchResult touch(DocKey key, uint32_t expiry, base::Now now);

  /// Locks a document for `seconds` (1 to kMaxLockS): until then, or until unlock(), it is changed only by
  /// who names the CAS that it has from now on, and that change unlocks it; whoever reads it sees no CAS.
  /// It is fetched with it. Locks are forgotten over a restart, and belong to no connection.
  /// The value is as FetchOptions::takes_compressed has it.
  [[nodiscard]] LockResult lock(DocKey key, uint32_t seconds, base::Now now, bool takes_compressed = false);
  [[nodiscard]] LockStatus unlock(DocKey key, uint64_t cas, base::Now now);

  // -- Reading ------------------------------------------------------------------------------------------

  /// The plain get: counts as an access.
  [[nodiscard]] Fetched fetch(DocKey key, base::Now now);
  /// gat and the meta commands.
  [[nodiscard]] Fetched fetch(DocKey key, const FetchOptions& options, base::Now now);
  /// Plain gets of many keys: `out[i]` answers `keys[i]`; both have the same length. Faster than one after
  /// the other on a table larger than the processor's caches, because it waits for several of them at once.
  /// Compressed values are as they lie: who wants one itself calls inflate(), one after the other.
  void fetch_many(std::span<const DocKey> keys, std::span<Fetched> out, base::Now now);
  /// Has the processor load what operations on these keys will read: changes nothing, and says nothing. Pays
  /// where several follow each other, on a table larger than the processor's caches.
  void fetch_ahead(std::span<const DocKey> keys) const noexcept;
  /// How many keys of fetch_ahead are under way at once; more do not fit into the processor's queue of
  /// misses.
  static constexpr size_t kFetchedAhead = 16;
  /// Of a document whose value is here and compressed: puts a copy with the value itself in its place, which
  /// is charged to what readers may hold. Where that cannot be, `doc` goes, and `damaged`, `crowded` or
  /// `no_memory` is set. `has_acted`: the fetch has changed something, and is refused only beyond twice the
  /// budget. Holds no lock.
  void inflate(Fetched& found, bool has_acted = false) noexcept;
  /// Bytes for a reader, in a document that is nobody's, charged in the same way; empty where there is no
  /// room.
  [[nodiscard]] DocumentRef copy_for_reader(DocKey key, std::string_view bytes) const noexcept;
  /// From now on store() compresses values that get shorter by it, but those of more than
  /// kLargestCompressedBytes, which would take the loop too long. What is there stays what it is. Any thread.
  void set_compresses(bool compresses) noexcept { compresses_.store(compresses, std::memory_order_relaxed); }
  /// What meta debug shows, without counting as an access; nothing on a miss. Metadata will do: it blocks
  /// only when the key is unknown.
  [[nodiscard]] std::optional<Peeked> peek(DocKey key, base::Now now);
  /// Calls `visit` for every live document in memory, resident or not, without a lock held while it runs;
  /// false from it ends the walk. A document that is there from beginning to end is seen exactly once.
  void for_each(const std::function<bool(const Peeked&)>& visit, base::Now now);

  /// A live document of a collection, which one depends on `random`; with its value if it can be had without
  /// the disk, and nothing if there is none, or if `gave_up`: some thousands were looked at, none of them it.
  [[nodiscard]] std::optional<Peeked> any(uint64_t random, CollectionId collection, base::Now now,
                                          bool& gave_up);
  /// The first `limit` names of a vbucket's documents from `start` on, in the order of bytes, of a
  /// collection. Goes through all documents in memory. Nothing when the disk may have others.
  [[nodiscard]] std::optional<std::vector<std::string>> names(uint16_t vbucket, DocKey start, size_t limit,
                                                              base::Now now);
  /// Takes the value out of memory (value eviction) or the document (full), if it is on disk and nobody uses
  /// it: `removed`; otherwise `exists`. Of persistent buckets.
  [[nodiscard]] RemoveStatus evict(DocKey key, base::Now now);
  [[nodiscard]] VBucketFacts facts(uint16_t vbucket) const noexcept;
  /// Nothing of a cache, which has none.
  [[nodiscard]] ChangeLogFacts log_facts(uint16_t vbucket) const;

  // -- The whole bucket ---------------------------------------------------------------------------------

  /// Empties the bucket at once; what is freed later (by the sweeper, or by a draft that needs the room)
  /// stays charged until then. Cancels a pending flush_at.
  void flush(base::Now now);
  /// Empties the bucket when `unix_s` has come; replaces an earlier deadline. A time that has come already is
  /// a flush. A persistent bucket keeps it with the vbuckets' states; what a restart finds has come meanwhile
  /// is done by the first call.
  void flush_at(uint32_t unix_s, base::Now now);

  /// A copy of all counters, exact when no other thread works on the bucket.
  [[nodiscard]] Statistics statistics() const;
  /// Zeroes what memcached's `stats reset` does: counts of events, not of things that exist.
  void reset_statistics();
  /// Document counts by size, found by a walk in small steps.
  [[nodiscard]] Census census(base::Now now);

  [[nodiscard]] uint64_t quota_bytes() const noexcept { return account_.quota_bytes(); }
  void set_quota_bytes(uint64_t bytes) noexcept {
    account_.set_quota_bytes(bytes);
    inflated_account_.set_quota_bytes(inflated_quota(bytes, options_.max_value_bytes));
  }
  [[nodiscard]] uint32_t max_value_bytes() const noexcept { return options_.max_value_bytes; }
  [[nodiscard]] uint32_t vbucket_count() const noexcept { return options_.vbuckets; }
  [[nodiscard]] uint16_t vbucket_of(DocKey key) const noexcept;
  [[nodiscard]] bool is_persistent() const noexcept { return persistence_ != nullptr; }
  [[nodiscard]] EvictionPolicy eviction_policy() const noexcept { return options_.eviction; }

  /// `observer` is told of each eviction from now on, on the evicting thread, with no lock held; null for
  /// nobody. It must live as long as the bucket.
  void set_eviction_observer(EvictionObserver* observer) noexcept;

  // -- Collections --------------------------------------------------------------------------------------

  /// The scopes and collections that there are. It does not change: what changes is which is present.
  [[nodiscard]] std::shared_ptr<const Manifest> manifest() const;
  /// Rises after each change of it: whoever keeps a manifest need not ask for another before.
  [[nodiscard]] uint64_t manifest_generation() const noexcept {
    return manifest_generation_.load(std::memory_order_acquire);
  }
  /// One thread at a time, before or after any other use. Documents of what is not in it any more are gone
  /// when this returns. Every vbucket takes a seqno for each scope and collection that it learns to know or
  /// forgets, also where it was restored with others.
  void set_manifest(std::shared_ptr<const Manifest> manifest, base::Now now);
  /// Seconds after a write that its document expires at the latest, where its collection has no such limit of
  /// its own; 0 for none. Holds for what is stored from then on. After restore().
  void set_max_ttl(uint32_t ttl_s);
  /// What the disk has, before any other use, and before set_manifest: who asks is told this, and no vbucket
  /// is.
  void restore_manifest(std::shared_ptr<const Manifest> manifest);
  /// Of all collections, or of those that the vbucket knows.
  [[nodiscard]] std::map<CollectionId, CollectionStatistics> collection_statistics(
      std::optional<uint16_t> vbucket = std::nullopt) const;

  // -- Copies of other servers' vbuckets; of persistent buckets, bucket_replica.cc ------------------------

  /// From here on the vbucket takes changes from what follows here alone: others are refused with
  /// `no_memory`, expired documents are not found and stay, flushes leave it out. It is kept on disk. Best
  /// before the vbucket's first state is written, so that it reserves nothing. Nothing where it follows.
  void follow(uint16_t vbucket, base::Now now);
  /// The end of that: a new branch of its history begins at its high seqno. Changes are taken when the next
  /// state is on disk. Nothing where it does not follow.
  void stop_following(uint16_t vbucket, base::Now now);
  /// Whether any vbucket does. For handlers that refuse changes.
  [[nodiscard]] bool is_following() const noexcept;
  [[nodiscard]] bool follows(uint16_t vbucket) const noexcept;
  [[nodiscard]] ReplicaFacts replica_facts(uint16_t vbucket) const;
  /// What the source sends next belongs to this snapshot.
  [[nodiscard]] ReplicaStatus begin_snapshot(uint16_t vbucket, const ReplicaSnapshot& snapshot);
  /// The source's branches, the newest first; 25 of them are kept. `invalid`: none, or a uuid is 0.
  [[nodiscard]] ReplicaStatus adopt_failover(uint16_t vbucket, std::span<const FailoverEntry> failover);
  /// As draft(), but for whatever a source may have.
  [[nodiscard]] base::Result<Draft, DraftError> replica_draft(DocKey key, uint32_t flags, uint32_t expiry,
                                                              uint32_t value_len, base::Now now);
  /// A document. The draft is empty afterwards, unless the answer is `no_memory`.
  [[nodiscard]] ReplicaStatus apply(Draft& draft, const ReplicaChange& change, base::Now now);
  /// A deletion or expiration after which nothing is left.
  [[nodiscard]] ReplicaStatus apply_removal(DocKey key, const ReplicaChange& change, base::Now now);
  /// The same with attributes that stay, which are the draft's value. The draft is as after apply().
  [[nodiscard]] ReplicaStatus apply_removal(Draft& tombstone, const ReplicaChange& change, base::Now now);
  /// What happened to a scope or collection. The bucket's manifest becomes that which the vbucket knows that
  /// is furthest; where it changes it is kept first, which may wait for the disk: not for a loop.
  [[nodiscard]] ReplicaStatus apply_event(uint16_t vbucket, const CollectionEvent& event, uint64_t seqno,
                                          base::Now now);
  /// Up to here there is nothing for this reader.
  [[nodiscard]] ReplicaStatus advance_seqno(uint16_t vbucket, uint64_t seqno);
  /// Everything of the vbucket is gone, at once in memory, and on disk with its next commit; what is changed
  /// until then goes into that, too. Its seqno is 0, its history begins. Of any vbucket, also in a cache,
  /// where seqnos go on; where it follows, waits as apply_event().
  /// False: its shard takes no changes any more, and nothing was done.
  [[nodiscard]] bool clear(uint16_t vbucket, base::Now now);
  /// Kept with the vbucket's next state.
  void set_role(uint16_t vbucket, VBucketRole role) noexcept;
  [[nodiscard]] VBucketRole role(uint16_t vbucket) const noexcept;
  /// Vbuckets whose last clear() is not on disk.
  [[nodiscard]] uint32_t unsaved_clears() const noexcept;
  /// Counts the vbucket's clears since the start.
  [[nodiscard]] uint32_t generation(uint16_t vbucket) const noexcept;
  /// Called with each manifest that is to be followed, before it is; false: it cannot be kept.
  void set_manifest_keeper(std::function<bool(const Manifest&)> keep);

  // -- For the sweeper ----------------------------------------------------------------------------------

  /// `waker` is called, on any thread and with no vbucket's lock held, after each flush and flush_at, and
  /// when a document gets an expiry and arm_sweep_waker() had found none. Null takes it back: no call is
  /// under way once this returns.
  void set_sweep_waker(std::function<void()> waker);
  /// Says what there is to do; what arises later calls the waker.
  [[nodiscard]] SweepWork arm_sweep_waker();
  /// Does a due flush, frees up to `documents` of what flushes cut off, and looks at as many for those of
  /// dropped collections; true while there is more to free.
  bool sweep_garbage(uint32_t documents, base::Now now);
  /// Removes the expired among about `documents` documents, from where the last call stopped. Visits only
  /// vbuckets that hold documents with an expiry.
  SweepPass sweep_expired(uint32_t documents, base::Now now);
  /// An estimate, without locks.
  [[nodiscard]] SweepLoad sweep_load() const noexcept;

  // -- For the disk, persistent buckets only ------------------------------------------------------------

  /// What the disk has of a vbucket, before any other use of it. Until its first persisted(), which makes a
  /// new reservation, the vbucket refuses changes with `no_memory`. One that is not restored begins empty.
  void restore(uint16_t vbucket, const VBucketState& state, base::Now now);

  /// `waker` wakes the flusher of a shard: on any thread, with no vbucket's lock held, at most once for each
  /// time that it was armed, and when a bucket out of memory is in a hurry. It must not block or call the
  /// bucket. Null takes it back: no call is under way once this returns.
  void set_flush_waker(uint32_t shard, std::function<void()> waker);
  /// True: there is work already, do not sleep. False: the waker is called when there is.
  [[nodiscard]] bool arm_flush_waker(uint32_t shard);
  /// The vbuckets that changed since the last call; in the beginning all, whose state is to be written.
  [[nodiscard]] DirtyWork take_dirty(uint32_t shard);
  /// All changes of a vbucket, and its state. One flusher at a time for a vbucket.
  [[nodiscard]] FlushBatch take_log(uint16_t vbucket, base::Now now);
  /// The batch is on disk; in the order in which they were taken. A batch that could not be written is never
  /// reported: what was in it stays in memory, dirty.
  void persisted(const FlushBatch& batch, const PriorsFound& priors = {});
  /// Changes that are not on disk, with their documents.
  [[nodiscard]] uint64_t dirty_bytes() const noexcept;
  /// Vbuckets whose part of the last flush_at, or of its cancelling, is not on disk.
  [[nodiscard]] uint32_t unsaved_flush_moments() const noexcept;
  /// Wakes all flushers, also those that linger.
  void hurry_flushers() noexcept;
  [[nodiscard]] uint64_t high_seqno(uint16_t vbucket) const noexcept;
  /// Of the last change of a collection; 0 when the vbucket does not know it.
  [[nodiscard]] uint64_t high_seqno(uint16_t vbucket, CollectionId collection) const noexcept;
  [[nodiscard]] uint64_t persisted_seqno(uint16_t vbucket) const noexcept;
  /// The branches of the vbucket's history, the newest first, one at least. A cache has no history: a branch
  /// that no other start has.
  [[nodiscard]] std::vector<FailoverEntry> failover_log(uint16_t vbucket) const;
  /// Of the newest branch.
  [[nodiscard]] uint64_t vbucket_uuid(uint16_t vbucket) const noexcept;

  /// Before each read of the disk, or before the snapshot of a warmup.
  [[nodiscard]] LoadTicket begin_load(uint16_t vbucket) const noexcept;
  /// What that read found; null for nothing. Installs it where the bucket has nothing newer, and never brings
  /// back what was deleted, flushed or has expired. The caller is in no hurry to find memory: this goes over
  /// the quota if it must.
  [[nodiscard]] Loaded load(DocKey key, const LoadedRecord* record, LoadTicket ticket, LoadPurpose purpose,
                            base::Now now);
  /// All that the disk has of the vbucket has been loaded (`complete`), or will not be. With value eviction a
  /// vbucket of which something cannot be read goes on as if it were warming up: what it does not know
  /// blocks.
  void finish_warmup(uint16_t vbucket, bool complete);
  /// Whether there may be documents or removals on disk whose revisions nobody has kept: a program that kept
  /// none of them has left them. Until they are learnt, stores of keys that nobody knows block.
  [[nodiscard]] bool lacks_revisions(uint16_t vbucket) const noexcept;
  /// Of all that is on disk of the vbucket at some moment since restore(). Nothing where nothing is lacking.
  void learn_revisions(uint16_t vbucket, const SeenRevisions& seen);
  /// From here on the vbucket can no longer be written to disk: changes are refused with `no_memory`, and it
  /// is left out of flushes. What has expired is not found, and stays. Reads and loads go on.
  void refuse_changes(uint16_t vbucket) noexcept;
  /// The seqno of what the disk has last of this key, or of something later, which took it with its
  /// collection; nothing where the table does not tell.
  [[nodiscard]] std::optional<uint64_t> seqno_on_disk(uint16_t vbucket, DocKey key) const noexcept;
  /// Everything that is charged, as in Statistics; cheap.
  [[nodiscard]] uint64_t used_bytes() const noexcept { return account_.used_bytes(); }

  /// Another reader of a vbucket's changes, from here on. It pins what it has not taken, until it lags by
  /// more than BucketOptions::cursor_lag_bytes: then take_changes answers `lost`.
  [[nodiscard]] ChangeLog::CursorId open_cursor(uint16_t vbucket, std::string_view name);
  /// The same for who has all up to `seqno`. The cursor begins there, or, where the log does not go back so
  /// far, where the log begins: the disk has what lies between as soon as `from` is persisted. Where that are
  /// more than `reach` seqnos, no cursor is opened: it would pin too much until they are read.
  [[nodiscard]] AttachedCursor attach_cursor(uint16_t vbucket, std::string_view name, uint64_t seqno,
                                             uint64_t reach = UINT64_MAX);
  void close_cursor(uint16_t vbucket, ChangeLog::CursorId cursor);
  [[nodiscard]] TakenChanges take_changes(uint16_t vbucket, ChangeLog::CursorId cursor);
  /// From here on the reader is told of changes in the vbuckets that it follows: of the first after each
  /// attach_cursor or take_changes of anybody.
  void add_reader(std::shared_ptr<News> news);
  /// Its waker is not called any more.
  void remove_reader(const News& news);
  /// Of a persistent bucket, at one moment.
  [[nodiscard]] StreamFacts stream_facts(uint16_t vbucket) const;
  /// The scopes and collections that the vbucket has announced, with their names: nothing else of the state
  /// is filled in.
  [[nodiscard]] VBucketState announced_collections(uint16_t vbucket) const;
  /// What readers of changes pin beyond what is not on disk.
  [[nodiscard]] uint64_t cursor_lag_bytes() const noexcept;

 private:
  static constexpr uint32_t kNoFlush = UINT32_MAX;

  struct Key {
    VBucket& vbucket;
    uint64_t hash;
  };

  [[nodiscard]] Key locate(DocKey key) const noexcept;
  [[nodiscard]] base::Result<Draft, DraftError> copy_shape(const Document& like, uint32_t value_len,
                                                           base::Now now);
  [[nodiscard]] base::Result<Draft, DraftError> allocate_draft(DocKey key, uint32_t flags, uint32_t expiry,
                                                               uint32_t value_len, base::Now now);
  /// A copy of a draft with its value compressed; empty: that would not make it much shorter, or it cannot
  /// be.
  [[nodiscard]] Draft compressed(Draft& draft) const noexcept;
  struct Inflated {
    enum class Failure : uint8_t { none, damaged, no_memory };
    DocumentRef doc = {};
    Failure failure = Failure::none;
  };
  /// A copy of a document with its value inflated, charged to `account`. Not to be published.
  [[nodiscard]] Inflated inflated(const Document& document, MemoryAccount& account) const noexcept;
  [[nodiscard]] static uint64_t inflated_quota(uint64_t quota_bytes, uint32_t max_value_bytes) noexcept;
  /// False, and counted: what readers hold leaves no room for so many bytes more.
  [[nodiscard]] bool may_be_held(uint64_t bytes, bool has_acted) const noexcept;
  [[nodiscard]] PlainDocument plain_of(const Document& document) const noexcept {
    if (!document.is_compressed()) [[likely]]
      return PlainDocument(document);
    Inflated copy = inflated(document, account_);
    return {std::move(copy.doc), copy.failure == Inflated::Failure::damaged};
  }
  /// Puts the draft behind the attributes that are there.
  [[nodiscard]] StoreResult store_body(Draft& draft, StoreMode mode, const StoreOptions& options,
                                       base::Now now);
  [[nodiscard]] StoreResult extend(Draft& addition, StoreMode mode, const StoreOptions& options,
                                   base::Now now);
  /// A tombstone without attributes is nothing.
  [[nodiscard]] StoreResult remove_whole(DocKey key, const StoreOptions& options, base::Now now);
  [[nodiscard]] RemoveResult rewrite_marked(DocKey key, const RemoveOptions& options, base::Now now);
  /// Touches in a persistent bucket: publishes a copy.
  [[nodiscard]] Fetched fetch_touching(DocKey key, const FetchOptions& options, base::Now now);
  /// A document's value is only on disk.
  void count_blocked() noexcept;
  [[nodiscard]] bool make_room(uint64_t bytes, base::Now now);
  /// Returns how many it freed.
  uint32_t free_garbage(uint32_t documents);
  /// Frees documents of dropped collections among `documents` documents; true while there are more.
  bool sweep_dropped(uint32_t documents);
  void report(const Victims& victims);
  void flush_if_due(uint32_t now_s) noexcept {
    if (now_s >= flush_deadline_.load(std::memory_order_relaxed)) [[unlikely]]
      flush_now_due(now_s);
  }
  void flush_now_due(uint32_t now_s);
  void cut_off(VBucket& vbucket, base::Now now);
  void cut_off_everything(base::Now now) REQUIRES(flush_mutex_);
  void cut_off_due(base::Now now) REQUIRES(flush_mutex_);
  /// After a document got this expiry: the sweeper may have to know.
  void note_expiry(uint32_t expiry) noexcept {
    if (expiry == kNeverExpires || !wake_on_expiry_.load(std::memory_order_relaxed)) [[likely]]
      return;
    if (wake_on_expiry_.exchange(false)) wake_sweeper();
  }
  void wake_sweeper();
  /// Has the sweeper look for documents of collections that were dropped.
  void begin_sweep_of_dropped();
  /// What was cut off is freed later.
  void keep_garbage(HashTable table);
  void show_manifest(std::shared_ptr<const Manifest> manifest);
  // With followed_mutex, which is SharedPersistence's.
  void begin_followed_manifest(FollowedManifest& followed) const;

  const BucketOptions options_;
  MemoryAccount& account_;
  // What readers hold of values that are compressed: each has a copy, until the client has taken it. They are
  // nothing that eviction could free, so they have a budget of their own.
  MemoryAccount& inflated_account_;
  mutable std::atomic<uint64_t> inflated_refused_{0};
  // Null in a cache bucket. Before the vbuckets: theirs refer to it.
  const std::unique_ptr<SharedPersistence> persistence_;
  const std::unique_ptr<VBucket[]> vbuckets_;

  // The clock hand: whose turn is next. Each vbucket has a hand of its own inside.
  std::atomic<uint32_t> next_victim_{0};
  // The earliest of the vbuckets' moments, where they keep any. Written with the mutex, but for one step of
  // flush_now_due.
  std::atomic<uint32_t> flush_deadline_{kNoFlush};
  base::Mutex flush_mutex_;
  std::atomic<EvictionObserver*> observer_{nullptr};
  std::atomic<uint64_t> refused_{0};

  std::atomic<uint64_t> garbage_items_{0};
  base::Mutex garbage_mutex_;
  std::vector<HashTable> garbage_ GUARDED_BY(garbage_mutex_);
  uint32_t garbage_cursor_ GUARDED_BY(garbage_mutex_) = 0;

  std::atomic<uint64_t> manifest_generation_{1};
  mutable base::Mutex manifest_mutex_;
  std::shared_ptr<const Manifest> manifest_ GUARDED_BY(manifest_mutex_);

  std::atomic<bool> wake_on_expiry_{false};
  std::atomic<bool> compresses_{false};
  base::Mutex waker_mutex_;
  std::function<void()> waker_ GUARDED_BY(waker_mutex_);

  base::Mutex sweep_mutex_;
  uint32_t sweep_vbucket_ GUARDED_BY(sweep_mutex_) = 0;
  uint32_t sweep_cursor_ GUARDED_BY(sweep_mutex_) = 0;
  // The first vbucket that may have documents of dropped collections.
  uint32_t dropped_vbucket_ GUARDED_BY(sweep_mutex_) = UINT32_MAX;
};

}  // namespace bobbin::store
