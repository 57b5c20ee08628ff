#include "disk/document_memtable.h"

#include <rocksdb/memtablerep.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "disk/disk_test_support.h"
#include "disk/document_keys_fixture.h"
#include "disk/memtable_fixture.h"

namespace bobbin::disk {
namespace {

using memtable_test::BareMemtable;
using memtable_test::KeyKind;
using memtable_test::KeyShape;
using memtable_test::Version;
using memtable_test::version_at;
using memtable_test::Walk;
using rocksdb::MemTableRep;

// The least, and so many that hardly two keys share a slot.
constexpr uint32_t kFewSlots = 256;
constexpr uint32_t kManySlots = 1U << 16U;
constexpr uint64_t kLastSequence = (uint64_t{1} << 56U) - 1;

const std::vector<KeyShape> kShapes = {
    {"OneKey", {7}, {KeyKind::numbered}, 1},
    {"FewKeys", {7}, {KeyKind::numbered}, 12},
    {"ManyKeys", {7}, {KeyKind::numbered}, 1'000'000},
    {"FewKeysOfSeveralVBuckets", memtable_test::kBorders, {KeyKind::numbered}, 3},
    {"ManyKeysOfSeveralVBuckets", memtable_test::kBorders, {KeyKind::numbered}, 1'000'000},
    {"KeysOfAllVBuckets", {}, {KeyKind::numbered, KeyKind::odd}, 2},
    {"KeysWithALongPrefix", {7, 8}, {KeyKind::prefixed}, 3000},
    {"KeysThatDifferBehindEightBytes", {255, 256}, {KeyKind::behind_eight}, 1},
    {"OddKeys", {0, 7, 65535}, {KeyKind::odd, KeyKind::odd_of_memory}, 1},
    {"BriefKeys", memtable_test::kBorders, {KeyKind::brief}, 1},
    {"BriefKeysOfAllVBuckets", {}, {KeyKind::brief}, 1},
    {"AnyKeys", memtable_test::kBorders, memtable_test::kAllKinds, 500},
};

class DocumentMemtable : public memtable_test::MemtableTest {
 protected:
  /// Which keys there are, those that a test chooses from.
  KeyShape shape_ = kShapes.back();
  uint32_t slots_ = kManySlots;

