#include "serve/backup_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace bobbin::serve {

bool BackupJob::start(BackupRequest request, net::Spool spool) {
  const base::MutexLock lock(mutex_);
  if (stopping_.load() || running_.exchange(true)) return false;
  // The one before has ended, or is about to.
  if (thread_.joinable()) thread_.join();
  thread_ = std::thread([this, request = std::move(request), spool = std::move(spool)]() mutable {
    const std::string last = run(request, spool);
    // Before it is told: who has heard it may ask for the next one.
    running_.store(false);
    (void)spool.append(last);
  });
  return true;
}

void BackupJob::stop() {
  stopping_.store(true);
  const base::MutexLock lock(mutex_);
  if (thread_.joinable()) thread_.join();
}

bool BackupJob::tell_progress(net::Spool& spool, const char* stage, uint64_t done, uint64_t total) {
  // One that finds the spool full is as good as told: the next says more.
  const net::Append appended = spool.append(fmt::format("progress {} {} {}\n", stage, done, total));
  return appended != net::Append::closed && !stopping_.load();
}

disk::Result<disk::BackupResult> BackupJob::make(const BackupRequest& request, net::Spool& spool) {
  disk::BackupOptions options;
  options.folder = request.folder;
  options.dry_run = request.dry_run;
  options.unix_ns = clock_.now().unix_ns;
  options.progress = [&](uint64_t done, uint64_t total) { return tell_progress(spool, "copy", done, total); };
  if (!tell_progress(spool, "save", 0, 0))
    return base::fail(disk::Error{disk::ErrorKind::io, {}, "it was stopped"});
  if (auto saved = disk_.bring_to_disk(); !saved) return base::fail(std::move(saved.error()));
  auto made = disk::back_up(disk_.directory(), options);
  if (!made || request.dry_run || !request.verify) return made;
  auto verified = disk::verify_backup(request.folder, made->backup, [&](uint64_t done, uint64_t total) {
    return tell_progress(spool, "verify", done, total);
  });
  if (!verified) return base::fail(std::move(verified.error()));
  return made;
}

std::string BackupJob::run(const BackupRequest& request, net::Spool& spool) {
  const auto made = make(request, spool);
  if (!made) {
    base::log(base::LogLevel::error, "backup: " + made.error().message);
    std::string message = made.error().message;
    std::replace(message.begin(), message.end(), '\n', ' ');
    return fmt::format("error {} {}\n", disk::word_of(made.error().kind), message);
  }
  const disk::Backup& backup = made->backup;
  if (!request.dry_run) {
    base::log(base::LogLevel::info, fmt::format("backup {} in {}: {} bytes, {} of them new", backup.number,
                                                request.folder, backup.bytes(), made->new_bytes));
  }
  return fmt::format("done {} {} {} {} {} {} {}\n", backup.number, backup.unix_ns, backup.documents,
                     backup.files.size(), backup.bytes(), made->new_files, made->new_bytes);
}

}  // namespace bobbin::serve
