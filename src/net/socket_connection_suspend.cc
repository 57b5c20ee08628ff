// How a connection stops for its receiver, and goes on: when another thread has what the receiver waits for,
// or when there is room for replies again. And how it stays for a receiver that goes on and owes replies.

#include <utility>

#include "net/socket_connection.h"

namespace bobbin::net {

void SocketConnection::suspend(Hold hold) {
  assert_owner();
  if (closed_ || lingering_) return;
  suspended_ = true;
  seen_ = 0;
  set_hold(hold);
  set_state(ConnectionState::waiting);
  if (!reading_) return;
  // Only when it was resumed without need. What the read has got already is kept for later.
  ErrorCode ignored;
  socket_.cancel(ignored);
}

void SocketConnection::keep_open(bool owes_replies) {
  assert_owner();
  const bool owed = std::exchange(owing_, owes_replies);
  if (owed && !owing_) last_received_ms_.store(steady_ms(), std::memory_order_relaxed);  // the peer waited
}

void SocketConnection::set_hold(Hold hold) {
  const bool held = std::exchange(holding_, hold == Hold::replies);
  // The peer could not take what was held: its time begins now.
  if (held && !holding_ && last_progress_ms_ != 0) last_progress_ms_ = steady_ms();
}

// The read in progress when it stopped; there is no other until it goes on.
void SocketConnection::keep_for_later(size_t n) {
  if (landing_) {
    landed_ += n;
    return;
  }
  unread_.insert(unread_.end(), buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(n));
  seen_ = 0;
  count_unread();
}

// The loop was told to. Until the receiver has returned, nothing that is held may leave: it may hold it
// again.
void SocketConnection::resumed() {
  const bool waited = std::exchange(suspended_, false);
  in_receiver_ = true;
  receiver_->on_resumed(*this);
  in_receiver_ = false;
  if (closed_) return;
  if (waited && !suspended_) {
    set_hold(Hold::nothing);
    last_received_ms_.store(steady_ms(), std::memory_order_relaxed);  // it was not the peer who idled
  }
  go_on();
}

// Shows what came while the receiver was not asked, or what it has not looked at. Before the bytes of a read
// that is still to report, which follows: on_read() goes on, too.
void SocketConnection::go_on() {
  if (!stopped() && !finishing_ && !reading_) {
    if (landed_ > 0) {
      landed(std::exchange(landed_, 0));
    } else if (seen_ < unread_.size()) {
      present({});
    }
  }
  settle();
}

}  // namespace bobbin::net