  [[nodiscard]] BareMemtable a_memtable() const { return BareMemtable(document_memtables(slots_)); }
  [[nodiscard]] std::string a_key() { return some_key(shape_, random_); }
  [[nodiscard]] uint8_t a_type() { return below(4) == 0 ? memtable_test::kDeletion : memtable_test::kPut; }
  [[nodiscard]] Version near_one(const BareMemtable::Model& model) {
    const auto near = model.lower_bound({a_key(), below(3) * model.size(), memtable_test::kPut});
    return near == model.end() ? model.rbegin()->first : near->first;
  }
  /// A key, or what would lie just before or behind it.
  [[nodiscard]] std::string beside(std::string key) {
    switch (below(4)) {
      case 0:
        return key + '\0';
      case 1:
        if (!key.empty()) key.pop_back();
        return key;
      case 2:
        if (!key.empty()) key.back() = static_cast<char>(static_cast<uint8_t>(key.back()) + 1);
        return key;
      default:
        return key;
    }
  }
  [[nodiscard]] Version a_target(const BareMemtable::Model& model) override {
    constexpr std::array<uint8_t, 3> kTypes = {memtable_test::kDeletion, memtable_test::kPut,
                                               memtable_test::kSought};
    const uint8_t type = kTypes[below(kTypes.size())];
    if (model.empty() || below(4) == 0) return {a_key(), below(model.size() + 10), type};
    Version near = near_one(model);
    switch (below(4)) {
      case 0:
        return {beside(near.key), below(model.size() + 10), type};
      case 1:
        return {near.key, below(2) == 0 ? 0 : kLastSequence, type};
      case 2:
        return near;
      default:
        return {near.key, near.sequence + below(3) - 1, type};
    }
  }
  void insert_next(BareMemtable& memtable) {
    const bool is_new = memtable.model().empty() || below(2) == 0;
    memtable.insert(is_new ? a_key() : near_one(memtable.model()).key, a_type());
  }
  /// With a sequence of the past, or of the future: whichever the key does not have.
  void insert_out_of_order(BareMemtable& memtable) {
    Version version = {a_key(), 0, a_type()};
    if (!memtable.model().empty() && below(2) == 0) version.key = near_one(memtable.model()).key;
    const auto is_there = [&] {
      const auto found =
          memtable.model().lower_bound({version.key, version.sequence, memtable_test::kSought});
      return found != memtable.model().end() && found->first.key == version.key &&
             found->first.sequence == version.sequence;
    };
    do
      version.sequence = 1 + below(2 * memtable.model().size() + 10);
    while (is_there());
    memtable.insert(version);
  }
  void insert(BareMemtable& memtable, uint64_t entries, bool in_order) {
    for (uint64_t i = 0; i < entries; ++i)
      in_order ? insert_next(memtable) : insert_out_of_order(memtable);
  }
};

class DocumentMemtableOf : public DocumentMemtable,
                           public ::testing::WithParamInterface<std::tuple<KeyShape, uint32_t>> {
 protected:
  void SetUp() override { std::tie(shape_, slots_) = GetParam(); }
};

TEST_P(DocumentMemtableOf, IsAsTheModel) {
  BareMemtable memtable = a_memtable();
  for (const uint64_t entries : {1, 1, 1, 2, 10, 100, 1500}) {
    insert(memtable, entries, true);
    expect_same(memtable, 1000);
  }
}

TEST_P(DocumentMemtableOf, IsAsTheModelWhateverTheOrder) {
  BareMemtable memtable = a_memtable();
  for (const uint64_t entries : {1, 1, 1, 2, 10, 100, 1500}) {
    insert(memtable, entries, false);
    expect_same(memtable, 1000);
  }
}

TEST_P(DocumentMemtableOf, KnowsWhatItHasAndTakesNothingTwice) {
  BareMemtable memtable = a_memtable();
  insert(memtable, 800, below(2) == 0);
  const auto& model = memtable.model();
  for (const auto& [version, _] : model) {
    EXPECT_TRUE(memtable.contains(version));
    EXPECT_FALSE(memtable.insert_only(version, "other"));
    Version beyond = version;
    beyond.sequence = kLastSequence;
    EXPECT_FALSE(memtable.contains(beyond));
    beyond.sequence = 0;
    EXPECT_FALSE(memtable.contains(beyond));
  }
  for (int i = 0; i < 1000; ++i) {
    const Version target = a_target(model);
    EXPECT_EQ(memtable.contains(target), model.contains(target)) << target.key << " " << target.sequence;
  }
  expect_same(memtable);
}

TEST_P(DocumentMemtableOf, AnIteratorSeesWhatCameMeanwhileWhenItSeeksAgain) {
  BareMemtable memtable = a_memtable();
  Walk walk(memtable);
  for (int i = 0; i < 600 && !HasFatalFailure(); ++i) {
    insert(memtable, 1, i < 300);
    below(2) == 0 ? walk.seek(a_target(memtable.model()), below(2) == 0)
                  : walk.seek_for_prev(a_target(memtable.model()), below(2) == 0);
    steps(walk, memtable.model(), 5);
  }
}

/// What was there when an iterator sought, at least, is where it was: what came since may be there too.
class LastingWalk {
 public:
  explicit LastingWalk(BareMemtable& memtable) : memtable_(memtable), iterator_(memtable.iterator()) {}

