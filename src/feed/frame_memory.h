#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace bobbin::feed {

/// What frames with large documents may take together, from before they are made until they are sent: those
/// of one connection, and all. Where nothing is held there is room for one of any size.
///
/// Who finds no room waits its turn, and holds nothing meanwhile: room goes to whoever asked first, of a
/// connection and of those whose connection has room. Any thread.
class FrameMemory : public std::enable_shared_from_this<FrameMemory> {
 public:
  struct Limits {
    uint64_t bytes = 256 << 20;
    uint64_t connection_bytes = 48 << 20;
  };
  struct Numbers {
    uint64_t held_bytes = 0;
    uint64_t waiting = 0;  ///< claims that were not granted yet
  };
  class Claim;

  /// What the frames of one connection hold: shared by it and its claims.
  class Connection {
   private:
    friend class FrameMemory;
    uint64_t held_bytes_ = 0;  // under the memory's lock, as the other one
    uint64_t pass_ = 0;
  };

  explicit FrameMemory(const Limits& limits) : limits_(limits) {}
  FrameMemory(const FrameMemory&) = delete;
  FrameMemory& operator=(const FrameMemory&) = delete;
  ~FrameMemory() = default;

  [[nodiscard]] const Limits& limits() const noexcept { return limits_; }
  [[nodiscard]] Numbers numbers() const EXCLUDES(mutex_);

  /// Room for `bytes`, which may have been granted already; where it is later, `waker` is called once, on the
  /// thread that gives something back. It must not block, claim or give back. `connection` null: of none.
  [[nodiscard]] std::unique_ptr<Claim> claim(std::shared_ptr<Connection> connection, uint64_t bytes,
                                             std::function<void()> waker) EXCLUDES(mutex_);

 private:
  using Wakers = std::vector<std::function<void()>>;

  void let_go(Claim& claim) EXCLUDES(mutex_);
  [[nodiscard]] Wakers grant() REQUIRES(mutex_);

  const Limits limits_;
  mutable base::Mutex mutex_;
  uint64_t held_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t pass_ GUARDED_BY(mutex_) = 0;
  std::list<Claim*> waiting_ GUARDED_BY(mutex_);
};

/// Room for one frame; or a place among those who wait for some. Given back when this goes, by any thread. It
/// may outlive everybody who had to do with it.
class FrameMemory::Claim {
 public:
  Claim(std::shared_ptr<FrameMemory> memory, std::shared_ptr<Connection> connection, uint64_t bytes,
        std::function<void()> waker)
      : memory_(std::move(memory)),
        connection_(std::move(connection)),
        bytes_(bytes),
        waker_(std::move(waker)) {}
  ~Claim() { memory_->let_go(*this); }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

  [[nodiscard]] bool is_granted() const;

 private:
  friend class FrameMemory;

  const std::shared_ptr<FrameMemory> memory_;
  const std::shared_ptr<Connection> connection_;
  const uint64_t bytes_;
  std::function<void()> waker_;  // under the memory's lock, as the rest
  bool is_granted_ = false;
  std::list<Claim*>::iterator place_;  // where it is not granted
};

}  // namespace bobbin::feed
