// What a vbucket of a persistent bucket does: writes its changes into the log and hands them to the flusher.

#include "store/vbucket_persist.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <utility>

#include "base/log.h"
#include "store/expiry.h"
#include "store/memory.h"
#include "store/vbucket_collections.h"

namespace bobbin::store {

namespace {

// Far more than a vbucket can change between two commits: at a million changes a second, a quarter of an
// hour.
constexpr uint64_t kReservedSeqnos = uint64_t{1} << 30;
constexpr uint64_t kReservedCasNs = uint64_t{60} * 1'000'000'000;

}  // namespace

void Aftermath::settle() noexcept {
  if (ring_ != nullptr) ring_->shared.dirty.ring(ring_->vbucket);
  if (news_ != nullptr) news_->shared.news.tell(static_cast<uint16_t>(news_->vbucket));
}

void VBucket::make_persistent(std::unique_ptr<PersistentState> state, base::Now now) {
  const base::MutexLock lock(mutex_);
  persistent_ = std::move(state);
  persistent_->failover = {{persistent_->shared.new_uuid(now), 0}};
}

void VBucket::restore(const VBucketState& state, base::Now now) {
  const base::MutexLock lock(mutex_);
  PersistentState& mine = *persistent_;
  assert(seqno_ == 0);
  // A copy gives nothing out, whatever a backup has reserved: it is where its source was.
  const bool unclean = !state.follows && state.reserved_seqno > state.high_seqno;
  seqno_ = unclean ? state.reserved_seqno : state.high_seqno;
  cas_clock_ = std::max(state.max_cas, state.reserved_cas);
  mine.persisted_seqno = seqno_;
  // Until the next state is on disk, nothing can be given out that another restart would not give out again.
  mine.reserved_seqno = state.follows ? 0 : seqno_;
  mine.follows = state.follows;
  if (mine.follows) mine.shared.following.fetch_add(1, std::memory_order_relaxed);
  mine.snapshot = state.snapshot;
  mine.role = state.role;
  mine.flush_seqno = state.flush_seqno;
  mine.dropped_seqno = seqno_;
  if (!state.collections.empty() || !state.scopes.empty()) {
    collections_ = std::make_unique<VBucketCollections>();
    collections_->restore(state);
  }
  mine.flush_at_s = state.flush_at_s;
  mine.may_have_attributes = state.may_have_attributes;
  mine.highest_removal = state.removals;
  mine.highest_revision = state.revisions;
  mine.highest_revision.take(state.removals.revision);  // an older program has kept that alone
  mine.on_disk_only = static_cast<int64_t>(state.items);
  mine.knows_all_keys = state.high_seqno == 0;
  mine.warming = !mine.knows_all_keys;
  mine.restored_seqno = state.high_seqno;
  mine.failover = state.failover;
  if (unclean || mine.failover.empty()) {
    mine.begin_branch(state.high_seqno, now);
  }
  if (mine.failover.size() > kFailoverEntries) mine.failover.resize(kFailoverEntries);
  mine.log.start_at(seqno_);
}

uint64_t VBucket::items() const noexcept {
  const uint64_t here = items_.load(std::memory_order_relaxed);
  if (persistent_ == nullptr || !persistent_->counts_disk()) return here;
  return here + static_cast<uint64_t>(std::max<int64_t>(persistent_->on_disk_only, 0));
}

VBucketState VBucket::state(base::Now now) const {
  VBucketState state;
  state.high_seqno = seqno_;
  state.max_cas = cas_clock_;
  state.reserved_seqno = seqno_ + kReservedSeqnos;
  // An explicit CAS may move the clock so far ahead before the next state is written.
  state.reserved_cas = std::max(cas_clock_, now.unix_ns + kMaxCasLeadNs) + kReservedCasNs;
  state.follows = persistent_->follows;
  state.snapshot = persistent_->snapshot;
  state.role = persistent_->role;
  state.removals = persistent_->highest_removal;
  state.revisions = persistent_->highest_revision;
  if (state.follows) state.close();
  state.flush_seqno = persistent_->flush_seqno;
  state.flush_at_s = persistent_->flush_at_s;
  state.may_have_attributes = persistent_->may_have_attributes;
  state.as_of_ns = now.unix_ns;
  state.items = items();
  state.failover = persistent_->failover;
  return state;
}

FlushBatch VBucket::take_log(base::Now now) {
  FlushBatch batch;
  Aftermath after;
  const base::MutexLock lock(mutex_);
  batch.vbucket = static_cast<uint16_t>(persistent_->vbucket);
  persistent_->marked = false;
  batch.changes = persistent_->log.take(ChangeLog::kPersistence, seqno_);
  if (batch.changes.no_memory) mark_dirty(after);
  batch.state = state(now);
  if (collections_ != nullptr && !batch.changes.no_memory) collections_->take_changed(batch.state);
  batch.counts_priors = persistent_->counts_disk();
  batch.clears = persistent_->clear_unsaved;
  batch.generation = persistent_->generation;
  return batch;
}

void VBucket::persisted(const FlushBatch& batch, const PriorsFound& priors) noexcept {
  const base::MutexLock lock(mutex_);
  PersistentState& mine = *persistent_;
  mine.remove_dirty(batch.changes.items, batch.changes.bytes);
  // What was taken before the vbucket was cleared says nothing of it.
  if (batch.changes.no_memory || batch.generation != mine.generation) return;
  if (batch.clears) mine.note_clear_saved();
  mine.persisted_seqno = std::max(mine.persisted_seqno, batch.changes.to);
  mine.removals.persisted(mine.persisted_seqno);
  // While it follows there is none, and what one that follows has not reserved is none.
  if (!mine.follows && !batch.state.follows) mine.reserved_seqno = batch.state.reserved_seqno;
  if (batch.state.flush_at_s == mine.flush_at_s) mine.note_flush_moment_saved();
  // A flush since then has set the count anew.
  if (!batch.counts_priors || batch.changes.to < mine.flush_seqno) return;
  uint64_t of_default = priors.all;
  for (const auto& [collection, found] : priors.of_collections) {
    of_default -= found;
    // One that was dropped since then has taken its count along.
    if (has_collection(collection)) count_on_disk_only(collection, -static_cast<int64_t>(found));
  }
  count_on_disk_only(kDefaultCollection, -static_cast<int64_t>(of_default));
}

bool VBucket::is_left_out_of_flushes() const noexcept {
  // Tombstones are no items, but they have a time.
  if (persistent_ == nullptr) return items_hint() == 0 && items_with_expiry_hint() == 0;
  const base::MutexLock lock(mutex_);
  return persistent_->refuses || persistent_->follows ||
         (persistent_->flush_seqno == seqno_ && table_.size() == 0);
}

void VBucket::refuse_changes() noexcept {
  const base::MutexLock lock(mutex_);
  persistent_->refuses = true;
  // It never will be, and nobody must wait for it.
  persistent_->note_flush_moment_saved();
  persistent_->note_clear_saved();
}

void VBucket::set_flush_moment(uint32_t unix_s) noexcept {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  PersistentState& mine = *persistent_;
  if (mine.refuses || mine.follows || mine.flush_at_s == unix_s) return;
  mine.flush_at_s = unix_s;
  if (!std::exchange(mine.flush_moment_unsaved, true)) {
    mine.shared.unsaved_flush_moments.fetch_add(1, std::memory_order_acq_rel);
  }
  mark_dirty(after);
}

uint32_t VBucket::flush_moment() const noexcept {
  const base::MutexLock lock(mutex_);
  return persistent_->refuses ? 0 : persistent_->flush_at_s;
}

std::optional<uint64_t> VBucket::seqno_on_disk(DocKey key, uint64_t hash) const noexcept {
  const base::MutexLock lock(mutex_);
  const HashTable::Slot slot = table_.find(key, HashTable::tag_of(hash));
  // A placeholder that no tombstone left behind has none.
  if (!slot || slot.document()->seqno() == 0) return std::nullopt;
  // What the key had on disk before it got dirty is not known.
  if (slot.document()->seqno() > persistent_->persisted_seqno) return std::nullopt;
  return slot.document()->seqno();
}

void VBucket::mark_dirty(Aftermath& after) noexcept {
  if (persistent_->marked) return;
  persistent_->marked = true;
  persistent_->shared.dirty.mark(persistent_->vbucket);
  after.ring(persistent_.get());
}

void VBucket::append_change(ChangeKind kind, Document* document, uint64_t seqno, uint64_t cas, uint8_t marks,
                            Aftermath& after) noexcept {
  persistent_->add_dirty(ChangeLog::bytes_of(document));
  persistent_->log.append(kind, document, seqno, cas, marks);
  mark_dirty(after);
  if (persistent_->news_wanted) [[unlikely]] {
    persistent_->news_wanted = false;
    after.tell_news(persistent_.get());
  }
}

bool VBucket::supersede(const Document& document, Aftermath& after) noexcept {
  ChangeLog::Superseded gone = persistent_->log.supersede(document.seqno_);
  if (!gone.unpersisted) {
    // Its bytes are counted until the flusher has it on disk; only another cursor will not see it.
    if (gone.doc) after.drop(std::move(gone.doc));
    return false;
  }
  persistent_->remove_dirty(1, gone.bytes);
  if (gone.doc) after.drop(std::move(gone.doc));
  return (gone.marks & ChangeLog::kPriorUnknown) != 0;
}

void VBucket::log_mutation(const Document& document, const Document* old, Aftermath& after) noexcept {
  const bool unknown = old != nullptr ? supersede(*old, after) : !persistent_->knows_all_keys;
  uint8_t marks = unknown ? ChangeLog::kPriorUnknown : 0;
  if ((document.state_ & Document::kStale) != 0) marks |= ChangeLog::kStale;
  if ((document.state_ & Document::kTokenSent) != 0) marks |= ChangeLog::kTokenSent;
  auto& published = const_cast<Document&>(document);
  published.reference();
  const ChangeKind kind = document.is_tombstone() ? ChangeKind::deletion : ChangeKind::mutation;
  append_change(kind, &published, document.seqno_, document.cas_, marks, after);
}

void VBucket::remember_token(const Document& document) noexcept {
  persistent_->log.mark(document.seqno_, ChangeLog::kTokenSent);
}

Document* VBucket::bury(Document* document, const End& end, base::Now now, Aftermath& after) noexcept {
  PersistentState& mine = *persistent_;
  if (!mine.admits(seqno_)) return document;
  const auto tombstone = end.keep_attributes ? tombstone_of(*document) : nullptr;
  if (!tombstone) return document;
  Document* left = *tombstone;
  const bool stays = left != nullptr || mine.leaves_placeholders();
  if (!stays && !mine.removals.reserve(mine.persisted_seqno)) return document;
  // The log must not show the attributes of a tombstone that goes itself, and counts on from a document's
  // revision.
  const bool logs_document = left == nullptr && !document->is_tombstone() && !end.revision;
  if (left == nullptr && (stays || !logs_document)) {
    left = Document::create(mine.shared.account, document->doc_key(), 0, Document::kAbsent);
    if (left == nullptr) return document;
  }
  if (end.kind == ChangeKind::expiration) {
    count_expired(*document);
  } else {
    count_unlinked(*document);
  }
  const bool unknown = supersede(*document, after);
  const uint64_t cas = next_cas(end.explicit_cas, now);
  ++seqno_;
  if (left != nullptr) {
    date_end(*left, *document, cas, now);
    if (end.revision) left->set_revision(*end.revision);
    left->expiry_ = tombstone_end(moment_of_end(end, now));
    mine.may_have_attributes |= left->has_attributes();
    if (stays) count_linked(*left);
  }
  if (document->collection() != kDefaultCollection) note_change_of(document->collection());
  const uint64_t revision = left != nullptr ? left->revision() : document->next_revision();
  mine.note_removal(revision, cas);
  if (!stays) {
    mine.removals.note(document->doc_key(), {seqno_, cas, revision, moment_of_end(end, now)});
    mine.note_unlinked(document->doc_key(), seqno_);
  }
  const uint8_t marks = unknown ? ChangeLog::kPriorUnknown : 0;
  if (logs_document) {
    // For the log, which shows it as when the document went.
    document->last_access_ = now.unix_s();
    append_change(end.kind, document, seqno_, cas, marks, after);
  } else {
    if (stays) left->reference();
    append_change(end.kind, left, seqno_, cas, marks, after);
    after.drop(DocumentRef(document));
  }
  return stays ? left : nullptr;
}

bool VBucket::bury_at(HashTable::Slot slot, const End& end, base::Now now, Aftermath& after) noexcept {
  Document* const stays = bury(slot.document(), end, now, after);
  if (stays == slot.document()) return false;
  // The table's reference to the document is the log's now.
  (void)(stays != nullptr ? HashTable::replace(slot, stays) : table_.erase(slot));
  return true;
}

ChangeChunks VBucket::log_flush(base::Now now, Aftermath& after) noexcept {
  PersistentState& mine = *persistent_;
  mine.remove_dirty(mine.log.open_items(), mine.log.open_bytes());
  ChangeChunks superseded = mine.log.drop_all();
  if (!mine.log.reserve()) {
    base::log(base::LogLevel::error, "no memory for a kilobyte of change log");
    std::abort();
  }
  const uint64_t cas = next_cas(std::nullopt, now);
  mine.flush_seqno = ++seqno_;
  // The state that is written with the flush says so.
  mine.flush_at_s = 0;
  mine.may_have_attributes = false;
  mine.removals.forget_all();
  // What was removed before counts no more, but for revisions, which go on: a flush is the end of all.
  // Where they were not learnt yet, what was given out here is not above the number of changes.
  if (!mine.highest_revision.complete) mine.highest_revision.take(seqno_);
  mine.highest_revision.complete = true;
  mine.highest_removal = {mine.highest_revision.revision, 0, true};
  mine.note_flush_moment_saved();
  mine.begin_branch(seqno_, now);
  mine.on_disk_only = 0;
  mine.absent = 0;
  mine.non_resident = 0;
  mine.knows_all_keys = true;
  append_change(ChangeKind::flush, nullptr, seqno_, cas, 0, after);
  announce_again(now, after);
  return superseded;
}

void VBucket::add_persistent_to(Statistics& sum) const noexcept {
  const PersistentState& mine = *persistent_;
  sum.dirty_items += mine.dirty_items;
  sum.dirty_bytes += mine.dirty_bytes;
  sum.log_bytes += mine.log.bytes();
  sum.non_resident_items += mine.non_resident;
  if (mine.counts_disk()) sum.items_on_disk_only += items() - items_.load(std::memory_order_relaxed);
  sum.placeholders += mine.absent;
  sum.warming_vbuckets += mine.warming ? 1 : 0;
  sum.high_seqno_sum += seqno_;
  sum.persisted_seqno_sum += mine.persisted_seqno;
  sum.lost_cursors += mine.log.lost_cursors();
}

ChangeLog::CursorId VBucket::open_cursor(std::string_view name) {
  const base::MutexLock lock(mutex_);
  return persistent_->log.open_cursor(name, seqno_);
}

AttachedCursor VBucket::attach_cursor(std::string_view name, uint64_t seqno, uint64_t reach) {
  const base::MutexLock lock(mutex_);
  PersistentState& mine = *persistent_;
  AttachedCursor attached;
  attached.generation = mine.generation;
  // It was cleared since the reader was here.
  if (seqno > seqno_) return attached;
  attached.log_begin = std::min(mine.log.complete_after(), seqno_);
  attached.high_seqno = seqno_;
  attached.from = std::max(seqno, attached.log_begin);
  if (attached.from > seqno && attached.from - seqno > reach) return attached;
  attached.cursor = mine.log.open_cursor(name, attached.from);
  mine.news_wanted = true;
  return attached;
}

void VBucket::close_cursor(ChangeLog::CursorId cursor) noexcept {
  ChangeChunks freed;
  const base::MutexLock lock(mutex_);
  freed = persistent_->log.close_cursor(cursor);
}

TakenChanges VBucket::take(ChangeLog::CursorId cursor) {
  assert(cursor != ChangeLog::kPersistence);
  const base::MutexLock lock(mutex_);
  persistent_->news_wanted = true;
  return persistent_->log.take(cursor, seqno_);
}

StreamFacts VBucket::stream_facts() const {
  const base::MutexLock lock(mutex_);
  const PersistentState& mine = *persistent_;
  return {seqno_, mine.persisted_seqno, mine.flush_seqno, mine.failover, mine.generation};
}

ChangeLogFacts VBucket::log_facts() const {
  const base::MutexLock lock(mutex_);
  return persistent_ == nullptr ? ChangeLogFacts() : persistent_->log.facts();
}

VBucketState VBucket::announced_collections() const {
  VBucketState state;
  const base::MutexLock lock(mutex_);
  if (collections_ != nullptr) collections_->append_all(state);
  return state;
}

uint64_t VBucket::high_seqno() const noexcept {
  const base::MutexLock lock(mutex_);
  return seqno_;
}

std::vector<FailoverEntry> VBucket::failover_log() const {
  const base::MutexLock lock(mutex_);
  return persistent_ == nullptr ? std::vector<FailoverEntry>() : persistent_->failover;
}

uint64_t VBucket::uuid() const noexcept {
  const base::MutexLock lock(mutex_);
  return persistent_ == nullptr ? 0 : persistent_->failover.front().uuid;
}

uint64_t VBucket::persisted_seqno() const noexcept {
  const base::MutexLock lock(mutex_);
  return persistent_->persisted_seqno;
}

}  // namespace bobbin::store
