#pragma once

#include <chrono>
#include <cstddef>

namespace bobbin::net {

/// What connections may cost. Constant once the front end has started; each has a configuration key of the
/// like name (docs/configuration.md); net/counters.h has what was reached and what is held now.
struct Limits {
  /// Connections open at once, over all loops. At the limit the listeners pause; nobody is dropped.
  size_t max_connections = 10'000;

  /// Bytes of a request that is not complete yet. A receiver that leaves more is closed. Large values do not
  /// count: they are read into their document. At least 64 KiB.
  size_t max_unread_bytes = 2 << 20;

  /// High-water mark of replies that the peer has not taken. Above it no further request of that connection
  /// is answered until half of it is gone. One reply may exceed it.
  size_t max_unsent_bytes = 1 << 20;

  /// High-water mark of what other threads have spooled for one connection and the peer has not taken.
  size_t spool_bytes = 1 << 20;

  /// Close a connection that has sent nothing for so long. Zero: never.
  std::chrono::milliseconds idle_timeout{0};

  /// Close a connection whose peer has taken nothing for so long while bytes wait for it. Zero: never.
  std::chrono::milliseconds stall_timeout{60'000};

  /// Close a connection of a TLS listener whose handshake is not done by then. Zero: never.
  std::chrono::milliseconds handshake_timeout{10'000};

  /// Close a connection of which something is expected for so long: Connection::expect(). Zero: never.
  std::chrono::milliseconds expect_timeout{60'000};

  /// How long drain() waits for peers to take their last replies.
  std::chrono::milliseconds drain_timeout{5'000};

  /// Connections the kernel may hold for us before they are accepted (listen's backlog).
  int backlog = 1024;
};

/// Most bytes written to one connection before the others on its loop have their turn. Chosen by measurement:
/// with values of 1 MiB on 8 connections 320 KiB a turn is 1.8 times as fast as 256, and within a tenth of
/// the best size (8 KiB to 3 MiB were tried); so it is with 3 and 16 connections, and with values of 0.7
/// and 1.9 MiB.
inline constexpr size_t kTickWriteBytes = 320 << 10;

/// Most spools drained before the loop's other work has its turn.
inline constexpr size_t kSpoolsPerTick = 64;

/// Connections whose replies wait for the end of a tick before it is made to end; and emptied outputs that a
/// loop keeps for the next, each with at most kMaxSpareOutputBytes.
inline constexpr size_t kSpareOutputs = 64;
inline constexpr size_t kMaxSpareOutputBytes = 64 << 10;

/// A connection's own read buffer; all that an idle connection holds beside its bookkeeping. A pipeline of 16
/// requests to store 100 bytes fits in: a second read for its end took 6 % of a busy loop's time.
inline constexpr size_t kReadBufferBytes = 2560;

/// Bytes read on top of that in one tick when the first buffer filled up.
inline constexpr size_t kScratchBytes = 32 << 10;

}  // namespace bobbin::net
