#include "cli/bench_histogram.h"

#include <cmath>

namespace bobbin::cli {

void BenchHistogram::merge(const BenchHistogram& other) {
  for (size_t i = 0; i < kBuckets; ++i)
    counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_ns_ = std::max(max_ns_, other.max_ns_);
}

uint64_t BenchHistogram::middle_of(size_t bucket) noexcept {
  if (bucket < (1u << kSubBits)) return bucket;
  const size_t shift = (bucket >> kSubBits) - 1;
  const uint64_t lowest = (bucket - (shift << kSubBits)) << shift;
  return lowest + ((uint64_t{1} << shift) - 1) / 2;
}

uint64_t BenchHistogram::percentile_ns(double percent) const noexcept {
  if (count_ == 0) return 0;
  // Rounding must not ask for one more than there are, nor for one more than `percent` names.
  const double exact = std::ceil(static_cast<double>(count_) * percent / 100 - 1e-6);
  const auto wanted = std::clamp<uint64_t>(static_cast<uint64_t>(std::max(exact, 1.0)), 1, count_);
  uint64_t passed = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    passed += counts_[i];
    if (passed >= wanted) return std::min(i + 1 == kBuckets ? max_ns_ : middle_of(i), max_ns_);
  }
  return max_ns_;
}

}  // namespace bobbin::cli
