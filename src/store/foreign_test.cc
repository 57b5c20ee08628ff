#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <span>
#include <string>

#include "store/persistence_test_support.h"
#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

class ForeignTest : public testing::Test, protected BucketFixture {
 protected:
  explicit ForeignTest(ConflictResolution rule = ConflictResolution::revision)
      : BucketFixture(options(rule)) {}
  static BucketOptions options(ConflictResolution rule) {
    BucketOptions options = small_options();
    options.conflicts = rule;
    return options;
  }
  StoreStatus store(const ForeignChange& change, uint32_t flags = 0, std::string_view value = "foreign") {
    Draft made = draft("k", value, 0, flags);
    return bucket().store_foreign(made, change, now()).status;
  }
  RemoveStatus remove(const ForeignChange& change) {
    return bucket().remove_foreign("k", change, now()).status;
  }
  Fetched seen() { return bucket().fetch("k", now()); }
};

TEST_F(ForeignTest, TheDocumentHasTheMetadataThatItHadElsewhere) {
  EXPECT_EQ(store({.cas = 77, .revision = 9}, 5), StoreStatus::stored);
  EXPECT_EQ(seen().cas, 77U);
  EXPECT_EQ(seen().doc->revision(), 9U);
  EXPECT_EQ(seen().doc->flags(), 5U);
  EXPECT_EQ(set("k", "own").revision, 10U);
  EXPECT_GT(seen().cas, 77U);
}

TEST_F(ForeignTest, TheHigherRevisionStays) {
  const uint64_t cas = set("k", "1").cas;
  set("k", "2");
  EXPECT_EQ(store({.cas = UINT64_MAX / 2, .revision = 1}), StoreStatus::exists);
  EXPECT_EQ(store({.cas = cas, .revision = 2}), StoreStatus::exists) << "the CAS decides between equals";
  EXPECT_EQ(remove({.cas = cas, .revision = 2}), RemoveStatus::exists);
  EXPECT_EQ(get("k"), "2");
  EXPECT_EQ(store({.cas = cas, .revision = 3}), StoreStatus::stored);
  EXPECT_EQ(store({.cas = cas, .revision = 3}), StoreStatus::exists) << "nothing new";
  EXPECT_EQ(store({.cas = cas, .revision = 3}, 1), StoreStatus::stored) << "higher flags";
  EXPECT_EQ(remove({.cas = cas + 1, .revision = 3}), RemoveStatus::removed);
  EXPECT_EQ(get("k"), "<miss>");
}

TEST_F(ForeignTest, WhoAsksForNoResolutionIsNotRefused) {
  set("k", "1");
  EXPECT_EQ(store({.cas = 1, .revision = 1, .resolve = false}), StoreStatus::stored);
  EXPECT_EQ(seen().cas, 1U);
  EXPECT_EQ(store({.cas = 1, .revision = 1, .resolve = false, .new_cas = true}), StoreStatus::stored);
  EXPECT_NE(seen().cas, 1U);
  EXPECT_EQ(remove({.cas = 1, .revision = 1, .resolve = false}), RemoveStatus::removed);
}

TEST_F(ForeignTest, ACollectionThatIsNotThereTakesNothing) {
  const DocKey key(8, "k");
  Draft made = draft(key, "v");
  EXPECT_EQ(bucket().store_foreign(made, {.cas = 9}, now()).status, StoreStatus::unknown_collection);
  EXPECT_EQ(bucket().remove_foreign(key, {.cas = 9}, now()).status, RemoveStatus::unknown_collection);
}

TEST_F(ForeignTest, ConditionsHold) {
  EXPECT_EQ(store({.cas = 9, .cas_compare = 5}), StoreStatus::not_found);
  EXPECT_EQ(remove({.cas = 9, .cas_compare = 5}), RemoveStatus::not_found);
  EXPECT_EQ(remove({.cas = 9}), RemoveStatus::removed) << "there is nothing";
  EXPECT_EQ(store({.cas = 9, .add = true}), StoreStatus::stored);
  EXPECT_EQ(store({.cas = 10, .revision = 5, .add = true}), StoreStatus::exists);
  EXPECT_EQ(store({.cas = 10, .revision = 5, .cas_compare = 5}), StoreStatus::exists);
  EXPECT_EQ(remove({.cas = 10, .revision = 5, .cas_compare = 5}), RemoveStatus::exists);
  const uint64_t lock = bucket().lock("k", 10, now()).found.cas;
  EXPECT_EQ(store({.cas = 10, .revision = 5}), StoreStatus::locked);
  EXPECT_EQ(remove({.cas = 10, .revision = 5}), RemoveStatus::locked);
  EXPECT_EQ(store({.cas = 10, .revision = 5, .cas_compare = lock}), StoreStatus::stored);
}

