#pragma once

#include <cstdint>

namespace bobbin::serve {

struct Engine;

/// Seqnos that the source had, when it was asked last, and this server has not.
[[nodiscard]] uint64_t seqnos_behind(const Engine& engine);

}  // namespace bobbin::serve
