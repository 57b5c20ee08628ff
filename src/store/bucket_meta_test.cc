// What memcached's meta commands ask of a bucket. The sequences were observed on memcached 1.6.18.

#include <gtest/gtest.h>

#include <string>

#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

class BucketMetaTest : public testing::Test, protected BucketFixture {
 protected:
  Fetched fetch(std::string_view key, const FetchOptions& options = {}) {
    return bucket().fetch(key, options, now());
  }
};

TEST_F(BucketMetaTest, TimesAndMarksAreThoseBeforeTheFetch) {
  set("k", "v");
  clock().advance_s(7);
  Fetched found = fetch("k");
  EXPECT_FALSE(found.fetched_before);
  EXPECT_EQ(now().unix_s() - found.last_access, 7U);
  clock().advance_s(3);
  found = fetch("k");
  EXPECT_TRUE(found.fetched_before);
  EXPECT_EQ(now().unix_s() - found.last_access, 3U);
}

TEST_F(BucketMetaTest, NoBumpLeavesNoTrace) {
  set("k", "v");
  clock().advance_s(7);
  (void)fetch("k", {.no_bump = true});
  const auto seen = bucket().peek("k", now());
  ASSERT_TRUE(seen);
  EXPECT_FALSE(seen->fetched);
  EXPECT_EQ(now().unix_s() - seen->last_access, 7U);
}

TEST_F(BucketMetaTest, FetchMayTouch) {
  set("k", "v", in(5));
  const Fetched found = fetch("k", {.touch = in(50)});
  EXPECT_EQ(found.expiry_before, in(5));
  EXPECT_EQ(found.expiry, in(50));
  clock().advance_s(10);
  EXPECT_EQ(get("k"), "v");
}

TEST_F(BucketMetaTest, VivifyCreatesOnceAndTheFirstWins) {
  Fetched found = fetch("k", {.vivify_expiry = in(30)});
  ASSERT_TRUE(found);
  EXPECT_TRUE(found.won);
  EXPECT_TRUE(found.vivified);
  EXPECT_EQ(found.doc->value(), "");
  EXPECT_EQ(found.expiry, in(30));
  found = fetch("k", {.vivify_expiry = in(90)});
  EXPECT_FALSE(found.won);
  EXPECT_TRUE(found.already_won);
  EXPECT_TRUE(found.fetched_before) << "the fetch that created it counts";
  EXPECT_EQ(found.expiry, in(30));
  EXPECT_TRUE(bucket().fetch("k", now()).already_won);
  set("k", "filled");
  found = fetch("k");
  EXPECT_FALSE(found.already_won);
  EXPECT_EQ(found.doc->value(), "filled");
}

TEST_F(BucketMetaTest, AFetchThatCannotRefillLeavesTheWinToTheNext) {
  set("k", "v");
  bucket().remove("k", {.mark_stale = true}, now());
  EXPECT_FALSE(bucket().fetch("k", now()).won);
  EXPECT_FALSE(fetch("k", {.touch = in(50), .cannot_win = true}).won);
  EXPECT_TRUE(fetch("k").won);
}

TEST_F(BucketMetaTest, RecacheIsWonOnceBelowTheMark) {
  set("k", "v", in(20));
  EXPECT_FALSE(fetch("k", {.recache_s = 20}).won);
  EXPECT_TRUE(fetch("k", {.recache_s = 21}).won);
  const Fetched later = fetch("k", {.recache_s = 21});
  EXPECT_FALSE(later.won);
  EXPECT_TRUE(later.already_won);
  EXPECT_FALSE(later.stale);
}

TEST_F(BucketMetaTest, RecacheNeverConcernsWhatDoesNotExpire) {
  set("k", "v");
  EXPECT_FALSE(fetch("k", {.recache_s = UINT32_MAX}).won);
}

TEST_F(BucketMetaTest, RecacheIsJudgedBeforeOrAfterTheTouch) {
  set("a", "v", in(20));
  EXPECT_FALSE(fetch("a", {.touch = in(100), .recache_s = 30}).won);
  set("b", "v", in(20));
  EXPECT_TRUE(fetch("b", {.touch = in(100), .recache_s = 30, .recache_before_touch = true}).won);
}

