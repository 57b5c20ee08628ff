#pragma once

#include <thread>

#include "cli/running_server.h"

namespace bobbin::cli {

/// Tells how far the documents of a server that starts have come into memory: a bar on standard error when
/// that is a terminal, a line of the log at the end, and one now and then in between. With a thread of its
/// own, which ends with the warmup, or when this is destroyed.
class WarmupDisplay {
 public:
  /// `server` outlives this.
  explicit WarmupDisplay(const RunningServer& server);
  ~WarmupDisplay() = default;
  WarmupDisplay(const WarmupDisplay&) = delete;
  WarmupDisplay& operator=(const WarmupDisplay&) = delete;

 private:
  std::jthread thread_;
};

/// "warming up  [######    ]  62 %  3100000 of 5000000 documents", without a line end.
[[nodiscard]] std::string warmup_bar(const disk::WarmupProgress& progress);
/// What the log says of it.
[[nodiscard]] std::string warmup_line(const disk::WarmupProgress& progress);

}  // namespace bobbin::cli
