#include "disk/restore.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "disk/file_copy.h"
#include "disk/layout_file.h"
#include "disk/shard.h"
#include "disk/system_file.h"

namespace bobbin::disk {

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMemoryBytes = uint64_t{64} << 20;

class Restoring {
 public:
  explicit Restoring(const RestoreOptions& options) : options_(options), backup_(options.backup) {}

  Result<RestoreResult> run() {
    if (auto ready = prepare(); !ready) return base::fail(std::move(ready.error()));
    for (const auto step : {&Restoring::copy_files, &Restoring::begin_branches, &Restoring::write_layout}) {
      auto done = (this->*step)();
      if (done) continue;
      remove_all();
      return base::fail(std::move(done.error()));
    }
    return std::move(result_);
  }

 private:
  Result<void> prepare() {
    std::error_code error;
    is_made_ = !fs::exists(options_.to, error);
    if (!is_made_ && !fs::is_empty(options_.to, error)) {
      return base::fail(Error{ErrorKind::config, options_.to,
                              options_.to + ": is not empty: a backup is restored into a folder of its own"});
    }
    if (auto made = make_folder(options_.to); !made) return made;
    auto taken = FileLock::take(options_.to + "/lock", false);
    if (!taken) return base::fail(std::move(taken.error()));
    lock_.emplace(std::move(*taken));
    return {};
  }

  Result<void> copy_files() {
    const uint64_t total = backup_.bytes();
    uint64_t done = 0;
    for (uint32_t shard = 0; shard < backup_.shards; ++shard) {
      if (auto made = make_folder(shard_path(options_.to, shard)); !made) return made;
    }
    for (const BackupFile& file : backup_.files) {
      const std::string from = path_of(options_.folder, backup_, file);
      const std::string to = shard_path(options_.to, file.shard) + "/" + file.name;
      const auto checksum = copy_file(from, to, file.bytes, [&](uint64_t bytes) {
        done += bytes;
        return !options_.progress || options_.progress(done, total);
      });
      if (!checksum) return base::fail(checksum.error());
      if (*checksum != file.checksum) {
        return base::fail(Error{ErrorKind::corrupt, from,
                                from + ": damaged: its checksum is not the one that was recorded; restore "
                                       "another backup"});
      }
    }
    for (uint32_t shard = 0; shard < backup_.shards; ++shard) {
      if (auto synced = sync_folder(shard_path(options_.to, shard)); !synced) return synced;
    }
    return {};
  }

  Result<void> begin_branches() {
    const auto resources = std::make_shared<Resources>(kMemoryBytes, backup_.shards);
    for (uint32_t number = 0; number < backup_.shards; ++number) {
      ShardOptions options;
      options.path = shard_path(options_.to, number);
      options.vbuckets = backup_.vbuckets;
      options.resources = resources;
      auto shard = Shard::open(options);
      if (!shard) return base::fail(std::move(shard.error()));
      auto states = (*shard)->states();
      if (!states) return base::fail(std::move(states.error()));
      for (VBucketState& state : *states) {
        result_.documents += state.items;
        // Whoever asked for it asked that server: it would empty what is restored after that moment.
        state.flush_at_s = 0;
        // As if more had been given out than is there.
        state.reserved_seqno = std::max(state.reserved_seqno, state.high_seqno + 1);
      }
      if (auto written = (*shard)->commit({}, *states, Sync::yes); !written) return written;
      if (auto closed = (*shard)->close(); !closed) return closed;
    }
    return {};
  }

  Result<void> write_layout() {
    if (auto synced = sync_folder(options_.to); !synced) return synced;
    result_.uuid = new_uuid();
    return replace_file(options_.to + "/layout", encode_layout({kDirectoryFormat, result_.uuid,
                                                                backup_.shards, backup_.vbuckets, true}));
  }

  void remove_all() {
    std::error_code error;
    for (uint32_t shard = 0; shard < backup_.shards; ++shard)
      fs::remove_all(shard_path(options_.to, shard), error);
    fs::remove(options_.to + "/lock", error);
    if (is_made_) fs::remove(options_.to, error);
  }

  const RestoreOptions& options_;
  const Backup& backup_;
  RestoreResult result_;
  std::optional<FileLock> lock_;
  bool is_made_ = false;
};

}  // namespace

Result<RestoreResult> restore(const RestoreOptions& options) {
  return Restoring(options).run();
}

}  // namespace bobbin::disk
