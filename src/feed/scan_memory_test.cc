// What scans of large documents hold while their clients do not read.

#include <utility>

#include "feed/scan.h"
#include "feed/scan_fixture.h"
#include "store/memory.h"

namespace bobbin::feed {
namespace {

constexpr size_t kMiB = 1 << 20;

// Documents of the largest size that there is.
class LargeScanTest : public ScanTest {
 protected:
  LargeScanTest() {
    disk_.close();
    disk_.options().bucket.quota_bytes = 512 * kMiB;
    disk_.options().bucket.max_value_bytes = store::kLargestMaxValueBytes;
    disk_.start_warm();
    made_ = fill(kDocuments, std::string(kBytes, 'v'));
    // So that they are read from files.
    disk_.close();
    disk_.start_warm();
  }
  static constexpr size_t kDocuments = 3;
  static constexpr size_t kBytes = 20 * kMiB;
  static constexpr uint64_t kLetThrough = kBytes + 1024;  // of documents read and not sent

  [[nodiscard]] std::string all_documents() const {
    std::string text;
    for (const std::string& key : made_)
      text += (text.empty() ? "" : " ") + key + "=" + std::string(kBytes, 'v');
    return text;
  }
  static uint64_t allocated_bytes() { return store::allocator_statistics().allocated_bytes; }

