#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/change_log.h"
#include "store/document.h"
#include "store/manifest.h"
#include "store/removals.h"

namespace bobbin::store {

/// A branch of a vbucket's history: what it has after `seqno` was made under this uuid.
struct FailoverEntry {
  uint64_t uuid = 0;
  uint64_t seqno = 0;
  friend bool operator==(const FailoverEntry&, const FailoverEntry&) = default;
};

/// What a vbucket is for the clients of Couchbase's protocol (kv_engine docs/BinaryProtocol.md, SET_VBUCKET).
/// The store only keeps it.
enum class VBucketRole : uint8_t { deleted = 0, active = 1, replica = 2, pending = 3, dead = 4 };

/// What a source has announced: the changes behind `start`, up to `end`, are one consistent piece of its
/// history, and a vbucket that has only some of them is in none of its states.
struct ReplicaSnapshot {
  uint64_t start = 0;
  uint64_t end = 0;
  /// Read from the source's disk, where nothing is left of what was changed again.
  bool from_disk = false;
  friend bool operator==(const ReplicaSnapshot&, const ReplicaSnapshot&) = default;
};

/// What decides whether a reader of changes may go on where it is.
struct StreamFacts {
  uint64_t high_seqno = 0;
  uint64_t persisted_seqno = 0;
  /// Of the last flush: who has seen less, and not nothing, has what is no longer there.
  uint64_t flush_seqno = 0;
  /// The newest first, one at least.
  std::vector<FailoverEntry> failover;
  /// When it is another, the vbucket was cleared: nothing that was read of it before counts.
  uint32_t generation = 0;
};

/// A reader's way into the changes of a vbucket: see Bucket::attach_cursor.
struct AttachedCursor {
  /// Nothing: it is too far to where the log begins.
  std::optional<ChangeLog::CursorId> cursor;
  /// The cursor gives what comes after it.
  uint64_t from = 0;
  /// Up to here changes may be on disk only, or on their way there.
  uint64_t log_begin = 0;
  uint64_t high_seqno = 0;
  /// As StreamFacts's.
  uint32_t generation = 0;
};

/// What has to survive of a scope or collection that a vbucket has announced. `created_seqno`: of the event
/// that did; 0: it is still to come. The names are there so that a manifest can be made of these.
struct ScopeState {
  ScopeId id = kDefaultScope;
  uint64_t created_seqno = 0;
  std::string name = {};
  friend bool operator==(const ScopeState&, const ScopeState&) = default;
};
struct CollectionState {
  CollectionId id = kDefaultCollection;
  ScopeId scope = kDefaultScope;
  std::optional<uint32_t> max_ttl_s = std::nullopt;
  uint64_t created_seqno = 0;
  /// Of its last change.
  uint64_t high_seqno = 0;
  /// Live documents, in memory and on disk.
  uint64_t items = 0;
  std::string name = {};
  friend bool operator==(const CollectionState&, const CollectionState&) = default;
};

/// Everything of a vbucket that has to survive beside its documents.
struct VBucketState {
  uint64_t high_seqno = 0;
  uint64_t max_cas = 0;
  /// What may be given out before another state is on disk. Where an unclean end comes in between, the
  /// vbucket goes on behind these.
  uint64_t reserved_seqno = 0;
  uint64_t reserved_cas = 0;
  /// Of the last flush: records up to here are dead, whether they are still on disk or not.
  uint64_t flush_seqno = 0;
  /// When the vbucket is to be flushed, in Unix seconds; 0: that is not wanted.
  uint32_t flush_at_s = 0;
  /// Some document has or had attributes.
  bool may_have_attributes = false;
  /// When it was so, or later: everything up to `high_seqno` had been changed by then.
  uint64_t as_of_ns = 0;
  /// Live documents, in memory and on disk, at `high_seqno`.
  uint64_t items = 0;
  /// It takes changes from another server's vbucket only: see replica.h. It reserves nothing.
  bool follows = false;
  /// Of one that follows.
  ReplicaSnapshot snapshot = {};
  VBucketRole role = VBucketRole::active;
  HighestRemoval removals = {};
  HighestRevision revisions = {};
  /// The newest first.
  std::vector<FailoverEntry> failover;
  // In the order of their ids. What is to be written has those that have changed since the last state: the
  // others stay as they are on disk, but for those that an event has dropped. What is restored has all.
  std::vector<ScopeState> scopes;
  std::vector<CollectionState> collections;

