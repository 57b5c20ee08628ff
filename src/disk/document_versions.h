#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/memtablerep.h>
#include <rocksdb/slice.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "disk/by_vbucket.h"
#include "disk/memtable_entry.h"

/// What a memtable of `docs` has: keys, found by their hash, and of each its versions.
namespace bobbin::disk::versions {

using rocksdb::MemTableRep;
using rocksdb::Slice;

/// An entry of the memtable and, in front of it, the way to the next older one of its key.
struct Version {
  std::atomic<Version*> older;

  [[nodiscard]] const char* entry() const noexcept { return reinterpret_cast<const char*>(this + 1); }
  [[nodiscard]] static Version* of(void* entry) noexcept { return static_cast<Version*>(entry) - 1; }
  [[nodiscard]] Slice internal_key() const { return memtable::internal_key_of(entry()); }
  [[nodiscard]] uint64_t tag() const { return memtable::tag_of(internal_key()); }
};

/// All versions of one key, of which there is one at least. It never moves, and goes with the memtable.
struct Key {
  // Set before it is found.
  const Key* next_in_slot;
  const Key* before_in_vbucket;  ///< the one that came before it
  uint32_t hash;
  std::atomic<Version*> newest;

  [[nodiscard]] std::string_view bytes() const {
    return memtable::user_key_of(newest.load(std::memory_order_acquire)->internal_key());
  }
  /// The newest that does not come before `tag` (memtable_entry.h); null: there is none.
  [[nodiscard]] const Version* from(uint64_t tag) const {
    const Version* version = newest.load(std::memory_order_acquire);
    while (version != nullptr && version->tag() > tag)
      version = version->older.load(std::memory_order_acquire);
    return version;
  }
};

/// The keys of a memtable. One thread inserts; any number reads meanwhile.
class Keys {
 public:
  /// `slots` is a power of two, kInPage at least.
  Keys(MemTableRep& memtable, uint32_t slots)
      : memtable_(memtable),
        slots_(slots),
        pages_(memtable::allocate<std::atomic<Page*>>(memtable, slots / kInPage)) {}

  [[nodiscard]] const Key* find(std::string_view bytes, uint32_t hash) const {
    const Page* const page = pages_[page_of(hash)].load(std::memory_order_acquire);
    if (page == nullptr) return nullptr;
    return among((*page)[hash % kInPage].load(std::memory_order_acquire), bytes, hash);
  }
  /// The newest of each vbucket, from which `before_in_vbucket` leads to all others.
  [[nodiscard]] const memtable::ByVBucket<Key>& of_vbuckets() const noexcept { return of_vbuckets_; }

  /// The writer's. False, and the version is not kept: it is there, with the same tag.
  [[nodiscard]] bool insert(Version& version, uint32_t hash) {
    const Slice internal_key = version.internal_key();
    std::atomic<Key*>& slot = slot_of(hash);
    Key* const first = slot.load(std::memory_order_relaxed);
    if (Key* const key = among(first, memtable::user_key_of(internal_key), hash))
      return insert_version(*key, version, memtable::tag_of(internal_key));
    Key& key = new_key();
    std::atomic<Key*>& last = of_vbuckets_.slot(memtable::vbucket_of(internal_key), memtable_);
    key.next_in_slot = first;
    key.before_in_vbucket = last.load(std::memory_order_relaxed);
    key.hash = hash;
    key.newest.store(&version, std::memory_order_relaxed);
    slot.store(&key, std::memory_order_release);
    last.store(&key, std::memory_order_release);
    return true;
  }

 private:
  static constexpr uint32_t kInPage = 256;
  using Page = std::array<std::atomic<Key*>, kInPage>;
  // To align each on its own would cost a fifth more.
  static constexpr uint32_t kSpares = 16;

