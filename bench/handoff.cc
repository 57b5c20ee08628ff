// Four ways for a background thread to send on a connection that belongs to a loop (handoff_ways.h), over the
// real connection class. For each, with 1, 2 and 4 producers and frames of 128 bytes and 4 KiB:
//
//   alone    frames a second while the loop has nothing else to do
//   busy     the same while foreground clients ask for as much as they get, and what those notice of it
//
// and what the foreground notices of a fixed rate of frames, against none: when it asks at a fixed rate
// itself, which leaves processor time to the rest (paced), and when it does not (busy). Frames are counted
// where they arrive. Rounds go through all combinations; medians are printed.

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "handoff_foreground.h"
#include "handoff_ways.h"
#include "net/front_end.h"
#include "net/test_socket.h"

namespace bobbin::handoff {
namespace {

/// Answers a fixed reply to each line; "background" makes the connection the producers' target.
class BenchReceiver final : public net::Receiver {
 public:
  explicit BenchReceiver(Target& target) : target_(target) {}

  size_t on_bytes(net::Connection& connection, std::span<const char> unread, size_t) override {
    const std::string_view bytes(unread.data(), unread.size());
    static const std::string reply(kReplyBytes, 'r');
    size_t consumed = 0;
    for (size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n', consumed)) {
      const std::string_view line = bytes.substr(consumed, end - consumed);
      consumed = end + 1;
      if (line == "background") {
        target_.set(connection);
      } else {
        connection.out().append(reply);
      }
    }
    return consumed;
  }

