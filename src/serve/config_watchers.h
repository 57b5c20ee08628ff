#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "net/spool.h"

namespace bobbin::serve {

/// The connections that are sent a bucket's configuration whenever it changes. Any thread; waits at most for
/// texts to be written and spools to be filled. Its bucket outlives it.
class ConfigWatchers {
 public:
  struct Watcher {
    net::Spool spool;
    /// Watchers of one variant are sent the same.
    std::string variant;
    /// Writes the frame as it is now. Called under a lock: it must not come back here.
    std::function<std::string()> frame;
  };

  /// A number for remove(), never 0.
  [[nodiscard]] uint64_t add(Watcher watcher) EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    watchers_.emplace(++last_, std::move(watcher));
    return last_;
  }
  void remove(uint64_t number) EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    watchers_.erase(number);
  }
  /// The configuration is another one. Who does not read what it was sent misses this, and is told of the
  /// next change; whoever asks is told at any time.
  void changed() EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    std::map<std::string, std::string> frames;
    for (auto& [number, watcher] : watchers_) {
      const auto [frame, is_new] = frames.try_emplace(watcher.variant);
      if (is_new) frame->second = watcher.frame();
      (void)watcher.spool.append(frame->second);
    }
  }
  [[nodiscard]] size_t size() const EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    return watchers_.size();
  }

 private:
  mutable base::Mutex mutex_;
  std::map<uint64_t, Watcher> watchers_ GUARDED_BY(mutex_);
  uint64_t last_ GUARDED_BY(mutex_) = 0;
};

}  // namespace bobbin::serve
