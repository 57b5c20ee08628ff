// Vbuckets that follow another server's.

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "store/persistence_test_support.h"
#include "store/replica_test_support.h"

namespace bobbin::store {
namespace {

class ReplicaOf : public testing::TestWithParam<EvictionPolicy> {
 protected:
  ReplicaOf() { disk_.bucket().follow(0, disk_.now()); }

  static BucketOptions options() {
    BucketOptions options;
    options.type = BucketType::persistent;
    options.eviction = GetParam();
    options.vbuckets = 1;
    return options;
  }
  ReplicaStatus begin(uint64_t start, uint64_t end) {
    return disk_.bucket().begin_snapshot(0, {start, end, false});
  }
  ReplicaStatus put(std::string_view key, uint64_t seqno, std::string_view value = "v", uint32_t expiry = 0) {
    return apply_document(disk_.bucket(), key, value, {.seqno = seqno, .cas = 1000 + seqno, .revision = 7},
                          {.flags = 5, .expiry = expiry}, disk_.now());
  }
  ReplicaStatus remove(std::string_view key, uint64_t seqno, bool expired = false) {
    return disk_.bucket().apply_removal(
        key, {.seqno = seqno, .cas = 1000 + seqno, .revision = 9, .deleted_s = 77, .expired = expired},
        disk_.now());
  }
  Bucket& bucket() { return disk_.bucket(); }
  uint64_t items() { return bucket().statistics().items; }
  void flush() { disk_.flush_to_disk(); }

