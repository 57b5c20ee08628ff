// Revisions of keys that nobody knows, because a bucket warms up or has evicted them: what is stored unseen
// goes on where the disk is.

#include <gtest/gtest.h>

#include <string>

#include "store/persistence_test_support.h"
#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

BucketOptions options_of(EvictionPolicy policy) {
  BucketOptions options = BucketFixture::small_options();
  options.type = BucketType::persistent;
  options.eviction = policy;
  // All keys share one highest revision.
  options.vbuckets = 1;
  return options;
}

class RevisionsTest : public testing::TestWithParam<EvictionPolicy>, protected BucketOnDisk {
 protected:
  RevisionsTest() : BucketOnDisk(options_of(GetParam())) {}

  /// The revision that the last of so many sets has given.
  uint64_t sets(DocKey key, int times) {
    uint64_t revision = 0;
    for (int i = 0; i < times; ++i)
      revision = set(key, "v").revision;
    return revision;
  }
  StoreStatus bring(DocKey key, const ForeignChange& change) {
    auto made = bucket().draft(key, 0, 0, 0, now());
    return until_known(
        key, [&] { return bucket().store_foreign(*made, change, now()).status; },
        [](StoreStatus status) { return status == StoreStatus::would_block; });
  }
  void warm_up() { disk().warm_up(bucket(), 0, now()); }
  void crash_after_flush() {
    flush_to_disk();
    crash();
  }
  [[nodiscard]] HighestRevision on_disk() { return disk().state(0)->revisions; }
};

INSTANTIATE_TEST_SUITE_P(Policies, RevisionsTest,
                         testing::Values(EvictionPolicy::value, EvictionPolicy::full));

TEST_P(RevisionsTest, WhatIsStoredUnseenGoesOnWhereTheDiskIs) {
  EXPECT_EQ(sets("k", 5), 5U);
  crash_after_flush();
  EXPECT_EQ(set("k", "v").revision, 6U);
  EXPECT_EQ(blocked(), 0U) << "and nobody asked the disk";
  EXPECT_EQ(set("k", "v").revision, 7U) << "it is known now";
  crash_after_flush();
  warm_up();
  EXPECT_EQ(set("k", "v").revision, 8U);
  crash_after_flush();
  EXPECT_EQ(remove("k").revision, 9U);
  crash_after_flush();
  EXPECT_EQ(set("k", "v").revision, 10U) << "a removal has one, too";
}

TEST_P(RevisionsTest, WhatExpiresGoesOn) {
  set("k", "v", in(5));
  crash_after_flush();
  clock().advance_s(9);
  EXPECT_EQ(get("k"), "<miss>");
  crash_after_flush();
  EXPECT_EQ(set("k", "v").revision, 3U);
}

TEST_P(RevisionsTest, WhatWasEvictedGoesOn) {
  EXPECT_EQ(sets("k", 5), 5U);
  flush_to_disk();
  evict();
  EXPECT_EQ(set("k", "v").revision, 6U);
  EXPECT_EQ(blocked(), 0U);
}

TEST_P(RevisionsTest, WhoIsKnownCountsAlone) {
  sets("much", 9);
  EXPECT_EQ(sets("k", 2), 2U);
  crash_after_flush();
  EXPECT_EQ(get("k"), "v");
  EXPECT_EQ(set("k", "v").revision, 3U);
  warm_up();
  EXPECT_EQ(get("much"), "v");
  EXPECT_EQ(set("much", "v").revision, 10U);
  EXPECT_EQ(put(StoreMode::add, "new", "v").revision, 1U) << "nothing was ever removed";
}

TEST_P(RevisionsTest, ItIsExactlyTheHighestThatIsKept) {
  EXPECT_EQ(sets("k", 3), 3U);
  EXPECT_EQ(sets("other", 2), 2U);
  for (int i = 0; i < 3; ++i) {
    crash_after_flush();
    EXPECT_EQ(on_disk(), (HighestRevision{3, true}));
    if (i == 1) warm_up();
  }
  EXPECT_EQ(set("k", "v").revision, 4U);
  // One that a condition refuses, or that finds no memory, leaves none.
  EXPECT_EQ(put(StoreMode::add, "k", "v").status, StoreStatus::not_stored);
  flush_to_disk();
  EXPECT_EQ(on_disk(), (HighestRevision{4, true}));
}

TEST_P(RevisionsTest, ARevisionFromElsewhereCounts) {
  EXPECT_EQ(bring("k", {.cas = 5, .revision = 1000}), StoreStatus::stored);
  EXPECT_EQ(bring("k", {.cas = 5, .revision = 7, .resolve = false}), StoreStatus::stored);
  EXPECT_EQ(set("other", "v").revision, 1U);
  crash_after_flush();
  EXPECT_EQ(on_disk(), (HighestRevision{1000, true}));
  EXPECT_EQ(set("k", "v").revision, 1001U);
  EXPECT_EQ(set("other", "v").revision, 1002U);
  EXPECT_EQ(bring("k", {.cas = 5, .revision = kMaxRevision}), StoreStatus::stored);
  crash_after_flush();
  for (int i = 0; i < 3; ++i) {
    const uint64_t cas = get("k").empty() ? 0 : fetch("k", {}).cas;
    const StoreResult result = set(i == 2 ? "other" : "k", "v");
    EXPECT_EQ(result.revision, kMaxRevision) << "it must not begin anew";
    EXPECT_GT(result.cas, cas) << "which decides then";
  }
}

