#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/memtablerep.h>
#include <rocksdb/slice.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>

#include "disk/by_vbucket.h"
#include "disk/memtable_entry.h"
#include "disk/record.h"
#include "disk/seqno_memtable.h"

/// What a memtable of `seqnos` keeps in order without a search: a run of entries for each vbucket.
namespace bobbin::disk::runs {

using rocksdb::MemTableRep;
using rocksdb::Slice;
using KeyComparator = MemTableRep::KeyComparator;

inline constexpr size_t kSeqnoKeyBytes = 10;

/// Where a key belongs among the runs; empty when it cannot be in one.
inline std::optional<SeqnoKey> place_of(const Slice& internal_key) noexcept {
  if (internal_key.size() != kSeqnoKeyBytes + memtable::kSequenceBytes) return std::nullopt;
  return decode_seqno_key({internal_key.data(), kSeqnoKeyBytes});
}

/// The entries of one vbucket, in their order. Nothing in it ever moves: chunk k has 4 << k entries. One
/// cache line, of which a reader uses what is below the count that it has seen.
class alignas(64) Run {
 public:
  [[nodiscard]] uint32_t size() const noexcept { return size_.load(std::memory_order_acquire); }
  [[nodiscard]] const char* at(uint32_t index) const noexcept {
    const uint32_t biased = index + kFirstChunk;
    const uint32_t first = std::bit_floor(biased);
    const size_t chunk = chunk_of(first);
    return (chunk < kChunksHere ? here_[chunk] : (*elsewhere_)[chunk - kChunksHere])[biased - first];
  }
  /// How many of the first `size` entries come before a key (`with_equal`: or are the key).
  [[nodiscard]] uint32_t count_before(const Slice& internal_key, bool with_equal, uint32_t size,
                                      const KeyComparator& compare) const {
    const int below = with_equal ? 1 : 0;
    uint32_t from = 0;
    while (from < size) {
      const uint32_t middle = from + (size - from) / 2;
      if (compare(at(middle), internal_key) < below)
        from = middle + 1;
      else
        size = middle;
    }
    return from;
  }

  // The rest is the writer's.

  /// Has entries.
  [[nodiscard]] bool takes(uint64_t seqno, uint32_t full) const noexcept {
    return seqno > last_seqno_ && size_.load(std::memory_order_relaxed) < full;
  }
  /// Is empty, or takes it.
  void append(uint64_t seqno, const char* entry, MemTableRep& memtable) {
    const uint32_t size = size_.load(std::memory_order_relaxed);
    const uint32_t biased = size + kFirstChunk;
    const uint32_t first = std::bit_floor(biased);
    if (biased == first) add_chunk(first, memtable);
    newest_[biased - first] = entry;
    last_seqno_ = seqno;
    size_.store(size + 1, std::memory_order_release);
  }

 private:
  /// That of so many entries.
  static size_t chunk_of(uint32_t entries) noexcept {
    return static_cast<size_t>(std::countr_zero(entries) - std::countr_zero(kFirstChunk));
  }
  void add_chunk(uint32_t entries, MemTableRep& memtable) {
    newest_ = memtable::allocate<const char*>(memtable, entries);
    const size_t chunk = chunk_of(entries);
    if (chunk < kChunksHere) {
      here_[chunk] = newest_;
      return;
    }
    if (elsewhere_ == nullptr) elsewhere_ = memtable::allocate<ChunksElsewhere>(memtable, 1);
    (*elsewhere_)[chunk - kChunksHere] = newest_;
  }

  using Chunk = const char**;
  static constexpr uint32_t kFirstChunk = 4;
  static constexpr size_t kChunksHere = 4;
  using ChunksElsewhere = std::array<Chunk, 15>;
  static_assert(kFirstChunk * ((1U << (kChunksHere + std::tuple_size_v<ChunksElsewhere>)) - 1) >= kFullRun);

