#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/worker.h"
#include "feed/pool.h"
#include "feed/scans.h"
#include "net/front_end.h"
#include "serve/buckets.h"
#include "serve/cluster_config.h"
#include "serve/counters.h"
#include "serve/following.h"
#include "serve/live_log.h"
#include "serve/logins.h"
#include "serve/served_bucket.h"
#include "serve/statistics.h"

namespace bobbin::serve {

/// What clients are told. They compare it with memcached's versions to find out what the server can do, and
/// some (libmemcached's tools) refuse a major version of 0: it begins with that of the memcached that is
/// matched.
inline constexpr std::string_view kProtocolVersion = "1.6.18-bobbin-" BOBBIN_VERSION;

/// So many passwords wait to be checked; whoever sends one more is told to come again.
inline constexpr size_t kMaxLoginsWaiting = 4096;

/// One line of `stats settings`: what the server was started with.
struct Setting {
  std::string name;
  std::string value;
};

/// What all sessions of a server share. Every member may be used on any thread, and outlives the sessions.
struct Engine {
  /// What clients work on that select no bucket: those of memcached's protocols.
  const std::shared_ptr<ServedBucket>& bucket;
  Buckets& buckets;
  /// Ends after the loops and before the sessions.
  const std::unique_ptr<feed::Pool>& feeds;
  feed::Scans& scans;
  /// Ends as the feeds do.
  base::Worker& errands;
  /// Checks passwords, which takes milliseconds each. Ends as the feeds do.
  base::Worker& login_checks;
  const base::Clock& clock;
  LiveLog& log;
  const std::vector<std::unique_ptr<CommandCounters>>& counters;  ///< one for each loop
  const std::vector<Setting>& settings;
  const std::unique_ptr<net::FrontEnd>& front_end;  ///< set before the first session exists
  StatBaseline& baseline;
  StatTimes& stat_times;
  const Node& node;
  Users& users;
  Logins& logins;
  AuditLog& audit;
  /// Who has not logged in may do everything, though there are users. Where there are none, anybody may.
  bool allow_anonymous;
  base::Now started;
  /// Null: this server follows nobody. Otherwise clients read here, and change nothing.
  const Following* following = nullptr;
};

}  // namespace bobbin::serve
