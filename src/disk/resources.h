#pragma once

#include <cstdint>
#include <memory>

namespace bobbin::disk {

/// The memory that all shards of a server share, with one budget: RocksDB's block cache, into which indexes,
/// filters and the memtables are counted. Any thread. Outlives the shards that were opened with it.
///
/// The budget bounds what is kept, not what is in use at one instant: blocks that a read or an iterator
/// holds, and memtables on their way to disk, may exceed it for as long as that takes.
class Resources {
 public:
  struct Impl;

  /// Half of the budget is for memtables at most; `shards` decides how large one may get.
  Resources(uint64_t budget_bytes, uint32_t shards);
  ~Resources();
  Resources(const Resources&) = delete;
  Resources& operator=(const Resources&) = delete;

  [[nodiscard]] uint64_t budget_bytes() const noexcept;
  /// Everything: blocks, indexes, filters, memtables.
  [[nodiscard]] uint64_t used_bytes() const;
  [[nodiscard]] uint64_t memtable_bytes() const;
  /// The part that cannot be given up at the moment.
  [[nodiscard]] uint64_t pinned_bytes() const;

  [[nodiscard]] const Impl& impl() const noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace bobbin::disk
