// What the candidate layouts cost on bare RocksDB; docs/disk.md has the table.
//
//   disk_layout MODE [name=value]...
//
// MODE  write    keys=fresh|overwritten range=50000 count=1000000 batch=1000 sync=1
//       iterate  the documents in key order
//       stream   every vbucket in seqno order
//       get      at random, over a cache of a tenth (cache_mb)
//       space    after `rounds` overwrites of `range` items: at once, when RocksDB has settled, compacted
// Everywhere: dir=. shards=2 layout=A|B value=100 index=1 sorted=1 hint=1 memtable=skiplist|vector|hash
// index_memtable= memtable_mb=16 memtable_bloom=0 block=8192 bloom=10 compression=lz4 bottom=lz4|zstd|none
// jobs=4 recycle=0 blob_from=0 blob_cutoff=25 blob_force=100

#include "disk_layout.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <thread>

namespace {

using bobbin::bench::BareShard;
using bobbin::bench::Keys;
using bobbin::bench::kVBuckets;
using bobbin::bench::Settings;
using bobbin::bench::Stopwatch;

using Shards = std::vector<std::unique_ptr<BareShard>>;

double on_each(Shards& shards, const std::function<void(BareShard&, uint32_t)>& work) {
  const Stopwatch watch;
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < shards.size(); ++i)
    threads.emplace_back([&, i] { work(*shards[i], i); });
  for (std::thread& thread : threads)
    thread.join();
  return watch.seconds();
}

void report(const char* what, uint64_t count, double seconds) {
  std::printf("%-24s %10.0f thousand/s  (%llu in %.2f s)\n", what,
              static_cast<double>(count) / seconds / 1000, static_cast<unsigned long long>(count), seconds);
  std::fflush(stdout);
}

void fill(Shards& shards, const Settings& settings) {
  const uint64_t each = settings.number("count", 1'000'000) / shards.size();
  on_each(shards, [&](BareShard& shard, uint32_t i) {
    shard.write(Keys("fresh", 0, i * each, i + 1), each, 1000, false);
    if (settings.number("compacted", 1) != 0) shard.compact();
  });
}

void measure_space(Shards& shards, const Settings& settings) {
  const uint64_t each = settings.number("range", 1'000'000) / shards.size();
  const uint64_t rounds = settings.number("rounds", 10);
  const auto files = [&] {
    uint64_t bytes = 0;
    for (const auto& shard : shards)
      bytes += shard->file_bytes();
    return static_cast<double>(bytes) / (1U << 20U);
  };
  const double seconds = on_each(shards, [&](BareShard& shard, uint32_t i) {
    for (uint64_t round = 0; round < rounds; ++round)
      shard.write(Keys("fresh", 0, i * each, i + 1), each, 1000, false);
  });
  report("overwritten", each * shards.size() * rounds, seconds);
  std::printf(
      "on disk %.0f MiB of %.0f MiB live\n", files(),
      static_cast<double>(each * shards.size() * (18 + 31 + settings.number("value", 100))) / (1U << 20U));
  on_each(shards, [](BareShard& shard, uint32_t) { shard.settle(); });
  std::printf("settled %.0f MiB\n", files());
  on_each(shards, [](BareShard& shard, uint32_t) { shard.compact(); });
  std::printf("compacted %.0f MiB\n", files());
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings(argc, argv);
  const std::string mode = argc > 1 ? argv[1] : "write";
  const auto count = settings.number("count", 1'000'000);
  const auto shard_count = static_cast<uint32_t>(settings.number("shards", 2));
  const std::string dir = settings.text("dir", ".") + "/disk_layout.data";
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  Shards shards;
  for (uint32_t i = 0; i < shard_count; ++i)
    shards.push_back(std::make_unique<BareShard>(dir + "/" + std::to_string(i), settings, i, shard_count));
  const uint64_t each = count / shard_count;

  if (mode == "write") {
    const std::string order = settings.text("keys", "fresh");
    report(order.c_str(), each * shard_count, on_each(shards, [&](BareShard& shard, uint32_t i) {
             shard.write(Keys(order, settings.number("range", 50'000) / shard_count, i * each, i + 1), each,
                         settings.number("batch", 1000), settings.number("sync", 1) != 0);
           }));
  } else if (mode == "space") {
    measure_space(shards, settings);
  } else {
    fill(shards, settings);
    if (mode == "iterate")
      report("key order", count, on_each(shards, [](BareShard& shard, uint32_t) { shard.iterate(); }));
    if (mode == "stream") {
      report("seqno order", count, on_each(shards, [&](BareShard& shard, uint32_t i) {
               for (uint32_t vbucket = i; vbucket < kVBuckets; vbucket += shard_count)
                 shard.stream(vbucket);
             }));
    }
    if (mode == "get") {
      const uint64_t gets = settings.number("gets", 200'000) / shard_count;
      report("random gets", gets * shard_count, on_each(shards, [&](BareShard& shard, uint32_t i) {
               Keys keys("overwritten", each, 0, i + 7);
               for (uint64_t k = 0; k < gets; ++k)
                 shard.get(i * each + keys.next());
             }));
    }
  }
  shards.clear();
  std::filesystem::remove_all(dir);
}
