#pragma once

#include <string_view>

#include "serve/served_bucket.h"
#include "serve/statistics.h"

namespace bobbin::serve {

/// The groups `collections`, `collections-details`, `scopes` and `scopes-details`, under Couchbase's names.
/// Behind the first and the third may stand which one is meant, by its path or as `id` and number; behind the
/// others a vbucket. False when it is none of these, or what is meant is not there. Any thread.
bool report_collections(const ServedBucket& bucket, std::string_view group, const StatSink& sink);

}  // namespace bobbin::serve
