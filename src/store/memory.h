#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace bobbin::store {

/// The allocator behind documents and tables: jemalloc, or the system's (BOBBIN_ALLOCATOR at build time).
/// Both return null when there is nothing left.
[[nodiscard]] void* allocate_bytes(size_t bytes) noexcept;
[[nodiscard]] void* allocate_cache_lines(size_t bytes) noexcept;
/// `bytes` as they were asked for.
void free_bytes(void* memory, size_t bytes) noexcept;
void free_cache_lines(void* memory, size_t bytes) noexcept;
/// What the allocator really gave for `bytes`: the charge.
[[nodiscard]] size_t allocated_size(const void* memory, size_t bytes) noexcept;
/// The name for statistics and the log: "jemalloc" or "system".
[[nodiscard]] const char* allocator_name() noexcept;

/// Of the whole process, as the allocator counts; 0 what it does not. A few microseconds.
struct AllocatorStatistics {
  uint64_t allocated_bytes = 0;  ///< to whoever asked
  uint64_t active_bytes = 0;     ///< pages that hold something of these
  uint64_t metadata_bytes = 0;   ///< its own
  uint64_t resident_bytes = 0;   ///< pages that are in memory, at most
  uint64_t mapped_bytes = 0;
  uint64_t retained_bytes = 0;  ///< given back to the kernel, their addresses kept
};
[[nodiscard]] AllocatorStatistics allocator_statistics() noexcept;
/// What the allocator tells of itself, for people: a few thousand bytes, or nothing. Takes its locks one
/// after the other, for about a millisecond.
[[nodiscard]] std::string allocator_report();
/// Gives the pages that hold nothing back to the kernel. False where the allocator cannot. As long as that
/// takes, with its locks: not for a loop.
[[nodiscard]] bool release_free_memory() noexcept;

/// Counts the bytes of one bucket against its quota. Any thread.
///
/// Each thread adds to one of 32 shards, and moves it to the shared sum when it has grown past step_bytes()
/// in either direction. So used_bytes() is exact when nobody is adding, and adding threads do not meet; what
/// one thread cannot see is at most step_bytes() for each other thread, and is_over_quota() assumes the worst
/// of it.
///
/// Accounts live in one static table, so that a document names its account in 8 bits and may outlive the
/// bucket. A closed account is given out again when all that was charged to it has come back.
class MemoryAccount {
 public:
  static constexpr size_t kMaxAccounts = 256;
  static constexpr size_t kShards = 32;
  static constexpr int64_t kLargestStepBytes = 16 * 1024;

  constexpr MemoryAccount() = default;
  MemoryAccount(const MemoryAccount&) = delete;
  MemoryAccount& operator=(const MemoryAccount&) = delete;

  /// A free account, or null when all 256 are taken.
  [[nodiscard]] static MemoryAccount* open(uint64_t quota_bytes) noexcept;
  /// How many could be opened now.
  [[nodiscard]] static size_t available() noexcept;
  void close() noexcept { open_.store(false, std::memory_order_release); }
  [[nodiscard]] static MemoryAccount& by_id(uint8_t id) noexcept;
  [[nodiscard]] uint8_t id() const noexcept;

  void charge(size_t bytes) noexcept { add(static_cast<int64_t>(bytes)); }
  void credit(size_t bytes) noexcept { add(-static_cast<int64_t>(bytes)); }

  [[nodiscard]] uint64_t used_bytes() const noexcept;
  [[nodiscard]] uint64_t quota_bytes() const noexcept { return quota_.load(std::memory_order_relaxed); }
  void set_quota_bytes(uint64_t bytes) noexcept;
  [[nodiscard]] int64_t step_bytes() const noexcept { return step_.load(std::memory_order_relaxed); }
  /// True when `headroom` more bytes might not fit; errs on the side of true.
  [[nodiscard]] bool is_over_quota(uint64_t headroom) const noexcept;

 private:
  struct alignas(64) Shard {
    std::atomic<int64_t> bytes{0};
  };

  /// A number for the calling thread, from 0.
  [[nodiscard]] static uint32_t thread_number() noexcept;
  void add(int64_t bytes) noexcept;

  std::atomic<bool> open_{false};
  std::atomic<uint64_t> quota_{0};
  std::atomic<int64_t> step_{kLargestStepBytes};
  alignas(64) std::atomic<int64_t> sum_{0};
  std::array<Shard, kShards> shards_{};
};

}  // namespace bobbin::store
