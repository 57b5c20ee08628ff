#include "disk/shard.h"

#include <atomic>
#include <thread>

#include "disk/disk_test_support.h"

namespace bobbin::disk {
namespace {

TEST(Shard, WhatWasCommittedIsThereAfterAReopen) {
  ShardFixture shard;
  shard.open();
  VBucketState state;
  state.vbucket = 3;
  state.high_seqno = 2;
  state.reserved_seqno = 1000;
  state.failover = {{77, 0}};
  Change first = document(3, "a", 1, "one");
  first.record.flags = 0xcafe;
  first.record.time_s = 1'800'000'000;
  first.record.datatype = 1;
  first.record.marks = 2;
  shard.commit({first, deletion(3, "b", 2, 1'700'000'000)}, {state});
  shard.close();
  shard.open();
  const auto found = shard->get(3, "a");
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->record(), first.record);
  EXPECT_EQ(shard.value_of(3, "b"), "-");
  EXPECT_EQ(shard.value_of(4, "a"), "");
  const auto states = shard->states();
  ASSERT_TRUE(states);
  EXPECT_EQ(*states, std::vector<VBucketState>{state});
}

TEST(Shard, OfSeveralChangesOfAKeyTheLastCounts) {
  ShardFixture shard;
  shard.open();
  shard.commit({document(1, "k", 1, "a"), document(1, "other", 2, "o"), document(1, "k", 3, "b"),
                deletion(1, "k", 4, 1), document(1, "k", 5, "c"), document(2, "k", 1, "elsewhere")});
  EXPECT_EQ(shard.value_of(1, "k"), "c");
  EXPECT_EQ(shard.value_of(2, "k"), "elsewhere");
  EXPECT_EQ(shard.history(1), "set:2:other=o set:5:k=c");
  EXPECT_EQ(shard->statistics().superseded, 3U);
}

// Keys that agree in their first bytes, and keys that are beginnings of others.
TEST(Shard, KeysThatBeginAlikeAreNotConfused) {
  ShardFixture shard;
  shard.open();
  const std::string zero("abcdef\0", 7);
  shard.commit({document(1, "abcdefg", 1, "1"), document(1, "abcdef", 2, "2"),
                document(1, "abcdefgh", 3, "3"), document(1, "abc", 4, "4"), document(1, zero, 5, "5"),
                document(1, "abcdef", 6, "6")});
  EXPECT_EQ(shard.value_of(1, "abcdefg"), "1");
  EXPECT_EQ(shard.value_of(1, "abcdef"), "6");
  EXPECT_EQ(shard.value_of(1, "abcdefgh"), "3");
  EXPECT_EQ(shard.value_of(1, "abc"), "4");
  EXPECT_EQ(shard.value_of(1, zero), "5");
}

TEST(Shard, AFlushTakesWhatCameBeforeItInTheSameCommitToo) {
  ShardFixture shard;
  shard.open();
  const std::string longest(store::kMaxStoredKeyBytes - 1, '\xff');
  shard.commit({document(1, "old", 1, "x"), document(1, longest, 2, "x"),
                document(2, "neighbour", 1, "stays"), document(0, longest, 1, "stays")});
  shard.commit({document(1, "young", 3, "x"), flush_of(1, 4), document(1, "young", 5, "new")});
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(shard.value_of(1, "old"), "");
    EXPECT_EQ(shard.value_of(1, longest), "");
    EXPECT_EQ(shard.value_of(1, "young"), "new");
    EXPECT_EQ(shard.value_of(2, "neighbour"), "stays");
    EXPECT_EQ(shard.value_of(0, longest), "stays");
    EXPECT_EQ(shard.history(1), "flush:4: set:5:young=new");
    shard.close();
    shard.open();
  }
}

// A commit sorts what it is given by stored key, which is not the order of the collections' numbers: 128 is
// written as 80 01.
TEST(Shard, CollectionsHaveTheirOwnDocumentsOfAName) {
  ShardFixture shard;
  shard.open();
  const std::vector<store::CollectionId> collections = {0xffffffff, 128, 8, 0, 255, 256};
  std::vector<std::string> values;
  for (const store::CollectionId id : collections)
    values.push_back(std::to_string(id));
  std::vector<Change> changes;
  for (size_t i = 0; i < collections.size(); ++i)
    changes.push_back(document(1, {collections[i], "k"}, i + 1, values[i]));
  changes.push_back(document(1, {8, "k"}, 7, "the last of 8"));
  shard.commit(changes);
  for (size_t i = 0; i < collections.size(); ++i)
    EXPECT_EQ(shard.value_of(1, {collections[i], "k"}), collections[i] == 8 ? "the last of 8" : values[i]);
  EXPECT_EQ(shard.value_of(1, {9, "k"}), "");
  EXPECT_EQ(shard.history(1),
            "set:1:4294967295/k=4294967295 set:2:128/k=128 set:4:k=0 set:5:255/k=255 set:6:256/k=256 "
            "set:7:8/k=the last of 8");
  shard.commit({flush_of(1, 8)});
  for (const store::CollectionId id : collections)
    EXPECT_EQ(shard.value_of(1, {id, "k"}), "") << id;
}

TEST(Shard, TheLastVBucketCanBeFlushed) {
  ShardFixture shard;
  shard.options().vbuckets = 65536;
  shard.open();
  shard.commit({document(65535, "k", 1, "x"), document(65534, "k", 1, "stays"), flush_of(65535, 2)});
  EXPECT_EQ(shard.value_of(65535, "k"), "");
  EXPECT_EQ(shard.value_of(65534, "k"), "stays");
}

TEST(Shard, ManyAreAskedForAtOnce) {
  ShardFixture shard;
  shard.open();
  shard.commit({document(1, "a", 1, "1"), document(2, "b", 1, "2")});
  const std::vector<DocumentKey> names = {{2, "b"}, {1, "none"}, {1, "a"}};
  const auto answers = shard->get_many(names);
  ASSERT_EQ(answers.size(), 3U);
  ASSERT_TRUE(answers[0] && *answers[0]);
  EXPECT_EQ((*answers[0])->record().value, "2");
  EXPECT_TRUE(answers[1] && !*answers[1]);
  ASSERT_TRUE(answers[2] && *answers[2]);
  EXPECT_EQ((*answers[2])->record().value, "1");
}

TEST(Shard, LargeValuesGoToBlobFilesAndComeBack) {
  ShardFixture shard;
  shard.open();
  const std::string large(1 << 20, 'v');
  shard.commit({document(1, "large", 1, large), document(1, "small", 2, "s")});
  shard.close();
  EXPECT_FALSE(files_with(shard.path(), ".blob").empty());
  shard.open();
  EXPECT_EQ(shard.value_of(1, "large"), large);
  const auto compacted = shard->compact();
  ASSERT_TRUE(compacted) << compacted.error().message;
  EXPECT_EQ(shard.value_of(1, "large"), large);
}

// A crash between two states: what the index has is what was persisted.
TEST(Shard, StatisticsAreThereAfterAReopen) {
  ShardFixture shard;
  shard.open();
  std::vector<std::string> keys;
  for (int i = 0; i < 1000; ++i)
    keys.push_back("key" + std::to_string(i));
  std::vector<Change> changes;
  for (size_t i = 0; i < keys.size(); ++i)
    changes.push_back(document(1, keys[i], i + 1, "a value of some length"));
  shard.commit(changes);
  EXPECT_GT(shard->statistics().data_bytes, 0U);
  for (const bool clean : {false, true}) {
    if (clean) shard.close();
    shard.open();
    const ShardStatistics now = shard->statistics();
    EXPECT_GT(now.data_bytes, 0U);
    EXPECT_GT(now.file_bytes, now.data_bytes / 2);
    EXPECT_EQ(now.keys, 1000U);
    EXPECT_FALSE(now.stopped);
    EXPECT_FALSE(now.sealed);
  }
}

TEST(Shard, NothingIsLeftToReplayAfterAClose) {
  ShardFixture shard;
  shard.open();
  shard.commit({document(1, "a", 1, "1")});
  const uint64_t sequence = shard->sequence();
  shard.close();
  uint64_t bytes = 0;
  for (const std::string& path : files_with(shard.path(), ".log"))
    bytes += std::filesystem::file_size(path);
  EXPECT_EQ(bytes, 0U);
  shard.open();
  EXPECT_GE(shard->sequence(), sequence);
}

TEST(Shard, ReadOnlyAnswersAndRefusesToCommit) {
  ShardFixture shard;
  shard.open();
  shard.commit({document(1, "a", 1, "1")});
  shard.crash();
  shard.options().read_only = true;
  shard.open();
  EXPECT_EQ(shard.value_of(1, "a"), "1");
  EXPECT_TRUE(shard->verify());
  const auto refused = shard->commit(std::vector<Change>{document(1, "b", 2, "2")}, {}, Sync::yes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::read_only);
}

TEST(Shard, MemoryIsCountedAgainstTheBudget) {
  ShardFixture shard;
  shard.open();
  const uint64_t before = shard.options().resources->used_bytes();
  shard.commit({document(1, "a", 1, std::string(3000, 'x'))});
  EXPECT_GE(shard.options().resources->used_bytes(), before);
  EXPECT_GT(shard.options().resources->memtable_bytes(), 3000U);
}

// The promise is about threads: sanitizers look on.
TEST(Shard, IsReadWhileItIsCommittedToAndCompacted) {
  ShardFixture shard;
  shard.open();
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&, i] {
      while (!done.load()) {
        const std::string text = i == 0 ? shard.value_of(1, "k7") : shard.history(1);
        EXPECT_FALSE(text.starts_with("error"));
        EXPECT_FALSE(shard->statistics().sealed);
        EXPECT_FALSE(shard->sealed());
      }
    });
  }
  for (uint64_t seqno = 1; seqno <= 300; ++seqno) {
    shard.commit({document(1, "k" + std::to_string(seqno % 10), seqno, "v")});
    if (seqno % 100 == 0) {
      EXPECT_TRUE(shard->compact());
    }
  }
  done.store(true);
  for (std::thread& reader : readers)
    reader.join();
  EXPECT_EQ(shard->statistics().commits, 300U);
}

}  // namespace
}  // namespace bobbin::disk
