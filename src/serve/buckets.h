#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "disk/persistence.h"
#include "serve/bucket_settings.h"
#include "serve/served_bucket.h"

namespace bobbin::serve {

/// Why buckets were not changed.
struct BucketError {
  enum class Kind : uint8_t {
    invalid,   ///< what was asked for cannot be: `field` and `message` say what
    exists,    ///< there is one of that name
    missing,   ///< there is none of that name
    no_flush,  ///< it may not be flushed
    disk,      ///< it could not be written or opened
  };
  Kind kind = Kind::invalid;
  std::string field = {};
  std::string message = {};
};

struct BucketsOptions {
  /// The data directory; empty: buckets are in memory, and forgotten at the end.
  std::string folder = {};
  /// Opens what a bucket keeps on disk, in a folder of its own, and does not start it. Empty: there is no
  /// disk.
  std::function<disk::Result<std::unique_ptr<disk::Persistence>>(const std::string& folder,
                                                                 const BucketSettings& settings)>
      open_disk = {};
  store::BucketOptions cache = {};  ///< for those in memory; quota and eviction are the settings'
  size_t max_backfills = 4;         ///< as ServedBucketOptions'
};

/// The buckets of a server: the default one, which is always there and has the data directory, and those that
/// were made, each with a folder of its own in it. What they are is in the file `buckets.json`.
///
/// Memory is shared: what others are given the default one lacks, and it keeps a quarter.
///
/// A bucket that is removed is first taken off the list and out of the file, then let go of by each
/// connection that has selected it, which is closed on its own loop, and by whoever has found it here; only
/// then do its threads end and its folder go. So remove() waits for loops, and no loop ever waits for it.
class Buckets {
 public:
  static constexpr size_t kMost = 30;  ///< with the default one, as in Couchbase
  using Done = base::Result<void, BucketError>;

  Buckets(std::shared_ptr<ServedBucket> first, BucketsOptions options, const base::Clock& clock);
  Buckets(const Buckets&) = delete;
  Buckets& operator=(const Buckets&) = delete;

  // By the server, one after the other: those of the file are opened, all are started, closed, ended.
  [[nodiscard]] disk::Result<void> open();
  void start();
  [[nodiscard]] disk::Result<void> close();
  void end();

  // Any thread. Whoever keeps one keeps remove() waiting, and may be who ends its threads: no loop of data
  // clients calls find() or all().
  /// Null when there is none of that name.
  [[nodiscard]] std::shared_ptr<ServedBucket> find(std::string_view name) const EXCLUDES(mutex_);
  struct Entered {
    std::shared_ptr<ServedBucket> bucket;  ///< null when there is none of that name
    uint64_t guest = 0;                    ///< its number there; 0 in the default bucket
  };
  /// As find(), for a connection that stays: `spool` is resumed when it has to go. It leaves by
  /// ServedBucket::guests, having let go of the bucket; the default one has no guests, because it stays.
  [[nodiscard]] Entered enter(std::string_view name, const net::Spool& spool) EXCLUDES(mutex_);
  /// Calls `visit` for each, under a lock.
  void visit(const std::function<void(const ServedBucket&)>& visit) const EXCLUDES(mutex_);
  /// The default one, then the others by name.
  [[nodiscard]] std::vector<std::shared_ptr<ServedBucket>> all() const EXCLUDES(mutex_);

  // Changes wait for the disk, for threads and for loops: not on a loop. When they return they are in the
  // file and in effect, or nothing has happened.
  /// `before_start` is shown the bucket when nothing of it was written yet.
  [[nodiscard]] Done create(BucketSettings settings,
                            const std::function<void(store::Bucket&)>& before_start = {});
  /// Name, type, uuid and eviction stay.
  [[nodiscard]] Done change(const BucketSettings& settings);
  [[nodiscard]] Done remove(std::string_view name);
  /// Empties it, where its settings allow that.
  [[nodiscard]] Done flush(std::string_view name);

 private:
  using List = std::vector<std::shared_ptr<ServedBucket>>;

  [[nodiscard]] std::string folder_of(const BucketSettings& settings) const;
  [[nodiscard]] base::Result<std::shared_ptr<ServedBucket>, disk::Error> make(const BucketSettings& settings);
  [[nodiscard]] disk::Result<void> write(const List& buckets) const;
  [[nodiscard]] Done check_memory(const BucketSettings& settings) const;
  void share_memory();
  void replace(List buckets) EXCLUDES(mutex_);

  const std::shared_ptr<ServedBucket> first_;
  const BucketsOptions options_;
  const base::Clock& clock_;
  const uint64_t memory_bytes_;
  std::mutex changing_;  // held by one change from its beginning to its end; readers do not take it
  mutable base::Mutex mutex_;
  List buckets_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::serve
