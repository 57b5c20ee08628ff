#include "store/change_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "store/dirty_set.h"
#include "store/persistence_test_support.h"
#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

BucketOptions one_vbucket() {
  BucketOptions options = BucketFixture::small_options();
  options.type = BucketType::persistent;
  options.vbuckets = 1;
  options.cursor_lag_bytes = 4096;
  return options;
}

class ChangeLogTest : public testing::Test, protected BucketFixture {
 protected:
  ChangeLogTest() : BucketFixture(one_vbucket()) { (void)flush_batch(); }

  static std::string shown(const ChangeChunks& changes) {
    std::string text;
    changes.for_each([&](const Change& change) {
      const char* const kinds[] = {"none", "set", "del", "exp", "flush"};
      text += kinds[static_cast<int>(change.kind)];
      text += " " + (change.doc != nullptr ? std::string(change.doc->key()) : std::string()) + "@" +
              std::to_string(change.seqno) + " ";
    });
    return text;
  }
  FlushBatch flush_batch() {
    FlushBatch batch = bucket().take_log(0, now());
    bucket().persisted(batch);
    return batch;
  }
};

TEST_F(ChangeLogTest, HandsOverAllChangesInTheOrderOfTheirSeqnos) {
  set("a", "1");
  set("b", "1");
  (void)bucket().remove("a", {}, now());
  set("c", "1", kExpiredAtOnce);
  (void)get("c");
  const FlushBatch batch = flush_batch();
  EXPECT_EQ(shown(batch.changes.changes), "set b@2 del a@3 exp c@5 ");
  EXPECT_EQ(batch.changes.from, 1U);
  EXPECT_EQ(batch.changes.to, 5U);
  EXPECT_EQ(batch.changes.items, 3U);
  EXPECT_EQ(batch.state.high_seqno, 5U);
  EXPECT_EQ(batch.state.items, 1U);
  EXPECT_EQ(shown(flush_batch().changes.changes), "");
}

TEST_F(ChangeLogTest, TombstonesHaveANewCasAndTheNextRevision) {
  const uint64_t cas = set("a", "1").cas;
  (void)bucket().remove("a", {}, now());
  flush_batch().changes.changes.for_each([&](const Change& change) {
    EXPECT_EQ(change.kind, ChangeKind::deletion);
    EXPECT_GT(change.cas, cas);
    EXPECT_EQ(change.revision, 2U);
  });
}

