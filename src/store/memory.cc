#include "store/memory.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>

#if defined(BOBBIN_JEMALLOC)
#include <jemalloc/jemalloc.h>
#else
#include <malloc.h>
#endif

#if defined(BOBBIN_JEMALLOC)
// Read by jemalloc when the process starts. What is freed goes back to the kernel within seconds, also when
// no thread allocates any more; docs/memory.md has the figures.
extern "C" const char* malloc_conf;
const char* malloc_conf = "background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:0";
#endif

namespace bobbin::store {

namespace {

constexpr size_t kCacheLineBytes = 64;

constinit std::array<MemoryAccount, MemoryAccount::kMaxAccounts> g_accounts{};
constinit std::atomic<uint32_t> g_threads{0};
constexpr uint32_t kUnnumbered = UINT32_MAX;
constinit thread_local uint32_t t_thread_number = kUnnumbered;

}  // namespace

#if defined(BOBBIN_JEMALLOC)

void* allocate_bytes(size_t bytes) noexcept {
  return mallocx(bytes, 0);
}
void* allocate_cache_lines(size_t bytes) noexcept {
  return mallocx(bytes, MALLOCX_ALIGN(kCacheLineBytes));
}
void free_bytes(void* memory, size_t bytes) noexcept {
  sdallocx(memory, bytes, 0);
}
void free_cache_lines(void* memory, size_t bytes) noexcept {
  sdallocx(memory, bytes, MALLOCX_ALIGN(kCacheLineBytes));
}
size_t allocated_size(const void* /*memory*/, size_t bytes) noexcept {
  return nallocx(bytes, 0);
}
const char* allocator_name() noexcept {
  return "jemalloc";
}

AllocatorStatistics allocator_statistics() noexcept {
  // jemalloc's numbers are those of the last epoch.
  uint64_t epoch = 1;
  size_t bytes = sizeof epoch;
  (void)mallctl("epoch", &epoch, &bytes, &epoch, sizeof epoch);
  const auto read = [](const char* name) {
    size_t value = 0;
    size_t size = sizeof value;
    return mallctl(name, &value, &size, nullptr, 0) == 0 ? uint64_t{value} : 0;
  };
  return {.allocated_bytes = read("stats.allocated"),
          .active_bytes = read("stats.active"),
          .metadata_bytes = read("stats.metadata"),
          .resident_bytes = read("stats.resident"),
          .mapped_bytes = read("stats.mapped"),
          .retained_bytes = read("stats.retained")};
}

std::string allocator_report() {
  std::string report;
  const auto append = [](void* to, const char* text) { static_cast<std::string*>(to)->append(text); };
  // Without arenas one by one, and without size classes.
  malloc_stats_print(append, &report, "abl");
  return report;
}

bool release_free_memory() noexcept {
  static_assert(MALLCTL_ARENAS_ALL == 4096, "the arena below is all of them");
  return mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0) == 0;
}

#else

// The C allocator rather than operator new: it can fail without an exception and tell what it really gave.
void* allocate_bytes(size_t bytes) noexcept {
  return std::malloc(bytes);
}
void* allocate_cache_lines(size_t bytes) noexcept {
  return std::aligned_alloc(kCacheLineBytes, bytes);
}
void free_bytes(void* memory, size_t /*bytes*/) noexcept {
  std::free(memory);
}
void free_cache_lines(void* memory, size_t /*bytes*/) noexcept {
  std::free(memory);
}
size_t allocated_size(const void* memory, size_t /*bytes*/) noexcept {
  return malloc_usable_size(const_cast<void*>(memory));
}
const char* allocator_name() noexcept {
  return "system";
}

AllocatorStatistics allocator_statistics() noexcept {
  const struct mallinfo2 all = mallinfo2();
  return {.allocated_bytes = all.uordblks + all.hblkhd, .mapped_bytes = all.arena + all.hblkhd};
}

std::string allocator_report() {
  return {};
}

bool release_free_memory() noexcept {
  (void)malloc_trim(0);
  return true;
}

#endif

MemoryAccount* MemoryAccount::open(uint64_t quota_bytes) noexcept {
  for (MemoryAccount& account : g_accounts) {
    if (account.open_.load(std::memory_order_acquire) || account.used_bytes() != 0) continue;
    bool expected = false;
    if (!account.open_.compare_exchange_strong(expected, true)) continue;
    account.set_quota_bytes(quota_bytes);
    return &account;
  }
  return nullptr;
}

size_t MemoryAccount::available() noexcept {
  return static_cast<size_t>(std::ranges::count_if(g_accounts, [](const MemoryAccount& account) {
    return !account.open_.load(std::memory_order_acquire) && account.used_bytes() == 0;
  }));
}

MemoryAccount& MemoryAccount::by_id(uint8_t id) noexcept {
  return g_accounts[id];
}

uint8_t MemoryAccount::id() const noexcept {
  return static_cast<uint8_t>(this - g_accounts.data());
}

uint32_t MemoryAccount::thread_number() noexcept {
  if (t_thread_number == kUnnumbered) [[unlikely]] {
    t_thread_number = g_threads.fetch_add(1, std::memory_order_relaxed);
  }
  return t_thread_number;
}

void MemoryAccount::add(int64_t bytes) noexcept {
  std::atomic<int64_t>& shard = shards_[thread_number() % kShards].bytes;
  const int64_t grown = shard.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  const int64_t step = step_.load(std::memory_order_relaxed);
  if (grown > step || grown < -step) {
    // Added to the sum before it leaves the shard would count twice for a moment, the other way round not at
    // all; a reader that decides about memory shall err towards too much.
    sum_.fetch_add(grown, std::memory_order_relaxed);
    shard.fetch_sub(grown, std::memory_order_relaxed);
  }
}

uint64_t MemoryAccount::used_bytes() const noexcept {
  int64_t used = sum_.load(std::memory_order_relaxed);
  for (const Shard& shard : shards_)
    used += shard.bytes.load(std::memory_order_relaxed);
  return used < 0 ? 0 : static_cast<uint64_t>(used);
}

void MemoryAccount::set_quota_bytes(uint64_t bytes) noexcept {
  quota_.store(bytes, std::memory_order_relaxed);
  // What 31 other threads hold back is below 0.8 % of any quota...
  constexpr uint64_t kQuotaPerStep = 4096;
  step_.store(std::clamp<int64_t>(static_cast<int64_t>(bytes / kQuotaPerStep), 1, kLargestStepBytes),
              std::memory_order_relaxed);
  // ...and also what they held back when the step was larger.
  for (Shard& shard : shards_) {
    sum_.fetch_add(shard.bytes.exchange(0, std::memory_order_relaxed), std::memory_order_relaxed);
  }
}

bool MemoryAccount::is_over_quota(uint64_t headroom) const noexcept {
  const int64_t others = std::min<int64_t>(g_threads.load(std::memory_order_relaxed), kShards) - 1;
  const int64_t known = sum_.load(std::memory_order_relaxed) +
                        shards_[thread_number() % kShards].bytes.load(std::memory_order_relaxed);
  const int64_t worst = known + std::max<int64_t>(others, 0) * step_bytes() + static_cast<int64_t>(headroom);
  return worst > 0 && static_cast<uint64_t>(worst) > quota_bytes();
}

}  // namespace bobbin::store
