#include "disk/seqno_memtable.h"

#include <rocksdb/db.h>
#include <rocksdb/memtablerep.h>

#include <atomic>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "disk/bytes.h"
#include "disk/disk_test_support.h"
#include "disk/record.h"

namespace bobbin::disk {
namespace {

using rocksdb::MemTableRep;
using rocksdb::Slice;

constexpr uint8_t kPut = 1;

uint64_t seed() {
  const char* const given = std::getenv("BOBBIN_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

std::string key_of(uint16_t vbucket, uint64_t seqno) {
  std::string key;
  append_seqno_key(key, vbucket, seqno);
  return key;
}

/// A key and its sequence, in the order of a memtable: of one key, the newest first.
struct Version {
  std::string key;
  uint64_t sequence = 0;

  [[nodiscard]] std::string internal() const {
    std::string bytes = key;
    put_number(bytes, sequence << 8U | kPut, 8);
    return bytes;
  }
  friend bool operator==(const Version&, const Version&) = default;
  friend bool operator<(const Version& a, const Version& b) {
    return a.key != b.key ? a.key < b.key : a.sequence > b.sequence;
  }
};

Version version_of(const Slice& internal) {
  std::string_view bytes(internal.data(), internal.size());
  ByteReader tag(bytes.substr(bytes.size() - 8));
  bytes.remove_suffix(8);
  return {std::string(bytes), tag.number(8) >> 8U};
}

/// Hands out the memtable that RocksDB made last.
class Kept final : public rocksdb::MemTableRepFactory {
 public:
  explicit Kept(std::shared_ptr<MemTableRepFactory> makes) : makes_(std::move(makes)) {}
  using MemTableRepFactory::CreateMemTableRep;
  MemTableRep* CreateMemTableRep(const MemTableRep::KeyComparator& compare, rocksdb::Allocator* allocator,
                                 const rocksdb::SliceTransform* prefix, rocksdb::Logger* log) override {
    return last = makes_->CreateMemTableRep(compare, allocator, prefix, log);
  }
  [[nodiscard]] const char* Name() const override { return makes_->Name(); }
  [[nodiscard]] bool CanHandleDuplicatedKey() const override { return makes_->CanHandleDuplicatedKey(); }

  MemTableRep* last = nullptr;

 private:
  const std::shared_ptr<MemTableRepFactory> makes_;
};

rocksdb::Options database_options(std::shared_ptr<rocksdb::MemTableRepFactory> factory) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.allow_concurrent_memtable_write = false;
  options.fail_if_options_file_error = true;
  options.write_buffer_size = 64 << 20;
  options.memtable_factory = std::move(factory);
  return options;
}

/// A memtable of a database that knows nothing of what is inserted into it, and what should be in it.
class BareMemtable {
 public:
  using Model = std::map<Version, std::string>;

  explicit BareMemtable(uint32_t full_run = kFullRun)
      : factory_(std::make_shared<Kept>(seqno_memtables(full_run))) {
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::Open(database_options(factory_), folder_.path() + "/db", &db);
    EXPECT_TRUE(status.ok()) << status.ToString();
    db_.reset(db);
  }

  [[nodiscard]] MemTableRep& rep() { return *factory_->last; }
  [[nodiscard]] const Model& model() const { return model_; }

  static std::string entry_of(const Version& version, std::string_view value) {
    std::string entry;
    const std::string internal = version.internal();
    append_length(entry, internal.size());
    entry += internal;
    append_length(entry, value.size());
    return entry.append(value);
  }
  bool insert_only(const Version& version, std::string_view value) {
    const std::string entry = entry_of(version, value);
    char* memory = nullptr;
    const rocksdb::KeyHandle handle = rep().Allocate(entry.size(), &memory);
    std::copy(entry.begin(), entry.end(), memory);
    return rep().InsertKey(handle);
  }
  /// With the next sequence.
  void insert(const std::string& key) {
    const Version version{key, ++sequence_};
    const std::string value(sequence_ % 300, 'v');
    EXPECT_TRUE(insert_only(version, value));
    model_.emplace(version, value);
  }
  [[nodiscard]] std::unique_ptr<MemTableRep::Iterator> iterator() {
    return std::unique_ptr<MemTableRep::Iterator>(rep().GetIterator());
  }

 private:
  static void append_length(std::string& out, size_t length) {
    for (; length >= 0x80; length >>= 7U)
      out.push_back(static_cast<char>(length | 0x80U));
    out.push_back(static_cast<char>(length));
  }

  TemporaryFolder folder_;
  std::shared_ptr<Kept> factory_;
  std::unique_ptr<rocksdb::DB> db_;
  Model model_;
  uint64_t sequence_ = 0;
};

/// An iterator and its place in the model, which must agree.
class Walk {
 public:
  explicit Walk(BareMemtable& memtable) : model_(memtable.model()), iterator_(memtable.iterator()) {
    EXPECT_FALSE(iterator_->Valid());
  }

  void to_first() {
    iterator_->SeekToFirst();
    at_ = model_.begin();
    check("first");
  }
  void to_last() {
    iterator_->SeekToLast();
    at_ = model_.empty() ? model_.end() : std::prev(model_.end());
    check("last");
  }
  void seek(const Version& target, bool encoded) {
    const std::string internal = target.internal();
    const std::string entry = BareMemtable::entry_of(target, "");
    iterator_->Seek(encoded ? Slice() : Slice(internal), encoded ? entry.data() : nullptr);
    at_ = model_.lower_bound(target);
    check("seek");
  }
  void seek_for_prev(const Version& target, bool encoded) {
    const std::string internal = target.internal();
    const std::string entry = BareMemtable::entry_of(target, "");
    iterator_->SeekForPrev(encoded ? Slice() : Slice(internal), encoded ? entry.data() : nullptr);
    at_ = model_.upper_bound(target);
    at_ = at_ == model_.begin() ? model_.end() : std::prev(at_);
    check("seek for prev");
  }
  void next() {
    iterator_->Next();
    ++at_;
    check("next");
  }
  void prev() {
    iterator_->Prev();
    at_ = at_ == model_.begin() ? model_.end() : std::prev(at_);
    check("prev");
  }
  [[nodiscard]] bool is_valid() const { return at_ != model_.end(); }

 private:
  void check(const char* what) {
    ASSERT_EQ(iterator_->Valid(), is_valid()) << what;
    if (!is_valid()) return;
    const Slice internal = rocksdb::GetLengthPrefixedSlice(iterator_->key());
    const Slice value = rocksdb::GetLengthPrefixedSlice(internal.data() + internal.size());
    ASSERT_EQ(version_of(internal), at_->first) << what;
    ASSERT_EQ(value, Slice(at_->second)) << what;
  }

  const BareMemtable::Model& model_;
  std::unique_ptr<MemTableRep::Iterator> iterator_;
  BareMemtable::Model::const_iterator at_ = model_.end();
};

constexpr std::array<uint16_t, 7> kVBuckets = {0, 1, 254, 255, 256, 4096, 65535};

class SeqnoMemtable : public ::testing::Test {
 protected:
  [[nodiscard]] uint64_t below(uint64_t limit) { return random_() % limit; }
  [[nodiscard]] uint16_t a_vbucket() { return kVBuckets[below(kVBuckets.size())]; }
  /// Sometimes with less or more behind the vbucket, or less than that.
  [[nodiscard]] std::string odd_key() {
    std::string key = key_of(a_vbucket(), below(highest_ + 2));
    key.resize(below(14), static_cast<char>(below(3)));
    return key;
  }
  [[nodiscard]] Version a_target(const BareMemtable::Model& model) {
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
  void expect_whole(BareMemtable& memtable) {
    Walk walk(memtable);
    size_t entries = 0;
    for (walk.to_first(); walk.is_valid() && !HasFatalFailure(); walk.next())
      ++entries;
    EXPECT_EQ(entries, memtable.model().size());
    for (walk.to_last(); walk.is_valid() && !HasFatalFailure(); walk.prev())
      --entries;
    EXPECT_EQ(entries, 0U);
  }
  void step(Walk& walk, const BareMemtable::Model& model) {
    const uint64_t what = walk.is_valid() ? below(12) : below(4);
    if (what == 0) return below(2) == 0 ? walk.to_first() : walk.to_last();
    if (what == 1) return walk.seek(a_target(model), below(2) == 0);
    if (what == 2) return walk.seek_for_prev(a_target(model), below(2) == 0);
    if (what > 3) what % 2 == 0 ? walk.next() : walk.prev();
  }
  void expect_same(BareMemtable& memtable) {
    expect_whole(memtable);
    Walk walk(memtable);
    for (int i = 0; i < 2000 && !HasFatalFailure(); ++i)
      step(walk, memtable.model());
  }

  const uint64_t seed_ = seed();
  const ::testing::ScopedTrace trace_{__FILE__, __LINE__, "BOBBIN_TEST_SEED=" + std::to_string(seed_)};
  std::mt19937_64 random_{seed_};
  uint64_t highest_ = 0;
};

TEST_F(SeqnoMemtable, IsEmptyAtFirst) {
  BareMemtable memtable;
  expect_same(memtable);
  EXPECT_FALSE(memtable.rep().Contains(BareMemtable::entry_of({key_of(1, 1), 1}, "").data()));
  EXPECT_EQ(memtable.rep().ApproximateMemoryUsage(), 0U);
}

TEST_F(SeqnoMemtable, HasInOrderWhatCameInOrder) {
  BareMemtable memtable;
  for (const uint64_t entries : {1, 2, 3, 10, 100, 2000}) {
    insert_in_order(memtable, entries);
    expect_same(memtable);
  }
}

TEST_F(SeqnoMemtable, HasInOrderWhatDidNot) {
  BareMemtable memtable;
  for (const uint64_t entries : {1, 2, 3, 10, 100, 2000}) {
    insert_anything(memtable, entries);
    expect_same(memtable);
  }
}

TEST_F(SeqnoMemtable, HasStraysAlone) {
  BareMemtable memtable;
  for (int i = 0; i < 100; ++i)
    memtable.insert(std::string(1 + below(9), static_cast<char>(below(256))));
  expect_same(memtable);
}

TEST_F(SeqnoMemtable, AnIteratorSeesWhatCameMeanwhileWhenItSeeksAgain) {
  BareMemtable memtable;
  Walk walk(memtable);
  for (int i = 0; i < 3000 && !HasFatalFailure(); ++i) {
    // The first thousand without strays, which are then seen by an iterator that was made before the first.
    i < 1000 ? insert_in_order(memtable, 1) : insert_anything(memtable, 1);
    walk.seek(a_target(memtable.model()), below(2) == 0);
    for (int steps = 0; steps < 5 && !HasFatalFailure(); ++steps)
      step(walk, memtable.model());
  }
}

TEST_F(SeqnoMemtable, ALongRunHasAllOfIt) {
  BareMemtable memtable;
  for (uint64_t seqno = 1; seqno <= 70'000; ++seqno)
    memtable.insert(key_of(7, seqno));
  EXPECT_EQ(memtable.rep().ApproximateMemoryUsage(), 0U);
  expect_whole(memtable);
  Walk walk(memtable);
  for (int i = 0; i < 1000 && !HasFatalFailure(); ++i)
    walk.seek({key_of(7, below(70'002)), below(70'002)}, false);
}

TEST_F(SeqnoMemtable, WhatAFullRunDoesNotTakeIsThere) {
  BareMemtable memtable(10);
  insert_in_order(memtable, 1000);
  expect_same(memtable);
  insert_anything(memtable, 1000);
  expect_same(memtable);
}

TEST_F(SeqnoMemtable, KnowsWhatItHasAndTakesNothingTwice) {
  BareMemtable memtable;
  insert_in_order(memtable, 500);
  insert_anything(memtable, 500);
  for (const auto& [version, value] : memtable.model()) {
    EXPECT_TRUE(memtable.rep().Contains(BareMemtable::entry_of(version, "other").data()));
    EXPECT_FALSE(memtable.rep().Contains(
        BareMemtable::entry_of({version.key, version.sequence + 1'000'000}, value).data()));
    EXPECT_FALSE(memtable.rep().Contains(BareMemtable::entry_of({version.key, 0}, value).data()));
    EXPECT_FALSE(memtable.insert_only(version, "other"));
  }
  expect_same(memtable);
}

TEST_F(SeqnoMemtable, EstimatesHowMuchIsBetweenTwoKeys) {
  BareMemtable memtable;
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

/// All entries from one end to the other, strictly in order; which of them are there.
std::vector<bool> walk_all(MemTableRep::Iterator& iterator, bool forward, uint64_t entries) {
  std::vector<bool> there(entries);
  std::optional<Version> before;
  forward ? iterator.SeekToFirst() : iterator.SeekToLast();
  while (iterator.Valid()) {
    const Version now = version_of(rocksdb::GetLengthPrefixedSlice(iterator.key()));
    EXPECT_TRUE(!before || (forward ? *before < now : now < *before));
    EXPECT_EQ(now, entry_in_row(now.sequence - 1));
    there[now.sequence - 1] = true;
    before = now;
    forward ? iterator.Next() : iterator.Prev();
  }
  return there;
}

// Strays are left out: how RocksDB's own list orders its readers is nothing that ThreadSanitizer sees here.
TEST_F(SeqnoMemtable, ReadersSeeWhatWasThereWhenTheyBegan) {
  constexpr uint64_t kEntries = 6000;
  BareMemtable memtable;
  std::atomic<uint64_t> announced = 0;
  std::atomic<uint64_t> walks = 0;
  const auto read = [&](uint64_t reader) {
    std::mt19937_64 random(seed_ + reader);
    for (uint64_t from = 0; from < kEntries;) {
      from = announced.load(std::memory_order_acquire);
      const auto iterator = memtable.iterator();
      const std::vector<bool> there = walk_all(*iterator, random() % 2 == 0, kEntries);
      const auto missing = std::find(there.begin(), there.end(), false);
      EXPECT_GE(static_cast<uint64_t>(missing - there.begin()), from);
      ++walks;
      for (int i = 0; i < 20 && from > 0; ++i) {
        const Version target = entry_in_row(random() % from);
        const std::string internal = target.internal();
        random() % 2 == 0 ? iterator->Seek(internal, nullptr) : iterator->SeekForPrev(internal, nullptr);
        ASSERT_TRUE(iterator->Valid());
        EXPECT_EQ(version_of(rocksdb::GetLengthPrefixedSlice(iterator->key())), target);
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
  const auto files = files_with(shard.path(), "OPTIONS");
  ASSERT_FALSE(files.empty());
  EXPECT_NE(contents(files.back()).find("memtable_factory=bobbin.SeqnoMemtable"), std::string::npos);
}

}  // namespace
}  // namespace bobbin::disk
