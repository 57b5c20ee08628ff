#include "load_server.h"

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "handoff_walk.h"
#include "handoff_ways.h"
#include "serve/server.h"

// jemalloc's, where that is the allocator.
extern "C" int mallctl(const char* name, void* old, size_t* old_size, void* fresh, size_t fresh_size)
    __attribute__((weak));

namespace bobbin::load {
namespace {

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "{}\n", why);
  std::_Exit(1);
}

disk::PersistenceOptions persistence(const ServerSetup& setup) {
  disk::PersistenceOptions options;
  options.directory.path = setup.folder;
  options.directory.shards = 2;
  options.directory.vbuckets = kVBuckets;
  options.directory.memory_bytes = 64 << 20;
  options.bucket.type = store::BucketType::persistent;
  options.bucket.quota_bytes = uint64_t{2} << 30;
  return options;
}

std::unique_ptr<disk::Persistence> open_disk(const ServerSetup& setup) {
  auto made = disk::Persistence::open(persistence(setup));
  if (!made) give_up(made.error().message);
  return std::move(*made);
}

// What was just written lies in memory, and scans are of tables: so it is closed again.
void fill(const ServerSetup& setup) {
  const auto disk = open_disk(setup);
  disk->start();
  store::Bucket& bucket = disk->bucket();
  const base::SystemClock clock;
  const std::string value(kValueBytes, 'v');
  for (size_t i = 0; i < setup.documents; ++i) {
    // In the order of keys: what is measured is how things are sent. In no order a stream that reads by seqno
    // looks up each document somewhere else.
    const std::string key = key_of(i);
    auto draft = bucket.draft(store::DocKey(key), 0, 0, kValueBytes, clock.now());
    if (!draft) give_up("no memory for the documents");
    std::memcpy(draft->value().data(), value.data(), value.size());
    (void)bucket.store(*draft, store::StoreMode::set, {}, clock.now());
    if (i % 50'000 == 0) (void)disk->bring_to_disk();
  }
  (void)disk->bring_to_disk();
  (void)disk->close();
}

/// Answers gets, and has producers for who asks for background frames.
class WaysReceiver final : public net::Receiver {
 public:
  explicit WaysReceiver(disk::Persistence& disk) : disk_(disk) {}

  size_t on_bytes(net::Connection& connection, std::span<const char> unread, size_t) override {
    const std::string_view bytes(unread.data(), unread.size());
    size_t consumed = 0;
    for (size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n', consumed)) {
      const std::string_view line = bytes.substr(consumed, end - consumed);
      consumed = end + 1;
      if (line.starts_with("background ")) {
        produce(connection, line.substr(11));
      } else if (line.starts_with("get ")) {
        get(connection, line.substr(4, line.find_last_not_of('\r') - 3));
      }
    }
    return consumed;
  }
  void on_closed(net::Connection&, net::CloseReason) override {
    if (target_ != nullptr) target_->close();
  }

 private:
  void get(net::Connection& connection, std::string_view key) {
    const auto fetched = disk_.bucket().fetch(store::DocKey(key), clock_.now());
    if (!fetched.doc) return connection.out().append("END\r\n");
    const std::string_view value = fetched.doc->value();
    connection.out().append(fmt::format("VALUE {} {} {}\r\n", key, fetched.doc->flags(), value.size()));
    connection.out().append(value);
    connection.out().append("\r\nEND\r\n");
  }

  void produce(net::Connection& connection, std::string_view what) {
    const size_t space = what.find(' ');
    std::string way(what.substr(0, space));
    const auto vbucket = static_cast<uint16_t>(std::strtoul(what.data() + space + 1, nullptr, 10));
    const handoff::Walk how{.batches = way.starts_with("batch:")};
    if (how.batches) way = way.substr(6);
    target_ = std::make_shared<handoff::Target>(how.batches ? 32 << 10 : 160);
    target_->set(connection);
    // Its own, because a thread may be inside of a write when the connection closes.
    target_->descriptor = dup(target_->descriptor);
    std::thread([&disk = disk_, target = target_, how, way, vbucket] {
      const auto producer = handoff::make_producer(way, *target);
      static const std::atomic<bool> never{false};
      while (!target->is_closed && !(way == "spool" && target->spool.closed())) {
        (void)handoff::walk(disk, vbucket, *producer, how, target->is_closed);
      }
      close(target->descriptor);
      // What was posted names the target: it goes after that.
      target->loop->post([target] {});
    }).detach();
  }

  disk::Persistence& disk_;
  const base::SystemClock clock_;
  std::shared_ptr<handoff::Target> target_;
};

uint64_t allocated_bytes() {
  if (mallctl == nullptr) return 0;
  uint64_t epoch = 1;
  size_t bytes = 0;
  size_t size = sizeof bytes;
  (void)mallctl("epoch", nullptr, nullptr, &epoch, sizeof epoch);
  if (mallctl("stats.allocated", &bytes, &size, nullptr, 0) != 0) return 0;
  return bytes;
}

uint64_t line_of_status(std::string_view name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name)) return std::strtoull(line.c_str() + name.size() + 1, nullptr, 10);
  return 0;
}

