#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "disk/persistence.h"
#include "feed/bucket_streams.h"
#include "serve/bucket_guests.h"
#include "serve/bucket_settings.h"
#include "serve/collections.h"
#include "serve/config_watchers.h"
#include "serve/upload.h"
#include "serve/vbucket_states.h"
#include "store/bucket.h"
#include "store/sweeper.h"

namespace bobbin::serve {

struct ServedBucketOptions {
  /// As clients select it, 1 to 100 characters.
  std::string name = "default";
  /// 32 hexadecimal digits: two buckets of one name, made one after the other, are told apart by it. Empty:
  /// the data directory's, or a random one.
  std::string uuid = {};
  store::BucketOptions cache = {};               ///< not looked at with `disk`
  std::unique_ptr<disk::Persistence> disk = {};  ///< opened and not started; null: a cache
  bool durable_replies = false;  ///< replies to writes wait until these are on disk; with `disk`
  store::EvictionObserver* observer = nullptr;  ///< lives longer
  size_t max_backfills = 4;                     ///< change streams that read the disk at once
  /// How long the client of a stream may take nothing while other streams need what that one holds.
  std::chrono::milliseconds stream_patience{5000};
  /// Besides name, uuid and quota, which are those of above.
  BucketSettings settings = {};
};

/// A bucket with everything that works on it: its disk, its sweeper, and how much memory uploads may hold.
/// Shared by the list of buckets and the sessions that have selected it, because a bucket may be deleted
/// while connections still use it. Any thread; start, close and the destructor: one thread that is no loop.
class ServedBucket {
 public:
  ServedBucket(ServedBucketOptions options, const base::Clock& clock);
  ~ServedBucket();
  ServedBucket(const ServedBucket&) = delete;
  ServedBucket& operator=(const ServedBucket&) = delete;

  /// Returns when what is due has been done: no client sees what it was told would be gone by now.
  void start();
  /// Ends its threads, and brings everything to disk. An error: not all is there.
  [[nodiscard]] disk::Result<void> close();
  /// Ends its threads at once; store::Bucket and disk may no longer be used.
  void end();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::string& uuid() const noexcept { return uuid_; }
  [[nodiscard]] store::Bucket& bucket() const noexcept { return bucket_; }
  /// Null in front of a cache.
  [[nodiscard]] disk::Persistence* disk() const noexcept { return disk_.get(); }
  /// Of who selects it from now on.
  [[nodiscard]] bool durable_replies() const noexcept {
    return durable_replies_.load(std::memory_order_relaxed);
  }
  /// Values that come compressed are stored so.
  [[nodiscard]] bool keeps_compressed() const noexcept {
    return keeps_compressed_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] store::EvictionObserver* observer() const noexcept { return observer_; }
  [[nodiscard]] BucketSettings settings() const EXCLUDES(mutex_);
  /// Name and uuid stay what they are.
  void set_settings(BucketSettings settings) EXCLUDES(mutex_);
  /// Those that have selected it, where it may be removed.
  [[nodiscard]] const std::shared_ptr<BucketGuests>& guests() const noexcept { return guests_; }
  /// Called once, by the thread that lets go of it last, when nothing of it is left.
  void when_destroyed(std::function<void()> tell) { tell_destroyed_ = std::move(tell); }
  [[nodiscard]] Collections& collections() const noexcept { return collections_; }
  /// Those that are told of each change of its configuration.
  [[nodiscard]] ConfigWatchers& config_watchers() const noexcept { return config_watchers_; }
  [[nodiscard]] UploadBudget& uploads() const noexcept { return uploads_; }
  [[nodiscard]] VBucketStates& vbuckets() const noexcept { return vbuckets_; }
  [[nodiscard]] feed::BucketStreams& streams() const noexcept { return streams_; }

 private:
  const base::Clock& clock_;
  const std::string name_;
  const std::string uuid_;
  std::unique_ptr<disk::Persistence> disk_;
  const std::unique_ptr<store::Bucket> cache_;  // null with a disk, which has its own
  store::Bucket& bucket_;
  std::atomic<bool> durable_replies_;
  std::atomic<bool> keeps_compressed_ = false;
  const bool always_durable_;
  store::EvictionObserver* const observer_;
  const std::shared_ptr<BucketGuests> guests_ = std::make_shared<BucketGuests>();
  std::function<void()> tell_destroyed_;
  mutable base::Mutex mutex_;
  BucketSettings settings_ GUARDED_BY(mutex_);
  mutable UploadBudget uploads_;
  mutable VBucketStates vbuckets_;
  mutable ConfigWatchers config_watchers_;
  mutable Collections collections_;
  mutable feed::BucketStreams streams_;
  std::unique_ptr<store::Sweeper> sweeper_;
};

}  // namespace bobbin::serve
