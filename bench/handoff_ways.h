#pragma once

// The four ways for a background thread to send on a connection that belongs to a loop. Three of them live
// here only: they are what the spool is compared with.

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "net/connection.h"
#include "net/loop.h"
#include "net/spool.h"

namespace bobbin::handoff {

/// The connection that producers send on. All but `connection` is set before that; shared where a producer
/// may be left when the connection has gone.
struct Target {
  // A producer of closures has to be stopped by something, or memory ends: as many as the spool's bytes hold.
  static constexpr size_t kMaxPostedBytes = 1 << 20;

  explicit Target(size_t frame_bytes = 128)
      : post_room(
            static_cast<ptrdiff_t>(std::max<size_t>(kMaxPostedBytes / std::max<size_t>(frame_bytes, 1), 1))) {
  }

  /// On its loop.
  void set(net::Connection& target) {
    spool = target.spool();
    descriptor = target.status().descriptor;
    loop = &target.loop();
    connection = &target;
  }
  /// The connection goes: nothing more is sent. On its loop.
  void close() {
    is_closed = true;
    post_room.release(static_cast<ptrdiff_t>(held.size()));
    held.clear();
  }

  std::atomic<net::Connection*> connection{nullptr};
  std::atomic<bool> is_closed{false};  // changes on the loop
  net::Loop* loop = nullptr;
  net::Spool spool;
  int descriptor = -1;
  std::mutex write_mutex;
  std::counting_semaphore<> post_room;
  // Of the loop: what was posted while the connection had no room.
  std::deque<std::string> held;
  bool looks_again = false;
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

/// How long the ways that have nobody to tell them of room wait before they look again.
constexpr std::chrono::milliseconds kLookAgain{1};

/// Hands each frame to the loop and waits until it has been written.
class HopProducer final : public Producer {
 public:
  explicit HopProducer(Target& target) : target_(target) {}
  bool send(std::string_view frame) override {
    while (!target_.is_closed) {
      std::binary_semaphore done(0);
      bool taken = false;
      target_.loop->post([&] {
        net::Connection& connection = *target_.connection;
        // Nothing else bounds what the reader has not taken.
        taken = !target_.is_closed && !connection.congested();
        if (taken) {
          connection.out().append(frame);
          connection.flush();
        }
        done.release();
      });
      done.acquire();
      if (taken) return true;
      std::this_thread::sleep_for(kLookAgain);
    }
    return false;
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
    if (target_.is_closed) return false;
    target_.loop->post([&target = target_, copy = std::string(frame)]() mutable {
      if (target.is_closed) return target.post_room.release();
      target.held.push_back(std::move(copy));
      write(target);
    });
    return true;
  }

 private:
  static void write(Target& target) {
    net::Connection& connection = *target.connection;
    while (!target.held.empty() && !connection.congested()) {
      connection.out().append(target.held.front());
      target.held.pop_front();
      target.post_room.release();
      connection.flush();
      if (target.is_closed) return;
    }
    if (target.held.empty() || std::exchange(target.looks_again, true)) return;
    target.loop->post_after(kLookAgain, [&target] {
      target.looks_again = false;
      if (!target.is_closed) write(target);
    });
  }

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