  std::atomic<uint32_t> size_ = 0;
  uint64_t last_seqno_ = 0;
  Chunk newest_ = nullptr;
  std::array<Chunk, kChunksHere> here_{};
  ChunksElsewhere* elsewhere_ = nullptr;
};
static_assert(sizeof(Run) == 64);

/// The runs of all vbuckets. A run that is there has an entry.
class Runs {
 public:
  [[nodiscard]] const memtable::ByVBucket<Run>& of_vbuckets() const noexcept { return of_vbuckets_; }

  /// The writer's: false when the entry is not behind all that its run has, or the run is full.
  [[nodiscard]] bool append(const SeqnoKey& place, const char* entry, uint32_t full, MemTableRep& memtable) {
    std::atomic<Run*>& slot = of_vbuckets_.slot(place.vbucket, memtable);
    Run* run = slot.load(std::memory_order_relaxed);
    if (run != nullptr) {
      if (!run->takes(place.seqno, full)) return false;
      run->append(place.seqno, entry, memtable);
      return true;
    }
    if (spares_ == 0) {
      spare_ = memtable::allocate<Run>(memtable, kSpares);
      spares_ = kSpares;
    }
    run = spare_++;
    --spares_;
    run->append(place.seqno, entry, memtable);
    slot.store(run, std::memory_order_release);
    return true;
  }

 private:
  // To align each on its own would cost as much again.
  static constexpr uint32_t kSpares = 16;

  memtable::ByVBucket<Run> of_vbuckets_;
  // The writer's.
  Run* spare_ = nullptr;
  uint32_t spares_ = 0;
};

/// A place among the runs, or none.
class RunCursor {
 public:
  RunCursor(const Runs& runs, const KeyComparator& compare) : runs_(runs.of_vbuckets()), compare_(compare) {}

  [[nodiscard]] const char* entry() const noexcept { return entry_; }
  void to_first() { to_first_from(0); }
  void to_last() { to_last_below(memtable::ByVBucket<Run>::kVBuckets); }
  /// To the first that is not before a key.
  void seek(const Slice& internal_key) {
    vbucket_ = memtable::vbucket_of(internal_key);
    run_ = runs_.find(vbucket_);
    // An entry that is appended meanwhile may still be before the key: it was not compared.
    const uint32_t size = run_ == nullptr ? 0 : run_->size();
    index_ = size == 0 ? 0 : run_->count_before(internal_key, false, size, compare_);
    if (index_ < size)
      entry_ = run_->at(index_);
    else
      to_first_from(vbucket_ + 1);
  }
  /// To the last that is not behind a key.
  void seek_for_prev(const Slice& internal_key) {
    vbucket_ = memtable::vbucket_of(internal_key);
    run_ = runs_.find(vbucket_);
    index_ = run_ == nullptr ? 0 : run_->count_before(internal_key, true, run_->size(), compare_);
    prev();
  }
  void next() {
    const uint32_t size = run_->size();
    if (++index_ >= size) return to_first_from(vbucket_ + 1);
    entry_ = run_->at(index_);
    // By the time that it is asked for, it is in the processor's cache.
    if (index_ + 1 < size) __builtin_prefetch(run_->at(index_ + 1));
  }
  void prev() {
    if (index_ == 0) return to_last_below(vbucket_);
    entry_ = run_->at(--index_);
  }

 private:
  void to_first_from(uint32_t vbucket) {
    vbucket_ = vbucket;
    run_ = runs_.find_up(vbucket_);
    index_ = 0;
    entry_ = run_ == nullptr ? nullptr : run_->at(0);
  }
  void to_last_below(uint32_t vbucket) {
    vbucket_ = vbucket;
    run_ = runs_.find_below(vbucket_);
    index_ = run_ == nullptr ? 0 : run_->size() - 1;
    entry_ = run_ == nullptr ? nullptr : run_->at(index_);
  }

  const memtable::ByVBucket<Run>& runs_;
  const KeyComparator& compare_;
  const Run* run_ = nullptr;
  uint32_t vbucket_ = 0;
  uint32_t index_ = 0;
  const char* entry_ = nullptr;
};

}  // namespace bobbin::disk::runs
