#include "net/socket_connection.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <cassert>
#include <cstring>
#include <utility>

#include "net/inquiring_read.h"

namespace bobbin::net {
SocketConnection::Milliseconds SocketConnection::steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

SocketConnection::SocketConnection(Loop& loop, uint64_t id, StreamSocket socket, std::string peer,
                                   std::string local)
    : Connection(loop, id),
      socket_(std::move(socket)),
      peer_(std::move(peer)),
      local_(std::move(local)),
      descriptor_(socket_.native_handle()),
      last_received_ms_(steady_ms()) {}

void SocketConnection::start(std::unique_ptr<Receiver> receiver) {
  receiver_ = std::move(receiver);
  inquire(descriptor_);
  loop_.counters_.connections_opened.add(1);
  if (loop_.limits().idle_timeout.count() > 0) loop_.need_sweep();
  in_receiver_ = true;
  receiver_->on_open(*this);
  in_receiver_ = false;
  settle();
}

// --- reading ---

void SocketConnection::read() {
  if (reading_ || stopped() || ended_ || finishing_ || closed_) return;
  if (tls_ != nullptr && tls_->has_more()) [[unlikely]]
    return open_later();
  const std::span<char> landing = tls_ == nullptr ? receiver_->landing() : std::span<char>();
  landing_ = !landing.empty();
  set_state(landing_ ? ConnectionState::landing
                     : (unread_.empty() ? ConnectionState::idle : ConnectionState::waiting));
  const ReadTarget target = landing_ ? ReadTarget(landing.data(), landing.size(), exhausted_)
                                     : ReadTarget(buffer_.data(), buffer_.size(), exhausted_);
  reading_ = true;
  ++operations_;
  const bool may_have_missed_a_reset = exhausted_ && !wrote_;
  exhausted_ = false;
  if (may_have_missed_a_reset) return look_again();
  socket_.async_read_some(target, [this](ErrorCode error, size_t n) { on_read(error, n); });
}

// Asio's wait has the kernel tell anew what it has told before. The read that was begun goes on after it.
void SocketConnection::look_again() {
  socket_.async_wait(StreamSocket::wait_read, [this](ErrorCode error) {
    if (error || closed_) return on_read(error ? error : asio::error::operation_aborted, 0);
    if (finishing_) return on_read({}, 0);
    if (stopped() || draining_) return on_read(asio::error::operation_aborted, 0);
    --operations_;
    reading_ = false;
    read();
  });
}

void SocketConnection::on_read(ErrorCode error, size_t n) {
  --operations_;
  reading_ = false;
  if (closed_) return dispose_if_done();
  assert_output_is_its_own();
  wrote_ = false;
  if (lingering_) return discard(error);
  if (finishing_) {  // what arrives after the last request is not wanted; its end is
    ended_ = ended_ || error;
    return;
  }
  if (error == asio::error::operation_aborted) return go_on();  // by drain() or suspend()
  if (error == asio::error::eof) return end_of_stream();
  if (error) return close_now(CloseReason::by_peer);
  last_received_ms_.store(steady_ms(), std::memory_order_relaxed);
  loop_.counters_.bytes_read.add(n);
  if (tls_ != nullptr) [[unlikely]]
    return take_sealed(n);
  if (stopped()) return keep_for_later(n);
  if (landing_) {
    landed(n);
  } else {
    take_buffered(n);
  }
  settle();
}

void SocketConnection::landed(size_t n) {
  in_receiver_ = true;
  receiver_->on_landed(*this, n);
  in_receiver_ = false;
}

// The first buffer is small so that an idle connection is; when it filled up there is more, which is read
// into the loop's scratch buffer and shown together with it.
void SocketConnection::take_buffered(size_t n) {
  if (n < buffer_.size()) return present({buffer_.data(), n});
  char* scratch = loop_.scratch_.get();
  std::memcpy(scratch, buffer_.data(), n);
  ErrorCode error;
  const size_t more = socket_.read_some(asio::mutable_buffer(scratch + n, kScratchBytes), error);
  if (!error) loop_.counters_.bytes_read.add(more);
  if (!error) drain_bytes_ -= std::min(drain_bytes_, more);
  present({scratch, n + (error ? 0 : more)});
  if (error == asio::error::eof) ended_ = true;
}

void SocketConnection::present(std::span<const char> fresh) {
  size_t consumed = 0;
  in_receiver_ = true;
  if (unread_.empty()) {
    consumed = receiver_->on_bytes(*this, fresh, 0);
    in_receiver_ = false;
    if (closed_) return;
    unread_.assign(fresh.begin() + static_cast<ptrdiff_t>(consumed), fresh.end());
  } else {
    unread_.insert(unread_.end(), fresh.begin(), fresh.end());
    consumed = receiver_->on_bytes(*this, unread_, seen_);
    in_receiver_ = false;
    if (closed_) return;
    unread_.erase(unread_.begin(), unread_.begin() + static_cast<ptrdiff_t>(consumed));
  }
  if (unread_.empty() && unread_.capacity() > 0) std::vector<char>().swap(unread_);
  // A receiver that stopped because of congestion, or to wait, has not looked at what it left.
  seen_ = congested() || suspended_ ? 0 : unread_.size();
  count_unread();
}

void SocketConnection::count_unread() {
  if (unread_.size() == counted_unread_) return;
  loop_.counters_.unread_bytes.add(unread_.size());
  loop_.counters_.unread_bytes.sub(counted_unread_);
  counted_unread_ = unread_.size();
}

// After every call of the receiver: sends its replies and decides what to wait for.
void SocketConnection::settle() {
  if (closed_) return;
  if (!finishing_ && !paused_ && congested()) {
    paused_ = true;
    loop_.counters_.unsent_pauses.add(1);
  }
  flush_later();
  if (closed_ || finishing_ || stopped()) return;
  if (unread_.size() > loop_.limits().max_unread_bytes) return close_now(CloseReason::unread);
  if (ended_) return end_of_requests();
  if (draining_) return drain_later();
  // Behind the writes of this tick: by then the peer may have sent its next request, and a read that finds it
  // at once needs no other system call.
  read_due_ = flush_due_;
  if (!read_due_) read();
}

void SocketConnection::read_on() {
  if (!std::exchange(read_due_, false) || closed_ || finishing_ || stopped()) return;
  if (draining_) return drain_later();
  read();
}

void SocketConnection::end_of_stream() {
  ended_ = true;
  go_on();
}

void SocketConnection::drain() {
  if (closed_ || draining_) return;
  draining_ = true;
  // What comes later is not answered: a peer that sends as fast as it is answered would never let go.
  drain_bytes_ = arrived();
  if (!reading_ || finishing_) return;
  // The read in progress may be done and only not told yet, and its bytes come first; or it still waits, and
  // must not fill a landing that was left meanwhile. on_read() goes on in either case.
  ErrorCode ignored;
  socket_.cancel(ignored);
}

// No more of them will be shown to the receiver. Where it owes replies, the resume for the last of them leads
// here again.
void SocketConnection::end_of_requests() {
  if (!owing_) close_when_sent();
}

size_t SocketConnection::arrived() {
  ErrorCode error;
  const size_t n = socket_.available(error);
  return error ? 0 : n;
}

// Whether the peer's kernel has everything that was written.
bool SocketConnection::delivered() {
  int unacknowledged = 0;
  return ioctl(descriptor_, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0;
}

// In a tick of its own, so that timers and other connections have theirs.
void SocketConnection::drain_later() {
  if (std::exchange(drain_posted_, true)) return;
  ++operations_;
  asio::post(socket_.get_executor(), [this] {
    --operations_;
    drain_posted_ = false;
    if (closed_) return dispose_if_done();
    if (!finishing_ && !stopped() && !reading_) read_what_had_arrived();
  });
}

void SocketConnection::read_what_had_arrived() {
  if (tls_ != nullptr) return open_what_had_arrived();
  if (drain_bytes_ == 0) return end_of_requests();
  const std::span<char> landing = receiver_->landing();
  const std::span<char> scratch(loop_.scratch_.get(), kScratchBytes);
  const std::span<char> target = landing.empty() ? scratch : landing;
  const size_t wanted = std::min(target.size(), drain_bytes_);
  ErrorCode error;
  const size_t n = socket_.read_some(asio::mutable_buffer(target.data(), wanted), error);
  if (error) return end_of_requests();
  drain_bytes_ -= n;
  loop_.counters_.bytes_read.add(n);
  if (landing.empty()) {
    present(target.first(n));
  } else {
    landed(n);
  }
  settle();
}

// --- ending ---

void SocketConnection::close_when_sent() {
  assert_owner();
  if (closed_ || finishing_) return;
  if (spool_state_ != nullptr) take_spooled();  // accepted before the end
  finishing_ = true;
  // Called by the receiver: the bytes that it is looking at must stay, and settle() will flush.
  if (!in_receiver_) flush();
}

void SocketConnection::sent_everything() {
  // Nothing can be lost to a reset when the peer has ended too, or when it has everything and was read to the
  // last byte: a drain closes most connections here, at once.
  if (ended_ || (draining_ && arrived() == 0 && delivered())) return close_now(CloseReason::by_receiver);
  linger();
}

void SocketConnection::linger() {
  if (lingering_) return;
  lingering_ = true;
  set_state(ConnectionState::closing);
  last_progress_ms_ = steady_ms();
  ErrorCode error;
  socket_.shutdown(StreamSocket::shutdown_send, error);
  loop_.need_sweep();
  if (!reading_) discard({});
}

// Reads and drops until the peer ends. A read that was outstanding reports to on_read, which ends up here
// too.
void SocketConnection::discard(ErrorCode error) {
  if (error) return close_now(CloseReason::by_receiver);
  reading_ = true;
  ++operations_;
  socket_.async_read_some(asio::buffer(buffer_), [this](ErrorCode failed, size_t) {
    --operations_;
    reading_ = false;
    if (closed_) return dispose_if_done();
    discard(failed);
  });
}

void SocketConnection::close_now(CloseReason reason) {
  assert_owner();
  if (closed_) return;
  closed_ = true;
  set_state(ConnectionState::closing);
  LoopCounters& counters = loop_.counters_;
  if (reason == CloseReason::unread) counters.unread_kicks.add(1);
  if (reason == CloseReason::idle) counters.idle_kicks.add(1);
  if (reason == CloseReason::stalled) counters.stalled_kicks.add(1);
  counters.unread_bytes.sub(counted_unread_);
  for (const Range& range : spool_ranges_) {
    counters.spool_bytes_now.sub(range.end - std::max(range.begin, written_total_));
  }
  spool_ranges_.clear();

  if (reason == CloseReason::handshake) counters.handshake_kicks.add(1);
  if (reason == CloseReason::overdue) counters.overdue_kicks.add(1);
  if (tls_ != nullptr) tls_->drop_sealed();
  // From here on out() is a place where appended bytes are dropped, not the loop's.
  out_->clear();
  release_output();
  own_output_ = std::make_unique<Output>();
  out_ = own_output_.get();

  if (spool_state_ != nullptr) spool_state_->close();
  ErrorCode ignored;
  socket_.close(ignored);
  if (receiver_ != nullptr) {
    receiver_->on_closed(*this, reason);
  } else if (tls_ != nullptr && reason != CloseReason::shutdown) {
    tls_->tell_dialler();
  }
  dispose_if_done();
}

void SocketConnection::dispose_if_done() {
  if (operations_ > 0 || disposing_) return;
  disposing_ = true;
  asio::post(loop_.io_->context, [&loop = loop_, id = id_] { loop.disown(id); });
}

void SocketConnection::expect(bool something) {
  if (!something || loop_.limits().expect_timeout.count() == 0) {
    expects_since_ms_ = 0;
  } else if (expects_since_ms_ == 0) {
    expects_since_ms_ = steady_ms();
    loop_.need_sweep();
  }
}

bool SocketConnection::sweep() {
  if (closed_) return false;
  const Milliseconds now = steady_ms();
  const auto over = [now](Milliseconds since, std::chrono::milliseconds limit) {
    return limit.count() > 0 && now - since >= limit.count();
  };
  const Limits& limits = loop_.limits();
  // The last that a drain sends with TLS is never acknowledged at once: see sent_everything().
  const bool is_over = tls_ != nullptr && draining_ && arrived() == 0 && delivered();
  if (lingering_ && (is_over || over(last_progress_ms_, kLingerTimeout))) {
    close_now(CloseReason::by_receiver);
  } else if (blocked_ && !holding_ && over(last_progress_ms_, limits.stall_timeout)) {
    close_now(CloseReason::stalled);
  } else if (is_shaking_hands() && over(tls_->began_ms(), limits.handshake_timeout)) {
    close_now(CloseReason::handshake);
  } else if (expects_since_ms_ != 0 && !stopped() && over(expects_since_ms_, limits.expect_timeout)) {
    close_now(CloseReason::overdue);
  } else if (own_output_ == nullptr && !blocked_ && !stopped() && !owing_ && !continuing_ && may_idle_out_ &&
             over(last_received_ms_, limits.idle_timeout)) {
    close_now(CloseReason::idle);
  }
  const bool is_timed = limits.idle_timeout.count() > 0 || expects_since_ms_ != 0;
  return !closed_ && (lingering_ || blocked_ || is_timed || is_shaking_hands());
}

ConnectionStatus SocketConnection::status() const {
  ConnectionStatus status;
  status.id = id_;
  status.descriptor = descriptor_;
  status.peer = peer_;
  status.local = local_;
  status.state = state_.load(std::memory_order_relaxed);
  const int64_t idle_ms = steady_ms() - last_received_ms_.load(std::memory_order_relaxed);
  status.idle_s = static_cast<uint32_t>(std::max<int64_t>(idle_ms, 0) / 1000);
  return status;
}

}  // namespace bobbin::net
