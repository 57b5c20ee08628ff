// Shard::commit beside a bare RocksDB loop with the same layout, taking turns; the median of each and the
// ratio.
//
//   disk_flush [name=value]...
//
// With space=1 also what the shards' files take afterwards, closed, and compacted.
//
// keys=fresh|overwritten range=50000 count=1000000 batch=1000 shards=2 value=100 sync=1 rounds=5 dir=. and
// what disk_layout knows, for the bare loop.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>

#include "disk/shard.h"
#include "disk_layout.h"

namespace {

using bobbin::bench::BareShard;
using bobbin::bench::Keys;
using bobbin::bench::kVBuckets;
using bobbin::bench::Settings;
using bobbin::bench::Stopwatch;
using bobbin::bench::vbucket_of;
using bobbin::disk::Change;
using bobbin::disk::Resources;
using bobbin::disk::Shard;
using bobbin::disk::ShardOptions;
using bobbin::disk::Sync;

double on_each(uint32_t shards, const std::function<void(uint32_t)>& work) {
  const Stopwatch watch;
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < shards; ++i)
    threads.emplace_back([&, i] { work(i); });
  for (std::thread& thread : threads)
    thread.join();
  return watch.seconds();
}

void write(Shard& shard, Keys keys, uint64_t count, const Settings& settings, uint32_t number,
           uint32_t shards) {
  const uint64_t batch = settings.number("batch", 1000);
  const std::string value(settings.number("value", 100), 'v');
  const Sync sync = settings.number("sync", 1) != 0 ? Sync::yes : Sync::no;
  std::vector<uint64_t> seqnos(kVBuckets);
  std::vector<std::string> names(batch);
  std::vector<Change> changes(batch);
  for (uint64_t done = 0; done < count; done += batch) {
    for (uint64_t i = 0; i < batch; ++i) {
      const uint64_t key = keys.next();
      names[i] = Keys::name(key);
      Change& change = changes[i];
      change.vbucket = static_cast<uint16_t>(vbucket_of(key, number, shards));
      change.key = names[i];
      change.record.seqno = ++seqnos[change.vbucket];
      change.record.value = value;
    }
    const auto committed = shard.commit(changes, {}, sync);
    if (committed) continue;
    std::fprintf(stderr, "%s\n", committed.error().message.c_str());
    std::exit(1);
  }
}

Keys keys_of(const Settings& settings, uint32_t number, uint32_t shards) {
  return {settings.text("keys", "fresh"), settings.number("range", 50'000) / shards,
          number * settings.number("count", 1'000'000), number + 1};
}

double run_bare(const std::string& dir, const Settings& settings, uint32_t shards, uint64_t each) {
  std::vector<std::unique_ptr<BareShard>> all;
  for (uint32_t i = 0; i < shards; ++i)
    all.push_back(std::make_unique<BareShard>(dir + "/bare" + std::to_string(i), settings, i, shards));
  return on_each(shards, [&](uint32_t i) {
    all[i]->write(keys_of(settings, i, shards), each, settings.number("batch", 1000),
                  settings.number("sync", 1) != 0);
  });
}

void tell_space(const std::vector<std::unique_ptr<Shard>>& shards) {
  const auto mib = [&] {
    uint64_t bytes = 0;
    for (const auto& shard : shards)
      bytes += shard->statistics().file_bytes;
    return static_cast<double>(bytes) / (1U << 20U);
  };
  const double before = mib();
  for (const auto& shard : shards)
    (void)shard->compact();
  std::printf("files: %.0f MiB, compacted %.0f MiB\n", before, mib());
}

double run_shards(const std::string& dir, const Settings& settings, uint32_t shards, uint64_t each) {
  // Memtables of the same size as the bare loop's.
  const auto resources =
      std::make_shared<Resources>((settings.number("memtable_mb", 64) << 20U) * 8 * shards, shards);
  std::vector<std::unique_ptr<Shard>> all;
  for (uint32_t i = 0; i < shards; ++i) {
    ShardOptions options;
    options.path = dir + "/shard" + std::to_string(i);
    options.create = true;
    options.vbuckets = kVBuckets;
    options.resources = resources;
    options.background_jobs = static_cast<uint32_t>(settings.number("jobs", 4));
    auto opened = Shard::open(options);
    if (!opened) {
      std::fprintf(stderr, "%s\n", opened.error().message.c_str());
      std::exit(1);
    }
    all.push_back(std::move(*opened));
  }
  return on_each(
      shards, [&](uint32_t i) { write(*all[i], keys_of(settings, i, shards), each, settings, i, shards); });
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings(argc, argv);
  const auto shards = static_cast<uint32_t>(settings.number("shards", 2));
  const uint64_t each = settings.number("count", 1'000'000) / shards;
  std::vector<double> bare;
  std::vector<double> ours;
  for (uint64_t round = 0; round < settings.number("rounds", 5); ++round) {
    const std::string dir = settings.text("dir", ".") + "/disk_flush.data";
    for (const bool is_bare : {round % 2 == 0, round % 2 != 0}) {
      std::filesystem::remove_all(dir);
      std::filesystem::create_directories(dir);
      const double seconds =
          is_bare ? run_bare(dir, settings, shards, each) : run_shards(dir, settings, shards, each);
      (is_bare ? bare : ours).push_back(static_cast<double>(each * shards) / seconds / 1000);
    }
    std::filesystem::remove_all(dir);
  }
  std::sort(bare.begin(), bare.end());
  std::sort(ours.begin(), ours.end());
  const double middle = bare[bare.size() / 2];
  const double our_middle = ours[ours.size() / 2];
  std::printf("%s: bare RocksDB %.0f, Shard::commit %.0f thousand keys/s: %.2f\n",
              settings.text("keys", "fresh").c_str(), middle, our_middle, our_middle / middle);
}
