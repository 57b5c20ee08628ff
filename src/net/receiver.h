#pragma once

#include <cstddef>
#include <span>

namespace bobbin::net {

class Connection;

/// Why a connection ended.
enum class CloseReason {
  by_peer,      ///< the peer closed or reset it
  by_receiver,  ///< Connection::close_when_sent or close_now
  unread,       ///< more than max_unread_bytes of an incomplete request
  idle,         ///< nothing received for idle_timeout
  stalled,      ///< nothing taken by the peer for stall_timeout
  shutdown,     ///< the front end was drained or stopped
  handshake,    ///< no TLS handshake within handshake_timeout; a receiver is never told
  overdue,      ///< what was expected of it has not come within expect_timeout
};

/// The protocol side of a connection: the only thing that `net` knows of it. Owned by its connection; every
/// call is made on the connection's loop, and none may block.
class Receiver {
 public:
  virtual ~Receiver() = default;

  /// The connection is ready, its TLS handshake done where there is one: until then the receiver is asked and
  /// told nothing, and is destroyed if that fails. Output may be appended.
  virtual void on_open(Connection& /*connection*/) {}

  /// All unread bytes, oldest first. Returns how many were consumed, a prefix; the rest is shown again with
  /// what arrives next. The first `seen` bytes were shown before and left: nothing needs to look for a line's
  /// end in them again. Must stop consuming when connection.congested(), and is asked again when it no
  /// longer is. The bytes are valid during the call.
  virtual size_t on_bytes(Connection& connection, std::span<const char> unread, size_t seen) = 0;

  /// Where the next bytes shall be read to, instead of being shown; empty for none. Asked after on_bytes
  /// consumed everything, and after on_landed. Must stay valid until it is filled or the receiver destroyed.
  virtual std::span<char> landing() noexcept { return {}; }
  /// `n` ≥ 1 bytes arrived at the front of the landing.
  virtual void on_landed(Connection& /*connection*/, size_t /*n*/) {}

  /// Once for any number of Spool::resume() since the last time, also for those that nobody waits for. Output
  /// may be appended. Unless it suspends again, a suspended connection goes on after this.
  virtual void on_resumed(Connection& /*connection*/) {}

  /// Nothing can be sent any more. The receiver is destroyed after this.
  virtual void on_closed(Connection& /*connection*/, CloseReason /*reason*/) {}
};

}  // namespace bobbin::net