Figures figures_of(const net::FrontEnd& front) {
  Figures figures;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  figures.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  figures.resident_bytes = line_of_status("VmRSS") << 10;
  figures.threads = line_of_status("Threads");
  figures.allocated_bytes = allocated_bytes();
  figures.connections = front.connection_count();
  for (const auto& loop : front.loops()) {
    const net::LoopCounters& counters = loop->counters();
    figures.wakes += counters.spool_wakes.get();
    figures.drains += counters.spool_drains.get();
    figures.writes += counters.writes.get();
    figures.spool_bytes_in += counters.spool_bytes_in.get();
    figures.bytes_written += counters.bytes_written.get();
    figures.unsent_bytes += counters.unsent_bytes.get();
  }
  return figures;
}

net::FrontEndOptions listening(const ServerSetup& setup, bool other) {
  net::FrontEndOptions options;
  options.listen.push_back(*net::Address::parse("127.0.0.1:0", 0));
  options.listen.push_back(*net::Address::parse(local_address_of(setup.folder, other), 0));
  options.limits.spool_bytes = setup.spool_bytes;
  // Of what stalled readers hold there is something to see.
  options.limits.stall_timeout = std::chrono::milliseconds(0);
  return options;
}

[[noreturn]] void serve(const ServerSetup& setup, int control) {
  // jemalloc's threads, which give memory back, do not come along into a forked process.
  bool has_threads = true;
  if (mallctl != nullptr)
    (void)mallctl("background_thread", nullptr, nullptr, &has_threads, sizeof has_threads);
  char go = 0;
  if (read(control, &go, 1) != 1) std::_Exit(0);
  if (!std::filesystem::exists(setup.folder)) fill(setup);
  serve::ServerOptions options;
  options.front_end = listening(setup, false);
  options.bucket.disk = open_disk(setup);
  options.bucket.max_backfills = kVBuckets;
  auto started = serve::Server::start(std::move(options));
  if (!started) give_up(started.error().message);
  serve::Server& server = **started;
  while (!server.disk()->warmup().finished)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  auto other = net::FrontEnd::start(
      listening(setup, true), [&server](size_t) { return std::make_unique<WaysReceiver>(*server.disk()); });
  if (!other) give_up(other.error().message);
  const std::array<uint16_t, 2> ports{server.addresses()[0].port, (*other)->addresses()[0].port};
  (void)write(control, ports.data(), sizeof ports);
  for (char ask = 0; read(control, &ask, 1) == 1;) {
    const Figures figures = figures_of(ask == 'o' ? **other : server.front_end());
    (void)write(control, &figures, sizeof figures);
  }
  // Producers of the other ways wait for their loop, and nothing was written since fill().
  std::_Exit(0);
}

// A counter of a kernel's tracepoint, over all threads that `process` will have; -1 where there is none.
int count_events(pid_t process, std::string_view tracepoint) {
  std::ifstream file(fmt::format("/sys/kernel/tracing/events/{}/id", tracepoint));
  perf_event_attr what{};
  what.type = PERF_TYPE_TRACEPOINT;
  what.size = sizeof what;
  what.inherit = 1;
  if (!(file >> what.config)) return -1;
  return static_cast<int>(syscall(SYS_perf_event_open, &what, process, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

uint64_t read_counter(int descriptor) {
  uint64_t value = 0;
  return descriptor >= 0 && read(descriptor, &value, sizeof value) == sizeof value ? value : 0;
}

}  // namespace

std::string key_of(size_t number) {
  return fmt::format("key-{:012}", number);
}

LoadServer::LoadServer(const ServerSetup& setup) : folder_(setup.folder) {
  std::array<int, 2> pair{};
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) != 0) give_up("no socket pair");
  process_ = fork();
  if (process_ == 0) {
    close(pair[0]);
    serve(setup, pair[1]);
  }
  close(pair[1]);
  control_ = pair[0];
  system_calls_ = count_events(process_, "raw_syscalls/sys_enter");
  ticks_ = count_events(process_, "syscalls/sys_enter_epoll_wait");
  std::array<uint16_t, 2> ports{};
  if (write(control_, "g", 1) != 1 || read(control_, ports.data(), sizeof ports) != sizeof ports)
    give_up("the server has not started");
  port_ = ports[0];
  other_port_ = ports[1];
}

LoadServer::~LoadServer() {
  close(control_);
  waitpid(process_, nullptr, 0);
}

Figures LoadServer::figures(bool other) const {
  Figures figures;
  if (write(control_, other ? "o" : "p", 1) != 1 ||
      recv(control_, &figures, sizeof figures, MSG_WAITALL) != static_cast<ssize_t>(sizeof figures))
    give_up("the server has ended");
  figures.system_calls = read_counter(system_calls_);
  figures.ticks = read_counter(ticks_);
  return figures;
}

}  // namespace bobbin::load
