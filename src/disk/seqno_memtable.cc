#include "disk/seqno_memtable.h"

#include <rocksdb/memtablerep.h>
#include <rocksdb/slice.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>

#include "disk/give_way.h"
#include "disk/memtable_iterator.h"
#include "disk/seqno_runs.h"

namespace bobbin::disk {

namespace {

using memtable::FreesItself;
using rocksdb::MemTableRep;
using rocksdb::Slice;
using runs::KeyComparator;
using runs::Run;
using runs::RunCursor;
using runs::Runs;

size_t size_of(const char* entry) noexcept {
  const Slice key = rocksdb::GetLengthPrefixedSlice(entry);
  const Slice value = rocksdb::GetLengthPrefixedSlice(key.data() + key.size());
  return static_cast<size_t>(value.data() + value.size() - entry);
}

class Cursor final : public FreesItself, public MemTableRep::Iterator {
 public:
  using Strays = std::atomic<MemTableRep*>;

  Cursor(const Runs& runs, const Strays& all_strays, const KeyComparator& compare)
      : FreesItself(this), all_strays_(all_strays), compare_(compare), runs_(runs, compare) {}
  ~Cursor() override { memtable::MadeForGet<Cursor>::forget(this); }

  [[nodiscard]] bool Valid() const override { return key_ != nullptr; }
  [[nodiscard]] const char* key() const override { return key_; }
  void Next() override {
    if (!strays_) {
      runs_.next();
      key_ = runs_.entry();
      return;
    }
    if (!is_forward_) {
      const Slice here = compare_.decode_key(key_);
      is_stray_ ? runs_.seek(here) : strays_->Seek(here, key_);
    }
    is_stray_ ? strays_->Next() : runs_.next();
    choose(true);
  }
  void Prev() override {
    if (!strays_) {
      runs_.prev();
      key_ = runs_.entry();
      return;
    }
    if (is_forward_) {
      const Slice here = compare_.decode_key(key_);
      is_stray_ ? runs_.seek_for_prev(here) : strays_->SeekForPrev(here, key_);
    }
    is_stray_ ? strays_->Prev() : runs_.prev();
    choose(false);
  }
  void Seek(const Slice& internal_key, const char* memtable_key) override {
    const Slice target = memtable::target_of(internal_key, memtable_key);
    runs_.seek(target);
    if (look_for_strays()) strays_->Seek(target, memtable_key);
    choose(true);
  }
  void SeekForPrev(const Slice& internal_key, const char* memtable_key) override {
    const Slice target = memtable::target_of(internal_key, memtable_key);
    runs_.seek_for_prev(target);
    if (look_for_strays()) strays_->SeekForPrev(target, memtable_key);
    choose(false);
  }
  void SeekToFirst() override {
    runs_.to_first();
    if (look_for_strays()) strays_->SeekToFirst();
    choose(true);
  }
  void SeekToLast() override {
    runs_.to_last();
    if (look_for_strays()) strays_->SeekToLast();
    choose(false);
  }

 private:
  /// At each seek: RocksDB's iterators can be told to see what came after they were made, and seek again.
  bool look_for_strays() {
    if (strays_) return true;
    MemTableRep* const strays = all_strays_.load(std::memory_order_acquire);
    if (strays != nullptr) strays_.reset(strays->GetIterator());
    return strays != nullptr;
  }
  /// Each is at the first of its own in this direction: the nearer of the two.
  void choose(bool is_forward) {
    is_forward_ = is_forward;
    const char* const in_run = runs_.entry();
    const char* const stray = strays_ && strays_->Valid() ? strays_->key() : nullptr;
    is_stray_ = stray != nullptr && (in_run == nullptr || (compare_(stray, in_run) < 0) == is_forward);
    key_ = is_stray_ ? stray : in_run;
  }

  const Strays& all_strays_;
  const KeyComparator& compare_;
  RunCursor runs_;
  std::unique_ptr<MemTableRep::Iterator> strays_;
  bool is_forward_ = true;
  bool is_stray_ = false;
  const char* key_ = nullptr;
};

class SeqnoMemtable final : public MemTableRep {
 public:
  SeqnoMemtable(const KeyComparator& compare, rocksdb::Allocator* allocator, uint32_t full_run)
      : MemTableRep(allocator), compare_(compare), full_run_(full_run) {}

  void Insert(rocksdb::KeyHandle handle) override { (void)InsertKey(handle); }
  bool InsertKey(rocksdb::KeyHandle handle) override {
    // On the thread that commits.
    give_way_now_and_then();
    const auto* const entry = static_cast<const char*>(handle);
    const Slice key = rocksdb::GetLengthPrefixedSlice(entry);
    const uint64_t sequence = memtable::sequence_of(key);
    // RocksDB counts upwards, so that there is nothing to search for what is there already.
    const bool is_new = sequence > newest_;
    newest_ = std::max(newest_, sequence);
    const auto place = runs::place_of(key);
    // No stray is above the last entry of its run, unless that is full and takes nothing: what can be
    // appended is not among the strays.
    if (place && runs_.append(*place, entry, full_run_, *this)) return true;
    return (is_new || !is_in_run(key)) && insert_stray(entry);
  }

