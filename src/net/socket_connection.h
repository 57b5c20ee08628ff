#pragma once

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "net/asio_io.h"
#include "net/connection.h"
#include "net/tls_stream.h"

namespace bobbin::net {

/// A connection over a socket: when to read, when to write, when to end. Private to `net`.
///
/// At most one read and one write wait are outstanding. Closed and with none outstanding, it has itself
/// destroyed by its loop in a later tick; until then every call is harmless.
class SocketConnection final : public Connection {
 public:
  /// How long a closing connection waits for the peer's end of stream, so that the last reply is not lost to
  /// a reset while input is still arriving.
  static constexpr std::chrono::milliseconds kLingerTimeout{1000};

  SocketConnection(Loop& loop, uint64_t id, StreamSocket socket, std::string peer, std::string local);

  void start(std::unique_ptr<Receiver> receiver);
  /// The same for a peer that speaks TLS.
  void start_handshake(const TlsContext& context, std::unique_ptr<Receiver> receiver);
  /// The same for one that was dialled: this side begins.
  void start_handshake(const TlsClientContext& context, TlsDial dial, std::unique_ptr<Receiver> receiver);
  /// The loop has been told that the spool has frames, or that the receiver shall go on.
  void drain_spool();
  /// The tick ends: writes what flush_later() left.
  void flush_now();
  /// After that, for each connection of that tick: reads on if it waited for its flush.
  void read_on();
  /// Answers what the kernel has of this peer now, then closes.
  void drain();
  /// Closes if a time limit is over. Returns whether this connection needs looking at again.
  bool sweep();

  void flush() override;
  void close_when_sent() override;
  void close_now(CloseReason reason) override;
  void suspend(Hold hold) override;
  void keep_open(bool owes_replies) override;
  void expect(bool something) override;
  [[nodiscard]] ConnectionStatus status() const override;
  [[nodiscard]] const TlsPeer* tls() const override;

 private:
  using Milliseconds = int64_t;
  static Milliseconds steady_ms();

  void read();
  void look_again();
  void on_read(ErrorCode error, size_t n);
  void take_buffered(size_t n);
  void present(std::span<const char> fresh);
  void count_unread();
  void landed(size_t n);
  void settle();
  /// Nothing is shown to the receiver: by its own wish or for want of room.
  [[nodiscard]] bool stopped() const noexcept { return paused_ || suspended_; }
  void keep_for_later(size_t n);
  void go_on();
  void resumed();
  void set_hold(Hold hold);
  void drain_later();
  void read_what_had_arrived();
  [[nodiscard]] size_t arrived();
  [[nodiscard]] bool delivered();
  void end_of_stream();
  void end_of_requests();

  void flush_later();
  struct Sent {
    size_t bytes = 0;
    bool is_all = false;   // of what was offered
    bool is_lost = false;  // the connection is broken
  };
  Sent send_front(const Output& bytes, size_t max_bytes);
  bool write_some();
  void wait_writable();
  void continue_later();
  /// Another connection's bytes would be sent to this one's peer.
  void assert_output_is_its_own() const noexcept;
  void borrow_output();
  void keep_output();
  void release_output();
  void count_unsent();
  size_t take_spooled();
  void spool_written(size_t n);
  void after_write();
  void sent_everything();
  void linger();
  void discard(ErrorCode error);
  void dispose_if_done();
  // With TLS:
  [[nodiscard]] bool is_shaking_hands() const;
  [[nodiscard]] bool owes_sealed() const;
  void take_sealed(size_t n);
  void open();
  void open_later();
  void open_what_had_arrived();
  void shake_hands();
  void show_opened();
  bool write_sealed();

  void set_state(ConnectionState state) noexcept { state_.store(state, std::memory_order_relaxed); }

  StreamSocket socket_;
  const std::string peer_;
  const std::string local_;
  const int descriptor_;

  std::unique_ptr<TlsStream>
      tls_;                   // null: bytes go as they are. Until its handshake is done no receiver is there
  std::vector<char> unread_;  // what the receiver left
  size_t seen_ = 0;           // of those, bytes it need not look through again

  struct Range {
    uint64_t begin;
    uint64_t end;
  };
  std::vector<Range> spool_ranges_;  // where spooled frames lie, in bytes sent or to be sent since the start
  uint64_t written_total_ = 0;
  size_t counted_unsent_ = 0;
  size_t counted_unread_ = 0;
  size_t landed_ = 0;       // of a landing, bytes that came while stopped
  size_t drain_bytes_ = 0;  // of what had arrived when the drain began, not read yet

  std::atomic<Milliseconds> last_received_ms_;
  Milliseconds expects_since_ms_ = 0;  // 0: nothing is expected
  Milliseconds last_progress_ms_ = 0;  // since when the peer has taken nothing; 0 while it takes what comes
  uint8_t operations_ = 0;             // handlers that will still run
  bool reading_ = false;
  bool exhausted_ = false;    // the last read took all there was
  bool wrote_ = false;        // since that read: a reset that came with its bytes would have been told
  bool landing_ = false;      // the read in progress goes to the receiver's landing
  bool blocked_ = false;      // the kernel takes nothing; a wait for that is outstanding
  bool flush_due_ = false;    // the loop will call flush_now()
  bool read_due_ = false;     // read_on() goes on reading
  bool borrowed_ = false;     // own_output_ goes back to the loop
  bool continuing_ = false;   // a continuation is posted
  bool in_receiver_ = false;  // settle() follows
  bool paused_ = false;       // congested: nothing is read or presented
  bool suspended_ = false;    // the receiver waits for a resume: nothing is read or presented
  bool holding_ = false;      // nothing is sent, either
  bool owing_ = false;        // the receiver has replies to come, and is kept for them
  bool ended_ = false;        // the peer will send no more
  bool finishing_ = false;    // close when everything is sent
  bool draining_ = false;
  bool drain_posted_ = false;
  bool lingering_ = false;
  bool closed_ = false;
  bool disposing_ = false;
  std::atomic<ConnectionState> state_{ConnectionState::idle};

  std::array<char, kReadBufferBytes> buffer_;
};

}  // namespace bobbin::net
