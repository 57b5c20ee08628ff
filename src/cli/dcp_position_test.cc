#include "cli/dcp_position.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace bobbin::cli {
namespace {

using wire::DcpOsoSnapshot;
using wire::DcpSnapshotMarker;
using wire::DcpStreamRequest;

void expect_request(const DcpPosition& position, uint64_t uuid, uint64_t seqno, uint64_t start,
                    uint64_t end) {
  const DcpStreamRequest request = position.request();
  EXPECT_EQ(request.uuid, uuid);
  EXPECT_EQ(request.start_seqno, seqno);
  EXPECT_EQ(request.snapshot_start, start);
  EXPECT_EQ(request.snapshot_end, end);
  EXPECT_EQ(request.end_seqno, wire::kDcpForever);
}

DcpPosition in_snapshot() {
  DcpPosition position;
  position.accepted({{.uuid = 7, .seqno = 0}});
  position.snapshot({.start_seqno = 1, .end_seqno = 10});
  position.reached(4);
  return position;
}

TEST(DcpPosition, OfNobodyAsksForEverything) {
  expect_request({}, 0, 0, 0, 0);
}

TEST(DcpPosition, InASnapshotNamesIt) {
  DcpPosition position = in_snapshot();
  expect_request(position, 7, 4, 1, 10);
  position.reached(10);
  expect_request(position, 7, 10, 10, 10);
}

// A snapshot from memory begins with its first change, which may be far behind where the stream began.
TEST(DcpPosition, BeforeAnythingOfASnapshotCameIsNotInIt) {
  DcpPosition position = in_snapshot();
  position.reached(10);
  position.snapshot({.start_seqno = 15, .end_seqno = 20});
  expect_request(position, 7, 10, 10, 10);
}

TEST(DcpPosition, IsInTheBranchThatItsSeqnoBelongsTo) {
  DcpPosition position;
  position.accepted({{.uuid = 3, .seqno = 50}, {.uuid = 2, .seqno = 20}, {.uuid = 1, .seqno = 0}});
  EXPECT_EQ(position.uuid(), 1U);
  position.reached(30);
  EXPECT_EQ(position.uuid(), 2U);
  position.reached(50);
  EXPECT_EQ(position.uuid(), 3U);
}

TEST(DcpPosition, GoesBackAndInTheEndHasNothing) {
  DcpPosition position(2, 30, 25, 40);
  position.accepted({{.uuid = 2, .seqno = 20}, {.uuid = 1, .seqno = 0}});
  position.roll_back(12);
  expect_request(position, 1, 12, 12, 12);
  position.roll_back(12);
  expect_request(position, 0, 0, 0, 0);
  position = DcpPosition(2, 30, 30, 30);
  position.roll_back(0);
  expect_request(position, 0, 0, 0, 0);
}

TEST(DcpPosition, StaysBehindASnapshotThatComesOutOfOrder) {
  DcpPosition position;
  position.accepted({{.uuid = 7, .seqno = 0}});
  position.out_of_order({wire::dcp_oso_flags::kStart});
  position.reached(9);
  position.reached(2);
  expect_request(position, 7, 0, 0, 0);
  position.out_of_order({wire::dcp_oso_flags::kEnd});
  expect_request(position, 7, 9, 9, 9);
}

TEST(PositionFile, ReadsWhatItWrites) {
  PositionFile file{.bucket = "de\"fault", .what = "shop.orders", .positions = {}};
  file.positions[0] = DcpPosition(UINT64_MAX, UINT64_MAX - 1, 5, UINT64_MAX);
  file.positions[1023] = DcpPosition(1, 2, 2, 2);
  const auto read = parse_position(position_text(file));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->bucket, file.bucket);
  EXPECT_EQ(read->what, file.what);
  EXPECT_EQ(read->positions, file.positions);
}

TEST(PositionFile, OfAnotherShapeIsRefused) {
  for (const char* text : {"", "[]", "{}", R"({"bobbin":"position","bucket":"b","what":""})",
                           R"({"bobbin":"positions","bucket":"b","what":"","vbuckets":{}})",
                           R"({"bobbin":"position","bucket":"b","what":"","vbuckets":{"a":["1",1,1,1]}})",
                           R"({"bobbin":"position","bucket":"b","what":"","vbuckets":{"65536":["1",1,1,1]}})",
                           R"({"bobbin":"position","bucket":"b","what":"","vbuckets":{"0":["x",1,1,1]}})",
                           R"({"bobbin":"position","bucket":"b","what":"","vbuckets":{"0":["1",1,1]}})",
                           R"({"bobbin":"position","bucket":"b","what":"","vbuckets":{"0":["1",1,2,3]}})"})
    EXPECT_FALSE(parse_position(text)) << text;
  EXPECT_TRUE(parse_position(R"({"bobbin":"position","bucket":"b","what":"","vbuckets":{"0":["1",1,1,1]}})"));
}

TEST(PositionFile, ReplacesTheOneThatIsThere) {
  const std::string path = testing::TempDir() + "/position_file_test";
  std::filesystem::remove(path);
  EXPECT_TRUE(load_position(path)->positions.empty());
  PositionFile file{.bucket = "b", .what = "", .positions = {{3, DcpPosition(1, 2, 2, 2)}}};
  ASSERT_TRUE(save_position(path, file));
  file.positions[3] = DcpPosition(1, 5, 5, 5);
  ASSERT_TRUE(save_position(path, file));
  EXPECT_EQ(load_position(path)->positions, file.positions);
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  std::ofstream(path) << "no position";
  EXPECT_NE(load_position(path).error().message.find(path), std::string::npos);
  EXPECT_FALSE(save_position("/nowhere/at/all", file));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace bobbin::cli
