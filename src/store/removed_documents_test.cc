// Documents that were removed and have no attributes: what is known of their end, before it is on disk and
// after, and what changes from elsewhere are compared with.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "store/persistence_test_support.h"
#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

BucketOptions options_of(EvictionPolicy policy) {
  BucketOptions options = BucketFixture::small_options();
  options.type = BucketType::persistent;
  options.eviction = policy;
  return options;
}

class RemovedDocumentsTest : public testing::TestWithParam<EvictionPolicy>, protected BucketOnDisk {
 protected:
  RemovedDocumentsTest() : BucketOnDisk(options_of(GetParam())) {}

  Fetched find(DocKey key = "k") { return fetch(key, {.finds_deleted = true, .needs_value = false}); }
  /// "revision" of what was removed, "<none>", or "<alive>".
  std::string gone(DocKey key = "k") {
    const Fetched found = find(key);
    if (!found) return "<none>";
    return found.deleted ? std::to_string(found.doc->revision()) : "<alive>";
  }
  StoreStatus bring(const ForeignChange& change, DocKey key = "k") {
    auto made = bucket().draft(key, 0, 0, 1, now());
    made->value()[0] = 'f';
    return until_known(
        key, [&] { return bucket().store_foreign(*made, change, now()).status; },
        [](StoreStatus status) { return status == StoreStatus::would_block; });
  }
  RemoveResult bring_end(const ForeignChange& change, DocKey key = "k") {
    return until_known(
        key, [&] { return bucket().remove_foreign(key, change, now()); },
        [](const RemoveResult& result) { return result.status == RemoveStatus::would_block; });
  }
  /// Stored three times and removed: revision 4.
  RemoveResult leave(DocKey key = "k") {
    for (const char* const value : {"a", "b", "c"})
      set(key, value);
    return remove(key);
  }
  void warm_up() {
    for (uint16_t i = 0; i < bucket().vbucket_count(); ++i)
      disk().warm_up(bucket(), i, now());
  }
  [[nodiscard]] uint64_t would_block() { return bucket().statistics().would_block; }
  /// The states that a removal goes through; `look` is called in each.
  template <typename Look>
  void in_each_state(Look&& look) {
    const uint16_t vbucket = bucket().vbucket_of("k");
    look("in the log");
    const FlushBatch batch = bucket().take_log(vbucket, now());
    look("with the flusher");
    const PriorsFound priors = disk().commit(batch);
    look("committed");
    bucket().persisted(batch, priors);
    look("on disk");
    look("on disk, asked again");
    evict();
    look("evicted");
    crash();
    look("warming up");
    warm_up();
    look("warm");
    flush_to_disk();
    look("in another life");
  }
};

INSTANTIATE_TEST_SUITE_P(Policies, RemovedDocumentsTest,
                         testing::Values(EvictionPolicy::value, EvictionPolicy::full));

TEST_P(RemovedDocumentsTest, ItsEndIsKnownAllTheWay) {
  clock().advance_s(100);
  const uint32_t then = now().unix_s();
  const RemoveResult removed = leave();
  clock().advance_s(3);
  in_each_state([&](const char* state) {
    SCOPED_TRACE(state);
    const Fetched found = find();
    ASSERT_TRUE(found);
    EXPECT_TRUE(found.deleted);
    EXPECT_EQ(found.cas, removed.cas);
    EXPECT_EQ(found.doc->cas(), removed.cas);
    EXPECT_EQ(found.doc->seqno(), removed.seqno);
    EXPECT_EQ(found.doc->revision(), 4U);
    EXPECT_EQ(found.doc->value(), "");
    EXPECT_FALSE(found.doc->has_attributes());
    EXPECT_EQ(found.expiry, then);
    EXPECT_EQ(get("k"), "<miss>");
    EXPECT_EQ(gone("other"), "<none>");
  });
  EXPECT_EQ(bucket().statistics().items, 0U);
}

TEST_P(RemovedDocumentsTest, AnExpirationIsSuchAnEnd) {
  set("k", "v", in(5));
  clock().advance_s(6);
  const uint32_t then = now().unix_s();
  EXPECT_EQ(gone(), "2");
  clock().advance_s(6);
  in_each_state([&](const char* state) {
    EXPECT_EQ(gone(), "2") << state;
    EXPECT_EQ(find().expiry, then) << state;
  });
}

