#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/memtablerep.h>
#include <rocksdb/slice.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>

#include "disk/bytes.h"

/// What our memtables make of the bytes that RocksDB puts into them.
///
/// An entry of a memtable is the length of the internal key (varint), the internal key, the length of the
/// value (varint), the value. An internal key is the key and, in 8 bytes, its sequence and type; they sort by
/// key and then from the newest sequence to the oldest. No two have the same of both.
namespace bobbin::disk::memtable {

inline constexpr size_t kSequenceBytes = 8;

inline rocksdb::Slice internal_key_of(const char* entry) {
  return rocksdb::GetLengthPrefixedSlice(entry);
}

/// What RocksDB asks an iterator to seek, in either of the two forms.
inline rocksdb::Slice target_of(const rocksdb::Slice& internal_key, const char* memtable_key) {
  return memtable_key == nullptr ? internal_key : internal_key_of(memtable_key);
}

inline std::string_view user_key_of(const rocksdb::Slice& internal_key) noexcept {
  return {internal_key.data(), internal_key.size() - kSequenceBytes};
}

/// The sequence and, in the lowest byte, the type: of one key, the higher comes first.
inline uint64_t tag_of(const rocksdb::Slice& internal_key) noexcept {
  const std::string_view bytes(internal_key.data(), internal_key.size());
  return ByteReader(bytes.substr(bytes.size() - kSequenceBytes)).number(kSequenceBytes);
}

inline uint64_t sequence_of(const rocksdb::Slice& internal_key) noexcept {
  return tag_of(internal_key) >> 8U;
}

/// The first two bytes as a number, missing ones as 0. Keys sort by it first, those of fewer bytes too.
inline uint32_t vbucket_of(const rocksdb::Slice& internal_key) noexcept {
  uint32_t vbucket = 0;
  for (size_t i = 0; i < 2; ++i) {
    const bool is_there = i + kSequenceBytes < internal_key.size();
    vbucket = vbucket << 8U | (is_there ? static_cast<uint8_t>(internal_key[i]) : 0U);
  }
  return vbucket;
}

/// Memory of the memtable's arena, which counts it and frees it with the memtable. The writer's to call.
///
/// RocksDB's arena gives what is aligned to 8 where all that is asked of it are multiples of 8, as here,
/// though it does not say so: to ask for room to align each entry would take 7 bytes more of all. Where it is
/// not aligned after all, the second try has room for that.
[[nodiscard]] inline void* allocate_aligned(rocksdb::MemTableRep& memtable, size_t bytes, size_t alignment) {
  constexpr size_t kWord = 8;
  size_t room = (bytes + kWord - 1) / kWord * kWord + (alignment > kWord ? alignment : 0);
  for (;;) {
    char* memory = nullptr;
    // Qualified: a memtable may have an Allocate of its own, for RocksDB's entries.
    memtable.rocksdb::MemTableRep::Allocate(room, &memory);
    void* aligned = memory;
    size_t left = room;
    if (std::align(alignment, bytes, aligned, left) != nullptr) return aligned;
    room += alignment;
  }
}

/// `count` of them, value-initialised. Never destroyed.
template <typename T>
[[nodiscard]] T* allocate(rocksdb::MemTableRep& memtable, size_t count) {
  static_assert(std::is_trivially_destructible_v<T>);
  T* const first = static_cast<T*>(allocate_aligned(memtable, count * sizeof(T), alignof(T)));
  std::uninitialized_value_construct_n(first, count);
  return first;
}

}  // namespace bobbin::disk::memtable
