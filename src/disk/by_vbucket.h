#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/memtablerep.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "disk/memtable_entry.h"

namespace bobbin::disk::memtable {

/// What a memtable has of each vbucket: a pointer, null at first. One thread writes; any number reads
/// meanwhile, with no lock, and sees all that was done to what a pointer points to before it was set.
template <typename T>
class ByVBucket {
 public:
  static constexpr uint32_t kVBuckets = 1U << 16U;

  [[nodiscard]] T* find(uint32_t vbucket) const noexcept {
    const Page* const page = pages_[vbucket >> kPageBits].load(std::memory_order_acquire);
    return page == nullptr ? nullptr : (*page)[vbucket % kInPage].load(std::memory_order_acquire);
  }
  /// The first at or above `vbucket`, which is set to where it was found; to kVBuckets where null is.
  [[nodiscard]] T* find_up(uint32_t& vbucket) const noexcept {
    while (vbucket < kVBuckets) {
      const Page* const page = pages_[vbucket >> kPageBits].load(std::memory_order_acquire);
      if (page == nullptr) {
        vbucket = (vbucket | (kInPage - 1)) + 1;
        continue;
      }
      T* const found = (*page)[vbucket % kInPage].load(std::memory_order_acquire);
      if (found != nullptr) return found;
      ++vbucket;
    }
    return nullptr;
  }
  /// The last below `vbucket`, which is set to where it was found; to 0 where null is.
  [[nodiscard]] T* find_below(uint32_t& vbucket) const noexcept {
    while (vbucket > 0) {
      const uint32_t below = vbucket - 1;
      const Page* const page = pages_[below >> kPageBits].load(std::memory_order_acquire);
      vbucket = page == nullptr ? below & ~(kInPage - 1) : below;
      if (page == nullptr) continue;
      T* const found = (*page)[below % kInPage].load(std::memory_order_acquire);
      if (found != nullptr) return found;
    }
    return nullptr;
  }

  /// The writer's: to be stored to with release.
  [[nodiscard]] std::atomic<T*>& slot(uint32_t vbucket, rocksdb::MemTableRep& memtable) {
    std::atomic<Page*>& page = pages_[vbucket >> kPageBits];
    Page* slots = page.load(std::memory_order_relaxed);
    if (slots == nullptr) {
      slots = allocate<Page>(memtable, 1);
      page.store(slots, std::memory_order_release);
    }
    return (*slots)[vbucket % kInPage];
  }

 private:
  static constexpr uint32_t kPageBits = 8;
  static constexpr uint32_t kInPage = 1U << kPageBits;
  using Page = std::array<std::atomic<T*>, kInPage>;

  std::array<std::atomic<Page*>, (kVBuckets >> kPageBits)> pages_{};
};

}  // namespace bobbin::disk::memtable
