#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/memtablerep.h>

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

/// What RocksDB 7.8 wants of the iterators that our memtables make for it.
namespace bobbin::disk::memtable {

/// RocksDB ends an iterator by `delete`, or by its destructor alone where it believes it in its arena, whose
/// type it does not publish. So the destructor of this base, which has to be the first and so runs last,
/// frees the memory; `operator delete` does nothing.
class FreesItself {
 public:
  FreesItself(const FreesItself&) = delete;
  FreesItself& operator=(const FreesItself&) = delete;
  static void* operator new(size_t bytes) { return ::operator new(bytes); }
  static void operator delete(void* /*whole*/) noexcept {}

 protected:
  explicit FreesItself(void* whole) noexcept : whole_(whole) {}
  ~FreesItself() { ::operator delete(whole_); }

 private:
  void* const whole_;
};

/// Around a call of MemTableRep::Get, which is the only way to read a LookupKey, whose type RocksDB does not
/// publish: it makes an iterator (GetDynamicPrefixIterator) and walks. 7.8 never deletes that; this does,
/// unless somebody else has. Of one thread; calls may nest.
template <typename Made>
class MadeForGet {
 public:
  MadeForGet() noexcept : before_(std::exchange(here, this)) {}
  /// Outlived by what was made; who deletes it first says so with `forget`.
  ~MadeForGet() {
    here = before_;
    const std::unique_ptr<Made> left(made_);
  }
  MadeForGet(const MadeForGet&) = delete;
  MadeForGet& operator=(const MadeForGet&) = delete;

  /// This thread is in Get.
  [[nodiscard]] static bool is_under_way() noexcept { return here != nullptr; }
  static void keep(Made* made) noexcept {
    if (here != nullptr) here->made_ = made;
  }
  static void forget(const Made* made) noexcept {
    if (here != nullptr && here->made_ == made) here->made_ = nullptr;
  }

 private:
  static inline thread_local MadeForGet* here = nullptr;

  MadeForGet* const before_;
  Made* made_ = nullptr;
};

}  // namespace bobbin::disk::memtable
