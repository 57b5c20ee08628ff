#include "disk/seqno_memtable.h"

#include <rocksdb/memtablerep.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "disk/disk_test_support.h"
#include "disk/memtable_fixture.h"
#include "disk/record.h"

namespace bobbin::disk {
namespace {

using memtable_test::BareMemtable;
using memtable_test::Version;
using memtable_test::Walk;

std::string key_of(uint16_t vbucket, uint64_t seqno) {
  std::string key;
  append_seqno_key(key, vbucket, seqno);
  return key;
}

constexpr std::array<uint16_t, 7> kVBuckets = {0, 1, 254, 255, 256, 4096, 65535};

class SeqnoMemtable : public memtable_test::MemtableTest {
 protected:
  [[nodiscard]] uint16_t a_vbucket() { return kVBuckets[below(kVBuckets.size())]; }
  /// Sometimes with less or more behind the vbucket, or less than that.
  [[nodiscard]] std::string odd_key() {
    std::string key = key_of(a_vbucket(), below(highest_ + 2));
    key.resize(below(14), static_cast<char>(below(3)));
    return key;
  }
  [[nodiscard]] Version a_target(const BareMemtable::Model& model) override {
    if (below(3) == 0) return {odd_key(), below(10'000)};
    if (below(2) == 0 || model.empty()) return {key_of(a_vbucket(), below(highest_ + 2)), below(10'000)};
    auto near = model.lower_bound({key_of(a_vbucket(), below(highest_ + 2)), 0});
    if (near == model.end()) --near;
    return {near->first.key, near->first.sequence + below(3) - 1};
  }
  void insert_in_order(BareMemtable& memtable, uint64_t entries) {
    for (uint64_t i = 0; i < entries; ++i)
      memtable.insert(key_of(a_vbucket(), highest_ += 1 + below(3)));
  }
  void insert_anything(BareMemtable& memtable, uint64_t entries) {
    for (uint64_t i = 0; i < entries; ++i) {
      switch (below(4)) {
        case 0:
          memtable.insert(odd_key());
          break;
        case 1:
          memtable.insert(key_of(a_vbucket(), below(highest_ + 1)));
          break;
        case 2:
          memtable.insert(a_target(memtable.model()).key);
          break;
        default:
          insert_in_order(memtable, 1);
      }
    }
  }

  uint64_t highest_ = 0;
};

TEST_F(SeqnoMemtable, IsEmptyAtFirst) {
  BareMemtable memtable(seqno_memtables());
  expect_same(memtable);
  EXPECT_FALSE(memtable.contains({key_of(1, 1), 1}));
  EXPECT_EQ(memtable.rep().ApproximateMemoryUsage(), 0U);
}

TEST_F(SeqnoMemtable, HasInOrderWhatCameInOrder) {
  BareMemtable memtable(seqno_memtables());
  for (const uint64_t entries : {1, 2, 3, 10, 100, 2000}) {
    insert_in_order(memtable, entries);
    expect_same(memtable);
  }
}

TEST_F(SeqnoMemtable, HasInOrderWhatDidNot) {
  BareMemtable memtable(seqno_memtables());
  for (const uint64_t entries : {1, 2, 3, 10, 100, 2000}) {
    insert_anything(memtable, entries);
    expect_same(memtable);
  }
}

TEST_F(SeqnoMemtable, HasStraysAlone) {
  BareMemtable memtable(seqno_memtables());
  for (int i = 0; i < 100; ++i)
    memtable.insert(std::string(1 + below(9), static_cast<char>(below(256))));
  expect_same(memtable);
}

TEST_F(SeqnoMemtable, AnIteratorSeesWhatCameMeanwhileWhenItSeeksAgain) {
  BareMemtable memtable(seqno_memtables());
  Walk walk(memtable);
  for (int i = 0; i < 3000 && !HasFatalFailure(); ++i) {
    // The first thousand without strays, which are then seen by an iterator that was made before the first.
    i < 1000 ? insert_in_order(memtable, 1) : insert_anything(memtable, 1);
    walk.seek(a_target(memtable.model()), below(2) == 0);
    steps(walk, memtable.model(), 5);
  }
}

TEST_F(SeqnoMemtable, ALongRunHasAllOfIt) {
  BareMemtable memtable(seqno_memtables());
  for (uint64_t seqno = 1; seqno <= 70'000; ++seqno)
    memtable.insert(key_of(7, seqno));
  EXPECT_EQ(memtable.rep().ApproximateMemoryUsage(), 0U);
  expect_whole(memtable);
  Walk walk(memtable);
  for (int i = 0; i < 1000 && !HasFatalFailure(); ++i)
    walk.seek({key_of(7, below(70'002)), below(70'002)}, false);
}

TEST_F(SeqnoMemtable, WhatAFullRunDoesNotTakeIsThere) {
  BareMemtable memtable(seqno_memtables(10));
  insert_in_order(memtable, 1000);
  expect_same(memtable);
  insert_anything(memtable, 1000);
  expect_same(memtable);
}

TEST_F(SeqnoMemtable, KnowsWhatItHasAndTakesNothingTwice) {
  BareMemtable memtable(seqno_memtables());
  insert_in_order(memtable, 500);
  insert_anything(memtable, 500);
  for (const auto& [version, _] : memtable.model()) {
    EXPECT_TRUE(memtable.contains(version));
    EXPECT_FALSE(memtable.contains({version.key, version.sequence + 1'000'000}));
    EXPECT_FALSE(memtable.contains({version.key, 0}));
    EXPECT_FALSE(memtable.insert_only(version, "other"));
  }
  expect_same(memtable);
}

TEST_F(SeqnoMemtable, EstimatesHowMuchIsBetweenTwoKeys) {
  BareMemtable memtable(seqno_memtables());
  insert_in_order(memtable, 1000);
  for (int i = 0; i < 1000; ++i) {
    const Version from = a_target(memtable.model());
    const Version to = a_target(memtable.model());
    const auto begin = memtable.model().lower_bound(from);
    const auto end = memtable.model().lower_bound(to);
    const auto entries = from < to ? std::distance(begin, end) : 0;
    EXPECT_EQ(memtable.rep().ApproximateNumEntries(from.internal(), to.internal()),
              static_cast<uint64_t>(entries));
  }
}

/// Entry i is inserted i-th.
Version entry_in_row(uint64_t i) {
  return {key_of(kVBuckets[i * 31 % (1 + std::min<uint64_t>(i / 500, kVBuckets.size() - 1))], i + 1), i + 1};
}

// Strays are left out: how RocksDB's own list orders its readers is nothing that ThreadSanitizer sees here.
TEST_F(SeqnoMemtable, ReadersSeeWhatWasThereWhenTheyBegan) {
  constexpr uint64_t kEntries = 6000;
  BareMemtable memtable(seqno_memtables());
  std::atomic<uint64_t> announced = 0;
  std::atomic<uint64_t> walks = 0;
  const auto read = [&](uint64_t reader) {
    std::mt19937_64 random(seed_ + reader);
    for (uint64_t from = 0; from < kEntries;) {
      from = announced.load(std::memory_order_acquire);
      const auto iterator = memtable.iterator();
      const std::vector<bool> there =
          memtable_test::walk_all(*iterator, random() % 2 == 0, kEntries, entry_in_row);
      const auto missing = std::find(there.begin(), there.end(), false);
      EXPECT_GE(static_cast<uint64_t>(missing - there.begin()), from);
      ++walks;
      for (int i = 0; i < 20 && from > 0; ++i) {
        const Version target = entry_in_row(random() % from);
        const std::string internal = target.internal();
        random() % 2 == 0 ? iterator->Seek(internal, nullptr) : iterator->SeekForPrev(internal, nullptr);
        ASSERT_TRUE(iterator->Valid());
        EXPECT_EQ(memtable_test::version_at(*iterator), target);
      }
    }
  };
  std::vector<std::thread> readers;
  for (uint64_t reader = 1; reader <= 3; ++reader)
    readers.emplace_back(read, reader);
  for (uint64_t i = 0; i < kEntries; ++i) {
    // Not so fast that nobody reads before the end.
    while (walks.load() < i / 500)
      std::this_thread::yield();
    EXPECT_TRUE(memtable.insert_only(entry_in_row(i), "value"));
    announced.store(i + 1, std::memory_order_release);
  }
  for (std::thread& reader : readers)
    reader.join();
}

TEST_F(SeqnoMemtable, IsWhatAShardUsesForItsIndex) {
  ShardFixture shard;
  shard.open();
  EXPECT_EQ(memtable_test::memtable_of_family(shard.path(), "seqnos"), "bobbin.SeqnoMemtable");
}

}  // namespace
}  // namespace bobbin::disk
