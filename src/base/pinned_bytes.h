#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace bobbin::base {

/// Bytes that stay where they are, and stay valid, until this is destroyed: a stored value on its way to a
/// socket, or a chunk of replies. Type-erased, so that `net` can hold documents without knowing them.
///
/// Move-only. `release(owner)` is called exactly once, on whichever thread destroys the last holder; it must
/// be callable from any thread and must not block.
class PinnedBytes {
 public:
  using Release = void (*)(void* owner) noexcept;

  PinnedBytes() = default;
  PinnedBytes(std::span<const char> bytes, void* owner, Release release) noexcept
      : bytes_(bytes), owner_(owner), release_(release) {}
  PinnedBytes(PinnedBytes&& other) noexcept
      : bytes_(std::exchange(other.bytes_, {})),
        owner_(std::exchange(other.owner_, nullptr)),
        release_(std::exchange(other.release_, nullptr)) {}
  PinnedBytes& operator=(PinnedBytes&& other) noexcept {
    PinnedBytes taken(std::move(other));
    std::swap(bytes_, taken.bytes_);
    std::swap(owner_, taken.owner_);
    std::swap(release_, taken.release_);
    return *this;
  }
  PinnedBytes(const PinnedBytes&) = delete;
  PinnedBytes& operator=(const PinnedBytes&) = delete;
  ~PinnedBytes() {
    if (release_ != nullptr) release_(owner_);
  }

  [[nodiscard]] std::span<const char> bytes() const noexcept { return bytes_; }
  [[nodiscard]] size_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }

 private:
  std::span<const char> bytes_;
  void* owner_ = nullptr;
  Release release_ = nullptr;
};

}  // namespace bobbin::base
