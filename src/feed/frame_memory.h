#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace bobbin::feed {

/// What frames with large documents may take together, from before they are made until they are sent: those
/// of one connection, of one user, and all. Where nothing is held there is room for one of any size.
///
/// Who finds no room waits its turn, and holds nothing meanwhile: room goes to whoever asked first, of a
/// connection, of a user, and of those whose connection and user have room. So a user whose clients read
/// nothing keeps its share and no more, and others never wait behind its claims. Any thread.
class FrameMemory : public std::enable_shared_from_this<FrameMemory> {
 public:
  struct Limits {
    uint64_t bytes = 256 << 20;
    uint64_t connection_bytes = 48 << 20;

    /// Of one user, however many connections it has.
    [[nodiscard]] uint64_t user_bytes() const noexcept { return bytes / 4; }
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
  /// `user` empty: who has not logged in, of whom nobody can tell whether they are one or many: no share.
  [[nodiscard]] std::unique_ptr<Claim> claim(std::shared_ptr<Connection> connection, std::string_view user,
                                             uint64_t bytes, std::function<void()> waker) EXCLUDES(mutex_);

 private:
  /// What the frames of one user hold; there as long as it has claims.
  struct User {
    uint64_t claims = 0;
    uint64_t held_bytes = 0;
    uint64_t pass = 0;
  };
  using Users = std::map<std::string, User, std::less<>>;
  using Wakers = std::vector<std::function<void()>>;

  void let_go(Claim& claim) EXCLUDES(mutex_);
  [[nodiscard]] Wakers grant() REQUIRES(mutex_);
  /// False: neither this claim nor those behind it, of its connection or its user, can have room.
  [[nodiscard]] bool has_room_of_its_own(Claim& claim) REQUIRES(mutex_);

  const Limits limits_;
  mutable base::Mutex mutex_;
  uint64_t held_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t pass_ GUARDED_BY(mutex_) = 0;
  Users users_ GUARDED_BY(mutex_);
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
  Users::iterator user_;               // users_.end(): of none
  std::list<Claim*>::iterator place_;  // where it is not granted
};

}  // namespace bobbin::feed
