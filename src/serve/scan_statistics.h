#pragma once

#include <string_view>

#include "serve/statistics.h"

namespace bobbin::serve {

/// The group `range-scans`, with a vbucket's number behind it if only its scans are meant: the counts of the
/// server, and each scan of the bucket. False when it is none of these. Any thread.
bool report_range_scans(const Engine& engine, const ServedBucket& bucket, std::string_view group,
                        const StatSink& sink);

}  // namespace bobbin::serve
