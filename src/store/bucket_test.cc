#include "store/bucket.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

class BucketTest : public testing::Test, protected BucketFixture {};

TEST_F(BucketTest, WhatIsSetIsFetchedWithItsFlags) {
  const StoreResult result = set("k", "value", 0, 77);
  ASSERT_TRUE(result.ok());
  const Fetched found = bucket().fetch("k", now());
  ASSERT_TRUE(found);
  EXPECT_EQ(found.doc->key(), "k");
  EXPECT_EQ(found.doc->value(), "value");
  EXPECT_EQ(found.doc->flags(), 77U);
  EXPECT_EQ(found.doc->cas(), result.cas);
  EXPECT_EQ(found.doc->seqno(), result.seqno);
  EXPECT_EQ(get("absent"), "<miss>");
}

TEST_F(BucketTest, AddStoresOnlyWhatIsAbsent) {
  EXPECT_EQ(put(StoreMode::add, "k", "1").status, StoreStatus::stored);
  EXPECT_EQ(put(StoreMode::add, "k", "2").status, StoreStatus::not_stored);
  EXPECT_EQ(get("k"), "1");
}

TEST_F(BucketTest, ReplaceStoresOnlyWhatIsPresent) {
  EXPECT_EQ(put(StoreMode::replace, "k", "1").status, StoreStatus::not_stored);
  set("k", "1");
  EXPECT_EQ(put(StoreMode::replace, "k", "2").status, StoreStatus::stored);
  EXPECT_EQ(get("k"), "2");
}

TEST_F(BucketTest, CasStoresOnlyOverTheComparedDocument) {
  EXPECT_EQ(put(StoreMode::cas, "k", "x", {.cas_compare = 1}).status, StoreStatus::not_found);
  const uint64_t cas = set("k", "1").cas;
  EXPECT_EQ(put(StoreMode::cas, "k", "x", {.cas_compare = cas + 1}).status, StoreStatus::exists);
  EXPECT_EQ(put(StoreMode::cas, "k", "x").status, StoreStatus::exists);
  EXPECT_EQ(put(StoreMode::set, "k", "x", {.cas_compare = cas + 1}).status, StoreStatus::exists);
  EXPECT_EQ(put(StoreMode::cas, "k", "2", {.cas_compare = cas}).status, StoreStatus::stored);
  EXPECT_EQ(get("k"), "2");
}

TEST_F(BucketTest, AppendAndPrependKeepFlagsAndExpiry) {
  EXPECT_EQ(put(StoreMode::append, "k", "x").status, StoreStatus::not_stored);
  const uint32_t expiry = in(100);
  set("k", "mid", expiry, 9);
  EXPECT_EQ(put(StoreMode::append, "k", "-end", {}, 0, 1).status, StoreStatus::stored);
  const StoreResult result = put(StoreMode::prepend, "k", "start-");
  EXPECT_EQ(result.status, StoreStatus::stored);
  EXPECT_EQ(result.value_len, 13U);
  const Fetched found = bucket().fetch("k", now());
  EXPECT_EQ(found.doc->value(), "start-mid-end");
  EXPECT_EQ(found.doc->flags(), 9U);
  EXPECT_EQ(found.expiry, expiry);
}

TEST_F(BucketTest, AppendComparesCas) {
  const uint64_t cas = set("k", "1").cas;
  EXPECT_EQ(put(StoreMode::append, "k", "2", {.cas_compare = cas + 1}).status, StoreStatus::exists);
  EXPECT_EQ(put(StoreMode::append, "k", "2", {.cas_compare = cas}).status, StoreStatus::stored);
  EXPECT_EQ(get("k"), "12");
}

TEST_F(BucketTest, AppendMayCreate) {
  EXPECT_TRUE(put(StoreMode::append, "k", "1", {.vivify_expiry = in(30)}).ok());
  EXPECT_EQ(bucket().peek("k", now())->expiry, in(30));
  EXPECT_EQ(get("k"), "1");
}

