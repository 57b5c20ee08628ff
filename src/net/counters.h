#pragma once

#include <atomic>
#include <cstdint>

namespace bobbin::net {

/// A number that one thread changes and any thread reads. Not a read-modify-write on purpose: the owner is
/// the only writer.
class OwnedCounter {
 public:
  void add(uint64_t n) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void sub(uint64_t n) noexcept { add(~n + 1); }
  [[nodiscard]] uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

/// What one loop did and holds. Written by the loop's thread only.
struct LoopCounters {
  OwnedCounter connections_opened;
  OwnedCounter connections_closed;
  OwnedCounter bytes_read;
  OwnedCounter bytes_written;
  OwnedCounter writes;              ///< gathered writes, each one system call
  OwnedCounter write_yields;        ///< times a connection had more to write than a tick allows
  OwnedCounter unsent_pauses;       ///< times max_unsent_bytes stopped a connection's requests
  OwnedCounter unread_kicks;        ///< closed for leaving more than max_unread_bytes
  OwnedCounter idle_kicks;          ///< closed for idle_timeout
  OwnedCounter stalled_kicks;       ///< closed for stall_timeout
  OwnedCounter handshakes;          ///< of TLS, that were done
  OwnedCounter handshake_failures;  ///< that were not: no TLS, or not the right kind or certificate
  OwnedCounter handshake_kicks;     ///< closed for handshake_timeout
  OwnedCounter overdue_kicks;       ///< closed for expect_timeout
  OwnedCounter unsent_bytes;        ///< now: replies and frames that peers have not taken
  OwnedCounter unread_bytes;        ///< now: bytes kept of incomplete requests
  OwnedCounter spool_wakes;         ///< times the loop was woken to drain spools
  OwnedCounter spool_drains;        ///< spools drained
  OwnedCounter spool_bytes_in;      ///< bytes that came through spools
  OwnedCounter spool_bytes_now;     ///< now: of those, bytes drained and not yet written
};

/// What the listeners did. Written by the accepting loop's thread only.
struct ListenerCounters {
  OwnedCounter pauses;          ///< times accepting stopped, for either reason
  OwnedCounter no_descriptors;  ///< of those, because the process was out of file descriptors
  OwnedCounter paused_us;       ///< microseconds spent not accepting
  std::atomic<bool> accepting{false};
};

}  // namespace bobbin::net
