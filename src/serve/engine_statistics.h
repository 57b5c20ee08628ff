#pragma once

#include <string_view>

#include "serve/statistics.h"

namespace bobbin::serve {

class ServedBucket;

/// Groups of statistics under the names that Couchbase's engine gives them (ep-engine docs/stats.org):
/// "uuid", "memory", "config", and "vbucket", "vbucket-details", "vbucket-seqno", "failovers", "hash", of all
/// vbuckets or, with a number behind the name, of one. False if there is no such group, or vbucket. Any
/// thread.
bool report_engine_statistics(const ServedBucket& served, std::string_view group, const StatSink& sink);

}  // namespace bobbin::serve
