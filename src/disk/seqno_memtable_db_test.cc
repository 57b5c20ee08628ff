// Memtables for `seqnos` inside a database, beside one with RocksDB's own memtables to which the same is
// done.
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "disk/memtable_db_fixture.h"
#include "disk/record.h"
#include "disk/seqno_memtable.h"

namespace bobbin::disk {
namespace {

std::string key_of(uint16_t vbucket, uint64_t seqno) {
  std::string key;
  append_seqno_key(key, vbucket, seqno);
  return key;
}

/// All keys of a vbucket.
std::pair<std::string, std::string> range_of(uint16_t vbucket) {
  const std::string from = key_of(vbucket, 0).substr(0, 2);
  return {from, from + std::string(20, '\xff')};
}

class SeqnoMemtableInDatabase : public memtable_test::MemtableInDatabase {
 protected:
  SeqnoMemtableInDatabase() : MemtableInDatabase(seqno_memtables()) {}

  [[nodiscard]] uint16_t a_vbucket() { return kVBuckets[below(kVBuckets.size())]; }
  [[nodiscard]] std::string a_key() override { return key_of(a_vbucket(), below(highest_ + 2)); }

  /// As a commit does, and what may happen to a vbucket.
  void write_something() {
    rocksdb::WriteBatch batch;
    for (uint64_t i = below(30); i > 0; --i)
      batch.Put(key_of(a_vbucket(), ++highest_), "v" + std::to_string(++value_));
    const uint16_t vbucket = a_vbucket();
    const auto [from, to] = range_of(vbucket);
    switch (below(12)) {
      case 0:  // cleared, and from the beginning again
        batch.DeleteRange(from, to);
        for (uint64_t seqno = 1; seqno < 10; ++seqno)
          batch.Put(key_of(vbucket, seqno), "again" + std::to_string(++value_));
        break;
      case 1:  // flushed
        batch.DeleteRange(from, key_of(vbucket, below(highest_ + 2)));
        break;
      case 2:
        batch.Delete(a_key());
        break;
      case 3:
        batch.Put(a_key(), "other" + std::to_string(++value_));
        break;
      case 4:
        batch.Put(a_key().substr(0, 1 + below(9)), "short");
        break;
      default:
        break;
    }
    both(batch);
  }

  static constexpr std::array<uint16_t, 5> kVBuckets = {0, 1, 255, 256, 65535};
  uint64_t highest_ = 0;
  uint64_t value_ = 0;
};

TEST_F(SeqnoMemtableInDatabase, AnswersAsRocksDBsOwn) {
  for (int i = 0; i < 400 && !HasFatalFailure(); ++i) {
    write_something();
    happen();
    if (i % 5 == 0) expect_same(below(ours_.snapshots() + 1));
  }
}

TEST_F(SeqnoMemtableInDatabase, AnIteratorStaysInItsMomentUntilItIsRefreshed) {
  for (uint64_t seqno = 100; seqno < 200; ++seqno)
    ASSERT_TRUE(ours_->Put({}, key_of(1, seqno), "first").ok());
  const std::unique_ptr<rocksdb::Iterator> iterator(ours_->NewIterator({}));
  const auto count = [&] {
    size_t entries = 0;
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next())
      ++entries;
    for (iterator->SeekToLast(); iterator->Valid(); iterator->Prev())
      --entries;
    EXPECT_EQ(entries, 0U);
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next())
      ++entries;
    return entries;
  };
  EXPECT_EQ(count(), 100U);
  // Lower ones, and one once more: none of them is in a run.
  for (uint64_t seqno = 50; seqno <= 100; ++seqno)
    ASSERT_TRUE(ours_->Put({}, key_of(1, seqno), "second").ok());
  EXPECT_EQ(count(), 100U);
  ASSERT_TRUE(iterator->Refresh().ok());
  EXPECT_EQ(count(), 150U);
  iterator->Seek(key_of(1, 100));
  EXPECT_EQ(iterator->value(), "second");
  ASSERT_TRUE(ours_->Flush({}).ok());
  EXPECT_EQ(count(), 150U);
}

/// Entry i is written i-th: each 16th is below what its vbucket has.
std::string key_in_row(uint64_t i) {
  return key_of(static_cast<uint16_t>(i % 8), i % 16 == 15 ? i / 16 : 100'000 + i);
}

TEST_F(SeqnoMemtableInDatabase, ReadersSeeWhatWasThereWhenTheyBegan) {
  constexpr uint64_t kEntries = 4000;
  std::atomic<uint64_t> announced = 0;
  std::atomic<uint64_t> walks = 0;
  const auto read = [&](bool forward) {
    for (uint64_t from = 0; from < kEntries; forward = !forward) {
      from = announced.load(std::memory_order_acquire);
      const std::unique_ptr<rocksdb::Iterator> iterator(ours_->NewIterator({}));
      std::vector<bool> there(kEntries);
      std::string before;
      forward ? iterator->SeekToFirst() : iterator->SeekToLast();
      for (; iterator->Valid(); forward ? iterator->Next() : iterator->Prev()) {
        const std::string now = iterator->key().ToString();
        EXPECT_TRUE(before.empty() || (forward ? before < now : now < before));
        const uint64_t i = std::stoull(iterator->value().ToString());
        EXPECT_EQ(now, key_in_row(i));
        there[i] = true;
        before = now;
      }
      EXPECT_TRUE(iterator->status().ok());
      const auto missing = std::find(there.begin(), there.end(), false);
      EXPECT_GE(static_cast<uint64_t>(missing - there.begin()), from);
      ++walks;
    }
  };
  std::vector<std::thread> readers;
  for (const bool forward : {true, false, true})
    readers.emplace_back(read, forward);
  for (uint64_t i = 0; i < kEntries; ++i) {
    // Not so fast that nobody reads before the end.
    while (walks.load() < i / 500)
      std::this_thread::yield();
    EXPECT_TRUE(ours_->Put({}, key_in_row(i), std::to_string(i)).ok());
    announced.store(i + 1, std::memory_order_release);
  }
  for (std::thread& reader : readers)
    reader.join();
}

}  // namespace
}  // namespace bobbin::disk
