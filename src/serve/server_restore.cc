// A data directory made of a backup of all buckets, and such a directory checked.

#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "disk/file_copy.h"
#include "disk/layout_file.h"
#include "disk/system_file.h"
#include "serve/server_backup.h"
#include "serve/users_file.h"

namespace bobbin::serve {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBucketsFile = "buckets.json";
constexpr std::string_view kUsersFile = "users.json";

class RestoringServer {
 public:
  explicit RestoringServer(const ServerRestoreOptions& options)
      : options_(options), backup_(options.plan.base) {}

  disk::Result<ServerRestore> run() {
    disk::RestoreOptions options{options_.folder, options_.plan, options_.to,
                                 progress_of(BucketSettings{}.name)};
    if (options_.dry_run) return rehearse(options);
    options.complete = [this] {
      auto restored = restore_others();
      if (!restored) remove_others();
      return restored;
    };
    auto done = disk::restore(options);
    if (!done) {
      if (has_begun_) remove_others();
      return base::fail(std::move(done.error()));
    }
    result_.first = std::move(*done);
    return std::move(result_);
  }

 private:
  [[nodiscard]] disk::CopyProgress progress_of(std::string bucket) const {
    return [this, bucket = std::move(bucket)](uint64_t done, uint64_t total) {
      return !options_.progress || options_.progress(bucket, done, total);
    };
  }

  disk::Result<ServerRestore> rehearse(const disk::RestoreOptions& options) {
    auto done = disk::rehearse_restore(options);
    if (!done) return base::fail(std::move(done.error()));
    result_.first = std::move(*done);
    for (const disk::BackupPart& part : backup_.parts) {
      const auto found = find_part(options_.folder, backup_.number, part);
      if (!found) return base::fail(found.error());
      auto read = disk::verify_backup(disk::bucket_folder(options_.folder, part.uuid), *found,
                                      progress_of(part.name));
      if (!read) return base::fail(std::move(read.error()));
      note(part, *found, found->documents);
    }
    for (const disk::BackupAttachment& attachment : backup_.attachments) {
      result_.has_users |= attachment.name == kUsersFile;
      if (const auto text = read_attached(attachment); !text) return base::fail(text.error());
    }
    return std::move(result_);
  }

  void note(const disk::BackupPart& part, const disk::Backup& backup, uint64_t documents) {
    result_.others.push_back(
        {.name = part.name, .documents = documents, .files = backup.files.size(), .bytes = backup.bytes()});
  }

  disk::Result<void> restore_others() {
    has_begun_ = true;
    for (const disk::BackupPart& part : backup_.parts) {
      auto found = find_part(options_.folder, backup_.number, part);
      if (!found) return base::fail(std::move(found.error()));
      const std::string uuid = uuids_[part.uuid] = disk::new_uuid();
      const disk::RestoreOptions options{disk::bucket_folder(options_.folder, part.uuid),
                                         {*found, {}, 0},
                                         bucket_path(options_.to, uuid),
                                         progress_of(part.name)};
      const auto done = disk::restore(options);
      if (!done) return base::fail(done.error());
      note(part, *found, done->documents);
    }
    if (!backup_.parts.empty()) {
      if (auto synced = disk::sync_folder(options_.to + "/buckets"); !synced) return synced;
    }
    for (const disk::BackupAttachment& attachment : backup_.attachments)
      if (auto restored = restore_file(attachment); !restored) return restored;
    return {};
  }

  disk::Result<std::string> read_attached(const disk::BackupAttachment& attachment) {
    const std::string path = disk::path_of(options_.folder, backup_, attachment);
    auto text = disk::read_file(path);
    if (!text) return base::fail(std::move(text.error()));
    if (*text && disk::checksum_of_bytes(**text) == attachment.checksum) return std::move(**text);
    return base::fail(disk::Error{disk::ErrorKind::corrupt, path,
                                  path + ": damaged or missing: its checksum is not the one that was "
                                         "recorded; restore another backup"});
  }

