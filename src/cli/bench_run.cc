#include "cli/bench_run.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <vector>

#include "cli/bench_report.h"

namespace bobbin::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLookForSignals{100};
constexpr uint64_t kProgressEveryNs = 1'000'000'000;

volatile std::sig_atomic_t stop_requested = 0;

extern "C" void request_stop(int) {
  stop_requested = 1;
}

/// The first signal asks for the end, the second one does what it does to any process.
void catch_signals() {
  struct sigaction action {};
  action.sa_handler = request_stop;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

/// As many descriptors as the connections need, if that is allowed; if not, connecting says so.
void allow_descriptors(uint32_t connections) {
  constexpr rlim_t kOthers = 64;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= connections + kOthers) return;
  limit.rlim_cur = std::min<rlim_t>(connections + kOthers, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
}

double seconds_between(uint64_t from_ns, uint64_t to_ns) {
  return to_ns <= from_ns ? 0 : static_cast<double>(to_ns - from_ns) / 1e9;
}

/// The workers, and what they have reached together.
class Run {
 public:
  /// `tls` outlives this; null without.
  Run(const BenchOptions& options, const net::TlsClientContext* tls)
      : options_(options), plan_(options, tls), stages_(options.threads) {
    for (uint32_t i = 0; i < options.threads; ++i)
      workers_.push_back(std::make_unique<BenchWorker>(plan_, i, stages_));
  }

  base::Result<BenchOutcome, base::Error> run() {
    BenchOutcome outcome;
    for (const auto& worker : workers_)
      worker->start();
    const milliseconds patience = options_.timeout.count() == 0 ? milliseconds::max() : options_.timeout;
    if (!wait(BenchStage::connected, patience)) {
      return base::fail(base::Error{fmt::format("{}: not every connection was accepted within {} ms",
                                                options_.server.text(), patience.count())});
    }
    if (const auto error = stages_.error()) return base::fail(*error);
    if (options_.fill && stop_requested == 0) {
      const uint64_t began_ns = bench_now_ns();
      for (const auto& worker : workers_)
        worker->fill();
      wait(BenchStage::filled, milliseconds::max());
      outcome.fill_seconds = seconds_between(began_ns, bench_now_ns());
    }
    if (const auto error = stages_.error()) return base::fail(*error);
    if (stop_requested != 0) return base::fail(base::Error{"interrupted before anything was measured"});
    measure(outcome);
    return outcome;
  }

 private:
  /// Whether the stage was reached, or a worker failed, before the time was over. A signal ends the wait too.
  bool wait(BenchStage stage, milliseconds limit) {
    milliseconds waited{0};
    while (!stages_.wait(stage, kLookForSignals)) {
      waited += kLookForSignals;
      if (stop_requested != 0) return true;
      if (waited >= limit) return false;
    }
    return true;
  }

  void measure(BenchOutcome& outcome) {
    const uint64_t began_ns = bench_now_ns();
    const auto warmup_ns = static_cast<uint64_t>(std::chrono::nanoseconds(options_.warmup).count());
    const uint64_t count_from_ns = began_ns + warmup_ns;
    for (const auto& worker : workers_)
      worker->measure(count_from_ns);
    const bool progress = !options_.quiet && isatty(STDERR_FILENO) != 0;
    uint64_t next_progress_ns = began_ns + kProgressEveryNs;
    bool stopping = false;
    while (!stages_.wait(BenchStage::finished, kLookForSignals)) {
      if (stop_requested != 0 && !stopping) {
        stopping = true;
        for (const auto& worker : workers_)
          worker->stop_sending();
      }
      if (!progress || bench_now_ns() < next_progress_ns) continue;
      next_progress_ns += kProgressEveryNs;
      show_progress(count_from_ns);
    }
    if (progress) fmt::print(stderr, "\r\x1b[K");
    for (const auto& worker : workers_)
      worker->stop();
    for (const auto& worker : workers_)
      outcome.result.merge(worker->result());
    outcome.seconds = seconds_between(count_from_ns, outcome.result.last_answer_ns);
  }

  // What the workers had a second ago; they are asked for what they have now.
  void show_progress(uint64_t count_from_ns) {
    BenchResult now;
    for (const auto& worker : workers_) {
      now.merge(worker->snapshot());
      worker->take_snapshot();
    }
    const uint64_t answered = now.gets.count() + now.sets.count();
    const uint64_t new_answers = answered - shown_answers_;
    shown_answers_ = answered;
    fmt::print(stderr, "\r{}\x1b[K",
               bench_progress(now, seconds_between(count_from_ns, bench_now_ns()), new_answers));
    std::fflush(stderr);
  }

  const BenchOptions& options_;
  const BenchPlan plan_;
  BenchStages stages_;
  std::vector<std::unique_ptr<BenchWorker>> workers_;
  uint64_t shown_answers_ = 0;
};

}  // namespace

base::Result<BenchOutcome, base::Error> run_bench(const BenchOptions& options) {
  std::unique_ptr<net::TlsClientContext> tls;
  if (options.tls) {
    auto loaded = net::TlsClientContext::load(*options.tls);
    if (!loaded) return base::fail(std::move(loaded.error()));
    tls = std::move(*loaded);
  }
  catch_signals();
  allow_descriptors(options.connections);
  return Run(options, tls.get()).run();
}

}  // namespace bobbin::cli
