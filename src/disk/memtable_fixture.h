#pragma once

// For tests of our memtables only.
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/memtablerep.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "disk/bytes.h"
#include "disk/disk_test_support.h"

namespace bobbin::disk::memtable_test {

using rocksdb::MemTableRep;
using rocksdb::Slice;

// RocksDB's numbers of what an entry may be; the highest is what it seeks with.
inline constexpr uint8_t kDeletion = 0;
inline constexpr uint8_t kPut = 1;
inline constexpr uint8_t kSought = 0x16;

inline uint64_t seed() {
  const char* const given = std::getenv("BOBBIN_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

/// A key, its sequence and its type, in the order of a memtable: of one key, the newest first.
struct Version {
  std::string key;
  uint64_t sequence = 0;
  uint8_t type = kPut;

  [[nodiscard]] uint64_t tag() const { return sequence << 8U | type; }
  [[nodiscard]] std::string internal() const {
    std::string bytes = key;
    put_number(bytes, tag(), 8);
    return bytes;
  }
  friend bool operator==(const Version&, const Version&) = default;
  friend bool operator<(const Version& a, const Version& b) {
    return a.key != b.key ? a.key < b.key : a.tag() > b.tag();
  }
};

inline Version version_of(const Slice& internal) {
  std::string_view bytes(internal.data(), internal.size());
  const uint64_t tag = ByteReader(bytes.substr(bytes.size() - 8)).number(8);
  bytes.remove_suffix(8);
  return {std::string(bytes), tag >> 8U, static_cast<uint8_t>(tag)};
}

inline Version version_at(const MemTableRep::Iterator& iterator) {
  return version_of(rocksdb::GetLengthPrefixedSlice(iterator.key()));
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

inline rocksdb::Options database_options(std::shared_ptr<rocksdb::MemTableRepFactory> factory) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.allow_concurrent_memtable_write = false;
  options.fail_if_options_file_error = true;
  options.write_buffer_size = 64 << 20;
  options.memtable_factory = std::move(factory);
  return options;
}

/// The memtable that a shard has for a column family, as its options say.
inline std::string memtable_of_family(const std::string& shard, const std::string& family) {
  const auto files = files_with(shard, "OPTIONS");
  if (files.empty()) return "no options";
  const std::string text = contents(files.back());
  constexpr std::string_view kName = "memtable_factory=";
  const size_t section = text.find("[CFOptions \"" + family + "\"]");
  const size_t at = section == std::string::npos ? section : text.find(kName, section);
  if (at == std::string::npos) return "not named";
  return text.substr(at + kName.size(), text.find('\n', at) - at - kName.size());
}

/// A memtable of a database that knows nothing of what is inserted into it, and what should be in it.
class BareMemtable {
 public:
  using Model = std::map<Version, std::string>;

  explicit BareMemtable(std::shared_ptr<rocksdb::MemTableRepFactory> factory)
      : factory_(std::make_shared<Kept>(std::move(factory))) {
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::Open(database_options(factory_), folder_.path() + "/db", &db);
    EXPECT_TRUE(status.ok()) << status.ToString();
    db_.reset(db);
  }

  [[nodiscard]] MemTableRep& rep() { return *factory_->last; }
  [[nodiscard]] const Model& model() const { return model_; }
  /// Of what was inserted last.
  [[nodiscard]] uint64_t sequence() const { return sequence_; }

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
  void insert(const Version& version) {
    const std::string value(model_.size() % 300, 'v');
    EXPECT_TRUE(insert_only(version, value));
    EXPECT_TRUE(model_.emplace(version, value).second);
  }
  /// With the next sequence.
  void insert(const std::string& key, uint8_t type = kPut) { insert(Version{key, ++sequence_, type}); }
  [[nodiscard]] bool contains(const Version& version) {
    return rep().Contains(entry_of(version, "other").data());
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
  explicit Walk(BareMemtable& memtable) : Walk(memtable, memtable.iterator()) {}
  Walk(BareMemtable& memtable, std::unique_ptr<MemTableRep::Iterator> iterator)
      : model_(memtable.model()), iterator_(std::move(iterator)) {
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

/// All entries from one end to the other, strictly in order; which of them are there. Entry i has sequence i
/// + 1.
inline std::vector<bool> walk_all(MemTableRep::Iterator& iterator, bool forward, uint64_t entries,
                                  Version (*entry)(uint64_t i)) {
  std::vector<bool> there(entries);
  std::optional<Version> before;
  forward ? iterator.SeekToFirst() : iterator.SeekToLast();
  while (iterator.Valid()) {
    const Version now = version_at(iterator);
    EXPECT_TRUE(!before || (forward ? *before < now : now < *before));
    EXPECT_EQ(now, entry(now.sequence - 1));
    there[now.sequence - 1] = true;
    before = now;
    forward ? iterator.Next() : iterator.Prev();
  }
  return there;
}

/// What tests of both memtables do.
class MemtableTest : public ::testing::Test {
 protected:
  /// Somewhere to seek to: what the model has, or what it has not.
  [[nodiscard]] virtual Version a_target(const BareMemtable::Model& model) = 0;

  [[nodiscard]] uint64_t below(uint64_t limit) { return random_() % limit; }
  static void expect_whole(BareMemtable& memtable) {
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
  void steps(Walk& walk, const BareMemtable::Model& model, int count) {
    for (int i = 0; i < count && !HasFatalFailure(); ++i)
      step(walk, model);
  }
  void expect_same(BareMemtable& memtable, int count = 2000) {
    expect_whole(memtable);
    Walk walk(memtable);
    steps(walk, memtable.model(), count);
  }

  const uint64_t seed_ = seed();
  const ::testing::ScopedTrace trace_{__FILE__, __LINE__, "BOBBIN_TEST_SEED=" + std::to_string(seed_)};
  std::mt19937_64 random_{seed_};
};

}  // namespace bobbin::disk::memtable_test