TEST_F(BucketMetaTest, AMarkedDocumentIsStaleAndTheNextFetchWins) {
  const uint64_t cas = set("k", "v", 0, 3).cas;
  const RemoveResult marked = bucket().remove("k", {.mark_stale = true, .expiry = in(30)}, now());
  EXPECT_EQ(marked.status, RemoveStatus::removed);
  EXPECT_GT(marked.cas, cas);
  Fetched found = fetch("k");
  EXPECT_TRUE(found.stale && found.won && !found.already_won);
  EXPECT_EQ(found.doc->value(), "v");
  EXPECT_EQ(found.doc->flags(), 3U);
  EXPECT_EQ(found.doc->cas(), marked.cas);
  EXPECT_EQ(found.expiry, in(30));
  found = fetch("k");
  EXPECT_TRUE(found.stale && !found.won && found.already_won);
  (void)bucket().remove("k", {.mark_stale = true}, now());
  EXPECT_TRUE(fetch("k").won) << "marking again lets the next one win";
  set("k", "fresh");
  EXPECT_FALSE(fetch("k").stale);
}

TEST_F(BucketMetaTest, MarkingComparesCasAndTakesAnExplicitOne) {
  const uint64_t cas = set("k", "v").cas;
  EXPECT_EQ(bucket().remove("k", {.cas_compare = cas + 1, .mark_stale = true}, now()).status,
            RemoveStatus::exists);
  EXPECT_EQ(bucket().remove("k", {.cas_compare = cas, .explicit_cas = 99, .mark_stale = true}, now()).cas,
            99U);
  EXPECT_EQ(bucket().remove("none", {.mark_stale = true}, now()).status, RemoveStatus::not_found);
}

TEST_F(BucketMetaTest, DroppingTheValueLeavesAnEmptyDocument) {
  set("k", "v", in(40), 9);
  EXPECT_EQ(bucket().remove("k", {.drop_value = true}, now()).status, RemoveStatus::removed);
  const Fetched found = fetch("k");
  EXPECT_EQ(found.doc->value(), "");
  EXPECT_EQ(found.doc->flags(), 0U);
  EXPECT_EQ(found.expiry, in(40));
}

TEST_F(BucketMetaTest, AnOlderCasMayStoreAStaleValue) {
  const uint64_t cas = set("k", "v", in(60)).cas;
  StoreOptions older{.cas_compare = cas - 1, .invalidate_if_older = true};
  EXPECT_TRUE(put(StoreMode::cas, "k", "w", older, in(5)).ok());
  Fetched found = fetch("k");
  EXPECT_TRUE(found.stale && found.won);
  EXPECT_EQ(found.doc->value(), "w");
  EXPECT_EQ(found.expiry, in(60)) << "the expiry stays the old one's";
  // The token that was sent stays sent.
  older.cas_compare = found.doc->cas() - 1;
  EXPECT_TRUE(put(StoreMode::set, "k", "x", older).ok());
  EXPECT_TRUE(fetch("k").already_won);
  const StoreOptions newer{.cas_compare = UINT64_MAX, .invalidate_if_older = true};
  EXPECT_EQ(put(StoreMode::set, "k", "y", newer).status, StoreStatus::exists);
}

TEST_F(BucketMetaTest, AppendClearsTheMarks) {
  set("k", "v");
  (void)bucket().remove("k", {.mark_stale = true}, now());
  put(StoreMode::append, "k", "w");
  EXPECT_FALSE(fetch("k").stale);
}

TEST_F(BucketMetaTest, PeekShowsTheMarks) {
  EXPECT_FALSE(bucket().peek("k", now()));
  set("k", "v", in(10));
  (void)fetch("k", {.recache_s = 20});
  const auto seen = bucket().peek("k", now());
  ASSERT_TRUE(seen);
  EXPECT_TRUE(seen->fetched);
  EXPECT_TRUE(seen->token_sent);
  EXPECT_FALSE(seen->stale);
  EXPECT_EQ(seen->expiry, in(10));
}

}  // namespace
}  // namespace bobbin::store
