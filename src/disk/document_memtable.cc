#include "disk/document_memtable.h"

#include <rocksdb/memtablerep.h>
#include <rocksdb/slice.h>
// XXH3 is inlined: for short keys the call would cost as much as the hash.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <memory>
#include <random>
#include <string_view>
#include <vector>

#include "disk/document_order.h"
#include "disk/document_versions.h"
#include "disk/give_way.h"
#include "disk/memtable_iterator.h"

namespace bobbin::disk {

namespace {

using memtable::FreesItself;
using rocksdb::MemTableRep;
using rocksdb::Slice;
using versions::Key;
using versions::Keys;
using versions::OrderCursor;
using versions::Orders;
using versions::Version;

/// Of a key. Seeded anew for each factory: who chooses keys does not know where they lie.
class Hash {
 public:
  [[nodiscard]] uint32_t operator()(std::string_view bytes) const noexcept {
    return static_cast<uint32_t>(XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed_));
  }

 private:
  const uint64_t seed_ = uint64_t{std::random_device()()} << 32U | std::random_device()();
};

/// Walks through all, a vbucket's keys after the other's.
class Walk final : public FreesItself, public MemTableRep::Iterator {
 public:
  Walk(const Keys& keys, Orders& orders)
      : FreesItself(this), last_of_vbuckets_(keys.last_of_vbuckets()), orders_(orders) {}

  [[nodiscard]] bool Valid() const override { return version_ != nullptr; }
  [[nodiscard]] const char* key() const override { return version_->entry(); }
  void Next() override {
    knows_newer_ = false;
    version_ = version_->older.load(std::memory_order_acquire);
    if (version_ == nullptr) return to_next_key();
    fetch_older();
  }
  void Prev() override {
    if (!knows_newer_) collect(version_);
    if (newer_.empty()) return to_key_before();
    version_ = newer_.back();
    newer_.pop_back();
  }
  void Seek(const Slice& internal_key, const char* memtable_key) override {
    const Slice target = memtable::target_of(internal_key, memtable_key);
    if (!look_up(target)) return to_this_key();
    version_ = at_.key().from(memtable::tag_of(target));
    if (version_ == nullptr) to_next_key();
  }
  void SeekForPrev(const Slice& internal_key, const char* memtable_key) override {
    const Slice target = memtable::target_of(internal_key, memtable_key);
    if (!look_up(target)) return to_key_before();
    collect(nullptr);
    const uint64_t tag = memtable::tag_of(target);
    while (!newer_.empty() && newer_.back()->tag() < tag)
      newer_.pop_back();
    Prev();
  }
  void SeekToFirst() override { to_first_from(0); }
  void SeekToLast() override { to_last_below(memtable::ByVBucket<const Key>::kVBuckets); }

 private:
  /// True: it is at the key of `target`. False: where that would be.
  bool look_up(const Slice& target) {
    const std::string_view bytes = memtable::user_key_of(target);
    vbucket_ = memtable::vbucket_of(target);
    knows_newer_ = false;
    const Key* const newest = last_of_vbuckets_.find(vbucket_);
    if (newest == nullptr || newest != at_.newest()) at_.begin(orders_.of(vbucket_));
    at_.seek(bytes);
    return !at_.is_at_end() && at_.key().bytes() == bytes;
  }
  void to_this_key() {
    if (at_.is_at_end()) return to_first_from(vbucket_ + 1);
    knows_newer_ = false;
    version_ = at_.key().newest.load(std::memory_order_acquire);
    fetch_older();
  }
  void to_next_key() {
    at_.next();
    to_this_key();
  }
  void to_key_before() {
    if (!at_.prev()) return to_last_below(vbucket_);
    collect(nullptr);
    Prev();
  }
  void to_first_from(uint32_t vbucket) {
    vbucket_ = vbucket;
    if (last_of_vbuckets_.find_up(vbucket_) == nullptr) return to_nothing();
    at_.begin(orders_.of(vbucket_));
    to_this_key();
  }
  void to_last_below(uint32_t vbucket) {
    vbucket_ = vbucket;
    if (last_of_vbuckets_.find_below(vbucket_) == nullptr) return to_nothing();
    at_.begin(orders_.of(vbucket_));
    at_.to_end();
    to_key_before();
  }
  void to_nothing() {
    at_.begin(nullptr);
    version_ = nullptr;
  }
  /// By the time that it is asked for, it is in the processor's cache.
  void fetch_older() const noexcept { __builtin_prefetch(version_->older.load(std::memory_order_relaxed)); }
  /// The versions lead to older ones only: who walks back notes them on the way.
  void collect(const Version* up_to) {
    newer_.clear();
    for (const Version* version = at_.key().newest.load(std::memory_order_acquire);
         version != up_to && version != nullptr; version = version->older.load(std::memory_order_acquire))
      newer_.push_back(version);
    knows_newer_ = true;
  }

