#include "disk/directory.h"

#include <filesystem>
#include <thread>
#include <utility>

#include "disk/layout_file.h"
#include "disk/system_file.h"

namespace bobbin::disk {

/// The steps of Directory::open, and what they hand on.
class Directory::Opening {
 public:
  explicit Opening(const DirectoryOptions& options)
      : options_(options), layout_path_(options.path + "/layout"), clean_path_(options.path + "/clean") {}

  Result<std::unique_ptr<Directory>> run() {
    using Step = Result<void> (Opening::*)();
    for (const Step step : {&Opening::lock, &Opening::read_layout, &Opening::read_clean_end,
                            &Opening::open_shards, &Opening::compare_sequences, &Opening::note_opened}) {
      if (auto done = (this->*step)(); !done) return base::fail(std::move(done.error()));
    }
    return std::move(directory_);
  }

 private:
  Result<void> lock() {
    directory_->path_ = options_.path;
    directory_->read_only_ = options_.read_only;
    if (!options_.read_only) {
      if (auto made = make_folder(options_.path); !made) return made;
    }
    const std::string path = options_.path + "/lock";
    std::error_code error;
    // A copy that lies on a medium which cannot be written may have none, and nobody to lock out.
    if (options_.read_only && !std::filesystem::exists(path, error)) return {};
    auto taken = FileLock::take(path, options_.read_only);
    if (!taken) return base::fail(std::move(taken.error()));
    directory_->lock_ = std::make_shared<FileLock>(std::move(*taken));
    return {};
  }

  Result<void> read_layout() {
    auto text = read_file(layout_path_);
    if (!text) return base::fail(std::move(text.error()));
    if (!*text) return create_layout();
    auto layout = decode_layout(**text, layout_path_);
    if (!layout) return base::fail(std::move(layout.error()));
    layout_ = std::move(*layout);
    return agree();
  }

  Result<void> create_layout() {
    if (has_shards(options_.path)) {
      return base::fail(Error{ErrorKind::corrupt, layout_path_,
                              layout_path_ + ": missing, but there are shards: restore it from a backup"});
    }
    if (options_.read_only)
      return base::fail(
          Error{ErrorKind::config, layout_path_, layout_path_ + ": missing: this is no data directory"});
    layout_.uuid = new_uuid();
    layout_.shards = options_.shards.value_or(kDefaultShards);
    layout_.vbuckets = options_.vbuckets.value_or(kDefaultVBuckets);
    if (layout_.shards == 0 || layout_.shards > layout_.vbuckets || layout_.vbuckets > 65536) {
      return base::fail(
          Error{ErrorKind::config, options_.path,
                options_.path + ": there must be 1 to 65536 vbuckets, and 1 to as many shards"});
    }
    return replace_file(layout_path_, encode_layout(layout_));
  }

  /// What was asked for is what is there.
  Result<void> agree() {
    const auto contradicts = [&](const char* what, std::optional<uint32_t> asked, uint32_t there) {
      return asked && *asked != there
                 ? layout_path_ + ": the directory has " + std::to_string(there) + " " + what + ", not " +
                       std::to_string(*asked) + ": that cannot be changed"
                 : std::string();
    };
    std::string message = contradicts("vbuckets", options_.vbuckets, layout_.vbuckets);
    if (message.empty()) message = contradicts("shards", options_.shards, layout_.shards);
    if (message.empty()) return {};
    return base::fail(Error{ErrorKind::config, layout_path_, std::move(message)});
  }

  Result<void> read_clean_end() {
    directory_->uuid_ = layout_.uuid;
    directory_->vbuckets_ = layout_.vbuckets;
    directory_->is_new_ = !layout_.complete;
    if (!layout_.complete) return {};
    auto text = read_file(clean_path_);
    if (!text) return base::fail(std::move(text.error()));
    if (*text) sequences_ = decode_clean_end(**text);
    if (sequences_ && sequences_->size() != layout_.shards) sequences_.reset();
    directory_->ended_cleanly_ = sequences_.has_value();
    return {};
  }

