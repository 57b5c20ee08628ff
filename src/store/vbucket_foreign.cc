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

uint32_t time_of(const Document& document, uint32_t expiry) noexcept {
  return document.is_tombstone() ? deletion_time(expiry) : expiry;
}

// What is the same in everything is no news.
bool wins(const Metadata& change, const Metadata& there, ConflictResolution rule) {
  const auto order = [rule](const Metadata& of) {
    const bool by_time = rule == ConflictResolution::time;
    return std::make_tuple(by_time ? of.cas : of.revision, by_time ? of.revision : of.cas, of.expiry,
                           of.flags);
  };
  return order(change) > order(there);
}

}  // namespace

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
  if (change.resolve && old) {
    const Document& there = *old.document();
    if (!wins({change.cas, change.revision, document.expiry_, document.flags_},
              {cas_of(there), there.revision(), time_of(there, there.expiry_), there.flags_}, rule)) {
      return {StoreStatus::exists};
    }
  }
  const auto cas = change.new_cas ? std::nullopt : std::optional(change.cas);
  if (change.as_tombstone) document.revision_and_account_ |= Document::kDeleted;
  if (!link(draft, hash, old, cas, now, after)) return {StoreStatus::no_memory};
  document.set_revision(change.revision);
  if (!change.as_tombstone) ++events_.total_items;
  return stored(document);
}

RemoveResult VBucket::remove_foreign(DocKey key, uint64_t hash, const ForeignChange& change,
                                     ConflictResolution rule, base::Now now) noexcept {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  if (!knows(key.collection())) return {RemoveStatus::unknown_collection};
  const HashTable::Slot slot = find_there(key, hash, true, now.unix_s(), after);
  if (!slot) {
    if (after.unknown) return {RemoveStatus::would_block};
    if (change.cas_compare) return {RemoveStatus::not_found};
    return {RemoveStatus::removed, change.cas, seqno_, change.revision};
  }
  Document& there = *slot.document();
  const bool same = change.cas_compare == cas_of(there);
  if (!same && is_locked(there, now.unix_s())) return {RemoveStatus::locked};
  if (!same && change.cas_compare) return {RemoveStatus::exists};
  if (change.resolve &&
      !wins({change.cas, change.revision, change.expiry, change.flags},
            {cas_of(there), there.revision(), time_of(there, there.expiry_), there.flags_}, rule)) {
    return {RemoveStatus::exists};
  }
  const uint32_t value_len = there.value_len_;
  const auto cas = change.new_cas ? std::nullopt : std::optional(change.cas);
  // What the tombstone has elsewhere is all that this one has.
  if (persistent_ == nullptr) {
    (void)drop_from_cache(slot, false, cas, now, after);  // takes no memory
    return {RemoveStatus::removed, next_cas(cas, now), seqno_, change.revision, value_len};
  }
  const ChangeKind kind = change.expired ? ChangeKind::expiration : ChangeKind::deletion;
  if (!bury_at(slot, {kind, false, cas, change.revision}, now, after)) return {RemoveStatus::no_memory};
  return {RemoveStatus::removed, cas.value_or(cas_clock_), seqno_, change.revision, value_len};
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
