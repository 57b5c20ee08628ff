// What is left of documents that are deleted: tombstones with the attributes that outlive them.

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
  left.set_revision(document.revision() + 1);
  if (!left.is_tombstone()) return;
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

bool VBucket::may_forget(const Document& tombstone) const noexcept {
  return persistent_ == nullptr || tombstone.seqno_ <= persistent_->persisted_seqno;
}

}  // namespace bobbin::store
