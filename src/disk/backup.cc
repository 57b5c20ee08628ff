#include "disk/backup.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>

#include "disk/file_copy.h"
#include "disk/history_file.h"
#include "disk/manifest_file.h"
#include "disk/system_file.h"

namespace bobbin::disk {

namespace {

namespace fs = std::filesystem;

Error damaged_file(const std::string& path) {
  return {ErrorKind::corrupt, path, path + ": damaged: its checksum is not the one that was recorded"};
}

/// Also what tells a folder of backups from others, such as a data directory.
std::string lock_path(const std::string& folder) {
  return folder + "/backups.lock";
}

bool is_there(const std::string& path, uint64_t bytes) {
  std::error_code error;
  return fs::file_size(path, error) == bytes && !error;
}

class BackingUp {
 public:
  BackingUp(const Directory& directory, const BackupOptions& options)
      : directory_(directory), options_(options) {}

  Result<BackupResult> run() {
    if (auto ready = prepare(); !ready) return base::fail(std::move(ready.error()));
    // What the dry run counts is what the run will copy; the same pass gives the progress its total.
    for (uint32_t shard = 0; shard < directory_.shards(); ++shard) {
      const uint64_t bytes_before = result_.new_bytes;
      backup().sequences.push_back(directory_.shard(shard).sequence());
      auto done = directory_.shard(shard).with_files([&](std::span<const ShardFile> files) {
        total_ = bytes_before;
        for (const ShardFile& file : files)
          total_ += is_new(shard, file) ? file.bytes : 0;
        auto copied = copy_shard(shard, files);
        return copied ? copy_history(shard) : copied;
      });
      if (done) done = note_newest(shard);
      if (!done) return give_up(std::move(done.error()));
    }
    // A moment is one of all shards.
    if (backup().histories.size() != backup().shards) backup().histories.clear();
    auto manifest = read_manifest(directory_.path());
    if (!manifest) return give_up(std::move(manifest.error()));
    result_.backup.manifest = std::move(*manifest);
    result_.backup.documents = directory_.statistics().keys;
    if (options_.complete) {
      if (auto done = options_.complete(backup()); !done) return give_up(std::move(done.error()));
    }
    if (options_.dry_run) return std::move(result_);
    if (auto done = finish(); !done) return give_up(std::move(done.error()));
    return std::move(result_);
  }

 private:
  [[nodiscard]] Backup& backup() { return result_.backup; }
  [[nodiscard]] std::string own_folder(uint32_t shard) {
    return backup_path(options_.folder, backup().number) + "/shard-" + std::to_string(shard);
  }

  Result<void> prepare() {
    backup().number = std::max<uint64_t>(options_.number, 1);
    backup().uuid = directory_.uuid();
    backup().shards = directory_.shards();
    backup().vbuckets = directory_.vbuckets();
    backup().unix_ns = options_.unix_ns;
    if (auto checked = check_folder(); !checked) return checked;
    if (options_.dry_run) return {};
    if (auto made = make_folder(options_.folder); !made) return made;
    auto taken = FileLock::take(lock_path(options_.folder), false);
    if (!taken && taken.error().kind == ErrorKind::locked) {
      taken.error().message = options_.folder + ": another backup is being made in this folder";
      return base::fail(std::move(taken.error()));
    }
    if (!taken) return base::fail(std::move(taken.error()));
    lock_.emplace(std::move(*taken));
    // Again, as another one may have ended meanwhile.
    if (auto checked = check_folder(); !checked) return checked;
    remove_remains();
    if (auto made = make_folder(options_.folder + "/files"); !made) return made;
    return make_folder(backup_path(options_.folder, backup().number));
  }

