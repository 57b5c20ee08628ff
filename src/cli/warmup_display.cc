#include "cli/warmup_display.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/log.h"

namespace bobbin::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRedraw{100};
constexpr milliseconds kLogEvery{10'000};

// Whether `time` passed without a request to stop.
bool pause(const std::stop_token& stop, milliseconds time) {
  std::mutex mutex;
  std::condition_variable_any asleep;
  std::unique_lock lock(mutex);
  (void)asleep.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

void watch(const RunningServer& server, const std::stop_token& stop) {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  milliseconds since_line{0};
  bool drawn = false;
  for (;;) {
    const disk::WarmupProgress progress = server.warmup().value_or(disk::WarmupProgress{});
    if (progress.finished) {
      if (drawn) fmt::print(stderr, "\r\033[K");
      if (progress.items_total > 0 || progress.failed)
        base::log(progress.failed ? base::LogLevel::error : base::LogLevel::info, warmup_line(progress));
      return;
    }
    if (terminal) fmt::print(stderr, "\r{}\033[K", warmup_bar(progress));
    drawn = terminal;
    if (!pause(stop, kRedraw)) break;
    since_line += kRedraw;
    if (since_line < kLogEvery) continue;
    since_line = milliseconds(0);
    base::log(base::LogLevel::info, warmup_line(progress));
  }
  if (drawn) fmt::print(stderr, "\n");
}

}  // namespace

WarmupDisplay::WarmupDisplay(const RunningServer& server) {
  if (!server.warmup()) return;
  thread_ = std::jthread([&server](const std::stop_token& stop) { watch(server, stop); });
}

std::string warmup_bar(const disk::WarmupProgress& progress) {
  constexpr uint64_t kCells = 30;
  const uint64_t total = std::max<uint64_t>(progress.items_total, 1);
  const uint64_t loaded = std::min(progress.items_loaded, total);
  const uint64_t cells = loaded * kCells / total;
  return fmt::format("warming up  [{:<{}}]  {} %  {} of {} documents", std::string(cells, '#'), kCells,
                     loaded * 100 / total, progress.items_loaded, progress.items_total);
}

std::string warmup_line(const disk::WarmupProgress& progress) {
  const std::string_view state = progress.failed     ? "incomplete, something could not be read"
                                 : progress.finished ? "complete"
                                                     : "running";
  return fmt::format("warmup {}: {} of {} documents, {} values, {} of {} vbuckets after {:.3f} s", state,
                     progress.items_loaded, progress.items_total, progress.values_loaded,
                     progress.vbuckets_done, progress.vbuckets_total,
                     static_cast<double>(progress.elapsed_us) / 1e6);
}

}  // namespace bobbin::cli
