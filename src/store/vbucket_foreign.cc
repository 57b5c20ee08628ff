// Changes that were made elsewhere, and what the engine's own tools ask of a vbucket.

#include <tuple>
#include <utility>

#include "store/expiry.h"
#include "store/vbucket.h"
#include "store/vbucket_persist.h"

namespace bobbin::store {

namespace {

struct Metadata {
  uint64_t cas;
  uint64_t revision;
  uint32_t expiry;  // of a tombstone when it was made
  uint32_t flags;
};

// What is the same in everything is no news.
bool wins(const Metadata& change, const Metadata& there, ConflictResolution rule) {
  const auto order = [rule](const Metadata& of) {
    const bool by_time = rule == ConflictResolution::time;
    return std::make_tuple(by_time ? of.cas : of.revision, by_time ? of.revision : of.cas, of.expiry,
                           of.flags);
  };
  return order(change) > order(there);
}

// No removal in the vbucket's history can stand against it, so that none has to be looked up.
bool beats_all(const ForeignChange& change, const HighestRemoval& highest, ConflictResolution rule) {
  if (!highest.complete) return false;
  return rule == ConflictResolution::time ? change.cas > highest.cas : change.revision > highest.revision;
}

}  // namespace

Resolved VBucket::resolve(HashTable::Slot slot, DocKey key, const Conflict& conflict,
                          uint32_t now_s) noexcept {
  const ForeignChange& change = conflict.change;
  if (!change.resolve) return Resolved::wins;
  const Metadata coming{change.cas, change.revision, conflict.expiry, conflict.flags};
  Metadata there{};
  if (slot && !slot.document()->is_gone()) {
    const Document& document = *slot.document();
    there = {cas_of(document), document.revision(), document.expiry_, document.flags_};
  } else {
    if (!slot && persistent_ != nullptr && beats_all(change, persistent_->highest_removal, conflict.rule))
      return Resolved::wins;
    const Gone gone = find_gone(slot, key, now_s);
    if (gone.unknown) return Resolved::unknown;
    if (!gone.removed) return Resolved::wins;
    there = {gone.removal.cas, gone.removal.revision, gone.removal.time_s,
             slot ? slot.document()->flags_ : 0};
  }
  return wins(coming, there, conflict.rule) ? Resolved::wins : Resolved::loses;
}

StoreResult VBucket::publish_foreign(Draft& draft, uint64_t hash, const ForeignChange& change,
                                     ConflictResolution rule, base::Now now) noexcept {
  Aftermath after;
  Document& document = *draft.document_;
  const base::MutexLock lock(mutex_);
  if (is_dropped(document)) return {StoreStatus::unknown_collection};
  const HashTable::Slot old = table_.find(document.doc_key(), HashTable::tag_of(hash));
  if (is_unknown(old)) {
    count_blocked();
    return {StoreStatus::would_block};
  }
  const bool live = old && is_there(*old.document(), change.as_tombstone, now.unix_s());
  if (!live && change.cas_compare) return {StoreStatus::not_found};
  if (live) {
    const Document& there = *old.document();
    if (change.add) return {StoreStatus::exists};
    const bool same = change.cas_compare == cas_of(there);
    if (!same && is_locked(there, now.unix_s())) return {StoreStatus::locked};
    if (!same && change.cas_compare) return {StoreStatus::exists};
  }
  const Resolved resolved =
      resolve(old, document.doc_key(), {change, document.expiry_, document.flags_, rule}, now.unix_s());
  if (resolved == Resolved::unknown) return {StoreStatus::would_block};
  if (resolved == Resolved::loses) return {StoreStatus::exists};
  Given given{.revision = change.revision};
  if (!change.new_cas) given.cas = change.cas;
  if (change.as_tombstone) document.revision_and_account_ |= Document::kDeleted;
  const uint32_t removed_s = moment_of_removal(document.expiry_, now.unix_s());
  if (!link(draft, hash, old, given, now, after)) return {StoreStatus::no_memory};
  if (change.as_tombstone) {
    // Who compares it with where it came from finds the same.
    document.expiry_ = tombstone_end(removed_s);
    if (persistent_ != nullptr) persistent_->note_removal(document.revision(), document.cas_);
  }
  if (!change.as_tombstone) ++events_.total_items;
  return stored(document);
}

RemoveResult VBucket::remove_foreign(DocKey key, uint64_t hash, const ForeignChange& change,
                                     ConflictResolution rule, Room& room, base::Now now) noexcept {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  if (!knows(key.collection())) return {RemoveStatus::unknown_collection};
  const HashTable::Slot slot = find_there(key, hash, true, now.unix_s(), after);
  if (!slot) {
    if (after.unknown) return {RemoveStatus::would_block};
    if (change.cas_compare) return {RemoveStatus::not_found};
    return remove_nothing(key, hash, change, rule, room, now, after);
  }
  Document& there = *slot.document();
  const bool same = change.cas_compare == cas_of(there);
  if (!same && is_locked(there, now.unix_s())) return {RemoveStatus::locked};
  if (!same && change.cas_compare) return {RemoveStatus::exists};
  // Of what is in the table the disk knows no more. A removal keeps no flags.
  const uint32_t flags = there.is_gone() ? 0 : change.flags;
  if (resolve(slot, key, {change, change.expiry, flags, rule}, now.unix_s()) != Resolved::wins)
    return {RemoveStatus::exists};
  const uint32_t value_len = there.value_len_;
  const auto cas = change.new_cas ? std::nullopt : std::optional(change.cas);
  // What the tombstone has elsewhere is all that this one has.
  if (persistent_ == nullptr) {
    (void)drop_from_cache(slot, false, cas, now, after);  // takes no memory
    return {RemoveStatus::removed, next_cas(cas, now), seqno_, change.revision, value_len};
  }
  const ChangeKind kind = change.expired ? ChangeKind::expiration : ChangeKind::deletion;
  const End end{kind, false, cas, change.revision, moment_of_removal(change.expiry, now.unix_s())};
  if (!bury_at(slot, end, now, after)) return {RemoveStatus::no_memory};
  return {RemoveStatus::removed, cas.value_or(cas_clock_), seqno_, change.revision, value_len};
}

RemoveResult VBucket::remove_nothing(DocKey key, uint64_t hash, const ForeignChange& change,
                                     ConflictResolution rule, Room& room, base::Now now,
                                     Aftermath& after) noexcept {
  const HashTable::Slot slot = table_.find(key, HashTable::tag_of(hash));
  const Resolved resolved = resolve(slot, key, {change, change.expiry, 0, rule}, now.unix_s());
  if (resolved == Resolved::unknown) return {RemoveStatus::would_block};
  if (resolved == Resolved::loses) return {RemoveStatus::exists};
  // A cache keeps nothing of what it has not.
  if (persistent_ == nullptr) return {RemoveStatus::removed, change.cas, seqno_, change.revision};
  if (room != Room::made) {
    room = Room::wanted;
    return {RemoveStatus::no_memory};
  }
  const End end{change.expired ? ChangeKind::expiration : ChangeKind::deletion, false,
                change.new_cas ? std::nullopt : std::optional(change.cas), change.revision,
                moment_of_removal(change.expiry, now.unix_s())};
  if (!bury_nothing(slot, key, hash, end, now, after)) return {RemoveStatus::no_memory};
  return {RemoveStatus::removed, end.explicit_cas.value_or(cas_clock_), seqno_, change.revision};
}

RemoveStatus VBucket::evict_key(DocKey key, uint64_t hash, uint32_t now_s) noexcept {
  Victims victims;
  Aftermath after;
  const base::MutexLock lock(mutex_);
  if (!knows(key.collection())) return RemoveStatus::unknown_collection;
  const HashTable::Slot slot = find_live(key, hash, now_s, after);
  if (!slot) return after.unknown ? RemoveStatus::removed : RemoveStatus::not_found;
  Document* const document = slot.document();
  if (document->is_shell() && persistent_->shared.policy == EvictionPolicy::value)
    return RemoveStatus::removed;
  if (document->references() > 1 || document->seqno_ > persistent_->persisted_seqno ||
      is_locked(*document, now_s)) {
    return RemoveStatus::exists;
  }
  Document* const stays = evict(document, victims);
  if (stays == document) return RemoveStatus::removed;  // the value takes no more than its shell would
  // The table's reference is the victims' now.
  (void)(stays != nullptr ? HashTable::replace(slot, stays) : table_.erase(slot));
  return RemoveStatus::removed;
}

VBucketFacts VBucket::facts() const noexcept {
  const base::MutexLock lock(mutex_);
  VBucketFacts facts;
  facts.items = items();
  facts.item_bytes = item_bytes_;
  facts.table_bytes = table_.bytes();
  facts.table_buckets = table_.buckets();
  facts.high_seqno = seqno_;
  facts.max_cas = cas_clock_;
  if (persistent_ == nullptr) return facts;
  facts.persisted_seqno = persistent_->persisted_seqno;
  facts.dirty_items = persistent_->dirty_items;
  facts.non_resident_items = persistent_->non_resident;
  return facts;
}

bool VBucket::knows_all_keys() const noexcept {
  const base::MutexLock lock(mutex_);
  return persistent_ == nullptr || persistent_->knows_all_keys;
}

}  // namespace bobbin::store
