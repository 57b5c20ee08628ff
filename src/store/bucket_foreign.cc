// Operations of Bucket that carry documents between servers, or look at them as an operator does.

#include <algorithm>

#include "base/work.h"
#include "store/bucket.h"
#include "store/vbucket.h"

namespace bobbin::store {

namespace {

// Documents, and places where there are none, that a search for any document looks at: it is on a loop.
constexpr size_t kMostLookedAt = 4096;

}  // namespace

StoreResult Bucket::store_foreign(Draft& draft, const ForeignChange& change, base::Now now) {
  flush_if_due(now.unix_s());
  const Key at = locate(draft.doc_key());
  const StoreResult result = at.vbucket.publish_foreign(draft, at.hash, change, options_.conflicts, now);
  if (result.ok()) note_expiry(result.expiry);
  return result;
}

RemoveResult Bucket::remove_foreign(DocKey key, const ForeignChange& change, base::Now now) {
  flush_if_due(now.unix_s());
  const Key at = locate(key);
  Room room = Room::unmade;
  const RemoveResult result = at.vbucket.remove_foreign(key, at.hash, change, options_.conflicts, room, now);
  if (room != Room::wanted || !make_room(0, now)) return result;
  room = Room::made;
  return at.vbucket.remove_foreign(key, at.hash, change, options_.conflicts, room, now);
}

std::optional<Peeked> Bucket::any(uint64_t random, CollectionId collection, base::Now now, bool& gave_up) {
  flush_if_due(now.unix_s());
  gave_up = false;
  size_t looked_at = 0;
  std::vector<Peeked> found;
  std::optional<Peeked> shell;
  for (uint32_t i = 0; i < options_.vbuckets; ++i) {
    VBucket& vbucket = vbuckets_[(random + i) % options_.vbuckets];
    if (vbucket.items_hint() == 0 || !vbucket.has_documents_of(collection)) continue;
    // From somewhere in the middle, and then from the start: a bucket of the table may be empty.
    for (uint32_t cursor : {static_cast<uint32_t>(random >> 32) % HashTable::kEnd, uint32_t{0}}) {
      while (cursor != HashTable::kEnd) {
        found.clear();
        vbucket.walk(cursor, now.unix_s(), found);
        looked_at += found.size() + 1;
        gave_up = looked_at > kMostLookedAt;
        if (gave_up) return shell;
        for (size_t j = 0; j < found.size(); ++j) {
          Peeked& seen = found[(random + j) % found.size()];
          if (!seen.doc || seen.doc->collection() != collection) continue;
          if (seen.doc->resident()) return std::move(seen);
          if (!shell) shell = std::move(seen);
        }
      }
    }
  }
  return shell;
}

namespace {
// What a look at a document costs, beside a byte that is copied.
constexpr uint64_t kWorkOfOne = 200;
}  // namespace

std::optional<std::vector<std::string>> Bucket::names(uint16_t vbucket, DocKey start, size_t limit,
                                                      base::Now now) {
  flush_if_due(now.unix_s());
  if (!vbuckets_[vbucket].knows_all_keys()) return std::nullopt;
  std::vector<std::string> names;  // a heap of the lowest
  std::vector<Peeked> found;
  for (uint32_t cursor = 0; cursor != HashTable::kEnd && limit != 0;) {
    found.clear();
    vbuckets_[vbucket].walk(cursor, now.unix_s(), found);
    base::note_work(found.size() * kWorkOfOne);
    for (const Peeked& seen : found) {
      const DocKey key = seen.doc->doc_key();
      if (key.collection() != start.collection() || key.name() < start.name()) continue;
      if (names.size() == limit) {
        if (key.name() >= names.front()) continue;
        std::ranges::pop_heap(names);
        names.pop_back();
      }
      names.emplace_back(key.name());
      std::ranges::push_heap(names);
    }
  }
  std::ranges::sort_heap(names);
  return names;
}

RemoveStatus Bucket::evict(DocKey key, base::Now now) {
  flush_if_due(now.unix_s());
  const Key at = locate(key);
  return at.vbucket.evict_key(key, at.hash, now.unix_s());
}

VBucketFacts Bucket::facts(uint16_t vbucket) const noexcept {
  return vbuckets_[vbucket].facts();
}

ChangeLogFacts Bucket::log_facts(uint16_t vbucket) const {
  return vbuckets_[vbucket].log_facts();
}

}  // namespace bobbin::store