  BucketOnDisk disk_{options()};
};

TEST_P(ReplicaOf, ADocumentIsAsItsSourceHasIt) {
  ASSERT_EQ(begin(0, 90), ReplicaStatus::applied);
  ASSERT_EQ(put("k", 80, "value", 4'000'000'000), ReplicaStatus::applied);
  const auto seen = disk_.peek("k");
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->doc->value(), "value");
  EXPECT_EQ(seen->doc->seqno(), 80U);
  EXPECT_EQ(seen->doc->cas(), 1080U);
  EXPECT_EQ(seen->doc->revision(), 7U);
  EXPECT_EQ(seen->doc->flags(), 5U);
  EXPECT_EQ(seen->expiry, 4'000'000'000U);
  EXPECT_EQ(bucket().high_seqno(0), 80U);
  flush();
  EXPECT_EQ(bucket().persisted_seqno(0), 80U);
  EXPECT_EQ(disk_.disk().state(0)->reserved_seqno, 80U);
}

TEST_P(ReplicaOf, WhatComesOutOfOrderIsRefused) {
  EXPECT_EQ(put("k", 1), ReplicaStatus::out_of_order);
  ASSERT_EQ(begin(0, 10), ReplicaStatus::applied);
  EXPECT_EQ(put("k", 11), ReplicaStatus::out_of_order);
  ASSERT_EQ(put("k", 5), ReplicaStatus::applied);
  EXPECT_EQ(put("k", 5), ReplicaStatus::out_of_order);
  EXPECT_EQ(remove("k", 4), ReplicaStatus::out_of_order);
  EXPECT_EQ(bucket().advance_seqno(0, 5), ReplicaStatus::out_of_order);
  EXPECT_EQ(begin(0, 4), ReplicaStatus::out_of_order);
  EXPECT_EQ(put("k", uint64_t{1} << 48), ReplicaStatus::invalid);
  EXPECT_EQ(apply_document(bucket(), "k", "", {.seqno = 6, .cas = 0}, {}, disk_.now()),
            ReplicaStatus::invalid);
  EXPECT_EQ(bucket().advance_seqno(0, 10), ReplicaStatus::applied);
  EXPECT_EQ(bucket().high_seqno(0), 10U);
}

TEST_P(ReplicaOf, NobodyElseChangesIt) {
  ASSERT_EQ(begin(0, 10), ReplicaStatus::applied);
  ASSERT_EQ(put("k", 5), ReplicaStatus::applied);
  flush();
  EXPECT_EQ(disk_.set("k", "other").status, StoreStatus::no_memory);
  EXPECT_EQ(disk_.set("new", "other").status, StoreStatus::no_memory);
  EXPECT_EQ(disk_.remove("k").status, RemoveStatus::no_memory);
  EXPECT_EQ(disk_.touch("k", disk_.in(9)), TouchStatus::no_memory);
  EXPECT_EQ(disk_.arithmetic("n", {.initial = 1}).status, ArithmeticStatus::no_memory);
  bucket().flush(disk_.now());
  bucket().flush_at(disk_.in(1), disk_.now());
  disk_.clock().advance_s(2);
  EXPECT_EQ(disk_.get("k"), "v");
  EXPECT_EQ(bucket().high_seqno(0), 5U);
}

TEST_P(ReplicaOf, WhatHasExpiredIsNotFoundAndStaysUntilTheSourceSaysSo) {
  ASSERT_EQ(begin(0, 10), ReplicaStatus::applied);
  ASSERT_EQ(put("k", 5, "value", disk_.in(5)), ReplicaStatus::applied);
  flush();
  disk_.clock().advance_s(10);
  EXPECT_EQ(disk_.get("k"), "<miss>");
  (void)bucket().sweep_expired(1000, disk_.now());
  disk_.evict();
  EXPECT_EQ(disk_.get("k"), "<miss>");
  EXPECT_EQ(bucket().high_seqno(0), 5U);
  EXPECT_EQ(items(), 1U);
  disk_.crash();
  disk_.disk().warm_up(bucket(), 0, disk_.now());
  EXPECT_EQ(disk_.get("k"), "<miss>");
  EXPECT_EQ(items(), 1U);
  ASSERT_EQ(remove("k", 9, true), ReplicaStatus::applied);
  flush();
  EXPECT_EQ(items(), 0U);
  EXPECT_EQ(disk_.disk().state(0)->items, 0U);
  const FakeDisk::Record record = disk_.disk().snapshot(0).at(DocKey("k").stored());
  EXPECT_TRUE(record.expired);
  EXPECT_EQ(record.expiry, 77U);
  EXPECT_EQ(record.revision, 9U);
}

TEST_P(ReplicaOf, TheEndOfAnUnknownKeyIsKept) {
  ASSERT_EQ(begin(0, 10), ReplicaStatus::applied);
  ASSERT_EQ(remove("k", 3), ReplicaStatus::applied);
  flush();
  EXPECT_EQ(items(), 0U);
  EXPECT_EQ(disk_.disk().snapshot(0).at(DocKey("k").stored()).seqno, 3U);
  // A placeholder that keeps a moment long ago does not expire.
  disk_.clock().advance_s(10);
  (void)bucket().sweep_expired(1000, disk_.now());
  EXPECT_EQ(bucket().high_seqno(0), 3U);
  bucket().stop_following(0, disk_.now());
  flush();
  (void)bucket().sweep_expired(1000, disk_.now());
  disk_.evict();
  EXPECT_EQ(bucket().high_seqno(0), 3U);
}

TEST_P(ReplicaOf, ItemsAreExactWhereOnlyTheDiskKnows) {
  ASSERT_EQ(begin(0, 100), ReplicaStatus::applied);
  ASSERT_EQ(put("a", 1), ReplicaStatus::applied);
  ASSERT_EQ(put("b", 2), ReplicaStatus::applied);
  flush();
  disk_.crash();
  // Not warm yet.
  ASSERT_EQ(put("a", 3), ReplicaStatus::applied);
  ASSERT_EQ(remove("b", 4), ReplicaStatus::applied);
  ASSERT_EQ(put("c", 5), ReplicaStatus::applied);
  ASSERT_EQ(remove("d", 6), ReplicaStatus::applied);
  flush();
  EXPECT_EQ(items(), 2U);
  EXPECT_EQ(disk_.disk().state(0)->items, 2U);
  disk_.disk().warm_up(bucket(), 0, disk_.now());
  EXPECT_EQ(items(), 2U);
}

TEST_P(ReplicaOf, AttributesOutliveTheirDocument) {
  const std::string block("\0\0\0\x0a\0\0\0\x06_a\0{}\0", 14);
  ASSERT_EQ(begin(0, 10), ReplicaStatus::applied);
  ASSERT_EQ(put("k", 3), ReplicaStatus::applied);
  ASSERT_EQ(
      apply_attributes(bucket(), "k", block,
                       {.seqno = 5, .cas = 9, .revision = 2, .deleted_s = 88, .expired = true}, disk_.now()),
      ReplicaStatus::applied);
  EXPECT_EQ(disk_.get("k"), "<miss>");
  EXPECT_EQ(items(), 0U);
  flush();
  const FakeDisk::Record record = disk_.disk().snapshot(0).at(DocKey("k").stored());
  EXPECT_TRUE(record.deleted);
  EXPECT_TRUE(record.expired);
  EXPECT_EQ(record.value, block);
  EXPECT_EQ(record.expiry, 88U);
  ASSERT_EQ(remove("k", 6), ReplicaStatus::applied);
  flush();
  EXPECT_FALSE(disk_.disk().snapshot(0).at(DocKey("k").stored()).deleted);
}

TEST_P(ReplicaOf, AfterACrashItGoesOnInTheSnapshotThatWasUnderWay) {
  const std::vector<FailoverEntry> failover = {{42, 50}, {41, 0}};
  ASSERT_EQ(bucket().adopt_failover(0, failover), ReplicaStatus::applied);
  EXPECT_EQ(bucket().replica_facts(0).position(), (ReplicaPosition{0, 0, 0, 0}));
  ASSERT_EQ(begin(0, 60), ReplicaStatus::applied);
  ASSERT_EQ(put("a", 60), ReplicaStatus::applied);
  EXPECT_EQ(bucket().replica_facts(0).position(), (ReplicaPosition{42, 60, 60, 60}));
  ASSERT_EQ(begin(61, 70), ReplicaStatus::applied);
  EXPECT_EQ(bucket().replica_facts(0).position(), (ReplicaPosition{42, 60, 60, 60}));
  ASSERT_EQ(put("b", 61), ReplicaStatus::applied);
  flush();
  ASSERT_EQ(put("c", 65), ReplicaStatus::applied);
  disk_.crash();
  const ReplicaFacts facts = bucket().replica_facts(0);
  EXPECT_TRUE(facts.follows);
  EXPECT_EQ(facts.failover, failover);
  EXPECT_EQ(facts.position(), (ReplicaPosition{42, 61, 60, 70}));
  // The source goes on with what is left of it, and more.
  ASSERT_EQ(begin(62, 80), ReplicaStatus::applied);
  ASSERT_EQ(put("c", 65), ReplicaStatus::applied);
  EXPECT_EQ(bucket().replica_facts(0).position(), (ReplicaPosition{42, 65, 60, 80}));
}

TEST_P(ReplicaOf, WhoStopsFollowingBeginsABranch) {
  const std::vector<FailoverEntry> failover = {{43, 1000}, {42, 0}};
  ASSERT_EQ(bucket().adopt_failover(0, failover), ReplicaStatus::applied);
  ASSERT_EQ(begin(0, 60), ReplicaStatus::applied);
  ASSERT_EQ(put("a", 60), ReplicaStatus::applied);
  EXPECT_TRUE(bucket().is_following());
  bucket().stop_following(0, disk_.now());
  EXPECT_FALSE(bucket().is_following());
  // Nothing that a crash would forget.
  EXPECT_EQ(disk_.set("a", "mine").status, StoreStatus::no_memory);
  flush();
  EXPECT_EQ(disk_.set("a", "mine").seqno, 61U);
  const auto log = bucket().failover_log(0);
  ASSERT_EQ(log.size(), 2U);
  EXPECT_EQ(log[0].seqno, 60U);
  EXPECT_EQ(log[1], (FailoverEntry{42, 0})) << "and not the branch that it never came to";
  EXPECT_EQ(put("b", 62), ReplicaStatus::not_following);
}

TEST_P(ReplicaOf, WhatWasTakenBeforeItFollowedReservesNothing) {
  bucket().stop_following(0, disk_.now());
  const FlushBatch batch = bucket().take_log(0, disk_.now());
  bucket().follow(0, disk_.now());
  bucket().persisted(batch, disk_.disk().commit(batch));
  EXPECT_EQ(disk_.set("a", "mine").status, StoreStatus::no_memory);
}

TEST_P(ReplicaOf, AClearedVBucketHasNothing) {
  ASSERT_EQ(begin(0, 60), ReplicaStatus::applied);
  ASSERT_EQ(put("a", 50), ReplicaStatus::applied);
  flush();
  ASSERT_EQ(put("b", 60), ReplicaStatus::applied);
  const LoadTicket ticket = bucket().begin_load(0);
  const auto read = disk_.disk().read(0, "a");
  const auto cursor = bucket().open_cursor(0, "reader");
  const FlushBatch under_way = bucket().take_log(0, disk_.now());
  ASSERT_TRUE(bucket().clear(0, disk_.now()));
  EXPECT_EQ(bucket().unsaved_clears(), 1U);
  EXPECT_EQ(bucket().generation(0), 1U);
  EXPECT_EQ(bucket().high_seqno(0), 0U);
  EXPECT_EQ(items(), 0U);
  EXPECT_TRUE(bucket().take_changes(0, cursor).lost);
  EXPECT_EQ(bucket().attach_cursor(0, "reader", 60).cursor, std::nullopt);
  // What comes late is of what is gone.
  bucket().persisted(under_way, disk_.disk().commit(under_way));
  EXPECT_EQ(bucket().persisted_seqno(0), 0U);
  ASSERT_EQ(begin(0, 9), ReplicaStatus::applied);
  ASSERT_EQ(put("c", 3), ReplicaStatus::applied);
  EXPECT_EQ(FakeDisk::deliver(bucket(), "a", read, ticket, LoadPurpose::fetch, disk_.now()).status,
            LoadStatus::read_again);
  EXPECT_EQ(disk_.get("a"), "<miss>");
  flush();
  EXPECT_EQ(bucket().unsaved_clears(), 0U);
  EXPECT_EQ(bucket().dirty_bytes(), 0U);
  EXPECT_EQ(bucket().persisted_seqno(0), 3U);
  disk_.evict();
  EXPECT_EQ(FakeDisk::deliver(bucket(), "a", read, ticket, LoadPurpose::fetch, disk_.now()).status,
            LoadStatus::read_again);
  disk_.crash();
  EXPECT_EQ(disk_.get("a"), "<miss>");
  EXPECT_EQ(disk_.get("b"), "<miss>");
  EXPECT_EQ(disk_.get("c"), "v");
  EXPECT_EQ(items(), 1U);
  EXPECT_TRUE(bucket().follows(0));
}

TEST_P(ReplicaOf, AClearThatIsNotOnDiskHasNotBeen) {
  ASSERT_EQ(begin(0, 60), ReplicaStatus::applied);
  ASSERT_EQ(put("a", 50), ReplicaStatus::applied);
  flush();
  ASSERT_TRUE(bucket().clear(0, disk_.now()));
  disk_.crash();
  EXPECT_EQ(disk_.get("a"), "v");
  EXPECT_EQ(bucket().high_seqno(0), 50U);
}

TEST_P(ReplicaOf, AnActiveVBucketIsClearedToo) {
  bucket().stop_following(0, disk_.now());
  flush();
  Manifest manifest = Manifest().with_collection("_default", "c", {}).value();
  bucket().set_manifest(std::make_shared<const Manifest>(manifest), disk_.now());
  ASSERT_TRUE(disk_.set({8, "a"}, "v").ok());
  const uint64_t uuid = bucket().vbucket_uuid(0);
  flush();
  ASSERT_TRUE(bucket().clear(0, disk_.now()));
  EXPECT_NE(bucket().vbucket_uuid(0), uuid);
  EXPECT_EQ(disk_.get({8, "a"}), "<miss>");
  EXPECT_EQ(disk_.set({8, "a"}, "w").seqno, 2U) << "after the collection";
  flush();
  disk_.crash();
  EXPECT_EQ(disk_.get({8, "a"}), "w");
  EXPECT_EQ(items(), 1U);
}

TEST_P(ReplicaOf, ItsCollectionsAreTheEvents) {
  std::vector<uint64_t> kept;
  bucket().set_manifest_keeper([&](const Manifest& manifest) {
    kept.push_back(manifest.uid());
    return true;
  });
  ASSERT_EQ(begin(0, 60), ReplicaStatus::applied);
  const auto tell = [&](EventKind kind, uint64_t uid, ScopeId scope, CollectionId id, uint64_t seqno,
                        std::string_view name = {}) {
    return bucket().apply_event(0, {kind, uid, scope, id, {}, name}, seqno, disk_.now());
  };
  EXPECT_EQ(apply_document(bucket(), {9, "k"}, "", {.seqno = 1, .cas = 1}, {}, disk_.now()),
            ReplicaStatus::unknown_collection);
  EXPECT_EQ(tell(EventKind::collection_created, 1, 0, 0, 1, "x"), ReplicaStatus::invalid);
  EXPECT_EQ(tell(EventKind::collection_created, 1, 0, 9, 1, "%"), ReplicaStatus::invalid);
  EXPECT_EQ(tell(EventKind::collection_created, 1, 8, 9, 1, "x"), ReplicaStatus::invalid) << "no such scope";
  EXPECT_EQ(tell(EventKind::scope_created, 1, 8, 0, 1, "s"), ReplicaStatus::applied);
  EXPECT_EQ(tell(EventKind::collection_created, 2, 8, 9, 2, "x"), ReplicaStatus::applied);
  EXPECT_EQ(tell(EventKind::collection_created, 3, 0, 10, 3, "y"), ReplicaStatus::applied);
  EXPECT_EQ(tell(EventKind::collection_created, 3, 0, 10, 3, "y"), ReplicaStatus::out_of_order);
  EXPECT_EQ(kept, (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_EQ(bucket().manifest()->collection("s", "x")->id, 9U);
  ASSERT_EQ(apply_document(bucket(), {9, "k"}, "v", {.seqno = 5, .cas = 1}, {}, disk_.now()),
            ReplicaStatus::applied);
  EXPECT_EQ(disk_.get({9, "k"}), "v");
  flush();
  EXPECT_EQ(disk_.disk().state(0)->collections.size(), 2U);
  EXPECT_EQ(disk_.disk().state(0)->collections[0].name, "x");
  EXPECT_EQ(disk_.disk().events(0).size(), 3U);
  EXPECT_EQ(tell(EventKind::collection_dropped, 4, 8, 9, 6), ReplicaStatus::applied);
  EXPECT_EQ(items(), 0U);
  EXPECT_EQ(bucket().manifest()->collection(CollectionId{9}), nullptr);
  while (bucket().sweep_garbage(10, disk_.now()))
    continue;
  flush();
  EXPECT_EQ(bucket().statistics().item_bytes, 0U);
  EXPECT_EQ(disk_.disk().state(0)->collections.size(), 1U);
  // A start sets the manifest that it finds: a copy makes no events of it.
  bucket().set_manifest(std::make_shared<const Manifest>(), disk_.now());
  EXPECT_EQ(bucket().high_seqno(0), 6U);
}

TEST_P(ReplicaOf, AManifestThatCannotBeKeptIsNotFollowed) {
  bucket().set_manifest_keeper([](const Manifest&) { return false; });
  ASSERT_EQ(begin(0, 60), ReplicaStatus::applied);
  EXPECT_EQ(bucket().apply_event(0, {EventKind::collection_created, 1, 0, 9, {}, "x"}, 1, disk_.now()),
            ReplicaStatus::not_following);
  EXPECT_EQ(bucket().high_seqno(0), 0U);
  EXPECT_EQ(bucket().manifest()->uid(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Policies, ReplicaOf, testing::Values(EvictionPolicy::value, EvictionPolicy::full));

TEST(FollowedManifest, BelongsToTheVBucketThatIsFurthest) {
  BucketOptions options;
  options.type = BucketType::persistent;
  options.vbuckets = 2;
  BucketOnDisk disk(options);
  Bucket& bucket = disk.bucket();
  for (const uint16_t vbucket : {uint16_t{0}, uint16_t{1}}) {
    bucket.follow(vbucket, disk.now());
    ASSERT_EQ(bucket.begin_snapshot(vbucket, {0, 100, false}), ReplicaStatus::applied);
  }
  const auto create = [&](uint16_t vbucket, uint64_t uid, CollectionId id, uint64_t seqno,
                          std::string_view name) {
    return bucket.apply_event(vbucket, {EventKind::collection_created, uid, 0, id, {}, name}, seqno,
                              disk.now());
  };
  const auto drop = [&](uint16_t vbucket, uint64_t uid, CollectionId id, uint64_t seqno) {
    return bucket.apply_event(vbucket, {EventKind::collection_dropped, uid, 0, id}, seqno, disk.now());
  };
  ASSERT_EQ(create(0, 1, 8, 1, "a"), ReplicaStatus::applied);
  ASSERT_EQ(drop(0, 2, 8, 2), ReplicaStatus::applied);
  ASSERT_EQ(create(0, 3, 9, 3, "a"), ReplicaStatus::applied);
  // The other comes behind: what it tells is known, and over.
  const uint64_t generation = bucket.manifest_generation();
  ASSERT_EQ(create(1, 1, 8, 1, "a"), ReplicaStatus::applied);
  EXPECT_EQ(bucket.manifest()->collection("_default", "a")->id, 9U);
  ASSERT_EQ(drop(1, 2, 8, 2), ReplicaStatus::applied);
  ASSERT_EQ(create(1, 3, 9, 3, "a"), ReplicaStatus::applied);
  EXPECT_EQ(bucket.manifest_generation(), generation);
  EXPECT_EQ(bucket.manifest()->next_collection(), 10U);
  // The source begins anew, and its vbuckets one after the other.
  (void)bucket.clear(0, disk.now());
  EXPECT_EQ(bucket.manifest()->uid(), 3U);
  ASSERT_EQ(bucket.begin_snapshot(0, {0, 100, false}), ReplicaStatus::applied);
  ASSERT_EQ(create(0, 1, 8, 1, "z"), ReplicaStatus::applied);
  EXPECT_EQ(bucket.manifest()->uid(), 3U);
  (void)bucket.clear(1, disk.now());
  EXPECT_EQ(bucket.manifest()->uid(), 1U);
  EXPECT_NE(bucket.manifest()->collection("_default", "z"), nullptr);
  (void)bucket.clear(0, disk.now());
  EXPECT_EQ(*bucket.manifest(), Manifest());
}

}  // namespace
}  // namespace bobbin::store