  [[nodiscard]] bool Contains(const char* key) const override {
    if (is_in_run(compare_.decode_key(key))) return true;
    const MemTableRep* const strays = strays_.load(std::memory_order_acquire);
    return strays != nullptr && strays->Contains(key);
  }

  void Get(const rocksdb::LookupKey& key, void* argument,
           bool (*take)(void* argument, const char* entry)) override {
    memtable::MadeForGet<Cursor> made;
    MemTableRep::Get(key, argument, take);
  }
  Iterator* GetDynamicPrefixIterator(rocksdb::Arena* /*arena*/) override {
    Cursor* const cursor = make_cursor();
    memtable::MadeForGet<Cursor>::keep(cursor);
    return cursor;
  }
  Iterator* GetIterator(rocksdb::Arena* /*arena*/) override { return make_cursor(); }

  uint64_t ApproximateNumEntries(const Slice& from, const Slice& to) override {
    MemTableRep* const strays = strays_.load(std::memory_order_acquire);
    const uint64_t begin = count_before(from);
    const uint64_t end = count_before(to);
    return (end > begin ? end - begin : 0) +
           (strays == nullptr ? 0 : strays->ApproximateNumEntries(from, to));
  }
  /// All is in the arena.
  size_t ApproximateMemoryUsage() override {
    MemTableRep* const strays = strays_.load(std::memory_order_acquire);
    return strays == nullptr ? 0 : strays->ApproximateMemoryUsage();
  }

 private:
  bool insert_stray(const char* entry) {
    if (!owned_strays_) {
      owned_strays_.reset(
          rocksdb::SkipListFactory().CreateMemTableRep(compare_, allocator_, nullptr, nullptr));
    }
    // A skip list wants entries to lie where it has room in front.
    const size_t bytes = size_of(entry);
    char* copy = nullptr;
    const rocksdb::KeyHandle handle = owned_strays_->Allocate(bytes, &copy);
    std::memcpy(copy, entry, bytes);
    const bool is_new = owned_strays_->InsertKey(handle);
    strays_.store(owned_strays_.get(), std::memory_order_release);
    return is_new;
  }
  [[nodiscard]] bool is_in_run(const Slice& internal_key) const {
    const Run* const run = runs_.of_vbuckets().find(memtable::vbucket_of(internal_key));
    if (run == nullptr) return false;
    const uint32_t size = run->size();
    const uint32_t index = run->count_before(internal_key, false, size, compare_);
    return index < size && compare_(run->at(index), internal_key) == 0;
  }
  [[nodiscard]] uint64_t count_before(const Slice& internal_key) const {
    const uint32_t last = memtable::vbucket_of(internal_key);
    uint64_t count = 0;
    uint32_t vbucket = 0;
    for (const Run* run = runs_.of_vbuckets().find_up(vbucket); run != nullptr && vbucket <= last;
         run = runs_.of_vbuckets().find_up(++vbucket))
      count += vbucket < last ? run->size() : run->count_before(internal_key, false, run->size(), compare_);
    return count;
  }
  [[nodiscard]] Cursor* make_cursor() const {
    return std::make_unique<Cursor>(runs_, strays_, compare_).release();  // RocksDB's to destroy
  }

  const KeyComparator& compare_;
  const uint32_t full_run_;
  Runs runs_;
  /// The writer's: the highest sequence.
  uint64_t newest_ = 0;
  std::unique_ptr<MemTableRep> owned_strays_;
  /// What readers see of it.
  std::atomic<MemTableRep*> strays_ = nullptr;
};

class SeqnoMemtables final : public rocksdb::MemTableRepFactory {
 public:
  explicit SeqnoMemtables(uint32_t full_run) : full_run_(std::min(full_run, kFullRun)) {}

  using MemTableRepFactory::CreateMemTableRep;
  MemTableRep* CreateMemTableRep(const KeyComparator& compare, rocksdb::Allocator* allocator,
                                 const rocksdb::SliceTransform* /*prefix*/,
                                 rocksdb::Logger* /*log*/) override {
    return std::make_unique<SeqnoMemtable>(compare, allocator, full_run_).release();  // RocksDB's to delete
  }
  [[nodiscard]] const char* Name() const override { return "bobbin.SeqnoMemtable"; }
  [[nodiscard]] bool CanHandleDuplicatedKey() const override { return true; }

 private:
  const uint32_t full_run_;
};

}  // namespace

std::shared_ptr<rocksdb::MemTableRepFactory> seqno_memtables(uint32_t full_run) {
  return std::make_shared<SeqnoMemtables>(full_run);
}

}  // namespace bobbin::disk