 private:
  Target& target_;
};

/// The other end of the background stream. It counts and drops: bytes are not even copied out of the kernel,
/// so that it is never what limits the producers.
class BackgroundReader {
 public:
  explicit BackgroundReader(net::TestSocket& socket)
      : thread_([this, descriptor = socket.descriptor()] {
          for (;;) {
            const ssize_t n = recv(descriptor, nullptr, 1 << 20, MSG_TRUNC);
            if (n <= 0) return;
            bytes_.fetch_add(static_cast<uint64_t>(n), std::memory_order_relaxed);
          }
        }) {}
  /// The stream has ended.
  void join() { thread_.join(); }
  [[nodiscard]] uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> bytes_{0};
  std::thread thread_;
};

struct Case {
  std::string_view way;  // "idle": no producers
  int producers = 0;
  size_t frame_bytes = 0;
  double frames_per_s = 0;  // of all producers together; 0: as many as go
  bool foreground = false;
  double foreground_per_s = 0;  // 0: as fast as answers come
};

struct Result {
  double frames_per_s = 0;
  double wakes_per_frame = 0;
  ForegroundResult foreground;
};

struct Options {
  double seconds = 1;
  int rounds = 3;
  int connections = 8;               // of the foreground, one request in flight on each
  double rate = 1e6;                 // of the comparison at a fixed rate; 0: leave that out
  double foreground_per_s = 20'000;  // of the comparison that leaves processor time; 0: leave that out
  std::vector<std::string_view> ways{"mutex", "hop", "post", "spool"};
  std::vector<int> producers{1, 2, 4};
  std::vector<size_t> frame_bytes{128, 4096};
  bool only_fixed = false;  // nothing but the comparison at a fixed rate
  bool json = false;
};

// Paced in slices of 100 µs, so that pacing itself costs little.
void produce(Producer& producer, std::string_view frame, double rate, const std::atomic<bool>& stop) {
  const auto start = Clock::now();
  for (uint64_t sent = 0; !stop;) {
    const double due = std::chrono::duration<double>(Clock::now() - start).count() * rate;
    if (rate > 0 && static_cast<double>(sent) >= due) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
      continue;
    }
    // So that the clock is not what is measured.
    for (int i = 0; i < 16; ++i, ++sent) {
      if (!producer.send(frame)) return;
    }
  }
}

Result measure(const Case& what, const Options& options) {
  Target target;
  net::FrontEndOptions front_options;
  front_options.listen.push_back(*net::Address::parse("127.0.0.1:0", 0));
  auto front = std::move(
      *net::FrontEnd::start(front_options, [&](size_t) { return std::make_unique<BenchReceiver>(target); }));
  net::TestSocket socket(front->addresses()[0]);
  socket.send_all("background\n");
  while (target.connection == nullptr)
    std::this_thread::yield();
  BackgroundReader reader(socket);

  std::atomic<bool> stop{false};
  const std::string frame(std::max<size_t>(what.frame_bytes, 1), 'f');
  std::vector<std::unique_ptr<Producer>> producers;
  std::vector<std::thread> threads;
  for (int i = 0; i < what.producers; ++i) {
    producers.push_back(make_producer(what.way, target));
    threads.emplace_back([&, producer = producers.back().get()] {
      produce(*producer, frame, what.frames_per_s / what.producers, stop);
    });
  }
  Foreground foreground(front->addresses()[0], what.foreground ? options.connections : 0,
                        what.foreground_per_s);

  const auto& wakes = front->loops()[0]->counters().spool_wakes;
  const auto pause = [](double seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  };
  pause(options.seconds / 5);  // warm-up
  foreground.begin();
  const auto begin = Clock::now();
  const uint64_t bytes_before = reader.bytes();
  const uint64_t wakes_before = wakes.get();
  pause(options.seconds);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const double frames =
      static_cast<double>(reader.bytes() - bytes_before) / static_cast<double>(frame.size());
  Result result;
  result.frames_per_s = frames / seconds;
  result.wakes_per_frame = frames > 0 ? static_cast<double>(wakes.get() - wakes_before) / frames : 0;
  result.foreground = foreground.end(seconds);

  stop = true;
  // Producers that wait for the loop end before it does.
  for (std::thread& thread : threads)
    thread.join();
  front.reset();
  reader.join();
  return result;
}

template <typename Field>
double median(const std::vector<Result>& rounds, Field field) {
  std::vector<double> values;
  for (const Result& result : rounds)
    values.push_back(field(result));
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

Result medians(const std::vector<Result>& rounds) {
  Result result;
  result.frames_per_s = median(rounds, [](const Result& r) { return r.frames_per_s; });
  result.wakes_per_frame = median(rounds, [](const Result& r) { return r.wakes_per_frame; });
  result.foreground.requests_per_s =
      median(rounds, [](const Result& r) { return r.foreground.requests_per_s; });
  result.foreground.p50_us = median(rounds, [](const Result& r) { return r.foreground.p50_us; });
  result.foreground.p99_us = median(rounds, [](const Result& r) { return r.foreground.p99_us; });
  result.foreground.p999_us = median(rounds, [](const Result& r) { return r.foreground.p999_us; });
  return result;
}

std::vector<Case> all_cases(const Options& options) {
  std::vector<Case> cases;
  for (const double foreground_per_s : {options.foreground_per_s, 0.0}) {
    if (!cases.empty() && options.foreground_per_s == 0) break;
    cases.push_back({.way = "idle", .foreground = true, .foreground_per_s = foreground_per_s});
    if (options.rate == 0) continue;
    for (const std::string_view way : options.ways)
      cases.push_back({way, 1, 128, options.rate, true, foreground_per_s});
  }
  if (options.only_fixed) return cases;
  for (const size_t frame_bytes : options.frame_bytes) {
    for (const int producers : options.producers) {
      for (const bool foreground : {false, true}) {
        for (const std::string_view way : options.ways)
          cases.push_back({way, producers, frame_bytes, 0, foreground});
      }
    }
  }
  return cases;
}

void print(const Case& c, const Result& r, bool json, bool first) {
  const ForegroundResult& f = r.foreground;
  if (json) {
    fmt::print(
        "{}{{\"way\":\"{}\",\"producers\":{},\"frame_bytes\":{},\"offered_frames_per_s\":{:.0f},"
        "\"foreground\":{},\"foreground_offered_per_s\":{:.0f},\"frames_per_s\":{:.0f},\"wakes_per_frame\":{:"
        ".6f},\"foreground_per_s\":{:.0f},"
        "\"p50_us\":{:.1f},\"p99_us\":{:.1f},\"p999_us\":{:.1f}}}\n",
        first ? "[" : ",", c.way, c.producers, c.frame_bytes, c.frames_per_s, c.foreground,
        c.foreground_per_s, r.frames_per_s, r.wakes_per_frame, f.requests_per_s, f.p50_us, f.p99_us,
        f.p999_us);
    return;
  }
  if (first) {
    fmt::print("{:<6} {:>9} {:>6} {:>9} {:>6} {:>12} {:>7} {:>12} {:>13} {:>7} {:>7} {:>8}\n", "way",
               "producers", "bytes", "offered/s", "loop", "frames/s", "GB/s", "wakes/frame", "foreground/s",
               "p50 us", "p99 us", "p99.9 us");
  }
  const std::string offered = c.frames_per_s > 0 ? fmt::format("{:.0f}", c.frames_per_s) : "-";
  const std::string_view loop = !c.foreground ? "alone" : (c.foreground_per_s > 0 ? "paced" : "busy");
  fmt::print(
      "{:<6} {:>9} {:>6} {:>9} {:>6} {:>12.0f} {:>7.3f} {:>12.5f} {:>13.0f} {:>7.0f} {:>7.0f} {:>8.0f}\n",
      c.way, c.producers, c.frame_bytes, offered, loop, r.frames_per_s,
      r.frames_per_s * static_cast<double>(c.frame_bytes) / 1e9, r.wakes_per_frame, f.requests_per_s,
      f.p50_us, f.p99_us, f.p999_us);
}

/// What the spool has to reach, from the same run.
void print_marks(const Options& options, const std::vector<Case>& cases, const std::vector<Result>& results) {
  const auto find = [&](std::string_view way, bool paced, bool foreground,
                        double foreground_per_s = 0) -> const Result* {
    for (size_t i = 0; i < cases.size(); ++i) {
      const Case& c = cases[i];
      const bool idle = c.way == "idle";
      if (c.way == way && (c.frames_per_s > 0) == paced && c.foreground == foreground &&
          c.foreground_per_s == foreground_per_s && (idle || (c.producers == 1 && c.frame_bytes == 128)))
        return &results[i];
    }
    return nullptr;
  };
  const auto mark = [](std::string_view text, double value, bool met) {
    fmt::print("{:<76} {:>8.2f} {}\n", text, value, met ? "met" : "missed");
  };
  const Result* spool = find("spool", false, false);
  for (const auto& [way, times] : {std::pair{"hop", 100.0}, std::pair{"mutex", 10.0}}) {
    const Result* other = find(way, false, false);
    if (spool == nullptr || other == nullptr) continue;
    const double ratio = spool->frames_per_s / other->frames_per_s;
    mark(fmt::format("spool over {}, 128-byte frames, at least {:g} times", way, times), ratio,
         ratio >= times);
  }
  for (const double foreground_per_s : {options.foreground_per_s, 0.0}) {
    const Result* idle = find("idle", false, true, foreground_per_s);
    const Result* paced = find("spool", true, true, foreground_per_s);
    if (idle == nullptr || paced == nullptr) continue;
    const double ratio = paced->foreground.p99_us / idle->foreground.p99_us;
    mark(fmt::format("foreground p99 at {:.0f}/s with {:.0f} frames/s over without, at most 1.3",
                     paced->foreground.requests_per_s, paced->frames_per_s),
         ratio, ratio <= 1.3);
    if (options.foreground_per_s == 0) break;
  }
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--json" || name == "--only-fixed") {
      (name == "--json" ? options.json : options.only_fixed) = true;
      continue;
    }
    if (++i == argc) return false;
    const double number = std::strtod(argv[i], nullptr);
    if (name == "--seconds") options.seconds = number;
    if (name == "--rounds") options.rounds = static_cast<int>(number);
    if (name == "--connections") options.connections = static_cast<int>(number);
    if (name == "--rate") options.rate = number;
    if (name == "--foreground") options.foreground_per_s = number;
    if (name == "--way") options.ways = {argv[i]};
    if (name == "--producers") options.producers = {static_cast<int>(number)};
    if (name == "--bytes") options.frame_bytes = {static_cast<size_t>(number)};
    constexpr std::array kNames{"--seconds",    "--rounds", "--connections", "--rate",
                                "--foreground", "--way",    "--producers",   "--bytes"};
    if (std::find(kNames.begin(), kNames.end(), name) == kNames.end()) return false;
  }
  return options.rounds > 0 && options.seconds > 0;
}

int run(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    fmt::print(stderr,
               "usage: handoff [--seconds S] [--rounds N] [--connections N] [--rate FRAMES_PER_S] [--json]\n"
               "               [--foreground REQUESTS_PER_S] [--only-fixed] [--way mutex|hop|post|spool] "
               "[--producers N] [--bytes N]\n");
    return 2;
  }
  const std::vector<Case> cases = all_cases(options);
  std::vector<std::vector<Result>> rounds(cases.size());
  for (int round = 1; round <= options.rounds; ++round) {
    fmt::print(stderr, "round {} of {}\n", round, options.rounds);
    for (size_t i = 0; i < cases.size(); ++i)
      rounds[i].push_back(measure(cases[i], options));
  }
  std::vector<Result> results;
  for (size_t i = 0; i < cases.size(); ++i) {
    results.push_back(medians(rounds[i]));
    print(cases[i], results[i], options.json, i == 0);
  }
  if (options.json) {
    fmt::print("]\n");
  } else {
    print_marks(options, cases, results);
  }
  return 0;
}

}  // namespace
}  // namespace bobbin::handoff

int main(int argc, char** argv) {
  return bobbin::handoff::run(argc, argv);
}
