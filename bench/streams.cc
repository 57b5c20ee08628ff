// Range scans over the real pool, disk and connection class, and beside them what the same walk through the
// same documents sends in the three other ways to hand a frame to a loop (handoff_ways.h), a frame for each
// item. For keys only, and for documents of 100 bytes:
//
//   scan    a range scan as clients get it: many items a frame, through the spool, a step at a time
//   batch   (--way batch:hop and so on) frames of 32 KiB, as a scan's, in another way
//   mutex, hop, post, spool    a frame for each item
//
// and what the foreground clients of the same loop notice of it. Rounds go through all; medians are printed.

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "disk/persistence.h"
#include "feed/scan.h"
#include "handoff_foreground.h"
#include "handoff_walk.h"
#include "handoff_ways.h"
#include "net/front_end.h"
#include "net/test_socket.h"

namespace bobbin::streams {
namespace {

using handoff::Clock;

struct Options {
  size_t documents = 1'000'000;
  int rounds = 3;
  int connections = 8;  // of the foreground
  double seconds = 2;   // of each measurement, at least one scan
  std::string folder = "/tmp/bobbin-streams";
  std::vector<std::string> ways{"scan", "batch:hop", "batch:post", "batch:mutex",
                                "hop",  "post",      "mutex",      "spool"};
};

struct Result {
  double items_per_s = 0;
  double bytes_per_s = 0;
  handoff::ForegroundResult foreground;
};

class Receiver final : public net::Receiver {
 public:
  explicit Receiver(handoff::Target& target) : target_(target) {}
  size_t on_bytes(net::Connection& connection, std::span<const char> unread, size_t) override {
    static const std::string reply(handoff::kReplyBytes, 'r');
    const std::string_view bytes(unread.data(), unread.size());
    size_t consumed = 0;
    for (size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n', consumed)) {
      if (bytes.substr(consumed, end - consumed) == "background") {
        target_.set(connection);
      } else {
        connection.out().append(reply);
      }
      consumed = end + 1;
    }
    return consumed;
  }

