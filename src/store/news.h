#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/mutex.h"

namespace bobbin::store {

/// Which of the vbuckets that a reader of changes follows have changed since it last looked.
///
/// Any thread. The waker is called when the first news of a vbucket comes, never for news that are waiting to
/// be taken: a reader that takes all of it after each wake misses nothing.
class News {
 public:
  static constexpr uint32_t kMaxVBuckets = 1024;

  /// `waker` is called on any thread, with a lock of the board held: it must not block or call the bucket.
  explicit News(std::function<void()> waker) : waker_(std::move(waker)) {}

  void follow(uint16_t vbucket) noexcept { followed_[vbucket / 64].fetch_or(bit(vbucket)); }
  void unfollow(uint16_t vbucket) noexcept { followed_[vbucket / 64].fetch_and(~bit(vbucket)); }
  /// In their order.
  [[nodiscard]] std::vector<uint16_t> take();

 private:
  friend class NewsBoard;
  using Words = std::array<std::atomic<uint64_t>, kMaxVBuckets / 64>;

  static constexpr uint64_t bit(uint16_t vbucket) noexcept { return uint64_t{1} << (vbucket % 64); }
  void mark(uint16_t vbucket);

  const std::function<void()> waker_;
  Words followed_{};
  Words marked_{};
};

/// Who is told of a bucket's changes. Any thread. Writers come here for the first change after somebody has
/// read a vbucket, and not for others.
class NewsBoard {
 public:
  void add(std::shared_ptr<News> news) EXCLUDES(mutex_);
  /// No call of its waker is under way once this returns.
  void remove(const News& news) EXCLUDES(mutex_);
  void tell(uint16_t vbucket) EXCLUDES(mutex_);

 private:
  base::Mutex mutex_;
  std::vector<std::shared_ptr<News>> readers_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::store
