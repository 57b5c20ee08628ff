// Range scans and change streams under way, and what the gets of other connections on the same loop notice:
// beside no background at all, and beside another process that uses as much processor time. The same for the
// other ways to hand off. Then what readers that stop reading hold.
//
// Prints a line of JSON for each measurement. bench/spool runs it, makes tables and the picture of
// docs/spool.md.

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "handoff_foreground.h"
#include "load_burner.h"
#include "load_readers.h"
#include "load_server.h"

namespace bobbin::load {
namespace {

using handoff::Clock;

/// How much is asked of the machine.
struct Mode {
  std::string_view name;
  double foreground_per_s;        // 0: as fast as answers come
  double background_bytes_per_s;  // 0: as fast as it comes
};

struct Options {
  ServerSetup server{.folder = "/tmp/bobbin-stream-load"};
  int rounds = 5;
  double seconds = 1;
  int connections = 50;
  size_t scans = 4;
  size_t streams = 8;
  double foreground_per_s = 10'000;
  double background_bytes_per_s = 40e6;
  bool occupies = false;
  std::string mode;          // only this
  std::string part = "all";  // or beside, stalled
  std::vector<size_t> stalled{1, 100, 1000};
  std::vector<std::string> ways{"product", "scans", "batch:hop", "batch:post", "batch:mutex",
                                "hop",     "post",  "mutex",     "spool"};
};

// Of the whole machine, in seconds.
double busy_seconds() {
  std::ifstream file("/proc/stat");
  std::string name;
  file >> name;
  double busy = 0;
  double ticks = 0;
  for (int i = 0; i < 8 && file >> ticks; ++i)
    if (i != 3 && i != 4) busy += ticks;  // idle, and waiting for the disk
  return busy / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double own_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::vector<std::string> gets(size_t documents) {
  std::vector<std::string> requests;
  for (size_t i = 0; i < 10'000; ++i)
    requests.push_back(fmt::format("get {}\r\n", key_of(i * 104'729 % documents)));
  return requests;
}

size_t reply_bytes() {
  return fmt::format("VALUE {} 0 {}\r\n", key_of(0), kValueBytes).size() + kValueBytes + 7;
}

/// On a machine that others use as well: a thread for each processor that gives it to whoever of this session
/// wants it, and keeps it from other sessions, as far as the scheduler goes by sessions.
class Occupiers {
 public:
  explicit Occupiers(bool wanted) {
    const unsigned processors = wanted ? std::thread::hardware_concurrency() : 0;
    for (unsigned i = 0; i < processors; ++i) {
      threads_.emplace_back([this, i] {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        sched_setaffinity(0, sizeof one, &one);
        setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 19);
        while (!stop_)
          sched_yield();
      });
    }
  }
  ~Occupiers() {
    stop_ = true;
    for (std::thread& thread : threads_)
      thread.join();
  }
  Occupiers(const Occupiers&) = delete;
  Occupiers& operator=(const Occupiers&) = delete;

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

class Bench {
 public:
  explicit Bench(Options options)
      : options_(std::move(options)), server_(options_.server), occupiers_(options_.occupies) {}

  void run() {
    const std::vector<Mode> modes{
        {"free", options_.foreground_per_s, options_.background_bytes_per_s},
        {"greedy", options_.foreground_per_s, 0},
        {"full", 0, 0},
    };
    for (int round = 1; round <= options_.rounds && options_.part != "stalled"; ++round) {
      fmt::print(stderr, "round {} of {}\n", round, options_.rounds);
      for (const Mode& mode : modes) {
        if (!options_.mode.empty() && options_.mode != mode.name) continue;
        beside(round, mode, false);
        beside(round, mode, true);
      }
    }
    if (options_.part == "beside") return;
    for (const std::string way : {"product", "hop", "post", "mutex", "spool"}) {
      const bool is_wanted =
          std::find(options_.ways.begin(), options_.ways.end(), way) != options_.ways.end();
      for (const size_t count : options_.stalled)
        if (is_wanted) stalled(way, count);
    }
  }

 private:
  struct Measured {
    handoff::ForegroundResult foreground;
    Readers::Counts counts;
    Figures before, after;
    double seconds = 0;
    double readers_cpu_s = 0;
    double burnt_s = 0;
    double elsewhere_s = 0;

    [[nodiscard]] double server_cpu_s() const { return after.cpu_s - before.cpu_s; }
  };

  [[nodiscard]] static bool is_other(std::string_view way) { return way != "product" && way != "scans"; }

  [[nodiscard]] ReadersPlan plan(std::string_view way, size_t scans, size_t streams) const {
    if (way == "product") return {.scans = scans, .streams = streams};
    if (way == "scans") return {.scans = scans};
    return {.others = scans, .way = std::string(way)};
  }

  // One listener: nothing beside the foreground, then each way and the process that uses as much.
  void beside(int round, const Mode& mode, bool other) {
    std::vector<std::string> ways;
    for (const std::string& way : options_.ways)
      if (is_other(way) == other) ways.push_back(way);
    if (ways.empty()) return;
    const Measured idle = measure(mode, other, nullptr, 0);
    print(round, mode, other ? "other" : "product", "idle", idle);
    const double cpu_of_request =
        idle.server_cpu_s() / std::max(1.0, idle.foreground.requests_per_s * idle.seconds);
    for (const std::string& way : ways) {
      ReadersPlan background = plan(way, options_.scans, options_.streams);
      background.bytes_per_s = mode.background_bytes_per_s;
      const Measured loaded = measure(mode, other, &background, 0);
      print(round, mode, way, "load", loaded);
      const double of_gets = cpu_of_request * loaded.foreground.requests_per_s * loaded.seconds;
      const double cores =
          std::max(0.0, loaded.server_cpu_s() + loaded.readers_cpu_s - of_gets) / loaded.seconds;
      print(round, mode, way, "burner", measure(mode, other, nullptr, cores));
    }
  }

  Measured measure(const Mode& mode, bool other, const ReadersPlan* background, double burnt_cores) {
    net::Address address = *net::Address::parse("127.0.0.1:1", 0);
    address.port = server_.port(other);
    std::optional<Readers> readers;
    if (background != nullptr) readers.emplace(address, *background);
    double burnt = burner_.burn(burnt_cores);
    handoff::Foreground foreground(address, options_.connections, mode.foreground_per_s, requests_,
                                   reply_bytes());
    const auto pause = [](double seconds) {
      std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    };
    pause(options_.seconds / 4);
    Measured measured;
    const Readers::Counts counts = readers ? readers->counts() : Readers::Counts{};
    const double readers_cpu_s = readers ? readers->cpu_s() : 0;
    burnt = burner_.burn(burnt_cores);
    const double busy = busy_seconds();
    const double own = own_seconds();
    measured.before = server_.figures(other);
    foreground.begin();
    const auto begin = Clock::now();
    pause(options_.seconds);
    measured.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    measured.foreground = foreground.end(measured.seconds);
    measured.after = server_.figures(other);
    measured.burnt_s = burner_.burn(0) - burnt;
    if (readers) {
      const Readers::Counts now = readers->counts();
      measured.counts = {now.bytes - counts.bytes, now.frames - counts.frames,
                         now.scan_items - counts.scan_items, now.stream_items - counts.stream_items};
      measured.readers_cpu_s = readers->cpu_s() - readers_cpu_s;
    }
    measured.elsewhere_s =
        busy_seconds() - busy - (own_seconds() - own) - measured.server_cpu_s() - measured.burnt_s;
    return measured;
  }

  static void print(int round, const Mode& mode, std::string_view way, std::string_view what,
                    const Measured& m) {
    const auto rate = [&m](uint64_t n) { return static_cast<double>(n) / m.seconds; };
    fmt::print(
        "{{\"part\":\"beside\",\"round\":{},\"mode\":\"{}\",\"way\":\"{}\",\"what\":\"{}\",\"foreground_per_"
        "s\":{:.0f},"
        "\"p50_us\":{:.1f},\"p99_us\":{:.1f},\"p999_us\":{:.1f},\"scan_items_per_s\":{:.0f},"
        "\"stream_items_per_s\":{:.0f},\"bytes_per_s\":{:.0f},\"frames_per_s\":{:.0f},\"server_cores\":{:.3f}"
        ","
        "\"readers_cores\":{:.3f},\"burnt_cores\":{:.3f},\"elsewhere_cores\":{:.3f},\"wakes_per_s\":{:.0f},"
        "\"drains_per_s\":{:.0f},\"writes_per_s\":{:.0f},\"ticks_per_s\":{:.0f},\"system_calls_per_s\":{:.0f}"
        "}}\n",
        round, mode.name, way, what, m.foreground.requests_per_s, m.foreground.p50_us, m.foreground.p99_us,
        m.foreground.p999_us, rate(m.counts.scan_items), rate(m.counts.stream_items), rate(m.counts.bytes),
        rate(m.counts.frames), m.server_cpu_s() / m.seconds, m.readers_cpu_s / m.seconds,
        m.burnt_s / m.seconds, m.elsewhere_s / m.seconds, rate(m.after.wakes - m.before.wakes),
        rate(m.after.drains - m.before.drains), rate(m.after.writes - m.before.writes),
        rate(m.after.ticks - m.before.ticks), rate(m.after.system_calls - m.before.system_calls));
    std::fflush(stdout);
  }

  // Waits until nothing is sent or held that was not a second ago, 20 s at most.
  Figures settled(bool other) {
    Figures last = server_.figures(other);
    for (int same = 0, i = 0; same < 10 && i < 200; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      const Figures now = server_.figures(other);
      const bool is_same = now.connections == last.connections && now.unsent_bytes == last.unsent_bytes &&
                           now.bytes_written == last.bytes_written && now.threads == last.threads;
      same = is_same ? same + 1 : 0;
      last = now;
    }
    return last;
  }

  void stalled(const std::string& way, size_t count) {
    fmt::print(stderr, "{} stalled readers, {}\n", count, way);
    const bool other = is_other(way);
    const Mode mode{"stalled", options_.foreground_per_s, 0};
    const Figures before = settled(other);
    const Measured without = measure(mode, other, nullptr, 0);
    Figures during;
    Measured beside;
    {
      ReadersPlan background = plan(way, other ? count : (count + 1) / 2, count / 2);
      background.stalls = true;
      const Readers readers(*net::Address::parse(server_.local_address(other), 0), background);
      while (!readers.is_under_way())
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      during = settled(other);
      beside = measure(mode, other, nullptr, 0);
    }
    while (server_.figures(other).connections > before.connections)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    // The allocator gives memory back to the kernel by and by.
    Figures after = settled(other);
    for (int i = 0; i < 30 && after.resident_bytes > before.resident_bytes + (32 << 20); ++i) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      after = server_.figures(other);
    }
    const auto figures = [](const Figures& f) {
      return fmt::format(
          "{{\"resident_bytes\":{},\"allocated_bytes\":{},\"unsent_bytes\":{},\"threads\":{},\"connections\":"
          "{}}}",
          f.resident_bytes, f.allocated_bytes, f.unsent_bytes, f.threads, f.connections);
    };
    fmt::print(
        "{{\"part\":\"stalled\",\"way\":\"{}\",\"readers\":{},\"spool_bytes\":{},\"before\":{},\"during\":{},"
        "\"after\":{},\"p99_us_without\":{:.1f},\"p99_us\":{:.1f},\"foreground_per_s\":{:.0f},"
        "\"server_cores_without\":{:.3f},\"server_cores\":{:.3f},\"elsewhere_cores\":{:.3f}}}\n",
        way, count, options_.server.spool_bytes, figures(before), figures(during), figures(after),
        without.foreground.p99_us, beside.foreground.p99_us, beside.foreground.requests_per_s,
        without.server_cpu_s() / without.seconds, beside.server_cpu_s() / beside.seconds,
        (without.elsewhere_s + beside.elsewhere_s) / (without.seconds + beside.seconds));
    std::fflush(stdout);
  }

  const Options options_;
  const Burner burner_;  // forks, as the next does: before there are threads
  const LoadServer server_;
  const Occupiers occupiers_;
  const std::vector<std::string> requests_ = gets(options_.server.documents);
};

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    parts.emplace_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return parts;
}

int run(int argc, char** argv) {
  Options options;
  bool is_understood = argc % 2 == 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const double number = std::strtod(argv[i + 1], nullptr);
    if (name == "--documents") {
      options.server.documents = static_cast<size_t>(number);
    } else if (name == "--folder") {
      options.server.folder = argv[i + 1];
    } else if (name == "--spool-bytes") {
      options.server.spool_bytes = static_cast<size_t>(number);
    } else if (name == "--rounds") {
      options.rounds = static_cast<int>(number);
    } else if (name == "--seconds") {
      options.seconds = number;
    } else if (name == "--connections") {
      options.connections = static_cast<int>(number);
    } else if (name == "--foreground") {
      options.foreground_per_s = number;
    } else if (name == "--background") {
      options.background_bytes_per_s = number;
    } else if (name == "--occupy") {
      options.occupies = number > 0;
    } else if (name == "--mode") {
      options.mode = argv[i + 1];
    } else if (name == "--part") {
      options.part = argv[i + 1];
    } else if (name == "--ways") {
      options.ways = split(argv[i + 1]);
    } else if (name == "--stalled") {
      options.stalled.clear();
      for (const std::string& count : split(argv[i + 1]))
        options.stalled.push_back(std::strtoul(count.c_str(), nullptr, 10));
    } else {
      is_understood = false;
    }
  }
  if (!is_understood) {
    fmt::print(stderr,
               "usage: stream_load [--part all|beside|stalled] [--mode free|greedy|full] [--ways WAY,...] "
               "[--rounds N] [--seconds S]\n"
               "                   [--foreground GETS_PER_S] [--background BYTES_PER_S] [--connections N]\n"
               "                   [--stalled N,...] [--documents N] [--spool-bytes N] [--folder PATH] "
               "[--occupy 1]\n");
    return 2;
  }
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  Bench(std::move(options)).run();
  return 0;
}

}  // namespace
}  // namespace bobbin::load

int main(int argc, char** argv) {
  return bobbin::load::run(argc, argv);
}
