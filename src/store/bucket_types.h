#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "store/document.h"

namespace bobbin::store {

inline constexpr uint32_t kDefaultMaxValueBytes = 1024 * 1024;
inline constexpr uint32_t kLargestMaxValueBytes = 20 * 1024 * 1024;
/// By how much a value with attributes may be longer: those of the system count for themselves.
inline constexpr uint32_t kAttributeAllowanceBytes = 1024 * 1024;
inline constexpr uint64_t kDefaultQuotaBytes = 64 * 1024 * 1024;

enum class BucketType : uint8_t {
  cache,       ///< memcached's semantics: evicts, and forgets
  persistent,  ///< every change goes to a log for the disk
};

/// What eviction takes from a persistent bucket; only what is on disk, in either case.
enum class EvictionPolicy : uint8_t {
  value,  ///< values: all keys stay in memory, a miss is known to be one
  full,   ///< documents: a key that is not in memory may be on disk
};

/// Whose change stays when a document was changed at two places.
enum class ConflictResolution : uint8_t {
  revision,  ///< whose document was changed more often
  time,      ///< whose CAS is higher
};

struct BucketOptions {
  BucketType type = BucketType::cache;
  EvictionPolicy eviction = EvictionPolicy::value;
  ConflictResolution conflicts = ConflictResolution::revision;
  /// Flushers of a persistent bucket: vbucket v belongs to number v modulo this.
  uint32_t flush_shards = 1;
  /// What other readers of a vbucket's changes than its flusher may pin before the slowest is dropped; those
  /// of all vbuckets together an eighth of the quota.
  uint64_t cursor_lag_bytes = 8 * 1024 * 1024;
  /// Documents, drafts, tables and what flushes cut off, together.
  uint64_t quota_bytes = kDefaultQuotaBytes;
  /// Longest value, at most kLargestMaxValueBytes.
  uint32_t max_value_bytes = kDefaultMaxValueBytes;
  /// A power of two, 1 to 1024.
  uint32_t vbuckets = 1024;
  /// False answers `no_memory` where true evicts (memcached -M).
  bool evict = true;
  /// Random per process, so that nobody can choose keys that collide.
  uint64_t hash_seed = 0;
};

enum class DraftError : uint8_t { too_large, no_memory };

/// `set` and `replace` with a `cas_compare` behave as `cas`; `add` ignores it. `cas` without one never
/// matches.
enum class StoreMode : uint8_t { set, add, replace, append, prepend, cas };

/// Writes over parts of a value that depend on what its change becomes. Called with the vbucket's lock held.
struct Stamp {
  void (*write)(const void* context, std::span<char> value, uint64_t cas, uint64_t seqno) noexcept = nullptr;
  const void* context = nullptr;
};

struct StoreOptions {
  /// The document must have this CAS. None has 0.
  std::optional<uint64_t> cas_compare = std::nullopt;
  /// The CAS the document gets instead of the clock's (meta E).
  std::optional<uint64_t> explicit_cas = std::nullopt;
  /// With `cas_compare` lower than the document's CAS: store, keep the old expiry, mark stale (meta I).
  bool invalidate_if_older = false;
  /// The draft is all that the document becomes. Otherwise it keeps the attributes that it has.
  bool whole = false;
  /// Of set, add, replace and cas, with `whole`.
  Stamp stamp = {};
  /// Of add and cas: a deleted document is in the way, or is compared with, as one that is there. In a cache
  /// only those count that have attributes.
  bool finds_deleted = false;
  /// With `whole`: what is published is a tombstone, whose value are its attributes. Without any, whatever is
  /// there is removed as remove() does; that is for cas only.
  bool as_tombstone = false;
  /// A document that is there keeps its expiry.
  bool keep_expiry = false;
  /// append and prepend on a miss store the draft with this absolute expiry (meta N).
  std::optional<uint32_t> vivify_expiry = std::nullopt;
};

/// A change as it was made elsewhere. That of a document's flags and expiry are its draft's, and so are the
/// attributes of a tombstone that has some.
struct ForeignChange {
  /// Neither 0 nor kLockedCas.
  uint64_t cas = 0;
  /// 48 bits, not 0.
  uint64_t revision = 1;
  /// Of a deletion. `expiry` is when it was made.
  uint32_t flags = 0;
  uint32_t expiry = 0;
  /// With a draft: that of a tombstone.
  bool as_tombstone = false;
  /// The document's time had come: a deletion's.
  bool expired = false;
  /// Only where no document is.
  bool add = false;
  /// Only if it wins over what is there, by the bucket's rule; otherwise the answer is `exists`. Deleted
  /// documents count, in a cache only those that have attributes.
  bool resolve = true;
  /// The document gets a CAS of this bucket's clock.
  bool new_cas = false;
  /// The document must have this CAS.
  std::optional<uint64_t> cas_compare = std::nullopt;
};

/// `would_block`, here and below, is an answer of persistent buckets: it takes something that is only on
/// disk. Nothing was changed. After a Bucket::load of the key the whole operation is to be run again.
/// `locked`: somebody has the document locked (Bucket::lock), and this was not asked for with the lock's CAS.
/// `unknown_collection`: the key's is not, or no longer, one of the bucket's; nothing was changed.
enum class StoreStatus : uint8_t {
  stored,
  not_stored,
  exists,
  not_found,
  too_large,
  no_memory,
  would_block,
  locked,
  unknown_collection
};

struct StoreResult {
  StoreStatus status = StoreStatus::not_stored;
  /// Of the published document; 0 unless stored.
  uint64_t cas = 0;
  uint64_t seqno = 0;
  /// Of the published document.
  uint64_t revision = 0;
  /// Length of the published value, without attributes that were there.
  uint32_t value_len = 0;
  /// The published document's expiry.
  uint32_t expiry = 0;
  /// That of the document in whose place a read-modify-write came; 0 where there was none.
  uint32_t expiry_before = 0;
  /// Length of the attributes that were there and have been kept.
  uint32_t kept_len = 0;
  /// Seen within this folder only: nothing was done, because there are attributes to be kept.
  bool has_attributes = false;
  [[nodiscard]] bool ok() const noexcept { return status == StoreStatus::stored; }
};

enum class Direction : uint8_t { increment, decrement };

struct ArithmeticOptions {
  Direction direction = Direction::increment;
  uint64_t delta = 1;
  /// A miss creates the document with this number and `initial_expiry` (absolute); none answers `not_found`.
  std::optional<uint64_t> initial = std::nullopt;
  uint32_t initial_expiry = 0;
  /// The document must have this CAS.
  std::optional<uint64_t> cas_compare = std::nullopt;
  std::optional<uint64_t> explicit_cas = std::nullopt;
  /// New absolute expiry of an existing document; none keeps the old one.
  std::optional<uint32_t> expiry = std::nullopt;
};

enum class ArithmeticStatus : uint8_t {
  stored,
  created,
  not_found,
  exists,
  not_a_number,
  no_memory,
  would_block,
  locked,
  unknown_collection
};

struct ArithmeticResult {
  ArithmeticStatus status = ArithmeticStatus::not_found;
  uint64_t value = 0;
  uint64_t cas = 0;
  uint64_t seqno = 0;
  uint32_t expiry = 0;
  /// What it was before this command; 0 for a document that was created.
  uint32_t expiry_before = 0;
  /// Of the published value with its attributes.
  uint32_t value_len = 0;
};

struct RemoveOptions {
  /// The document must have this CAS.
  std::optional<uint64_t> cas_compare = std::nullopt;
  /// Of the document that `mark_stale` or `drop_value` leaves behind.
  std::optional<uint64_t> explicit_cas = std::nullopt;
  /// Keep the document, mark it stale, give it a new CAS, let the next fetch win (meta I).
  bool mark_stale = false;
  /// Keep the document, but empty its value and clear its flags (meta x).
  bool drop_value = false;
  /// With either of these: the new absolute expiry.
  std::optional<uint32_t> expiry = std::nullopt;
  /// With none of these: no attributes stay, and what is deleted can be removed once more. Otherwise the
  /// attributes of the system stay in a tombstone.
  bool drop_attributes = false;
};

enum class RemoveStatus : uint8_t {
  removed,
  not_found,
  exists,
  no_memory,
  would_block,
  locked,
  unknown_collection
};

struct RemoveResult {
  RemoveStatus status = RemoveStatus::not_found;
  /// Of the document left behind, or of the removal. A removal from a cache takes none: then it is that of
  /// the vbucket's last change.
  uint64_t cas = 0;
  /// Of the document left behind, or of the removal.
  uint64_t seqno = 0;
  /// Of the document left behind, or of the removal; 0 where that is unknown.
  uint64_t revision = 0;
  /// Length of the value that was removed or marked.
  uint32_t value_len = 0;
  /// Length of the attributes of the system that have stayed, in a tombstone.
  uint32_t left_len = 0;
  bool left_tombstone = false;
};

enum class TouchStatus : uint8_t { touched, not_found, no_memory, would_block, locked, unknown_collection };

struct TouchResult {
  TouchStatus status = TouchStatus::not_found;
  /// Of the document with this expiry, in a persistent bucket; 0 in a cache.
  uint64_t seqno = 0;
  [[nodiscard]] bool ok() const noexcept { return status == TouchStatus::touched; }
};

struct FetchOptions {
  /// New absolute expiry (gat, meta T).
  std::optional<uint32_t> touch = std::nullopt;
  /// On a miss, create an empty document with this absolute expiry; the caller has won (meta N).
  std::optional<uint32_t> vivify_expiry = std::nullopt;
  /// When less than this many seconds are left, the first caller wins (meta R).
  std::optional<uint32_t> recache_s = std::nullopt;
  /// Whether `recache_s` is judged by the expiry before `touch` (meta flags are worked off in their order).
  bool recache_before_touch = false;
  /// The caller's protocol knows nothing of refilling: the right to do so stays for somebody who does.
  bool cannot_win = false;
  /// Does not count as an access: neither last access nor the fetched mark nor the frequency change.
  bool no_bump = false;
  /// The CAS of a vivified document (meta E).
  std::optional<uint64_t> explicit_cas = std::nullopt;
  /// A deleted document is found, too; in a cache only one with attributes. Not with `touch` and
  /// `vivify_expiry`.
  bool finds_deleted = false;
  /// False: a document that is not resident will do. (`touch` with a new expiry needs the value all the
  /// same.)
  bool needs_value = true;
  /// True: a value that is kept compressed is given as it lies, its bit in the datatype. Otherwise the
  /// document is a copy with the value itself, if that is needed.
  bool takes_compressed = false;
};

/// See Bucket::set_compresses. Snappy takes less than a millisecond for as much.
inline constexpr uint32_t kLargestCompressedBytes = 256 * 1024;

/// What readers see in the place of the CAS of a document that is locked: only who locked it knows that.
inline constexpr uint64_t kLockedCas = UINT64_MAX;

/// A document as a fetch found it. Times are those *before* the fetch changed them, except `expiry`.
struct Fetched {
  /// Empty: a miss.
  DocumentRef doc;
  /// What a change has to be compared with: the document's, or that of its last lock.
  uint64_t cas = 0;
  /// After `touch`; 0 never. Absolute. Of a tombstone: when it was made.
  uint32_t expiry = 0;
  uint32_t expiry_before = 0;
  uint32_t last_access = 0;
  bool fetched_before = false;
  bool stale = false;
  /// This caller shall refill the document (meta W).
  bool won = false;
  /// Another caller was told so before (meta Z).
  bool already_won = false;
  /// Created by this fetch.
  bool vivified = false;
  /// The key was to be vivified, or the value inflated, and there was no memory for it.
  bool no_memory = false;
  /// So it is because of copies of inflated values that clients have not taken yet.
  bool crowded = false;
  /// The document had expired and was removed by this fetch.
  bool expired = false;
  /// No miss: see StoreStatus.
  bool would_block = false;
  bool unknown_collection = false;
  /// This fetch has published `doc`: vivified it, or touched it in a persistent bucket.
  bool published = false;
  /// Somebody has it locked. Without `doc`: it was to be changed.
  bool locked = false;
  /// Its value is compressed and cannot be inflated: no miss, and no `doc`.
  bool damaged = false;
  /// `doc` is a tombstone, or tells of a removal: it has metadata and no value.
  bool deleted = false;

