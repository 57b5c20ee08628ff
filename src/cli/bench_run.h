#pragma once

#include "base/result.h"
#include "cli/bench_options.h"
#include "cli/bench_worker.h"

namespace bobbin::cli {

/// Everything a run has to tell.
struct BenchOutcome {
  BenchResult result;
  double seconds = 0;       ///< from the end of the warm-up to the last answer
  double fill_seconds = 0;  ///< 0 if keys were not stored
};

/// Connects, stores the keys, warms up, measures; blocks until the last answer. SIGINT and SIGTERM end the
/// measurement early, a second one the process. Progress goes to standard error if that is a terminal and the
/// options allow it. An error if there is nothing to tell: no connection, or the keys could not be stored.
base::Result<BenchOutcome, base::Error> run_bench(const BenchOptions& options);

}  // namespace bobbin::cli
