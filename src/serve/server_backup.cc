#include "serve/server_backup.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <utility>

#include "disk/file_copy.h"
#include "disk/system_file.h"

namespace bobbin::serve {
namespace {

namespace fs = std::filesystem;

/// Besides buckets.json, which is written anew. What is in them is for their owner alone.
constexpr std::array<std::string_view, 2> kSmallFiles = {"users.json", "seeded"};

BucketBackup numbers_of(std::string name, const disk::Backup& backup) {
  return {.name = std::move(name),
          .documents = backup.documents,
          .files = backup.files.size(),
          .bytes = backup.bytes()};
}

BucketBackup numbers_of(std::string name, const disk::BackupResult& result) {
  BucketBackup numbers = numbers_of(std::move(name), result.backup);
  numbers.new_files = result.new_files;
  numbers.new_bytes = result.new_bytes;
  return numbers;
}

/// Backups of other buckets that belong to none of these backups: their making was interrupted, or somebody
/// has removed what they belonged to. That they cannot be removed harms nobody.
void remove_unowned(const std::string& folder, const std::set<uint64_t>& numbers) {
  std::error_code error;
  std::vector<std::string> buckets;
  for (auto entry = fs::directory_iterator(folder + "/buckets", error);
       !error && entry != fs::directory_iterator(); entry.increment(error))
    buckets.push_back(entry->path().string());
  for (const std::string& bucket : buckets) {
    for (const uint64_t number : disk::backup_numbers(bucket))
      if (!numbers.contains(number)) fs::remove_all(disk::backup_path(bucket, number), error);
    if (disk::backup_numbers(bucket).empty()) fs::remove_all(bucket, error);
  }
}

class BackingUpServer {
 public:
  BackingUpServer(const disk::Directory& directory, const ServerBackupOptions& options)
      : directory_(directory), options_(options) {}

  disk::Result<ServerBackup> run() {
    disk::BackupOptions options = options_for(options_.folder, BucketSettings{}.name);
    options.complete = [this](disk::Backup& backup) { return add_others(backup); };
    const auto made = disk::back_up(directory_, options);
    if (!made) {
      if (is_writing_) remove_unowned(options_.folder, owned_);
      return base::fail(made.error());
    }
    result_.number = made->backup.number;
    result_.unix_ns = made->backup.unix_ns;
    result_.buckets.insert(result_.buckets.begin(), numbers_of(BucketSettings{}.name, *made));
    return std::move(result_);
  }

 private:
  [[nodiscard]] disk::BackupOptions options_for(std::string folder, std::string bucket) const {
    disk::BackupOptions options;
    options.folder = std::move(folder);
    options.dry_run = options_.dry_run;
    options.unix_ns = options_.unix_ns;
    options.progress = [this, bucket = std::move(bucket)](uint64_t done, uint64_t total) {
      return !options_.progress || options_.progress(bucket, done, total);
    };
    return options;
  }

  disk::Result<void> add_others(disk::Backup& backup) {
    if (!options_.dry_run) {
      auto before = disk::list_backups(options_.folder);
      // Unless there is none, nobody knows what is owned.
      if (!before && before.error().kind != disk::ErrorKind::config)
        return base::fail(std::move(before.error()));
      if (before) {
        for (const disk::Backup& other : *before)
          owned_.insert(other.number);
      }
      is_writing_ = true;
      remove_unowned(options_.folder, owned_);
    }
    for (const BucketSettings& bucket : options_.buckets) {
      auto added = bucket.on_disk() && bucket.name != BucketSettings{}.name ? add_bucket(bucket, backup)
                                                                            : disk::Result<bool>(true);
      if (!added) return base::fail(std::move(added.error()));
      if (*added) kept_.push_back(bucket);
    }
    return attach_files(backup);
  }

  disk::Result<bool> add_bucket(const BucketSettings& bucket, disk::Backup& backup) {
    disk::BackupOptions options = options_for(disk::bucket_folder(options_.folder, bucket.uuid), bucket.name);
    options.number = backup.number;
    BucketBackup numbers;
    auto added = options_.with_bucket(bucket, [&](const disk::Directory& directory) -> disk::Result<void> {
      const auto made = disk::back_up(directory, options);
      if (!made) return base::fail(made.error());
      numbers = numbers_of(bucket.name, *made);
      return {};
    });
    if (added && *added) {
      backup.parts.push_back({bucket.uuid, bucket.name});
      result_.buckets.push_back(std::move(numbers));
    } else if (added && !options_.dry_run) {
      // It may have been copied all the same.
      std::error_code error;
      fs::remove_all(disk::backup_path(options.folder, backup.number), error);
      if (disk::backup_numbers(options.folder).empty()) fs::remove_all(options.folder, error);
    }
    return added;
  }

