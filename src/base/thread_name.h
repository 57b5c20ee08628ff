#pragma once

// Names of threads, as ps, top, perf and gdb show them.

#include <pthread.h>

namespace bobbin::base {

/// Of the calling thread. `name` has at most 15 characters: more than that Linux does not keep.
inline void name_thread(const char* name) noexcept {
  pthread_setname_np(pthread_self(), name);
}

}  // namespace bobbin::base
