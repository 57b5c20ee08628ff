// What only persistent buckets do: blocking, loads and their races, eviction, restarts.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "store/persistence_test_support.h"
#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

BucketOptions on_disk(EvictionPolicy policy) {
  BucketOptions options = BucketFixture::small_options();
  options.type = BucketType::persistent;
  options.eviction = policy;
  return options;
}

struct ValueEviction : testing::Test, BucketOnDisk {
  ValueEviction() : BucketOnDisk(on_disk(EvictionPolicy::value)) {}
};
struct FullEviction : testing::Test, BucketOnDisk {
  FullEviction() : BucketOnDisk(on_disk(EvictionPolicy::full)) {}

  /// On disk, and not in memory.
  void put_on_disk(std::string_view key, std::string_view value = "old", uint32_t expiry = 0) {
    set(key, value, expiry);
    flush_to_disk();
    evict();
  }
};

const std::string kLong(500, 'x');

TEST_F(ValueEviction, OnlyValuesThatAreOnDiskGo) {
  set("clean", kLong);
  flush_to_disk();
  set("dirty", kLong);
  evict();
  EXPECT_TRUE(bucket().fetch("clean", now()).would_block);
  EXPECT_TRUE(bucket().fetch("dirty", now()));
  const Statistics statistics = bucket().statistics();
  EXPECT_EQ(statistics.items, 2U);
  EXPECT_EQ(statistics.non_resident_items, 1U);
  EXPECT_EQ(statistics.would_block, 1U);
  EXPECT_EQ(statistics.evictions, 1U);
  EXPECT_LT(statistics.item_bytes, 1000U);
  EXPECT_EQ(get("clean"), kLong);
  EXPECT_EQ(bucket().statistics().non_resident_items, 0U);
}

TEST_F(ValueEviction, MetadataNeedNoDisk) {
  const uint64_t cas = set("k", kLong, in(10), 3).cas;
  flush_to_disk();
  evict();
  const Fetched found = bucket().fetch("k", {.needs_value = false}, now());
  ASSERT_TRUE(found);
  EXPECT_FALSE(found.doc->resident());
  EXPECT_EQ(found.doc->value_size(), 500U);
  EXPECT_EQ(found.doc->value(), "");
  EXPECT_EQ(found.doc->cas(), cas);
  EXPECT_EQ(found.doc->flags(), 3U);
  EXPECT_EQ(put(StoreMode::add, "k", "x").status, StoreStatus::not_stored);
  EXPECT_EQ(put(StoreMode::cas, "k", "x", {.cas_compare = 1}).status, StoreStatus::exists);
  EXPECT_FALSE(bucket().fetch("absent", now()).would_block);
  EXPECT_EQ(bucket().remove("k", {}, now()).status, RemoveStatus::removed);
  EXPECT_EQ(blocked(), 0U);
}

TEST_F(ValueEviction, EverythingThatNeedsTheValueBlocksAndChangesNothing) {
  set("k", kLong);
  flush_to_disk();
  evict();
  const uint64_t seqno = bucket().high_seqno(bucket().vbucket_of("k"));
  EXPECT_EQ(bucket().touch("k", in(5), now()).status, TouchStatus::would_block);
  EXPECT_TRUE(bucket().fetch("k", {.touch = in(5), .needs_value = false}, now()).would_block);
  EXPECT_EQ(bucket().arithmetic("k", {}, now()).status, ArithmeticStatus::would_block);
  EXPECT_EQ(bucket().remove("k", {.mark_stale = true}, now()).status, RemoveStatus::would_block);
  auto addition = bucket().draft("k", 0, 0, 3, now());
  std::memcpy(addition->value().data(), "abc", 3);
  EXPECT_EQ(bucket().store(*addition, StoreMode::append, {}, now()).status, StoreStatus::would_block);
  ASSERT_TRUE(*addition) << "the draft is still there for the next try";
  EXPECT_EQ(bucket().high_seqno(bucket().vbucket_of("k")), seqno);
  const Loaded loaded = disk().fetch(bucket(), "k", now());
  EXPECT_EQ(loaded.status, LoadStatus::installed);
  evict();
  EXPECT_TRUE(bucket().store(*addition, StoreMode::append, {}, now()).ok()) << "pinned by what was loaded";
  EXPECT_FALSE(*addition);
  EXPECT_EQ(get("k"), kLong + "abc");
}

