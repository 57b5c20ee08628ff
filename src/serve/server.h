#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/worker.h"
#include "feed/pool.h"
#include "feed/scans.h"
#include "net/front_end.h"
#include "serve/backup_job.h"
#include "serve/buckets.h"
#include "serve/engine.h"
#include "serve/served_bucket.h"

namespace bobbin::serve {

struct ServerOptions {
  net::FrontEndOptions front_end;
  ServedBucketOptions bucket;  ///< the default one
  BucketsOptions buckets;
  size_t feed_threads = 2;  ///< of range scans and change streams
  feed::ScanLimits scans;
  /// Where commands to the server itself come in, a path. Only with a disk; empty: nowhere.
  std::string control;
  Node node;
  std::unique_ptr<Users> users;          ///< null: there are none, and anybody may do everything
  AuditOptions audit;                    ///< `clock` is the server's
  bool allow_anonymous = false;          ///< see Engine
  std::unique_ptr<Following> following;  ///< null: the server follows nobody
  std::vector<Setting> settings;         ///< for `stats settings`
};

/// Why a server cannot begin; where it is the disk's trouble, of which kind.
struct OpenError {
  std::string message;
  std::optional<disk::ErrorKind> disk = std::nullopt;
};

/// A running server: the bucket with its disk and its sweeper, the live log and the front end, in the order
/// in which they need each other. Its threads are its own; every call comes from another one.
class Server {
 public:
  /// Listens, and returns when clients can connect. The error names the address that cannot be used.
  static base::Result<std::unique_ptr<Server>, OpenError> start(ServerOptions options);
  /// The same in steps: after open() it listens, and nobody is served before run(). Between them, for who has
  /// something to do in its buckets before: start_buckets(), once, which run() does otherwise.
  static base::Result<std::unique_ptr<Server>, OpenError> open(ServerOptions options);
  void start_buckets();
  void run();
  /// Ends at once what is still running.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Where it listens, with the ports that the kernel chose.
  [[nodiscard]] std::vector<net::Address> addresses() const { return front_end_->addresses(); }
  [[nodiscard]] std::vector<net::Address> tls_addresses() const { return front_end_->tls_addresses(); }
  /// Stops accepting, answers what has arrived, closes; blocks until that is done. Once.
  void drain() { front_end_->drain(); }
  /// After drain(): brings everything to disk. An error: not all is there.
  [[nodiscard]] disk::Result<void> close();

  [[nodiscard]] store::Bucket& bucket() noexcept { return bucket_->bucket(); }
  /// Null in front of a cache.
  [[nodiscard]] disk::Persistence* disk() noexcept { return bucket_->disk(); }
  [[nodiscard]] const net::FrontEnd& front_end() const noexcept { return *front_end_; }
  /// Null where it follows nobody.
  [[nodiscard]] Following* following() noexcept { return following_.get(); }
  [[nodiscard]] const base::Clock& clock() const noexcept { return clock_; }
  /// For other ways in, which end before this does.
  [[nodiscard]] const Engine& engine() const noexcept { return engine_; }
  /// Between open() and run(): where the HTTP server listens, for clients to be told. 0: nowhere.
  void set_management_ports(uint16_t plain, uint16_t with_tls) noexcept {
    node_.management_port = plain;
    node_.tls_management_port = with_tls;
  }

 private:
  void open_control_socket(const std::string& path);
  void end_control();
  /// Sessions have their last words before the threads of buckets end.
  void stop_serving();

  explicit Server(ServerOptions&& options);

  const base::SystemClock clock_;
  const std::vector<Setting> settings_;
  const std::unique_ptr<Following> following_;
  Node node_;  // does not change any more once it runs
  std::string control_path_;
  bool buckets_started_ = false;
  const std::unique_ptr<Users> users_;
  AuditLog audit_;
  Logins logins_;
  LiveLog log_;
  const std::shared_ptr<ServedBucket> bucket_;
  Buckets buckets_;
  feed::Scans scans_;
  std::unique_ptr<feed::Pool> feeds_;  // null once they have ended
  base::Worker errands_{base::Worker::Rest::dropped};
  base::Worker login_checks_{base::Worker::Rest::dropped, base::Worker::Where::thread, kMaxLoginsWaiting};
  std::vector<std::unique_ptr<CommandCounters>> counters_;
  StatBaseline baseline_;
  StatTimes stat_times_;
  std::unique_ptr<net::FrontEnd> front_end_;  // set before its threads run; destroyed first, see ~Server
  const Engine engine_;
  // Both null where there is nothing to back up. The job's thread sends on the loop of the other.
  std::unique_ptr<BackupJob> backups_;
  std::unique_ptr<net::FrontEnd> control_;
};

}  // namespace bobbin::serve
