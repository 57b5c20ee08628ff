#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "store/document.h"

namespace bobbin::serve {

class Session;

/// How much memory values may hold while their bytes are still arriving, over all connections. Clients that
/// announce values and do not send them can take this much of the bucket, and no more. Any thread.
class UploadBudget {
 public:
  explicit UploadBudget(uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  /// A share of the budget, given back when it is destroyed.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Share& operator=(Share&& other) noexcept {
      Share taken(std::move(other));
      std::swap(budget_, taken.budget_);
      std::swap(bytes_, taken.bytes_);
      return *this;
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share() {
      if (budget_ != nullptr) budget_->used_bytes_.fetch_sub(bytes_, std::memory_order_relaxed);
    }
    explicit operator bool() const noexcept { return budget_ != nullptr; }

   private:
    friend class UploadBudget;
    Share(UploadBudget& budget, uint64_t bytes) noexcept : budget_(&budget), bytes_(bytes) {}
    UploadBudget* budget_ = nullptr;
    uint64_t bytes_ = 0;
  };

  /// Empty when the budget is spent.
  [[nodiscard]] Share take(uint64_t bytes) noexcept {
    if (used_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes > limit_bytes_) {
      used_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
      return {};
    }
    return {*this, bytes};
  }
  [[nodiscard]] uint64_t used_bytes() const noexcept { return used_bytes_.load(std::memory_order_relaxed); }

 private:
  const uint64_t limit_bytes_;
  std::atomic<uint64_t> used_bytes_{0};
};

/// What a storage command was given: memory for its value, and a share of the upload budget if the value has
/// not arrived as a whole.
struct Placed {
  store::Draft draft;
  UploadBudget::Share share;
};

/// A value on its way into a document, when it does not lie in the read buffer as a whole: what the request
/// that announced it still has to do. Owned by its session.
class Upload {
 public:
  explicit Upload(Placed placed) : draft_(std::move(placed.draft)), share_(std::move(placed.share)) {}
  virtual ~Upload() = default;
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  /// The value is there: store it and answer.
  virtual void finish(Session& session) = 0;
  /// The value was not followed by a line end, where the protocol wants one: answer that.
  virtual void malformed(Session& session) = 0;

  [[nodiscard]] store::Draft& draft() noexcept { return draft_; }
  /// The part of the value that is still to come.
  [[nodiscard]] std::span<char> rest() noexcept { return draft_.value().subspan(filled_); }
  void filled(size_t n) noexcept { filled_ += n; }

 private:
  store::Draft draft_;
  UploadBudget::Share share_;
  size_t filled_ = 0;
};

}  // namespace bobbin::serve
