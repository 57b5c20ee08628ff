#include "serve/backup_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/thread_name.h"

namespace bobbin::serve {

bool BackupJob::start(BackupRequest request, net::Spool spool) {
  const base::MutexLock lock(mutex_);
  if (stopping_.load() || running_.exchange(true)) return false;
  // The one before has ended, or is about to.
  if (thread_.joinable()) thread_.join();
  thread_ = std::thread([this, request = std::move(request), spool = std::move(spool)]() mutable {
    base::name_thread("backup");
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

bool BackupJob::tell_progress(net::Spool& spool, const char* stage, std::string_view bucket, uint64_t done,
                              uint64_t total) {
  // One that finds the spool full is as good as told: the next says more.
  const net::Append appended =
      spool.append(fmt::format("progress {} {} {} {}\n", stage, done, total, bucket));
  return appended != net::Append::closed && !stopping_.load();
}

bool BackupJob::is_listed(const BucketSettings& settings) const {
  bool found = false;
  buckets_.visit([&](const ServedBucket& bucket) { found |= bucket.uuid() == settings.uuid; });
  return found;
}

disk::Result<bool> BackupJob::with_bucket(const BucketSettings& settings,
                                          const ServerBackupOptions::Copy& copy, net::Spool& spool) {
  const auto bucket = buckets_.find(settings.name);
  if (bucket == nullptr || bucket->uuid() != settings.uuid) return false;
  if (!tell_progress(spool, "save", settings.name, 0, 0))
    return base::fail(disk::Error{disk::ErrorKind::io, {}, "it was stopped"});
  auto copied = bucket->disk()->bring_to_disk();
  if (copied) copied = copy(bucket->disk()->directory());
  // Whoever removes it waits for us. What was copied by then is of no use.
  if (!is_listed(settings)) return false;
  if (!copied) return base::fail(std::move(copied.error()));
  return true;
}

disk::Result<ServerBackup> BackupJob::make(const BackupRequest& request, net::Spool& spool) {
  ServerBackupOptions options;
  options.folder = request.folder;
  options.dry_run = request.dry_run;
  options.unix_ns = clock_.now().unix_ns;
  buckets_.visit([&](const ServedBucket& bucket) { options.buckets.push_back(bucket.settings()); });
  BucketSettings current;  // what is being copied, besides the default one
  options.progress = [&](std::string_view bucket, uint64_t done, uint64_t total) {
    const bool goes_on = current.uuid.empty() || is_listed(current);
    return tell_progress(spool, "copy", bucket, done, total) && goes_on;
  };
  options.with_bucket = [&](const BucketSettings& settings, const ServerBackupOptions::Copy& copy) {
    current = settings;
    auto done = with_bucket(settings, copy, spool);
    current = {};
    return done;
  };
  if (!tell_progress(spool, "save", BucketSettings{}.name, 0, 0))
    return base::fail(disk::Error{disk::ErrorKind::io, {}, "it was stopped"});
  if (auto saved = disk_.bring_to_disk(); !saved) return base::fail(std::move(saved.error()));
  auto made = back_up_server(disk_.directory(), options);
  if (!made || request.dry_run || !request.verify) return made;
  const auto backups = disk::list_backups(request.folder);
  if (!backups) return base::fail(backups.error());
  auto verified = verify_server_backup(request.folder, backups->back(),
                                       [&](std::string_view bucket, uint64_t done, uint64_t total) {
                                         return tell_progress(spool, "verify", bucket, done, total);
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
  const BucketBackup total = made->total();
  if (!request.dry_run) {
    base::log(base::LogLevel::info,
              fmt::format("backup {} in {}: {} buckets, {} bytes, {} of them new", made->number,
                          request.folder, made->buckets.size(), total.bytes, total.new_bytes));
  }
  std::string lines;
  const auto numbers = [](const BucketBackup& bucket) {
    return fmt::format("{} {} {} {} {}\n", bucket.documents, bucket.files, bucket.bytes, bucket.new_files,
                       bucket.new_bytes);
  };
  for (const BucketBackup& bucket : made->buckets)
    lines += fmt::format("bucket {} {}", bucket.name, numbers(bucket));
  return lines + fmt::format("done {} {} {}", made->number, made->unix_ns, numbers(total));
}

}  // namespace bobbin::serve