  /// Chooses the number.
  Result<void> check_folder() {
    std::error_code error;
    if (!fs::exists(options_.folder, error) || fs::is_empty(options_.folder, error)) return {};
    if (!fs::exists(lock_path(options_.folder), error)) {
      return base::fail(Error{ErrorKind::config, options_.folder,
                              options_.folder + ": is not empty, and is no folder of backups"});
    }
    before_.clear();
    const std::vector<uint64_t> numbers = backup_numbers(options_.folder);
    auto backups = list_backups(options_.folder);
    if (!backups && backups.error().kind != ErrorKind::config) return base::fail(std::move(backups.error()));
    if (backups) before_ = std::move(*backups);
    for (const Backup& other : before_) {
      if (other.uuid == directory_.uuid()) continue;
      return base::fail(Error{ErrorKind::config, options_.folder,
                              options_.folder + ": has the backups of another data directory (" + other.uuid +
                                  "), and " + directory_.path() + " is " + directory_.uuid() +
                                  ": use a folder of its own"});
    }
    if (options_.number == 0) backup().number = numbers.empty() ? 1 : numbers.back() + 1;
    return {};
  }

  /// What interrupted backups, and those that somebody has removed, left behind. That it cannot be removed
  /// harms nobody.
  void remove_remains() {
    std::set<std::string> used;
    for (const Backup& other : before_) {
      for (const BackupFile& file : other.files)
        used.insert(path_of(options_.folder, other, file));
    }
    std::error_code error;
    for (const uint64_t number : backup_numbers(options_.folder)) {
      if (!fs::exists(contents_path(options_.folder, number), error))
        fs::remove_all(backup_path(options_.folder, number), error);
    }
    std::vector<std::string> unused;
    const fs::path shared = options_.folder + "/files";
    for (auto entry = fs::directory_iterator(shared, error); !error && entry != fs::directory_iterator();
         entry.increment(error)) {
      if (!used.contains(entry->path().string())) unused.push_back(entry->path().string());
    }
    for (const std::string& path : unused)
      fs::remove(path, error);
  }

  [[nodiscard]] BackupFile described(uint32_t shard, const ShardFile& file) const {
    return {shard, file.name, file.bytes, file.checksum, !file.checksum.empty()};
  }
  [[nodiscard]] bool is_new(uint32_t shard, const ShardFile& file) const {
    const BackupFile described_file = described(shard, file);
    return !described_file.is_shared ||
           !is_there(path_of(options_.folder, result_.backup, described_file), file.bytes);
  }

  Result<void> copy_shard(uint32_t shard, std::span<const ShardFile> files) {
    if (!options_.dry_run) {
      if (auto made = make_folder(own_folder(shard)); !made) return made;
    }
    for (const ShardFile& file : files) {
      BackupFile copied = described(shard, file);
      if (is_new(shard, file)) {
        ++result_.new_files;
        if (options_.dry_run)
          result_.new_bytes += file.bytes;
        else if (auto done = copy(shard, file, copied); !done)
          return done;
      }
      backup().files.push_back(std::move(copied));
    }
    return {};
  }

  Result<void> copy(uint32_t shard, const ShardFile& file, BackupFile& copied) {
    const std::string to = path_of(options_.folder, backup(), copied);
    if (!file.contents.empty()) {
      copied.checksum = checksum_of_bytes(file.contents);
      copied.bytes = file.contents.size();
      result_.new_bytes += copied.bytes;
      return replace_file(to, file.contents);
    }
    const std::string from = directory_.shard(shard).path() + "/" + file.name;
    auto checksum = copy_file(from, to, file.bytes, [this](uint64_t bytes) {
      result_.new_bytes += bytes;
      return !options_.progress || options_.progress(result_.new_bytes, std::max(total_, result_.new_bytes));
    });
    if (!checksum) return base::fail(std::move(checksum.error()));
    if (!copied.checksum.empty() && copied.checksum != *checksum) {
      std::error_code error;
      fs::remove(to, error);
      return base::fail(damaged_file(from));
    }
    copied.checksum = *checksum;
    return {};
  }

