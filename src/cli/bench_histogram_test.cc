#include "cli/bench_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cli/bench_random.h"

namespace bobbin::cli {
namespace {

TEST(BenchHistogram, IsEmptyAtFirst) {
  const BenchHistogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.max_ns(), 0u);
  EXPECT_EQ(histogram.percentile_ns(99), 0u);
}

TEST(BenchHistogram, OneValueIsEveryPercentile) {
  // The largest is known exactly, and no percentile is above it.
  for (uint64_t ns = 1; ns <= 60'000'000'000; ns = ns * 3 + 1) {
    BenchHistogram histogram;
    histogram.record(ns);
    EXPECT_EQ(histogram.max_ns(), ns);
    for (const double percent : {0.0, 50.0, 99.9, 100.0}) {
      const double error =
          std::abs(static_cast<double>(histogram.percentile_ns(percent)) - static_cast<double>(ns));
      EXPECT_LE(error, 0.01 * static_cast<double>(ns)) << ns;
      EXPECT_LE(histogram.percentile_ns(percent), ns);
    }
  }
}

TEST(BenchHistogram, EveryBoundaryIsWithinOnePercent) {
  for (unsigned bit = 0; bit < 36; ++bit) {
    for (const int64_t step : {-1, 0, 1}) {
      const uint64_t ns = (uint64_t{1} << bit) + static_cast<uint64_t>(step);
      BenchHistogram histogram;
      histogram.record(ns);
      histogram.record(100'000'000'000);  // so that the largest does not bound the answer
      const double error =
          std::abs(static_cast<double>(histogram.percentile_ns(50)) - static_cast<double>(ns));
      EXPECT_LE(error, 0.01 * static_cast<double>(ns)) << ns;
    }
  }
}

TEST(BenchHistogram, PercentilesAreThoseOfTheSortedValues) {
  BenchRandom random(4711);
  std::vector<uint64_t> values;
  BenchHistogram histogram;
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t ns = random.next() >> (28 + random.below(30));
    values.push_back(ns);
    histogram.record(ns);
  }
  std::sort(values.begin(), values.end());
  for (const double percent : {1.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    const auto rank = static_cast<size_t>(std::ceil(percent / 100 * 10'000 - 1e-6));
    const auto exact = static_cast<double>(values[rank - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.percentile_ns(percent)), exact, 0.01 * exact) << percent;
  }
}

TEST(BenchHistogram, WhatIsTooLongIsStillTheMaximum) {
  BenchHistogram histogram;
  histogram.record(1000);
  histogram.record(200'000'000'000);
  EXPECT_EQ(histogram.max_ns(), 200'000'000'000u);
  EXPECT_EQ(histogram.percentile_ns(100), 200'000'000'000u);
}

TEST(BenchHistogram, MergingIsRecordingBoth) {
  BenchHistogram one;
  BenchHistogram other;
  BenchHistogram both;
  for (uint64_t ns = 10; ns < 1'000'000; ns += 777) {
    (ns % 2 == 0 ? one : other).record(ns);
    both.record(ns);
  }
  one.merge(other);
  EXPECT_EQ(one.count(), both.count());
  EXPECT_EQ(one.max_ns(), both.max_ns());
  for (int percent = 0; percent <= 100; ++percent)
    EXPECT_EQ(one.percentile_ns(percent), both.percentile_ns(percent));
}

}  // namespace
}  // namespace bobbin::cli
