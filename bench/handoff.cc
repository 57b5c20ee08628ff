// Four ways for a background thread to send on a connection that belongs to a loop, over the real connection
// class, with foreground requests on the same loop meanwhile:
//
//   mutex    the producer writes to the socket itself, under a mutex that it shares with the others
//   hop      the producer hands each frame to the loop and waits until it is written
//   post     the producer posts one closure for each frame
//   spool    what Bobbin does
//
// The first three live here only. Prints one line for each combination, and with --json a JSON object.

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/front_end.h"
#include "net/test_socket.h"

namespace bobbin {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kReplyBytes = 132;  // what a get of 100 bytes answers
// A producer of closures has to be stopped by something, or memory ends: as many as the spool's bytes hold.
constexpr ptrdiff_t kMaxPosted = 8'192;

/// Answers a fixed reply to each line; "background" makes the connection the producers' target.
class BenchReceiver final : public net::Receiver {
 public:
  struct Target {
    std::atomic<net::Connection*> connection{nullptr};
    net::Spool spool;
    int descriptor = -1;
  };
  explicit BenchReceiver(Target& target) : target_(target) {}

  size_t on_bytes(net::Connection& connection, std::span<const char> unread, size_t) override {
    const std::string_view bytes(unread.data(), unread.size());
    static const std::string reply(kReplyBytes, 'r');
    size_t consumed = 0;
    for (size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n', consumed)) {
      const std::string_view line = bytes.substr(consumed, end - consumed);
      consumed = end + 1;
      if (line == "background") {
        target_.spool = connection.spool();
        target_.descriptor = connection.status().descriptor;
        target_.connection = &connection;
      } else {
        connection.out().append(reply);
      }
    }
    return consumed;
  }

