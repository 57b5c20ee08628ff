// What Bucket knows of its scopes and collections.

#include "store/bucket.h"

namespace bobbin::store {

std::shared_ptr<const Manifest> Bucket::manifest() const {
  const base::MutexLock lock(manifest_mutex_);
  return manifest_;
}

void Bucket::set_manifest(std::shared_ptr<const Manifest> manifest, base::Now /*now*/) {
  {
    const base::MutexLock lock(manifest_mutex_);
    manifest_ = std::move(manifest);
  }
  manifest_generation_.fetch_add(1, std::memory_order_release);
}

}  // namespace bobbin::store