TEST_P(RemovedDocumentsTest, WhatIsOlderLosesAllTheWay) {
  const RemoveResult removed = leave();
  in_each_state([&](const char* state) {
    SCOPED_TRACE(state);
    EXPECT_EQ(bring({.cas = removed.cas + 1, .revision = 3}), StoreStatus::exists);
    EXPECT_EQ(bring({.cas = removed.cas - 1, .revision = 4}), StoreStatus::exists);
    EXPECT_EQ(bring({.cas = removed.cas + 1, .revision = 3, .add = true}), StoreStatus::exists);
    EXPECT_EQ(bring_end({.cas = removed.cas + 1, .revision = 3}).status, RemoveStatus::exists);
    EXPECT_EQ(bring_end({.cas = removed.cas, .revision = 4}).status, RemoveStatus::exists) << "no news";
    EXPECT_EQ(bring({.cas = 9, .revision = 9, .cas_compare = removed.cas}), StoreStatus::not_found);
    EXPECT_EQ(gone(), "4");
  });
}

TEST_P(RemovedDocumentsTest, WhatIsNewerWins) {
  for (const bool on_disk : {false, true}) {
    SCOPED_TRACE(on_disk);
    const std::string key = on_disk ? "k1" : "k2";
    const RemoveResult removed = leave(key);
    if (on_disk) flush_to_disk();
    EXPECT_EQ(bring_end({.cas = removed.cas + 5, .revision = 4}, key).status, RemoveStatus::removed);
    EXPECT_EQ(find(key).cas, removed.cas + 5);
    EXPECT_EQ(bring_end({.cas = 70, .revision = 8}, key).status, RemoveStatus::removed);
    EXPECT_EQ(gone(key), "8");
    EXPECT_EQ(find(key).cas, 70U);
    if (on_disk) flush_to_disk();
    EXPECT_EQ(bring({.cas = 80, .revision = 7}, key), StoreStatus::exists);
    EXPECT_EQ(bring({.cas = 80, .revision = 10}, key), StoreStatus::stored);
    EXPECT_EQ(gone(key), "<alive>");
    EXPECT_EQ(set(key, "v").revision, 11U);
  }
}

TEST_P(RemovedDocumentsTest, TheLaterCasWinsWhereTimeDecides) {
  BucketOptions options = options_of(GetParam());
  options.conflicts = ConflictResolution::time;
  BucketOnDisk by_time(options);
  const auto blocked = [](const RemoveResult& result) { return result.status == RemoveStatus::would_block; };
  by_time.set("k", "v");
  const uint64_t cas = by_time.remove("k").cas;
  by_time.flush_to_disk();
  const auto end = [&](const ForeignChange& change) {
    return by_time
        .until_known(
            "k", [&] { return by_time.bucket().remove_foreign("k", change, by_time.now()); }, blocked)
        .status;
  };
  EXPECT_EQ(end({.cas = cas - 1, .revision = 9}), RemoveStatus::exists);
  EXPECT_EQ(end({.cas = cas + 1, .revision = 1}), RemoveStatus::removed);
}

TEST_P(RemovedDocumentsTest, ADeletionOfWhatWasNeverThereIsKept) {
  EXPECT_EQ(bring_end({.cas = 70, .revision = 8, .expired = true}).status, RemoveStatus::removed);
  const uint16_t vbucket = bucket().vbucket_of("k");
  EXPECT_EQ(bring({.cas = 71, .revision = 7}), StoreStatus::exists);
  flush_to_disk();
  const auto record = disk().read_any(vbucket, "k");
  ASSERT_TRUE(record);
  EXPECT_TRUE(record->expired);
  EXPECT_EQ(record->revision, 8U);
  EXPECT_EQ(record->cas, 70U);
  EXPECT_EQ(bring({.cas = 71, .revision = 7}), StoreStatus::exists);
  EXPECT_EQ(bring({.cas = 71, .revision = 7, .resolve = false}), StoreStatus::stored);
  EXPECT_EQ(find().doc->revision(), 7U);
}

