#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "net/counters.h"
#include "serve/command_times.h"

namespace bobbin::serve {

/// How long something took that is too quick to be timed each time. Written by its loop's thread only; any
/// thread reads.
class SampledTimes {
 public:
  static constexpr uint32_t kOneIn = 64;

  /// Does it, and takes the time of the first and of each 64th after it.
  template <typename Work>
  auto time(Work work) {
    if (turn_++ % kOneIn != 0) return work();
    const auto began = std::chrono::steady_clock::now();
    auto result = work();
    const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - began;
    const auto ns = static_cast<uint64_t>(took.count());
    times_.steps[CommandTimes::step_of(ns)].add(1);
    times_.sum_ns.add(ns);
    return result;
  }
  [[nodiscard]] base::DurationCounts counts() const noexcept { return times_.counts(); }

 private:
  CommandTimes::Histogram times_;
  uint32_t turn_ = 0;
};

/// What the commands of one loop did, under memcached's names (doc/protocol.txt, "General-purpose
/// statistics"). Written by the loop's thread only; any thread reads, and adds the loops up.
struct CommandCounters {
  net::OwnedCounter cmd_get;
  net::OwnedCounter cmd_set;
  net::OwnedCounter cmd_flush;
  net::OwnedCounter cmd_touch;
  net::OwnedCounter cmd_meta;
  net::OwnedCounter get_hits;
  net::OwnedCounter get_misses;
  net::OwnedCounter get_expired;
  net::OwnedCounter delete_misses;
  net::OwnedCounter delete_hits;
  net::OwnedCounter incr_misses;
  net::OwnedCounter incr_hits;
  net::OwnedCounter decr_misses;
  net::OwnedCounter decr_hits;
  net::OwnedCounter cas_misses;
  net::OwnedCounter cas_hits;
  net::OwnedCounter cas_badval;
  net::OwnedCounter touch_hits;
  net::OwnedCounter touch_misses;
  net::OwnedCounter store_too_large;
  net::OwnedCounter store_no_memory;
  net::OwnedCounter unordered_aside;     ///< requests that were put aside (Unordered)
  net::OwnedCounter unordered_in_order;  ///< that could not be
  net::OwnedCounter unordered_waiting;   ///< now: of those aside
  net::OwnedCounter unordered_bytes;     ///< now: of those, and replies that wait for commits
  CommandTimes times;                    ///< with the counts of all commands
  SampledTimes json_checks;              ///< whether a value is JSON
  SampledTimes inflations;               ///< of values that came compressed
  SampledTimes subdoc_runs;              ///< of a request's paths over a document
  /// Replies of the binary protocol that were written here, by status: all there are have 8 bits.
  static constexpr size_t kStatuses = 256;
  std::array<net::OwnedCounter, kStatuses> responses;
};

struct NamedCounter {
  std::string_view name;
  net::OwnedCounter CommandCounters::*counter;
};

/// Every counter with the name under which `stats` reports it, in memcached's order.
inline constexpr std::array kCommandCounters{
    NamedCounter{"cmd_get", &CommandCounters::cmd_get},
    NamedCounter{"cmd_set", &CommandCounters::cmd_set},
    NamedCounter{"cmd_flush", &CommandCounters::cmd_flush},
    NamedCounter{"cmd_touch", &CommandCounters::cmd_touch},
    NamedCounter{"cmd_meta", &CommandCounters::cmd_meta},
    NamedCounter{"get_hits", &CommandCounters::get_hits},
    NamedCounter{"get_misses", &CommandCounters::get_misses},
    NamedCounter{"get_expired", &CommandCounters::get_expired},
    NamedCounter{"delete_misses", &CommandCounters::delete_misses},
    NamedCounter{"delete_hits", &CommandCounters::delete_hits},
    NamedCounter{"incr_misses", &CommandCounters::incr_misses},
    NamedCounter{"incr_hits", &CommandCounters::incr_hits},
    NamedCounter{"decr_misses", &CommandCounters::decr_misses},
    NamedCounter{"decr_hits", &CommandCounters::decr_hits},
    NamedCounter{"cas_misses", &CommandCounters::cas_misses},
    NamedCounter{"cas_hits", &CommandCounters::cas_hits},
    NamedCounter{"cas_badval", &CommandCounters::cas_badval},
    NamedCounter{"touch_hits", &CommandCounters::touch_hits},
    NamedCounter{"touch_misses", &CommandCounters::touch_misses},
    NamedCounter{"store_too_large", &CommandCounters::store_too_large},
    NamedCounter{"store_no_memory", &CommandCounters::store_no_memory},
    NamedCounter{"unordered_aside", &CommandCounters::unordered_aside},
    NamedCounter{"unordered_in_order", &CommandCounters::unordered_in_order},
};

}  // namespace bobbin::serve
