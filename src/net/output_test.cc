#include "net/output.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "net/limits.h"

namespace bobbin::net {
namespace {

void count(void* owner) noexcept {
  ++*static_cast<int*>(owner);
}

std::string front(const Output& output, size_t max_bytes = SIZE_MAX) {
  std::vector<std::span<const char>> runs(1000);
  const size_t n = output.gather(runs, max_bytes);
  std::string bytes;
  for (size_t i = 0; i < n; ++i)
    bytes.append(runs[i].data(), runs[i].size());
  return bytes;
}

TEST(Output, KeepsTheOrderOfCopiedAndPinnedBytes) {
  const std::string big(Output::kCopyBelowBytes, 'v');
  int released = 0;
  Output output;
  output.append("head ");
  output.append(base::PinnedBytes(big, &released, &count));
  output.append(" tail");
  EXPECT_EQ(front(output), "head " + big + " tail");
  EXPECT_EQ(output.size(), big.size() + 10);

  output.consume(5 + big.size() - 1);
  EXPECT_EQ(released, 0);
  output.consume(1);
  EXPECT_EQ(released, 1) << "a pinned run is let go when its last byte is consumed";
  EXPECT_EQ(front(output), " tail");
}

TEST(Output, PointsAtPinnedBytesAndDoesNotCopyThem) {
  const std::string big(Output::kCopyBelowBytes, 'v');
  int released = 0;
  Output output;
  output.append(base::PinnedBytes(big, &released, &count));
  std::array<std::span<const char>, 4> runs;
  ASSERT_EQ(output.gather(runs, SIZE_MAX), 1U);
  EXPECT_EQ(runs[0].data(), big.data());
}

TEST(Output, CopiesShortPinnedBytesAndReleasesThemAtOnce) {
  const std::string small(Output::kCopyBelowBytes - 1, 'v');
  int released = 0;
  Output output;
  output.append(base::PinnedBytes(small, &released, &count));
  EXPECT_EQ(released, 1);
  EXPECT_EQ(front(output), small);
}

TEST(Output, GatherStopsAtTheGivenNumberOfBytes) {
  Output output;
  output.append(std::string(100'000, 'x'));
  EXPECT_EQ(front(output, 70'000).size(), 70'000U);
}

TEST(Output, ReservedBytesBecomeOutputOnlyWhenCommitted) {
  Output output;
  std::memcpy(output.reserve(10), "0123456789", 10);
  EXPECT_TRUE(output.empty());
  output.commit(4);
  EXPECT_EQ(front(output), "0123");
}

TEST(Output, TakeAndShrinkHoldsTheSameBytesAndEmptiesTheOther) {
  Output output;
  output.append("some bytes");
  const auto taken = Output::take_and_shrink(output);
  EXPECT_TRUE(output.empty());
  EXPECT_EQ(front(*taken), "some bytes");
  output.append("more");
  EXPECT_EQ(front(output), "more");
  EXPECT_EQ(front(*taken), "some bytes");
}

TEST(Output, HoldsNoMoreForAPeerThatAlwaysLeavesSomething) {
  const std::string value(2'000, 'v');
  Output output;
  for (int i = 0; i < 100'000; ++i) {
    output.append("head");
    output.append(base::PinnedBytes(value, nullptr, [](void*) noexcept {}));
    if (i > 0) output.consume(2'004);
  }
  EXPECT_EQ(output.size(), 2'004U);
  EXPECT_LE(output.held_bytes(), kMaxSpareOutputBytes);
}

TEST(Output, BehavesLikeAQueueOfBytes) {
  std::mt19937 random(20'240'817);
  std::string model;
  std::string source(300'000, '\0');
  for (char& c : source)
    c = static_cast<char>(random());
  int pinned = 0;
  int released = 0;
  {
    Output output;
    Output other;
    for (int step = 0; step < 20'000; ++step) {
      const size_t size = random() % (step % 50 == 0 ? 90'000 : 3'000);
      const std::string_view bytes = std::string_view(source).substr(random() % 200'000, size);
      switch (random() % 5) {
        case 0:
          output.append(bytes);
          model += bytes;
          break;
        case 1:
          ++pinned;
          output.append(base::PinnedBytes(bytes, &released, &count));
          model += bytes;
          break;
        case 2:
          other.append(bytes);
          if (random() % 2 == 0) {
            ++pinned;
            other.append(base::PinnedBytes(bytes, &released, &count));
            model += bytes;
          }
          model += bytes;
          output.splice(other);
          ASSERT_TRUE(other.empty());
          break;
        default: {
          const size_t n = std::min<size_t>(model.size(), random() % 8'000);
          ASSERT_EQ(front(output, n), model.substr(0, n)) << "at step " << step;
          output.consume(n);
          model.erase(0, n);
        }
      }
      ASSERT_EQ(output.size(), model.size());
    }
    EXPECT_EQ(front(output), model);
  }
  EXPECT_EQ(released, pinned) << "everything pinned is let go in the end";
}

}  // namespace
}  // namespace bobbin::net
