// What moves between the memory of a persistent vbucket and its disk: loads, warmup, eviction.

#include <algorithm>

#include "store/expiry.h"
#include "store/memory.h"
#include "store/vbucket_collections.h"
#include "store/vbucket_persist.h"

namespace bobbin::store {

void VBucket::count_blocked() const noexcept {
  persistent_->shared.would_block.fetch_add(1, std::memory_order_relaxed);
}

LoadTicket VBucket::begin_load() const noexcept {
  const base::MutexLock lock(mutex_);
  return {persistent_->persisted_seqno, persistent_->generation};
}

Loaded VBucket::load(Draft& found, uint64_t hash, LoadTicket ticket, base::Now now) noexcept {
  Aftermath after;
  const auto pinned = [](LoadStatus status, HashTable::Slot slot) {
    if (!slot.document()->try_reference()) return Loaded{status, {}};
    return Loaded{status, DocumentRef(slot.document())};
  };
  const base::MutexLock lock(mutex_);
  PersistentState& mine = *persistent_;
  Document& record = *found.document_;
  if (ticket.generation != mine.generation) return {LoadStatus::read_again, {}};
  if (is_dropped(record)) return {LoadStatus::absent, {}};
  const HashTable::Slot slot = table_.find(record.doc_key(), HashTable::tag_of(hash));
  if (slot) {
    const Document& here = *slot.document();
    if (here.is_absent()) return pinned(LoadStatus::absent, slot);
    if (here.resident() || is_expired(here.expiry_, now.unix_s())) return pinned(LoadStatus::present, slot);
    if (record.is_absent() && here.is_tombstone() && here.seqno_ <= ticket.persisted_seqno) {
      // The disk has forgotten it earlier.
      count_unlinked(here);
      after.drop(DocumentRef(table_.erase(slot)));
      return {LoadStatus::absent, {}};
    }
    if (record.is_absent() || record.seqno_ != here.seqno_) {
      // Only what was on disk loses its value, so a read that began later had to find it.
      return {here.seqno_ > ticket.persisted_seqno ? LoadStatus::read_again : LoadStatus::missing, {}};
    }
    if (!record.resident()) return pinned(LoadStatus::present, slot);
    return install(found, hash, slot, after);
  }
  if (record.is_absent() && record.seqno_ <= mine.flush_seqno) record.say_nothing();
  if (mine.knows_all_keys) return recall(found, ticket);
  if (mine.may_have_missed(record.doc_key(), ticket)) return {LoadStatus::read_again, {}};
  if (record.is_absent()) {
    Loaded placed = install(found, hash, {}, after);
    if (placed.status == LoadStatus::installed) placed.status = LoadStatus::absent;
    return placed;
  }
  // In a copy what has expired stays until the source says so.
  const bool expires = is_expired(record.expiry_, now.unix_s()) && !mine.follows;
  if (record.seqno_ <= mine.flush_seqno || expires) {
    return load_dead(record, hash, now, after);
  }
  return install(found, hash, {}, after);
}

Loaded VBucket::install(Draft& found, uint64_t hash, HashTable::Slot shell, Aftermath& after) noexcept {
  Document& record = *found.document_;
  if (shell) {
    const Document& here = *shell.document();
    record.last_access_ = here.last_access_;
    record.frequency_ = here.frequency_;
    record.state_ = here.state_;
    count_unlinked(here);
    after.drop(DocumentRef(HashTable::replace(shell, &record)));
  } else if (!table_.insert(&record, HashTable::tag_of(hash))) {
    return {LoadStatus::no_memory, {}};
  } else if (!record.is_gone()) {
    count_on_disk_only(record.collection(), -1);
  }
  count_linked(record);
  found.document_ = nullptr;
  // Cannot be refused: the table's is the only one.
  return {LoadStatus::installed, record.try_reference() ? DocumentRef(&record) : DocumentRef()};
}

Loaded VBucket::load_dead(const Document& record, uint64_t hash, base::Now now, Aftermath& after) noexcept {
  PersistentState& mine = *persistent_;
  Document* const placeholder = Document::create(mine.shared.account, record.doc_key(), 0, Document::kAbsent);
  if (placeholder == nullptr) return {LoadStatus::no_memory, {}};
  DocumentRef pin(placeholder);
  placeholder->set_revision(record.revision());
  // What a flush has killed has its end in the log, and a tombstone is one. Where the end of another cannot
  // be written down, it stays on disk for the next who looks.
  const bool expires = !record.is_tombstone() && record.seqno_ > mine.flush_seqno && mine.admits(seqno_);
  if (!table_.insert(placeholder, HashTable::tag_of(hash))) return {LoadStatus::no_memory, {}};
  placeholder->reference();
  count_linked(*placeholder);
  if (!expires) return {LoadStatus::absent, std::move(pin)};
  placeholder->set_revision(record.next_revision());
  placeholder->cas_ = next_cas(std::nullopt, now);
  placeholder->seqno_ = ++seqno_;
  placeholder->expiry_ = tombstone_end(now.unix_s());
  mine.note_removal(placeholder->revision(), placeholder->cas_);
  count_on_disk_only(record.collection(), -1);
  if (record.collection() != kDefaultCollection) note_change_of(record.collection());
  ++events_.expired;
  placeholder->reference();
  append_change(ChangeKind::expiration, placeholder, placeholder->seqno_, placeholder->cas_, 0, after);
  return {LoadStatus::absent, std::move(pin)};
}

void VBucket::finish_warmup(bool complete) noexcept {
  const base::MutexLock lock(mutex_);
  PersistentState& mine = *persistent_;
  if (!complete && mine.shared.policy == EvictionPolicy::value) return;
  mine.warming = false;
  // Where full eviction has been at work meanwhile, the table has not everything.
  if (complete && mine.unlinked.nothing()) mine.knows_all_keys = true;
  if (mine.shared.policy == EvictionPolicy::value) {
    mine.knows_all_keys = true;
    mine.on_disk_only = 0;
    if (collections_ == nullptr) return;
    for (CollectionCount& count : collections_->counts)
      count.on_disk_only = 0;
  }
}

bool VBucket::lacks_revisions() const noexcept {
  const base::MutexLock lock(mutex_);
  return !persistent_->highest_revision.complete || !persistent_->highest_removal.complete;
}

void VBucket::learn_revisions(const SeenRevisions& seen) noexcept {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  PersistentState& mine = *persistent_;
  if (mine.highest_revision.complete && mine.highest_removal.complete) return;
  mine.highest_revision.take(seen.revision);
  mine.highest_removal.take(seen.removal_revision, seen.removal_cas);
  mine.highest_revision.complete = true;
  mine.highest_removal.complete = mine.highest_removal.complete || seen.all;
  mark_dirty(after);
}

bool VBucket::drop_placeholders(uint32_t& cursor, Victims& victims) noexcept {
  const base::MutexLock lock(mutex_);
  if (persistent_->leaves_placeholders() || persistent_->absent == 0) return false;
  const uint32_t next = table_.visit_bucket(
      cursor, [&](Document* document) BOBBIN_THREAD_ANNOTATION(no_thread_safety_analysis) {
        if (!document->is_absent() || victims.full()) return false;
        // What shows its removal afterwards, as long as the disk does not.
        if (document->seqno_ > persistent_->persisted_seqno) {
          if (!persistent_->removals.reserve(persistent_->persisted_seqno)) return false;
          persistent_->removals.note(
              document->doc_key(),
              {document->seqno_, document->cas_, document->revision(), deletion_time(document->expiry_)});
        }
        persistent_->note_unlinked(document->doc_key(), document->seqno_);
        count_unlinked(*document);
        victims.expired[victims.expired_count++] = DocumentRef(document);
        return true;
      });
  // A bucket that filled the list may hold more: come back to it.
  if (!victims.full()) cursor = next;
  return cursor != HashTable::kEnd;
}

Document* VBucket::evict(Document* document, Victims& victims) noexcept {
  PersistentState& mine = *persistent_;
  Document* shell = nullptr;
  if (mine.shared.policy == EvictionPolicy::value) {
    if (!document->resident()) return document;
    shell = Document::create(mine.shared.account, document->doc_key(), document->value_len_,
                             Document::kNonResident);
    if (shell == nullptr) return document;
    if (allocated_size(shell, shell->size()) >= allocated_size(document, document->size())) {
      HashTable::release(shell);
      return document;
    }
    shell->cas_ = document->cas_;
    shell->seqno_ = document->seqno_;
    shell->set_revision(document->revision());
    shell->flags_ = document->flags_;
    shell->expiry_ = document->expiry_;
    shell->last_access_ = document->last_access_;
    shell->datatype_ = document->datatype_;
    shell->state_ = document->state_ & Document::kCopied;
    shell->revision_and_account_ |= document->revision_and_account_ & Document::kDeleted;
  }
  count_unlinked(*document);
  if (shell != nullptr) {
    count_linked(*shell);
  } else {
    if (!document->is_tombstone()) count_on_disk_only(document->collection(), 1);
    mine.knows_all_keys = false;
    mine.note_unlinked(document->doc_key(), document->seqno_);
  }
  if (document->is_tombstone()) {
    victims.expired[victims.expired_count++] = DocumentRef(document);
    return shell;
  }
  const bool fetched = (document->state_ & Document::kFetched) != 0;
  ++events_.evictions;
  if (!fetched) ++events_.evicted_unfetched;
  if (document->expiry_ != kNeverExpires) ++events_.evicted_with_expiry;
  victims.evicted[victims.evicted_count++] = {DocumentRef(document),
                                              {fetched, document->expiry_, document->last_access_}};
  return shell;
}

uint32_t VBucket::reclaim_persistent(Reclaim mode, uint32_t documents, uint32_t now_s,
                                     Victims& victims) noexcept {
  uint32_t examined = 0;
  Aftermath after;
  const base::MutexLock lock(mutex_);
  PersistentState& mine = *persistent_;
  // Runs under the lock that this function holds, which the analysis does not see from inside of a lambda.
  const auto judge = [&](Document* document)
                         BOBBIN_THREAD_ANNOTATION(no_thread_safety_analysis) -> Document* {
    ++examined;
    if (victims.full()) return document;
    if (is_dropped(*document)) {
      count_unlinked(*document);
      victims.expired[victims.expired_count++] = DocumentRef(document);
      return nullptr;
    }
    if (document->is_tombstone() && is_expired(document->expiry_, now_s)) {
      if (document->references() > 1 || !may_forget(*document)) return document;
      count_unlinked(*document);
      victims.expired[victims.expired_count++] = DocumentRef(document);
      return nullptr;
    }
    if (is_expired(document->expiry_, now_s) && !document->is_absent() && !mine.refuses && !mine.follows) {
      // Its memory comes back when its end is on disk.
      Document* const stays =
          bury(document, {ChangeKind::expiration}, {uint64_t{now_s} * 1'000'000'000}, after);
      if (stays != document) ++events_.reclaimed;
      return stays;
    }
    // In use, or not on disk.
    if (document->references() > 1 || document->seqno_ > mine.persisted_seqno) return document;
    if (is_locked(*document, now_s)) return document;
    if (document->is_absent()) {
      // While values warm up, what was deleted meanwhile must not come back from a read that is older. What
      // was there before, the reads know of.
      if (mine.warming && document->seqno_ > mine.restored_seqno) return document;
      if (!mine.warming) mine.note_unlinked(document->doc_key(), document->seqno_);
      mine.removals.forget_recalled(document->doc_key());
      count_unlinked(*document);
      victims.expired[victims.expired_count++] = DocumentRef(document);
      return nullptr;
    }
    if (mode == Reclaim::expired_only) return document;
    if (document->frequency_ > 0 && mode == Reclaim::clock) {
      --document->frequency_;
      return document;
    }
    // Where something that nobody misses went, the living are spared.
    return victims.expired_count != 0 ? document : evict(document, victims);
  };
  // Once round is enough: two passes are for two calls.
  for (bool came_round = false; examined < documents && !came_round && !victims.full();) {
    hand_ = table_.visit_bucket(hand_, judge);
    came_round = hand_ == HashTable::kEnd;
    if (came_round) hand_ = 0;
  }
  return examined;
}

}  // namespace bobbin::store