  /// What a reader may see of it.
  [[nodiscard]] uint64_t shown_cas() const noexcept { return locked ? kLockedCas : cas; }
  explicit operator bool() const noexcept { return static_cast<bool>(doc); }
};

enum class LockStatus : uint8_t {
  locked,    ///< by this call
  unlocked,  ///< by this call
  not_found,
  refused,  ///< it is locked already, or with another CAS
  not_locked,
  no_memory,  ///< too many are locked
  would_block,
  unknown_collection
};

struct LockResult {
  LockStatus status = LockStatus::not_found;
  /// The document that was locked, with the lock's CAS.
  Fetched found;
};

/// A document seen without touching it; it need not be resident.
struct Peeked {
  DocumentRef doc;
  uint32_t expiry = 0;
  uint32_t last_access = 0;
  bool fetched = false;
  bool stale = false;
  bool token_sent = false;
  uint64_t cas = 0;  ///< as Fetched::shown_cas()
  uint8_t frequency = 0;
  /// `doc` is empty: see StoreStatus.
  bool would_block = false;
};

/// What an eviction knew of its victim.
struct EvictionFacts {
  bool fetched = false;
  uint32_t expiry = 0;
  uint32_t last_access = 0;
};

/// A vbucket as statistics describe it.
struct VBucketFacts {
  uint64_t items = 0;
  uint64_t item_bytes = 0;
  uint64_t table_bytes = 0;
  uint64_t table_buckets = 0;
  uint64_t high_seqno = 0;
  uint64_t max_cas = 0;
  // Of persistent buckets.
  uint64_t persisted_seqno = 0;
  uint64_t dirty_items = 0;
  uint64_t non_resident_items = 0;
};

/// Told of evictions. Called on any thread, with no lock held; must not block.
class EvictionObserver {
 public:
  virtual ~EvictionObserver() = default;
  virtual void on_evicted(const Document& document, const EvictionFacts& facts) noexcept = 0;
};

/// Counters of a bucket. Things that exist first, events since the start or the last reset after them.
struct Statistics {
  uint64_t items = 0;
  /// Live documents: header, key and value.
  uint64_t item_bytes = 0;
  uint64_t table_bytes = 0;
  /// Everything that is charged: documents, drafts, tables, garbage, documents only held by sockets.
  uint64_t used_bytes = 0;
  uint64_t quota_bytes = 0;
  /// Copies of compressed values that clients have not taken yet: beside used_bytes, at most an eighth of the
  /// quota, or one. And reads that were refused for it.
  uint64_t inflated_bytes = 0;
  uint64_t inflated_refused = 0;
  uint64_t items_with_expiry = 0;
  /// Documents cut off by flushes and not yet freed.
  uint64_t garbage_items = 0;

