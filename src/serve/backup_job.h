#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "disk/persistence.h"
#include "net/spool.h"
#include "serve/buckets.h"
#include "serve/server_backup.h"

namespace bobbin::serve {

struct BackupRequest {
  std::string folder;
  bool dry_run = false;
  bool verify = false;
};

/// Makes the backups of a running server, one at a time, each on a thread of its own: they wait for disks.
/// What happens is told on the connection that asked for it, as lines:
///
///   progress STAGE DONE TOTAL BUCKET   bytes; STAGE is save (0 of 0), copy or verify
///   bucket NAME DOCUMENTS FILES BYTES NEW_FILES NEW_BYTES   of each that is in it
///   done NUMBER UNIX_NS DOCUMENTS FILES BYTES NEW_FILES NEW_BYTES   the sum
///   error KIND MESSAGE                 KIND: disk::word_of
///
/// A bucket is held while it is copied; when it is to be removed, its copying stops, and the backup goes on
/// without it. One that is made meanwhile is in the next backup. A backup ends when its connection does. Any
/// thread; stop() before the buckets and the loops end.
class BackupJob {
 public:
  /// `disk` is the default bucket's.
  BackupJob(disk::Persistence& disk, Buckets& buckets, const base::Clock& clock)
      : disk_(disk), buckets_(buckets), clock_(clock) {}
  ~BackupJob() { stop(); }
  BackupJob(const BackupJob&) = delete;
  BackupJob& operator=(const BackupJob&) = delete;

  /// False: another one is being made, or the server is ending.
  [[nodiscard]] bool start(BackupRequest request, net::Spool spool);
  /// Ends what is running; nothing starts any more.
  void stop();

 private:
  /// The last line to be told.
  [[nodiscard]] std::string run(const BackupRequest& request, net::Spool& spool);
  [[nodiscard]] bool tell_progress(net::Spool& spool, const char* stage, std::string_view bucket,
                                   uint64_t done, uint64_t total);
  [[nodiscard]] disk::Result<ServerBackup> make(const BackupRequest& request, net::Spool& spool);
  /// See ServerBackupOptions::with_bucket.
  [[nodiscard]] disk::Result<bool> with_bucket(const BucketSettings& settings,
                                               const ServerBackupOptions::Copy& copy, net::Spool& spool);
  [[nodiscard]] bool is_listed(const BucketSettings& settings) const;

  disk::Persistence& disk_;
  Buckets& buckets_;
  const base::Clock& clock_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> running_{false};
  base::Mutex mutex_;
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::serve
