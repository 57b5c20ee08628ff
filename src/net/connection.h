#pragma once

#include <atomic>
#include <cassert>
#include <cstdint>
#include <memory>
#include <string>

#include "net/output.h"
#include "net/receiver.h"
#include "net/spool.h"

namespace bobbin::net {

struct TlsPeer;

/// What a connection is doing, for statistics.
enum class ConnectionState : uint8_t { idle, waiting, landing, writing, closing };

/// What a suspended connection does with the replies that it has not sent.
enum class Hold : uint8_t {
  nothing,  ///< they go out as usual
  replies,  ///< they stay, and what is spooled meanwhile behind them
};

/// One open connection, as seen from other threads.
struct ConnectionStatus {
  uint64_t id = 0;  ///< unique in this process
  int descriptor = -1;
  std::string peer;   ///< "tcp:127.0.0.1:4711", "tcp6:[::1]:4711" or "unix" (never the path)
  std::string local;  ///< the address it was accepted on
  ConnectionState state = ConnectionState::idle;
  uint32_t idle_s = 0;  ///< seconds since it last sent something, or was resumed
};

/// A stream connection, owned by its Loop, and what a receiver may do with it. Every call is for the loop's
/// thread, except spool(), whose result may be given to any thread. While a receiver is called, only its own
/// connection may be touched: the output that they share holds its replies.
class Connection {
 public:
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection();

  /// Where replies go. What is appended inside of a Receiver call is sent when the loop's tick ends;
  /// elsewhere, call flush().
  Output& out() noexcept {
    assert_owner();
    return *out_;
  }

  /// From now on less than max_unsent_bytes, for a peer that is to be sent only little; at most those count.
  void limit_unsent(size_t bytes) noexcept;

  /// True when max_unsent_bytes of replies are not sent yet: consume no further request.
  [[nodiscard]] bool congested() const noexcept { return out_->size() >= max_unsent_bytes_; }

  /// Sends what is in out(), as far as the peer takes it; the rest follows by itself. May close the
  /// connection.
  virtual void flush() = 0;

  /// No further request is read; closes as soon as everything in out() is sent.
  virtual void close_when_sent() = 0;
  /// Closes; what was not sent is dropped. The receiver is destroyed before the loop's next tick, not now.
  virtual void close_now(CloseReason reason) = 0;

  /// For a receiver that has to wait for another thread, inside one of its calls: it is shown and asked for
  /// nothing more, nor is anything read, until Spool::resume(). What it leaves unconsumed stays, however much
  /// that is, and is then shown again from the start. With Hold::replies nothing in out() is sent before it
  /// was resumed and did not suspend with Hold::replies again: flush() and close_when_sent() wait, too.
  /// Of several calls the last counts. A suspended connection is neither idle nor, with Hold::replies,
  /// stalled; it closes by close_now(), when its front end stops, and when drain_timeout is over.
  virtual void suspend(Hold hold) = 0;

  /// For a receiver that has more to say when the connection is congested() inside on_resumed: it is resumed
  /// again when the connection no longer is.
  void resume_when_taken() noexcept { resumes_when_taken_ = true; }

  /// For a receiver that goes on with what follows while others still have to do with an earlier request,
  /// inside one of its calls: true keeps the connection when the peer has ended, when it is drained and when
  /// it idles, until this is called with false. Drained, it closes at the latest when drain_timeout is over.
  virtual void keep_open(bool owes_replies) = 0;

  /// What is appended to out() goes to `elsewhere` instead, which the caller keeps; null: no longer. Begun
  /// and ended inside one call of the receiver, with no flush and no end in between.
  void divert(Output* elsewhere) noexcept;

  /// For a connection that listens for long: idle_timeout no longer applies to it.
  void never_idle() noexcept { may_idle_out_ = false; }

  /// Whether the peer is to do something that does not take long, as to log in: Limits::expect_timeout after
  /// the first of several calls the connection is closed, unless it has done it by then.
  virtual void expect(bool /*something*/) {}

  /// The handle for other threads to send on this connection.
  Spool spool();

  /// Null: nothing is encrypted. Otherwise valid as long as the connection.
  [[nodiscard]] virtual const TlsPeer* tls() const { return nullptr; }

  [[nodiscard]] Loop& loop() const noexcept { return loop_; }
  [[nodiscard]] uint64_t id() const noexcept { return id_; }
  [[nodiscard]] Receiver& receiver() noexcept { return *receiver_; }
  /// As in ConnectionStatus. Any thread.
  [[nodiscard]] virtual ConnectionStatus status() const = 0;

 protected:
  Connection(Loop& loop, uint64_t id);
  void assert_owner() const noexcept;

  Loop& loop_;
  const uint64_t id_;
  size_t max_unsent_bytes_;
  Output* out_;                         // own_output_ if there is one, the loop's otherwise
  std::unique_ptr<Output> own_output_;  // only while something waits for the tick's end or for the peer
  std::unique_ptr<Receiver> receiver_;
  bool may_idle_out_ = true;
  bool resumes_when_taken_ = false;
  std::shared_ptr<SpoolState> spool_state_;  // shared with producers; null until spool() was called
};

}  // namespace bobbin::net
