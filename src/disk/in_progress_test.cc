#include "disk/in_progress.h"

#include <gtest/gtest.h>

namespace bobbin::disk {
namespace {

using namespace std::chrono_literals;

TEST(InProgressTest, CountsWhoIsAtItAndWhoHasBeenForLong) {
  const InProgress::Time start{1h};
  InProgress reads(3);
  const auto expect = [&](std::chrono::nanoseconds after, std::chrono::nanoseconds slow, size_t all,
                          size_t slow_ones) {
    const InProgressCounts counts = reads.count(start + after, slow);
    EXPECT_EQ(counts.all, all);
    EXPECT_EQ(counts.slow, slow_ones);
  };
  expect(0s, 0s, 0, 0);
  reads.begin(0, start);
  reads.begin(2, start + 2s);
  expect(3s, 3s, 2, 1);
  expect(3s, 3s + 1ns, 2, 0);
  expect(3s, 0s, 2, 2);
  reads.end(0);
  expect(10s, 3s, 1, 1);
  reads.begin(2, start + 10s);
  expect(10s, 3s, 1, 0);
}

}  // namespace
}  // namespace bobbin::disk