  disk::Result<void> restore_file(const disk::BackupAttachment& attachment) {
    auto text = read_attached(attachment);
    if (!text) return base::fail(std::move(text.error()));
    result_.has_users |= attachment.name == kUsersFile;
    if (attachment.name == kBucketsFile) {
      auto buckets = decode_buckets(*text, disk::path_of(options_.folder, backup_, attachment));
      if (!buckets) return base::fail(std::move(buckets.error()));
      for (BucketSettings& bucket : *buckets) {
        const auto restored = uuids_.find(bucket.uuid);
        bucket.uuid = restored == uuids_.end() ? disk::new_uuid() : restored->second;
      }
      *text = encode_buckets(*buckets);
    }
    return disk::replace_file(options_.to + "/" + attachment.name, *text, disk::kSecretFileMode);
  }

  void remove_others() {
    std::error_code error;
    fs::remove_all(options_.to + "/buckets", error);
    for (const disk::BackupAttachment& attachment : backup_.attachments)
      fs::remove(options_.to + "/" + attachment.name, error);
  }

  const ServerRestoreOptions& options_;
  const disk::Backup& backup_;
  ServerRestore result_;
  bool has_begun_ = false;
  std::map<std::string, std::string> uuids_;  // that of the backup -> the new one
};

class CheckingServer {
 public:
  using Progress =
      std::function<void(std::string_view bucket, disk::CheckStage stage, uint64_t done, uint64_t total)>;

  CheckingServer(const std::string& path, const Progress& progress) : path_(path), progress_(progress) {}

  disk::Result<ServerCheck> run() {
    auto first = disk::check_directory(path_, progress_of(BucketSettings{}.name));
    if (!first) return base::fail(std::move(first.error()));
    check_.first = std::move(*first);
    check_users();
    if (auto checked = check_buckets(); !checked) return base::fail(std::move(checked.error()));
    return std::move(check_);
  }

 private:
  [[nodiscard]] disk::CheckProgress progress_of(std::string bucket) const {
    return [this, bucket = std::move(bucket)](disk::CheckStage stage, uint64_t done, uint64_t total) {
      if (progress_) progress_(bucket, stage, done, total);
    };
  }

  void tell(const disk::Error& error) {
    check_.first.content.findings.push_back({error.kind, error.path, error.message});
  }

  void check_users() {
    const std::string path = path_ + "/" + std::string(kUsersFile);
    const auto text = disk::read_file(path);
    if (!text) return tell(text.error());
    if (!*text) return;
    if (const auto users = decode_users(**text, path); !users) tell(users.error());
  }

  disk::Result<void> check_buckets() {
    const std::string path = buckets_file(path_);
    const auto text = disk::read_file(path);
    if (text && !*text) return {};
    const auto buckets = text ? decode_buckets(**text, path)
                              : disk::Result<std::vector<BucketSettings>>(base::fail(text.error()));
    if (!buckets) {
      tell(buckets.error());
      return {};
    }
    for (const BucketSettings& bucket : *buckets) {
      if (bucket.name == BucketSettings{}.name || !bucket.on_disk()) continue;
      const std::string place = bucket_path(path_, bucket.uuid);
      auto report = disk::check_directory(place, progress_of(bucket.name));
      if (report) {
        check_.others.push_back({bucket.name, std::move(*report)});
      } else if (report.error().kind == disk::ErrorKind::config) {
        // That of a bucket which is listed was there once.
        tell({disk::ErrorKind::corrupt, place,
              place + ": bucket " + bucket.name + " is missing: restore it from a backup"});
      } else {
        return base::fail(std::move(report.error()));
      }
    }
    return {};
  }

  const std::string& path_;
  const Progress& progress_;
  ServerCheck check_;
};

}  // namespace

disk::Result<ServerRestore> restore_server(const ServerRestoreOptions& options) {
  return RestoringServer(options).run();
}

disk::Result<ServerCheck> check_server(const std::string& path, const CheckingServer::Progress& progress) {
  return CheckingServer(path, progress).run();
}

}  // namespace bobbin::serve
