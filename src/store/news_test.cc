#include "store/news.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

BucketOptions persistent() {
  BucketOptions options = BucketFixture::small_options();
  options.type = BucketType::persistent;
  return options;
}

class NewsTest : public testing::Test, protected BucketFixture {
 protected:
  NewsTest() : BucketFixture(persistent()) { flush(); }

  void flush() {
    for (uint16_t vbucket = 0; vbucket < 16; ++vbucket)
      bucket().persisted(bucket().take_log(vbucket, now()));
  }
  static std::string keys_of(const ChangeChunks& changes) {
    std::string text;
    changes.for_each([&](const Change& change) { text += std::string(change.doc->key()) + " "; });
    return text;
  }

  const uint16_t vbucket_ = bucket().vbucket_of("k");
};

TEST_F(NewsTest, TellsOfTheFirstChangeAfterEachTake) {
  int wakes = 0;
  const auto news = std::make_shared<News>([&wakes] { ++wakes; });
  bucket().add_reader(news);
  news->follow(vbucket_);
  set("k", "1");
  EXPECT_EQ(wakes, 0) << "nobody reads the log yet";
  const AttachedCursor attached = bucket().attach_cursor(vbucket_, "stream", 0);
  ASSERT_TRUE(attached.cursor);
  set("k", "2");
  set("k", "3");
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(news->take(), std::vector<uint16_t>{vbucket_});
  EXPECT_TRUE(news->take().empty());
  set("k", "4");
  EXPECT_EQ(wakes, 1) << "the changes have not been taken";
  EXPECT_EQ(bucket().take_changes(vbucket_, *attached.cursor).items, 1U);
  set("k", "5");
  EXPECT_EQ(wakes, 2);
  (void)bucket().take_changes(vbucket_, *attached.cursor);
  set("k", "6");
  EXPECT_EQ(wakes, 2) << "the last news are still there to be taken";
  EXPECT_EQ(news->take().size(), 1U);
  (void)bucket().take_changes(vbucket_, *attached.cursor);
  news->unfollow(vbucket_);
  set("k", "7");
  EXPECT_EQ(wakes, 2);
  bucket().remove_reader(*news);
}

TEST_F(NewsTest, EveryReaderIsToldOfWhatAnotherHasTaken) {
  const auto first = std::make_shared<News>([] {});
  const auto second = std::make_shared<News>([] {});
  for (const auto& news : {first, second}) {
    bucket().add_reader(news);
    news->follow(vbucket_);
  }
  const auto one = bucket().attach_cursor(vbucket_, "one", 0);
  const auto two = bucket().attach_cursor(vbucket_, "two", 0);
  set("k", "1");
  (void)first->take();
  (void)second->take();
  (void)bucket().take_changes(vbucket_, *one.cursor);
  set("k", "2");
  EXPECT_EQ(first->take().size(), 1U);
  EXPECT_EQ(second->take().size(), 1U);
  EXPECT_EQ(keys_of(bucket().take_changes(vbucket_, *two.cursor).changes), "k ");
}

TEST_F(NewsTest, ACursorBeginsWhereItsReaderIsIfTheLogGoesBackSoFar) {
  set("k", "1");
  const auto all = bucket().attach_cursor(vbucket_, "all", 0);
  EXPECT_EQ(all.from, 0U);
  flush();
  // What the first pins is there for the second too.
  const auto again = bucket().attach_cursor(vbucket_, "again", 0);
  EXPECT_EQ(again.from, 0U);
  EXPECT_EQ(keys_of(bucket().take_changes(vbucket_, *again.cursor).changes), "k ");
  bucket().close_cursor(vbucket_, *all.cursor);
  const auto late = bucket().attach_cursor(vbucket_, "late", 0);
  EXPECT_EQ(late.from, 1U);
  EXPECT_EQ(late.log_begin, 1U);
  set("k", "2");
  EXPECT_EQ(keys_of(bucket().take_changes(vbucket_, *late.cursor).changes), "k ");
}

TEST_F(NewsTest, ACursorIsNotOpenedForWhoIsTooFarBehind) {
  for (int i = 0; i < 10; ++i)
    set("k", "1");
  flush();
  const auto far = bucket().attach_cursor(vbucket_, "far", 3, 6);
  EXPECT_FALSE(far.cursor);
  EXPECT_EQ(far.log_begin, 10U);
  EXPECT_EQ(far.high_seqno, 10U);
  const auto near = bucket().attach_cursor(vbucket_, "near", 4, 6);
  EXPECT_TRUE(near.cursor);
  EXPECT_EQ(near.from, 10U);
}

TEST_F(NewsTest, CursorsOfAllVbucketsTogetherPinAnEighthOfTheQuota) {
  bucket().set_quota_bytes(80'000);
  std::vector<ChangeLog::CursorId> cursors;
  for (uint16_t vbucket = 0; vbucket < 16; ++vbucket)
    cursors.push_back(*bucket().attach_cursor(vbucket, "stream", 0).cursor);
  for (int i = 0; i < 160; ++i)
    set(numbered("key", i), std::string(150, 'x'));
  EXPECT_EQ(bucket().cursor_lag_bytes(), 0U) << "what is not on disk is no lag";
  flush();
  EXPECT_GT(bucket().cursor_lag_bytes(), 0U);
  EXPECT_LE(bucket().cursor_lag_bytes(), 10'000U);
  int lost = 0;
  for (uint16_t vbucket = 0; vbucket < 16; ++vbucket)
    lost += bucket().take_changes(vbucket, cursors[vbucket]).lost ? 1 : 0;
  EXPECT_GT(lost, 0);
  EXPECT_LT(lost, 16);
  EXPECT_EQ(bucket().cursor_lag_bytes(), 0U);
}

// A reader that sleeps until it is woken sees the last of all writes.
TEST_F(NewsTest, LosesNoWake) {
  std::atomic<uint64_t> wakes{0};
  const auto news = std::make_shared<News>([&wakes] {
    wakes.fetch_add(1);
    wakes.notify_one();
  });
  bucket().add_reader(news);
  news->follow(vbucket_);
  const auto attached = bucket().attach_cursor(vbucket_, "stream", 0);
  constexpr uint64_t kWrites = 20'000;
  std::thread reader([&] {
    for (uint64_t seen = 0; seen < kWrites;) {
      const uint64_t before = wakes.load();
      if (news->take().empty()) {
        wakes.wait(before);
        continue;
      }
      seen = bucket().take_changes(vbucket_, *attached.cursor).to;
    }
  });
  for (uint64_t i = 0; i < kWrites; ++i)
    set("k", "v");
  reader.join();
  bucket().remove_reader(*news);
}

TEST_F(NewsTest, TellsWhatDecidesWhetherAReaderMayGoOn) {
  set("k", "1");
  flush();
  bucket().flush(now());
  set("k", "2");
  const StreamFacts facts = bucket().stream_facts(vbucket_);
  EXPECT_EQ(facts.high_seqno, 3U);
  EXPECT_EQ(facts.persisted_seqno, 1U);
  EXPECT_EQ(facts.flush_seqno, 2U);
  EXPECT_EQ(facts.failover.size(), 2U);
}

}  // namespace
}  // namespace bobbin::store
