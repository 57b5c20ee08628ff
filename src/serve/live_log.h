#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "net/spool.h"
#include "store/bucket_types.h"

namespace bobbin::serve {

/// What a watcher can ask for, one bit each (memcached doc/protocol.txt, "Watchers").
enum WatchKind : uint32_t {
  kWatchFetchers = 1,
  kWatchMutations = 2,
  kWatchEvictions = 4,
  kWatchConnections = 8,  ///< connevents
  kWatchDeletions = 16,
};

/// The bit of a word of the watch command; 0 for a word that names none.
uint32_t watch_kind(std::string_view word);

/// The live log: events that arise on any thread, as lines for every connection that watches.
///
/// Costs one relaxed load where nobody watches. With watchers, an event is formatted once and appended to
/// their spools; a watcher whose spool is full misses it, is told later how many it missed
/// ("skipped=N\n"), and nobody waits. Every function may be called on any thread.
class LiveLog final : public store::EvictionObserver {
 public:
  explicit LiveLog(const base::Clock& clock) : clock_(clock) {}

  /// Sends events of `kinds` (an or of WatchKind) to the connection of `spool`, until that is closed.
  void subscribe(net::Spool spool, uint32_t kinds);

  /// Forgets the watchers whose connections are gone.
  void remove_closed() EXCLUDES(mutex_);

  [[nodiscard]] bool wants(WatchKind kind) const noexcept {
    return (wanted_.load(std::memory_order_relaxed) & kind) != 0;
  }

  // Events. The caller asks wants() first; without a watcher they do nothing.
  void fetched(std::string_view key, std::string_view status, uint64_t connection, size_t bytes);
  void stored(std::string_view key, std::string_view status, std::string_view command, int64_t ttl_s,
              uint64_t connection, size_t bytes);
  void deleted(std::string_view key, std::string_view command, uint64_t connection, size_t bytes);
  void connection_opened(std::string_view peer, uint64_t connection);
  void connection_closed(std::string_view peer, std::string_view reason, uint64_t connection);
  void on_evicted(const store::Document& document, const store::EvictionFacts& facts) noexcept override;

  // Counted since the start.
  [[nodiscard]] uint64_t sent() const noexcept { return sent_.load(std::memory_order_relaxed); }
  [[nodiscard]] uint64_t skipped() const noexcept { return skipped_.load(std::memory_order_relaxed); }
  [[nodiscard]] size_t watchers() const EXCLUDES(mutex_);

 private:
  struct Watcher {
    net::Spool spool;
    uint32_t kinds;
    std::atomic<uint64_t> missed{0};
  };
  // Shared: a thread may be sending to a watcher that another removes.
  using Watchers = std::vector<std::shared_ptr<Watcher>>;

  void publish(WatchKind kind, std::string_view type, std::string_view rest);
  bool send(Watcher& watcher, std::string_view line);

  const base::Clock& clock_;
  std::atomic<uint32_t> wanted_{0};
  std::atomic<uint64_t> next_gid_{1};
  std::atomic<uint64_t> sent_{0};
  std::atomic<uint64_t> skipped_{0};
  mutable base::Mutex mutex_;
  // Replaced as a whole, so that nothing is sent, and the loop not woken, under the lock.
  std::shared_ptr<const Watchers> watchers_ GUARDED_BY(mutex_) = std::make_shared<Watchers>();
};

}  // namespace bobbin::serve