TEST_P(RemovedDocumentsTest, TheHighestRevisionStaysTheHighest) {
  constexpr uint64_t kHighest = kMaxRevision;
  EXPECT_EQ(bring({.cas = 1, .revision = kHighest}), StoreStatus::stored);
  remove("k");
  in_each_state([&](const char* state) {
    EXPECT_EQ(gone(), std::to_string(kHighest)) << state;
    EXPECT_EQ(bring({.cas = 1, .revision = 9}), StoreStatus::exists) << state;
  });
}

TEST_P(RemovedDocumentsTest, TheSameEndIsNoNews) {
  const uint32_t an_hour_ago = now().unix_s() - 3600;
  ForeignChange change{.cas = 70, .revision = 8};
  change.expiry = an_hour_ago;
  change.flags = 7;
  set("other", "v");
  EXPECT_EQ(bring_end(change, "other").status, RemoveStatus::removed) << "something was there";
  flush_to_disk();
  EXPECT_EQ(bring_end(change).status, RemoveStatus::removed) << "nothing was";
  in_each_state([&](const char* state) {
    for (const char* const key : {"k", "other"}) {
      EXPECT_EQ(find(key).expiry, an_hour_ago) << state;
      EXPECT_EQ(bring_end(change, key).status, RemoveStatus::exists) << state;
    }
  });
}

TEST_P(RemovedDocumentsTest, AnEndOfNothingTakesNoMoreThanThereIs) {
  set("there", "v");
  bucket().set_quota_bytes(1);
  EXPECT_EQ(bring_end({.cas = 70, .revision = 8}).status, RemoveStatus::no_memory);
  EXPECT_EQ(bring_end({.cas = 70, .revision = 8}, "there").status, RemoveStatus::removed);
}

TEST_P(RemovedDocumentsTest, ForTheEndOfWhatIsThereNothingIsEvicted) {
  for (int i = 0; i < 50; ++i)
    set(numbered("k", i), std::string(500, 'v'));
  const RemoveResult removed = leave();
  flush_to_disk();
  const uint64_t quota = bucket().quota_bytes();
  EXPECT_EQ(gone(), "4");
  bucket().set_quota_bytes(1);
  EXPECT_EQ(bring_end({.cas = 70, .revision = 8}, "k7").status, RemoveStatus::removed);
  EXPECT_EQ(bucket().statistics().evictions, 0U);
  EXPECT_EQ(bring_end({.cas = removed.cas, .revision = 3}).status, RemoveStatus::exists) << "it loses";
  // One more thing to be kept.
  bucket().set_quota_bytes(quota - 1);
  EXPECT_EQ(bring_end({.cas = 70, .revision = 8}, "new").status, RemoveStatus::removed);
  bucket().set_quota_bytes(1);
  EXPECT_EQ(bring_end({.cas = 70, .revision = 8}, "newer").status, RemoveStatus::no_memory);
  EXPECT_NE(bucket().statistics().evictions, 0U);
}

TEST_P(RemovedDocumentsTest, RevisionsGoOn) {
  const uint64_t revision = leave().revision;
  EXPECT_EQ(revision, 4U);
  EXPECT_GT(put(StoreMode::add, "k", "v").revision, revision);
  remove("k");
  flush_to_disk();
  crash();
  warm_up();
  const uint64_t blocks = would_block();
  const StoreResult added = put(StoreMode::add, "k", "v");
  EXPECT_GT(added.revision, 5U) << "the removal's";
  if (GetParam() == EvictionPolicy::full) return;
  EXPECT_EQ(would_block(), blocks) << "and the disk is not asked";
}

TEST_P(RemovedDocumentsTest, WhatEvictionHasTakenIsNotOutdone) {
  for (int i = 0; i < 5; ++i)
    set("k", "v");
  flush_to_disk();
  evict();
  EXPECT_GT(bucket().store(*bucket().draft("k", 0, 0, 0, now()), StoreMode::set, now()).revision, 5U);
}

TEST_P(RemovedDocumentsTest, AFlushEndsThem) {
  leave();
  flush_to_disk();
  EXPECT_EQ(gone(), "4");
  leave("other");
  bucket().flush(now());
  EXPECT_EQ(gone(), "<none>");
  EXPECT_EQ(gone("other"), "<none>");
  EXPECT_EQ(bring({.cas = 1, .revision = 1}), StoreStatus::stored);
  flush_to_disk();
  crash();
  EXPECT_EQ(gone("other"), "<none>");
}