 private:
  handoff::Target& target_;
};

/// Counts and drops what comes, without copying it out of the kernel.
class Reader {
 public:
  explicit Reader(int descriptor)
      : thread_([this, descriptor] {
          for (ssize_t n = 1; n > 0; bytes_ += static_cast<uint64_t>(std::max<ssize_t>(n, 0)))
            n = recv(descriptor, nullptr, 1 << 20, MSG_TRUNC);
        }) {}
  void join() { thread_.join(); }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  std::atomic<uint64_t> bytes_{0};
  std::thread thread_;
};

std::unique_ptr<disk::Persistence> open_disk(const Options& options) {
  disk::PersistenceOptions opened;
  opened.directory.path = options.folder;
  opened.directory.shards = 1;
  opened.directory.vbuckets = 1;
  opened.bucket.quota_bytes = uint64_t{2} << 30;
  auto made = disk::Persistence::open(std::move(opened));
  if (!made) {
    fmt::print(stderr, "{}\n", made.error().message);
    std::exit(1);
  }
  (*made)->start();
  return std::move(*made);
}

void fill(disk::Persistence& disk, const Options& options) {
  store::Bucket& bucket = disk.bucket();
  const base::SystemClock clock;
  const std::string value(100, 'v');
  for (size_t i = 0; i < options.documents; ++i) {
    auto draft =
        bucket.draft(fmt::format("key-{:012}", i * 7919 % options.documents), 0, 0, 100, clock.now());
    std::memcpy(draft->value().data(), value.data(), value.size());
    (void)bucket.store(std::move(*draft), store::StoreMode::set, clock.now());
    if (i % 50'000 == 0) (void)disk.bring_to_disk();
  }
  (void)disk.bring_to_disk();
}

/// One scan through all, as a client of one connection has it. Answers how many items it sent.
uint64_t scan(disk::Persistence& disk, feed::Pool& pool, feed::Scans& scans, const handoff::Target& target,
              bool key_only) {
  static const base::SystemClock clock;
  feed::ConnectionScans mine(scans);
  (void)mine.enter();
  const uint64_t before = scans.statistics().items;
  const auto made = std::make_shared<feed::Scan>(
      feed::ScanOptions{{disk.bucket(), disk, nullptr}, 0, handoff::everything(key_only), {true, true, true}},
      feed::Asker{target.spool, {}}, scans, clock);
  mine.add(made);
  pool.spawn(made);
  while (made->continue_for({made->id(), 0, 0, 0}, {target.spool, {}}) != feed::Scan::Continued::started)
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  while (!made->is_over())
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  return scans.statistics().items - before;
}

Result measure(disk::Persistence& disk, std::string_view way, bool key_only, const Options& options) {
  handoff::Target target;
  net::FrontEndOptions front_options;
  front_options.listen.push_back(*net::Address::parse("127.0.0.1:0", 0));
  auto front = std::move(
      *net::FrontEnd::start(front_options, [&](size_t) { return std::make_unique<Receiver>(target); }));
  net::TestSocket socket(front->addresses()[0]);
  socket.send_all("background\n");
  while (target.connection == nullptr)
    std::this_thread::yield();
  Reader reader(socket.descriptor());
  handoff::Foreground foreground(front->addresses()[0], options.connections);
  feed::Scans scans(feed::ScanLimits{});
  auto pool = std::make_unique<feed::Pool>(2);

  std::atomic<bool> stop{false};
  std::atomic<uint64_t> items{0};
  const bool batches = way.starts_with("batch:");
  const std::string_view by = batches ? way.substr(6) : way;
  const auto producer = handoff::make_producer(by, target);
  foreground.begin();
  const auto begin = Clock::now();
  const uint64_t bytes_before = reader.bytes();
  std::thread producing([&] {
    while (!stop && way != "idle") {
      items += way == "scan" ? scan(disk, *pool, scans, target, key_only)
                             : handoff::walk(disk, 0, *producer, {key_only, batches}, stop);
    }
  });
  std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
  stop = true;
  producing.join();  // a scan is finished, other ways stop where they are
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  Result result;
  result.items_per_s = static_cast<double>(items) / seconds;
  result.bytes_per_s = static_cast<double>(reader.bytes() - bytes_before) / seconds;
  result.foreground = foreground.end(seconds);
  pool.reset();
  front.reset();
  reader.join();
  return result;
}

template <typename Field>
double median(std::vector<Result> rounds, Field field) {
  std::sort(rounds.begin(), rounds.end(),
            [&](const Result& a, const Result& b) { return field(a) < field(b); });
  return field(rounds[rounds.size() / 2]);
}

void report(const Options& options, disk::Persistence& disk) {
  fmt::print("{:<10} {:<12} {:>12} {:>8} {:>14} {:>8} {:>8}\n", "items", "way", "items/s", "MB/s",
             "foreground/s", "p50 us", "p99 us");
  std::vector<std::string> ways = options.ways;
  if (options.connections > 0) ways.insert(ways.begin(), "idle");
  for (const bool key_only : {true, false}) {
    std::vector<std::vector<Result>> results(ways.size());
    for (int round = 0; round < options.rounds; ++round)
      for (size_t i = 0; i < ways.size(); ++i)
        results[i].push_back(measure(disk, ways[i], key_only, options));
    double of_scan = 0;
    for (size_t i = 0; i < ways.size(); ++i) {
      const auto& rounds = results[i];
      const double items = median(rounds, [](const Result& r) { return r.items_per_s; });
      if (ways[i] == "scan") of_scan = items;
      fmt::print("{:<10} {:<12} {:>12.0f} {:>8.1f} {:>14.0f} {:>8.0f} {:>8.0f}",
                 key_only ? "keys" : "documents", ways[i], items,
                 median(rounds, [](const Result& r) { return r.bytes_per_s; }) / 1e6,
                 median(rounds, [](const Result& r) { return r.foreground.requests_per_s; }),
                 median(rounds, [](const Result& r) { return r.foreground.p50_us; }),
                 median(rounds, [](const Result& r) { return r.foreground.p99_us; }));
      if (of_scan > 0 && items > 0 && ways[i] != "scan")
        fmt::print("   scan is {:.1f} times", of_scan / items);
      fmt::print("\n");
    }
  }
}

int run(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const double number = std::strtod(argv[i + 1], nullptr);
    if (name == "--documents") options.documents = static_cast<size_t>(number);
    if (name == "--rounds") options.rounds = std::max(1, static_cast<int>(number));
    if (name == "--connections") options.connections = static_cast<int>(number);
    if (name == "--seconds") options.seconds = number;
    if (name == "--folder") options.folder = argv[i + 1];
    if (name == "--way") options.ways = {argv[i + 1]};
  }
  if (argc % 2 == 0) {
    fmt::print(stderr,
               "usage: streams [--documents N] [--rounds N] [--seconds S] [--connections N] [--folder PATH]\n"
               "               [--way scan|batch:WAY|mutex|hop|post|spool]\n");
    return 2;
  }
  const bool is_new = !std::filesystem::exists(options.folder);
  auto disk = open_disk(options);
  if (is_new) {
    fill(*disk, options);
    // What was just written lies in memory; scans are of tables.
    (void)disk->close();
    disk = nullptr;
    disk = open_disk(options);
  }
  report(options, *disk);
  (void)disk->close();
  return 0;
}

}  // namespace
}  // namespace bobbin::streams

int main(int argc, char** argv) {
  return bobbin::streams::run(argc, argv);
}
