#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string_view>

#include "base/durations.h"
#include "base/mutex.h"
#include "net/counters.h"
#include "serve/counters.h"

namespace bobbin::serve {

struct Engine;
class ServedBucket;

/// Receives one statistic. The views are valid during the call.
using StatSink = std::function<void(std::string_view name, std::string_view value)>;

/// Calls `sink` for each statistic of a group (serve/stat_groups.h; "" for the general ones, "hash 0" with an
/// argument) as somebody is told who may see everything; false if there is no such thing. What is about
/// documents tells of `bucket`. Any thread.
bool report_statistics(const Engine& engine, const ServedBucket& bucket, std::string_view request,
                       const StatSink& sink);

/// Counts of events, added up over the loops.
struct EventCounts {
  std::array<uint64_t, kCommandCounters.size()> commands{};
  uint64_t total_connections = 0;
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
  uint64_t writes = 0;
  uint64_t write_yields = 0;
  uint64_t unsent_pauses = 0;
  uint64_t unread_kicks = 0;
  uint64_t idle_kicks = 0;
  uint64_t stalled_kicks = 0;
  uint64_t handshakes = 0;
  uint64_t handshake_failures = 0;
  uint64_t handshake_kicks = 0;
  uint64_t overdue_kicks = 0;
  uint64_t spool_wakes = 0;
  uint64_t spool_drains = 0;
  uint64_t spool_bytes_in = 0;
  uint64_t listener_pauses = 0;
  uint64_t listener_no_descriptors = 0;
  uint64_t listener_paused_us = 0;
  uint64_t log_sent = 0;
  uint64_t log_skipped = 0;
};

/// Since the start.
[[nodiscard]] EventCounts count_events(const Engine& engine);

/// What exists now, added up over the loops.
struct LoopGauges {
  uint64_t unsent_bytes = 0;
  uint64_t unread_bytes = 0;
  uint64_t spool_bytes = 0;
  uint64_t unordered_waiting = 0;
  uint64_t unordered_bytes = 0;
};
[[nodiscard]] LoopGauges loop_gauges(const Engine& engine);

/// The counts as they were at the last `stats reset`. What is reported begins at zero again, while the
/// counters only rise: nobody but their owner ever writes them. Any thread.
class StatBaseline {
 public:
  [[nodiscard]] EventCounts since(const EventCounts& now) const EXCLUDES(mutex_);
  void set(const EventCounts& now) EXCLUDES(mutex_);

 private:
  mutable base::Mutex mutex_;
  EventCounts at_reset_ GUARDED_BY(mutex_);
};

/// How long groups of statistics took to tell, by the group's name, which lives as long as the program. Any
/// thread.
class StatTimes {
 public:
  void add(std::string_view group, std::chrono::nanoseconds took) EXCLUDES(mutex_);
  [[nodiscard]] std::map<std::string_view, base::DurationCounts> counts() const EXCLUDES(mutex_);

 private:
  mutable base::Mutex mutex_;
  std::map<std::string_view, base::DurationCounts> groups_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::serve
