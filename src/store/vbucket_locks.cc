// Documents that clients lock: who reads them sees no CAS, and who does not know it changes nothing.

#include <algorithm>
#include <utility>

#include "store/vbucket.h"
#include "store/vbucket_persist.h"

namespace bobbin::store {

bool VBucket::has_room_for_lock(uint32_t now_s) noexcept {
  if (locks_ == nullptr) locks_ = std::make_unique<DocumentLocks>();
  if (!locks_->full()) return true;
  const Document* const freed = locks_->evict(now_s);
  if (freed == nullptr) return false;
  const_cast<Document*>(freed)->state_ &= static_cast<uint8_t>(~Document::kLocked);
  return true;
}

void VBucket::drop_lock(const Document& document) noexcept {
  locks_->erase(document);
  const_cast<Document&>(document).state_ &= static_cast<uint8_t>(~Document::kLocked);
}

LockResult VBucket::lock(DocKey key, uint64_t hash, uint32_t seconds, base::Now now) noexcept {
  Aftermath after;
  LockResult result;
  const base::MutexLock lock(mutex_);
  result.status = LockStatus::unknown_collection;
  if (!knows(key.collection())) return result;
  result.status = LockStatus::not_found;
  const HashTable::Slot slot = find_live(key, hash, now.unix_s(), after);
  if (!slot) {
    result.found.expired = after.expired;
    if (after.unknown) result.status = LockStatus::would_block;
    return result;
  }
  Document& document = *slot.document();
  if (document.is_shell()) {
    count_blocked();
    result.status = LockStatus::would_block;
    return result;
  }
  DocumentLocks::Entry* entry = lock_of(document);
  if (entry != nullptr && entry->holds(now.unix_s())) {
    result.status = LockStatus::refused;
    return result;
  }
  result.status = LockStatus::no_memory;
  if (entry == nullptr && !has_room_for_lock(now.unix_s())) return result;
  if (!document.try_reference()) return result;
  result.found.doc = DocumentRef(&document);
  if (entry == nullptr) entry = locks_->add(document);
  document.state_ |= Document::kLocked;
  entry->cas = next_cas(std::nullopt, now);
  entry->until_s = now.unix_s() + seconds;
  result.status = LockStatus::locked;
  FetchOptions options;
  options.cannot_win = true;
  inspect(document, options, now.unix_s(), result.found);
  return result;
}

LockStatus VBucket::unlock(DocKey key, uint64_t hash, uint64_t cas, uint32_t now_s) noexcept {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  if (!knows(key.collection())) return LockStatus::unknown_collection;
  const HashTable::Slot slot = find_live(key, hash, now_s, after);
  if (!slot) return after.unknown ? LockStatus::would_block : LockStatus::not_found;
  DocumentLocks::Entry* const entry = lock_of(*slot.document());
  if (entry == nullptr || !entry->holds(now_s)) return LockStatus::not_locked;
  if (entry->cas != cas) return LockStatus::refused;
  entry->until_s = 0;
  return LockStatus::unlocked;
}

}  // namespace bobbin::store
