#pragma once

// For tests of our memtables inside a database only.
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/memtablerep.h>

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "disk/disk_test_support.h"
#include "disk/memtable_fixture.h"

namespace bobbin::disk::memtable_test {

class Database {
 public:
  explicit Database(std::shared_ptr<rocksdb::MemTableRepFactory> factory)
      : options_(database_options(std::move(factory))) {
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

inline std::string text_of_place(const rocksdb::Iterator& iterator) {
  EXPECT_TRUE(iterator.status().ok());
  return iterator.Valid() ? iterator.key().ToString(true) + "=" + iterator.value().ToString() : "end";
}

/// An iterator of each of two databases.
class BothIterators {
 public:
  BothIterators(rocksdb::Iterator* ours, rocksdb::Iterator* theirs) : ours_(ours), theirs_(theirs) {}

  [[nodiscard]] bool is_valid() const { return ours_->Valid(); }
  void expect_same() const { ASSERT_EQ(text_of_place(*ours_), text_of_place(*theirs_)); }
  void expect_same_both_ways() {
    for (to_first(); is_valid() && !::testing::Test::HasFatalFailure(); next())
      expect_same();
    expect_same();
    for (to_last(); is_valid() && !::testing::Test::HasFatalFailure(); prev())
      expect_same();
    expect_same();
  }
  void to_first() {
    ours_->SeekToFirst();
    theirs_->SeekToFirst();
  }
  void to_last() {
    ours_->SeekToLast();
    theirs_->SeekToLast();
  }
  void seek(const std::string& key) {
    ours_->Seek(key);
    theirs_->Seek(key);
  }
  void seek_for_prev(const std::string& key) {
    ours_->SeekForPrev(key);
    theirs_->SeekForPrev(key);
  }
  void next() {
    ours_->Next();
    theirs_->Next();
  }
  void prev() {
    ours_->Prev();
    theirs_->Prev();
  }
  void refresh() {
    ASSERT_TRUE(ours_->Refresh().ok());
    ASSERT_TRUE(theirs_->Refresh().ok());
  }

 private:
  std::unique_ptr<rocksdb::Iterator> ours_;
  std::unique_ptr<rocksdb::Iterator> theirs_;
};

/// A database with our memtables and one with RocksDB's own, to which the same is done.
class MemtableInDatabase : public ::testing::Test {
 protected:
  explicit MemtableInDatabase(std::shared_ptr<rocksdb::MemTableRepFactory> factory)
      : ours_(std::move(factory)) {}

  /// One that may be there.
  [[nodiscard]] virtual std::string a_key() = 0;

  [[nodiscard]] uint64_t below(uint64_t limit) { return random_() % limit; }
  void both(rocksdb::WriteBatch& batch) {
    ASSERT_TRUE(ours_->Write({}, &batch).ok());
    ASSERT_TRUE(theirs_->Write({}, &batch).ok());
  }
  [[nodiscard]] BothIterators iterators(size_t snapshot = 0) {
    return {ours_->NewIterator(ours_.at(snapshot)), theirs_->NewIterator(theirs_.at(snapshot))};
  }
  void flush() {
    ASSERT_TRUE(ours_->Flush({}).ok());
    ASSERT_TRUE(theirs_->Flush({}).ok());
  }
  void compact() {
    ASSERT_TRUE(ours_->CompactRange({}, nullptr, nullptr).ok());
    ASSERT_TRUE(theirs_->CompactRange({}, nullptr, nullptr).ok());
  }
  void reopen() {
    ours_.reopen();
    theirs_.reopen();
  }
  void happen() {
    switch (below(30)) {
      case 0:
        return flush();
      case 1:
        return reopen();
      case 2:
        ours_.take_snapshot();
        theirs_.take_snapshot();
        return;
      case 3:
        if (below(4) == 0) compact();
        return;
      default:
        return;
    }
  }
  void expect_same_gets(size_t snapshot) {
    const rocksdb::ReadOptions here = ours_.at(snapshot);
    const rocksdb::ReadOptions there = theirs_.at(snapshot);
    constexpr size_t kKeys = 30;
    std::vector<std::string> keys(kKeys);
    std::vector<Slice> slices;
    for (std::string& key : keys)
      slices.emplace_back(key = a_key());
    std::array<rocksdb::PinnableSlice, kKeys> ours;
    std::array<rocksdb::PinnableSlice, kKeys> theirs;
    std::array<rocksdb::Status, kKeys> our_statuses;
    std::array<rocksdb::Status, kKeys> their_statuses;
    ours_->MultiGet(here, ours_->DefaultColumnFamily(), kKeys, slices.data(), ours.data(),
                    our_statuses.data());
    theirs_->MultiGet(there, theirs_->DefaultColumnFamily(), kKeys, slices.data(), theirs.data(),
                      their_statuses.data());
    for (size_t i = 0; i < kKeys; ++i) {
      ASSERT_EQ(our_statuses[i].ToString(), their_statuses[i].ToString()) << slices[i].ToString(true);
      ASSERT_EQ(ours[i].ToString(), theirs[i].ToString()) << slices[i].ToString(true);
      std::string our_value;
      std::string their_value;
      ASSERT_EQ(ours_->Get(here, keys[i], &our_value).ToString(), our_statuses[i].ToString());
      ASSERT_EQ(theirs_->Get(there, keys[i], &their_value).ToString(), their_statuses[i].ToString());
      ASSERT_EQ(our_value, their_value) << slices[i].ToString(true);
    }
  }
  /// From somewhere to and fro.
  void wander(BothIterators& both) {
    const std::string key = a_key();
    below(2) == 0 ? both.seek(key) : both.seek_for_prev(key);
    for (uint64_t steps = below(12); steps > 0 && both.is_valid() && !HasFatalFailure(); --steps) {
      both.expect_same();
      below(2) == 0 ? both.next() : both.prev();
    }
    both.expect_same();
  }
  void expect_same(size_t snapshot) {
    expect_same_gets(snapshot);
    BothIterators both = iterators(snapshot);
    both.expect_same_both_ways();
    for (int i = 0; i < 30 && !HasFatalFailure(); ++i)
      wander(both);
  }

  const uint64_t seed_ = seed();
  const ::testing::ScopedTrace trace_{__FILE__, __LINE__, "BOBBIN_TEST_SEED=" + std::to_string(seed_)};
  std::mt19937_64 random_{seed_};
  Database ours_;
  Database theirs_{std::make_shared<rocksdb::SkipListFactory>()};
};

}  // namespace bobbin::disk::memtable_test
