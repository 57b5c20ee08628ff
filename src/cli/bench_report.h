#pragma once

#include <cstdint>
#include <string>

#include "cli/bench_run.h"

namespace bobbin::cli {

/// What is about to be measured, for a person: one or two lines, each with its line break.
std::string bench_heading(const BenchOptions& options);

/// The results as an aligned table with what else is worth knowing below it.
std::string bench_for_people(const BenchOptions& options, const BenchOutcome& outcome);

/// The results as one JSON object on one line, with its line break. Times are in microseconds.
std::string bench_as_json(const BenchOptions& options, const BenchOutcome& outcome);

/// A line of progress: `new_answers` came in the last second. Without line break.
std::string bench_progress(const BenchResult& so_far, double seconds, uint64_t new_answers);

}  // namespace bobbin::cli