  const memtable::ByVBucket<const Key>& last_of_vbuckets_;
  Orders& orders_;
  uint32_t vbucket_ = 0;
  OrderCursor at_;
  const Version* version_ = nullptr;
  /// Versions of this key that are newer than `version_`, the newest first; valid while `knows_newer_`.
  std::vector<const Version*> newer_;
  bool knows_newer_ = false;
};

/// The versions of one key, for MemTableRep::Get, which asks for nothing else.
class VersionsOfKey final : public FreesItself, public MemTableRep::Iterator {
 public:
  VersionsOfKey(const Keys& keys, const Hash& hash) : FreesItself(this), keys_(keys), hash_(hash) {}
  ~VersionsOfKey() override { memtable::MadeForGet<VersionsOfKey>::forget(this); }

  [[nodiscard]] bool Valid() const override { return version_ != nullptr; }
  [[nodiscard]] const char* key() const override { return version_->entry(); }
  void Next() override { version_ = version_->older.load(std::memory_order_acquire); }
  void Seek(const Slice& internal_key, const char* memtable_key) override {
    const Slice target = memtable::target_of(internal_key, memtable_key);
    const std::string_view bytes = memtable::user_key_of(target);
    const Key* const key = keys_.find(bytes, hash_(bytes));
    version_ = key == nullptr ? nullptr : key->from(memtable::tag_of(target));
  }
  void Prev() override { must_not_be_called(); }
  void SeekForPrev(const Slice& /*internal_key*/, const char* /*memtable_key*/) override {
    must_not_be_called();
  }
  void SeekToFirst() override { must_not_be_called(); }
  void SeekToLast() override { must_not_be_called(); }

 private:
  void must_not_be_called() {
    assert(false);
    version_ = nullptr;
  }

  const Keys& keys_;
  const Hash hash_;
  const Version* version_ = nullptr;
};

class DocumentMemtable final : public MemTableRep {
 public:
  DocumentMemtable(rocksdb::Allocator* allocator, uint32_t slots, const Hash& hash)
      : MemTableRep(allocator), hash_(hash), keys_(*this, slots) {}

  rocksdb::KeyHandle Allocate(size_t bytes, char** entry) override {
    void* const memory = memtable::allocate_aligned(*this, sizeof(Version) + bytes, alignof(Version));
    Version* const version = std::construct_at(static_cast<Version*>(memory));
    *entry = reinterpret_cast<char*>(version + 1);
    return *entry;
  }
  void Insert(rocksdb::KeyHandle handle) override { (void)InsertKey(handle); }
  bool InsertKey(rocksdb::KeyHandle handle) override {
    // On the thread that commits.
    give_way_now_and_then();
    Version& version = *Version::of(handle);
    return keys_.insert(version, hash_(memtable::user_key_of(version.internal_key())));
  }

  [[nodiscard]] bool Contains(const char* entry) const override {
    const Slice internal_key = memtable::internal_key_of(entry);
    const std::string_view bytes = memtable::user_key_of(internal_key);
    const Key* const key = keys_.find(bytes, hash_(bytes));
    if (key == nullptr) return false;
    const Version* const version = key->from(memtable::tag_of(internal_key));
    return version != nullptr && version->tag() == memtable::tag_of(internal_key);
  }
  void Get(const rocksdb::LookupKey& key, void* argument,
           bool (*take)(void* argument, const char* entry)) override {
    memtable::MadeForGet<VersionsOfKey> made;
    MemTableRep::Get(key, argument, take);
  }
  Iterator* GetDynamicPrefixIterator(rocksdb::Arena* arena) override {
    if (!memtable::MadeForGet<VersionsOfKey>::is_under_way()) return GetIterator(arena);
    auto found = std::make_unique<VersionsOfKey>(keys_, hash_);
    memtable::MadeForGet<VersionsOfKey>::keep(found.get());
    return found.release();  // RocksDB's to delete; where it does not, `made` in Get does
  }
  Iterator* GetIterator(rocksdb::Arena* /*arena*/) override {
    return std::make_unique<Walk>(keys_, orders_).release();  // RocksDB's to destroy
  }
  /// Beside the arena, which has all but the orders (document_order.h).
  size_t ApproximateMemoryUsage() override { return 0; }

 private:
  const Hash hash_;
  Keys keys_;
  Orders orders_{keys_.last_of_vbuckets()};
};

class DocumentMemtables final : public rocksdb::MemTableRepFactory {
 public:
  explicit DocumentMemtables(uint32_t slots)
      : slots_(std::bit_ceil(std::clamp(slots, versions::kFewestSlots, kMostSlots))) {}

  using MemTableRepFactory::CreateMemTableRep;
  MemTableRep* CreateMemTableRep(const MemTableRep::KeyComparator& /*compare*/, rocksdb::Allocator* allocator,
                                 const rocksdb::SliceTransform* /*prefix*/,
                                 rocksdb::Logger* /*log*/) override {
    return std::make_unique<DocumentMemtable>(allocator, slots_, hash_).release();  // RocksDB's to delete
  }
  [[nodiscard]] const char* Name() const override { return "bobbin.DocumentMemtable"; }
  [[nodiscard]] bool CanHandleDuplicatedKey() const override { return true; }

 private:
  static constexpr uint32_t kMostSlots = 1U << 24U;

  const uint32_t slots_;
  const Hash hash_;
};

}  // namespace

std::shared_ptr<rocksdb::MemTableRepFactory> document_memtables(uint32_t slots) {
  return std::make_shared<DocumentMemtables>(slots);
}

}  // namespace bobbin::disk
