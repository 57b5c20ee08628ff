#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  waiting,     ///< it has failed, and is tried again soon; or the source has no such bucket
};

/// What is known of the copy of one bucket, and how it gets on. Told by the thread that follows; read by any.
class FollowedBucket {
 public:
  /// `vbuckets` is 0 where there is no bucket here yet. `is_copy`: everything that the source had at some
  /// moment was here when the server started.
  FollowedBucket(std::string name, uint32_t vbuckets, bool is_copy)
      : numbers(vbuckets), name_(std::move(name)), was_copy_(is_copy) {}

  feed::FollowNumbers numbers;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] bool was_copy() const noexcept { return was_copy_; }
  /// Reads are answered from a whole copy, though it may be an old one.
  [[nodiscard]] bool is_ready() const noexcept {
    return (was_copy_ || numbers.caught_up.load(std::memory_order_acquire)) &&
           !numbers.is_partial.load(std::memory_order_acquire);
  }
  /// The source has it, as far as is known, and gives it to this server.
  [[nodiscard]] bool is_expected() const noexcept { return is_expected_.load(std::memory_order_acquire); }
  void expect(bool is_expected) noexcept { is_expected_.store(is_expected, std::memory_order_release); }

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
  /// What of the source's settings this copy has not taken over, and why; empty: nothing.
  [[nodiscard]] std::string kept_settings() const EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    return kept_settings_;
  }
  /// Returns what it was before.
  std::string tell_kept_settings(std::string what) EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    return std::exchange(kept_settings_, std::move(what));
  }

  /// The bucket is going to be removed here: it is to be followed no more. By any thread; then
  /// await_let_go().
  void dismiss() noexcept { is_dismissed_.store(true, std::memory_order_release); }
  [[nodiscard]] bool is_dismissed() const noexcept { return is_dismissed_.load(std::memory_order_acquire); }
  /// By the thread that follows: it holds nothing of the bucket any more; or it ends, and nothing is done.
  void tell_let_go(bool has_let_go) {
    if (!was_told_.exchange(true)) let_go_.set_value(has_let_go);
  }
  /// Waits for that; false: it has not come. Not on a loop.
  [[nodiscard]] bool await_let_go(std::chrono::milliseconds longest) const {
    const std::shared_future<bool> told = told_;
    return told.wait_for(longest) == std::future_status::ready && told.get();
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
  const std::string name_;
  const bool was_copy_;
  std::atomic<bool> is_expected_{true};
  std::atomic<bool> is_dismissed_{false};
  std::atomic<bool> was_told_{false};
  std::promise<bool> let_go_;
  const std::shared_future<bool> told_{let_go_.get_future()};
  mutable base::Mutex mutex_;
  Link link_ GUARDED_BY(mutex_);
  std::string kept_settings_ GUARDED_BY(mutex_);
};

/// What a server that follows another knows of that: its source, and the buckets that are to be copies. Told
/// by the thread that follows; read by any. It has an entry for each bucket that is a copy here, and for each
/// that the source has and that should be one.
class Following {
 public:
  using List = std::vector<std::shared_ptr<FollowedBucket>>;

  explicit Following(std::string source) : source_(std::move(source)) {}

  [[nodiscard]] const std::string& source() const noexcept { return source_; }

  [[nodiscard]] List all() const EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    return buckets_;
  }
  /// Null: the bucket of that name is no copy, and is not to be one.
  [[nodiscard]] std::shared_ptr<FollowedBucket> find(std::string_view name) const EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    const auto found = std::find_if(buckets_.begin(), buckets_.end(),
                                    [name](const auto& bucket) { return bucket->name() == name; });
    return found == buckets_.end() ? nullptr : *found;
  }
  /// In the place of one of that name, where there is one.
  void put(std::shared_ptr<FollowedBucket> bucket) EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    for (auto& old : buckets_)
      if (old->name() == bucket->name()) return old.swap(bucket);
    buckets_.push_back(std::move(bucket));
  }
  void remove(std::string_view name) EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    std::erase_if(buckets_, [name](const auto& bucket) { return bucket->name() == name; });
  }

  /// It is known which buckets there are to be: those of the source, or those that were named, or all that
  /// were here at the start were whole copies.
  void know_buckets() noexcept { knows_buckets_.store(true, std::memory_order_release); }
  /// Everything that the source has is here; empty. Otherwise what is not.
  [[nodiscard]] std::string missing() const EXCLUDES(mutex_) {
    if (!knows_buckets_.load(std::memory_order_acquire))
      return "it is not known yet which buckets " + source_ + " has";
    const base::MutexLock lock(mutex_);
    for (const auto& bucket : buckets_)
      if (bucket->is_expected() && !bucket->is_ready())
        return "the first copy of bucket " + bucket->name() + " of " + source_ + " is not complete";
    return {};
  }

  /// Why the source was not asked which buckets it has; empty: it was.
  [[nodiscard]] std::string list_trouble() const EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    return list_trouble_;
  }
  void tell_list_trouble(std::string why) EXCLUDES(mutex_) {
    const base::MutexLock lock(mutex_);
    list_trouble_ = std::move(why);
  }

  /// Called by the thread that follows, when it has changed something that configurations tell, in a bucket
  /// or in the list of buckets. Returns when a call that goes on has returned, so that who is told may end.
  void watch_configs(std::function<void()> tell) const EXCLUDES(watch_mutex_) {
    const base::MutexLock lock(watch_mutex_);
    tell_ = std::move(tell);
  }
  void configs_changed() const EXCLUDES(watch_mutex_) {
    const base::MutexLock lock(watch_mutex_);
    if (tell_) tell_();
  }

 private:
  const std::string source_;
  std::atomic<bool> knows_buckets_{false};
  mutable base::Mutex mutex_;
  List buckets_ GUARDED_BY(mutex_);
  std::string list_trouble_ GUARDED_BY(mutex_);
  mutable base::Mutex watch_mutex_;
  mutable std::function<void()> tell_ GUARDED_BY(watch_mutex_);
};

}  // namespace bobbin::serve
