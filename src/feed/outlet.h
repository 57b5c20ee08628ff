#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/pinned_bytes.h"
#include "net/spool.h"

namespace bobbin::feed {

/// Where a producer's messages go: gathered to pieces of 64 KiB, so that the spool's lock is taken once for
/// many, and held back while the client's window is full (kv_engine docs/dcp/documentation/flow-control.md).
///
/// One thread at a time: the producer's steps. Holds at most one piece and one value that did not fit: a
/// caller asks has_room() before each message.
class Outlet {
 public:
  static constexpr size_t kPieceBytes = 64 << 10;
  /// Values from here on are sent from where they lie.
  static constexpr size_t kPinFromBytes = 8 << 10;

  /// What a client is sent instead of a message, appended to `out`; nothing for nothing.
  using Translate = std::function<void(std::string_view message, std::string& out)>;

  /// `waker` is called when the spool has room again: see Spool::append_or_wake. `translate`: for clients
  /// that speak something else than DCP.
  Outlet(net::Spool spool, std::function<void()> waker, Translate translate = nullptr);

  /// The window of the client in bytes; 0: it has none.
  void set_window(uint64_t bytes) noexcept { window_bytes_ = bytes; }
  void acknowledge(uint64_t bytes) noexcept { unacknowledged_ -= std::min(bytes, unacknowledged_); }

  [[nodiscard]] bool has_room() const noexcept { return waiting_.empty() && is_window_open(); }
  [[nodiscard]] bool is_window_open() const noexcept {
    return window_bytes_ == 0 || unacknowledged_ < window_bytes_;
  }
  /// The spool has refused something, and will call the waker.
  [[nodiscard]] bool is_full() const noexcept { return !waiting_.empty(); }
  /// The connection is gone.
  [[nodiscard]] bool is_closed() const noexcept { return closed_; }

  /// One message that the client acknowledges. Copied, but for `pinned`, which lies behind.
  void send(std::string_view head, std::string_view key, std::string_view value);
  void send(std::string_view head, std::string_view key, base::PinnedBytes pinned);
  /// One that it does not.
  void send_uncounted(std::string_view message);

  /// Hands everything to the spool, or as much as that takes.
  void flush();

  [[nodiscard]] uint64_t sent_bytes() const noexcept { return sent_bytes_; }
  [[nodiscard]] uint64_t unacknowledged_bytes() const noexcept { return unacknowledged_; }

 private:
  struct Waiting {
    std::string bytes;
    base::PinnedBytes pinned;
  };

  void count(size_t bytes) noexcept;
  void send_translated(std::string_view head, std::string_view key, std::string_view value);
  [[nodiscard]] bool offer(Waiting& piece);
  void put(Waiting piece);

  net::Spool spool_;
  // Shared with the waker: it has not been called since the spool was full.
  const std::shared_ptr<std::atomic<bool>> asleep_ = std::make_shared<std::atomic<bool>>(false);
  const std::function<void()> waker_;
  const Translate translate_;
  std::string piece_;
  std::vector<Waiting> waiting_;  // what the spool has refused, in order
  bool closed_ = false;
  uint64_t window_bytes_ = 0;
  uint64_t unacknowledged_ = 0;
  uint64_t sent_bytes_ = 0;
};

}  // namespace bobbin::feed
