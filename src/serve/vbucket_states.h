#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

namespace bobbin::serve {

/// What SET_VBUCKET and DEL_VBUCKET have made of a bucket's vbuckets (kv_engine docs/BinaryProtocol.md). In
/// front of a cache all are active when the server starts; else the bucket keeps it, and this is a copy that
/// is cheap to ask. Documents of others are not served to clients of Couchbase's protocol, who are told
/// NOT_MY_VBUCKET; memcached's know no vbuckets. Any thread.
class VBucketStates {
 public:
  enum State : uint8_t { kDeleted = 0, kActive = 1, kReplica = 2, kPending = 3, kDead = 4 };

  VBucketStates() noexcept {
    at_start_.fill(kActive);
    for (auto& state : states_)
      state.store(kActive, std::memory_order_relaxed);
  }

  /// Cheap enough for each request: nearly always there is nothing else to ask.
  [[nodiscard]] bool serves(uint16_t vbucket) const noexcept {
    return all_active_.load(std::memory_order_relaxed) || of(vbucket) == kActive;
  }
  [[nodiscard]] State of(uint16_t vbucket) const noexcept {
    return static_cast<State>(states_[vbucket % states_.size()].load(std::memory_order_relaxed));
  }
  /// As it was when the server started.
  [[nodiscard]] State at_start(uint16_t vbucket) const noexcept {
    return static_cast<State>(at_start_[vbucket % at_start_.size()]);
  }
  /// Before others know of it.
  void start_as(uint16_t vbucket, State state) noexcept {
    at_start_[vbucket % at_start_.size()] = state;
    set(vbucket, state);
  }
  void set(uint16_t vbucket, State state) noexcept {
    states_[vbucket % states_.size()].store(state, std::memory_order_relaxed);
    if (state != kActive) all_active_.store(false, std::memory_order_relaxed);
  }

 private:
  // Whoever sees it too late serves as one that came earlier would be served.
  std::atomic<bool> all_active_{true};
  std::array<std::atomic<uint8_t>, 1024> states_{};
  std::array<uint8_t, 1024> at_start_{};
};

[[nodiscard]] constexpr std::string_view name_of(VBucketStates::State state) noexcept {
  constexpr std::string_view kNames[] = {"deleted", "active", "replica", "pending", "dead"};
  return kNames[state];
}

}  // namespace bobbin::serve
