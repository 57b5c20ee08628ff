// The highest revision of a vbucket is on disk with its documents: whatever the end, none begins anew.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "disk/persistence_fixture.h"

namespace bobbin::disk {
namespace {

using store::EvictionPolicy;

class RevisionsTest : public testing::TestWithParam<EvictionPolicy>, protected PersistenceFixture {
 protected:
  static constexpr int kKeys = 3000;

  RevisionsTest() { options().bucket.eviction = GetParam(); }

  static std::string key_of(int number) { return "key" + std::to_string(number); }
  /// Each key has a revision of its own, not only the next after another's.
  void fill(const std::string& value = "v") {
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < kKeys; ++i) {
        if (i % 3 <= round) revisions_[static_cast<size_t>(i)] = set(key_of(i), value).revision;
      }
    }
  }
  /// Stores every fifth unseen, from the last on: a warmup begins with the first.
  void expect_that_they_go_on(int first) {
    for (int i = kKeys - 1 - first; i >= 0; i -= 5) {
      const uint64_t revision = set(key_of(i), "w").revision;
      ASSERT_GT(revision, revisions_[static_cast<size_t>(i)]) << i;
      revisions_[static_cast<size_t>(i)] = revision;
    }
  }
  /// Ends, with states as a program leaves them that keeps no revisions.
  void leave_no_revisions(uint64_t of_removals = 0) {
    close();
    const auto directory = Directory::open(options().directory);
    ASSERT_TRUE(directory);
    for (uint32_t i = 0; i < (*directory)->shards(); ++i) {
      Shard& shard = (*directory)->shard(i);
      auto states = shard.states();
      ASSERT_TRUE(states);
      for (VBucketState& state : *states) {
        state.removals = {of_removals, 0, of_removals != 0};
        state.revisions = {0, false};
      }
      ASSERT_TRUE(shard.commit({}, *states, Sync::yes));
    }
  }
  bool lacks_any() {
    for (uint32_t i = 0; i < bucket().vbucket_count(); ++i) {
      if (bucket().lacks_revisions(static_cast<uint16_t>(i))) return true;
    }
    return false;
  }

  std::vector<uint64_t> revisions_ = std::vector<uint64_t>(kKeys);
};

INSTANTIATE_TEST_SUITE_P(Eviction, RevisionsTest,
                         testing::Values(EvictionPolicy::value, EvictionPolicy::full));

TEST_P(RevisionsTest, NoneGoesDownWhateverTheEnd) {
  start();
  fill();
  for (int end = 0; end < 4; ++end) {
    SCOPED_TRACE(end);
    if (end % 2 == 0) {
      flush_to_disk();
      crash();
    } else {
      close();
    }
    start();
    expect_that_they_go_on(end);
    wait_for_warmup();
    flush_to_disk();
    evict();
    expect_that_they_go_on(end + 1);
  }
  EXPECT_EQ(bucket().statistics().would_block, 0U) << "for which nobody asks the disk";
  close();
}

TEST_P(RevisionsTest, WhereNoneWereKeptTheyAreLearnt) {
  start();
  fill();
  leave_no_revisions();
  start();
  // What is not known yet is looked up.
  expect_that_they_go_on(0);
  wait_for_warmup();
  EXPECT_FALSE(lacks_any());
  const uint64_t blocks = bucket().statistics().would_block;
  expect_that_they_go_on(1);
  EXPECT_EQ(bucket().statistics().would_block, blocks);
  restart();
  EXPECT_FALSE(lacks_any()) << "the states have them now";
  expect_that_they_go_on(2);
  close();
}

// Format 4 has the highest removal's, which may be purged.
TEST_P(RevisionsTest, OfAnOlderProgramTheHighestRemovalCounts) {
  start();
  (void)set("other", "v");
  leave_no_revisions(50);
  start_warm();
  EXPECT_FALSE(lacks_any());
  restart();
  EXPECT_GT(set("k", "v").revision, 50U);
  leave_no_revisions(90);
  start();
  flush_all();
  EXPECT_GT(set("k", "v").revision, 90U);
  close();
}

TEST_P(RevisionsTest, AFlushBeforeTheyAreLearntLetsNoneGoDown) {
  start();
  fill();
  leave_no_revisions();
  open();
  bucket().flush(now());
  there().start();
  expect_that_they_go_on(0);
  close();
}

TEST_P(RevisionsTest, TheyAreLearntWhereThereIsNoRoomForDocuments) {
  options().bucket.quota_bytes = 4 << 20;
  start();
  fill(std::string(3000, 'v'));
  leave_no_revisions();
  start_warm();
  EXPECT_FALSE(lacks_any());
  evict();
  const uint64_t blocks = bucket().statistics().would_block;
  expect_that_they_go_on(0);
  EXPECT_EQ(bucket().statistics().would_block, blocks);
  close();
}

}  // namespace
}  // namespace bobbin::disk