TEST_F(BucketTest, ValuesAboveTheLimitAreTooLarge) {
  BucketOptions options = small_options();
  options.max_value_bytes = 100;
  BucketFixture limited(options);
  EXPECT_EQ(limited.bucket().draft("k", 0, 0, 101, now()).error(), DraftError::too_large);
  EXPECT_TRUE(limited.set("k", std::string(100, 'x')).ok());
  EXPECT_EQ(limited.put(StoreMode::append, "k", "y").status, StoreStatus::too_large);
  EXPECT_EQ(limited.get("k").size(), 100U);
}

TEST_F(BucketTest, KeysAndValuesOfEverySizeComeBack) {
  for (const size_t key_len : {1U, 2U, 15U, 16U, 17U, 249U, 250U}) {
    for (const size_t value_len : {0U, 1U, 63U, 64U, 4096U, 1'048'576U}) {
      const std::string key(key_len, 'k');
      const std::string value(value_len, 'v');
      ASSERT_TRUE(set(key, value).ok());
      ASSERT_EQ(get(key), value);
    }
  }
}

TEST_F(BucketTest, CasRisesStrictlyWithAClockThatGoesBack) {
  uint64_t last = 0;
  for (int i = 0; i < 1000; ++i) {
    const base::Now skewed{now().unix_ns - uint64_t(i) * 1'000'000'000};
    Draft made = draft("k", "v");
    const StoreResult result = bucket().store(std::move(made), StoreMode::set, skewed);
    ASSERT_GT(result.cas, last);
    last = result.cas;
  }
}

TEST_F(BucketTest, SeqnoRisesByOneAndRevisionCountsTheKeysMutations) {
  const uint64_t first = set("k", "1").seqno;
  EXPECT_EQ(set("k", "2").seqno, first + 1);
  EXPECT_EQ(bucket().fetch("k", now()).doc->revision(), 2U);
}

TEST_F(BucketTest, AnExplicitCasIsKeptAndMovesTheClockIfItIsNear) {
  const uint64_t near = now().unix_ns + 1'000'000'000;
  EXPECT_EQ(put(StoreMode::set, "k", "1", {.explicit_cas = near}).cas, near);
  EXPECT_EQ(set("k", "2").cas, near + 1);
  EXPECT_EQ(put(StoreMode::set, "k", "3", {.explicit_cas = 5}).cas, 5U);
  EXPECT_EQ(set("k", "4").cas, near + 2);
}

TEST_F(BucketTest, AWildExplicitCasDoesNotWedgeTheClock) {
  EXPECT_EQ(put(StoreMode::set, "k", "1", {.explicit_cas = UINT64_MAX}).cas, UINT64_MAX);
  const uint64_t next = set("k", "2").cas;
  EXPECT_NE(next, 0U);
  EXPECT_LT(next, now().unix_ns + 1'000'000);
  EXPECT_GT(set("k", "3").cas, next);
}

TEST_F(BucketTest, TouchSetsTheExpiry) {
  EXPECT_FALSE(bucket().touch("k", in(10), now()).ok());
  set("k", "v");
  EXPECT_TRUE(bucket().touch("k", in(10), now()).ok());
  clock().advance_s(9);
  EXPECT_EQ(get("k"), "v");
  clock().advance_s(1);
  EXPECT_EQ(get("k"), "<miss>");
  EXPECT_FALSE(bucket().touch("k", 0, now()).ok());
}

TEST_F(BucketTest, AnExpiredDocumentIsAbsentForEveryWrite) {
  const auto expired = [&] { set("k", "old", kExpiredAtOnce); };
  expired();
  EXPECT_EQ(get("k"), "<miss>");
  expired();
  EXPECT_EQ(put(StoreMode::add, "k", "new").status, StoreStatus::stored);
  expired();
  EXPECT_EQ(put(StoreMode::replace, "k", "new").status, StoreStatus::not_stored);
  expired();
  EXPECT_EQ(put(StoreMode::cas, "k", "new", {.cas_compare = 1}).status, StoreStatus::not_found);
  expired();
  EXPECT_EQ(put(StoreMode::append, "k", "new").status, StoreStatus::not_stored);
  expired();
  EXPECT_EQ(bucket().remove("k", {}, now()).status, RemoveStatus::not_found);
  expired();
  EXPECT_EQ(bucket().arithmetic("k", {}, now()).status, ArithmeticStatus::not_found);
}

TEST_F(BucketTest, RemoveComparesCas) {
  EXPECT_EQ(bucket().remove("k", {}, now()).status, RemoveStatus::not_found);
  const uint64_t cas = set("k", "v").cas;
  EXPECT_EQ(bucket().remove("k", {.cas_compare = cas + 1}, now()).status, RemoveStatus::exists);
  EXPECT_EQ(bucket().remove("k", {.cas_compare = cas}, now()).status, RemoveStatus::removed);
  EXPECT_EQ(get("k"), "<miss>");
}

TEST_F(BucketTest, ManyAreFetchedInTheirOrder) {
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) {
    names.push_back(numbered("key", i));
    if (i % 3 != 0) set(names.back(), numbered("v", i));
  }
  const std::vector<DocKey> keys(names.begin(), names.end());
  std::vector<Fetched> found(keys.size());
  bucket().fetch_many(keys, found, now());
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(static_cast<bool>(found[i]), i % 3 != 0) << i;
    if (i % 3 != 0) {
      ASSERT_EQ(found[i].doc->value(), numbered("v", i));
    }
  }
}