  disk::Result<void> attach_files(disk::Backup& backup) {
    std::error_code error;
    if (kept_.size() > 1 || fs::exists(buckets_file(directory_.path()), error)) {
      if (auto attached = attach(backup, "buckets.json", encode_buckets(kept_)); !attached) return attached;
    }
    for (const std::string_view name : kSmallFiles) {
      const auto text = disk::read_file(directory_.path() + "/" + std::string(name));
      if (!text) return base::fail(text.error());
      if (!*text) continue;
      if (auto attached = attach(backup, name, **text); !attached) return attached;
    }
    return {};
  }

  disk::Result<void> attach(disk::Backup& backup, std::string_view name, const std::string& text) {
    backup.attachments.push_back({std::string(name), text.size(), disk::checksum_of_bytes(text)});
    if (options_.dry_run) return {};
    return disk::replace_file(disk::path_of(options_.folder, backup, backup.attachments.back()), text,
                              disk::kSecretFileMode);
  }

  const disk::Directory& directory_;
  const ServerBackupOptions& options_;
  ServerBackup result_;
  bool is_writing_ = false;
  std::set<uint64_t> owned_;          // the backups that were there before
  std::vector<BucketSettings> kept_;  // what buckets.json will have
};

disk::Error missing_part(const std::string& folder, uint64_t number, const disk::BackupPart& part) {
  return {disk::ErrorKind::corrupt, folder,
          folder + ": backup " + std::to_string(number) + " of bucket " + part.name +
              " is missing: restore another backup"};
}

}  // namespace

void BucketBackup::add(const BucketBackup& other) {
  documents += other.documents;
  files += other.files;
  bytes += other.bytes;
  new_files += other.new_files;
  new_bytes += other.new_bytes;
}

BucketBackup ServerBackup::total() const {
  BucketBackup total;
  for (const BucketBackup& bucket : buckets)
    total.add(bucket);
  return total;
}

std::string buckets_file(const std::string& data) {
  return data + "/buckets.json";
}

std::string bucket_path(const std::string& data, std::string_view uuid) {
  return data + "/buckets/" + std::string(uuid);
}

disk::Result<ServerBackup> back_up_server(const disk::Directory& directory,
                                          const ServerBackupOptions& options) {
  return BackingUpServer(directory, options).run();
}

disk::Result<disk::Backup> find_part(const std::string& folder, uint64_t number,
                                     const disk::BackupPart& part) {
  const std::string place = disk::bucket_folder(folder, part.uuid);
  auto backups = disk::list_backups(place);
  if (!backups && backups.error().kind != disk::ErrorKind::config)
    return base::fail(std::move(backups.error()));
  if (backups) {
    for (disk::Backup& backup : *backups)
      if (backup.number == number) return std::move(backup);
  }
  return base::fail(missing_part(place, number, part));
}

disk::Result<ServerBackup> describe_backup(const std::string& folder, const disk::Backup& backup) {
  ServerBackup described{backup.number, backup.unix_ns, {numbers_of(BucketSettings{}.name, backup)}};
  for (const disk::BackupPart& part : backup.parts) {
    const auto found = find_part(folder, backup.number, part);
    if (!found) return base::fail(found.error());
    described.buckets.push_back(numbers_of(part.name, *found));
  }
  return described;
}

disk::Result<void> verify_server_backup(const std::string& folder, const disk::Backup& backup,
                                        const BucketProgress& progress) {
  const auto verify = [&](const std::string& place, const std::string& name, const disk::Backup& one) {
    return disk::verify_backup(
        place, one, [&](uint64_t done, uint64_t total) { return !progress || progress(name, done, total); });
  };
  if (auto verified = verify(folder, BucketSettings{}.name, backup); !verified) return verified;
  for (const disk::BackupPart& part : backup.parts) {
    const auto found = find_part(folder, backup.number, part);
    if (!found) return base::fail(found.error());
    if (auto verified = verify(disk::bucket_folder(folder, part.uuid), part.name, *found); !verified)
      return verified;
  }
  return {};
}

}  // namespace bobbin::serve
