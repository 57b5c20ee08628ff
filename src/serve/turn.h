#pragma once

#include <cstdint>

#include "base/work.h"

namespace bobbin::serve {

/// What one connection may have done in one call of its loop: some milliseconds' work on values. Requests of
/// a few bytes can ask for more than that (an append to a large document, an inflation), and many come in one
/// read; then the others have their turn first. Of the calling thread.
class Turn {
 public:
  [[nodiscard]] bool is_over() const noexcept { return base::work_bytes() - began_ >= kBytes; }

 private:
  static constexpr uint64_t kBytes = 2 << 20;

  const uint64_t began_ = base::work_bytes();
};

}  // namespace bobbin::serve