// Ids whose prefixes have one to five bytes.
TEST_F(BucketTest, CollectionsHaveTheirOwnDocumentsOfAName) {
  const std::vector<CollectionId> collections = {0, 8, 127, 128, 0x4000, 0x200000, 0xffffffff};
  bucket().set_manifest(manifest_with(collections), now());
  for (const CollectionId id : collections) {
    EXPECT_EQ(get({id, "k"}), "<miss>") << id;
    EXPECT_TRUE(put(StoreMode::add, {id, "k"}, std::to_string(id)).ok()) << id;
    EXPECT_EQ(bucket().vbucket_of({id, "k"}), bucket().vbucket_of("k")) << id;
  }
  for (const CollectionId id : collections) {
    EXPECT_EQ(get({id, "k"}), std::to_string(id));
    EXPECT_TRUE(put(StoreMode::append, {id, "k"}, "+").ok());
    EXPECT_EQ(get({id, "k"}), std::to_string(id) + "+");
    EXPECT_TRUE(bucket().touch({id, "k"}, in(100), now()).ok());
    EXPECT_EQ(bucket().peek({id, "k"}, now())->expiry, in(100));
  }
  std::vector<DocKey> keys;
  for (const CollectionId id : collections)
    keys.emplace_back(id, "k");
  std::vector<Fetched> found(keys.size());
  bucket().fetch_many(keys, found, now());
  for (size_t i = 0; i < keys.size(); ++i)
    EXPECT_EQ(found[i].doc->doc_key(), keys[i]);
  EXPECT_EQ(bucket().statistics().items, collections.size());
  EXPECT_EQ(bucket().remove({8, "k"}, {}, now()).status, RemoveStatus::removed);
  for (const CollectionId id : collections)
    EXPECT_EQ(get({id, "k"}), id == 8 ? "<miss>" : std::to_string(id) + "+");
}

TEST_F(BucketTest, TheLongestNamesOfCollectionsAreTaken) {
  const std::vector<CollectionId> collections = {0, 8, 128, 0xffffffff};
  bucket().set_manifest(manifest_with(collections), now());
  for (const CollectionId id : collections) {
    const std::string name(kMaxStoredKeyBytes - CollectionPrefix(id).size(), 'n');
    EXPECT_TRUE(set({id, name}, "v").ok()) << id;
    EXPECT_EQ(get({id, name}), "v") << id;
    EXPECT_FALSE(DocKey(id, name + "n").is_valid()) << id;
  }
}