TEST_F(ChangeLogTest, ASupersededChangeIsEmptiedUntilItIsTaken) {
  for (int i = 0; i < 10'000; ++i)
    set("hot", "1");
  const Statistics dirty = bucket().statistics();
  EXPECT_EQ(dirty.dirty_items, 1U);
  EXPECT_LT(dirty.log_bytes, 8192U);
  const FlushBatch batch = bucket().take_log(0, now());
  set("hot", "2");
  EXPECT_EQ(shown(batch.changes.changes), "set hot@10000 ");
  EXPECT_EQ(bucket().statistics().dirty_items, 2U);
  bucket().persisted(batch);
  EXPECT_EQ(bucket().statistics().dirty_items, 1U);
  EXPECT_EQ(bucket().persisted_seqno(0), 10'000U);
  EXPECT_EQ(bucket().high_seqno(0), 10'001U);
  EXPECT_GT(bucket().dirty_bytes(), 0U);
  EXPECT_EQ(shown(flush_batch().changes.changes), "set hot@10001 ");
  EXPECT_EQ(bucket().dirty_bytes(), 0U);
  EXPECT_EQ(bucket().statistics().log_bytes, 0U);
}

TEST_F(ChangeLogTest, AFlushSupersedesWhatWasBeforeAndBranchesHistory) {
  set("a", "1");
  bucket().flush(now());
  set("b", "1");
  const FlushBatch batch = flush_batch();
  EXPECT_EQ(shown(batch.changes.changes), "flush @2 set b@3 ");
  EXPECT_EQ(batch.state.flush_seqno, 2U);
  ASSERT_EQ(batch.state.failover.size(), 2U);
  EXPECT_EQ(batch.state.failover[0].seqno, 2U);
  EXPECT_NE(batch.state.failover[0].uuid, batch.state.failover[1].uuid);
}

TEST_F(ChangeLogTest, CompactionLosesNothing) {
  for (int i = 0; i < 3000; ++i) {
    set(numbered("key", i % 700), "1");
    if (i % 3 == 0) set("hot", "1");
  }
  uint64_t last = 0;
  uint64_t seen = 0;
  flush_batch().changes.changes.for_each([&](const Change& change) {
    EXPECT_GT(change.seqno, last);
    last = change.seqno;
    ++seen;
  });
  EXPECT_EQ(seen, 701U);
}

TEST_F(ChangeLogTest, MarksAreHandedOut) {
  set("k", "v");
  (void)bucket().remove("k", {.mark_stale = true}, now());
  EXPECT_TRUE(bucket().fetch("k", FetchOptions{}, now()).won);
  int seen = 0;
  flush_batch().changes.changes.for_each([&](const Change& change) {
    EXPECT_TRUE(change.stale && change.token_sent);
    ++seen;
  });
  EXPECT_EQ(seen, 1);
}

TEST_F(ChangeLogTest, ASecondCursorSeesEverythingFromWhereItWasOpened) {
  set("before", "1");
  const ChangeLog::CursorId cursor = bucket().open_cursor(0, "stream");
  set("a", "1");
  EXPECT_EQ(shown(flush_batch().changes.changes), "set before@1 set a@2 ");
  EXPECT_GT(bucket().statistics().log_bytes, 0U) << "pinned by the other cursor";
  set("b", "1");
  TakenChanges taken = bucket().take_changes(0, cursor);
  EXPECT_EQ(shown(taken.changes), "set a@2 set b@3 ");
  EXPECT_EQ(taken.from, 2U);
  EXPECT_EQ(taken.to, 3U);
  EXPECT_EQ(shown(bucket().take_changes(0, cursor).changes), "");
  EXPECT_EQ(shown(flush_batch().changes.changes), "set b@3 ");
  taken = {};
  EXPECT_EQ(bucket().statistics().log_bytes, 0U);
}

TEST_F(ChangeLogTest, TheLastCursorLeavesNothingToTakeTwice) {
  const ChangeLog::CursorId cursor = bucket().open_cursor(0, "stream");
  set("a", "1");
  (void)flush_batch();
  set("b", "1");
  bucket().close_cursor(0, cursor);
  const FlushBatch batch = flush_batch();
  EXPECT_EQ(shown(batch.changes.changes), "set b@2 ");
  EXPECT_EQ(batch.changes.items, 1U);
  EXPECT_EQ(bucket().statistics().log_bytes, 0U);
  EXPECT_TRUE(bucket().take_changes(0, cursor).lost);
}

TEST_F(ChangeLogTest, ACursorThatLagsTooFarIsLostAndThePersistenceCursorIsNot) {
  const ChangeLog::CursorId cursor = bucket().open_cursor(0, "stream");
  for (int i = 0; i < 100; ++i)
    set(numbered("key", i), std::string(200, 'x'));
  EXPECT_FALSE(bucket().take_changes(0, cursor).lost) << "the persistence cursor pins as much";
  for (int i = 0; i < 100; ++i)
    set(numbered("key", i), std::string(200, 'x'));
  EXPECT_EQ(flush_batch().changes.items, 100U);
  EXPECT_TRUE(bucket().take_changes(0, cursor).lost);
  const Statistics statistics = bucket().statistics();
  EXPECT_EQ(statistics.lost_cursors, 1U);
  EXPECT_EQ(statistics.log_bytes, 0U);
}

TEST_F(ChangeLogTest, ABatchOutlivesItsBucket) {
  FlushBatch batch;
  {
    BucketFixture other(one_vbucket());
    other.set("k", "value");
    batch = other.bucket().take_log(0, other.now());
  }
  batch.changes.changes.for_each([](const Change& change) { EXPECT_EQ(change.doc->value(), "value"); });
}

TEST(DirtySet, TellsEachVBucketOnceToItsShard) {
  DirtySet dirty(64, 3);
  for (uint32_t shard = 0; shard < 3; ++shard) {
    const DirtyWork all = dirty.take(shard);
    EXPECT_EQ(all.vbuckets.size(), shard == 0 ? 22U : 21U);
    for (const uint16_t vbucket : all.vbuckets)
      EXPECT_EQ(vbucket % 3, shard);
  }
  dirty.mark(62);
  dirty.mark(62);
  EXPECT_EQ(dirty.take(2).vbuckets, std::vector<uint16_t>{62});
  EXPECT_TRUE(dirty.take(2).vbuckets.empty());
}

TEST(DirtySet, WakesOnceForEachTimeThatItWasArmed) {
  DirtySet dirty(16, 1);
  int wakes = 0;
  dirty.set_waker(0, [&] { ++wakes; });
  EXPECT_TRUE(dirty.arm(0)) << "the first states are to be written";
  (void)dirty.take(0);
  EXPECT_FALSE(dirty.arm(0));
  for (uint32_t i = 0; i < 16; ++i) {
    dirty.mark(i);
    dirty.ring(i);
  }
  EXPECT_EQ(wakes, 1);
  EXPECT_TRUE(dirty.arm(0));
  dirty.hurry();
  dirty.hurry();
  EXPECT_EQ(wakes, 2);
  EXPECT_TRUE(dirty.take(0).urgent);
  EXPECT_FALSE(dirty.take(0).urgent);
}

// Each writer marks and then waits until its mark was taken: a lost wake would be the end.
TEST(DirtySet, LosesNoWake) {
  DirtySet dirty(8, 1);
  std::atomic<uint64_t> wakes{0};
  dirty.set_waker(0, [&] {
    wakes.fetch_add(1);
    wakes.notify_one();
  });
  std::atomic<bool> taken[8] = {};
  std::atomic<int> left{8};
  std::thread flusher([&] {
    uint64_t arms = 0;
    while (left.load() != 0) {
      const uint64_t before = wakes.load();
      for (const uint16_t vbucket : dirty.take(0).vbuckets) {
        taken[vbucket].store(true);
        taken[vbucket].notify_one();
      }
      ++arms;
      if (!dirty.arm(0)) wakes.wait(before);
    }
    EXPECT_LE(wakes.load(), arms + 8);
  });
  std::vector<std::thread> writers;
  for (uint32_t i = 0; i < 8; ++i) {
    writers.emplace_back([&, i] {
      for (int round = 0; round < 2000; ++round) {
        taken[i].store(false);
        dirty.mark(i);
        dirty.ring(i);
        taken[i].wait(false);
      }
      left.fetch_sub(1);
      dirty.mark(i);
      dirty.ring(i);
    });
  }
  for (std::thread& writer : writers)
    writer.join();
  flusher.join();
}

}  // namespace
}  // namespace bobbin::store