  /// What the last state says when nothing can be given out any more: there is nothing to skip on the next
  /// start.
  void close() noexcept {
    reserved_seqno = high_seqno;
    reserved_cas = max_cas;
  }
};

/// What a flusher finds when it looks.
struct DirtyWork {
  std::vector<uint16_t> vbuckets;
  /// Somebody has no memory until what is dirty is on disk: do not linger.
  bool urgent = false;
};

/// All that one vbucket has for its flusher.
struct FlushBatch {
  uint16_t vbucket = 0;
  /// `changes.to` is the high seqno; there may be no changes and yet a state to write.
  TakenChanges changes;
  /// To be written with the changes, in one step. From its `items` subtract what is told to
  /// Bucket::persisted.
  VBucketState state;
  /// Whether anybody has to look for what is `prior_unknown`. False where the table has all keys again: then
  /// the items are exact as they are.
  bool counts_priors = false;
  /// The vbucket was cleared: everything that the disk has of it goes before these changes, in the same step.
  bool clears = false;
  uint32_t generation = 0;
};

/// For how many changes with `prior_unknown` the disk had a live document before.
struct PriorsFound {
  uint64_t all = 0;
  /// Of these, those of other collections than the default one.
  std::vector<std::pair<CollectionId, uint64_t>> of_collections;

  void add(CollectionId id) {
    ++all;
    if (id == kDefaultCollection) return;
    for (auto& [known, count] : of_collections) {
      if (known == id) {
        ++count;
        return;
      }
    }
    of_collections.emplace_back(id, 1);
  }
};

/// Taken before a read of the disk, and given to Bucket::load with its result: what has been evicted since
/// then may be newer than what was read.
struct LoadTicket {
  uint64_t persisted_seqno = 0;
  uint32_t generation = 0;
};

/// What a walk over all records of a vbucket has found.
struct SeenRevisions {
  /// Of documents and removals.
  uint64_t revision = 0;
  uint64_t removal_revision = 0;
  uint64_t removal_cas = 0;
  /// False: some could not be read. No document has a revision above these all the same.
  bool all = true;

  /// `cas_of_removal`: it is one.
  void take(uint64_t of_revision, std::optional<uint64_t> cas_of_removal) noexcept {
    revision = std::max(revision, of_revision);
    if (!cas_of_removal) return;
    removal_revision = std::max(removal_revision, of_revision);
    removal_cas = std::max(removal_cas, *cas_of_removal);
  }
};

/// A live document as it is on disk, or a tombstone: one without attributes has a value that is empty.
struct LoadedRecord {
  uint64_t seqno = 0;
  uint64_t cas = 0;
  uint64_t revision = 1;
  uint32_t flags = 0;
  uint32_t expiry = 0;
  uint8_t datatype = 0;
  bool stale = false;
  bool token_sent = false;
  /// What eviction makes of it: 0 to 3, see Document.
  uint8_t frequency = 0;
  /// A tombstone: `expiry` is when it was made.
  bool deleted = false;
  /// None: only the metadata are to be loaded (value eviction only).
  std::optional<std::string_view> value = std::nullopt;
  /// The value's length; counts only without `value`.
  uint32_t value_size = 0;
};

enum class LoadStatus : uint8_t {
  installed,   ///< as it was on disk
  present,     ///< the bucket has it, or something newer
  absent,      ///< the key does not exist
  read_again,  ///< what was read may be old: take a new ticket and read once more
  missing,     ///< the bucket has a document's metadata, and the disk has not its value: damage
  no_memory,
};

struct Loaded {
  LoadStatus status = LoadStatus::absent;
  /// Keeps what was found from being evicted; to be held until who waits for it has run again. It may be a
  /// placeholder, so it is not to be read.
  DocumentRef pin;
};

enum class LoadPurpose : uint8_t {
  fetch,   ///< somebody waits: makes room first
  warmup,  ///< never evicts for it
};

}  // namespace bobbin::store