TEST_F(BucketTest, AWalkSeesAllLiveDocuments) {
  for (int i = 0; i < 500; ++i)
    set(numbered("key", i), "v", i % 5 == 0 ? kExpiredAtOnce : 0);
  std::set<std::string> seen;
  bucket().for_each([&](const Peeked& one) { return seen.insert(std::string(one.doc->key())).second; },
                    now());
  EXPECT_EQ(seen.size(), 400U);
  int visited = 0;
  bucket().for_each([&](const Peeked&) { return ++visited < 7; }, now());
  EXPECT_EQ(visited, 7);
}

TEST_F(BucketTest, StatisticsCountWhatIsThereExactly) {
  const uint64_t empty = bucket().statistics().used_bytes;
  for (int i = 0; i < 1000; ++i)
    set(numbered("key", i % 500), std::string(32, 'x'), i < 100 ? in(5) : 0);
  Statistics statistics = bucket().statistics();
  EXPECT_EQ(statistics.items, 500U);
  EXPECT_EQ(statistics.total_items, 1000U);
  EXPECT_EQ(statistics.items_with_expiry, 0U);
  EXPECT_GT(statistics.table_bytes, 0U);
  EXPECT_GE(statistics.used_bytes, empty + statistics.item_bytes + statistics.table_bytes);
  for (int i = 0; i < 500; ++i)
    (void)bucket().remove(numbered("key", i), {}, now());
  statistics = bucket().statistics();
  EXPECT_EQ(statistics.items, 0U);
  EXPECT_EQ(statistics.item_bytes, 0U);
  bucket().reset_statistics();
  EXPECT_EQ(bucket().statistics().total_items, 0U);
}

TEST_F(BucketTest, ExpiredDocumentsAreCountedByWhetherTheyWereFetched) {
  set("seen", "v", in(5));
  set("unseen", "v", in(5));
  EXPECT_EQ(bucket().statistics().items_with_expiry, 2U);
  EXPECT_EQ(get("seen"), "v");
  clock().advance_s(5);
  EXPECT_TRUE(bucket().fetch("seen", now()).expired);
  set("unseen", "again");
  const Statistics statistics = bucket().statistics();
  EXPECT_EQ(statistics.expired, 2U);
  EXPECT_EQ(statistics.expired_unfetched, 1U);
  EXPECT_EQ(statistics.reclaimed, 1U);
  EXPECT_EQ(statistics.items_with_expiry, 0U);
}

TEST_F(BucketTest, TheCensusCountsSizesInClassesOfThirtyTwoBytes) {
  set("a", std::string(96 - 48 - 1, 'x'));
  set("b", std::string(97 - 48 - 1, 'x'));
  set("c", std::string(128 - 48 - 1, 'x'));
  const Census census = bucket().census(now());
  ASSERT_EQ(census.sizes.size(), 2U);
  EXPECT_EQ(census.sizes[0].upper_bytes, 96U);
  EXPECT_EQ(census.sizes[0].items, 1U);
  EXPECT_EQ(census.sizes[1].upper_bytes, 128U);
  EXPECT_EQ(census.sizes[1].items, 2U);
  uint64_t items = 0;
  for (const SizeClass& size_class : census.classes) {
    items += size_class.items;
    EXPECT_EQ(size_class.oldest_access_s, now().unix_s());
    EXPECT_LE(size_class.requested_bytes, size_class.items * size_class.chunk_bytes);
  }
  EXPECT_EQ(items, 3U);
}

TEST_F(BucketTest, GivesBackEveryByte) {
  MemoryAccount* probe = MemoryAccount::open(1);
  {
    BucketFixture other;
    for (int i = 0; i < 5000; ++i)
      other.set(numbered("key", i), std::string(i % 700, 'x'));
    for (int i = 0; i < 2000; ++i)
      (void)other.bucket().remove(numbered("key", i), {}, other.now());
    other.bucket().flush(other.now());
    for (int i = 0; i < 100; ++i)
      other.set(numbered("key", i), "x");
  }
  // The accounts are given out in order, and again only when nothing is charged to them.
  MemoryAccount* next = MemoryAccount::open(1);
  EXPECT_EQ(next->id(), probe->id() + 1);
  EXPECT_EQ(next->used_bytes(), 0U);
  next->close();
  probe->close();
}

}  // namespace
}  // namespace bobbin::store
