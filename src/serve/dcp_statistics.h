#pragma once

#include <string_view>

#include "serve/statistics.h"

namespace bobbin::serve {

class ServedBucket;

/// The group "dcp": the change streams of a bucket, each with how far it is behind and what it is doing,
/// under the names that Couchbase's engine has for most of it. False for another group. Any thread.
bool report_streams(const ServedBucket& served, std::string_view group, const StatSink& sink);

}  // namespace bobbin::serve
