#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/durations.h"
#include "disk/directory.h"
#include "disk/error.h"
#include "disk/in_progress.h"
#include "disk/reader.h"
#include "store/bucket.h"

namespace bobbin::disk {

struct PersistenceOptions {
  /// Its `freshness` and `clock` are filled in.
  DirectoryOptions directory;
  /// Its type is persistent; vbuckets and flush_shards are those of the directory.
  store::BucketOptions bucket;
  /// How long a change may wait for company before a flusher takes it. Nobody waits while somebody asked for
  /// a commit (after_commit), is out of memory, or dirty bytes have passed half of `max_dirty_bytes`.
  std::chrono::milliseconds linger{200};
  /// A commit ends with the vbucket that makes it as large as this, or 512 KiB where
  /// somebody waits for it, or 4 MiB where writers wait for room.
  /// Writing one out is a piece of work in which nobody gives way (docs/disk.md has figures).
  uint64_t commit_bytes = 64 << 10;
  /// Above this much that is not on disk, writers are to wait for a commit: with the linger and the time of a
  /// commit, this bounds what an acknowledgement from memory may lose.
  uint64_t max_dirty_bytes = 64 << 20;
  /// Threads that read the disk for those who wait.
  uint32_t readers = 4;
  /// How often it is written down what is in use, where that is not all: see WarmSet.
  std::chrono::milliseconds warm_set_period = std::chrono::minutes(10);
  const base::Clock* clock = nullptr;
};

/// Keys on their way from the disk, for somebody who waits. Holds what was found in memory until it is
/// destroyed, which is to be after the operation that would have blocked has run again.
class Fetching {
 public:
  virtual ~Fetching() = default;
  /// Once `done` was called: a key could not be read (the error is logged). Not for keys that do not exist.
  [[nodiscard]] virtual bool failed() const noexcept = 0;
};

struct WarmupProgress {
  uint64_t items_total = 0;   ///< live documents, as the states of the vbuckets say
  uint64_t items_loaded = 0;  ///< metadata in memory
  uint64_t values_loaded = 0;
  uint64_t vbuckets_total = 0;
  uint64_t vbuckets_done = 0;
  uint64_t elapsed_us = 0;  ///< until now, or of the whole once it is finished
  bool finished = false;
  bool failed = false;  ///< something could not be read: those vbuckets answer would_block for unknown keys
};

struct PersistenceStatistics {
  ShardStatistics shards;  ///< the sum
  WarmupProgress warmup;
  uint64_t commits = 0;
  uint64_t commit_failures = 0;
  uint64_t flushed_items = 0;
  uint64_t flushed_bytes = 0;
  uint64_t last_commit_us = 0;
  uint64_t longest_commit_us = 0;  ///< since the start
  uint64_t oldest_dirty_us = 0;  ///< age of the oldest change that is not on disk: an upper bound, 0 for none
  uint64_t max_dirty_bytes = 0;
  uint64_t fetches = 0;        ///< reads of the disk
  uint64_t fetch_waiters = 0;  ///< keys that somebody waited for: more than reads where a read served several
  uint64_t fetch_failures = 0;
  uint64_t fetches_pending = 0;
};

/// How long one shard's commits and reads have taken since the start.
struct ShardTimes {
  base::DurationCounts commits;
  base::DurationCounts reads;  ///< of one document, or of several read at once
};

/// What one shard has, and has done since the start.
struct ShardActivity {
  ShardStatistics files;
  uint64_t commit_failures = 0;
  uint64_t read_documents = 0;
};

/// What waits for the disk at one moment: reads for those who asked, of one document or of several, and
/// commits.
struct DiskInProgress {
  InProgressCounts reads;
  InProgressCounts commits;
};

/// What keeps a bucket on disk: the directory, the bucket, and the threads between them: a flusher and a
/// warmup for each shard, and a few readers. Opened, started and ended by one thread; the rest is for any
/// thread, and does not wait for the disk unless it says so.
class Persistence {
 public:
  struct Impl;

  /// Opens the directory and restores the vbuckets' states; reads no document. One that is there and cannot
  /// be written is opened for reading: see start().
  [[nodiscard]] static Result<std::unique_ptr<Persistence>> open(PersistenceOptions options);
  /// Ends the threads and the bucket, as after a crash: what is not on disk is lost. close() before it.
  ~Persistence();
  Persistence(const Persistence&) = delete;
  Persistence& operator=(const Persistence&) = delete;

