#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/durations.h"
#include "base/small_mutex.h"
#include "disk/directory.h"
#include "disk/in_progress.h"
#include "disk/persistence.h"
#include "store/bucket.h"

namespace bobbin::disk {

struct FetcherStatistics {
  uint64_t fetches = 0;
  uint64_t waiters = 0;
  uint64_t failures = 0;
  uint64_t pending = 0;
};

/// Threads that read the disk for those who wait: see Persistence::fetch. Any thread; one starts and ends it.
///
/// A key that is on its way is in a map, with all who wait for it: one read serves them. The queue is as long
/// as there are such keys; who waits is bounded by what each session may wait for.
class Fetcher {
 public:
  Fetcher(store::Bucket& bucket, Directory& directory, const base::Clock& clock, uint32_t readers);
  /// As stop().
  ~Fetcher();
  Fetcher(const Fetcher&) = delete;
  Fetcher& operator=(const Fetcher&) = delete;

  void start();
  /// Ends the threads after what they are reading. Who still waits is told that it failed.
  void stop();

  [[nodiscard]] std::shared_ptr<Fetching> fetch(std::span<const store::DocKey> keys,
                                                std::function<void()> done);
  [[nodiscard]] FetcherStatistics statistics() const;
  /// How long reads of one shard took, of a document or of several at once, and how many documents.
  struct ShardReads {
    base::Durations times;
    std::atomic<uint64_t> documents{0};
  };
  [[nodiscard]] const ShardReads& reads_of(uint32_t shard) const noexcept { return reads_[shard]; }
  [[nodiscard]] uint32_t readers() const noexcept { return readers_; }
  [[nodiscard]] const InProgress& in_progress() const noexcept { return in_progress_; }

 private:
  class Wait;

  /// Where a waiter wants its pin.
  struct Waiter {
    std::shared_ptr<Wait> wait;
    size_t place = 0;
  };
  using Waiters = std::vector<Waiter>;
  /// What became of a key that was looked up.
  struct Arrival {
    store::Loaded loaded;
    bool failed = false;
  };
  /// By stored key.
  using Wanted = std::unordered_map<std::string, Waiters>;

  /// Each of the threads has a number.
  void run(size_t reader);
  /// Waits for keys, of one shard; empty when the thread is to end. They stay in the map.
  [[nodiscard]] std::vector<store::DocKey> take();
  /// Whether somebody waits for the key who has not been given enough for now.
  [[nodiscard]] bool is_wanted(store::DocKey key) const;
  void read(std::span<const store::DocKey> keys, size_t reader);
  [[nodiscard]] bool is_stopping() EXCLUDES(mutex_);
  /// Reads and loads one key until it is there, or the end has come.
  [[nodiscard]] store::Loaded read_again(uint16_t vbucket, store::DocKey key, bool& failed);
  /// Gives what the shard has to the bucket; an error is logged.
  [[nodiscard]] store::Loaded load(store::DocKey key, const Result<std::optional<StoredRecord>>& found,
                                   store::LoadTicket ticket, bool& failed);
  /// Takes the keys, which must be in the map, out of it: at once, because all readers and all who ask meet
  /// at its lock. Tells who waits.
  void finish(std::span<const store::DocKey> keys, std::span<Arrival> arrivals);
  void log_failure(const std::string& message);

  store::Bucket& bucket_;
  Directory& directory_;
  const base::Clock& clock_;
  const uint32_t readers_;

  // Whoever asks meets all readers here, for a moment each.
  mutable base::SmallMutex mutex_;
  std::condition_variable_any changed_;
  // The queues show the keys of the map, whose nodes stay where they are.
  Wanted wanted_ GUARDED_BY(mutex_);
  std::vector<std::deque<store::DocKey>> queues_ GUARDED_BY(mutex_);
  size_t next_queue_ GUARDED_BY(mutex_) = 0;
  size_t queued_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  uint32_t last_logged_s_ GUARDED_BY(mutex_) = 0;
  uint64_t not_logged_ GUARDED_BY(mutex_) = 0;

  std::atomic<uint64_t> last_value_bytes_{UINT64_MAX};  // large until it is known better
  std::atomic<uint64_t> fetches_{0};
  std::atomic<uint64_t> waiters_{0};
  std::atomic<uint64_t> failures_{0};
  std::vector<ShardReads> reads_;  // by shard; as many as there are, from the beginning
  InProgress in_progress_;
  std::vector<std::thread> threads_;
};

}  // namespace bobbin::disk