 private:
  Target& target_;
};

/// One background producer: sends frames until told to stop.
class Producer {
 public:
  virtual ~Producer() = default;
  virtual bool send(std::string_view frame) = 0;
};

class MutexProducer final : public Producer {
 public:
  MutexProducer(BenchReceiver::Target& target, std::mutex& mutex) : target_(target), mutex_(mutex) {}
  bool send(std::string_view frame) override {
    const std::lock_guard lock(mutex_);
    while (!frame.empty()) {
      const ssize_t n = ::send(target_.descriptor, frame.data(), frame.size(), MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN) return false;
      if (n < 0) {
        pollfd writable{target_.descriptor, POLLOUT, 0};
        poll(&writable, 1, 100);
        continue;
      }
      frame.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

 private:
  BenchReceiver::Target& target_;
  std::mutex& mutex_;
};

class HopProducer final : public Producer {
 public:
  explicit HopProducer(BenchReceiver::Target& target) : target_(target) {}
  bool send(std::string_view frame) override {
    std::binary_semaphore done(0);
    net::Connection& connection = *target_.connection;
    connection.loop().post([&] {
      connection.out().append(frame);
      connection.flush();
      done.release();
    });
    done.acquire();
    return true;
  }

 private:
  BenchReceiver::Target& target_;
};

class PostProducer final : public Producer {
 public:
  PostProducer(BenchReceiver::Target& target, std::counting_semaphore<>& room)
      : target_(target), room_(room) {}
  bool send(std::string_view frame) override {
    room_.acquire();
    net::Connection& connection = *target_.connection;
    connection.loop().post([this, &connection, copy = std::string(frame)] {
      // Nobody else bounds what the reader has not taken.
      if (!connection.congested()) connection.out().append(copy);
      connection.flush();
      room_.release();
    });
    return true;
  }

 private:
  BenchReceiver::Target& target_;
  std::counting_semaphore<>& room_;
};

class SpoolProducer final : public Producer {
 public:
  explicit SpoolProducer(BenchReceiver::Target& target) : spool_(target.spool) {}
  bool send(std::string_view frame) override {
    for (;;) {
      switch (spool_.append_or_wake(frame, [this] { room_.release(); })) {
        case net::Append::accepted:
          return true;
        case net::Append::closed:
          return false;
        case net::Append::full:
          room_.acquire();
      }
    }
  }

 private:
  net::Spool spool_;
  std::counting_semaphore<> room_{0};
};

struct Options {
  double seconds = 2;
  int foreground = 8;  // connections with one request in flight
  double rate = 0;     // frames a second of all producers; 0: as many as go
  bool json = false;
};

struct Result {
  double frames_per_s = 0;
  double foreground_per_s = 0;
  double p50_us = 0;
  double p99_us = 0;
  double wakes_per_frame = 0;
};

/// Foreground clients, one request in flight on each of several connections, from one thread.
class Foreground {
 public:
  Foreground(const net::Address& address, int connections) {
    for (int i = 0; i < connections; ++i)
      sockets_.emplace_back(address);
  }
  void run(const std::atomic<bool>& stop) {
    const std::string request = "get key:0000001\n";
    std::vector<Clock::time_point> sent(sockets_.size());
    for (auto& socket : sockets_)
      socket.send_all(request);
    for (auto& time : sent)
      time = Clock::now();
    while (!stop) {
      for (size_t i = 0; i < sockets_.size(); ++i) {
        if (sockets_[i].receive(kReplyBytes).size() != kReplyBytes) return;
        const auto now = Clock::now();
        latencies_us_.push_back(std::chrono::duration<float, std::micro>(now - sent[i]).count());
        sockets_[i].send_all(request);
        sent[i] = now;
      }
    }
  }
  void report(Result& result, double seconds) {
    std::sort(latencies_us_.begin(), latencies_us_.end());
    const auto at = [&](double share) {
      return latencies_us_.empty() ? 0
                                   : latencies_us_[static_cast<size_t>(share * (latencies_us_.size() - 1))];
    };
    result.foreground_per_s = static_cast<double>(latencies_us_.size()) / seconds;
    result.p50_us = at(0.50);
    result.p99_us = at(0.99);
  }

 private:
  std::vector<net::TestSocket> sockets_;
  std::vector<float> latencies_us_;
};

void produce(Producer& producer, std::string_view frame, double rate, const std::atomic<bool>& stop,
             std::atomic<uint64_t>& sent) {
  const auto start = Clock::now();
  uint64_t n = 0;
  while (!stop) {
    if (rate > 0) {
      // Paced in slices of 100 µs, so that pacing itself costs little.
      const double due = std::chrono::duration<double>(Clock::now() - start).count() * rate;
      if (static_cast<double>(n) >= due) {
        std::this_thread::sleep_for(std::chrono::microseconds(100));
        continue;
      }
    }
    if (!producer.send(frame)) break;
    ++n;
  }
  sent += n;
}

Result measure(std::string_view way, int producers, size_t frame_bytes, const Options& options) {
  BenchReceiver::Target target;
  net::FrontEndOptions front_options;
  front_options.listen.push_back(*net::Address::parse("127.0.0.1:0", 0));
  auto front = std::move(
      *net::FrontEnd::start(front_options, [&](size_t) { return std::make_unique<BenchReceiver>(target); }));
  const net::Address address = front->addresses()[0];

  net::TestSocket reader(address);
  reader.send_all("background\n");
  while (target.connection == nullptr)
    std::this_thread::yield();
  std::thread drain([&] {
    while (!reader.receive(256 << 10).empty()) {
    }
  });

  std::mutex mutex;
  std::counting_semaphore<> room(kMaxPosted);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> sent{0};
  const std::string frame(frame_bytes, 'f');
  std::vector<std::unique_ptr<Producer>> all;
  std::vector<std::thread> threads;
  for (int i = 0; i < producers && way != "idle"; ++i) {
    if (way == "mutex") all.push_back(std::make_unique<MutexProducer>(target, mutex));
    if (way == "hop") all.push_back(std::make_unique<HopProducer>(target));
    if (way == "post") all.push_back(std::make_unique<PostProducer>(target, room));
    if (way == "spool") all.push_back(std::make_unique<SpoolProducer>(target));
    threads.emplace_back([&, producer = all.back().get()] {
      produce(*producer, frame, options.rate / producers, stop, sent);
    });
  }
  Foreground foreground(address, options.foreground);
  const uint64_t wakes_before = front->loops()[0]->counters().spool_wakes.get();
  std::thread client([&] { foreground.run(stop); });
  const auto begin = Clock::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
  stop = true;
  client.join();
  const uint64_t wakes = front->loops()[0]->counters().spool_wakes.get() - wakes_before;
  // Producers that wait for the loop end before it does.
  for (std::thread& thread : threads)
    thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  front.reset();
  drain.join();

  Result result;
  result.frames_per_s = static_cast<double>(sent.load()) / seconds;
  if (sent > 0) result.wakes_per_frame = static_cast<double>(wakes) / static_cast<double>(sent.load());
  foreground.report(result, seconds);
  return result;
}

void print(std::string_view way, int producers, size_t frame_bytes, const Result& r, const Options& options,
           bool first) {
  if (options.json) {
    fmt::print(
        "{}{{\"way\":\"{}\",\"producers\":{},\"frame_bytes\":{},\"frames_per_s\":{:.0f},"
        "\"foreground_per_s\":{:.0f},\"p50_us\":{:.1f},\"p99_us\":{:.1f},\"wakes_per_frame\":{:.6f}}}\n",
        first ? "[" : ",", way, producers, frame_bytes, r.frames_per_s, r.foreground_per_s, r.p50_us,
        r.p99_us, r.wakes_per_frame);
  } else {
    fmt::print("{:<6} {:>9} {:>7} {:>14.0f} {:>10.2f} {:>13.0f} {:>8.0f} {:>8.0f} {:>12.5f}\n", way,
               producers, frame_bytes, r.frames_per_s,
               r.frames_per_s * static_cast<double>(frame_bytes) / 1e9, r.foreground_per_s, r.p50_us,
               r.p99_us, r.wakes_per_frame);
  }
  std::fflush(stdout);
}

int run(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto value = [&] { return i + 1 < argc ? std::strtod(argv[++i], nullptr) : 0.0; };
    if (argument == "--seconds") {
      options.seconds = value();
    } else if (argument == "--rate") {
      options.rate = value();
    } else if (argument == "--foreground") {
      options.foreground = static_cast<int>(value());
    } else if (argument == "--json") {
      options.json = true;
    } else {
      fmt::print(stderr, "handoff [--seconds S] [--rate FRAMES_PER_S] [--foreground CONNECTIONS] [--json]\n");
      return 2;
    }
  }
  if (!options.json) {
    fmt::print("{:<6} {:>9} {:>7} {:>14} {:>10} {:>13} {:>8} {:>8} {:>12}\n", "way", "producers", "bytes",
               "frames/s", "GB/s", "foreground/s", "p50 us", "p99 us", "wakes/frame");
  }
  print("idle", 0, 0, measure("idle", 0, 0, options), options, true);
  for (const size_t frame_bytes : {size_t{128}, size_t{4096}}) {
    for (const int producers : {1, 2, 4}) {
      for (const std::string_view way : {"mutex", "hop", "post", "spool"}) {
        print(way, producers, frame_bytes, measure(way, producers, frame_bytes, options), options, false);
      }
    }
  }
  if (options.json) fmt::print("]\n");
  return 0;
}

}  // namespace
}  // namespace bobbin

int main(int argc, char** argv) {
  return bobbin::run(argc, argv);
}
