#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace bobbin::cli {

/// How far something is that one waits for: a bar on standard error while that is a terminal, and nothing
/// otherwise. One thread.
class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// `what` names the present part of the work.
  void show(std::string_view what, uint64_t done, uint64_t total, std::string_view unit);
  /// Takes it off the screen, for what is printed next.
  void clear();

 private:
  const bool is_terminal_;
  bool is_drawn_ = false;
  std::chrono::steady_clock::time_point last_;
};

/// "checking files  [######    ]  62 %  31.0 MiB of 50.0 MiB", without a line end; numbers of the unit
/// "bytes" as sizes.
[[nodiscard]] std::string progress_line(std::string_view what, uint64_t done, uint64_t total,
                                        std::string_view unit);

}  // namespace bobbin::cli