  [[nodiscard]] ShardOptions shard_options(uint32_t number) const {
    ShardOptions options;
    options.path = shard_path(options_.path, number);
    options.vbuckets = layout_.vbuckets;
    options.create = !layout_.complete && !options_.read_only;
    options.read_only = options_.read_only;
    options.read_only_because = options_.read_only_because;
    options.resources = directory_->resources_;
    options.files = options_.files;
    options.freshness = options_.freshness;
    options.clock = options_.clock;
    options.tombstone_age_s = options_.tombstone_age_s;
    options.blob_from_bytes = options_.blob_from_bytes;
    options.background_jobs = options_.background_jobs_per_shard;
    options.history_bytes = options_.history_bytes / layout_.shards;
    return options;
  }

  Result<void> open_shards() {
    directory_->files_ = options_.files;
    directory_->resources_ = std::make_shared<Resources>(options_.memory_bytes, layout_.shards);
    std::vector<std::optional<Error>> errors(layout_.shards);
    directory_->shards_.resize(layout_.shards);
    std::vector<std::thread> threads;
    for (uint32_t number = 0; number < layout_.shards; ++number) {
      threads.emplace_back([&, number] {
        auto opened = Shard::open(shard_options(number));
        if (opened)
          directory_->shards_[number] = std::move(*opened);
        else
          errors[number] = std::move(opened.error());
      });
    }
    for (std::thread& thread : threads)
      thread.join();
    for (std::optional<Error>& error : errors) {
      if (error) return base::fail(std::move(*error));
    }
    return {};
  }

  /// See cut_off().
  Result<void> compare_sequences() {
    for (uint32_t number = 0; sequences_ && number < layout_.shards; ++number) {
      const Shard& shard = directory_->shard(number);
      const uint64_t before = (*sequences_)[number];
      if (shard.sequence() >= before) continue;
      return base::fail(cut_off(shard.path(), before, shard.sequence()));
    }
    return {};
  }

  /// From here on an end is unclean until close() says otherwise.
  Result<void> note_opened() {
    if (options_.read_only) return {};
    if (auto removed = remove_file(clean_path_); !removed) return removed;
    if (layout_.complete && layout_.format == kDirectoryFormat) return {};
    if (auto synced = sync_folder(options_.path); !synced) return synced;
    layout_.complete = true;
    // Before anything is written that an earlier version would pass over.
    layout_.format = kDirectoryFormat;
    return replace_file(layout_path_, encode_layout(layout_));
  }

  const DirectoryOptions& options_;
  const std::string layout_path_;
  const std::string clean_path_;
  Layout layout_;
  std::optional<std::vector<uint64_t>> sequences_;
  std::unique_ptr<Directory> directory_ = std::unique_ptr<Directory>(new Directory());
};

Result<std::unique_ptr<Directory>> Directory::open(const DirectoryOptions& options) {
  return Opening(options).run();
}

Directory::~Directory() = default;

ShardStatistics Directory::statistics() const {
  ShardStatistics all;
  for (const auto& shard : shards_) {
    const ShardStatistics one = shard->statistics();
    all.data_bytes += one.data_bytes;
    all.file_bytes += one.file_bytes;
    all.history_bytes += one.history_bytes;
    all.keys += one.keys;
    all.memtable_bytes += one.memtable_bytes;
    all.table_reader_bytes += one.table_reader_bytes;
    all.pending_compaction_bytes += one.pending_compaction_bytes;
    all.running_compactions += one.running_compactions;
    all.running_flushes += one.running_flushes;
    all.delayed_write_bytes_per_s += one.delayed_write_bytes_per_s;
    all.stopped = all.stopped || one.stopped;
    all.sealed = all.sealed || one.sealed;
    all.commits += one.commits;
    all.changes += one.changes;
    all.superseded += one.superseded;
    all.committed_bytes += one.committed_bytes;
    all.index_entries_dropped += one.index_entries_dropped;
    all.tombstones_purged += one.tombstones_purged;
  }
  return all;
}

Result<void> Directory::close() {
  if (shards_.empty()) return {};
  std::optional<Error> first;
  std::vector<uint64_t> sequences;
  for (const auto& shard : shards_) {
    sequences.push_back(shard->sequence());
    auto closed = shard->close();
    if (!closed && !first) first = std::move(closed.error());
  }
  shards_.clear();
  if (!first && !read_only_) {
    auto noted = replace_file(path_ + "/clean", encode_clean_end(sequences));
    if (!noted) first = std::move(noted.error());
  }
  lock_.reset();
  if (first) return base::fail(std::move(*first));
  return {};
}

}  // namespace bobbin::disk
