#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/memtablerep.h>

#include <cstddef>
#include <memory>
#include <new>

/// What RocksDB 7.8 wants of the iterators that our memtables make for it.
namespace bobbin::disk::memtable {

/// The first base of a class whose destructor is all that is called, be it by `delete` or not: it is
/// destroyed last, and frees the whole. RocksDB wants an iterator to lie in its arena, whose type it does not
/// publish.
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

/// An iterator that MemTableRep::Get has made (GetDynamicPrefixIterator), of this thread: 7.8 never deletes
/// it.
template <typename Made>
class MadeForGet {
 public:
  MadeForGet() noexcept { here = this; }
  /// Outlived by what was made; who deletes it first says so with `forget`.
  ~MadeForGet() {
    here = nullptr;
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

  Made* made_ = nullptr;
};

}  // namespace bobbin::disk::memtable