TEST_P(RevisionsTest, WhereNobodyHasKeptThemTheDiskIsAsked) {
  for (const bool is_warm : {false, true}) {
    SCOPED_TRACE(is_warm);
    const uint64_t of_k = sets("k", 5);
    const uint64_t of_other = set("other", "v").revision;
    flush_to_disk();
    disk().forget_revisions(0);
    crash();
    EXPECT_FALSE(on_disk().complete) << "what is written meanwhile says so, too";
    if (is_warm) {
      warm_up();
      flush_to_disk();
      EXPECT_TRUE(on_disk().complete);
      EXPECT_EQ(on_disk().revision, std::max(of_k, of_other));
      crash();
    }
    const uint64_t before = blocked();
    const uint64_t next = set("other", "v").revision;
    EXPECT_EQ(blocked() - before, is_warm ? 0U : 1U);
    EXPECT_GT(next, of_other);
    if (!is_warm) {
      EXPECT_EQ(next, of_other + 1);
    }
    EXPECT_GT(set("k", "v").revision, of_k);
    if (!is_warm) warm_up();
  }
}

TEST_P(RevisionsTest, RemovalsAreLearntWithThem) {
  sets("k", 5);
  remove("k");
  flush_to_disk();
  disk().forget_revisions(0);
  crash();
  warm_up();
  EXPECT_GT(set("k", "v").revision, 6U);
  EXPECT_GT(set("new", "v").revision, 6U);
}

TEST_P(RevisionsTest, AFlushIsTheEndOfAll) {
  sets("k", 5);
  flush_to_disk();
  bucket().flush(now());
  EXPECT_EQ(set("k", "v").revision, 6U);
  bucket().flush(now());
  crash_after_flush();
  EXPECT_EQ(set("k", "v").revision, 7U);
  EXPECT_EQ(on_disk().revision, 6U);
}

TEST_P(RevisionsTest, ACopyHasItsSourcesRevisions) {
  EXPECT_TRUE(bucket().clear(0, now()));
  bucket().follow(0, now());
  ASSERT_EQ(bucket().begin_snapshot(0, {0, 10, false}), ReplicaStatus::applied);
  const auto apply = [&](DocKey key, const ReplicaChange& change) {
    auto made = bucket().draft(key, 0, 0, 0, now());
    return bucket().apply(*made, change, now());
  };
  EXPECT_EQ(apply("k", {.seqno = 1, .cas = 5, .revision = 70}), ReplicaStatus::applied);
  crash_after_flush();
  EXPECT_EQ(on_disk(), (HighestRevision{70, true}));
  EXPECT_EQ(apply("other", {.seqno = 2, .cas = 6, .revision = 3}), ReplicaStatus::applied);
  EXPECT_EQ(apply("k", {.seqno = 3, .cas = 7, .revision = 71}), ReplicaStatus::applied);
  EXPECT_EQ(fetch("other", {}).doc->revision(), 3U);
  EXPECT_EQ(fetch("k", {}).doc->revision(), 71U);
  EXPECT_EQ(bucket().apply_removal("gone", {.seqno = 4, .cas = 8, .revision = 90}, now()),
            ReplicaStatus::applied);
  crash_after_flush();
  EXPECT_EQ(on_disk(), (HighestRevision{90, true}));
  bucket().stop_following(0, now());
  flush_to_disk();
  EXPECT_EQ(set("gone", "v").revision, 91U);
}

TEST_P(RevisionsTest, WhatIsClearedBeginsAnew) {
  sets("k", 5);
  flush_to_disk();
  EXPECT_TRUE(bucket().clear(0, now()));
  flush_to_disk();
  EXPECT_EQ(on_disk(), (HighestRevision{0, true}));
  EXPECT_EQ(set("k", "v").revision, 1U);
}

/// A read of the disk that is under way while keys change, come to disk, and are evicted.
class LateReadsTest : public RevisionsTest {
 protected:
  struct Read {
    std::string key;
    LoadTicket ticket;
    std::optional<FakeDisk::Record> record;
  };
  Read begin(const std::string& key) { return {key, bucket().begin_load(0), disk().read_any(0, key)}; }
  LoadStatus deliver(const Read& read) {
    return FakeDisk::deliver(bucket(), read.key, read.record, read.ticket, LoadPurpose::fetch, now()).status;
  }
  /// A removal that has come to disk, and with full eviction has left the table.
  void lose(DocKey key) {
    set(key, "v");
    remove(key);
    flush_to_disk();
    evict();
  }
};

INSTANTIATE_TEST_SUITE_P(Policies, LateReadsTest,
                         testing::Values(EvictionPolicy::value, EvictionPolicy::full));

TEST_P(LateReadsTest, OnlyItsOwnKeyMakesOneBeginAgain) {
  lose("k");
  lose("other");
  const Read first = begin("k");
  lose("busy");
  // From here on keys are told apart.
  EXPECT_EQ(deliver(first), LoadStatus::read_again);
  const Read of_k = begin("k");
  const Read of_other = begin("other");
  lose("busy");
  lose("other");
  EXPECT_EQ(deliver(of_k), LoadStatus::absent);
  EXPECT_EQ(deliver(of_other), LoadStatus::read_again);
}

TEST_P(LateReadsTest, OneThatSawADocumentIsNotBelieved) {
  set("k", "old");
  set("other", "old");
  flush_to_disk();
  lose("x");
  const Read warns = begin("x");
  lose("x");
  EXPECT_EQ(deliver(warns), LoadStatus::read_again);
  evict();
  const Read of_k = begin("k");
  const Read of_other = begin("other");
  lose("k");
  EXPECT_EQ(deliver(of_k), LoadStatus::read_again);
  EXPECT_EQ(get("k"), "<miss>");
  EXPECT_NE(deliver(of_other), LoadStatus::read_again);
  EXPECT_EQ(get("other"), "old");
}

}  // namespace
}  // namespace bobbin::store
