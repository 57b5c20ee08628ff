// What one call of the store costs: nanoseconds per operation, the median of several rounds.
//
//   store_micro [items] [threads]
//
// `hot` goes round 256 keys, so that table and documents are in the processor's caches; `cold` takes keys at
// random from the whole bucket.

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "store/bucket.h"

namespace {

using bobbin::base::Now;
using bobbin::store::Bucket;
using bobbin::store::BucketOptions;
using bobbin::store::DocKey;
using bobbin::store::Fetched;
using bobbin::store::StoreMode;

constexpr size_t kKeyBytes = 16;
constexpr uint32_t kValueBytes = 32;
constexpr size_t kHotKeys = 256;
constexpr size_t kBatch = 100;
constexpr int kRounds = 7;
constexpr Now kNow{uint64_t{1'700'000'000} * 1'000'000'000};

std::vector<DocKey> make_keys(std::string& storage, size_t count) {
  storage.resize(count * kKeyBytes);
  std::vector<DocKey> keys(count);
  for (size_t i = 0; i < count; ++i) {
    char* key = storage.data() + i * kKeyBytes;
    std::fill_n(key, kKeyBytes, '0');
    std::to_chars(key, key + kKeyBytes, i);
    keys[i] = std::string_view(key, kKeyBytes);
  }
  return keys;
}

struct Random {
  uint64_t state;
  uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
  }
};

bool set(Bucket& bucket, DocKey key) {
  auto draft = bucket.draft(key, 0, 0, kValueBytes, kNow);
  if (!draft) return false;
  std::memset(draft->value().data(), 'v', kValueBytes);
  return bucket.store(std::move(*draft), StoreMode::set, kNow).ok();
}

// Runs `work(thread, operations)` on every thread at once; the median over the rounds of ns per operation of
// one thread.
double measure(unsigned threads, size_t operations, const std::function<void(unsigned, size_t)>& work) {
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) {
    std::atomic<unsigned> ready{0};
    std::vector<std::thread> running;
    std::vector<double> took(threads);
    for (unsigned thread = 0; thread < threads; ++thread) {
      running.emplace_back([&, thread] {
        ready.fetch_add(1);
        while (ready.load() != threads)
          std::this_thread::yield();
        const auto begin = std::chrono::steady_clock::now();
        work(thread, operations);
        const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - begin;
        took[thread] = elapsed.count() / static_cast<double>(operations);
      });
    }
    for (std::thread& one : running)
      one.join();
    rounds.push_back(*std::max_element(took.begin(), took.end()));
  }
  std::nth_element(rounds.begin(), rounds.begin() + kRounds / 2, rounds.end());
  return rounds[kRounds / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const size_t items = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
  const unsigned threads = argc > 2 ? static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10)) : 1;
  BucketOptions options;
  options.quota_bytes = uint64_t{16} << 30;
  options.hash_seed = 12345;
  Bucket bucket(options);
  std::string storage;
  const std::vector<DocKey> keys = make_keys(storage, items);
  for (const DocKey key : keys) {
    if (!set(bucket, key)) return 1;
  }

  std::atomic<uint64_t> misses{0};
  const auto print = [](const char* what, double ns) { std::printf("%-32s %8.1f ns\n", what, ns); };
  std::printf("%zu items, %u thread(s), %s\n", items, threads, bobbin::store::allocator_name());
  print("fetch, hot", measure(threads, 2'000'000, [&](unsigned thread, size_t n) {
          for (size_t i = 0; i < n; ++i) {
            if (!bucket.fetch(keys[(thread * kHotKeys + i % kHotKeys) % items], kNow)) ++misses;
          }
        }));
  print("100 hot keys, fetch_many, a key", measure(threads, 2'000'000, [&](unsigned thread, size_t n) {
          std::vector<Fetched> found(kBatch);
          for (size_t i = 0; i < n; i += kBatch) {
            const size_t from = (thread * kHotKeys + i % kHotKeys) % (items - kBatch);
            bucket.fetch_many(std::span(keys).subspan(from, kBatch), found, kNow);
          }
        }));
  print("set overwrite, hot", measure(threads, 1'000'000, [&](unsigned thread, size_t n) {
          for (size_t i = 0; i < n; ++i)
            set(bucket, keys[(thread * kHotKeys + i % kHotKeys) % items]);
        }));
  print("fetch, cold", measure(threads, 1'000'000, [&](unsigned thread, size_t n) {
          Random random{88172645463325252U + thread};
          for (size_t i = 0; i < n; ++i) {
            if (!bucket.fetch(keys[random.next() % items], kNow)) ++misses;
          }
        }));
  const auto gather = [&](Random& random, std::vector<DocKey>& batch) {
    for (DocKey& key : batch)
      key = keys[random.next() % items];
  };
  print("100 cold keys, one by one, a key", measure(threads, 1'000'000, [&](unsigned thread, size_t n) {
          Random random{99172645463325252U + thread};
          std::vector<DocKey> batch(kBatch);
          std::vector<Fetched> found(kBatch);
          for (size_t i = 0; i < n; i += kBatch) {
            gather(random, batch);
            for (size_t k = 0; k < kBatch; ++k)
              found[k] = bucket.fetch(batch[k], kNow);
          }
        }));
  print("100 cold keys, fetch_many, a key", measure(threads, 1'000'000, [&](unsigned thread, size_t n) {
          Random random{77172645463325252U + thread};
          std::vector<DocKey> batch(kBatch);
          std::vector<Fetched> found(kBatch);
          for (size_t i = 0; i < n; i += kBatch) {
            gather(random, batch);
            bucket.fetch_many(batch, found, kNow);
          }
        }));
  print("set overwrite, cold", measure(threads, 1'000'000, [&](unsigned thread, size_t n) {
          Random random{66172645463325252U + thread};
          for (size_t i = 0; i < n; ++i)
            set(bucket, keys[random.next() % items]);
        }));
  return misses == 0 ? 0 : 1;
}
