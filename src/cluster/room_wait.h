#pragma once

#include <chrono>
#include <optional>
#include <utility>

namespace bobbin::cluster {

/// How long one change of a copy has waited for memory: one that finds none for so long will hardly find any,
/// and somebody has to be told, once for each connection. A value; one thread.
class RoomWait {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kTold{10};

  /// The change was shown again, and found none.
  void waits(Time now) {
    if (!since_) since_ = now;
  }
  /// Something was applied.
  void goes_on() noexcept { since_.reset(); }
  /// True: it is time to say so.
  [[nodiscard]] bool tell(Time now) noexcept {
    return since_ && now - *since_ >= kTold && !std::exchange(is_told_, true);
  }

 private:
  std::optional<Time> since_;
  bool is_told_ = false;
};

}  // namespace bobbin::cluster
