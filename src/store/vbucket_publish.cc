// The functions of VBucket that put documents into the table and take them out at a client's word.

#include <algorithm>
#include <limits>

#include "store/expiry.h"
#include "store/vbucket.h"
#include "store/vbucket_persist.h"

namespace bobbin::store {

uint64_t VBucket::next_cas(std::optional<uint64_t> explicit_cas, base::Now now) noexcept {
  // 0 means "no CAS" in every protocol, so a document never carries it.
  if (!explicit_cas || *explicit_cas == 0) return cas_clock_ = std::max(cas_clock_ + 1, now.unix_ns);
  if (*explicit_cas <= now.unix_ns + kMaxCasLeadNs) cas_clock_ = std::max(cas_clock_, *explicit_cas);
  return *explicit_cas;
}

StoreResult VBucket::stored(const Document& document) noexcept {
  return {StoreStatus::stored, document.cas_,       document.seqno_,
          document.revision(), document.value_len_, document.expiry_};
}

uint64_t VBucket::revision_before(HashTable::Slot old) const noexcept {
  const uint64_t known = old ? old.document()->revision() : 0;
  if (persistent_ == nullptr || (old && old.document()->seqno_ != 0)) return known;
  // It may have been removed, and who has seen that must not take this for older; or be on disk still.
  const PersistentState& mine = *persistent_;
  return std::max(known, is_unknown(old) ? mine.highest_revision.revision : mine.highest_removal.revision);
}

bool VBucket::may_store_unseen(bool whole) const noexcept {
  const PersistentState& mine = *persistent_;
  return mine.highest_revision.complete && (whole || !mine.may_have_attributes);
}

bool VBucket::link(Draft& draft, uint64_t hash, HashTable::Slot old, const Given& given, base::Now now,
                   Aftermath& after) noexcept {
  if (persistent_ != nullptr && !persistent_->admits(seqno_)) return false;
  Document& document = *draft.document_;
  const Document* const replaced = old ? old.document() : nullptr;
  document.set_revision(given.revision.value_or(revision_before(old) + 1));
  document.last_access_ = now.unix_s();
  if (old) {
    // A write is a use, too, but not one that a reader made.
    document.frequency_ = old.document()->frequency_;
    count_unlinked(*old.document());
    after.drop(DocumentRef(HashTable::replace(old, &document)));
  } else if (!table_.insert(&document, HashTable::tag_of(hash))) {
    document.revision_and_account_ &= ~Document::kRevisionMask;
    return false;
  }
  document.cas_ = next_cas(given.cas, now);
  document.seqno_ = ++seqno_;
  const CollectionId collection = document.collection();
  document.expiry_ = document.is_tombstone() ? tombstone_end(now.unix_s())
                                             : expiry_in(collection, document.expiry_, now.unix_s());
  count_linked(document);
  if (collection != kDefaultCollection) [[unlikely]]
    note_change_of(collection);
  draft.document_ = nullptr;
  if (persistent_ != nullptr) {
    persistent_->may_have_attributes |= document.has_attributes();
    persistent_->highest_revision.take(document.revision());
    log_mutation(document, replaced, after);
  }
  return true;
}

StoreResult VBucket::publish(Draft& draft, uint64_t hash, StoreMode mode, const StoreOptions& options,
                             base::Now now) noexcept {
  Aftermath after;
  const bool compares = mode == StoreMode::cas ||
                        ((mode == StoreMode::set || mode == StoreMode::replace) && options.cas_compare);
  Document& document = *draft.document_;
  const base::MutexLock lock(mutex_);
  if (is_dropped(document)) [[unlikely]]
    return {StoreStatus::unknown_collection};
  const HashTable::Slot old = table_.find(document.doc_key(), HashTable::tag_of(hash));
  const bool live = old && is_there(*old.document(), options.finds_deleted, now.unix_s());
  Gone gone;
  if (!live && options.finds_deleted) gone = find_gone(old, document.doc_key(), now.unix_s());
  if (gone.removed) {
    if (mode == StoreMode::add) return {StoreStatus::not_stored};
    if (compares && options.cas_compare != gone.removal.cas) return {StoreStatus::exists};
  } else if (!live) {
    if (gone.unknown) return {StoreStatus::would_block};
    if (is_unknown(old) && (compares || mode != StoreMode::set || !may_store_unseen(options.whole))) {
      count_blocked();
      return {StoreStatus::would_block};
    }
    if (compares) return {StoreStatus::not_found};
    if (mode == StoreMode::replace) return {StoreStatus::not_stored};
  } else if (mode == StoreMode::add) {
    // memcached counts a refused add as a use of what is there (do_store_item).
    Document& there = *old.document();
    there.last_access_ = now.unix_s();
    return {StoreStatus::not_stored};
  } else if (compares) {
    Document& there = *old.document();
    const uint64_t cas = cas_of(there);
    const uint64_t wanted = options.cas_compare.value_or(0);
    if (wanted != cas && is_locked(there, now.unix_s())) return {StoreStatus::locked};
    const bool older = wanted < cas;
    const bool invalidates = options.invalidate_if_older && older && wanted != 0;
    if (wanted != cas && !invalidates) return {StoreStatus::exists};
    if (wanted != cas) {
      document.expiry_ = there.expiry_;
      document.state_ = static_cast<uint8_t>(Document::kStale | (there.state_ & Document::kTokenSent));
    }
  } else if (is_locked(*old.document(), now.unix_s())) {
    return {StoreStatus::locked};
  }
  if (live && !options.whole && old.document()->has_attributes()) return {.has_attributes = true};
  if (live && options.keep_expiry) document.expiry_ = old.document()->expiry_;
  if (old && !live && !old.document()->is_gone()) {
    ++events_.expired;
    ++events_.reclaimed;
    if ((old.document()->state_ & Document::kFetched) == 0) ++events_.expired_unfetched;
  }
  if (options.as_tombstone) document.revision_and_account_ |= Document::kDeleted;
  if (!link(draft, hash, old, {.cas = options.explicit_cas}, now, after)) return {StoreStatus::no_memory};
  if (options.as_tombstone && persistent_ != nullptr)
    persistent_->note_removal(document.revision(), document.cas_);
  if (options.stamp.write != nullptr) {
    options.stamp.write(options.stamp.context, {document.bytes() + document.key_len_, document.value_len_},
                        document.cas_, document.seqno_);
  }
  if (!options.as_tombstone) ++events_.total_items;
  return stored(document);
}

StoreResult VBucket::publish_over(Draft& draft, uint64_t hash, const Document& expected,
                                  const Takeover& takeover, base::Now now) noexcept {
  Aftermath after;
  Document& document = *draft.document_;
  const base::MutexLock lock(mutex_);
  const HashTable::Slot old = table_.find(document.doc_key(), HashTable::tag_of(hash));
  if (is_dropped(document)) [[unlikely]]
    return {StoreStatus::unknown_collection};
  // The caller holds a reference to `expected`, so no other document can have its address.
  if (!old || old.document() != &expected || is_expired(expected.expiry_, now.unix_s())) {
    return {StoreStatus::exists};
  }
  if (is_locked(expected, now.unix_s()) && takeover.cas_compare != cas_of(expected))
    return {StoreStatus::locked};
  const uint32_t expiry_before = expected.expiry_;
  document.expiry_ = takeover.expiry.value_or(expiry_before);
  const uint8_t marks = expected.state_ & Document::kCopied;
  if (takeover.keep_marks) document.state_ = marks;
  if (takeover.mark_stale) {
    document.state_ = static_cast<uint8_t>((marks | Document::kStale) & ~Document::kTokenSent);
  }
  if (!link(draft, hash, old, {.cas = takeover.explicit_cas}, now, after)) return {StoreStatus::no_memory};
  if (takeover.counts_as_stored) ++events_.total_items;
  StoreResult result = stored(document);
  result.expiry_before = expiry_before;
  return result;
}

std::optional<Fetched> VBucket::vivify(Draft& draft, uint64_t hash, const FetchOptions& options,
                                       base::Now now) noexcept {
  Aftermath after;
  Document& document = *draft.document_;
  Fetched created;
  const base::MutexLock lock(mutex_);
  created.unknown_collection = is_dropped(document);
  if (created.unknown_collection) return created;
  if (find_live(document.doc_key(), hash, now.unix_s(), after)) return std::nullopt;
  if (after.unknown) {
    created.would_block = true;
    return created;
  }
  // The fetch that creates it counts as its first.
  document.state_ = Document::kTokenSent;
  if (!options.no_bump) document.state_ |= Document::kFetched;
  // There may be a placeholder or a tombstone.
  const HashTable::Slot dead = table_.find(document.doc_key(), HashTable::tag_of(hash));
  if (!link(draft, hash, dead, {.cas = options.explicit_cas}, now, after)) {
    created.no_memory = true;
    return created;
  }
  ++events_.total_items;
  // Cannot be refused: the table's is the only reference.
  if (document.try_reference()) created.doc = DocumentRef(&document);
  created.expiry = document.expiry_;
  created.cas = document.cas_;
  created.last_access = document.last_access_;
  created.won = true;
  created.vivified = true;
  created.published = true;
  return created;
}

RemoveResult VBucket::remove(DocKey key, uint64_t hash, const RemoveOptions& options,
                             base::Now now) noexcept {
  Aftermath after;
  const std::optional<uint64_t> cas_compare = options.cas_compare;
  const bool keeps = !options.drop_attributes;
  const base::MutexLock lock(mutex_);
  if (!knows(key.collection())) return {RemoveStatus::unknown_collection};
  const HashTable::Slot slot = find_there(key, hash, options.drop_attributes, now.unix_s(), after);
  if (!slot && options.drop_attributes && !after.unknown) return remove_gone(key, hash, options, now, after);
  if (!slot) return {after.unknown ? RemoveStatus::would_block : RemoveStatus::not_found};
  Document* const document = slot.document();
  const bool other = cas_compare && cas_of(*document) != *cas_compare;
  if ((other || !cas_compare) && is_locked(*document, now.unix_s())) return {RemoveStatus::locked};
  if (other) return {RemoveStatus::exists};
  if (keeps && document->has_attributes() && !document->resident()) {
    count_blocked();
    return {RemoveStatus::would_block};
  }
  const uint32_t value_len = document->value_len_;
  const uint64_t revision = document->next_revision();
  const bool may_leave = keeps && document->has_attributes();
  const bool done = persistent_ == nullptr ? drop_from_cache(slot, keeps, std::nullopt, now, after)
                                           : bury_at(slot, {.keep_attributes = keeps}, now, after);
  if (!done) return {RemoveStatus::no_memory};
  RemoveResult result{RemoveStatus::removed, cas_clock_, seqno_, revision, value_len};
  if (!may_leave) return result;
  const HashTable::Slot left = table_.find(key, HashTable::tag_of(hash));
  result.left_tombstone = left && left.document()->is_tombstone();
  if (result.left_tombstone) result.left_len = left.document()->value_len_;
  return result;
}

TouchedOver VBucket::touch_over(Draft& copy, uint64_t hash, const Document& expected,
                                const FetchOptions& options, base::Now now) noexcept {
  Aftermath after;
  TouchedOver touched;
  Document& document = *copy.document_;
  const base::MutexLock lock(mutex_);
  const HashTable::Slot old = table_.find(document.doc_key(), HashTable::tag_of(hash));
  // A collection that is gone is found out by the next look at the old document.
  if (!old || old.document() != &expected || is_expired(expected.expiry_, now.unix_s()) ||
      is_dropped(expected))
    return touched;
  if (is_locked(expected, now.unix_s())) return touched;
  touched.done = true;
  Fetched& found = touched.fetched;
  found.expiry_before = expected.expiry_;
  found.last_access = expected.last_access_;
  document.state_ = expected.state_ & Document::kCopied;
  if (!link(copy, hash, old, {.cas = cas_of(expected)}, now, after)) {
    touched.no_memory = true;
    return touched;
  }
  document.last_access_ = found.last_access;
  // Cannot be refused: only the table and the log have one.
  if (document.try_reference()) found.doc = DocumentRef(&document);
  found.published = true;
  inspect(document, options, now.unix_s(), found);
  return touched;
}

}  // namespace bobbin::store
