// A persistent bucket on a real disk: what a restart finds, whatever ended the process.

#include "disk/persistence.h"

#include <atomic>
#include <thread>
#include <vector>

#include "disk/persistence_fixture.h"
#include "store/store_test_support.h"
#include "wire/xattr.h"

namespace bobbin::disk {
namespace {

using store::EvictionPolicy;
using store::Fetched;
using store::RemoveStatus;
using store::StoreMode;
using store::StoreStatus;

const std::string kLong(500, 'x');

std::string key_of(uint64_t number) {
  return "key" + std::to_string(number);
}

class PersistenceTest : public testing::TestWithParam<EvictionPolicy>, protected PersistenceFixture {
 protected:
  PersistenceTest() { options().bucket.eviction = GetParam(); }
};

std::string policy_name(const testing::TestParamInfo<EvictionPolicy>& tested) {
  return tested.param == EvictionPolicy::value ? "Value" : "Full";
}
INSTANTIATE_TEST_SUITE_P(Eviction, PersistenceTest,
                         testing::Values(EvictionPolicy::value, EvictionPolicy::full), policy_name);

TEST_P(PersistenceTest, FilesAreCompactedWhileDocumentsChange) {
  start();
  const auto fill = [&](const std::string& value) {
    for (uint64_t i = 0; i < 200; ++i)
      (void)set(key_of(i), value);
    flush_to_disk();
  };
  for (const char fill_with : {'a', 'b', 'c'})
    fill(std::string(2000, fill_with));
  std::atomic<bool> canceled{false};
  std::thread writer([&] { fill(std::string(2000, 'd')); });
  for (const uint16_t vbucket : {0, 1})
    EXPECT_TRUE(there().compact(vbucket, canceled));
  writer.join();
  for (uint64_t i = 0; i < 200; ++i)
    EXPECT_EQ(get(key_of(i)), std::string(2000, 'd'));
  canceled = true;
  EXPECT_TRUE(there().compact(0, canceled)) << "to be ended is no error";
  restart();
  EXPECT_EQ(items(), 200U);
  close();
}

TEST_P(PersistenceTest, ARestartFindsTheAttributesOfDeletedDocuments) {
  // Short ones lie in the table, long ones in a blob file.
  for (const size_t length : {size_t{10}, size_t{50'000}}) {
    std::string block;
    wire::set_xattr(block, "_sys", '"' + std::string(length, 'x') + '"');
    const std::string key = key_of(length);
    start();
    const auto find = [&] {
      return until_known(
          key, [&] { return bucket().fetch(key, {.finds_deleted = true}, now()); },
          [](const Fetched& found) { return found.would_block; });
    };
    const auto draft = [&] {
      auto made = bucket().draft(key, 0, 0, static_cast<uint32_t>(block.size()), now(), true);
      block.copy(made->value().data(), block.size());
      made->set_datatype(store::Document::kAttributesBit);
      return std::move(*made);
    };
    ASSERT_TRUE(bucket().store(draft(), StoreMode::set, {.whole = true}, now()).ok());
    ASSERT_EQ(remove(key).status, RemoveStatus::removed);
    const uint64_t cas = find().cas;
    for (const bool clean : {true, false}) {
      clock().advance_s(5);
      if (clean) {
        close();
      } else {
        flush_to_disk();
        crash();
      }
      start();
      EXPECT_EQ(get(key), "<miss>");
      EXPECT_EQ(find().doc->value(), block);
      wait_for_warmup();
      evict();
      const Fetched found = find();
      ASSERT_TRUE(found.deleted);
      EXPECT_EQ(found.doc->value(), block);
      EXPECT_EQ(found.cas, cas);
      EXPECT_EQ(found.expiry, now().unix_s() - (clean ? 5 : 10));
      EXPECT_EQ(items(), 0U);
    }
    // Nobody counts it as a document that was there before.
    (void)set(key, "v");
    EXPECT_EQ(items(), 1U);
    EXPECT_EQ(remove(key).status, RemoveStatus::removed);
    close();
  }
}

TEST_P(PersistenceTest, ARestartFindsTheDocumentsOfEachCollection) {
  const std::vector<store::CollectionId> collections = {0, 8, 128, 0xffffffff};
  start();
  const auto manifest = store::manifest_with(collections);
  ASSERT_TRUE(there().save_manifest(*manifest));
  bucket().set_manifest(manifest, now());
  for (const store::CollectionId id : collections)
    (void)set({id, "k"}, std::to_string(id));
  (void)remove({8, "k"});
  for (const bool clean : {true, false}) {
    if (clean) {
      close();
    } else {
      flush_to_disk();
      crash();
    }
    start();
    for (const store::CollectionId id : collections)
      EXPECT_EQ(get({id, "k"}), id == 8 ? "<miss>" : std::to_string(id));
    EXPECT_EQ(get({9, "k"}), "<miss>");
    wait_for_warmup();
    evict();
    for (const store::CollectionId id : collections)
      EXPECT_EQ(get({id, "k"}), id == 8 ? "<miss>" : std::to_string(id));
    EXPECT_EQ(items(), collections.size() - 1);
  }
}

TEST_P(PersistenceTest, ARestartFindsEverythingAsItWas) {
  start();
  const auto plain = set("plain", "value", 0, 77);
  const auto expiring = set("expiring", kLong, in(100));
  ASSERT_TRUE(put(StoreMode::append, "plain", "+more").ok());
  store::Draft typed = std::move(*bucket().draft("typed", 1, 0, 2, now()));
  std::memcpy(typed.value().data(), "{}", 2);
  typed.set_datatype(1);
  ASSERT_TRUE(bucket().store(std::move(typed), StoreMode::set, now()).ok());
  ASSERT_EQ(remove("expiring", {.mark_stale = true, .expiry = in(200)}).status, RemoveStatus::removed);
  (void)set("empty", "");
  const Fetched before = get_document("plain");
  const Fetched stale = get_document("expiring");
  ASSERT_GT(before.doc->seqno(), plain.seqno);
  ASSERT_GT(stale.doc->seqno(), expiring.seqno);
  const uint64_t high = bucket().high_seqno(bucket().vbucket_of("plain"));
  for (const bool clean : {true, false}) {
    if (clean)
      close();
    else
      crash();
    start();
    const Fetched found = get_document("plain");
    ASSERT_TRUE(found);
    EXPECT_EQ(found.doc->value(), "value+more");
    EXPECT_EQ(found.doc->flags(), 77U);
    EXPECT_EQ(found.doc->cas(), before.doc->cas());
    EXPECT_EQ(found.doc->seqno(), before.doc->seqno());
    EXPECT_EQ(found.doc->revision(), before.doc->revision());
    EXPECT_EQ(found.expiry, 0U);
    const Fetched again = get_document("expiring");
    ASSERT_TRUE(again);
    EXPECT_EQ(again.expiry, in(200));
    EXPECT_TRUE(again.stale);
    EXPECT_EQ(again.doc->cas(), stale.doc->cas());
    EXPECT_EQ(get_document("typed").doc->datatype(), 1);
    EXPECT_EQ(get("empty"), "");
    EXPECT_EQ(get("absent"), "<miss>");
    EXPECT_EQ(items(), 4U);
    const uint64_t high_now = bucket().high_seqno(bucket().vbucket_of("plain"));
    if (clean)
      EXPECT_EQ(high_now, high);
    else
      EXPECT_GT(high_now, high);
  }
  EXPECT_GT(set("plain", "next").cas, before.doc->cas());
}

TEST_P(PersistenceTest, NumbersGoOnBehindAnUncleanEnd) {
  start();
  const auto first = set("k", "1");
  const uint16_t vbucket = bucket().vbucket_of("k");
  flush_to_disk();
  const auto lost = set("k", "2");
  crash();
  start();
  const auto next = set("k", "3");
  ASSERT_TRUE(next.ok());
  EXPECT_GT(next.seqno, lost.seqno);
  EXPECT_GT(next.cas, lost.cas);
  EXPECT_GT(lost.seqno, first.seqno);
  EXPECT_TRUE(wait_until_persisted(vbucket, next.seqno));
  EXPECT_EQ(items(), 1U);
}

TEST_P(PersistenceTest, WhatWasDeletedStaysDeleted) {
  start();
  for (uint64_t i = 0; i < 50; ++i)
    (void)set(key_of(i), kLong);
  flush_to_disk();
  evict();
  for (uint64_t i = 0; i < 50; i += 2)
    EXPECT_EQ(remove(key_of(i)).status, RemoveStatus::removed);
  restart();
  EXPECT_EQ(items(), 25U);
  for (uint64_t i = 0; i < 50; ++i)
    EXPECT_EQ(get(key_of(i)), i % 2 == 0 ? "<miss>" : kLong) << i;
  wait_for_warmup();
  EXPECT_EQ(items(), 25U);
}

TEST_P(PersistenceTest, AFlushThatIsStillToComeIsBroughtToDisk) {
  start();
  (void)set("k", "v");
  bucket().flush_at(in(10), now());
  ASSERT_TRUE(there().bring_to_disk());
  crash();
  start();
  EXPECT_EQ(get("k"), "v");
  clock().advance_s(10);
  EXPECT_EQ(get("k"), "<miss>");
  restart();
  (void)set("k", "new");
  clock().advance_s(10);
  restart();
  EXPECT_EQ(get("k"), "new");
}

TEST_P(PersistenceTest, WhatWasFlushedStaysAway) {
  start();
  for (uint64_t i = 0; i < 50; ++i)
    (void)set(key_of(i), kLong);
  flush_to_disk();
  (void)set("dirty", kLong);
  flush_all();
  (void)set("after", "it");
  (void)set(key_of(7), "again");
  EXPECT_EQ(items(), 2U);
  restart();
  EXPECT_EQ(items(), 2U);
  EXPECT_EQ(get("dirty"), "<miss>");
  EXPECT_EQ(get(key_of(3)), "<miss>");
  EXPECT_EQ(get(key_of(7)), "again");
  EXPECT_EQ(get("after"), "it");
  flush_all();
  flush_to_disk();
  crash();
  start_warm();
  EXPECT_EQ(items(), 0U);
  EXPECT_EQ(get("after"), "<miss>");
}

TEST_P(PersistenceTest, WhatHasExpiredIsGoneAndNotCounted) {
  start();
  for (uint64_t i = 0; i < 40; ++i)
    (void)set(key_of(i), kLong, i % 2 == 0 ? in(10) : 0);
  close();
  clock().advance_s(11);
  start_warm();
  EXPECT_EQ(items(), 20U);
  for (uint64_t i = 0; i < 40; ++i)
    EXPECT_EQ(get(key_of(i)), i % 2 == 0 ? "<miss>" : kLong) << i;
  restart();
  EXPECT_EQ(items(), 20U);
}

TEST_P(PersistenceTest, BlindSetsAreCountedOnce) {
  options().bucket.quota_bytes = 4 << 20;
  start_warm();
  for (uint64_t i = 0; i < 400; ++i)
    (void)set(key_of(i), kLong);
  flush_to_disk();
  // With full eviction nothing of these is in memory any more.
  evict();
  evict();
  for (uint64_t i = 200; i < 600; ++i)
    (void)set(key_of(i), "second");
  // More changes of a key that nobody knew, before anything is written.
  for (uint64_t i = 200; i < 600; i += 3)
    (void)set(key_of(i), "third");
  for (uint64_t i = 201; i < 600; i += 3) {
    EXPECT_EQ(remove(key_of(i)).status, RemoveStatus::removed);
    if (i % 2 == 0) (void)set(key_of(i), "fourth");
  }
  uint64_t expected = 600;
  for (uint64_t i = 201; i < 600; i += 3)
    expected -= i % 2 == 0 ? 0 : 1;
  flush_to_disk();
  EXPECT_EQ(items(), expected);
  crash();
  start();
  EXPECT_EQ(items(), expected);
  wait_for_warmup();
  EXPECT_EQ(items(), expected);
  restart();
  EXPECT_EQ(items(), expected);
  uint64_t found = 0;
  for (uint64_t i = 0; i < 700; ++i)
    found += get(key_of(i)) != "<miss>" ? 1 : 0;
  EXPECT_EQ(found, expected);
}

TEST_P(PersistenceTest, BlindSetsDuringAWarmupAreCountedOnce) {
  start();
  for (uint64_t i = 0; i < 3000; ++i)
    (void)set(key_of(i), "first");
  close();
  start();
  for (uint64_t i = 1500; i < 4500; ++i)
    (void)set(key_of(i), "second");
  flush_to_disk();
  wait_for_warmup();
  EXPECT_EQ(items(), 4500U);
  crash();
  start_warm();
  EXPECT_EQ(items(), 4500U);
  for (uint64_t i = 0; i < 4500; ++i)
    ASSERT_EQ(get(key_of(i)), i < 1500 ? "first" : "second") << i;
}

TEST_P(PersistenceTest, AfterAKillEverythingIsThereThatWasAcknowledged) {
  start();
  constexpr int kThreads = 4;
  std::vector<std::atomic<uint64_t>> acknowledged(kThreads);
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&, t] {
      for (uint64_t i = 1; !stop.load(); ++i) {
        const std::string key = "w" + std::to_string(t) + "-" + std::to_string(i % 100);
        const auto stored = set(key, std::to_string(i));
        if (!stored.ok() || !wait_until_persisted(bucket().vbucket_of(key), stored.seqno)) return;
        acknowledged[static_cast<size_t>(t)].store(i);
      }
    });
  }
  const auto all_wrote = [&] {
    for (const auto& count : acknowledged) {
      if (count.load() < 50) return false;
    }
    return true;
  };
  while (!all_wrote())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  stop.store(true);
  for (std::thread& writer : writers)
    writer.join();
  crash();
  start();
  for (int t = 0; t < kThreads; ++t) {
    const uint64_t last = acknowledged[static_cast<size_t>(t)].load();
    for (uint64_t i = last > 99 ? last - 99 : 1; i <= last; ++i) {
      const std::string key = "w" + std::to_string(t) + "-" + std::to_string(i % 100);
      EXPECT_EQ(get(key), std::to_string(i)) << key;
    }
  }
}

TEST_P(PersistenceTest, CloseBringsEverythingToDisk) {
  // Nobody flushes by itself.
  options().linger = std::chrono::hours(1);
  start();
  for (uint64_t i = 0; i < 5000; ++i)
    (void)set(key_of(i), kLong);
  EXPECT_GT(bucket().statistics().dirty_items, 4000U);
  EXPECT_GT(there().statistics().oldest_dirty_us, 0U);
  close();
  start();
  EXPECT_TRUE(there().directory().ended_cleanly());
  EXPECT_EQ(items(), 5000U);
  for (uint64_t i = 0; i < 5000; ++i)
    ASSERT_EQ(get(key_of(i)), kLong) << i;
}

TEST_P(PersistenceTest, TheDirtyLimitTellsWhenToWait) {
  options().linger = std::chrono::hours(1);
  options().max_dirty_bytes = 100'000;
  start();
  EXPECT_FALSE(there().over_dirty_limit());
  while (!there().over_dirty_limit())
    (void)set(key_of(1), std::string(200'000, 'x'));
  // Past half of it nobody lingers.
  for (int i = 0; i < 10'000 && there().over_dirty_limit(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_FALSE(there().over_dirty_limit());
}

TEST_P(PersistenceTest, NothingCanBeWrittenBeforeTheStart) {
  start();
  (void)set("k", "v");
  close();
  open();
  EXPECT_EQ(set("k", "w").status, StoreStatus::no_memory);
  crash();
  start();
  EXPECT_EQ(get("k"), "v");
}

TEST_P(PersistenceTest, StatisticsCount) {
  start();
  for (uint64_t i = 0; i < 100; ++i)
    (void)set(key_of(i), "v");
  flush_to_disk();
  // The flusher has told its waiters before it looks what is left.
  for (int i = 0; i < 10'000 && there().statistics().oldest_dirty_us != 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const PersistenceStatistics numbers = there().statistics();
  EXPECT_GE(numbers.commits, 3U);
  EXPECT_EQ(numbers.flushed_items, 100U);
  EXPECT_GT(numbers.flushed_bytes, 100U * 24);
  EXPECT_GE(numbers.longest_commit_us, numbers.last_commit_us);
  EXPECT_EQ(numbers.commit_failures, 0U);
  EXPECT_EQ(numbers.oldest_dirty_us, 0U);
  EXPECT_EQ(numbers.max_dirty_bytes, options().max_dirty_bytes);
  EXPECT_GE(numbers.shards.commits, numbers.commits);
}

// Where RocksDB's threads write a memtable out they look up nothing: they ask the bucket.
TEST_P(PersistenceTest, TheBucketTellsWhichIndexEntriesAreSuperseded) {
  options().directory.shards = 1;
  options().directory.memory_bytes = 1 << 20;
  options().linger = std::chrono::milliseconds(0);
  start();
  for (int round = 0; round < 3000 && there().statistics().shards.index_entries_dropped == 0; ++round) {
    for (uint64_t i = 0; i < 50; ++i)
      (void)set(key_of(i), kLong);
    flush_to_disk();
  }
  EXPECT_GT(there().statistics().shards.index_entries_dropped, 0U);
  close();
  start();
  for (uint64_t i = 0; i < 50; ++i)
    EXPECT_EQ(get(key_of(i)), kLong) << i;
}

}  // namespace
}  // namespace bobbin::disk