TEST_P(RemovedDocumentsTest, TheyAreForgottenInTime) {
  leave();
  flush_to_disk();
  clock().advance_s(kTombstoneAgeS - 1);
  EXPECT_EQ(gone(), "4");
  clock().advance_s(1);
  EXPECT_EQ(gone(), "<none>");
  EXPECT_EQ(bring({.cas = 1, .revision = 1}), StoreStatus::stored);
}

TEST_P(RemovedDocumentsTest, WhatWasPurgedWasNeverThere) {
  leave();
  flush_to_disk();
  crash();
  disk().purge(bucket().vbucket_of("k"), "k");
  EXPECT_EQ(gone(), "<none>");
  warm_up();
  EXPECT_EQ(gone(), "<none>");
  EXPECT_EQ(bring({.cas = 1, .revision = 1}), StoreStatus::stored);
}

TEST_P(RemovedDocumentsTest, WhoAsksForDeletedOnesComparesWithThem) {
  const auto put_block = [&](StoreMode mode, std::string_view body, StoreOptions how) {
    how.whole = how.finds_deleted = true;
    return put(mode, "k", body, how);
  };
  uint64_t revision = leave().revision;
  for (const bool on_disk : {false, true}) {
    if (on_disk) flush_to_disk();
    EXPECT_EQ(put_block(StoreMode::add, "v", {}).status, StoreStatus::not_stored);
    EXPECT_EQ(put_block(StoreMode::cas, "v", {.cas_compare = find().cas + 1}).status, StoreStatus::exists);
    // To remove it once more is another change.
    const uint64_t seqno = find().doc->seqno();
    EXPECT_EQ(put_block(StoreMode::cas, "", {.cas_compare = find().cas + 1, .as_tombstone = true}).status,
              StoreStatus::exists);
    EXPECT_TRUE(put_block(StoreMode::cas, "", {.cas_compare = find().cas, .as_tombstone = true}).ok());
    EXPECT_EQ(gone(), std::to_string(++revision));
    EXPECT_GT(find().doc->seqno(), seqno);
    if (on_disk) flush_to_disk();
    const StoreResult revived = put_block(StoreMode::cas, "v", {.cas_compare = find().cas});
    EXPECT_TRUE(revived.ok());
    EXPECT_GT(revived.revision, revision);
    EXPECT_EQ(get("k"), "v");
    revision = remove("k").revision;
  }
  EXPECT_EQ(fetch("none", {.finds_deleted = true}).deleted, false);
}

TEST_P(RemovedDocumentsTest, TheDiskIsAskedOnlyWhereItMatters) {
  if (GetParam() == EvictionPolicy::full) return;
  EXPECT_EQ(gone(), "<none>");
  EXPECT_EQ(bring({.cas = 5, .revision = 1}), StoreStatus::stored);
  EXPECT_EQ(would_block(), 0U) << "nothing was ever removed";
  leave();
  flush_to_disk();
  for (int i = 0; i < 3; ++i) {
    set("k", "v");
    EXPECT_EQ(get("k"), "v");
    remove("k");
    EXPECT_EQ(remove("k").status, RemoveStatus::not_found);
    EXPECT_EQ(get("k"), "<miss>");
    EXPECT_EQ(put(StoreMode::replace, "k", "v").status, StoreStatus::not_stored);
    EXPECT_EQ(touch("k", in(5)), TouchStatus::not_found);
    EXPECT_EQ(arithmetic("k", {}).status, ArithmeticStatus::not_found);
    EXPECT_TRUE(put(StoreMode::add, "k", "v").ok());
    remove("k");
    flush_to_disk();
  }
  EXPECT_EQ(bring({.cas = 5, .revision = 1000}, "new"), StoreStatus::stored);
  EXPECT_EQ(would_block(), 0U) << "it is above all that was removed";
  EXPECT_NE(gone(), "<none>");
  EXPECT_EQ(would_block(), 1U);
  EXPECT_EQ(bucket().statistics().placeholders, 0U);
}

