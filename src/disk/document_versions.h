#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/memtablerep.h>
#include <rocksdb/slice.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

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
  // Set before readers can find it; they never change.
  Key* next_in_slot;
  const Key* came_before;  ///< in this vbucket; null: none
  uint32_t hash;
  std::atomic<Version*> newest;

  [[nodiscard]] std::string_view bytes() const {
    return memtable::user_key_of(newest.load(std::memory_order_acquire)->internal_key());
  }
  /// The newest that does not come before `tag` (memtable_entry.h); null: there is none. Passes by all that
  /// do, one by one.
  [[nodiscard]] const Version* from(uint64_t tag) const {
    const Version* version = newest.load(std::memory_order_acquire);
    while (version != nullptr && version->tag() > tag)
      version = version->older.load(std::memory_order_acquire);
    return version;
  }
};

/// A slot is made with so many others, so that a memtable of few keys stays small.
inline constexpr uint32_t kFewestSlots = 256;

/// The keys of a memtable. One thread inserts; any number reads meanwhile.
class Keys {
 public:
  /// `slots` is a power of two, kFewestSlots at least. Only remembers the memtable and takes memory of its
  /// arena, so the memtable may still be under construction.
  Keys(MemTableRep& memtable, uint32_t slots)
      : memtable_(memtable),
        slots_(slots),
        pages_(memtable::allocate<std::atomic<Page*>>(memtable, slots / kInPage)) {}

  [[nodiscard]] const Key* find(std::string_view bytes, uint32_t hash) const {
    const Page* const page = pages_[page_of(hash)].load(std::memory_order_acquire);
    if (page == nullptr) return nullptr;
    return among((*page)[hash % kInPage].load(std::memory_order_acquire), bytes, hash);
  }
  /// Of each vbucket the key that came last, from which `came_before` leads to all others.
  [[nodiscard]] const memtable::ByVBucket<const Key>& last_of_vbuckets() const noexcept { return last_; }

  /// The writer's. False, and the version is not kept: it is there, with the same tag.
  [[nodiscard]] bool insert(Version& version, uint32_t hash) {
    const Slice internal_key = version.internal_key();
    std::atomic<Key*>& slot = slot_of(hash);
    Key* const first = slot.load(std::memory_order_relaxed);
    if (Key* const key = among(first, memtable::user_key_of(internal_key), hash))
      return insert_version(*key, version, memtable::tag_of(internal_key));
    Key& key = *memtable::allocate<Key>(memtable_, 1);
    std::atomic<const Key*>& last = last_.slot(memtable::vbucket_of(internal_key), memtable_);
    key.next_in_slot = first;
    key.came_before = last.load(std::memory_order_relaxed);
    key.hash = hash;
    key.newest.store(&version, std::memory_order_relaxed);
    slot.store(&key, std::memory_order_release);
    last.store(&key, std::memory_order_release);
    return true;
  }

 private:
  static constexpr uint32_t kInPage = kFewestSlots;
  using Page = std::array<std::atomic<Key*>, kInPage>;

  [[nodiscard]] size_t page_of(uint32_t hash) const noexcept { return hash % slots_ / kInPage; }
  [[nodiscard]] std::atomic<Key*>& slot_of(uint32_t hash) {
    std::atomic<Page*>& page = pages_[page_of(hash)];
    Page* slots = page.load(std::memory_order_relaxed);
    if (slots == nullptr) {
      slots = memtable::allocate<Page>(memtable_, 1);
      page.store(slots, std::memory_order_release);
    }
    return (*slots)[hash % kInPage];
  }
  [[nodiscard]] static Key* among(Key* first, std::string_view bytes, uint32_t hash) {
    for (Key* key = first; key != nullptr; key = key->next_in_slot)
      if (key->hash == hash && key->bytes() == bytes) return key;
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

  MemTableRep& memtable_;
  const uint32_t slots_;
  std::atomic<Page*>* const pages_;
  memtable::ByVBucket<const Key> last_;
};

}  // namespace bobbin::disk::versions
