// What a vbucket does with scopes and collections: counts, limits, announces, drops.

#include "store/vbucket_collections.h"

#include <algorithm>
#include <utility>

#include "store/expiry.h"
#include "store/vbucket.h"
#include "store/vbucket_persist.h"

namespace bobbin::store {

namespace {

template <typename Elements, typename Id>
auto position_of(Elements& elements, uint32_t id, Id id_of) noexcept {
  return std::lower_bound(elements.begin(), elements.end(), id,
                          [&](const auto& element, uint32_t wanted) { return id_of(element) < wanted; });
}

CollectionId id_of(const CollectionCount& count) noexcept {
  return count.id;
}

ScopeId id_of_scope(const VBucketCollections::ScopeEvent& scope) noexcept {
  return scope.id;
}

void take_off(std::atomic<uint64_t>& counter, uint64_t by) noexcept {
  // Only the lock's owner writes.
  counter.store(counter.load(std::memory_order_relaxed) - by, std::memory_order_relaxed);
}

}  // namespace

CollectionCount* VBucketCollections::find(CollectionId id) noexcept {
  const auto at = position_of(counts, id, id_of);
  return at != counts.end() && at->id == id ? &*at : nullptr;
}

VBucketCollections::ScopeEvent* VBucketCollections::find_scope(ScopeId id) noexcept {
  const auto at = position_of(scopes, id, id_of_scope);
  return at != scopes.end() && at->id == id ? &*at : nullptr;
}

uint32_t VBucketCollections::max_ttl_s(CollectionId id) noexcept {
  if (id == kDefaultCollection) return default_ttl_s.value_or(bucket_ttl_s);
  const CollectionCount* const found = find(id);
  return found == nullptr ? 0 : found->max_ttl_s.value_or(bucket_ttl_s);
}

CollectionCount& VBucketCollections::insert(const CollectionCount& count) {
  return *counts.insert(position_of(counts, count.id, id_of), count);
}

VBucketCollections::ScopeEvent& VBucketCollections::insert_scope(ScopeId id) {
  return *scopes.insert(position_of(scopes, id, id_of_scope), {id, 0, true});
}

std::optional<CollectionCount> VBucketCollections::take_event(const CollectionEvent& event, uint64_t seqno) {
  std::optional<CollectionCount> gone;
  switch (event.kind) {
    case EventKind::scope_created: {
      ScopeEvent* scope = find_scope(event.scope);
      if (scope == nullptr) scope = &insert_scope(event.scope);
      *scope = {event.scope, seqno, true};
      break;
    }
    case EventKind::scope_dropped:
      std::erase_if(scopes, [&](const ScopeEvent& scope) { return scope.id == event.scope; });
      break;
    case EventKind::collection_created:
    case EventKind::collection_changed: {
      CollectionCount* count = find(event.collection);
      if (count == nullptr) {
        CollectionCount fresh;
        fresh.id = event.collection;
        count = &insert(fresh);
      }
      count->scope = event.scope;
      count->max_ttl_s = event.max_ttl_s;
      if (event.kind == EventKind::collection_created || count->created_seqno == 0)
        count->created_seqno = seqno;
      count->high_seqno = seqno;
      count->changed = true;
      break;
    }
    case EventKind::collection_dropped:
      if (const CollectionCount* const found = find(event.collection)) gone = *found;
      std::erase_if(counts, [&](const CollectionCount& count) { return count.id == event.collection; });
      break;
  }
  return gone;
}

void VBucketCollections::forget_documents() noexcept {
  for (CollectionCount& count : counts) {
    count.with_expiry = 0;
    count.items = 0;
    count.bytes = 0;
    count.on_disk_only = 0;
    count.changed = true;
  }
  // The dropped are gone with the others.
  sweep_cursor = HashTable::kEnd;
}

void VBucketCollections::restore(const VBucketState& state) {
  for (const ScopeState& scope : state.scopes)
    insert_scope(scope.id) = {scope.id, scope.created_seqno, false};
  for (const CollectionState& collection : state.collections) {
    CollectionCount count;
    count.id = collection.id;
    count.scope = collection.scope;
    count.max_ttl_s = collection.max_ttl_s;
    count.created_seqno = collection.created_seqno;
    count.high_seqno = collection.high_seqno;
    count.on_disk_only = static_cast<int64_t>(collection.items);
    insert(count);
  }
}

void VBucketCollections::append(VBucketState& state, const ScopeEvent& scope) const {
  const Scope* const known = table == nullptr ? nullptr : table->manifest().scope(scope.id);
  state.scopes.push_back({scope.id, scope.created_seqno, known == nullptr ? std::string() : known->name});
}

void VBucketCollections::append(VBucketState& state, const CollectionCount& count) const {
  const Collection* const known = table == nullptr ? nullptr : table->manifest().collection(count.id);
  state.collections.push_back({count.id, count.scope, count.max_ttl_s, count.created_seqno, count.high_seqno,
                               count.all_items(), known == nullptr ? std::string() : known->name});
}

void VBucketCollections::take_changed(VBucketState& state) {
  for (ScopeEvent& scope : scopes) {
    if (std::exchange(scope.changed, false)) append(state, scope);
  }
  for (CollectionCount& count : counts) {
    if (std::exchange(count.changed, false)) append(state, count);
  }
}

void VBucketCollections::append_all(VBucketState& state) const {
  for (const ScopeEvent& scope : scopes)
    if (scope.created_seqno != 0) append(state, scope);
  for (const CollectionCount& count : counts)
    if (count.created_seqno != 0) append(state, count);
}

// --- counting ---

bool VBucket::count_in_collection(const Document& document, int by) noexcept {
  CollectionCount* const count =
      collections_ == nullptr ? nullptr : collections_->find(document.collection());
  if (count == nullptr) return false;
  const auto one = static_cast<uint64_t>(int64_t{by});
  count->items += one;
  count->bytes += one * document.size();
  if (document.expiry_ != kNeverExpires) count->with_expiry += static_cast<uint32_t>(by);
  return true;
}

void VBucket::count_expiry_in_collection(CollectionId id, int by) noexcept {
  CollectionCount* const count = collections_ == nullptr ? nullptr : collections_->find(id);
  if (count != nullptr) count->with_expiry += static_cast<uint32_t>(by);
}

void VBucket::count_on_disk_only(CollectionId id, int64_t by) noexcept {
  persistent_->on_disk_only += by;
  if (id == kDefaultCollection || collections_ == nullptr) return;
  if (CollectionCount* const count = collections_->find(id)) count->on_disk_only += by;
}

void VBucket::note_change_of(CollectionId id) noexcept {
  CollectionCount* const count = collections_ == nullptr ? nullptr : collections_->find(id);
  if (count == nullptr) return;
  count->high_seqno = seqno_;
  count->changed = true;
}

bool VBucket::has_collection(CollectionId id) const noexcept {
  return collections_ != nullptr && collections_->find(id) != nullptr;
}

uint32_t VBucket::limited(CollectionId id, uint32_t expiry, uint32_t now_s) const noexcept {
  // Who changed the original has limited it.
  if (persistent_ != nullptr && persistent_->follows) return expiry;
  const uint32_t ttl_s = collections_->max_ttl_s(id);
  if (ttl_s == 0) return expiry;
  const uint32_t latest = ttl_s < UINT32_MAX - now_s ? now_s + ttl_s : UINT32_MAX;
  return expiry == kNeverExpires ? latest : std::min(expiry, latest);
}

// --- what the manifest says ---

uint64_t VBucket::log_event(DocumentRef event, base::Now now, Aftermath& after) noexcept {
  if (persistent_ == nullptr) return ++seqno_;
  // What is not announced now is announced by the next start.
  if (!event || !persistent_->admits(seqno_)) return 0;
  const uint64_t cas = next_cas(std::nullopt, now);
  append_change(ChangeKind::event, event.release(), ++seqno_, cas, 0, after);
  return seqno_;
}

void VBucket::set_bucket_ttl(uint32_t ttl_s) {
  auto fresh = ttl_s == 0 ? nullptr : std::make_unique<VBucketCollections>();
  const base::MutexLock lock(mutex_);
  if (collections_ == nullptr) collections_ = std::move(fresh);
  if (collections_ != nullptr) collections_->bucket_ttl_s = ttl_s;
}

bool VBucket::set_collections(const std::shared_ptr<const CollectionTable>& table, EventDocuments& events,
                              base::Now now) {
  auto fresh = table->is_plain() ? nullptr : std::make_unique<VBucketCollections>();
  Aftermath after;
  const base::MutexLock lock(mutex_);
  if (collections_ == nullptr) {
    if (fresh == nullptr) return false;
    collections_ = std::move(fresh);
  }
  VBucketCollections& mine = *collections_;
  mine.table = table;
  // A copy learns of collections by its source's events.
  if (persistent_ != nullptr && persistent_->follows) return false;
  mine.default_ttl_s = table->manifest().collection(kDefaultCollection)->max_ttl_s;
  const bool has_dropped = drop_collections(events, now, after);
  for (const Scope& scope : table->manifest().scopes()) {
    if (scope.id != kDefaultScope && mine.find_scope(scope.id) == nullptr) mine.insert_scope(scope.id);
  }
  for (const Collection& collection : table->manifest().collections()) {
    if (collection.id == kDefaultCollection) continue;
    CollectionCount* const known = mine.find(collection.id);
    if (known == nullptr) {
      CollectionCount count;
      count.id = collection.id;
      count.scope = collection.scope;
      count.max_ttl_s = collection.max_ttl_s;
      count.changed = true;
      mine.insert(count);
    } else if (known->max_ttl_s != collection.max_ttl_s) {
      known->max_ttl_s = collection.max_ttl_s;
      known->changed = true;
      const uint64_t seqno = log_event(events.find(EventKind::collection_changed, collection.scope,
                                                   collection.id, collection.max_ttl_s, collection.name),
                                       now, after);
      known->high_seqno = std::max(known->high_seqno, seqno);
    }
  }
  announce_collections(now, after);
  return has_dropped;
}

bool VBucket::drop_collections(EventDocuments& events, base::Now now, Aftermath& after) {
  VBucketCollections& mine = *collections_;
  const Manifest& manifest = mine.table->manifest();
  const size_t before = mine.counts.size();
  // Runs under the lock that this function's caller holds, which the analysis does not see from inside of a
  // lambda.
  const auto drop = [&](const CollectionCount& count) BOBBIN_THREAD_ANNOTATION(no_thread_safety_analysis) {
    if (manifest.collection(count.id) != nullptr) return false;
    take_off_counts(count);
    const uint64_t seqno =
        log_event(events.find(EventKind::collection_dropped, count.scope, count.id), now, after);
    if (persistent_ == nullptr) return true;
    persistent_->dropped_seqno = seqno == 0 ? UINT64_MAX : std::max(persistent_->dropped_seqno, seqno);
    return true;
  };
  std::erase_if(mine.counts, drop);
  std::erase_if(mine.scopes, [&](const VBucketCollections::ScopeEvent& scope) BOBBIN_THREAD_ANNOTATION(
                                 no_thread_safety_analysis) {
    if (manifest.scope(scope.id) != nullptr) return false;
    (void)log_event(events.find(EventKind::scope_dropped, scope.id, 0), now, after);
    return true;
  });
  const bool has_dropped = mine.counts.size() != before;
  if (has_dropped) begin_sweep_of_dropped();
  return has_dropped;
}

void VBucket::take_off_counts(const CollectionCount& count) noexcept {
  take_off(items_, count.items);
  with_expiry_.store(with_expiry_.load(std::memory_order_relaxed) - count.with_expiry,
                     std::memory_order_relaxed);
  item_bytes_ -= count.bytes;
  if (persistent_ != nullptr) persistent_->on_disk_only -= count.on_disk_only;
}

void VBucket::begin_sweep_of_dropped() noexcept {
  collections_->sweep_cursor = 0;
  has_dropped_.store(true, std::memory_order_relaxed);
}

void VBucket::announce_collections(base::Now now, Aftermath& after) noexcept {
  VBucketCollections& mine = *collections_;
  if (mine.table == nullptr) return;
  for (VBucketCollections::ScopeEvent& scope : mine.scopes) {
    if (scope.created_seqno != 0) continue;
    scope.created_seqno = log_event(mine.table->announcement_of_scope(scope.id), now, after);
    scope.changed = true;
  }
  for (CollectionCount& count : mine.counts) {
    if (count.created_seqno != 0) continue;
    count.created_seqno = log_event(mine.table->announcement_of(count.id), now, after);
    count.high_seqno = std::max(count.high_seqno, count.created_seqno);
    count.changed = true;
  }
}

void VBucket::announce_again(base::Now now, Aftermath& after) noexcept {
  if (collections_ == nullptr) return;
  for (VBucketCollections::ScopeEvent& scope : collections_->scopes)
    scope.created_seqno = 0;
  for (CollectionCount& count : collections_->counts)
    count.created_seqno = 0;
  announce_collections(now, after);
}

bool VBucket::sweep_dropped(uint32_t documents, uint32_t& examined, Victims& victims) noexcept {
  const base::MutexLock lock(mutex_);
  if (collections_ == nullptr) return false;
  uint32_t& cursor = collections_->sweep_cursor;
  const auto judge = [&](Document* document) BOBBIN_THREAD_ANNOTATION(no_thread_safety_analysis) {
    ++examined;
    if (!is_dropped(*document) || victims.full()) return false;
    count_unlinked(*document);
    victims.expired[victims.expired_count++] = DocumentRef(document);
    return true;
  };
  const uint32_t begun = examined;
  while (examined - begun < documents && cursor != HashTable::kEnd && !victims.full()) {
    const uint32_t next = table_.visit_bucket(cursor, judge);
    // A bucket that filled the list may hold more: come back to it.
    if (!victims.full()) cursor = next;
  }
  const bool has_more = cursor != HashTable::kEnd;
  has_dropped_.store(has_more, std::memory_order_relaxed);
  return has_more;
}

std::optional<uint64_t> VBucket::dropped_seqno_on_disk(CollectionId id) const noexcept {
  const base::MutexLock lock(mutex_);
  if (has_collection(id) || persistent_->dropped_seqno > persistent_->persisted_seqno) return std::nullopt;
  return persistent_->dropped_seqno;
}

uint64_t VBucket::high_seqno_of(CollectionId collection) const noexcept {
  const base::MutexLock lock(mutex_);
  if (collection == kDefaultCollection) return seqno_;
  const CollectionCount* const count = collections_ == nullptr ? nullptr : collections_->find(collection);
  return count == nullptr ? 0 : count->high_seqno;
}

bool VBucket::has_documents_of(CollectionId collection) const noexcept {
  const base::MutexLock lock(mutex_);
  if (collection != kDefaultCollection) {
    const CollectionCount* const count = collections_ == nullptr ? nullptr : collections_->find(collection);
    return count != nullptr && count->items != 0;
  }
  if (collections_ == nullptr) return items() != 0;
  uint64_t others = 0;
  for (const CollectionCount& count : collections_->counts)
    others += count.items;
  return items() > others;
}

void VBucket::add_collections_to(std::map<CollectionId, CollectionStatistics>& sums) const {
  const base::MutexLock lock(mutex_);
  CollectionStatistics& rest = sums[kDefaultCollection];
  rest.items += items();
  rest.bytes += item_bytes_;
  rest.high_seqno = std::max(rest.high_seqno, seqno_);
  if (collections_ == nullptr) return;
  for (const CollectionCount& count : collections_->counts) {
    CollectionStatistics& sum = sums[count.id];
    const bool counts_disk = persistent_ != nullptr && persistent_->counts_disk();
    const uint64_t here = counts_disk ? count.all_items() : count.items;
    sum.items += here;
    sum.bytes += count.bytes;
    sum.high_seqno = std::max(sum.high_seqno, count.high_seqno);
    rest.items -= std::min(rest.items, here);
    rest.bytes -= std::min(rest.bytes, count.bytes);
  }
}

}  // namespace bobbin::store
