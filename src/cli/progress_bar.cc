#include "cli/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "cli/quantity.h"

namespace bobbin::cli {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};

}  // namespace

ProgressBar::ProgressBar() : is_terminal_(isatty(STDERR_FILENO) != 0) {}

void ProgressBar::show(std::string_view what, uint64_t done, uint64_t total, std::string_view unit) {
  if (!is_terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (is_drawn_ && done < total && now - last_ < kRedraw) return;
  last_ = now;
  is_drawn_ = true;
  fmt::print(stderr, "\r{}\033[K", progress_line(what, done, total, unit));
}

void ProgressBar::clear() {
  if (is_drawn_) fmt::print(stderr, "\r\033[K");
  is_drawn_ = false;
}

std::string progress_line(std::string_view what, uint64_t done, uint64_t total, std::string_view unit) {
  constexpr double kCells = 30;
  const double part =
      total == 0 ? 1.0 : std::min(static_cast<double>(done) / static_cast<double>(total), 1.0);
  const std::string bar(static_cast<size_t>(part * kCells), '#');
  const std::string amount = unit == "bytes" ? human_bytes(done) + " of " + human_bytes(total)
                                             : fmt::format("{} of {} {}", done, total, unit);
  return fmt::format("{}  [{:<30}]  {} %  {}", what, bar, static_cast<int>(part * 100), amount);
}

}  // namespace bobbin::cli