  /// What was done since the backup before. Where the shard does not have it any more, whole backups are all
  /// that there is.
  Result<void> copy_history(uint32_t shard) {
    if (before_.empty() || before_.back().sequences.size() != directory_.shards()) return {};
    BackupHistory history{shard, before_.back().sequences[shard], 0, {}};
    const std::string path = path_of(options_.folder, backup(), history);
    std::optional<NewFile> file;
    if (!options_.dry_run) {
      auto made = NewFile::create(path);
      if (!made) return base::fail(std::move(made.error()));
      file.emplace(std::move(*made));
    }
    std::string header;
    auto whole = directory_.shard(shard).read_history(history.after, [&](const HistoryCommit& commit) {
      header.clear();
      append_commit_header(header, commit);
      Result<void> added;
      if (file) added = file->append(header);
      if (added && file) added = file->append(commit.bytes);
      history.bytes += header.size() + commit.bytes.size();
      const uint64_t done = result_.new_bytes + history.bytes;
      if (added && options_.progress && !options_.progress(done, std::max(total_, done)))
        return Result<void>(base::fail(Error{ErrorKind::io, {}, "it was stopped"}));
      return added;
    });
    if (!whole) return base::fail(std::move(whole.error()));
    if (!*whole) return {};
    if (file) {
      auto checksum = file->finish();
      if (!checksum) return base::fail(std::move(checksum.error()));
      history.checksum = *checksum;
    }
    ++result_.new_files;
    result_.new_bytes += history.bytes;
    backup().histories.push_back(std::move(history));
    return {};
  }

  Result<void> note_newest(uint32_t shard) {
    const auto states = directory_.shard(shard).states();
    if (!states) return base::fail(states.error());
    for (const VBucketState& state : *states)
      backup().newest_ns = std::max(backup().newest_ns, state.as_of_ns);
    return {};
  }

  Result<void> finish() {
    for (uint32_t shard = 0; shard < backup().shards; ++shard) {
      if (auto synced = sync_folder(own_folder(shard)); !synced) return synced;
    }
    for (const std::string& folder :
         {options_.folder + "/files", backup_path(options_.folder, backup().number), options_.folder}) {
      if (auto synced = sync_folder(folder); !synced) return synced;
    }
    return replace_file(contents_path(options_.folder, backup().number), encode_backup(backup()));
  }

  /// The next backup would do the same; but a disk that is full should not stay so until then.
  tl::unexpected<Error> give_up(Error error) {
    if (lock_) {
      std::error_code ignored;
      fs::remove_all(backup_path(options_.folder, backup().number), ignored);
      remove_remains();
    }
    return base::fail(std::move(error));
  }

  const Directory& directory_;
  const BackupOptions& options_;
  BackupResult result_;
  std::vector<Backup> before_;
  std::optional<FileLock> lock_;
  uint64_t total_ = 0;
};

}  // namespace

Result<BackupResult> back_up(const Directory& directory, const BackupOptions& options) {
  return BackingUp(directory, options).run();
}

Result<void> verify_backup(const std::string& folder, const Backup& backup, const CopyProgress& progress) {
  uint64_t total = backup.bytes();
  for (const BackupHistory& history : backup.histories)
    total += history.bytes;
  for (const BackupAttachment& attachment : backup.attachments)
    total += attachment.bytes;
  uint64_t done = 0;
  const auto compare = [&](const std::string& path, uint64_t bytes, const std::string& recorded) {
    const auto checksum = checksum_of(path, bytes, [&](uint64_t read) {
      done += read;
      return !progress || progress(done, total);
    });
    if (!checksum) return Result<void>(base::fail(checksum.error()));
    return *checksum == recorded ? Result<void>() : base::fail(damaged_file(path));
  };
  for (const BackupFile& file : backup.files) {
    if (auto same = compare(path_of(folder, backup, file), file.bytes, file.checksum); !same) return same;
  }
  for (const BackupHistory& history : backup.histories) {
    if (auto same = compare(path_of(folder, backup, history), history.bytes, history.checksum); !same)
      return same;
  }
  for (const BackupAttachment& attachment : backup.attachments) {
    if (auto same = compare(path_of(folder, backup, attachment), attachment.bytes, attachment.checksum);
        !same)
      return same;
  }
  return {};
}

}  // namespace bobbin::disk