  void seek(const Version& target) {
    old_ = memtable_.model();
    iterator_->Seek(target.internal(), nullptr);
    at_ = old_.lower_bound(target);
    check();
  }
  void next() {
    std::optional<Version> before;
    do {
      before = version_at(*iterator_);
      iterator_->Next();
      ASSERT_TRUE(!iterator_->Valid() || *before < version_at(*iterator_));
    } while (is_at_a_new_one());
    ++at_;
    check();
  }
  void prev() {
    std::optional<Version> before;
    do {
      before = version_at(*iterator_);
      iterator_->Prev();
      ASSERT_TRUE(!iterator_->Valid() || version_at(*iterator_) < *before);
    } while (is_at_a_new_one());
    at_ = at_ == old_.begin() ? old_.end() : std::prev(at_);
    check();
  }
  void check() const {
    ASSERT_EQ(iterator_->Valid(), is_valid());
    if (!is_valid()) return;
    ASSERT_EQ(version_at(*iterator_), at_->first);
  }
  [[nodiscard]] bool is_valid() const { return at_ != old_.end(); }
  [[nodiscard]] const std::string& key() const { return at_->first.key; }

 private:
  [[nodiscard]] bool is_at_a_new_one() const {
    if (!iterator_->Valid() || old_.contains(version_at(*iterator_))) return false;
    EXPECT_TRUE(memtable_.model().contains(version_at(*iterator_)));
    return true;
  }

