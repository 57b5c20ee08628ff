// Memtables for `seqnos` inside a database, beside one with RocksDB's own memtables to which the same is
// done.
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/memtablerep.h>

#include <array>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "disk/disk_test_support.h"
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

class Database {
 public:
  explicit Database(std::shared_ptr<rocksdb::MemTableRepFactory> factory) {
    options_.create_if_missing = true;
    options_.allow_concurrent_memtable_write = false;
    options_.fail_if_options_file_error = true;
    options_.memtable_factory = std::move(factory);
    open();
  }
  ~Database() { release_snapshots(); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  rocksdb::DB* operator->() { return db_.get(); }
  /// What was not flushed comes from the log again.
  void reopen() {
    release_snapshots();
    db_.reset();
    open();
  }
  void take_snapshot() { snapshots_.push_back(db_->GetSnapshot()); }
  /// 0: now.
  [[nodiscard]] rocksdb::ReadOptions at(size_t snapshot) const {
    rocksdb::ReadOptions options;
    if (snapshot > 0) options.snapshot = snapshots_.at(snapshot - 1);
    return options;
  }
  [[nodiscard]] size_t snapshots() const { return snapshots_.size(); }

 private:
  void open() {
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::Open(options_, folder_.path() + "/db", &db);
    ASSERT_TRUE(status.ok()) << status.ToString();
    db_.reset(db);
  }
  void release_snapshots() {
    for (const rocksdb::Snapshot* snapshot : snapshots_)
      db_->ReleaseSnapshot(snapshot);
    snapshots_.clear();
  }

  TemporaryFolder folder_;
  rocksdb::Options options_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<const rocksdb::Snapshot*> snapshots_;
};

std::string text_of_place(const rocksdb::Iterator& iterator) {
  EXPECT_TRUE(iterator.status().ok());
  return iterator.Valid() ? iterator.key().ToString(true) + "=" + iterator.value().ToString() : "end";
}

class SeqnoMemtableInDatabase : public ::testing::Test {
 protected:
  [[nodiscard]] uint64_t below(uint64_t limit) { return random_() % limit; }
  [[nodiscard]] uint16_t a_vbucket() { return kVBuckets[below(kVBuckets.size())]; }
  [[nodiscard]] std::string a_key() { return key_of(a_vbucket(), below(highest_ + 2)); }

  void both(rocksdb::WriteBatch& batch) {
    ASSERT_TRUE(ours_->Write({}, &batch).ok());
    ASSERT_TRUE(theirs_->Write({}, &batch).ok());
  }
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
  void happen() {
    switch (below(30)) {
      case 0:
        ASSERT_TRUE(ours_->Flush({}).ok());
        ASSERT_TRUE(theirs_->Flush({}).ok());
        break;
      case 1:
        ours_.reopen();
        theirs_.reopen();
        break;
      case 2:
        ours_.take_snapshot();
        theirs_.take_snapshot();
        break;
      default:
        break;
    }
  }
  void expect_same(size_t snapshot) {
    const rocksdb::ReadOptions here = ours_.at(snapshot);
    const rocksdb::ReadOptions there = theirs_.at(snapshot);
    const std::unique_ptr<rocksdb::Iterator> a(ours_->NewIterator(here));
    const std::unique_ptr<rocksdb::Iterator> b(theirs_->NewIterator(there));
    const auto is_same = [&] { return text_of_place(*a) == text_of_place(*b); };
    for (a->SeekToFirst(), b->SeekToFirst(); a->Valid(); a->Next(), b->Next())
      ASSERT_EQ(text_of_place(*a), text_of_place(*b));
    ASSERT_TRUE(is_same());
    for (a->SeekToLast(), b->SeekToLast(); a->Valid(); a->Prev(), b->Prev())
      ASSERT_EQ(text_of_place(*a), text_of_place(*b));
    ASSERT_TRUE(is_same());
    for (int i = 0; i < 30; ++i) {
      const std::string key = a_key();
      std::string ours;
      std::string theirs;
      ASSERT_EQ(ours_->Get(here, key, &ours).ToString(), theirs_->Get(there, key, &theirs).ToString());
      ASSERT_EQ(ours, theirs);
      const bool forward = below(2) == 0;
      forward ? a->Seek(key) : a->SeekForPrev(key);
      forward ? b->Seek(key) : b->SeekForPrev(key);
      for (int steps = 0; steps < 4 && a->Valid(); ++steps) {
        ASSERT_EQ(text_of_place(*a), text_of_place(*b));
        const bool next = below(2) == 0;
        next ? a->Next() : a->Prev();
        next ? b->Next() : b->Prev();
      }
      ASSERT_EQ(text_of_place(*a), text_of_place(*b));
    }
  }

  static constexpr std::array<uint16_t, 5> kVBuckets = {0, 1, 255, 256, 65535};
  const uint64_t seed_ = std::getenv("BOBBIN_TEST_SEED") != nullptr
                             ? std::strtoull(std::getenv("BOBBIN_TEST_SEED"), nullptr, 10)
                             : std::random_device()();
  const ::testing::ScopedTrace trace_{__FILE__, __LINE__, "BOBBIN_TEST_SEED=" + std::to_string(seed_)};
  std::mt19937_64 random_{seed_};
  uint64_t highest_ = 0;
  uint64_t value_ = 0;
  Database ours_{seqno_memtables()};
  Database theirs_{std::make_shared<rocksdb::SkipListFactory>()};
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