  [[nodiscard]] size_t page_of(uint32_t hash) const noexcept { return hash % slots_ / kInPage; }
  /// Made when a hash is the first of its page: a memtable of few keys stays small.
  [[nodiscard]] std::atomic<Key*>& slot_of(uint32_t hash) {
    std::atomic<Page*>& page = pages_[page_of(hash)];
    Page* slots = page.load(std::memory_order_relaxed);
    if (slots == nullptr) {
      slots = memtable::allocate<Page>(memtable_, 1);
      page.store(slots, std::memory_order_release);
    }
    return (*slots)[hash % kInPage];
  }
  template <typename AnyKey>
  [[nodiscard]] static AnyKey* among(AnyKey* first, std::string_view bytes, uint32_t hash) {
    for (const Key* key = first; key != nullptr; key = key->next_in_slot)
      if (key->hash == hash && key->bytes() == bytes) return const_cast<AnyKey*>(key);
    return nullptr;
  }
  /// RocksDB inserts in the order of its sequence numbers, so that it is the newest; it need not.
  [[nodiscard]] static bool insert_version(Key& key, Version& version, uint64_t tag) {
    std::atomic<Version*>* link = &key.newest;
    Version* older = link->load(std::memory_order_relaxed);
    while (older != nullptr && older->tag() > tag) {
      link = &older->older;
      older = link->load(std::memory_order_relaxed);
    }
    if (older != nullptr && older->tag() == tag) return false;
    version.older.store(older, std::memory_order_relaxed);
    link->store(&version, std::memory_order_release);
    return true;
  }
  [[nodiscard]] Key& new_key() {
    if (spares_ == 0) {
      spare_ = memtable::allocate<Key>(memtable_, kSpares);
      spares_ = kSpares;
    }
    --spares_;
    return *spare_++;
  }

  MemTableRep& memtable_;
  const uint32_t slots_;
  std::atomic<Page*>* const pages_;
  memtable::ByVBucket<Key> of_vbuckets_;
  // The writer's.
  Key* spare_ = nullptr;
  uint32_t spares_ = 0;
};

/// The keys that one vbucket had at one moment, in order.
class SortedKeys {
 public:
  /// Those of a vbucket, given the newest; nothing is done where they are what it has.
  void read(const Key* newest) {
    if (newest == newest_) return;
    newest_ = newest;
    places_.clear();
    for (const Key* key = newest; key != nullptr; key = key->before_in_vbucket)
      places_.push_back({0, key->bytes(), key});
    sort();
  }

  [[nodiscard]] size_t size() const noexcept { return places_.size(); }
  [[nodiscard]] const Key& at(size_t index) const noexcept { return *places_[index].key; }
  [[nodiscard]] bool is_at(size_t index, std::string_view bytes) const noexcept {
    return index < places_.size() && places_[index].bytes == bytes;
  }
  /// The index of the first that is not before `bytes`.
  [[nodiscard]] size_t first_from(std::string_view bytes) const noexcept {
    const auto is_before = [](const Place& place, std::string_view target) { return place.bytes < target; };
    return static_cast<size_t>(std::lower_bound(places_.begin(), places_.end(), bytes, is_before) -
                               places_.begin());
  }

 private:
  struct Place {
    uint64_t head;  ///< what follows after the bytes that all have in common: it tells most apart
    std::string_view bytes;
    const Key* key;
  };

  void sort() {
    if (places_.size() < 2) return;
    const std::string_view first = places_.front().bytes;
    size_t common = first.size();
    for (const Place& place : places_) {
      const auto differs = std::mismatch(first.begin(), first.begin() + static_cast<ptrdiff_t>(common),
                                         place.bytes.begin(), place.bytes.end());
      common = static_cast<size_t>(differs.first - first.begin());
    }
    for (Place& place : places_) {
      const std::string_view rest = place.bytes.substr(common);
      for (size_t i = 0; i < sizeof place.head; ++i)
        place.head = place.head << 8U | (i < rest.size() ? static_cast<uint8_t>(rest[i]) : 0U);
    }
    std::sort(places_.begin(), places_.end(), [](const Place& a, const Place& b) {
      return a.head != b.head ? a.head < b.head : a.bytes < b.bytes;
    });
  }

  const Key* newest_ = nullptr;
  std::vector<Place> places_;
};

}  // namespace bobbin::disk::versions
