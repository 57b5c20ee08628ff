#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/pinned_bytes.h"
#include "net/output.h"

namespace bobbin::net {

class Connection;
class Loop;

enum class Append {
  accepted,
  full,    ///< nothing was taken; the waker is called when there is room
  closed,  ///< the connection is gone; nothing will ever be taken
};

/// What a producer and a connection share. Only net/spool.cc and the connection look inside.
class SpoolState {
 public:
  SpoolState(Loop& loop, Connection& owner, size_t high_water_bytes);

  // Any thread. `first` is set when the loop has to be told.
  Append append(std::string_view bytes, const base::PinnedBytes* copied, base::PinnedBytes* pinned,
                const std::function<void()>* waker, bool& first) EXCLUDES(mutex_);
  /// Returns whether the loop has to be told.
  [[nodiscard]] bool resume() EXCLUDES(mutex_);
  [[nodiscard]] Loop& loop() const noexcept { return loop_; }
  [[nodiscard]] size_t unwritten_bytes() const EXCLUDES(mutex_);
  [[nodiscard]] bool closed() const EXCLUDES(mutex_);

  // The owner's loop only.
  [[nodiscard]] Connection* owner() const noexcept { return owner_; }
  /// Moves everything that waits behind `output`; returns how many bytes that was.
  size_t drain(Output& output) EXCLUDES(mutex_);
  /// Whether resume() was called since the last time. Only for a loop that has been told: see drain_spool().
  [[nodiscard]] bool take_resume() EXCLUDES(mutex_);
  /// `n` bytes of those drained reached the socket. Calls wakers when that made room.
  void written(size_t n) EXCLUDES(mutex_);
  void close() EXCLUDES(mutex_);

 private:
  const size_t high_water_bytes_;
  Loop& loop_;         // outlives every producer's last append: see Spool
  Connection* owner_;  // the loop's thread only; null once closed

  mutable base::Mutex mutex_;
  Output waiting_ GUARDED_BY(mutex_);
  size_t unwritten_bytes_ GUARDED_BY(mutex_) = 0;  // waiting, or drained and not yet written
  bool signalled_ GUARDED_BY(mutex_) = false;      // the loop knows that something waits
  bool resumed_ GUARDED_BY(mutex_) = false;        // the receiver has not been told
  bool closed_ GUARDED_BY(mutex_) = false;
  std::vector<std::function<void()>> wakers_ GUARDED_BY(mutex_);
};

/// A producer's handle: sends whole frames on one connection, and has its receiver go on, from any thread,
/// without ever waiting.
///
/// Copyable; copies send on the same connection, and the handle may outlive it. It may not outlive the loop:
/// producers end before the front end is destroyed. Frames appended by one thread arrive in that order, none
/// is cut by another, and each lies behind the replies that the owner has produced when it drains.
class Spool {
 public:
  Spool() = default;  // of no connection: append answers closed

  /// Appends one frame: `bytes`, copied. Never blocks, makes no system call but the loop's wake.
  Append append(std::string_view bytes) { return append_frame(bytes, nullptr, nullptr); }

  /// Appends one frame: `bytes`, copied, then `value`, sent from where it lies. `value` is moved from only if
  /// the frame was accepted.
  Append append(std::string_view bytes, base::PinnedBytes& value) {
    return append_frame(bytes, &value, nullptr);
  }

  /// As above; on `full`, `waker` is kept and called once, on the loop's thread, when the spool has fallen to
  /// half its high-water mark or was closed. It must be short and must not append: it makes a task runnable.
  /// It must own what it touches, as the close may come long after its producer has ended; and each `full`
  /// keeps one more, so a producer waits for its wake before it asks again.
  Append append_or_wake(std::string_view bytes, const std::function<void()>& waker) {
    return append_frame(bytes, nullptr, &waker);
  }
  Append append_or_wake(std::string_view bytes, base::PinnedBytes& value,
                        const std::function<void()>& waker) {
    return append_frame(bytes, &value, &waker);
  }

  /// Has the owner call Receiver::on_resumed, which is how a suspended receiver (Connection::suspend) goes
  /// on; behind the frames that this thread has appended. May come before the suspend. Never blocks, makes no
  /// system call but the loop's wake; nothing happens when the connection is gone.
  void resume();

  /// The connection is gone.
  [[nodiscard]] bool closed() const { return state_ == nullptr || state_->closed(); }
  /// Bytes accepted and not yet written to the socket.
  [[nodiscard]] size_t unwritten_bytes() const { return state_ == nullptr ? 0 : state_->unwritten_bytes(); }

 private:
  friend class Connection;
  explicit Spool(std::shared_ptr<SpoolState> state) : state_(std::move(state)) {}
  Append append_frame(std::string_view bytes, base::PinnedBytes* value, const std::function<void()>* waker);

  // Shared: a producer may hold its handle after the connection closed.
  std::shared_ptr<SpoolState> state_;
};

}  // namespace bobbin::net