  BareMemtable& memtable_;
  std::unique_ptr<MemTableRep::Iterator> iterator_;
  BareMemtable::Model old_;
  BareMemtable::Model::const_iterator at_ = old_.end();
};

TEST_P(DocumentMemtableOf, AnIteratorStaysWhereItWasWhileOthersCome) {
  BareMemtable memtable = a_memtable();
  insert(memtable, 50, true);
  LastingWalk walk(memtable);
  for (int i = 0; i < 40 && !HasFatalFailure(); ++i) {
    walk.seek(a_target(memtable.model()));
    for (int steps = 0; steps < 30 && walk.is_valid() && !HasFatalFailure(); ++steps) {
      // Beside where it is, or anywhere.
      if (below(2) == 0) memtable.insert(beside(walk.key()), a_type());
      if (below(4) == 0) insert(memtable, 1, true);
      walk.check();
      if (below(8) != 0) below(3) == 0 ? walk.prev() : walk.next();
    }
  }
  expect_same(memtable);
}

INSTANTIATE_TEST_SUITE_P(All, DocumentMemtableOf,
                         ::testing::Combine(::testing::ValuesIn(kShapes),
                                            ::testing::Values(kFewSlots, kManySlots)),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "In" +
                                  std::to_string(std::get<1>(test.param));
                         });

TEST_F(DocumentMemtable, IsEmptyAtFirst) {
  BareMemtable memtable = a_memtable();
  expect_same(memtable);
  EXPECT_FALSE(memtable.contains({"", 1}));
  EXPECT_FALSE(memtable.contains({"key", 1}));
  EXPECT_EQ(memtable.rep().ApproximateMemoryUsage(), 0U);
}

TEST_F(DocumentMemtable, HasMoreThanItWasMadeFor) {
  slots_ = kFewSlots;
  shape_.numbers = 10'000;
  BareMemtable memtable = a_memtable();
  insert(memtable, 12'000, true);
  expect_same(memtable);
  for (int i = 0; i < 3000; ++i) {
    const Version target = a_target(memtable.model());
    EXPECT_EQ(memtable.contains(target), memtable.model().contains(target));
  }
  EXPECT_EQ(memtable.rep().ApproximateMemoryUsage(), 0U);
}

TEST_F(DocumentMemtable, MayBeMadeForAnyNumberOfKeys) {
  for (const uint32_t slots : {0, 1, 255, 257, 1000}) {
    slots_ = slots;
    BareMemtable memtable = a_memtable();
    insert(memtable, 2000, true);
    expect_same(memtable);
  }
}

// Among so many, some have the same 32 bits: were one taken for the other, it would be a duplicate.
TEST_F(DocumentMemtable, TellsKeysOfTheSameHashApart) {
  BareMemtable memtable = a_memtable();
  uint64_t taken = 0;
  for (uint64_t i = 0; i < 400'000; ++i)
    taken += memtable.insert_only({std::to_string(i), 1}, "") ? 1 : 0;
  EXPECT_EQ(taken, 400'000U);
}

// RocksDB asks for one where it has prefixes; Get alone has one that knows a single key.
TEST_F(DocumentMemtable, AnIteratorForAPrefixWalksThroughAll) {
  BareMemtable memtable = a_memtable();
  insert(memtable, 500, true);
  Walk walk(memtable,
            std::unique_ptr<MemTableRep::Iterator>(memtable.rep().GetDynamicPrefixIterator(nullptr)));
  steps(walk, memtable.model(), 1000);
}

/// Entry i is inserted i-th: of some keys and some vbuckets at first, then of more, and of each several.
Version entry_in_row(uint64_t i) {
  constexpr uint64_t kMostKeys = 700;
  const uint64_t key = i * 31 % std::min(1 + i / 4, kMostKeys);
  std::string name =
      memtable_test::vbucket_bytes(memtable_test::kBorders[key % memtable_test::kBorders.size()]);
  name += "document-" + std::to_string(key);
  return {name, i + 1, i % 5 == 4 ? memtable_test::kDeletion : memtable_test::kPut};
}

TEST_F(DocumentMemtable, ReadersSeeWhatWasThereWhenTheyBegan) {
  constexpr uint64_t kEntries = 5000;
  slots_ = kFewSlots;
  BareMemtable memtable = a_memtable();
  std::atomic<uint64_t> announced = 0;
  std::atomic<uint64_t> walks = 0;
  const auto read = [&](uint64_t reader) {
    std::mt19937_64 random(seed_ + reader);
    // Kept, and so with keys of before when it seeks again.
    const auto iterator = memtable.iterator();
    for (uint64_t from = 0; from < kEntries;) {
      from = announced.load(std::memory_order_acquire);
      const std::vector<bool> there =
          memtable_test::walk_all(*iterator, random() % 2 == 0, kEntries, entry_in_row);
      const auto missing = std::find(there.begin(), there.end(), false);
      EXPECT_GE(static_cast<uint64_t>(missing - there.begin()), from);
      for (int i = 0; i < 20 && from > 0; ++i) {
        const Version target = entry_in_row(random() % from);
        const std::string internal = target.internal();
        random() % 2 == 0 ? iterator->Seek(internal, nullptr) : iterator->SeekForPrev(internal, nullptr);
        EXPECT_TRUE(iterator->Valid() && version_at(*iterator) == target);
        EXPECT_TRUE(memtable.contains(target));
        EXPECT_FALSE(memtable.contains({target.key, kLastSequence}));
        EXPECT_FALSE(memtable.contains({target.key + "no", target.sequence}));
      }
      ++walks;
    }
  };
  std::vector<std::thread> readers;
  for (uint64_t reader = 1; reader <= 3; ++reader)
    readers.emplace_back(read, reader);
  for (uint64_t i = 0; i < kEntries; ++i) {
    // Not so fast that nobody reads before the end.
    while (walks.load() < i / 250)
      std::this_thread::yield();
    const Version version = entry_in_row(i);
    EXPECT_TRUE(memtable.insert_only(version, "value"));
    announced.store(i + 1, std::memory_order_release);
  }
  for (std::thread& reader : readers)
    reader.join();
}

TEST_F(DocumentMemtable, IsWhatAShardUsesForItsDocuments) {
  ShardFixture shard;
  shard.open();
  EXPECT_EQ(memtable_test::memtable_of_family(shard.path(), "docs"), "bobbin.DocumentMemtable");
}

}  // namespace
}  // namespace bobbin::disk
