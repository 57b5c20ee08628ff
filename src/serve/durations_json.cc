#include "serve/durations_json.h"

#include <fmt/format.h>

namespace bobbin::serve {

std::string durations_json(const base::DurationCounts& counts) {
  using base::DurationCounts;
  constexpr size_t kLast = DurationCounts::kSteps - 1;
  const uint64_t overflowed = counts.steps[kLast];
  const uint64_t total = counts.count() - overflowed;
  std::string data;
  uint64_t first_us = 0;
  uint64_t so_far = 0;
  for (size_t i = 0; i < kLast; ++i) {
    if (counts.steps[i] == 0) continue;
    if (data.empty()) first_us = DurationCounts::above_us(i);
    so_far += counts.steps[i];
    const double percent = 100.0 * static_cast<double>(so_far) / static_cast<double>(total);
    data += fmt::format("{}[{},{},{}]", data.empty() ? "" : ",", DurationCounts::up_to_us(i), counts.steps[i],
                        percent);
  }
  return fmt::format(R"({{"total":{},"bucketsLow":{},"data":[{}],"overflowed":{},"max_trackable":{}}})",
                     total, first_us, data, overflowed, DurationCounts::up_to_us(kLast - 1));
}

}  // namespace bobbin::serve
