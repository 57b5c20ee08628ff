// Shard::commit beside a bare RocksDB loop with the same layout, taking turns; the median of each and the
// ratio.
//
//   disk_flush [name=value]...
//
// With space=1 also what the shards' files take afterwards, closed, and compacted.
//
// The filter of the index asks a table of the keys' seqnos, as it would ask a store that has all keys in
// memory; with freshness=0 it asks nobody and looks into the documents instead.
//
// keys=fresh|overwritten range=50000 count=1000000 batch=1000 shards=2 value=100 sync=1 rounds=5 dir=. and
// what disk_layout knows, for the bare loop.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <thread>
#include <unordered_map>

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
using bobbin::disk::Freshness;
using bobbin::disk::Resources;
using bobbin::disk::Shard;
using bobbin::disk::ShardOptions;
using bobbin::disk::Sync;

struct Took {
  double seconds;
  double cpu_seconds;
};

Took on_each(uint32_t shards, const std::function<void(uint32_t)>& work) {
  const Stopwatch watch;
  const std::clock_t before = std::clock();
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < shards; ++i)
    threads.emplace_back([&, i] { work(i); });
  for (std::thread& thread : threads)
    thread.join();
  return {watch.seconds(), static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC};
}

/// What a store knows: the persisted seqno of every key. Only the values change.
class KnownKeys {
 public:
  KnownKeys(uint64_t first, uint64_t count) : seqnos_(count) {
    for (uint64_t i = 0; i < count; ++i)
      places_.emplace(Keys::name(first + i), i);
  }
  void persisted(const std::string& name, uint64_t seqno) { seqnos_[places_.at(name)] = seqno; }
  [[nodiscard]] Freshness ask(std::string_view key, uint64_t seqno) const {
    const auto found = places_.find(std::string(key));
    if (found == places_.end()) return Freshness::unknown;
    return seqnos_[found->second] > seqno ? Freshness::superseded : Freshness::current;
  }

 private:
  std::unordered_map<std::string, uint64_t> places_;
  std::vector<std::atomic<uint64_t>> seqnos_;
};

void write(Shard& shard, KnownKeys* known, Keys keys, uint64_t count, const Settings& settings,
           uint32_t number, uint32_t shards) {
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
    for (const Change& change : changes) {
      if (known != nullptr) known->persisted(std::string(change.key.name()), change.record.seqno);
    }
    if (committed) continue;
    std::fprintf(stderr, "%s\n", committed.error().message.c_str());
    std::exit(1);
  }
}

uint64_t first_key(const Settings& settings, uint32_t number) {
  return number * settings.number("count", 1'000'000);
}

Keys keys_of(const Settings& settings, uint32_t number, uint32_t shards) {
  return {settings.text("keys", "fresh"), settings.number("range", 50'000) / shards,
          first_key(settings, number), number + 1};
}

Took run_bare(const std::string& dir, const Settings& settings, uint32_t shards, uint64_t each) {
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

Took run_shards(const std::string& dir, const Settings& settings, uint32_t shards, uint64_t each) {
  const auto resources =
      std::make_shared<Resources>((settings.number("memtable_mb", 16) << 20U) * 8 * shards, shards);
  const bool repeats = settings.text("keys", "fresh") == "overwritten";
  std::vector<std::unique_ptr<KnownKeys>> known(shards);
  std::vector<std::unique_ptr<Shard>> all;
  for (uint32_t i = 0; i < shards; ++i) {
    ShardOptions options;
    if (settings.number("freshness", 1) != 0) {
      known[i] = repeats ? std::make_unique<KnownKeys>(0, settings.number("range", 50'000) / shards)
                         : std::make_unique<KnownKeys>(first_key(settings, i), each);
      options.freshness = [keys = known[i].get()](uint16_t, bobbin::store::DocKey key, uint64_t seqno) {
        return keys->ask(key.name(), seqno);
      };
    }
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
  const Took took = on_each(shards, [&](uint32_t i) {
    write(*all[i], known[i].get(), keys_of(settings, i, shards), each, settings, i, shards);
  });
  if (settings.number("space", 0) != 0) tell_space(all);
  return took;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings(argc, argv);
  const auto shards = static_cast<uint32_t>(settings.number("shards", 2));
  const uint64_t each = settings.number("count", 1'000'000) / shards;
  // 0: bare, 1: ours.
  std::array<std::vector<double>, 2> rates;
  std::array<std::vector<double>, 2> costs;
  for (uint64_t round = 0; round < settings.number("rounds", 5); ++round) {
    const std::string dir = settings.text("dir", ".") + "/disk_flush.data";
    for (const size_t which : {round % 2, 1 - round % 2}) {
      std::filesystem::remove_all(dir);
      std::filesystem::create_directories(dir);
      const Took took =
          which == 0 ? run_bare(dir, settings, shards, each) : run_shards(dir, settings, shards, each);
      const auto keys = static_cast<double>(each * shards);
      rates[which].push_back(keys / took.seconds / 1000);
      costs[which].push_back(took.cpu_seconds * 1e6 / keys);
    }
    std::filesystem::remove_all(dir);
  }
  std::printf("%s: bare RocksDB %.0f, Shard::commit %.0f thousand keys/s; CPU %.2f and %.2f us a key: %.2f\n",
              settings.text("keys", "fresh").c_str(), median(rates[0]), median(rates[1]), median(costs[0]),
              median(costs[1]), median(costs[0]) / median(costs[1]));
}
