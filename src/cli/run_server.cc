#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include "base/log.h"
#include "cli/quantity.h"
#include "cli/serve_command.h"
#include "cli/warmup_display.h"

namespace bobbin::cli {
namespace {

/// Descriptors besides those of connections: standard streams, listeners, wakes, a spare.
constexpr rlim_t kOtherDescriptors = 64;

/// The signals that end the server, and SIGUSR1, by which the draining thread tells that it is done. SIGHUP
/// has a certificate read again; where there is none, which may change while the server runs, it ends it,
/// too.
sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGHUP})
    sigaddset(&set, signal);
  return set;
}

/// Blocked signals stay blocked in the threads that are started later: only sigwait sees them. Writing to a
/// reader that has gone must be an error, not the end.
void block_signals(const sigset_t& set) {
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

/// The next signal that asks for the end; 0 if `done` was told instead. `hung_up` says whether SIGHUP was for
/// something else.
int wait_for_signal(const sigset_t& set, const std::atomic<bool>& done,
                    const std::function<bool()>& hung_up) {
  for (;;) {
    int signal = 0;
    if (sigwait(&set, &signal) != 0) continue;
    if (signal == SIGHUP && hung_up()) continue;
    if (signal != SIGUSR1) return signal;
    if (done.load()) return 0;
  }
}

/// False: there is no certificate.
bool reload_tls(RunningServer& server) {
  if (!server.has_tls()) return false;
  const auto reloaded = server.reload_tls();
  if (reloaded) {
    base::log(base::LogLevel::info, "the certificate was read again");
  } else {
    base::log(base::LogLevel::error, "the certificate in use stays: " + reloaded.error().message);
  }
  return true;
}

/// Raises the soft limit of descriptors as far as it is needed and allowed.
void allow_descriptors(size_t connections) {
  const rlim_t wanted = static_cast<rlim_t>(connections) + kOtherDescriptors;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  const bool raised = setrlimit(RLIMIT_NOFILE, &limit) == 0;
  if (raised && limit.rlim_cur >= wanted) return;
  base::log(
      base::LogLevel::warning,
      fmt::format("only {} file descriptors are allowed (ulimit -n), {} connections would need {}: when they "
                  "are used up, new connections wait",
                  limit.rlim_cur, connections, wanted));
}

/// The kernel's list of IPv6 addresses has the loopback one. Where there is no such list, assume it.
bool has_ipv6_loopback() {
  std::ifstream known("/proc/net/if_inet6");
  if (!known) return access("/proc/net", R_OK) != 0;
  for (std::string line; std::getline(known, line);) {
    if (line.starts_with("00000000000000000000000000000001 ")) return true;
  }
  return false;
}

/// The default is both families; a machine that has only one shall start nevertheless.
void drop_absent_family(ServeConfig& config) {
  if (config.listen != ServeConfig{}.listen || has_ipv6_loopback()) return;
  config.listen.pop_back();
}

/// Who adds --memory to a server that kept its data would see an empty one, and might not see why.
void warn_of_unused_data(const ServeConfig& config) {
  if (config.persistent || access(config.data.c_str(), F_OK) != 0) return;
  base::log(
      base::LogLevel::warning,
      fmt::format("{0} is here and is not used: --memory without --data asks for a cache (add --data {0})",
                  config.data));
}

/// A file that holds the process id for as long as this lives.
class PidFile {
 public:
  explicit PidFile(std::string path) : path_(std::move(path)) {
    if (path_.empty()) return;
    std::ofstream file(path_, std::ios::trunc);
    file << getpid() << '\n';
    file.flush();
    written_ = file.good();
  }
  ~PidFile() {
    if (written_) unlink(path_.c_str());
  }
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

  [[nodiscard]] bool ok() const { return path_.empty() || written_; }

 private:
  const std::string path_;
  bool written_ = false;
};

/// Drains while watching for a second signal.
void drain(RunningServer& server, const sigset_t& signals) {
  std::atomic<bool> done{false};
  const pthread_t waiting = pthread_self();
  std::thread drainer([&] {
    server.drain();
    done.store(true);
    pthread_kill(waiting, SIGUSR1);
  });
  if (const int signal = wait_for_signal(signals, done, [] { return true; }); signal != 0) {
    std::fflush(stdout);
    _exit(128 + signal);
  }
  drainer.join();
}

// Memcached's text protocol, which is easily typed, has no login.
std::string try_it_as_a_user(const std::vector<net::Address>& http) {
  if (http.empty()) return {};
  return fmt::format(
      "try it:\n  curl -u NAME http://{}/pools/default/buckets    # asks for NAME's password\n",
      http.front().text());
}

std::string try_it(const net::Address& address, bool is_default, bool follows) {
  const std::string server = is_default          ? ""
                             : address.is_unix() ? " --server " + address.unix_path
                                                 : " --server " + address.text();
  if (follows) return fmt::format("try it:\n  bobbin stat follow{}\n", server);
  const std::string target =
      address.is_unix() ? "-U " + address.unix_path : fmt::format("{} {}", address.host, address.port);
  return fmt::format(
      "try it:\n"
      "  bobbin set hello world{0} && bobbin get hello{0}\n"
      "  printf 'set hello 0 0 5\\r\\nworld\\r\\nget hello\\r\\nquit\\r\\n' | nc {1}\n",
      server, target);
}

}  // namespace

