#pragma once

// The four ways for a background thread to send on a connection that belongs to a loop. Three of them live
// here only: they are what the spool is compared with.

#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <string_view>

#include "net/connection.h"
#include "net/loop.h"
#include "net/spool.h"

namespace bobbin::handoff {

/// The connection that producers send on. All but `connection` is set before that.
struct Target {
  std::atomic<net::Connection*> connection{nullptr};
  net::Spool spool;
  int descriptor = -1;
  std::mutex write_mutex;
  // A producer of closures has to be stopped by something, or memory ends: as many as the spool's bytes hold.
  static constexpr ptrdiff_t kMaxPosted = 8'192;
  std::counting_semaphore<> post_room{kMaxPosted};
};

/// One background producer: sends one frame after the other. Used by one thread.
class Producer {
 public:
  virtual ~Producer() = default;
  /// False when nothing more can be sent.
  virtual bool send(std::string_view frame) = 0;
};

/// Writes to the socket itself, under a mutex that every writer of this socket has to take. Nothing can be
/// gathered: the frame must be gone before the next writer's turn.
class MutexProducer final : public Producer {
 public:
  explicit MutexProducer(Target& target) : target_(target) {}
  bool send(std::string_view frame) override {
    const std::lock_guard lock(target_.write_mutex);
    while (!frame.empty()) {
      const ssize_t n = ::send(target_.descriptor, frame.data(), frame.size(), MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN) return false;
      if (n < 0) {
        pollfd writable{target_.descriptor, POLLOUT, 0};
        poll(&writable, 1, 100);
        continue;
      }
      frame.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

 private:
  Target& target_;
};

/// Hands each frame to the loop and waits until it has been written.
class HopProducer final : public Producer {
 public:
  explicit HopProducer(Target& target) : target_(target) {}
  bool send(std::string_view frame) override {
    std::binary_semaphore done(0);
    net::Connection& connection = *target_.connection;
    connection.loop().post([&] {
      connection.out().append(frame);
      connection.flush();
      done.release();
    });
    done.acquire();
    return true;
  }

 private:
  Target& target_;
};

/// Posts one closure for each frame.
class PostProducer final : public Producer {
 public:
  explicit PostProducer(Target& target) : target_(target) {}
  bool send(std::string_view frame) override {
    target_.post_room.acquire();
    net::Connection& connection = *target_.connection;
    connection.loop().post([this, &connection, copy = std::string(frame)] {
      // Nothing else bounds what the reader has not taken. What is dropped here does not count as sent.
      if (!connection.congested()) connection.out().append(copy);
      connection.flush();
      target_.post_room.release();
    });
    return true;
  }

 private:
  Target& target_;
};

/// What Bobbin does.
class SpoolProducer final : public Producer {
 public:
  explicit SpoolProducer(Target& target) : spool_(target.spool) {}
  bool send(std::string_view frame) override {
    for (;;) {
      switch (spool_.append_or_wake(frame, wake_)) {
        case net::Append::accepted:
          return true;
        case net::Append::closed:
          return false;
        case net::Append::full:
          room_.acquire();
      }
    }
  }

 private:
  net::Spool spool_;
  std::counting_semaphore<> room_{0};
  const std::function<void()> wake_{[this] { room_.release(); }};
};

inline std::unique_ptr<Producer> make_producer(std::string_view way, Target& target) {
  if (way == "mutex") return std::make_unique<MutexProducer>(target);
  if (way == "hop") return std::make_unique<HopProducer>(target);
  if (way == "post") return std::make_unique<PostProducer>(target);
  return std::make_unique<SpoolProducer>(target);
}

}  // namespace bobbin::handoff