  // Of persistent buckets.
  /// Changes that are not on disk, and the bytes of these and their documents.
  uint64_t dirty_items = 0;
  uint64_t dirty_bytes = 0;
  /// The change logs, with what they pin.
  uint64_t log_bytes = 0;
  /// Of `items`: in memory without their value, and not in memory at all.
  uint64_t non_resident_items = 0;
  uint64_t items_on_disk_only = 0;
  /// Keys that are known not to exist; not in `items`.
  uint64_t placeholders = 0;
  uint64_t warming_vbuckets = 0;
  uint64_t high_seqno_sum = 0;
  uint64_t persisted_seqno_sum = 0;

  /// Documents stored. What incr, decr and the marks of meta delete make of one is still the same.
  uint64_t total_items = 0;
  uint64_t evictions = 0;
  uint64_t evicted_unfetched = 0;
  /// Evicted although they had an expiry in the future.
  uint64_t evicted_with_expiry = 0;
  /// Expired documents removed, by whomever.
  uint64_t expired = 0;
  uint64_t expired_unfetched = 0;
  /// Expired documents removed because an eviction or a store found them.
  uint64_t reclaimed = 0;
  /// Drafts and read-modify-writes refused for lack of memory.
  uint64_t no_memory = 0;
  /// Operations that were told to wait for the disk.
  uint64_t would_block = 0;
  /// Readers of changes that were dropped because they lagged.
  uint64_t lost_cursors = 0;
};

/// Of one collection.
struct CollectionStatistics {
  uint64_t items = 0;
  /// Of documents in memory: header, key and value.
  uint64_t bytes = 0;
  /// The highest seqno of a change; where it is of many vbuckets, the highest of all.
  uint64_t high_seqno = 0;
};

/// One 32-byte class of `stats sizes`: documents of (upper_bytes - 32, upper_bytes], header included.
struct SizeCount {
  uint32_t upper_bytes = 0;
  uint64_t items = 0;
};

/// One size class of the allocator, for `stats items` and `stats slabs`.
struct SizeClass {
  uint32_t chunk_bytes = 0;
  uint64_t items = 0;
  uint64_t requested_bytes = 0;
  /// Of the document that was accessed longest ago.
  uint32_t oldest_access_s = 0;
};

/// Ascending by size; only classes that hold documents.
struct Census {
  std::vector<SizeCount> sizes;
  std::vector<SizeClass> classes;
};

/// What there is for the sweeper to do.
struct SweepWork {
  /// What flushes have cut off, or documents of collections that were dropped.
  bool garbage = false;
  uint64_t items_with_expiry = 0;
  /// 0 when no flush is pending.
  uint32_t flush_deadline_s = 0;
};

struct SweepPass {
  uint32_t examined = 0;
  uint32_t expired = 0;
  /// The walk has come round.
  bool finished = false;
};

/// How much one round of the sweeper is.
struct SweepLoad {
  uint64_t items_with_expiry = 0;
  /// All documents of the vbuckets that hold these.
  uint64_t items_to_examine = 0;
};

}  // namespace bobbin::store
