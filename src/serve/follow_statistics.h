#pragma once

#include <cstdint>

#include "store/bucket.h"

namespace bobbin::serve {

class FollowedBucket;

/// Seqnos that the source had, when it was asked last, and this server has not.
[[nodiscard]] uint64_t seqnos_behind(const FollowedBucket& followed, const store::Bucket& bucket);

}  // namespace bobbin::serve