  std::vector<std::string> made_;
};

TEST_F(LargeScanTest, AStalledReaderOfFourCostsTwoDocuments) {
  const auto client = connect(4096);
  std::vector<std::shared_ptr<Scan>> scans;
  const uint64_t before = allocated_bytes();
  for (int i = 0; i < 4; ++i)
    scans.push_back(create(*client, all_keys("\"key_only\":false")));
  wait_until_all_wait();
  EXPECT_LT(allocated_bytes(), before + 8 * kMiB) << "idle";
  for (const auto& scan : scans)
    ASSERT_EQ(go_on(*client, *scan), Scan::Continued::started);
  wait_until_all_wait();
  // An allocator may have no size between 20 and 24 MiB.
  EXPECT_LT(allocated_bytes(), before + 2 * kBytes + 16 * kMiB) << "stalled";
  EXPECT_LE(scans_->statistics().memory.held_bytes, 2 * kLetThrough);
  EXPECT_EQ(scans_->statistics().memory.waiting, 3U) << "one of them for its second document";
}

TEST_F(LargeScanTest, ReadersOfManyConnectionsShareABound) {
  limit({.memory = {.bytes = 1, .connection_bytes = 1}});
  auto stalled = connect(4096);
  const auto first = create(*stalled, all_keys("\"key_only\":false"));
  ASSERT_EQ(go_on(*stalled, *first), Scan::Continued::started);
  wait_until_all_wait();
  const auto client = connect();
  const auto second = create(*client, all_keys("\"key_only\":false"));
  ASSERT_EQ(go_on(*client, *second), Scan::Continued::started);
  wait_until_all_wait();
  EXPECT_LE(scans_->statistics().memory.held_bytes, kLetThrough);
  EXPECT_EQ(scans_->statistics().memory.waiting, 2U) << "the first has its next one still to read";
  EXPECT_EQ(client->spool.unwritten_bytes(), 0U);
  stalled.reset();
  BinaryStatus last{};
  EXPECT_TRUE(items(*client, last) == all_documents()) << "each document once, though some were read twice";
  EXPECT_EQ(last, BinaryStatus::range_scan_complete);
  wait_for([&] { return open() == 0; });
  wait_for([&] { return scans_->statistics().memory.held_bytes == 0; });
}

TEST_F(LargeScanTest, AUserThatReadsNothingLeavesRoomForOthers) {
  limit({.memory = {.bytes = 4 * kLetThrough, .connection_bytes = kLetThrough}});
  std::vector<std::unique_ptr<Client>> stalled;
  for (int i = 0; i < 6; ++i) {
    stalled.push_back(connect(4096));
    const auto scan = make(*stalled.back(), all_keys("\"key_only\":false"), {true, true, true}, "greedy");
    ASSERT_EQ(stalled.back()->reply().status, BinaryStatus::success);
    ASSERT_EQ(go_on(*stalled.back(), *scan), Scan::Continued::started);
  }
  wait_until_all_wait();
  ASSERT_LE(scans_->statistics().memory.held_bytes, kLetThrough) << "a quarter, of six connections";
  ASSERT_EQ(scans_->statistics().memory.waiting, 6U);
  const auto client = connect();
  const auto scan = make(*client, all_keys("\"key_only\":false"), {true, true, true}, "other");
  ASSERT_EQ(client->reply().status, BinaryStatus::success);
  EXPECT_TRUE(continued(*client, *scan, BinaryStatus::range_scan_complete) == all_documents());
}

TEST_F(LargeScanTest, OneThatWaitsForOthersEndsWithItsReader) {
  limit({.memory = {.bytes = 1, .connection_bytes = 1}});
  const auto stalled = connect(4096);
  const auto first = create(*stalled, all_keys("\"key_only\":false"));
  ASSERT_EQ(go_on(*stalled, *first), Scan::Continued::started);
  wait_until_all_wait();
  auto client = connect();
  const auto second = create(*client, all_keys("\"key_only\":false"));
  ASSERT_EQ(go_on(*client, *second), Scan::Continued::started);
  wait_until_all_wait();
  EXPECT_FALSE(second->is_over());
  client.reset();
  wait_for([&] { return second->is_over(); });
  EXPECT_FALSE(first->is_over());
}

// It has a moment of the disk, and what is asked for room keeps its place for nobody.
TEST_F(LargeScanTest, OneThatWaitsForOthersForTooLongEnds) {
  limit({.room_timeout = std::chrono::milliseconds(1), .memory = {.bytes = 1, .connection_bytes = 1}});
  const auto stalled = connect(4096);
  const auto first = create(*stalled, all_keys("\"key_only\":false"));
  ASSERT_EQ(go_on(*stalled, *first), Scan::Continued::started);
  wait_until_all_wait();
  const auto client = connect();
  const auto second = create(*client, all_keys("\"key_only\":false"));
  ASSERT_EQ(go_on(*client, *second), Scan::Continued::started);
  BinaryStatus last{};
  EXPECT_EQ(items(*client, last), "");
  EXPECT_EQ(last, BinaryStatus::range_scan_cancelled);
  wait_for([&] { return second->is_over() && scans_->statistics().memory.waiting == 0; });
}

TEST_F(LargeScanTest, ALimitLeavesTheNextDocumentForLater) {
  const auto client = connect();
  const auto scan = create(*client, all_keys("\"key_only\":false"));
  std::string told;
  for (size_t i = 0; i < kDocuments; ++i) {
    const auto expected =
        i + 1 < kDocuments ? BinaryStatus::range_scan_more : BinaryStatus::range_scan_complete;
    told += (i == 0 ? "" : " ") + continued(*client, *scan, expected, i + 1 < kDocuments ? 1 : 0);
  }
  EXPECT_TRUE(told == all_documents());
}

// The end of an answer waits behind another scan's frame, which is larger than all buffers.
class AnswerEndTest : public LargeScanTest {
 protected:
  AnswerEndTest() {
    first_ = create(*other_, all_keys("\"key_only\":false"));
    EXPECT_EQ(go_on(*stalled_, *first_), Scan::Continued::started);
    wait_until_all_wait();
    scan_ = create(*other_, all_keys());
    EXPECT_EQ(go_on(*stalled_, *scan_, 2), Scan::Continued::started);
    wait_until_all_wait();
    EXPECT_EQ(scan_->facts().items, 2U);
  }
  std::unique_ptr<Client> stalled_ = connect(4096);
  const std::unique_ptr<Client> other_ = connect();
  std::shared_ptr<Scan> first_;
  std::shared_ptr<Scan> scan_;
};

TEST_F(AnswerEndTest, WhoAsksMeanwhileIsNext) {
  EXPECT_EQ(go_on(*other_, *scan_), Scan::Continued::started);
  EXPECT_EQ(go_on(*other_, *scan_), Scan::Continued::busy);
  wait_until_all_wait();
  EXPECT_EQ(scan_->facts().items, 2U);
  bool has_more = false;
  bool has_all = false;
  while (!has_more || !has_all) {
    BinaryStatus last{};
    (void)items(*stalled_, last);
    has_more = has_more || last == BinaryStatus::range_scan_more;
    has_all = has_all || last == BinaryStatus::range_scan_complete;
    ASSERT_TRUE(has_more || has_all);
  }
  BinaryStatus last{};
  EXPECT_EQ(items(*other_, last), made_[2]);
  EXPECT_EQ(last, BinaryStatus::range_scan_complete);
}

TEST_F(AnswerEndTest, ACancelIsToldToAll) {
  EXPECT_EQ(go_on(*other_, *scan_), Scan::Continued::started);
  EXPECT_TRUE(scan_->cancel());
  EXPECT_TRUE(first_->cancel());
  for (int i = 0; i < 2; ++i) {
    BinaryStatus last{};
    (void)items(*stalled_, last);
    EXPECT_EQ(last, BinaryStatus::range_scan_cancelled);
  }
  BinaryStatus last{};
  EXPECT_EQ(items(*other_, last), "");
  EXPECT_EQ(last, BinaryStatus::range_scan_cancelled);
  wait_for([&] { return open() == 0; });
}

TEST_F(AnswerEndTest, WhoIsNextIsAnsweredWhenTheOneBeforeHasGone) {
  EXPECT_EQ(go_on(*other_, *scan_), Scan::Continued::started);
  stalled_.reset();
  BinaryStatus last{};
  EXPECT_EQ(items(*other_, last), "");
  EXPECT_EQ(last, BinaryStatus::range_scan_cancelled);
  wait_for([&] { return open() == 0; });
}

}  // namespace
}  // namespace bobbin::feed
