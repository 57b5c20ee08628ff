// What a document costs in resident memory, against what the store has counted.
//
//   store_memory [items] [fill-again rounds]
//
// Keys of 16 bytes. First values of 32 bytes, then overwritten at random with the same size, then with sizes
// of 16 to 215 bytes, then in a bucket that is full and evicts, and at last after a flush.

#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include "store/bucket.h"

namespace {

using bobbin::base::Now;
using bobbin::store::Bucket;
using bobbin::store::BucketOptions;
using bobbin::store::Statistics;
using bobbin::store::StoreMode;

constexpr Now kNow{uint64_t{1'700'000'000} * 1'000'000'000};
constexpr size_t kKeyBytes = 16;
constexpr double kMiB = 1024.0 * 1024.0;

uint64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  unsigned long long total = 0;
  unsigned long long resident = 0;
  if (std::fscanf(file, "%llu %llu", &total, &resident) != 2) resident = 0;
  std::fclose(file);
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void set(Bucket& bucket, uint64_t number, uint32_t value_len) {
  char key[kKeyBytes];
  std::memset(key, '0', sizeof key);
  std::to_chars(key, key + sizeof key, number);
  auto draft = bucket.draft(std::string_view(key, sizeof key), 0, 0, value_len, kNow);
  if (!draft) std::abort();
  std::memset(draft->value().data(), 'v', value_len);
  bucket.store(std::move(*draft), StoreMode::set, kNow);
}

struct Random {
  uint64_t state = 88172645463325252U;
  uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
  }
};

template <typename Work>
void run(const char* what, Bucket& bucket, uint64_t operations, Work&& work) {
  const auto begin = std::chrono::steady_clock::now();
  for (uint64_t i = 0; i < operations; ++i)
    work(i);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
  const Statistics statistics = bucket.statistics();
  const auto resident = static_cast<double>(resident_bytes());
  const auto used = static_cast<double>(statistics.used_bytes);
  std::printf("%-26s %6.0f ns a step  resident %7.1f MiB  counted %7.1f MiB", what,
              took.count() / static_cast<double>(operations), resident / kMiB, used / kMiB);
  if (statistics.items != 0)
    std::printf("  resident/counted %.3f  resident an item %.1f", resident / used,
                resident / static_cast<double>(statistics.items));
  std::printf("\n");
}

uint32_t mixed(Random& random) {
  return 16 + static_cast<uint32_t>((random.next() >> 40) % 200);
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t items = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 5'000'000;
  const uint64_t rounds = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 2;
  std::printf("%s, %llu items, resident at the start %.1f MiB\n", bobbin::store::allocator_name(),
              static_cast<unsigned long long>(items), static_cast<double>(resident_bytes()) / kMiB);
  BucketOptions options;
  options.quota_bytes = uint64_t{64} << 30;
  options.hash_seed = 7;
  Random random;
  Bucket bucket(options);
  run("filled, 32 bytes", bucket, items, [&](uint64_t i) { set(bucket, i, 32); });
  run("overwritten, 32 bytes", bucket, items * rounds,
      [&](uint64_t) { set(bucket, random.next() % items, 32); });
  run("overwritten, 16-215 bytes", bucket, items * rounds,
      [&](uint64_t) { set(bucket, random.next() % items, mixed(random)); });
  const auto drop_all = [&](uint64_t) {
    bucket.flush(kNow);
    while (bucket.sweep_garbage(1000, kNow)) {
    }
    // jemalloc gives pages back over its decay time, 5 seconds.
    std::this_thread::sleep_for(std::chrono::seconds(7));
  };
  run("flushed, 7 s later", bucket, 1, drop_all);
  bucket.set_quota_bytes(items * 100);
  run("full and evicting, 16-215", bucket, items * rounds * 2,
      [&](uint64_t i) { set(bucket, items + i, mixed(random)); });
  return 0;
}
