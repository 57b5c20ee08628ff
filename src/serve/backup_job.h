#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "disk/backup.h"
#include "disk/persistence.h"
#include "net/spool.h"

namespace bobbin::serve {

struct BackupRequest {
  std::string folder;
  bool dry_run = false;
  bool verify = false;
};

/// Makes the backups of a running server, one at a time, each on a thread of its own: they wait for disks.
/// What happens is told on the connection that asked for it, as lines:
///
///   progress STAGE DONE TOTAL    bytes; STAGE is save (0 of 0), copy or verify
///   done NUMBER UNIX_NS DOCUMENTS FILES BYTES NEW_FILES NEW_BYTES
///   error KIND MESSAGE           KIND: disk::word_of
///
/// A backup ends when its connection does. Any thread; stop() before the disk and the loops end.
class BackupJob {
 public:
  BackupJob(disk::Persistence& disk, const base::Clock& clock) : disk_(disk), clock_(clock) {}
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
  [[nodiscard]] bool tell_progress(net::Spool& spool, const char* stage, uint64_t done, uint64_t total);
  [[nodiscard]] disk::Result<disk::BackupResult> make(const BackupRequest& request, net::Spool& spool);

  disk::Persistence& disk_;
  const base::Clock& clock_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> running_{false};
  base::Mutex mutex_;
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::serve
