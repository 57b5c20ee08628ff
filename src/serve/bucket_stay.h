#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "serve/served_bucket.h"

namespace bobbin::serve {

/// Keeps a bucket for a task of a pool, as its guest where it may be removed: who removes it waits until the
/// task has let go, and is then the one who ends its threads. Any thread.
class BucketStay {
 public:
  /// `guest`: of BucketGuests::enter, 0 in the default bucket.
  BucketStay(std::shared_ptr<ServedBucket> bucket, uint64_t guest)
      : bucket_(std::move(bucket)), guest_(guest) {}
  ~BucketStay() {
    const auto guests = bucket_->guests();
    bucket_.reset();
    if (guest_ != 0) guests->leave(guest_);
  }
  BucketStay(const BucketStay&) = delete;
  BucketStay& operator=(const BucketStay&) = delete;

 private:
  std::shared_ptr<ServedBucket> bucket_;
  const uint64_t guest_;
};

}  // namespace bobbin::serve
