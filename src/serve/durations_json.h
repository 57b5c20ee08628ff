#pragma once

#include <string>

#include "base/durations.h"

namespace bobbin::serve {

/// A histogram as Couchbase's tools read it (kv_engine docs/HdrHistogramFormat.md), in microseconds: for each
/// step that counts something its upper bound, its count, and how many percent took no longer. What the last
/// step counts has no upper bound and is told apart; how long that took is not known.
[[nodiscard]] std::string durations_json(const base::DurationCounts& counts);

}  // namespace bobbin::serve
