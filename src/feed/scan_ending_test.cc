// How scans end: by whoever made them, reads them or owns what they run on.

#include "feed/scan.h"
#include "feed/scan_fixture.h"

namespace bobbin::feed {
namespace {

// Its frames are more than all buffers between take.
class StalledScanTest : public ScanTest {
 protected:
  StalledScanTest() {
    front_.reset();
    start(64 << 10);
    made_ = fill(kDocuments, std::string(kBytes, 'v'));
    client_ = connect(4096);
    scan_ = create(*client_, all_keys("\"key_only\":false"));
    EXPECT_EQ(go_on(*client_, *scan_), Scan::Continued::started);
    wait_for([&] { return client_->spool.unwritten_bytes() > 0; });
  }
  static constexpr size_t kDocuments = 20;
  static constexpr size_t kBytes = 700'000;
  std::vector<std::string> made_;
  std::unique_ptr<Client> client_;
  std::shared_ptr<Scan> scan_;
};

TEST_F(StalledScanTest, IsContinuedOnceAtATime) {
  EXPECT_EQ(go_on(*client_, *scan_), Scan::Continued::busy);
  BinaryStatus last{};
  EXPECT_EQ(items(*client_, last).size(), kDocuments * (kBytes + made_[0].size() + 2) - 1);
  EXPECT_EQ(last, BinaryStatus::range_scan_complete);
}

TEST_F(StalledScanTest, WhoContinuesIsToldOfACancel) {
  EXPECT_TRUE(scan_->cancel());
  EXPECT_EQ(scans_->find(scan_->id()), nullptr);
  BinaryStatus last{};
  EXPECT_LT(items(*client_, last).size(), kDocuments * kBytes);
  EXPECT_EQ(last, BinaryStatus::range_scan_cancelled);
  wait_for([&] { return open() == 0; });
}

TEST_F(StalledScanTest, EndsWithTheConnectionThatReadsIt) {
  client_.reset();
  wait_for([&] { return open() == 0; });
  EXPECT_TRUE(scan_->is_over());
}

TEST_F(StalledScanTest, EndsWithTheConnectionThatMadeIt) {
  mine_.reset();
  BinaryStatus last{};
  EXPECT_LT(items(*client_, last).size(), kDocuments * kBytes);
  EXPECT_EQ(last, BinaryStatus::range_scan_cancelled);
  wait_for([&] { return open() == 0; });
}

TEST_F(StalledScanTest, HoldsNothingWhenThePoolHasEnded) {
  pool_.reset();
  EXPECT_EQ(open(), 0U);
  EXPECT_EQ(keeper_.use_count(), 1);
  disk_.close();  // would end badly if there were a reader
  scan_->end();
  EXPECT_FALSE(scan_->cancel());
  EXPECT_EQ(go_on(*client_, *scan_), Scan::Continued::gone);
}

TEST_F(StalledScanTest, EndsWhenTheLoopsStopFirst) {
  front_->stop();
  wait_for([&] { return open() == 0; });
}

TEST_F(ScanTest, WaitsForTheDiskAndIsEndedMeanwhile) {
  const uint64_t seqno = disk_.bucket().high_seqno(kVBucket) + 1;  // which nobody will ever write
  const auto client = connect();
  const auto scan =
      make(*client, all_keys(R"("key_only":true,"snapshot_requirements":{"vb_uuid":")" +
                             std::to_string(disk_.bucket().vbucket_uuid(kVBucket)) + R"(","seqno":)" +
                             std::to_string(seqno) + R"(,"timeout_ms":4000000000})"));
  EXPECT_EQ(go_on(*client, *scan), Scan::Continued::gone);
  EXPECT_EQ(scan->facts().state, Scan::State::opening);
  mine_.reset();
  wait_for([&] { return open() == 0; });
}

TEST_F(ScanTest, ScansShareThePoolAndEndInAnyOrder) {
  const auto made = fill(3'000);
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<std::shared_ptr<Scan>> scans;
  for (int i = 0; i < 16; ++i) {
    clients.push_back(connect());
    scans.push_back(create(*clients.back(), all_keys()));
    ASSERT_NE(scans.back(), nullptr);
  }
  for (size_t i = 0; i < scans.size(); ++i)
    EXPECT_EQ(go_on(*clients[i], *scans[i]), Scan::Continued::started);
  for (size_t i = 0; i < scans.size(); i += 4) {
    EXPECT_TRUE(scans[i + 1]->cancel() || scans[i + 1]->is_over());
    clients[i + 2].reset();
    scans[i + 3]->end();
  }
  for (size_t i = 0; i < scans.size(); i += 4) {
    BinaryStatus last{};
    EXPECT_EQ(items(*clients[i], last), joined(made));
    EXPECT_EQ(last, BinaryStatus::range_scan_complete);
  }
  wait_for([&] { return open() == 0; });
}

}  // namespace
}  // namespace bobbin::feed