TEST_F(ValueEviction, ALostValueIsNamed) {
  set("k", kLong);
  flush_to_disk();
  evict();
  const LoadTicket ticket = bucket().begin_load(bucket().vbucket_of("k"));
  EXPECT_EQ(bucket().load("k", nullptr, ticket, LoadPurpose::fetch, now()).status, LoadStatus::missing);
}

TEST_F(ValueEviction, ADirtyBucketRefusesAndHurriesTheFlusher) {
  (void)bucket().take_dirty(0);
  int wakes = 0;
  bucket().set_flush_waker(0, [&] { ++wakes; });
  EXPECT_FALSE(bucket().arm_flush_waker(0));
  bucket().set_quota_bytes(1 << 20);
  int stored = 0;
  while (stored < 10'000 && set(numbered("key", stored), kLong).ok())
    ++stored;
  EXPECT_LT(stored, 2500);
  EXPECT_GT(stored, 1000);
  EXPECT_EQ(wakes, 2) << "for the first change, and for the need of memory";
  EXPECT_TRUE(bucket().take_dirty(0).urgent);
  EXPECT_GT(bucket().dirty_bytes(), 500'000U);
  flush_to_disk();
  EXPECT_EQ(bucket().dirty_bytes(), 0U);
  EXPECT_TRUE(set("more", kLong).ok());
  bucket().set_flush_waker(0, nullptr);
}

TEST_F(ValueEviction, TenTimesItsMemoryIsAllThere) {
  bucket().set_quota_bytes(2 << 20);
  for (int i = 0; i < 10'000; ++i) {
    if (!set(numbered("key", i), std::string(1500, static_cast<char>('a' + i % 26))).ok()) {
      flush_to_disk();
      --i;
    }
  }
  flush_to_disk();
  for (int i = 0; i < 10'000; ++i)
    ASSERT_EQ(get(numbered("key", i)), std::string(1500, static_cast<char>('a' + i % 26))) << i;
  EXPECT_EQ(bucket().statistics().items, 10'000U);
  EXPECT_LE(bucket().statistics().used_bytes, bucket().quota_bytes() + 4096);
}

TEST_F(ValueEviction, WarmupServesAndLosesNothingThatHappensMeanwhile) {
  for (int i = 0; i < 100; ++i)
    set(numbered("key", i), kLong, i == 7 ? in(5) : 0);
  flush_to_disk();
  clock().advance_s(5);
  crash();
  std::vector<LoadTicket> tickets;
  std::vector<FakeDisk::Documents> snapshots;
  for (uint16_t i = 0; i < 16; ++i) {
    tickets.push_back(bucket().begin_load(i));
    snapshots.push_back(disk().snapshot(i));
  }
  EXPECT_EQ(bucket().statistics().warming_vbuckets, 16U);
  EXPECT_EQ(bucket().statistics().items, 100U);
  EXPECT_EQ(remove("key1").status, RemoveStatus::removed);
  EXPECT_TRUE(set("key2", "").ok());
  EXPECT_EQ(get("none"), "<miss>");
  EXPECT_EQ(get("key3"), kLong);
  flush_to_disk();
  evict();
  for (uint16_t i = 0; i < 16; ++i) {
    for (const auto& [stored, record] : snapshots[i]) {
      const DocKey key = *DocKey::parse(stored);
      (void)FakeDisk::deliver(bucket(), key, record, tickets[i], LoadPurpose::warmup, now(),
                              key.name() == "key4");
    }
    bucket().finish_warmup(i, true);
  }
  EXPECT_EQ(bucket().statistics().placeholders, 0U);
  EXPECT_EQ(bucket().statistics().warming_vbuckets, 0U);
  EXPECT_EQ(bucket().statistics().items, 98U);
  EXPECT_EQ(bucket().statistics().non_resident_items, 1U) << "key4; key3 was evicted, and loaded again";
  EXPECT_FALSE(bucket().fetch("key1", now()).would_block);
  EXPECT_EQ(get("key1"), "<miss>");
  EXPECT_EQ(get("key2"), "");
  EXPECT_EQ(get("key4"), kLong);
  EXPECT_EQ(get("key7"), "<miss>");
  flush_to_disk();
  EXPECT_FALSE(disk().read(bucket().vbucket_of("key7"), "key7")) << "its end was written";
}

TEST_F(ValueEviction, ABlindSetWhileItWarmsIsNotCountedTwiceNorNotAtAll) {
  set("k", kLong);
  flush_to_disk();
  crash();
  const uint16_t vbucket = bucket().vbucket_of("k");
  set("k", "new");
  disk().warm_up(bucket(), vbucket, now());
  EXPECT_EQ(bucket().statistics().items - bucket().statistics().items_on_disk_only, 1U);
  flush_to_disk();
  EXPECT_EQ(disk().state(vbucket)->items, 1U);
}

TEST_F(ValueEviction, AFlushWhileItWarmsEndsWhatWasBefore) {
  set("k", kLong);
  flush_to_disk();
  crash();
  const uint16_t vbucket = bucket().vbucket_of("k");
  const LoadTicket ticket = bucket().begin_load(vbucket);
  const auto record = disk().read(vbucket, "k");
  bucket().flush(now());
  EXPECT_FALSE(bucket().fetch("k", now()).would_block);
  EXPECT_EQ(FakeDisk::deliver(bucket(), "k", record, ticket, LoadPurpose::warmup, now()).status,
            LoadStatus::absent);
  EXPECT_EQ(get("k"), "<miss>");
}

TEST_F(FullEviction, DocumentsGoAndAreRemembered) {
  put_on_disk("k", "v");
  EXPECT_TRUE(bucket().fetch("k", now()).would_block);
  EXPECT_TRUE(bucket().peek("k", now())->would_block);
  EXPECT_EQ(bucket().statistics().items, 1U);
  EXPECT_EQ(bucket().statistics().items_on_disk_only, 1U);
  EXPECT_EQ(get("k"), "v");
  EXPECT_EQ(bucket().statistics().items_on_disk_only, 0U);
  EXPECT_EQ(bucket().statistics().items, 1U);
}

TEST_F(FullEviction, AMissIsRememberedByAPlaceholderThatGoesFirst) {
  put_on_disk("k");
  const std::string other = [&] {
    for (int i = 0;; ++i) {
      if (bucket().vbucket_of(numbered("m", i)) == bucket().vbucket_of("k")) return numbered("m", i);
    }
  }();
  EXPECT_TRUE(bucket().fetch(other, now()).would_block);
  EXPECT_EQ(get(other), "<miss>");
  EXPECT_FALSE(bucket().fetch(other, now()).would_block);
  EXPECT_EQ(bucket().statistics().placeholders, 1U);
  EXPECT_EQ(bucket().statistics().items, 1U);
  evict();
  EXPECT_EQ(bucket().statistics().placeholders, 0U);
}

TEST_F(FullEviction, ABlindSetNeedsNoDiskAndCountsRightInTheEnd) {
  put_on_disk("k");
  EXPECT_TRUE(set("k", "new").ok());
  EXPECT_EQ(blocked(), 0U);
  flush_to_disk();
  EXPECT_EQ(bucket().statistics().items, 1U);
  evict();
  EXPECT_TRUE(set("k", "again").ok());
  EXPECT_EQ(remove("k").status, RemoveStatus::removed);
  EXPECT_TRUE(set("k", "and again").ok());
  EXPECT_EQ(remove("k").status, RemoveStatus::removed);
  flush_to_disk();
  EXPECT_EQ(bucket().statistics().items, 0U);
  EXPECT_EQ(disk().state(bucket().vbucket_of("k"))->items, 0U);
}

TEST_F(FullEviction, AReadThatIsOlderThanADeletionBringsNothingBack) {
  put_on_disk("k");
  const uint16_t vbucket = bucket().vbucket_of("k");
  const LoadTicket ticket = bucket().begin_load(vbucket);
  const auto old = disk().read(vbucket, "k");
  EXPECT_EQ(remove("k").status, RemoveStatus::removed);
  const auto deliver = [&] {
    return FakeDisk::deliver(bucket(), "k", old, ticket, LoadPurpose::fetch, now()).status;
  };
  EXPECT_EQ(deliver(), LoadStatus::absent);
  evict();
  EXPECT_EQ(deliver(), LoadStatus::absent) << "not even when it is not on disk yet";
  flush_to_disk();
  evict();
  EXPECT_EQ(bucket().statistics().placeholders, 0U);
  EXPECT_EQ(deliver(), LoadStatus::read_again);
  EXPECT_EQ(get("k"), "<miss>");
}

TEST_F(FullEviction, AReadThatIsOlderThanAChangeReplacesNothing) {
  put_on_disk("k");
  const uint16_t vbucket = bucket().vbucket_of("k");
  const LoadTicket ticket = bucket().begin_load(vbucket);
  const auto old = disk().read(vbucket, "k");
  set("k", "new");
  flush_to_disk();
  evict();
  EXPECT_EQ(FakeDisk::deliver(bucket(), "k", old, ticket, LoadPurpose::fetch, now()).status,
            LoadStatus::read_again);
  EXPECT_EQ(get("k"), "new");
}

TEST_F(FullEviction, AReadThatIsOlderThanAFlushBringsNothingBackAndStillEndsTheWait) {
  put_on_disk("k");
  const uint16_t vbucket = bucket().vbucket_of("k");
  const auto old = disk().read(vbucket, "k");
  const LoadTicket ticket = bucket().begin_load(vbucket);
  bucket().flush(now());
  for (int i = 0;; ++i) {
    const std::string key = numbered("m", i);
    if (bucket().vbucket_of(key) != vbucket) continue;
    put_on_disk(key);
    break;
  }
  EXPECT_TRUE(bucket().fetch("k", now()).would_block);
  EXPECT_EQ(FakeDisk::deliver(bucket(), "k", old, ticket, LoadPurpose::fetch, now()).status,
            LoadStatus::read_again);
  const Loaded loaded =
      FakeDisk::deliver(bucket(), "k", old, bucket().begin_load(vbucket), LoadPurpose::fetch, now());
  EXPECT_EQ(loaded.status, LoadStatus::absent);
  EXPECT_FALSE(bucket().fetch("k", now()).would_block);
  EXPECT_FALSE(bucket().fetch("k", now()));
}

TEST_F(FullEviction, WhatExpiredOnDiskIsWrittenDownAsExpired) {
  put_on_disk("k", "v", in(5));
  clock().advance_s(5);
  EXPECT_EQ(get("k"), "<miss>");
  EXPECT_EQ(bucket().statistics().items, 0U);
  flush_to_disk();
  EXPECT_FALSE(disk().read(bucket().vbucket_of("k"), "k"));
}

TEST_F(FullEviction, ACasThatAClientMadeLargeIsNotGivenOutAgainAfterACrash) {
  (void)set("k", "1");
  flush_to_disk();
  StoreOptions ahead;
  ahead.explicit_cas = now().unix_ns + uint64_t{3'000} * 1'000'000'000;
  ASSERT_TRUE(put(StoreMode::set, "k", "2", ahead).ok());
  const uint64_t lost_cas = set("k", "3").cas;
  EXPECT_GT(lost_cas, *ahead.explicit_cas);
  crash();
  EXPECT_GT(set("k", "4").cas, lost_cas);
}

TEST_F(FullEviction, AnUncleanEndSkipsTheReservationAndBranchesHistory) {
  set("k", "v");
  flush_to_disk();
  const uint16_t vbucket = bucket().vbucket_of("k");
  const uint64_t lost_seqno = set("k", "lost").seqno;
  const uint64_t lost_cas = bucket().peek("k", now())->doc->cas();
  crash();
  const StoreResult next = set("k", "next");
  EXPECT_GT(next.seqno, lost_seqno);
  EXPECT_GT(next.cas, lost_cas);
  const auto state = disk().state(vbucket);
  ASSERT_EQ(state->failover.size(), 2U);
  EXPECT_EQ(state->failover[0].seqno, 1U);
  EXPECT_NE(state->failover[0].uuid, state->failover[1].uuid);
}

TEST_F(FullEviction, ACleanEndGoesOnWhereItWas) {
  set("k", "v");
  flush_to_disk();
  const uint16_t vbucket = bucket().vbucket_of("k");
  disk().close(vbucket);
  crash();
  EXPECT_EQ(set("k", "next").seqno, 2U);
  EXPECT_EQ(disk().state(vbucket)->failover.size(), 1U);
}

TEST_F(FullEviction, AttributesThatOnlyTheDiskHasAreKept) {
  const std::string attributes("\0\0\0\2ab", 6);
  Draft made = std::move(*bucket().draft("k", 0, 0, 10, now()));
  (attributes + "body").copy(made.value().data(), 10);
  made.set_datatype(Document::kAttributesBit);
  ASSERT_TRUE(bucket().store(std::move(made), StoreMode::set, {.whole = true}, now()).ok());
  flush_to_disk();
  evict();
  EXPECT_TRUE(disk().state(bucket().vbucket_of("k"))->may_have_attributes);
  EXPECT_EQ(put(StoreMode::set, "k", "new").status, StoreStatus::stored);
  EXPECT_GT(blocked(), 0U);
  const Fetched found = bucket().fetch("k", now());
  EXPECT_EQ(found.doc->attributes(), attributes);
  EXPECT_EQ(found.doc->body(), "new");
}

TEST_F(FullEviction, NothingIsGivenOutBeforeItIsReserved) {
  set("k", "v");
  flush_to_disk();
  const uint16_t vbucket = bucket().vbucket_of("k");
  BucketFixture restored(on_disk(EvictionPolicy::full));
  restored.bucket().restore(vbucket, *disk().state(vbucket), now());
  EXPECT_EQ(restored.set("k", "new").status, StoreStatus::no_memory);
  const FlushBatch first = restored.bucket().take_log(vbucket, now());
  restored.bucket().persisted(first);
  EXPECT_TRUE(restored.set("k", "new").ok());
}

TEST_F(ValueEviction, AVBucketThatCannotBeWrittenRefusesChangesAndLosesNothing) {
  set("clean", kLong);
  set("short-lived", kLong, in(10));
  flush_to_disk();
  for (uint32_t vb = 0; vb < bucket().vbucket_count(); ++vb)
    bucket().refuse_changes(static_cast<uint16_t>(vb));
  EXPECT_EQ(set("new", "x").status, StoreStatus::no_memory);
  EXPECT_EQ(set("clean", "x").status, StoreStatus::no_memory);
  EXPECT_EQ(bucket().remove("clean", {}, now()).status, RemoveStatus::no_memory);
  EXPECT_EQ(bucket().touch("clean", in(5), now()).status, TouchStatus::no_memory);
  bucket().flush(now());
  evict();
  EXPECT_EQ(get("clean"), kLong);
  clock().advance_s(11);
  EXPECT_EQ(get("short-lived"), "<miss>");
  EXPECT_EQ(bucket().sweep_expired(100, now()).expired, 0U);
  evict();
  EXPECT_EQ(get("short-lived"), "<miss>");
  EXPECT_EQ(bucket().dirty_bytes(), 0U);
}

TEST_F(FullEviction, AVBucketThatCannotBeWrittenEvictsAndFindsAgain) {
  set("clean", kLong);
  set("short-lived", kLong, in(10));
  flush_to_disk();
  for (uint32_t vb = 0; vb < bucket().vbucket_count(); ++vb)
    bucket().refuse_changes(static_cast<uint16_t>(vb));
  clock().advance_s(11);
  evict();
  EXPECT_EQ(bucket().statistics().items_on_disk_only, 2U);
  EXPECT_EQ(get("clean"), kLong);
  EXPECT_EQ(get("short-lived"), "<miss>");
  EXPECT_EQ(bucket().dirty_bytes(), 0U);
}

TEST_F(FullEviction, TheTableTellsTheSeqnoOnDiskWhereItKnows) {
  const auto told = [&](std::string_view key) {
    return bucket().seqno_on_disk(bucket().vbucket_of(key), key);
  };
  const uint64_t first = set("k", "1").seqno;
  EXPECT_EQ(told("k"), std::nullopt);
  flush_to_disk();
  EXPECT_EQ(told("k"), first);
  set("k", "2");
  EXPECT_EQ(told("k"), std::nullopt);
  const uint64_t tombstone = remove("k").seqno;
  flush_to_disk();
  EXPECT_EQ(told("k"), tombstone);
  EXPECT_EQ(get("absent"), "<miss>");
  EXPECT_EQ(told("absent"), std::nullopt);
}

TEST_F(ValueEviction, WhatCannotBeReadKeepsAVBucketAskingTheDisk) {
  set("k", kLong);
  flush_to_disk();
  crash();
  const uint16_t vb = bucket().vbucket_of("k");
  bucket().finish_warmup(vb, false);
  EXPECT_TRUE(bucket().fetch("k", now()).would_block);
  EXPECT_EQ(bucket().statistics().items, 1U);
  EXPECT_EQ(get("k"), kLong);
}

}  // namespace
}  // namespace bobbin::store
