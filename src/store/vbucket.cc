#include "store/vbucket.h"

#include <algorithm>

#include "store/expiry.h"
#include "store/memory.h"
#include "store/vbucket_collections.h"
#include "store/vbucket_persist.h"

namespace bobbin::store {

namespace {

// A document's counter: hits raise it to this, each passing of the hand lowers it by one.
constexpr uint8_t kMaxFrequency = 3;

template <typename Number>
void bump(std::atomic<Number>& counter, int by) noexcept {
  // Only the lock's owner writes, so this needs no atomic addition.
  counter.store(counter.load(std::memory_order_relaxed) + static_cast<Number>(by), std::memory_order_relaxed);
}

}  // namespace

VBucket::VBucket() noexcept = default;
VBucket::~VBucket() = default;

void VBucket::attach(MemoryAccount& account) noexcept {
  const base::MutexLock lock(mutex_);
  table_ = HashTable(&account);
}

void VBucket::count(const Document& document, int by) noexcept {
  if (document.collection() != kDefaultCollection && !count_in_collection(document, by)) [[unlikely]]
    return;
  bump(items_, by);
  if (document.expiry_ != kNeverExpires) bump(with_expiry_, by);
  item_bytes_ += static_cast<uint64_t>(int64_t{by}) * document.size();
}

void VBucket::bump_with_expiry(int by) noexcept {
  bump(with_expiry_, by);
}

void VBucket::count_linked(const Document& document) noexcept {
  if (document.is_special() && !count_special(document, 1)) [[unlikely]]
    return;
  count(document, 1);
}

void VBucket::count_unlinked(const Document& document) noexcept {
  if ((document.state_ & Document::kLocked) != 0) [[unlikely]]
    drop_lock(document);
  if (document.is_special() && !count_special(document, -1)) [[unlikely]]
    return;
  count(document, -1);
}

void VBucket::count_expired(const Document& document) noexcept {
  count_unlinked(document);
  ++events_.expired;
  if ((document.state_ & Document::kFetched) == 0) ++events_.expired_unfetched;
}

void VBucket::find_dead(HashTable::Slot slot, uint32_t now_s, Aftermath& after) noexcept {
  if (!slot) {
    after.unknown = is_unknown(slot);
    if (after.unknown) count_blocked();
    return;
  }
  Document* const document = slot.document();
  if (document->is_gone()) return;
  if (persistent_ != nullptr) {
    if (!bury_at(slot, {ChangeKind::expiration}, {uint64_t{now_s} * 1'000'000'000}, after)) return;
  } else {
    count_expired(*document);
    after.drop(DocumentRef(table_.erase(slot)));
  }
  after.expired = true;
}

void VBucket::count_access(Document& document, uint32_t now_s) noexcept {
  if (document.last_access_ != now_s) document.last_access_ = now_s;
  if (document.frequency_ < kMaxFrequency) ++document.frequency_;
  if ((document.state_ & Document::kFetched) == 0) document.state_ |= Document::kFetched;
}

void VBucket::set_expiry(Document& document, uint32_t expiry) noexcept {
  const bool had = document.expiry_ != kNeverExpires;
  const bool has = expiry != kNeverExpires;
  if (had != has) {
    bump(with_expiry_, has ? 1 : -1);
    if (document.collection() != kDefaultCollection)
      count_expiry_in_collection(document.collection(), has ? 1 : -1);
  }
  document.expiry_ = expiry;
}

Fetched VBucket::fetch(DocKey key, uint64_t hash, uint32_t now_s) noexcept {
  Aftermath after;
  Fetched found;
  const base::MutexLock lock(mutex_);
  found.unknown_collection = !knows(key.collection());
  if (found.unknown_collection) [[unlikely]]
    return found;
  const HashTable::Slot slot = find_live(key, hash, now_s, after);
  if (!slot) {
    found.expired = after.expired;
    found.would_block = after.unknown;
    return found;
  }
  Document& document = *slot.document();
  if (document.is_shell()) [[unlikely]] {
    count_blocked();
    found.would_block = true;
    return found;
  }
  if (!document.try_reference()) return found;
  found.doc = DocumentRef(&document);
  found.cas = cas_of(document);
  found.locked = is_locked(document, now_s);
  found.expiry = document.expiry_;
  found.expiry_before = document.expiry_;
  found.last_access = document.last_access_;
  const uint8_t state = document.state_;
  found.fetched_before = (state & Document::kFetched) != 0;
  found.stale = (state & Document::kStale) != 0;
  found.already_won = (state & Document::kTokenSent) != 0;
  count_access(document, now_s);
  return found;
}

Fetched VBucket::fetch(DocKey key, uint64_t hash, const FetchOptions& options, uint32_t now_s) noexcept {
  Aftermath after;
  Fetched found;
  const base::MutexLock lock(mutex_);
  found.unknown_collection = !knows(key.collection());
  if (found.unknown_collection) [[unlikely]]
    return found;
  const HashTable::Slot slot = find_there(key, hash, options.finds_deleted, now_s, after);
  if (!slot) {
    found.expired = after.expired;
    found.would_block = after.unknown;
    if (options.finds_deleted && !after.unknown) fetch_gone(key, hash, now_s, found);
    return found;
  }
  Document& document = *slot.document();
  if (document.is_shell() && options.needs_value) [[unlikely]] {
    count_blocked();
    found.would_block = true;
    return found;
  }
  found.locked = is_locked(document, now_s);
  if (found.locked && options.touch) return found;
  if (!document.try_reference()) return found;
  found.doc = DocumentRef(&document);
  found.expiry_before = document.expiry_;
  found.last_access = document.last_access_;
  // In a persistent bucket a new expiry is a new document: touch_over.
  if (options.touch && persistent_ == nullptr)
    set_expiry(document, expiry_in(key.collection(), *options.touch, now_s));
  inspect(document, options, now_s, found);
  return found;
}

void VBucket::inspect(Document& document, const FetchOptions& options, uint32_t now_s,
                      Fetched& found) noexcept {
  found.fetched_before = (document.state_ & Document::kFetched) != 0;
  found.stale = (document.state_ & Document::kStale) != 0;
  found.deleted = document.is_tombstone();
  found.expiry = found.deleted ? deletion_time(document.expiry_) : document.expiry_;
  found.cas = cas_of(document);
  found.locked = is_locked(document, now_s);

  const uint32_t judged = options.recache_before_touch ? found.expiry_before : found.expiry;
  const bool low =
      options.recache_s && judged != kNeverExpires && (judged < now_s || judged - now_s < *options.recache_s);
  if ((document.state_ & Document::kTokenSent) != 0) {
    found.already_won = true;
  } else if ((found.stale || low) && !options.cannot_win) {
    found.won = true;
    document.state_ |= Document::kTokenSent;
    if (persistent_ != nullptr) remember_token(document);
  }
  if (!options.no_bump) count_access(document, now_s);
}

Peeked VBucket::describe(Document& document, uint32_t now_s) const noexcept {
  Peeked seen;
  seen.cas = is_locked(document, now_s) ? kLockedCas : cas_of(document);
  seen.expiry = document.expiry_;
  seen.last_access = document.last_access_;
  seen.fetched = (document.state_ & Document::kFetched) != 0;
  seen.stale = (document.state_ & Document::kStale) != 0;
  seen.token_sent = (document.state_ & Document::kTokenSent) != 0;
  seen.frequency = document.frequency_;
  if (document.try_reference()) seen.doc = DocumentRef(&document);
  return seen;
}

std::optional<Peeked> VBucket::peek(DocKey key, uint64_t hash, uint32_t now_s) noexcept {
  const base::MutexLock lock(mutex_);
  if (!knows(key.collection())) return std::nullopt;
  const HashTable::Slot slot = table_.find(key, HashTable::tag_of(hash));
  if (is_unknown(slot)) {
    count_blocked();
    Peeked unknown;
    unknown.would_block = true;
    return unknown;
  }
  if (!slot || !is_live(*slot.document(), now_s)) return std::nullopt;
  Peeked seen = describe(*slot.document(), now_s);
  if (!seen.doc) return std::nullopt;
  return seen;
}

Snapshot VBucket::snapshot(DocKey key, uint64_t hash, uint32_t now_s) noexcept {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  Snapshot seen;
  seen.unknown_collection = !knows(key.collection());
  if (seen.unknown_collection) [[unlikely]]
    return seen;
  const HashTable::Slot slot = find_live(key, hash, now_s, after);
  seen.unknown = after.unknown;
  if (!slot) return seen;
  seen.expiry = slot.document()->expiry_;
  seen.cas = cas_of(*slot.document());
  seen.locked = is_locked(*slot.document(), now_s);
  seen.refused = !slot.document()->try_reference();
  if (!seen.refused) seen.doc = DocumentRef(slot.document());
  return seen;
}

TouchStatus VBucket::touch(DocKey key, uint64_t hash, uint32_t& expiry, uint32_t now_s) noexcept {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  if (!knows(key.collection())) return TouchStatus::unknown_collection;
  const HashTable::Slot slot = find_live(key, hash, now_s, after);
  if (!slot) return TouchStatus::not_found;
  if (is_locked(*slot.document(), now_s)) return TouchStatus::locked;
  expiry = expiry_in(key.collection(), expiry, now_s);
  set_expiry(*slot.document(), expiry);
  count_access(*slot.document(), now_s);
  return TouchStatus::touched;
}

void VBucket::prefetch_line(uint64_t hash) const noexcept {
  const base::MutexLock lock(mutex_);
  const HashTable::Line* line = table_.line_of(HashTable::tag_of(hash));
  if (line != nullptr) __builtin_prefetch(line);
}

void VBucket::prefetch_document(uint64_t hash) const noexcept {
  const base::MutexLock lock(mutex_);
  const Document* document = table_.candidate(HashTable::tag_of(hash));
  if (document == nullptr) return;
  // Not only for who reads it: what a set replaces is freed, and its memory is what the next set writes to.
  // With documents of 100 bytes, which span three lines, the third alone made sets a thirteenth faster.
  constexpr size_t kLines = 3;
  for (size_t i = 0; i < kLines; ++i)
    __builtin_prefetch(reinterpret_cast<const char*>(document) + i * sizeof(HashTable::Line));
}

uint32_t VBucket::reclaim(Reclaim mode, uint32_t documents, uint32_t now_s, Victims& victims) noexcept {
  if (persistent_ != nullptr) return reclaim_persistent(mode, documents, now_s, victims);
  // Tombstones are no items.
  if (items_hint() == 0 && items_with_expiry_hint() == 0 && !has_dropped_.load(std::memory_order_relaxed))
    return 0;
  uint32_t examined = 0;
  const base::MutexLock lock(mutex_);
  // Runs under the lock that this function holds, which the analysis does not see from inside of a lambda.
  const auto judge = [&](Document* document) BOBBIN_THREAD_ANNOTATION(no_thread_safety_analysis) {
    ++examined;
    if (victims.full()) return false;
    if (is_dropped(*document)) {
      count_unlinked(*document);
      victims.expired[victims.expired_count++] = DocumentRef(document);
      return true;
    }
    const bool tombstone = document->is_tombstone();
    if (is_expired(document->expiry_, now_s)) {
      if (tombstone) {
        count_unlinked(*document);
      } else {
        count_expired(*document);
        ++events_.reclaimed;
      }
      victims.expired[victims.expired_count++] = DocumentRef(document);
      return true;
    }
    if (mode == Reclaim::expired_only) return false;
    // Somebody reads it or sends it: its memory would not come back now, and it is in use.
    if (document->references() > 1 || is_locked(*document, now_s)) return false;
    if (document->frequency_ > 0 && mode == Reclaim::clock) {
      --document->frequency_;
      return false;
    }
    // Where something has expired, the living are spared.
    if (victims.expired_count != 0) return false;
    count_unlinked(*document);
    if (tombstone) {
      victims.expired[victims.expired_count++] = DocumentRef(document);
      return true;
    }
    const bool fetched = (document->state_ & Document::kFetched) != 0;
    ++events_.evictions;
    if (!fetched) ++events_.evicted_unfetched;
    if (document->expiry_ != kNeverExpires) ++events_.evicted_with_expiry;
    victims.evicted[victims.evicted_count++] = {DocumentRef(document),
                                                {fetched, document->expiry_, document->last_access_}};
    return true;
  };
  // Once round is enough: two passes are for two calls.
  for (bool came_round = false; examined < documents && !came_round && !victims.full();) {
    hand_ = table_.visit_bucket(hand_, judge);
    came_round = hand_ == HashTable::kEnd;
    if (came_round) hand_ = 0;
  }
  return examined;
}

uint32_t VBucket::sweep(uint32_t& cursor, uint32_t documents, uint32_t now_s, Victims& victims) noexcept {
  uint32_t examined = 0;
  Aftermath after;
  const base::MutexLock lock(mutex_);
  // Runs under the lock that this function holds, which the analysis does not see from inside of a lambda.
  const auto judge = [&](Document* document)
                         BOBBIN_THREAD_ANNOTATION(no_thread_safety_analysis) -> Document* {
    ++examined;
    if (!is_expired(document->expiry_, now_s) || victims.full() || is_dropped(*document)) return document;
    if (document->is_tombstone()) {
      if (!may_forget(*document)) return document;
      count_unlinked(*document);
      victims.expired[victims.expired_count++] = DocumentRef(document);
      return nullptr;
    }
    // The placeholder of a copy keeps when its document went.
    if (document->is_absent()) return document;
    if (persistent_ != nullptr) {
      Document* const stays =
          bury(document, {ChangeKind::expiration}, {uint64_t{now_s} * 1'000'000'000}, after);
      // It is the log's now; only its number counts.
      if (stays != document) ++victims.expired_count;
      return stays;
    }
    count_expired(*document);
    victims.expired[victims.expired_count++] = DocumentRef(document);
    return nullptr;
  };
  while (examined < documents && cursor != HashTable::kEnd && !victims.full()) {
    const uint32_t next = table_.visit_bucket(cursor, judge);
    // A bucket that filled the list may hold more: come back to it.
    if (!victims.full()) cursor = next;
  }
  return examined;
}

void VBucket::walk(uint32_t& cursor, uint32_t now_s, std::vector<Peeked>& found) noexcept {
  const base::MutexLock lock(mutex_);
  // Runs under the lock that this function holds, which the analysis does not see from inside of a lambda.
  cursor = table_.visit_bucket(cursor,
                               [&](Document* document) BOBBIN_THREAD_ANNOTATION(no_thread_safety_analysis) {
                                 if (!is_live(*document, now_s) || is_dropped(*document)) return false;
                                 Peeked seen = describe(*document, now_s);
                                 if (seen.doc) found.push_back(std::move(seen));
                                 return false;
                               });
}

void VBucket::measure(uint32_t& cursor, uint32_t now_s, std::vector<Measured>& found) noexcept {
  const base::MutexLock lock(mutex_);
  cursor = table_.visit_bucket(
      cursor, [&](Document* document) BOBBIN_THREAD_ANNOTATION(no_thread_safety_analysis) {
        if (!is_live(*document, now_s) || is_dropped(*document)) return false;
        const size_t size = document->size();
        found.push_back({size, allocated_size(document, size), document->last_access_});
        return false;
      });
}

HashTable VBucket::take_table() noexcept {
  HashTable taken = std::move(table_);
  table_ = HashTable(taken.account());
  items_.store(0, std::memory_order_relaxed);
  with_expiry_.store(0, std::memory_order_relaxed);
  item_bytes_ = 0;
  hand_ = 0;
  locks_.reset();
  if (collections_ != nullptr) collections_->forget_documents();
  has_dropped_.store(false, std::memory_order_relaxed);
  return taken;
}

VBucket::CutOff VBucket::cut_off(base::Now now) noexcept {
  Aftermath after;
  const base::MutexLock lock(mutex_);
  CutOff taken{take_table(), {}};
  if (persistent_ != nullptr) taken.changes = log_flush(now, after);
  return taken;
}

uint64_t VBucket::items_with_expiry() const noexcept {
  const base::MutexLock lock(mutex_);
  return with_expiry_.load(std::memory_order_relaxed);
}

void VBucket::add_to(Statistics& sum) const noexcept {
  const base::MutexLock lock(mutex_);
  sum.items += items();
  sum.items_with_expiry += with_expiry_.load(std::memory_order_relaxed);
  sum.item_bytes += item_bytes_;
  sum.table_bytes += table_.bytes();
  sum.total_items += events_.total_items;
  sum.evictions += events_.evictions;
  sum.evicted_unfetched += events_.evicted_unfetched;
  sum.evicted_with_expiry += events_.evicted_with_expiry;
  sum.expired += events_.expired;
  sum.expired_unfetched += events_.expired_unfetched;
  sum.reclaimed += events_.reclaimed;
  if (persistent_ != nullptr) add_persistent_to(sum);
}

void VBucket::reset_statistics() noexcept {
  const base::MutexLock lock(mutex_);
  events_ = {};
}

}  // namespace bobbin::store
