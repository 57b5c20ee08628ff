#pragma once

#include "serve/statistics.h"

namespace bobbin::serve {

class ServedBucket;

// What persistent buckets have to tell, under the names of Couchbase's engine where it has the same thing
// (ep-engine, docs/stats.org). Nothing in front of a cache. Any thread.

/// Part of the general statistics: how much is not on disk yet, and what the disk does.
void report_disk(const ServedBucket& served, const StatSink& sink);
/// The group "disk-failures".
void report_disk_failures(const ServedBucket& served, const StatSink& sink);
/// The group "warmup".
void report_warmup(const ServedBucket& served, const StatSink& sink);

}  // namespace bobbin::serve
