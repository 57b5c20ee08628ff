#pragma once

#include <cstdint>

namespace bobbin::base {

namespace work {
inline thread_local uint64_t bytes = 0;
}

/// Bytes of values that the calling thread has gone through for requests: inflated, copied, searched. It only
/// grows. A request of a few bytes can ask for many of them, and a loop has other connections: between two
/// requests it compares readings.
[[nodiscard]] inline uint64_t work_bytes() noexcept {
  return work::bytes;
}
inline void note_work(uint64_t bytes) noexcept {
  work::bytes += bytes;
}

}  // namespace bobbin::base