TEST_P(RemovedDocumentsTest, WhatTheDiskHasAnsweredDoesNotStay) {
  if (GetParam() == EvictionPolicy::full) return;
  std::map<std::string, std::string> revisions;
  for (int i = 0; revisions.size() < 300; ++i) {
    const std::string key = numbered("k", i);
    if (bucket().vbucket_of(key) == 0) revisions[key] = std::to_string(leave(key).revision);
  }
  flush_to_disk();
  (void)gone(revisions.begin()->first);
  const uint64_t used = bucket().used_bytes();
  for (const auto& [key, revision] : revisions)
    EXPECT_EQ(gone(key), revision);
  EXPECT_LT(bucket().used_bytes(), used + 2000);
  // As long as somebody waits, all of them do.
  std::vector<DocumentRef> pins;
  for (const auto& [key, revision] : revisions)
    pins.push_back(disk().fetch(bucket(), key, now()).pin);
  const uint64_t blocks = would_block();
  for (const auto& [key, revision] : revisions)
    EXPECT_EQ(gone(key), revision);
  EXPECT_EQ(would_block(), blocks);
}

TEST_P(RemovedDocumentsTest, WhatTheDiskHasAnsweredIsOutdone) {
  for (int i = 0; i < 3; ++i) {
    const std::string revision = std::to_string(leave().revision);
    EXPECT_EQ(gone(), revision);
    flush_to_disk();
    evict();
    EXPECT_EQ(gone(), revision);
    EXPECT_EQ(gone(), revision);
  }
}

TEST_P(RemovedDocumentsTest, AReadThatIsTooOldIsMadeAgain) {
  if (GetParam() == EvictionPolicy::full) return;
  leave();
  flush_to_disk();
  const uint16_t vbucket = bucket().vbucket_of("k");
  const LoadTicket ticket = bucket().begin_load(vbucket);
  const auto old = disk().read_any(vbucket, "k");
  const auto deliver = [&] {
    return FakeDisk::deliver(bucket(), "k", old, ticket, LoadPurpose::fetch, now()).status;
  };
  set("k", "v");
  const uint64_t revision = remove("k").revision;
  EXPECT_EQ(deliver(), LoadStatus::absent);
  EXPECT_EQ(gone(), std::to_string(revision));
  flush_to_disk();
  EXPECT_EQ(deliver(), LoadStatus::read_again);
  EXPECT_EQ(gone(), std::to_string(revision));
  // What was read before is of the past when the key was there again.
  set("k", "v");
  remove("k");
  flush_to_disk();
  EXPECT_GT(std::stoull(gone()), revision);
}

TEST_P(RemovedDocumentsTest, ACopyDoesNotAskTheDisk) {
  leave();
  flush_to_disk();
  evict();
  const uint16_t vbucket = bucket().vbucket_of("k");
  bucket().follow(vbucket, now());
  const uint64_t high = bucket().high_seqno(vbucket);
  ASSERT_EQ(bucket().begin_snapshot(vbucket, {high, high + 10, false}), ReplicaStatus::applied);
  const uint64_t blocks = would_block();
  // Older by its revision and CAS: the source knows.
  EXPECT_EQ(bucket().apply_removal("k", {.seqno = high + 2, .cas = 5, .revision = 2}, now()),
            ReplicaStatus::applied);
  EXPECT_EQ(would_block(), blocks);
  EXPECT_EQ(gone(), "2");
  flush_to_disk();
  EXPECT_EQ(gone(), "2");
}

TEST(RemovedFromCacheTest, NothingIsKnownOfIt) {
  BucketFixture fixture;
  Bucket& bucket = fixture.bucket();
  (void)fixture.put(StoreMode::set, "k", "v");
  EXPECT_EQ(bucket.remove("k", {}, fixture.now()).status, RemoveStatus::removed);
  EXPECT_FALSE(bucket.fetch("k", {.finds_deleted = true}, fixture.now()));
  EXPECT_EQ(bucket.remove_foreign("k", {.cas = 5, .revision = 1}, fixture.now()).status,
            RemoveStatus::removed);
  EXPECT_FALSE(bucket.fetch("k", {.finds_deleted = true}, fixture.now()));
}

}  // namespace
}  // namespace bobbin::store
