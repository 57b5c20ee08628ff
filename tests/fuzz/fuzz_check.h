#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace bobbin::fuzz {

/// Ends the process, in every build, when an invariant does not hold.
#define BOBBIN_FUZZ_CHECK(condition)                                                      \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)

/// Every byte of `view` is one of `outer`; an empty view may point anywhere.
inline bool lies_in(std::string_view view, std::string_view outer) {
  if (view.empty()) return true;
  const auto begin = reinterpret_cast<uintptr_t>(view.data());
  const auto outer_begin = reinterpret_cast<uintptr_t>(outer.data());
  return begin >= outer_begin && begin + view.size() <= outer_begin + outer.size();
}

}  // namespace bobbin::fuzz
