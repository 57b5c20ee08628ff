#include "disk/restore.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "disk/file_copy.h"
#include "disk/layout_file.h"
#include "disk/manifest_file.h"
#include "disk/shard.h"
#include "disk/system_file.h"

namespace bobbin::disk {

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMemoryBytes = uint64_t{64} << 20;

/// Reads the histories of a plan and compares their checksums: before anything is done with them.
Result<void> verify_histories(const std::string& folder, const RestorePlan& plan, const KeepGoing& on) {
  for (const Backup& backup : plan.later) {
    for (const BackupHistory& history : backup.histories) {
      const std::string path = path_of(folder, backup, history);
      const auto checksum = checksum_of(path, history.bytes, on);
      if (!checksum) return base::fail(checksum.error());
      if (*checksum != history.checksum) {
        return base::fail(Error{ErrorKind::corrupt, path,
                                path + ": damaged: its checksum is not the one that was recorded; whole "
                                       "backups can be restored (--backup N)"});
      }
    }
  }
  return {};
}

class Restoring {
 public:
  explicit Restoring(const RestoreOptions& options) : options_(options), backup_(options.plan.base) {}

  Result<RestoreResult> run() {
    if (auto ready = prepare(); !ready) return base::fail(std::move(ready.error()));
    for (const auto step : {&Restoring::verify, &Restoring::copy_files, &Restoring::open_shards,
                            &Restoring::complete, &Restoring::write_layout}) {
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

  bool advance(uint64_t bytes) {
    done_ += bytes;
    return !options_.progress ||
           options_.progress(done_, backup_.bytes() + 2 * options_.plan.history_bytes());
  }

  Result<void> verify() {
    return verify_histories(options_.folder, options_.plan,
                            [this](uint64_t bytes) { return advance(bytes); });
  }

  Result<void> copy_files() {
    for (uint32_t shard = 0; shard < backup_.shards; ++shard) {
      if (auto made = make_folder(shard_path(options_.to, shard)); !made) return made;
    }
    for (const BackupFile& file : backup_.files) {
      const std::string from = path_of(options_.folder, backup_, file);
      const std::string to = shard_path(options_.to, file.shard) + "/" + file.name;
      const auto checksum =
          copy_file(from, to, file.bytes, [this](uint64_t bytes) { return advance(bytes); });
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

  Result<void> open_shards() {
    const auto resources = std::make_shared<Resources>(kMemoryBytes, backup_.shards);
    for (uint32_t number = 0; number < backup_.shards; ++number) {
      ShardOptions options;
      options.path = shard_path(options_.to, number);
      options.vbuckets = backup_.vbuckets;
      options.resources = resources;
      auto shard = Shard::open(options);
      if (!shard) return base::fail(std::move(shard.error()));
      if (auto done = replay(**shard, number); !done) return done;
      if (auto begun = begin_branches(**shard); !begun) return begun;
      if (auto closed = (*shard)->close(); !closed) return closed;
    }
    return {};
  }

  Result<void> replay(Shard& shard, uint32_t number) {
    const auto visit = [&](const HistoryCommit& commit) -> Result<void> {
      auto done = shard.replay(commit);
      if (done && !advance(commit.bytes.size()))
        return base::fail(Error{ErrorKind::io, {}, "it was stopped"});
      return done;
    };
    const auto read = read_until(options_.folder, options_.plan, number, shard.sequence(), visit);
    if (!read) return base::fail(read.error());
    result_.replayed.add(*read);
    return {};
  }

  Result<void> begin_branches(Shard& shard) {
    auto states = shard.states();
    if (!states) return base::fail(std::move(states.error()));
    for (VBucketState& state : *states) {
      result_.documents += state.items;
      // Whoever asked for it asked that server: it would empty what is restored after that moment.
      state.flush_at_s = 0;
      // As if more had been given out than is there.
      state.reserved_seqno = std::max(state.reserved_seqno, state.high_seqno + 1);
      for (const store::ScopeState& scope : state.scopes)
        scopes_[scope.name] = std::max(scopes_[scope.name], scope.id);
      for (const store::CollectionState& collection : state.collections) {
        store::Collection& known = collections_[{collection.scope, collection.name}];
        // Of two of one name, one is on its way out.
        if (known.id <= collection.id)
          known = {collection.id, collection.scope, collection.name, collection.max_ttl_s};
      }
    }
    return shard.commit({}, *states, Sync::yes);
  }

  /// That of the backup; of a moment after it, what the vbuckets knew then.
  [[nodiscard]] store::Manifest manifest() const {
    if (options_.plan.later.empty()) return backup_.manifest;
    uint64_t uid = backup_.manifest.uid();
    uint64_t next_scope = backup_.manifest.next_scope();
    uint64_t next_collection = backup_.manifest.next_collection();
    for (const Backup& later : options_.plan.later) {
      uid = std::max(uid, later.manifest.uid());
      next_scope = std::max(next_scope, later.manifest.next_scope());
      next_collection = std::max(next_collection, later.manifest.next_collection());
    }
    std::vector<store::Scope> scopes{{}};
    std::vector<store::Collection> collections{backup_.manifest.collections().front()};
    std::set<store::ScopeId> known{store::kDefaultScope};
    for (const auto& [name, id] : scopes_) {
      scopes.push_back({id, name});
      known.insert(id);
    }
    for (const auto& [name, collection] : collections_) {
      if (known.contains(collection.scope)) collections.push_back(collection);
    }
    auto made = store::Manifest::made_of(uid + 1, std::move(scopes), std::move(collections));
    // What the vbuckets say is under checksums: this is for those who were written by a later version.
    if (!made || !made->set_next_ids(next_scope, next_collection)) return backup_.manifest;
    return std::move(*made);
  }

  Result<void> complete() { return options_.complete ? options_.complete() : Result<void>(); }

  Result<void> write_layout() {
    const store::Manifest restored = manifest();
    if (restored != store::Manifest()) {
      if (auto written = write_manifest(options_.to, restored); !written) return written;
    }
    if (auto synced = sync_folder(options_.to); !synced) return synced;
    result_.uuid = new_uuid();
    return replace_file(options_.to + "/layout", encode_layout({kDirectoryFormat, result_.uuid,
                                                                backup_.shards, backup_.vbuckets, true}));
  }

  void remove_all() {
    std::error_code error;
    for (uint32_t shard = 0; shard < backup_.shards; ++shard)
      fs::remove_all(shard_path(options_.to, shard), error);
    fs::remove(manifest_path(options_.to), error);
    fs::remove(options_.to + "/lock", error);
    if (is_made_) fs::remove(options_.to, error);
  }

  const RestoreOptions& options_;
  const Backup& backup_;
  RestoreResult result_;
  uint64_t done_ = 0;
  // What the vbuckets know beside the defaults.
  std::map<std::string, store::ScopeId> scopes_;
  std::map<std::pair<store::ScopeId, std::string>, store::Collection> collections_;
  std::optional<FileLock> lock_;
  bool is_made_ = false;
};

}  // namespace

Result<RestoreResult> restore(const RestoreOptions& options) {
  return Restoring(options).run();
}

Result<RestoreResult> rehearse_restore(const RestoreOptions& options) {
  const RestorePlan& plan = options.plan;
  const uint64_t total = plan.base.bytes() + plan.history_bytes();
  uint64_t base_done = 0;
  // A history of the base's own is of no use here, and not looked at.
  Backup base = plan.base;
  base.histories.clear();
  const auto progress = [&](uint64_t done, uint64_t) {
    base_done = done;
    return !options.progress || options.progress(done, total);
  };
  if (auto read = verify_backup(options.folder, base, progress); !read)
    return base::fail(std::move(read.error()));
  auto read = verify_histories(options.folder, plan, [&](uint64_t bytes) {
    base_done += bytes;
    return !options.progress || options.progress(base_done, total);
  });
  if (!read) return base::fail(std::move(read.error()));
  RestoreResult result;
  result.documents = base.documents;
  for (uint32_t shard = 0; shard < base.shards && !plan.later.empty(); ++shard) {
    const auto nothing = [](const HistoryCommit&) { return Result<void>(); };
    const auto until = read_until(options.folder, plan, shard, base.sequences[shard], nothing);
    if (!until) return base::fail(until.error());
    result.replayed.add(*until);
  }
  return result;
}

}  // namespace bobbin::disk
