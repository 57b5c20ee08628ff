// Random gets on a bucket that is several times larger than its memory, beside what RocksDB alone gives for
// the same keys from as many threads, on the same files with the same caches: they take turns, and the
// medians and their ratio are printed.
//
//   disk_gets [name=value]...
//
// Bobbin's gets wait for the bucket's readers as a session does, `waiting` of them at a time: whoever finds a
// value on disk only asks for the key and runs again when it is there. RocksDB's are Shard::get from plain
// threads.
//
// count=1000000 value=400 times=10 readers=4 waiting=256 seconds=3 rounds=3 eviction=full|value shards=2
// dir=.

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "disk/persistence.h"
#include "disk_layout.h"

namespace {

using bobbin::bench::Keys;
using bobbin::bench::Settings;
using bobbin::bench::Stopwatch;
using bobbin::disk::Fetching;
using bobbin::disk::Persistence;
namespace store = bobbin::store;

[[noreturn]] void give_up(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::exit(1);
}

struct Plan {
  uint64_t count;
  uint64_t value;
  uint64_t quota;
  uint64_t disk_memory;
  uint32_t readers;
  size_t waiting;
  double seconds;
};

std::unique_ptr<Persistence> open(const std::string& dir, const Settings& settings, const Plan& plan,
                                  uint64_t quota) {
  bobbin::disk::PersistenceOptions options;
  options.directory.path = dir;
  options.directory.shards = static_cast<uint32_t>(settings.number("shards", 2));
  options.directory.memory_bytes = plan.disk_memory;
  options.bucket.quota_bytes = quota;
  options.bucket.hash_seed = 1;
  options.bucket.eviction = settings.text("eviction", "full") == "full" ? store::EvictionPolicy::full
                                                                        : store::EvictionPolicy::value;
  options.readers = plan.readers;
  auto opened = Persistence::open(options);
  if (!opened) give_up(opened.error().message);
  return std::move(*opened);
}

void fill(Persistence& there, const Plan& plan) {
  const bobbin::base::SystemClock clock;
  // Half of it cannot be compressed.
  std::string value(plan.value, 'v');
  uint64_t noise = 1;
  for (size_t i = 0; i < value.size() / 2; ++i)
    value[i] = static_cast<char>((noise = noise * 6364136223846793005U + 1442695040888963407U) >> 56U);
  for (uint64_t i = 0; i < plan.count; ++i) {
    if (i % 4096 == 0 && there.over_dirty_limit()) {
      if (auto done = there.bring_to_disk(); !done) give_up(done.error().message);
    }
    auto draft = there.bucket().draft(Keys::name(i), 0, 0, static_cast<uint32_t>(value.size()), clock.now());
    if (!draft) give_up("out of memory");
    std::memcpy(draft->value().data(), value.data(), value.size());
    if (!there.bucket().store(std::move(*draft), store::StoreMode::set, clock.now()).ok())
      give_up("not stored");
  }
}

double gets_of_rocksdb(Persistence& there, const Plan& plan) {
  std::atomic<uint64_t> total{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  const Stopwatch watch;
  for (uint32_t i = 0; i < plan.readers; ++i) {
    threads.emplace_back([&, i] {
      Keys keys("overwritten", plan.count, 0, i + 1);
      uint64_t done = 0;
      for (; !stop.load(std::memory_order_relaxed); ++done) {
        const std::string name = Keys::name(keys.next());
        const store::DocKey key(name);
        const uint16_t vbucket = there.bucket().vbucket_of(key);
        const auto found = there.directory().shard(there.directory().shard_number(vbucket)).get(vbucket, key);
        if (!found || !*found) give_up("a key is missing");
      }
      total += done;
    });
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(plan.seconds));
  stop = true;
  for (std::thread& thread : threads)
    thread.join();
  return static_cast<double>(total) / watch.seconds();
}

// The requests that can go on, by their number.
class Ready {
 public:
  void push(size_t request) {
    std::unique_lock lock(mutex_);
    ready_.push_back(request);
    const bool is_first = ready_.size() == 1;
    lock.unlock();
    if (is_first) changed_.notify_one();
  }
  // Everything at once, as a loop's tick does.
  void take(std::vector<size_t>& all) {
    all.clear();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty(); });
    all.swap(ready_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<size_t> ready_;
};

struct Request {
  std::string key;
  std::shared_ptr<Fetching> fetching;
};

struct Gets {
  double rate;
  double from_disk;  // per get
};

Gets gets_of_bobbin(Persistence& there, const Plan& plan) {
  const bobbin::base::SystemClock clock;
  Keys keys("overwritten", plan.count, 0, 99);
  Ready ready;
  std::vector<Request> requests(plan.waiting);
  std::vector<size_t> all(plan.waiting);
  for (size_t i = 0; i < all.size(); ++i) {
    requests[i].key = Keys::name(keys.next());
    all[i] = i;
  }
  const uint64_t reads_before = there.statistics().fetches;
  uint64_t done = 0;
  size_t outstanding = 0;
  const Stopwatch watch;
  for (bool over = false; !over || outstanding != 0;) {
    over = over || watch.seconds() >= plan.seconds;
    const bobbin::base::Now now = clock.now();
    for (const size_t i : all) {
      Request& request = requests[i];
      outstanding -= request.fetching != nullptr ? 1 : 0;
      while (true) {
        const store::DocKey key(request.key);
        const store::Fetched found = there.bucket().fetch(key, now);
        request.fetching.reset();
        if (found.would_block) {
          ++outstanding;
          request.fetching = there.fetch(std::span(&key, 1), [&ready, i] { ready.push(i); });
          break;
        }
        if (!found.doc) give_up("a key is missing");
        ++done;
        if (over) break;
        request.key = Keys::name(keys.next());
      }
    }
    if (outstanding != 0) ready.take(all);
  }
  const double seconds = watch.seconds();
  const auto reads = static_cast<double>(there.statistics().fetches - reads_before);
  return {static_cast<double>(done) / seconds, reads / static_cast<double>(done)};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings(argc, argv);
  Plan plan{};
  plan.count = settings.number("count", 1'000'000);
  plan.value = settings.number("value", 400);
  const uint64_t data = plan.count * (plan.value + 64);
  const uint64_t memory = data / std::max<uint64_t>(settings.number("times", 10), 1);
  // As the server divides it.
  plan.disk_memory = std::clamp<uint64_t>(memory / 8, 8 << 20, 128 << 20);
  plan.quota = memory - std::min(plan.disk_memory, memory / 2);
  plan.readers = static_cast<uint32_t>(settings.number("readers", 4));
  plan.waiting = settings.number("waiting", 256);
  plan.seconds = static_cast<double>(settings.number("seconds", 3));

  const std::string dir = settings.text("dir", ".") + "/disk_gets.data";
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  {
    const auto there = open(dir, settings, plan, data * 2);
    there->start();
    fill(*there, plan);
    if (auto closed = there->close(); !closed) give_up(closed.error().message);
  }
  const auto there = open(dir, settings, plan, plan.quota);
  there->start();
  while (!there->warmup().finished)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  std::array<std::vector<double>, 2> rates;
  double from_disk = 0;
  for (uint64_t round = 0; round < settings.number("rounds", 3); ++round) {
    for (const size_t which : {round % 2, 1 - round % 2}) {
      if (which == 0) {
        rates[0].push_back(gets_of_rocksdb(*there, plan));
      } else {
        const Gets gets = gets_of_bobbin(*there, plan);
        rates[1].push_back(gets.rate);
        from_disk = gets.from_disk;
      }
    }
  }
  if (auto closed = there->close(); !closed) give_up(closed.error().message);
  std::filesystem::remove_all(dir);
  std::printf("RocksDB %.0f, Bobbin %.0f thousand gets/s: %.2f; %.2f of Bobbin's from disk\n",
              median(rates[0]) / 1000, median(rates[1]) / 1000, median(rates[1]) / median(rates[0]),
              from_disk);
}
