// How Bucket gets memory back: eviction, flushes, and the garbage that flushes leave.

#include <algorithm>
#include <array>
#include <cassert>

#include "store/bucket.h"
#include "store/vbucket.h"

namespace bobbin::store {

namespace {

// Documents that one visit of the hand to a vbucket examines: enough to share the cost of its lock.
constexpr uint32_t kDocumentsPerVisit = 16;
// Garbage that one step frees.
constexpr uint32_t kGarbagePerStep = 64;
// What a draft makes the hand examine at most before it takes anything; per small document, and for a large
// one in proportion to the small ones that have to go.
constexpr uint64_t kDocumentsPerDraft = 2048;
constexpr uint64_t kBytesPerExtraDocument = 16;
// A bucket that does not evict looks at so few for something expired.
constexpr uint64_t kDocumentsPerRefusal = 256;
// Rounds through the vbuckets that find most of them empty. A bucket of few documents that are all in use
// would otherwise be gone through until the hand has examined each of them thousands of times.
constexpr uint64_t kSparseRounds = 16;
// Make a little more room than is needed, so that not each draft has to.
constexpr uint64_t kSpareBytes = 2048;

}  // namespace

bool Bucket::make_room(uint64_t bytes, base::Now now) {
  if (!account_.is_over_quota(0)) return true;
  Reclaim mode = options_.evict ? Reclaim::clock : Reclaim::expired_only;
  uint64_t left = options_.evict ? kDocumentsPerDraft + bytes / kBytesPerExtraDocument : kDocumentsPerRefusal;
  const uint64_t spare = std::min(kSpareBytes, account_.quota_bytes() / 64);
  uint32_t empty_visits = 0;  // one after the other
  uint64_t sparse_visits = 0;
  while (account_.is_over_quota(spare)) {
    if (free_garbage(kGarbagePerStep) != 0) continue;
    if (left == 0 || empty_visits > options_.vbuckets || sparse_visits > kSparseRounds * options_.vbuckets) {
      if (mode != Reclaim::clock) break;
      mode = Reclaim::anything;
      left = kDocumentsPerDraft + bytes / kBytesPerExtraDocument;
      empty_visits = 0;
      sparse_visits = 0;
    }
    const uint32_t turn = next_victim_.fetch_add(1, std::memory_order_relaxed);
    Victims victims;
    const uint32_t examined =
        vbuckets_[turn & (options_.vbuckets - 1)].reclaim(mode, kDocumentsPerVisit, now.unix_s(), victims);
    left -= std::min<uint64_t>(left, examined);
    empty_visits = examined == 0 ? empty_visits + 1 : 0;
    sparse_visits += examined == 0 ? 1 : 0;
    report(victims);
  }
  if (!account_.is_over_quota(0)) return true;
  // What is dirty cannot go before it is on disk.
  if (persistence_ != nullptr) hurry_flushers();
  return false;
}

void Bucket::report(const Victims& victims) {
  if (victims.evicted_count == 0) return;
  EvictionObserver* observer = observer_.load(std::memory_order_acquire);
  if (observer == nullptr) return;
  for (size_t i = 0; i < victims.evicted_count; ++i) {
    observer->on_evicted(*victims.evicted[i].doc, victims.evicted[i].facts);
  }
}

uint32_t Bucket::free_garbage(uint32_t documents) {
  if (garbage_items_.load(std::memory_order_relaxed) == 0) return 0;
  // Released after the lock: freeing takes longer than unlinking.
  HashTable emptied;
  std::array<Document*, kGarbagePerStep> unlinked;
  uint32_t count = 0;
  const uint32_t wanted = std::min(documents, kGarbagePerStep);
  {
    const base::MutexLock lock(garbage_mutex_);
    if (garbage_.empty()) return 0;
    HashTable& table = garbage_.back();
    while (count < wanted && garbage_cursor_ != HashTable::kEnd) {
      const uint32_t next = table.visit_bucket(garbage_cursor_, [&](Document* document) {
        if (count == wanted) return false;
        unlinked[count++] = document;
        return true;
      });
      // A bucket that filled the list may hold more: come back to it.
      if (count < wanted) garbage_cursor_ = next;
    }
    if (table.size() == 0) {
      emptied = std::move(table);
      garbage_.pop_back();
      garbage_cursor_ = 0;
    }
  }
  for (uint32_t i = 0; i < count; ++i)
    HashTable::release(unlinked[i]);
  garbage_items_.fetch_sub(count, std::memory_order_relaxed);
  return count;
}

void Bucket::cut_off(VBucket& vbucket, base::Now now) {
  if (vbucket.is_left_out_of_flushes()) {
    if (is_persistent()) vbucket.set_flush_moment(0);
    return;
  }
  keep_garbage(std::move(vbucket.cut_off(now).table));
}

void Bucket::keep_garbage(HashTable table) {
  if (table.size() == 0) return;
  const base::MutexLock lock(garbage_mutex_);
  garbage_items_.fetch_add(table.size(), std::memory_order_relaxed);
  garbage_.push_back(std::move(table));
  // The table at the back is the one that is being emptied.
  garbage_cursor_ = 0;
}

void Bucket::cut_off_everything(base::Now now) {
  for (uint32_t i = 0; i < options_.vbuckets; ++i)
    cut_off(vbuckets_[i], now);
}

// A vbucket goes by its own moment: after an end in the middle of a flush, those that are through may have
// new documents already, and an end in the middle of a flush_at leaves two moments.
void Bucket::cut_off_due(base::Now now) {
  uint32_t next = kNoFlush;
  for (uint32_t i = 0; i < options_.vbuckets; ++i) {
    const uint32_t moment = vbuckets_[i].flush_moment();
    if (moment == 0) continue;
    if (moment <= now.unix_s()) {
      cut_off(vbuckets_[i], now);
    } else {
      next = std::min(next, moment);
    }
  }
  if (next != kNoFlush) flush_deadline_.store(next);
}

void Bucket::flush(base::Now now) {
  {
    const base::MutexLock lock(flush_mutex_);
    flush_deadline_.store(kNoFlush);
    cut_off_everything(now);
  }
  wake_sweeper();
}

void Bucket::flush_at(uint32_t unix_s, base::Now now) {
  if (unix_s <= now.unix_s()) return flush(now);
  {
    const base::MutexLock lock(flush_mutex_);
    const uint32_t moment = std::min(unix_s, kNoFlush - 1);
    flush_deadline_.store(moment);
    for (uint32_t i = 0; is_persistent() && i < options_.vbuckets; ++i)
      vbuckets_[i].set_flush_moment(moment);
  }
  wake_sweeper();
}

void Bucket::flush_now_due(uint32_t now_s) {
  uint32_t deadline = flush_deadline_.load(std::memory_order_relaxed);
  // One of the threads that see it come does it.
  if (now_s < deadline || !flush_deadline_.compare_exchange_strong(deadline, kNoFlush)) return;
  const base::Now now{uint64_t{now_s} * 1'000'000'000};
  {
    const base::MutexLock lock(flush_mutex_);
    if (is_persistent()) {
      cut_off_due(now);
    } else {
      cut_off_everything(now);
    }
  }
  wake_sweeper();
}

bool Bucket::sweep_garbage(uint32_t documents, base::Now now) {
  flush_if_due(now.unix_s());
  while (documents != 0) {
    const uint32_t freed = free_garbage(documents);
    if (freed == 0) break;
    documents -= freed;
  }
  const bool has_dropped = sweep_dropped(documents);
  return has_dropped || garbage_items_.load(std::memory_order_relaxed) != 0;
}

void Bucket::set_sweep_waker(std::function<void()> waker) {
  const base::MutexLock lock(waker_mutex_);
  waker_ = std::move(waker);
  if (!waker_) wake_on_expiry_.store(false);
}

SweepWork Bucket::arm_sweep_waker() {
  wake_on_expiry_.store(true);
  // A document with an expiry was linked under a lock that is taken here. Either that was before, and it is
  // counted; or it comes after, and its writer sees the flag.
  SweepWork work;
  for (uint32_t i = 0; i < options_.vbuckets; ++i)
    work.items_with_expiry += vbuckets_[i].items_with_expiry();
  // The sweeper comes back by itself while there are any: then they need not wake it.
  if (work.items_with_expiry != 0) wake_on_expiry_.store(false);
  {
    const base::MutexLock lock(garbage_mutex_);
    work.garbage = !garbage_.empty();
  }
  {
    const base::MutexLock lock(sweep_mutex_);
    work.garbage = work.garbage || dropped_vbucket_ < options_.vbuckets;
  }
  const uint32_t deadline = flush_deadline_.load();
  work.flush_deadline_s = deadline == kNoFlush ? 0 : deadline;
  return work;
}

void Bucket::wake_sweeper() {
  const base::MutexLock lock(waker_mutex_);
  if (waker_) waker_();
}

}  // namespace bobbin::store
