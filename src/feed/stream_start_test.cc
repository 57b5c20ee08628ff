#include "feed/stream_start.h"

#include <gtest/gtest.h>

namespace bobbin::feed {
namespace {

namespace flags = wire::dcp_stream_flags;

// Branch 1 up to 100, then branch 2, which is at 200.
store::StreamFacts facts() {
  return {.high_seqno = 200, .persisted_seqno = 150, .flush_seqno = 0, .failover = {{2, 100}, {1, 0}}};
}

wire::DcpStreamRequest at(uint64_t uuid, uint64_t start, uint64_t from, uint64_t to, uint32_t how = 0) {
  wire::DcpStreamRequest request;
  request.flags = how;
  request.uuid = uuid;
  request.start_seqno = start;
  request.snapshot_start = from;
  request.snapshot_end = to;
  return request;
}

std::string judged(const wire::DcpStreamRequest& request, uint64_t purged = 0,
                   std::optional<uint64_t> known = std::nullopt, store::StreamFacts where = facts()) {
  const StreamStart start = judge_start(request, where, purged, known);
  if (start.verdict == StartVerdict::out_of_range) return "range";
  if (start.verdict == StartVerdict::rollback) return "back to " + std::to_string(start.rollback_seqno);
  return "from " + std::to_string(start.bounds.start_seqno) +
         (start.bounds.end_seqno == wire::kDcpForever ? "" : " to " + std::to_string(start.bounds.end_seqno));
}

TEST(StreamStartTest, WhoHasNothingBeginsAtTheBeginning) {
  EXPECT_EQ(judged(at(0, 0, 0, 0)), "from 0");
  EXPECT_EQ(judged(at(9, 0, 0, 0)), "from 0");
  EXPECT_EQ(judged(at(9, 0, 0, 0, flags::kStrictUuid)), "back to 0");
  EXPECT_EQ(judged(at(2, 0, 0, 0, flags::kStrictUuid)), "from 0");
  EXPECT_EQ(judged(at(0, 0, 0, 0), 50), "from 0") << "nothing was purged for who has nothing";
}

TEST(StreamStartTest, WhoHasTheSameHistoryGoesOn) {
  EXPECT_EQ(judged(at(2, 150, 150, 150)), "from 150");
  EXPECT_EQ(judged(at(2, 200, 190, 200)), "from 200");
  EXPECT_EQ(judged(at(1, 100, 90, 100)), "from 100");
  EXPECT_EQ(judged(at(1, 60, 50, 80)), "from 60");
}

TEST(StreamStartTest, WhoHasAnotherHistoryGoesBack) {
  EXPECT_EQ(judged(at(3, 50, 50, 50)), "back to 0");
  EXPECT_EQ(judged(at(1, 120, 120, 120)), "back to 100") << "leading";
  EXPECT_EQ(judged(at(2, 300, 300, 300)), "back to 200");
  EXPECT_EQ(judged(at(1, 95, 90, 110)), "back to 90") << "a snapshot that is not ours in whole";
  EXPECT_EQ(judged(at(1, 90, 90, 110)), "from 90") << "of which nothing was received";
  EXPECT_EQ(judged(at(1, 100, 90, 100)), "from 100") << "all of which was";
}

TEST(StreamStartTest, ABranchReachesToTheLowestThatCameAfterIt) {
  const store::StreamFacts where{
      .high_seqno = 200, .persisted_seqno = 150, .flush_seqno = 0, .failover = {{3, 50}, {2, 100}, {1, 0}}};
  EXPECT_EQ(judged(at(1, 80, 80, 80), 0, std::nullopt, where), "back to 50");
  EXPECT_EQ(judged(at(1, 50, 50, 50), 0, std::nullopt, where), "from 50");
}

TEST(StreamStartTest, WhoMayHaveMissedTombstonesBeginsAnew) {
  EXPECT_EQ(judged(at(2, 150, 150, 150), 160), "back to 0");
  EXPECT_EQ(judged(at(2, 160, 160, 160), 160), "from 160");
  EXPECT_EQ(judged(at(2, 150, 150, 150, flags::kIgnorePurged), 160), "from 150");
  EXPECT_EQ(judged(at(2, 150, 150, 150), 160, 160), "from 150") << "it knows of them";
  EXPECT_EQ(judged(at(2, 150, 150, 150), 160, 155), "back to 0");
  store::StreamFacts flushed = facts();
  flushed.flush_seqno = 120;
  EXPECT_EQ(judged(at(2, 110, 110, 110, flags::kIgnorePurged), 0, 500, flushed), "back to 0");
  EXPECT_EQ(judged(at(2, 120, 120, 120), 0, std::nullopt, flushed), "from 120");
}

TEST(StreamStartTest, RefusesNumbersThatDoNotFit) {
  EXPECT_EQ(judged(at(2, 10, 20, 30)), "range");
  EXPECT_EQ(judged(at(2, 40, 20, 30)), "range");
  wire::DcpStreamRequest request = at(2, 10, 10, 10);
  request.end_seqno = 9;
  EXPECT_EQ(judged(request), "range");
  request.end_seqno = 10;
  EXPECT_EQ(judged(request), "from 10 to 10");
  request.end_seqno = 0;
  EXPECT_EQ(judged(request), "from 10");
}

TEST(StreamStartTest, FlagsMoveBeginningAndEnd) {
  EXPECT_EQ(judged(at(2, 10, 10, 10, flags::kToLatest)), "from 10 to 200");
  EXPECT_EQ(judged(at(0, 0, 0, 0, flags::kFromLatest)), "from 200");
  EXPECT_EQ(judged(at(7, 10, 10, 10, flags::kFromLatest)), "from 200");
  EXPECT_EQ(judged(at(2, 10, 10, 10, flags::kDiskOnly)), "from 10 to 150");
  EXPECT_EQ(judged(at(2, 180, 180, 180, flags::kDiskOnly)), "from 180 to 180");
}

}  // namespace
}  // namespace bobbin::feed
