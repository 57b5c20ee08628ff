#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "disk/shard.h"

namespace bobbin::disk {

struct DirectoryOptions {
  std::string path;
  /// Must be those of an existing directory; nullopt takes what it has, or the default for a new one.
  std::optional<uint32_t> shards;
  std::optional<uint32_t> vbuckets;
  /// For all shards together; part of the server's one budget.
  uint64_t memory_bytes = 128 * 1024 * 1024;
  /// For looking at a directory: it must exist, nothing in it is changed.
  bool read_only = false;
  /// With read_only: what every commit is answered with. Where none is given, that it was opened so.
  std::optional<Error> read_only_because;
  /// As in ShardOptions.
  std::shared_ptr<Files> files;
  AskFreshness freshness;
  const base::Clock* clock = nullptr;
  uint32_t tombstone_age_s = store::kTombstoneAgeS;
  uint64_t blob_from_bytes = 4096;
  uint32_t background_jobs_per_shard = 2;
  /// As in ShardOptions, for all shards together.
  uint64_t history_bytes = 0;
};

inline constexpr uint32_t kDefaultShards = 2;
inline constexpr uint32_t kDefaultVBuckets = 1024;

/// A data directory: who it is, its lock, and its shards. Opened and closed by one thread; the rest is for
/// any.
///
///   layout    format version, uuid, numbers of shards and vbuckets
///   lock      held while a process has the directory; names it
///   clean     only there when the last end was clean
///   collections   the bucket's scopes and collections, if there were ever more than the defaults
///                 (manifest_file.h)
///   shard-0 ...
class Directory {
 public:
  /// Creates what is not there; opens the shards at the same time.
  [[nodiscard]] static Result<std::unique_ptr<Directory>> open(const DirectoryOptions& options);
  /// As after a crash, without close().
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const std::string& uuid() const noexcept { return uuid_; }
  [[nodiscard]] uint32_t shards() const noexcept { return static_cast<uint32_t>(shards_.size()); }
  [[nodiscard]] uint32_t vbuckets() const noexcept { return vbuckets_; }
  /// False after a crash: then seqnos and CAS continue behind what the states reserve. True for a new one.
  [[nodiscard]] bool ended_cleanly() const noexcept { return ended_cleanly_; }
  [[nodiscard]] bool is_new() const noexcept { return is_new_; }

  [[nodiscard]] Shard& shard(uint32_t number) noexcept { return *shards_[number]; }
  [[nodiscard]] const Shard& shard(uint32_t number) const noexcept { return *shards_[number]; }
  [[nodiscard]] uint32_t shard_number(uint16_t vbucket) const noexcept { return vbucket % shards(); }
  [[nodiscard]] Shard& shard_of(uint16_t vbucket) noexcept { return shard(shard_number(vbucket)); }
  [[nodiscard]] const Shard& shard_of(uint16_t vbucket) const noexcept {
    return shard(shard_number(vbucket));
  }
  [[nodiscard]] const Resources& resources() const noexcept { return *resources_; }
  /// The sum over the shards.
  [[nodiscard]] ShardStatistics statistics() const;

  /// Closes every shard and, if all went well, notes that the end was clean.
  [[nodiscard]] Result<void> close();

 private:
  class Opening;

  Directory() = default;

  std::string path_;
  std::string uuid_;
  uint32_t vbuckets_ = 0;
  bool read_only_ = false;
  bool ended_cleanly_ = true;
  bool is_new_ = false;
  std::shared_ptr<void> lock_;
  std::shared_ptr<Files> files_;
  std::shared_ptr<Resources> resources_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace bobbin::disk
