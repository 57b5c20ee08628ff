// What is left of documents that are deleted: tombstones with the attributes that outlive them, and what is
// known of the end of others.

#include <algorithm>
#include <utility>

#include "store/expiry.h"
#include "store/tombstone.h"
#include "store/vbucket.h"
#include "store/vbucket_persist.h"

namespace bobbin::store {

base::Result<Document*, RemoveStatus> VBucket::tombstone_of(const Document& document) noexcept {
  if (!document.has_attributes() || document.is_tombstone() || !document.resident()) return nullptr;
  const std::string_view block = document.attributes();
  const auto bytes = static_cast<uint32_t>(surviving_attribute_bytes(block));
  if (bytes == 0) return nullptr;
  Document* const left = Document::create(*table_.account(), document.doc_key(), bytes, 0);
  if (left == nullptr) return base::fail(RemoveStatus::no_memory);
  copy_surviving_attributes(block, left->bytes() + left->key_len_);
  left->datatype_ = Document::kAttributesBit;
  left->revision_and_account_ |= Document::kDeleted;
  return left;
}

void VBucket::date_end(Document& left, const Document& document, uint64_t cas, base::Now now) noexcept {
  left.cas_ = cas;
  left.seqno_ = seqno_;
  left.set_revision(document.next_revision());
  left.last_access_ = now.unix_s();
  left.expiry_ = tombstone_end(now.unix_s());
}

bool VBucket::drop_from_cache(HashTable::Slot slot, bool keep_attributes, std::optional<uint64_t> cas,
                              base::Now now, Aftermath& after) noexcept {
  Document& document = *slot.document();
  Document* left = nullptr;
  if (keep_attributes) {
    const auto made = tombstone_of(document);
    if (!made) return false;
    left = *made;
  }
  count_unlinked(document);
  ++seqno_;
  if (document.collection() != kDefaultCollection) note_change_of(document.collection());
  if (left == nullptr) {
    after.drop(DocumentRef(table_.erase(slot)));
    return true;
  }
  date_end(*left, document, next_cas(cas, now), now);
  count_linked(*left);
  after.drop(DocumentRef(HashTable::replace(slot, left)));
  return true;
}

bool VBucket::count_special(const Document& document, int by) noexcept {
  const auto one = static_cast<uint64_t>(int64_t{by});
  if (document.is_absent()) {
    persistent_->absent += one;
    return false;
  }
  if (document.is_shell()) persistent_->non_resident += one;
  if (!document.is_tombstone()) return true;
  // What was counted of a collection went with it.
  if (!knows(document.collection())) return false;
  if (document.collection() != kDefaultCollection) count_expiry_in_collection(document.collection(), by);
  bump_with_expiry(by);
  return false;
}

Gone VBucket::find_gone(HashTable::Slot slot, DocKey key, uint32_t now_s) noexcept {
  Gone gone;
  const Document* kept = slot ? slot.document() : nullptr;
  if (!slot) {
    if (persistent_ == nullptr) return gone;
    const PersistentState& mine = *persistent_;
    gone.unknown = !mine.knows_all_keys;
    if (!gone.unknown && mine.highest_removal.nothing()) return gone;
    const auto unwritten = mine.removals.find(key, mine.persisted_seqno);
    if (!gone.unknown && !unwritten) kept = mine.removals.recalled(key);
    gone.unknown = !unwritten && kept == nullptr;
    if (gone.unknown) {
      count_blocked();
      return gone;
    }
    if (unwritten) gone.removal = *unwritten;
  }
  if (kept != nullptr) {
    if (!kept->is_gone() || kept->seqno_ == 0) return gone;
    gone.removal = {kept->seqno_, kept->cas_, kept->revision(), deletion_time(kept->expiry_)};
  }
  gone.removed = !is_expired(tombstone_end(gone.removal.time_s), now_s);
  return gone;
}

void VBucket::fetch_gone(DocKey key, uint64_t hash, uint32_t now_s, Fetched& found) noexcept {
  const Gone gone = find_gone(table_.find(key, HashTable::tag_of(hash)), key, now_s);
  found.would_block = gone.unknown;
  if (!gone.removed) return;
  Document* const shown = Document::create(*table_.account(), key, 0, Document::kAbsent);
  found.no_memory = shown == nullptr;
  if (found.no_memory) return;
  shown->cas_ = gone.removal.cas;
  shown->seqno_ = gone.removal.seqno;
  shown->set_revision(gone.removal.revision);
  found.doc = DocumentRef(shown);
  found.cas = gone.removal.cas;
  found.expiry = gone.removal.time_s;
  found.deleted = true;
}

RemoveResult VBucket::remove_gone(DocKey key, uint64_t hash, const RemoveOptions& options, base::Now now,
                                  Aftermath& after) noexcept {
  const HashTable::Slot slot = table_.find(key, HashTable::tag_of(hash));
  const Gone gone = find_gone(slot, key, now.unix_s());
  if (gone.unknown) return {RemoveStatus::would_block};
  if (!gone.removed) return {RemoveStatus::not_found};
  if (options.cas_compare && *options.cas_compare != gone.removal.cas) return {RemoveStatus::exists};
  const uint64_t revision = std::min(gone.removal.revision + 1, kMaxRevision);
  if (!bury_nothing(slot, key, hash, {.keep_attributes = false, .revision = revision}, now, after))
    return {RemoveStatus::no_memory};
  return {RemoveStatus::removed, cas_clock_, seqno_, revision};
}

Loaded VBucket::recall(Draft& found, LoadTicket ticket) noexcept {
  PersistentState& mine = *persistent_;
  const DocKey key = found.doc_key();
  if (mine.removals.find(key, mine.persisted_seqno)) return {LoadStatus::absent, {}};
  // A removal that has come to disk meanwhile may be what the read has missed.
  if (mine.persisted_seqno > ticket.persisted_seqno && mine.may_have_missed(key, ticket))
    return {LoadStatus::read_again, {}};
  // A document has no place in a table that had all of them: its end was long ago, or is damage.
  Draft nothing;
  const bool is_removal = found.document_->is_absent();
  if (!is_removal) nothing = Draft(Document::create(mine.shared.account, key, 0, Document::kAbsent));
  Draft& answer = is_removal ? found : nothing;
  if (!answer) return {LoadStatus::no_memory, {}};
  Document* const kept = answer.document_;
  kept->reference();
  if (!mine.removals.recall(kept)) {
    kept->unreference();
    return {LoadStatus::no_memory, {}};
  }
  return {LoadStatus::absent, DocumentRef(std::exchange(answer.document_, nullptr))};
}

bool VBucket::bury_nothing(HashTable::Slot slot, DocKey key, uint64_t hash, const End& end, base::Now now,
                           Aftermath& after) noexcept {
  if (slot) return bury_at(slot, end, now, after);
  return persistent_->admits(seqno_) && bury_unknown(key, hash, end, seqno_ + 1, now, after);
}

bool VBucket::bury_unknown(DocKey key, uint64_t hash, const End& end, uint64_t seqno, base::Now now,
                           Aftermath& after) noexcept {
  PersistentState& mine = *persistent_;
  const bool is_unknown = !mine.knows_all_keys;
  const bool stays = mine.leaves_placeholders();
  if (!stays && !mine.removals.reserve(mine.persisted_seqno)) return false;
  Document* const left = Document::create(mine.shared.account, key, 0, Document::kAbsent);
  if (left == nullptr) return false;
  if (stays && !table_.insert(left, HashTable::tag_of(hash))) {
    left->unreference();
    return false;
  }
  seqno_ = seqno;
  left->last_access_ = now.unix_s();
  left->cas_ = next_cas(end.explicit_cas, now);
  left->seqno_ = seqno;
  left->set_revision(*end.revision);
  left->expiry_ = tombstone_end(moment_of_end(end, now));
  mine.note_removal(left->revision(), left->cas_);
  if (stays) {
    count_linked(*left);
    left->reference();
  } else {
    mine.removals.note(key, {seqno, left->cas_, left->revision(), moment_of_end(end, now)});
    mine.note_unlinked(key, seqno);
  }
  if (key.collection() != kDefaultCollection) note_change_of(key.collection());
  append_change(end.kind, left, seqno, left->cas_, is_unknown ? ChangeLog::kPriorUnknown : uint8_t{0}, after);
  return true;
}

bool VBucket::may_forget(const Document& tombstone) const noexcept {
  return persistent_ == nullptr || tombstone.seqno_ <= persistent_->persisted_seqno;
}

}  // namespace bobbin::store