std::string greeting(const ServeConfig& config, const std::vector<net::Address>& addresses,
                     const std::vector<net::Address>& http, const std::vector<net::Address>& tls,
                     const std::vector<net::Address>& https, bool wants_login) {
  std::string text = fmt::format("bobbin {}: {} thread{}, {} for documents\n", BOBBIN_VERSION, config.threads,
                                 config.threads == 1 ? "" : "s", human_bytes(config.memory_bytes));
  text += config.persistent ? fmt::format("data in {}, a write is acknowledged when it is {}\n", config.data,
                                          config.durability == Durability::disk ? "on disk" : "in memory")
                            : "a cache: nothing survives the end of this process (--data DIR keeps it)\n";
  for (const net::Address& address : addresses)
    text += fmt::format("listening on {}\n", address.text());
  for (const net::Address& address : tls)
    text += fmt::format("listening on {} with TLS\n", address.text());
  for (const net::Address& address : http)
    text += fmt::format("managed at http://{}\n", address.text());
  for (const net::Address& address : https)
    text += fmt::format("managed at https://{}\n", address.text());
  if (wants_login) return text + try_it_as_a_user(http);
  if (!addresses.empty()) {
    const net::Address& first = addresses.front();
    text += try_it(first, first.text() == "127.0.0.1:11211", !config.follow.empty());
  }
  return text;
}

int run_server(ServeConfig config, const StartServer& start) {
  const sigset_t signals = handled_signals();
  block_signals(signals);
  warn_of_unused_data(config);
  if (config.threads == 0) config.threads = std::max(1u, std::thread::hardware_concurrency());
  drop_absent_family(config);
  allow_descriptors(config.limits.max_connections);
  auto server = start(config);
  if (!server) {
    fmt::print(stderr, "bobbin: {}\n", server.error().message);
    return server.error().exit_code;
  }
  const PidFile pid_file(config.pid_file);
  if (!pid_file.ok()) {
    fmt::print(stderr, "bobbin: cannot write {}: {}\n", config.pid_file, std::strerror(errno));
    return kExitCannotStart;
  }
  fmt::print("{}",
             greeting(config, (*server)->addresses(), (*server)->http_addresses(), (*server)->tls_addresses(),
                      (*server)->tls_http_addresses(), (*server)->wants_login()));
  std::fflush(stdout);
  std::optional<WarmupDisplay> warmup(std::in_place, **server);
  const int signal = wait_for_signal(signals, std::atomic<bool>{false}, [&] { return reload_tls(**server); });
  base::log(base::LogLevel::info, fmt::format("{}: draining", strsignal(signal)));
  drain(**server, signals);
  warmup.reset();
  if (const auto closed = (*server)->close(); !closed) {
    base::log(base::LogLevel::error, "not everything is on disk: " + closed.error().message);
    return exit_code_of(closed.error().kind);
  }
  base::log(base::LogLevel::info, "ended");
  return 0;
}

}  // namespace bobbin::cli
