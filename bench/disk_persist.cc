// What Persistence adds to RocksDB: its flushers beside the bare loop with the same layout, taking turns, the
// median of each and the ratio; or with mode=warmup, how fast documents come into memory.
//
//   disk_persist [name=value]...
//
// The store is filled by as many threads as there are shards, and waits where it is over the dirty limit: the
// time is that until all is on disk.
//
// mode=flush|warmup keys=fresh|overwritten range=50000 count=1000000 shards=2 value=100 rounds=3 dir=.
// linger_ms=20 commit_kb=64 eviction=value|full quota_mb=4096, and what disk_layout knows, for the bare
// loop.

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "disk/persistence.h"
#include "disk_layout.h"

namespace {

using bobbin::bench::BareShard;
using bobbin::bench::Keys;
using bobbin::bench::Settings;
using bobbin::bench::Stopwatch;
using bobbin::disk::Persistence;
using bobbin::disk::PersistenceOptions;
namespace store = bobbin::store;

struct Took {
  double seconds;
  double cpu_seconds;
};

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

[[noreturn]] void give_up(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(1);
}

PersistenceOptions options_of(const std::string& dir, const Settings& settings) {
  PersistenceOptions options;
  options.directory.path = dir;
  options.directory.shards = static_cast<uint32_t>(settings.number("shards", 2));
  // As the memtables of the bare loop.
  options.directory.memory_bytes =
      (settings.number("memtable_mb", 16) << 20U) * 8 * *options.directory.shards;
  options.directory.background_jobs_per_shard = static_cast<uint32_t>(settings.number("jobs", 4));
  options.bucket.quota_bytes = settings.number("quota_mb", 4096) << 20U;
  options.bucket.hash_seed = 1;
  options.bucket.eviction = settings.text("eviction", "value") == "full" ? store::EvictionPolicy::full
                                                                         : store::EvictionPolicy::value;
  options.linger = std::chrono::milliseconds(settings.number("linger_ms", 20));
  options.commit_bytes = settings.number("commit_kb", options.commit_bytes >> 10U) << 10U;
  return options;
}

std::unique_ptr<Persistence> open(const PersistenceOptions& options) {
  auto opened = Persistence::open(options);
  if (!opened) give_up(opened.error().message);
  return std::move(*opened);
}

void wait_for_room(Persistence& there) {
  for (uint16_t shard = 0; there.over_dirty_limit(); shard = shard == 0 ? 1 : 0) {
    const auto committed = std::make_shared<std::promise<void>>();
    there.after_commit(shard, [committed] { committed->set_value(); });
    committed->get_future().wait();
  }
}

void fill(Persistence& there, Keys keys, uint64_t count, const std::string& value) {
  const bobbin::base::SystemClock clock;
  store::Bucket& bucket = there.bucket();
  bobbin::base::Now now = clock.now();
  for (uint64_t i = 0; i < count; ++i) {
    if (i % 64 == 0) {
      now = clock.now();
      wait_for_room(there);
    }
    auto draft = bucket.draft(Keys::name(keys.next()), 0, 0, static_cast<uint32_t>(value.size()), now);
    if (!draft) give_up("out of memory");
    std::memcpy(draft->value().data(), value.data(), value.size());
    if (!bucket.store(std::move(*draft), store::StoreMode::set, now).ok()) give_up("not stored");
  }
}

void fill_all(Persistence& there, const Settings& settings, uint64_t each, uint32_t writers) {
  std::string value(settings.number("value", 100), 'v');
  uint64_t noise = 1;
  for (size_t i = 0; i < value.size() / 2; ++i)
    value[i] = static_cast<char>((noise = noise * 6364136223846793005U + 1442695040888963407U) >> 56U);
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < writers; ++i) {
    const Keys keys{settings.text("keys", "fresh"), settings.number("range", 50'000), i * each, i + 1};
    threads.emplace_back([&there, &value, keys, each] { fill(there, keys, each, value); });
  }
  for (std::thread& thread : threads)
    thread.join();
}

void wait_for_disk(Persistence& there) {
  for (uint32_t i = 0; i < there.bucket().vbucket_count(); ++i) {
    const auto vbucket = static_cast<uint16_t>(i);
    while (there.bucket().persisted_seqno(vbucket) < there.bucket().high_seqno(vbucket)) {
      const auto committed = std::make_shared<std::promise<void>>();
      there.after_commit(vbucket, [committed] { committed->set_value(); });
      committed->get_future().wait();
    }
  }
}

Took run_bare(const std::string& dir, const Settings& settings, uint32_t shards, uint64_t each) {
  std::vector<std::unique_ptr<BareShard>> all;
  for (uint32_t i = 0; i < shards; ++i)
    all.push_back(std::make_unique<BareShard>(dir + "/bare" + std::to_string(i), settings, i, shards));
  const Stopwatch watch;
  const double before = cpu_seconds();
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < shards; ++i) {
    const Keys keys{settings.text("keys", "fresh"), settings.number("range", 50'000) / shards, i * each,
                    i + 1};
    threads.emplace_back([&, i, keys] { all[i]->write(keys, each, settings.number("batch", 1000), true); });
  }
  for (std::thread& thread : threads)
    thread.join();
  return {watch.seconds(), cpu_seconds() - before};
}

Took run_persistence(const std::string& dir, const Settings& settings, uint32_t shards, uint64_t each) {
  const auto there = open(options_of(dir, settings));
  there->start();
  const Stopwatch watch;
  const double before = cpu_seconds();
  fill_all(*there, settings, each, shards);
  wait_for_disk(*there);
  const Took took{watch.seconds(), cpu_seconds() - before};
  const auto numbers = there->statistics();
  std::printf("  %llu commits, %.2f of the keys written, longest %.1f ms, index entries dropped %llu\n",
              static_cast<unsigned long long>(numbers.commits),
              static_cast<double>(numbers.flushed_items) / static_cast<double>(each * shards),
              static_cast<double>(numbers.longest_commit_us) / 1000,
              static_cast<unsigned long long>(numbers.shards.index_entries_dropped));
  return took;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void compare(const Settings& settings, const std::string& dir) {
  const auto shards = static_cast<uint32_t>(settings.number("shards", 2));
  const uint64_t each = settings.number("count", 1'000'000) / shards;
  // 0: bare, 1: ours.
  std::array<std::vector<double>, 2> rates;
  std::array<std::vector<double>, 2> costs;
  for (uint64_t round = 0; round < settings.number("rounds", 3); ++round) {
    for (const size_t which : {round % 2, 1 - round % 2}) {
      std::filesystem::remove_all(dir);
      std::filesystem::create_directories(dir);
      const Took took =
          which == 0 ? run_bare(dir, settings, shards, each) : run_persistence(dir, settings, shards, each);
      const auto keys = static_cast<double>(each * shards);
      rates[which].push_back(keys / took.seconds / 1000);
      costs[which].push_back(took.cpu_seconds * 1e6 / keys);
    }
  }
  std::printf("%s: bare RocksDB %.0f, Persistence %.0f thousand keys/s: %.2f; CPU %.2f and %.2f us a key\n",
              settings.text("keys", "fresh").c_str(), median(rates[0]), median(rates[1]),
              median(rates[1]) / median(rates[0]), median(costs[0]), median(costs[1]));
}

void warm_up(const Settings& settings, const std::string& dir) {
  const PersistenceOptions options = options_of(dir, settings);
  const uint64_t count = settings.number("count", 1'000'000);
  if (settings.number("keep", 0) == 0 || !std::filesystem::exists(dir + "/layout")) {
    std::filesystem::remove_all(dir);
    std::filesystem::create_directories(dir);
    const auto there = open(options);
    there->start();
    fill_all(*there, settings, count / 2, 2);
    if (auto closed = there->close(); !closed) give_up(closed.error().message);
  }
  for (uint64_t round = 0; round < settings.number("rounds", 3); ++round) {
    const Stopwatch opening;
    const auto there = open(options);
    there->start();
    const double opened = opening.seconds();
    const double cpu_before = cpu_seconds();
    while (!there->warmup().finished)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto warm = there->warmup();
    const double seconds = static_cast<double>(warm.elapsed_us) / 1e6;
    std::printf(
        "warmup: %llu documents, %llu values in %.2f s: %.2f million/s; CPU %.2f us each; opened in %.2f s\n",
        static_cast<unsigned long long>(warm.items_loaded),
        static_cast<unsigned long long>(warm.values_loaded), seconds,
        static_cast<double>(warm.items_loaded) / seconds / 1e6,
        (cpu_seconds() - cpu_before) * 1e6 / static_cast<double>(warm.items_loaded), opened);
    if (auto closed = there->close(); !closed) give_up(closed.error().message);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings(argc, argv);
  const std::string dir = settings.text("dir", ".") + "/disk_persist.data";
  if (settings.text("mode", "flush") == "warmup")
    warm_up(settings, dir);
  else
    compare(settings, dir);
  if (settings.number("keep", 0) == 0) std::filesystem::remove_all(dir);
}
