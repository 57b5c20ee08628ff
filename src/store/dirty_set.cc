#include "store/dirty_set.h"

#include <bit>
#include <cassert>

namespace bobbin::store {

DirtySet::DirtySet(uint32_t vbuckets, uint32_t shards)
    : shards_(shards), table_(std::make_unique<Shard[]>(shards)) {
  assert(shards != 0 && vbuckets <= kMaxVBuckets);
  // Everything is: its state has never been written.
  for (uint32_t vbucket = 0; vbucket < vbuckets; ++vbucket)
    mark(vbucket);
}

void DirtySet::mark(uint32_t vbucket) noexcept {
  const uint32_t bit = vbucket / shards_;
  shard_of(vbucket).words[bit / 64].fetch_or(uint64_t{1} << (bit % 64));
}

void DirtySet::wake(Shard& shard) noexcept {
  const base::MutexLock lock(shard.mutex);
  if (shard.waker) shard.waker();
}

void DirtySet::ring(Shard& shard) noexcept {
  // Sequentially consistent, as the mark before it: see arm().
  if (shard.armed.load() && shard.armed.exchange(false)) wake(shard);
}

void DirtySet::hurry() noexcept {
  for (uint32_t i = 0; i < shards_; ++i) {
    if (table_[i].urgent.exchange(true)) continue;
    table_[i].armed.store(false);
    wake(table_[i]);
  }
}

void DirtySet::set_waker(uint32_t shard, std::function<void()> waker) {
  assert(shard < shards_);
  const base::MutexLock lock(table_[shard].mutex);
  table_[shard].waker = std::move(waker);
}

bool DirtySet::arm(uint32_t shard) noexcept {
  Shard& mine = table_[shard];
  // In one order that all threads agree on: a mark that is not seen below comes after this store, so its
  // writer sees the store.
  mine.armed.store(true);
  bool work = mine.urgent.load();
  for (const std::atomic<uint64_t>& word : mine.words)
    work = work || word.load() != 0;
  // Who took the flag meanwhile wakes in vain; that is once.
  if (work) mine.armed.store(false);
  return work;
}

DirtyWork DirtySet::take(uint32_t shard) {
  Shard& mine = table_[shard];
  DirtyWork work;
  work.urgent = mine.urgent.exchange(false);
  for (uint32_t word = 0; word < mine.words.size(); ++word) {
    if (mine.words[word].load() == 0) continue;
    for (uint64_t bits = mine.words[word].exchange(0); bits != 0; bits &= bits - 1) {
      const uint32_t bit = word * 64 + static_cast<uint32_t>(std::countr_zero(bits));
      work.vbuckets.push_back(static_cast<uint16_t>(bit * shards_ + shard));
    }
  }
  return work;
}

}  // namespace bobbin::store
