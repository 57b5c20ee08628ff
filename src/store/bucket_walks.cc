// The operations of Bucket that go through all of it, in small steps under one vbucket's lock at a time.

#include <algorithm>
#include <map>

#include "store/bucket.h"
#include "store/vbucket.h"
#include "store/vbucket_persist.h"

namespace bobbin::store {

namespace {

constexpr uint32_t kSizeClassBytes = 32;
// Documents that the sweeper examines under one lock.
constexpr uint32_t kSweepStep = 64;

}  // namespace

void Bucket::for_each(const std::function<bool(const Peeked&)>& visit, base::Now now) {
  flush_if_due(now.unix_s());
  std::vector<Peeked> found;
  for (uint32_t i = 0; i < options_.vbuckets; ++i) {
    if (vbuckets_[i].items_hint() == 0) continue;
    for (uint32_t cursor = 0; cursor != HashTable::kEnd;) {
      found.clear();
      vbuckets_[i].walk(cursor, now.unix_s(), found);
      for (const Peeked& seen : found) {
        if (!visit(seen)) return;
      }
    }
  }
}

Census Bucket::census(base::Now now) {
  flush_if_due(now.unix_s());
  std::map<uint32_t, uint64_t> sizes;
  std::map<uint32_t, SizeClass> classes;
  std::vector<VBucket::Measured> found;
  for (uint32_t i = 0; i < options_.vbuckets; ++i) {
    if (vbuckets_[i].items_hint() == 0) continue;
    for (uint32_t cursor = 0; cursor != HashTable::kEnd;) {
      found.clear();
      vbuckets_[i].measure(cursor, now.unix_s(), found);
      for (const VBucket::Measured& one : found) {
        ++sizes[static_cast<uint32_t>((one.size + kSizeClassBytes - 1) / kSizeClassBytes * kSizeClassBytes)];
        SizeClass& size_class = classes[static_cast<uint32_t>(one.charged)];
        const bool first = size_class.items++ == 0;
        size_class.requested_bytes += one.size;
        size_class.oldest_access_s =
            first ? one.last_access : std::min(size_class.oldest_access_s, one.last_access);
      }
    }
  }
  Census census;
  for (const auto& [upper, items] : sizes)
    census.sizes.push_back({upper, items});
  for (auto& [chunk, size_class] : classes) {
    size_class.chunk_bytes = chunk;
    census.classes.push_back(size_class);
  }
  return census;
}

Statistics Bucket::statistics() const {
  Statistics sum;
  for (uint32_t i = 0; i < options_.vbuckets; ++i)
    vbuckets_[i].add_to(sum);
  sum.used_bytes = account_.used_bytes();
  sum.quota_bytes = account_.quota_bytes();
  sum.inflated_bytes = inflated_account_.used_bytes();
  sum.inflated_refused = inflated_refused_.load(std::memory_order_relaxed);
  sum.garbage_items = garbage_items_.load(std::memory_order_relaxed);
  sum.no_memory = refused_.load(std::memory_order_relaxed);
  if (persistence_ != nullptr) sum.would_block = persistence_->would_block.load(std::memory_order_relaxed);
  return sum;
}

void Bucket::reset_statistics() {
  for (uint32_t i = 0; i < options_.vbuckets; ++i)
    vbuckets_[i].reset_statistics();
  refused_.store(0, std::memory_order_relaxed);
  inflated_refused_.store(0, std::memory_order_relaxed);
  if (persistence_ != nullptr) persistence_->would_block.store(0, std::memory_order_relaxed);
}

SweepPass Bucket::sweep_expired(uint32_t documents, base::Now now) {
  SweepPass pass;
  const base::MutexLock lock(sweep_mutex_);
  while (pass.examined < documents && !pass.finished) {
    VBucket& vbucket = vbuckets_[sweep_vbucket_];
    if (vbucket.items_with_expiry_hint() == 0) {
      sweep_cursor_ = HashTable::kEnd;
    } else {
      Victims victims;
      pass.examined += vbucket.sweep(sweep_cursor_, std::min(kSweepStep, documents - pass.examined),
                                     now.unix_s(), victims);
      pass.expired += static_cast<uint32_t>(victims.expired_count);
    }
    if (sweep_cursor_ != HashTable::kEnd) continue;
    sweep_cursor_ = 0;
    sweep_vbucket_ = (sweep_vbucket_ + 1) & (options_.vbuckets - 1);
    pass.finished = sweep_vbucket_ == 0;
  }
  return pass;
}

SweepLoad Bucket::sweep_load() const noexcept {
  SweepLoad load;
  for (uint32_t i = 0; i < options_.vbuckets; ++i) {
    const uint64_t with_expiry = vbuckets_[i].items_with_expiry_hint();
    load.items_with_expiry += with_expiry;
    if (with_expiry != 0) load.items_to_examine += vbuckets_[i].items_hint();
  }
  return load;
}

}  // namespace bobbin::store
