#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "feed/follow_numbers.h"

namespace bobbin::serve {

/// What is answered to a change by a server that follows another, in the protocols of memcached.
inline constexpr std::string_view kFollowsLine = "SERVER_ERROR this server follows another\r\n";
/// The same as the context of an error of Couchbase's protocol.
inline constexpr std::string_view kFollowsContext =
    R"({"error":{"context":"this server follows another: send changes there"}})";

/// Where the connection to the source is.
enum class FollowLink : uint8_t {
  connecting,  ///< dialled, or logging in
  streaming,   ///< the source was asked for its changes
  waiting,     ///< it has failed, and is tried again soon
};

/// What a server that follows another knows of that: its source, and how the copy gets on. Told by the thread
/// that follows; read by any.
class Following {
 public:
  /// `is_copy`: everything that the source had at some moment was here when the server started.
  Following(std::string source, uint32_t vbuckets, bool is_copy)
      : numbers(vbuckets), source_(std::move(source)), was_copy_(is_copy) {}

  /// The default bucket's.
  feed::FollowNumbers numbers;

  [[nodiscard]] const std::string& source() const noexcept { return source_; }
  /// Reads are answered from a whole copy, though it may be an old one.
  [[nodiscard]] bool is_ready() const noexcept {
    return (was_copy_ || numbers.caught_up.load(std::memory_order_acquire)) &&
           !numbers.is_partial.load(std::memory_order_acquire);
  }

  struct Link {
    FollowLink state = FollowLink::connecting;
    std::string trouble = {};  ///< why it failed the last time; empty: it has not since it streamed
    uint64_t connections = 0;  ///< that came to streaming
    uint64_t failures = 0;
  };
  [[nodiscard]] Link link() const EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    return link_;
  }
  void connecting() EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    link_.state = FollowLink::connecting;
  }
  void streaming() EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    link_.state = FollowLink::streaming;
    link_.trouble.clear();
    ++link_.connections;
  }
  void failed(std::string why) EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    link_.state = FollowLink::waiting;
    link_.trouble = std::move(why);
    ++link_.failures;
  }

 private:
  const std::string source_;
  const bool was_copy_;
  mutable base::Mutex mutex_;
  Link link_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::serve
