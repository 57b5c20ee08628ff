// A vbucket that follows another server's: it makes no change of its own, and takes the source's as they are.

#include <algorithm>
#include <utility>

#include "store/collection_event.h"
#include "store/expiry.h"
#include "store/vbucket.h"
#include "store/vbucket_collections.h"
#include "store/vbucket_persist.h"

namespace bobbin::store {

namespace {

constexpr uint64_t kMaxSeqno = (uint64_t{1} << 48) - 1;

// Of what nobody knows when it was deleted, it is told as of now.
uint32_t moment_of(const ReplicaChange& change, base::Now now) noexcept {
  return change.deleted_s != 0 ? change.deleted_s : now.unix_s();
}

}  // namespace

void VBucket::follow(base::Now now) {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  PersistentState& mine = *persistent_;
  if (mine.follows) return;
  mine.follows = true;
  mine.shared.following.fetch_add(1, std::memory_order_relaxed);
  mine.reserved_seqno = 0;
  mine.snapshot = {seqno_, seqno_, false};
  mine.flush_at_s = 0;
  mine.note_flush_moment_saved();
  // What it has was made here: only who has it, too, may go on from it.
  if (mine.failover.empty()) mine.failover = {{mine.shared.new_uuid(now), seqno_}};
  mark_dirty(after);
}

bool VBucket::stop_following(base::Now now) {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  PersistentState& mine = *persistent_;
  if (!mine.follows) return false;
  mine.follows = false;
  mine.shared.following.fetch_sub(1, std::memory_order_relaxed);
  // The state that reserves some has the new branch, too: before it is on disk there is nothing to give out.
  mine.reserved_seqno = seqno_;
  mine.snapshot = {};
  mine.begin_branch(seqno_, now);
  mark_dirty(after);
  return true;
}

bool VBucket::follows() const noexcept {
  const base::MutexLock lock(mutex_);
  return persistent_ != nullptr && persistent_->follows;
}

uint32_t VBucket::generation() const noexcept {
  const base::MutexLock lock(mutex_);
  return persistent_ == nullptr ? 0 : persistent_->generation;
}

void VBucket::set_role(VBucketRole role) noexcept {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  if (std::exchange(persistent_->role, role) != role) mark_dirty(after);
}

VBucketRole VBucket::role() const noexcept {
  const base::MutexLock lock(mutex_);
  return persistent_->role;
}

ReplicaFacts VBucket::replica_facts() const {
  const base::MutexLock lock(mutex_);
  const PersistentState& mine = *persistent_;
  return {mine.follows, seqno_, mine.persisted_seqno, mine.snapshot, mine.failover};
}

ReplicaStatus VBucket::begin_snapshot(const ReplicaSnapshot& snapshot) noexcept {
  const base::MutexLock lock(mutex_);
  PersistentState& mine = *persistent_;
  if (!mine.follows || mine.refuses) return ReplicaStatus::not_following;
  if (snapshot.start > snapshot.end || snapshot.end < seqno_ || snapshot.end > kMaxSeqno)
    return ReplicaStatus::out_of_order;
  // Its start is the last state that was whole: of one that was interrupted, what it began with.
  const bool was_whole = seqno_ >= mine.snapshot.end;
  mine.snapshot = {was_whole ? seqno_ : mine.snapshot.start, snapshot.end, snapshot.from_disk};
  return ReplicaStatus::applied;
}

ReplicaStatus VBucket::adopt_failover(std::span<const FailoverEntry> failover) {
  const bool has_none = std::any_of(failover.begin(), failover.end(),
                                    [](const FailoverEntry& entry) { return entry.uuid == 0; });
  if (failover.empty() || has_none) return ReplicaStatus::invalid;
  std::vector<FailoverEntry> taken(
      failover.begin(),
      failover.begin() + static_cast<std::ptrdiff_t>(std::min(failover.size(), kFailoverEntries)));
  Aftermath after;
  const base::MutexLock lock(mutex_);
  PersistentState& mine = *persistent_;
  if (!mine.follows || mine.refuses) return ReplicaStatus::not_following;
  if (mine.failover == taken) return ReplicaStatus::applied;
  mine.failover.swap(taken);
  mark_dirty(after);
  return ReplicaStatus::applied;
}

ReplicaStatus VBucket::refusal_of(uint64_t seqno) const noexcept {
  const PersistentState& mine = *persistent_;
  if (!mine.follows || mine.refuses) return ReplicaStatus::not_following;
  if (seqno <= seqno_ || seqno > mine.snapshot.end) return ReplicaStatus::out_of_order;
  return ReplicaStatus::applied;
}

ReplicaStatus VBucket::link_replica(Draft& draft, uint64_t hash, const ReplicaChange& change, base::Now now,
                                    Aftermath& after) noexcept {
  PersistentState& mine = *persistent_;
  Document& document = *draft.document_;
  const HashTable::Slot old = table_.find(document.doc_key(), HashTable::tag_of(hash));
  const uint64_t before = std::exchange(seqno_, change.seqno - 1);
  mine.reserved_seqno = change.seqno;
  const bool linked = link(draft, hash, old, {change.cas, change.revision}, now, after);
  mine.reserved_seqno = 0;
  if (!linked) {
    seqno_ = before;
    return ReplicaStatus::no_memory;
  }
  if (document.is_tombstone()) mine.note_removal(change.revision, change.cas);
  return ReplicaStatus::applied;
}

ReplicaStatus VBucket::apply(Draft& draft, uint64_t hash, const ReplicaChange& change,
                             base::Now now) noexcept {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  const ReplicaStatus refusal = refusal_of(change.seqno);
  if (refusal != ReplicaStatus::applied) return refusal;
  if (is_dropped(*draft.document_)) return ReplicaStatus::unknown_collection;
  const ReplicaStatus status = link_replica(draft, hash, change, now, after);
  if (status == ReplicaStatus::applied) ++events_.total_items;
  return status;
}

ReplicaStatus VBucket::apply_tombstone(Draft& draft, uint64_t hash, const ReplicaChange& change,
                                       base::Now now) noexcept {
  Aftermath after;
  Document& document = *draft.document_;
  const base::MutexLock lock(mutex_);
  const ReplicaStatus refusal = refusal_of(change.seqno);
  if (refusal != ReplicaStatus::applied) return refusal;
  if (is_dropped(document)) return ReplicaStatus::unknown_collection;
  document.revision_and_account_ |= Document::kDeleted;
  const ReplicaStatus status = link_replica(draft, hash, change, now, after);
  if (status != ReplicaStatus::applied) {
    document.revision_and_account_ &= ~Document::kDeleted;
    return status;
  }
  document.expiry_ = tombstone_end(moment_of(change, now));
  if (change.expired) {
    persistent_->log.turn_into_expiration(change.seqno);
    ++events_.expired;
  }
  return status;
}

ReplicaStatus VBucket::apply_removal(DocKey key, uint64_t hash, const ReplicaChange& change,
                                     base::Now now) noexcept {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  const ReplicaStatus refusal = refusal_of(change.seqno);
  if (refusal != ReplicaStatus::applied) return refusal;
  if (!knows(key.collection())) return ReplicaStatus::unknown_collection;
  PersistentState& mine = *persistent_;
  if (!mine.log.reserve()) return ReplicaStatus::no_memory;
  const End end{.kind = change.expired ? ChangeKind::expiration : ChangeKind::deletion,
                .keep_attributes = false,
                .explicit_cas = change.cas,
                .revision = change.revision,
                .time_s = moment_of(change, now)};
  const HashTable::Slot slot = table_.find(key, HashTable::tag_of(hash));
  if (!slot) {
    const bool buried = bury_unknown(key, hash, end, change.seqno, now, after);
    return buried ? ReplicaStatus::applied : ReplicaStatus::no_memory;
  }
  const uint64_t before = std::exchange(seqno_, change.seqno - 1);
  mine.reserved_seqno = change.seqno;
  const bool buried = bury_at(slot, end, now, after);
  mine.reserved_seqno = 0;
  if (buried) return ReplicaStatus::applied;
  seqno_ = before;
  return ReplicaStatus::no_memory;
}

ReplicaStatus VBucket::advance_seqno(uint64_t seqno) noexcept {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  const ReplicaStatus refusal = refusal_of(seqno);
  if (refusal != ReplicaStatus::applied) return refusal;
  seqno_ = seqno;
  mark_dirty(after);
  if (std::exchange(persistent_->news_wanted, false)) after.tell_news(persistent_.get());
  return ReplicaStatus::applied;
}

ReplicaStatus VBucket::admits_event(uint64_t seqno) const noexcept {
  const base::MutexLock lock(mutex_);
  return refusal_of(seqno);
}

ReplicaStatus VBucket::apply_event(const CollectionEvent& event, DocumentRef document,
                                   const std::shared_ptr<const CollectionTable>& table, uint64_t seqno,
                                   bool& has_dropped) {
  auto fresh = std::make_unique<VBucketCollections>();
  Aftermath after;
  const base::MutexLock lock(mutex_);
  const ReplicaStatus refusal = refusal_of(seqno);
  if (refusal != ReplicaStatus::applied) return refusal;
  PersistentState& mine = *persistent_;
  if (!mine.log.reserve()) return ReplicaStatus::no_memory;
  if (collections_ == nullptr) collections_ = std::move(fresh);
  collections_->table = table;
  if (const auto gone = collections_->take_event(event, seqno)) {
    take_off_counts(*gone);
    mine.dropped_seqno = std::max(mine.dropped_seqno, seqno);
    begin_sweep_of_dropped();
    has_dropped = true;
  }
  seqno_ = seqno;
  append_change(ChangeKind::event, document.release(), seqno, cas_clock_, 0, after);
  return ReplicaStatus::applied;
}

std::optional<VBucket::CutOff> VBucket::clear(base::Now now) noexcept {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  PersistentState& mine = *persistent_;
  if (mine.refuses) return std::nullopt;
  mine.remove_dirty(mine.log.open_items(), mine.log.open_bytes());
  CutOff taken{take_table(), mine.log.start_over()};
  seqno_ = 0;
  mine.persisted_seqno = 0;
  mine.flush_seqno = 0;
  mine.dropped_seqno = 0;
  mine.unlinked.start_over();
  mine.removals.forget_all();
  mine.highest_removal = {};
  mine.highest_revision = {};
  mine.flush_at_s = 0;
  mine.note_flush_moment_saved();
  mine.may_have_attributes = false;
  mine.on_disk_only = 0;
  mine.absent = 0;
  mine.non_resident = 0;
  // Whatever the disk still has is nothing any more.
  mine.knows_all_keys = true;
  mine.warming = false;
  mine.snapshot = {};
  mine.failover = {{mine.shared.new_uuid(now), 0}};
  ++mine.generation;
  if (!std::exchange(mine.clear_unsaved, true))
    mine.shared.unsaved_clears.fetch_add(1, std::memory_order_acq_rel);
  mark_dirty(after);
  // Readers learn that they have lost their place.
  mine.news_wanted = false;
  after.tell_news(persistent_.get());
  if (collections_ == nullptr) return taken;
  if (!mine.follows) {
    for (CollectionCount& count : collections_->counts)
      count.high_seqno = 0;
    announce_again(now, after);
    return taken;
  }
  collections_->counts.clear();
  collections_->scopes.clear();
  return taken;
}

}  // namespace bobbin::store