  /// Writes the states that make the vbuckets writable, then starts the threads. A directory that cannot be
  /// written is not an error here: the bucket is read-only then, and failure() says why.
  void start();
  /// Nothing changes the bucket any more: brings everything to disk, ends the threads, notes a clean end. An
  /// error: not all is on disk.
  [[nodiscard]] Result<void> close();

  [[nodiscard]] store::Bucket& bucket() noexcept;
  [[nodiscard]] const Directory& directory() const noexcept;

  /// Reads keys into the bucket, the first ones at least: of many large values only about a megabyte is
  /// brought at once, and who runs again asks for the rest. One read for all who wait for a key. `done` is
  /// called once, on a reader's thread, when all of them were looked up; it must not block, and may come
  /// before this returns. The keys are copied.
  [[nodiscard]] std::shared_ptr<Fetching> fetch(std::span<const store::DocKey> keys,
                                                std::function<void()> done);

  /// Calls `waker` once, on the flusher's thread, after the next commit of the vbucket's shard that ends
  /// after this call, or when it turns out that there will be none (failure()). Whoever waits for a seqno
  /// asks first, then looks at Bucket::persisted_seqno, and asks again. Makes the flusher hurry. `waker` must
  /// not block or ask again from within.
  void after_commit(uint16_t vbucket, std::function<void()> waker);
  /// For who waits until the vbucket is on disk up to a seqno: commits that end before need not call. May
  /// also call early, when there is nothing to commit, the vbucket was cleared or the shard failed: look at
  /// Bucket::persisted_seqno, and ask again.
  void after_commit_of(uint16_t vbucket, uint64_t seqno, std::function<void()> waker);

  /// Something is not on disk and can come there: a commit will let memory go.
  [[nodiscard]] bool has_uncommitted() const noexcept;
  /// Writers are to wait for a commit before they go on.
  [[nodiscard]] bool over_dirty_limit() const noexcept;
  /// A shard can no longer be written: the first error. Its vbuckets refuse changes; reads go on.
  [[nodiscard]] std::optional<Error> failure() const;
  /// As failure(), of one vbucket, and cheap.
  [[nodiscard]] bool writable(uint16_t vbucket) const noexcept;

  /// Waits until all that was changed before this call is on disk; an error when a part never will be. Not
  /// for a thread that others wait for.
  [[nodiscard]] Result<void> bring_to_disk();

  /// What the next start will have for scopes and collections; it is on disk when this returns. Waits for the
  /// disk; one thread at a time. Who calls it gives it to the bucket afterwards.
  [[nodiscard]] Result<void> save_manifest(const store::Manifest& manifest);

  /// Rewrites the files of the vbucket's shard, without what is superseded or old enough to be forgotten.
  /// Takes as long as that takes; not for a thread that others wait for. Ends early, with no error, when
  /// `canceled` becomes true; nothing may close this before it has returned.
  [[nodiscard]] Result<void> compact(uint16_t vbucket, std::atomic<bool>& canceled) const;

  [[nodiscard]] WarmupProgress warmup() const;
  [[nodiscard]] PersistenceStatistics statistics() const;
  // By number; none once it is closed.

  [[nodiscard]] std::vector<ShardTimes> shard_times() const;
  /// Looks at the directories: waits for the disk.
  [[nodiscard]] std::vector<ShardActivity> shard_activity() const;

  /// Slow is what has taken so long already, or longer.
  [[nodiscard]] DiskInProgress in_progress(std::chrono::nanoseconds slow_after) const;
  /// What is on disk under the key, whatever memory has: the last version that was committed, which may be a
  /// tombstone. None: it was never there, or is forgotten. Waits for the disk; not for a thread that others
  /// wait for.
  [[nodiscard]] Result<std::optional<StoredRecord>> read(store::DocKey key) const;

  /// Threads that bring changes to the disk, and that read it.
  [[nodiscard]] size_t writers() const noexcept;
  [[nodiscard]] size_t readers() const noexcept;

 private:
  explicit Persistence(std::unique_ptr<Impl> impl);
  /// Until the next commit of the vbucket's shard, unless `is_needless` says so before.
  void wait_for_commit(uint16_t vbucket, const std::function<bool()>& is_needless);

  std::unique_ptr<Impl> impl_;
};

}  // namespace bobbin::disk
