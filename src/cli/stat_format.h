#pragma once

#include <span>
#include <string>
#include <utility>

namespace bobbin::cli {

using Statistic = std::pair<std::string, std::string>;

/// One line each: names aligned, numbers to the right, and behind sizes, times and hits what they mean.
std::string stats_for_people(std::span<const Statistic> stats);

/// One JSON object, in the same order; what is a number in JSON is one here.
std::string stats_as_json(std::span<const Statistic> stats);

}  // namespace bobbin::cli
