// What Bucket knows of its scopes and collections.

#include <algorithm>

#include "store/bucket.h"
#include "store/collection_event.h"
#include "store/vbucket.h"
#include "store/vbucket_persist.h"

namespace bobbin::store {

namespace {

// Documents that are looked at under one lock.
constexpr uint32_t kDroppedPerVisit = 64;

}  // namespace

std::shared_ptr<const Manifest> Bucket::manifest() const {
  const base::MutexLock lock(manifest_mutex_);
  return manifest_;
}

void Bucket::restore_manifest(std::shared_ptr<const Manifest> manifest) {
  const base::MutexLock lock(manifest_mutex_);
  manifest_ = std::move(manifest);
}

void Bucket::set_manifest(std::shared_ptr<const Manifest> manifest, base::Now now) {
  const auto table = std::make_shared<const CollectionTable>(account_, manifest);
  EventDocuments events(account_, manifest->uid());
  bool has_dropped = false;
  for (uint32_t i = 0; i < options_.vbuckets; ++i)
    has_dropped = vbuckets_[i].set_collections(table, events, now) || has_dropped;
  if (persistence_ != nullptr) {
    const base::MutexLock lock(persistence_->followed_mutex);
    persistence_->followed.table = nullptr;
  }
  // Who sees it finds its collections everywhere.
  show_manifest(std::move(manifest));
  if (has_dropped) begin_sweep_of_dropped();
}

void Bucket::begin_sweep_of_dropped() {
  {
    const base::MutexLock lock(sweep_mutex_);
    dropped_vbucket_ = 0;
  }
  wake_sweeper();
}

void Bucket::set_max_ttl(uint32_t ttl_s) {
  for (uint32_t i = 0; i < options_.vbuckets; ++i)
    vbuckets_[i].set_bucket_ttl(ttl_s);
}

bool Bucket::sweep_dropped(uint32_t documents) {
  uint32_t examined = 0;
  const base::MutexLock lock(sweep_mutex_);
  while (dropped_vbucket_ < options_.vbuckets && examined < documents) {
    Victims victims;
    const uint32_t step = std::min(kDroppedPerVisit, documents - examined);
    if (!vbuckets_[dropped_vbucket_].sweep_dropped(step, examined, victims)) ++dropped_vbucket_;
  }
  return dropped_vbucket_ < options_.vbuckets;
}

uint64_t Bucket::high_seqno(uint16_t vbucket, CollectionId collection) const noexcept {
  return vbuckets_[vbucket].high_seqno_of(collection);
}

std::map<CollectionId, CollectionStatistics> Bucket::collection_statistics(
    std::optional<uint16_t> vbucket) const {
  std::map<CollectionId, CollectionStatistics> sums;
  if (vbucket) {
    vbuckets_[*vbucket].add_collections_to(sums);
    return sums;
  }
  for (uint32_t i = 0; i < options_.vbuckets; ++i)
    vbuckets_[i].add_collections_to(sums);
  return sums;
}

}  // namespace bobbin::store