TEST_F(ForeignTest, TheEndOfADocumentIsWrittenWithTheRevisionThatItHadElsewhere) {
  for (const EvictionPolicy policy : {EvictionPolicy::value, EvictionPolicy::full}) {
    BucketOptions options = small_options();
    options.type = BucketType::persistent;
    options.vbuckets = 1;
    options.eviction = policy;
    BucketFixture there(options);
    there.set("k", "v");
    there.bucket().persisted(there.bucket().take_log(0, there.now()));
    EXPECT_EQ(there.bucket().remove_foreign("k", {.cas = 77, .revision = 9}, there.now()).revision, 9U);
    const FlushBatch batch = there.bucket().take_log(0, there.now());
    std::vector<uint64_t> revisions;
    batch.changes.changes.for_each([&](const Change& change) {
      EXPECT_EQ(change.kind, ChangeKind::deletion);
      EXPECT_EQ(change.cas, 77U);
      revisions.push_back(change.revision);
    });
    EXPECT_EQ(revisions, std::vector<uint64_t>{9});
  }
}

class ForeignByTime : public ForeignTest {
 protected:
  ForeignByTime() : ForeignTest(ConflictResolution::time) {}
};

TEST_F(ForeignByTime, TheLaterChangeStays) {
  const uint64_t cas = set("k", "1").cas;
  EXPECT_EQ(store({.cas = cas - 1, .revision = 100}), StoreStatus::exists);
  EXPECT_EQ(store({.cas = cas + 1, .revision = 1}), StoreStatus::stored);
  EXPECT_EQ(store({.cas = cas + 1, .revision = 1}), StoreStatus::exists);
  EXPECT_EQ(store({.cas = cas + 1, .revision = 2}), StoreStatus::stored);
}

TEST_F(ForeignTest, AnyDocumentAndTheNamesOfAVbucket) {
  bool gave_up = true;
  EXPECT_FALSE(bucket().any(5, kDefaultCollection, now(), gave_up));
  EXPECT_FALSE(gave_up);
  std::set<std::string> all;
  for (int i = 0; i < 100; ++i) {
    set(numbered("k", i), "v");
    all.insert(numbered("k", i));
  }
  for (uint64_t i = 0; i < 50; ++i)
    EXPECT_TRUE(all.contains(
        std::string(bucket().any(i * 0x123456789abcdef, kDefaultCollection, now(), gave_up)->doc->key())));
  std::set<std::string> named;
  for (uint16_t vbucket = 0; vbucket < 16; ++vbucket) {
    const auto names = bucket().names(vbucket, DocKey(kDefaultCollection, "k"), 1000, now());
    ASSERT_TRUE(names);
    EXPECT_TRUE(std::ranges::is_sorted(*names));
    named.insert(names->begin(), names->end());
    const auto two = bucket().names(vbucket, DocKey(kDefaultCollection, "k"), 2, now());
    EXPECT_TRUE(std::ranges::equal(*two, std::span(*names).first(std::min<size_t>(2, names->size()))));
    if (names->size() < 2) continue;
    const DocKey second(kDefaultCollection, (*names)[1]);
    EXPECT_EQ(bucket().names(vbucket, second, 1, now())->front(), second.name());
  }
  EXPECT_EQ(named, all);
  EXPECT_FALSE(bucket().any(5, 8, now(), gave_up));
}

TEST_F(ForeignTest, TheHighestRevisionStaysTheHighest) {
  constexpr uint64_t kHighest = kMaxRevision;
  EXPECT_EQ(store({.cas = 5, .revision = kHighest}), StoreStatus::stored);
  EXPECT_EQ(set("k", "later").revision, kHighest);
  EXPECT_EQ(store({.cas = 6, .revision = 7}), StoreStatus::exists);
}

}  // namespace
}  // namespace bobbin::store
