#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bobbin::cli {

/// Counts of durations in nanoseconds, from 0 to more than 60 s, in buckets that are exact below 128 ns and
/// at most 1/128 of their values wide above. Recording is a few instructions and allocates nothing. One
/// thread at a time.
class BenchHistogram {
 public:
  /// Longer durations are counted in the last bucket; max_ns() still knows them.
  static constexpr uint64_t kMaxNs = (uint64_t{1} << 36) - 1;

  BenchHistogram() : counts_(kBuckets) {}

  void record(uint64_t ns) noexcept {
    ++counts_[bucket_of(std::min(ns, kMaxNs))];
    ++count_;
    max_ns_ = std::max(max_ns_, ns);
  }
  void merge(const BenchHistogram& other);

  [[nodiscard]] uint64_t count() const noexcept { return count_; }
  /// The longest recorded, exactly; 0 if there is none.
  [[nodiscard]] uint64_t max_ns() const noexcept { return max_ns_; }
  /// The shortest duration that `percent` of all do not exceed, at most 0.4 % off; 0 if there is none.
  [[nodiscard]] uint64_t percentile_ns(double percent) const noexcept;

 private:
  static constexpr unsigned kSubBits = 7;
  static constexpr size_t kBuckets = size_t{36 - kSubBits + 1} << kSubBits;

  // Below 2^7 the value itself; above, the octave and the seven bits behind the leading one.
  static size_t bucket_of(uint64_t ns) noexcept {
    if (ns < (1u << kSubBits)) return ns;
    const auto shift = static_cast<unsigned>(std::bit_width(ns)) - kSubBits - 1;
    return (size_t{shift} << kSubBits) + (ns >> shift);
  }
  static uint64_t middle_of(size_t bucket) noexcept;

  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  uint64_t max_ns_ = 0;
};

}  // namespace bobbin::cli
