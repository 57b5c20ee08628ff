// Memtables for `docs` inside a database, beside one with RocksDB's own memtables to which the same is done.
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "disk/document_keys_fixture.h"
#include "disk/document_memtable.h"
#include "disk/memtable_db_fixture.h"

namespace bobbin::disk {
namespace {

using memtable_test::BothIterators;
using memtable_test::KeyShape;

class DocumentMemtableInDatabase : public memtable_test::MemtableInDatabase {
 protected:
  DocumentMemtableInDatabase() : MemtableInDatabase(document_memtables(256)) {}

  [[nodiscard]] std::string a_key() override { return some_key(shape_, random_); }
  void write_something() {
    rocksdb::WriteBatch batch;
    for (uint64_t i = below(30); i > 0; --i) {
      if (below(5) == 0)
        batch.Delete(a_key());
      else
        batch.Put(a_key(), "value" + std::to_string(++value_));
    }
    std::pair<std::string, std::string> range(a_key(), a_key());
    switch (below(16)) {
      case 0:  // a vbucket, and one key of it anew
        range.first.resize(2);
        range.second = range.first + std::string(80, '\xff');
        batch.DeleteRange(range.first, range.second);
        batch.Put(range.first + "anew", "value" + std::to_string(++value_));
        break;
      case 1:
        if (range.second < range.first) std::swap(range.first, range.second);
        batch.DeleteRange(range.first, range.second);
        break;
      case 2:  // one after the other, in one commit
        for (int i = 0; i < 5; ++i)
          batch.Put(range.first, "value" + std::to_string(++value_));
        batch.Delete(range.second);
        batch.Put(range.second, "value" + std::to_string(++value_));
        break;
      default:
        break;
    }
    both(batch);
  }

  KeyShape shape_ = {"any", memtable_test::kBorders, memtable_test::kAllKinds, 50};
  uint64_t value_ = 0;
};

TEST_F(DocumentMemtableInDatabase, AnswersAsRocksDBsOwn) {
  for (int i = 0; i < 300 && !HasFatalFailure(); ++i) {
    write_something();
    happen();
    if (i % 5 == 0) expect_same(below(ours_.snapshots() + 1));
  }
}

TEST_F(DocumentMemtableInDatabase, AnswersOfFewKeysWithManyVersions) {
  shape_ = {"few", {7, 8}, {memtable_test::KeyKind::numbered}, 4};
  for (int i = 0; i < 300 && !HasFatalFailure(); ++i) {
    write_something();
    happen();
    if (i % 5 == 0) expect_same(below(ours_.snapshots() + 1));
  }
}

TEST_F(DocumentMemtableInDatabase, IteratorsStayInTheirMomentUntilTheyAreRefreshed) {
  for (int i = 0; i < 20 && !HasFatalFailure(); ++i) {
    BothIterators both = iterators();
    for (int commits = 0; commits < 20 && !HasFatalFailure(); ++commits) {
      write_something();
      for (int seeks = 0; seeks < 3 && !HasFatalFailure(); ++seeks)
        wander(both);
      if (below(5) == 0) both.expect_same_both_ways();
      if (below(5) == 0) both.refresh();
      if (below(20) == 0) flush();
    }
  }
}

/// In the midst of a walk: what comes does not change what it meets.
TEST_F(DocumentMemtableInDatabase, AWalkGoesOnWhileOthersWrite) {
  for (int i = 0; i < 300 && !HasFatalFailure(); ++i) {
    write_something();
    BothIterators both = iterators();
    const std::string key = a_key();
    below(2) == 0 ? both.seek(key) : both.seek_for_prev(key);
    for (int steps = 0; steps < 10 && both.is_valid() && !HasFatalFailure(); ++steps) {
      both.expect_same();
      write_something();
      below(2) == 0 ? both.next() : both.prev();
    }
    both.expect_same();
  }
}

/// Entry i is written i-th; a round of them writes each key once.
constexpr uint64_t kKeys = 500;

std::string key_in_row(uint64_t i) {
  const uint64_t key = i * 7 % kKeys;
  const uint16_t vbucket = memtable_test::kBorders[key % memtable_test::kBorders.size()];
  return memtable_test::vbucket_bytes(vbucket) + "document-" + std::to_string(key);
}

/// The last of the first `written` that has the key of entry i, which is among them.
uint64_t last_with_key_of(uint64_t i, uint64_t written) {
  return i % kKeys + (written - 1 - i % kKeys) / kKeys * kKeys;
}

TEST_F(DocumentMemtableInDatabase, ReadersSeeWhatWasThereWhenTheyBegan) {
  constexpr uint64_t kEntries = 4000;
  std::atomic<uint64_t> announced = 0;
  std::atomic<uint64_t> walks = 0;
  // A value says which entry it is of. No older than what was there, and of the key that was asked for.
  const auto expect_entry = [&](const rocksdb::Slice& key, const std::string& value, uint64_t from) {
    const uint64_t i = std::stoull(value);
    EXPECT_EQ(key.ToString(), key_in_row(i));
    if (i % kKeys < from) {
      EXPECT_GE(i, last_with_key_of(i, from));
    }
    return i;
  };
  const auto walk = [&](bool forward, uint64_t from) {
    const std::unique_ptr<rocksdb::Iterator> iterator(ours_->NewIterator({}));
    std::vector<bool> there(kKeys);
    std::optional<std::string> before;
    forward ? iterator->SeekToFirst() : iterator->SeekToLast();
    for (; iterator->Valid(); forward ? iterator->Next() : iterator->Prev()) {
      const std::string now = iterator->key().ToString();
      EXPECT_TRUE(!before || (forward ? *before < now : now < *before));
      there[expect_entry(now, iterator->value().ToString(), from) % kKeys] = true;
      before = now;
    }
    EXPECT_TRUE(iterator->status().ok());
    const auto missing = std::find(there.begin(), there.end(), false);
    EXPECT_GE(static_cast<uint64_t>(missing - there.begin()), std::min(from, kKeys));
  };
  const auto read = [&](uint64_t reader) {
    std::mt19937_64 random(seed_ + reader);
    for (uint64_t from = 0; from < kEntries;) {
      from = announced.load(std::memory_order_acquire);
      walk(random() % 2 == 0, from);
      for (int i = 0; i < 50 && from > 0; ++i) {
        const std::string key = key_in_row(random() % from);
        std::string value;
        const bool is_there = ours_->Get({}, key, &value).ok();
        EXPECT_TRUE(is_there);
        if (is_there) expect_entry(key, value, from);
        EXPECT_TRUE(ours_->Get({}, key + "no", &value).IsNotFound());
      }
      ++walks;
    }
  };
  std::vector<std::thread> readers;
  for (uint64_t reader = 1; reader <= 3; ++reader)
    readers.emplace_back(read, reader);
  for (uint64_t i = 0; i < kEntries; ++i) {
    // Not so fast that nobody reads before the end.
    while (walks.load() < i / 200)
      std::this_thread::yield();
    EXPECT_TRUE(ours_->Put({}, key_in_row(i), std::to_string(i)).ok());
    announced.store(i + 1, std::memory_order_release);
  }
  for (std::thread& reader : readers)
    reader.join();
}

}  // namespace
}  // namespace bobbin::disk
