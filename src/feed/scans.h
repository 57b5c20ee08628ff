#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "feed/frame_memory.h"
#include "wire/range_scan.h"

namespace bobbin::feed {

class Scan;

struct ScanLimits {
  /// Scans that may be open at once, each with a snapshot of the disk: in all, and of one connection.
  size_t scans = 1024;
  size_t scans_per_connection = 128;
  /// A scan that nobody continues for so long is dropped. More than 0.
  std::chrono::milliseconds idle_timeout{180'000};
  /// So is one that waits so long for room for a large document.
  std::chrono::milliseconds room_timeout{180'000};
  /// Of frames with large documents, until they are sent.
  FrameMemory::Limits memory = {};
};

/// Events since the start, and what there is now.
struct ScanStatistics {
  uint64_t open = 0;
  uint64_t created = 0;
  uint64_t completed = 0;
  uint64_t cancelled = 0;  ///< by the client, or because what they scanned is no more
  uint64_t expired = 0;    ///< nobody continued them
  uint64_t refused = 0;    ///< too many were open
  uint64_t items = 0;
  uint64_t bytes = 0;  ///< of items, as they were sent
  FrameMemory::Numbers memory = {};
};

/// The range scans of a server, found by their ids. Any thread. Outlives the scans.
class Scans {
 public:
  explicit Scans(const ScanLimits& limits)
      : limits_(limits), memory_(std::make_shared<FrameMemory>(limits.memory)) {}
  Scans(const Scans&) = delete;
  Scans& operator=(const Scans&) = delete;

  [[nodiscard]] const ScanLimits& limits() const noexcept { return limits_; }
  /// Null when there is none, or no more.
  [[nodiscard]] std::shared_ptr<Scan> find(const wire::ScanId& id) const EXCLUDES(mutex_);
  /// At this moment.
  [[nodiscard]] std::vector<std::shared_ptr<Scan>> all() const EXCLUDES(mutex_);
  [[nodiscard]] ScanStatistics statistics() const;

 private:
  friend class Scan;
  friend class ConnectionScans;

  /// False: as many are open as may be.
  [[nodiscard]] bool enter() noexcept;
  void leave() noexcept { open_.fetch_sub(1, std::memory_order_relaxed); }
  /// It can be continued from now on.
  void show(const std::shared_ptr<Scan>& scan) EXCLUDES(mutex_);
  void hide(const wire::ScanId& id) EXCLUDES(mutex_);

  const ScanLimits limits_;
  // Shared with frames on their way, which may outlive this.
  const std::shared_ptr<FrameMemory> memory_;
  std::atomic<uint64_t> open_{0};
  std::atomic<uint64_t> created_{0};
  std::atomic<uint64_t> completed_{0};
  std::atomic<uint64_t> cancelled_{0};
  std::atomic<uint64_t> expired_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<uint64_t> items_{0};
  std::atomic<uint64_t> bytes_{0};
  mutable base::Mutex mutex_;
  std::map<wire::ScanId, std::weak_ptr<Scan>> shown_ GUARDED_BY(mutex_);
};

/// The scans that one connection has made, which end with it. On its loop.
class ConnectionScans {
 public:
  explicit ConnectionScans(Scans& scans) : scans_(scans) {}
  ~ConnectionScans();
  ConnectionScans(const ConnectionScans&) = delete;
  ConnectionScans& operator=(const ConnectionScans&) = delete;

  /// Takes a place for one more, which has to be add()ed. False: there is none, here or in all.
  [[nodiscard]] bool enter();
  void add(std::shared_ptr<Scan> scan) { scans_of_mine_.push_back(std::move(scan)); }
  /// Of the answers that this connection waits for, whoever has made the scans.
  [[nodiscard]] const std::shared_ptr<FrameMemory::Connection>& memory() const noexcept { return memory_; }

 private:
  Scans& scans_;
  const std::shared_ptr<FrameMemory::Connection> memory_ = std::make_shared<FrameMemory::Connection>();
  std::vector<std::shared_ptr<Scan>> scans_of_mine_;
};

}  // namespace bobbin::feed
