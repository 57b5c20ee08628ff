#include "base/clock.h"

#include <ctime>

namespace bobbin::base {

Now SystemClock::now() const noexcept {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return {static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec)};
}

}  // namespace bobbin::base
