// How a connection writes: replies and spooled frames, once a tick, as far as the peer takes them.

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <cassert>
#include <utility>

#include "net/socket_connection.h"

namespace bobbin::net {
namespace {

bool would_block(ErrorCode error) {
  return error == asio::error::would_block || error == asio::error::try_again;
}

}  // namespace

void SocketConnection::flush() {
  assert_owner();
  if (closed_ || blocked_ || continuing_ || holding_) {
    if (!closed_) keep_output();
    return;
  }
  if (out_->empty() && !owes_sealed()) return after_write();
  if (tls_ == nullptr ? write_some() : write_sealed()) after_write();
}

// Between the requests of a tick nothing is written: a peer that runs on another core is then woken once for
// all that this tick has for it and its neighbours, and not each time it has fallen asleep again.
void SocketConnection::flush_later() {
  if (closed_) return;
  if (blocked_ || continuing_ || holding_) return keep_output();
  if (out_->empty()) {
    if (!flush_due_) flush();
    return;
  }
  // Whatever is due already, these bytes must not stay in the output that the loop lends to others.
  if (own_output_ == nullptr) borrow_output();
  if (flush_due_) return;
  if (out_->size() >= kTickWriteBytes) return flush();
  flush_due_ = true;
  ++operations_;
  loop_.flush_at_end_of_tick(*this);
}

void SocketConnection::flush_now() {
  --operations_;
  flush_due_ = false;
  assert_output_is_its_own();
  if (closed_) return dispose_if_done();
  flush();
}

// One system call.
SocketConnection::Sent SocketConnection::send_front(const Output& bytes, size_t max_bytes) {
  std::array<std::span<const char>, 64> runs;
  const size_t count = bytes.gather(runs, max_bytes);
  std::array<asio::const_buffer, 64> buffers;
  size_t offered = 0;
  for (size_t i = 0; i < count; ++i) {
    buffers[i] = asio::const_buffer(runs[i].data(), runs[i].size());
    offered += runs[i].size();
  }
  ErrorCode error;
  const size_t n = count == 1 ? socket_.write_some(buffers[0], error)
                              : socket_.write_some(std::span(buffers.data(), count), error);
  wrote_ = true;
  if (error) return {.is_lost = !would_block(error)};
  loop_.counters_.writes.add(1);
  loop_.counters_.bytes_written.add(n);
  last_progress_ms_ = 0;
  return {.bytes = n, .is_all = n == offered};
}

// Writes up to a tick's worth. False if the connection was closed meanwhile.
bool SocketConnection::write_some() {
  size_t budget = kTickWriteBytes;
  while (!out_->empty() && budget > 0) {
    const Sent sent = send_front(*out_, budget);
    if (sent.is_lost) {
      close_now(CloseReason::by_peer);
      return false;
    }
    written_total_ += sent.bytes;
    budget -= sent.bytes;
    out_->consume(sent.bytes);
    if (!spool_ranges_.empty()) spool_written(sent.bytes);
    if (closed_) return false;  // by a waker
    if (!sent.is_all) {
      wait_writable();
      return true;
    }
  }
  if (!out_->empty()) continue_later();
  return true;
}

void SocketConnection::wait_writable() {
  blocked_ = true;
  set_state(ConnectionState::writing);
  if (last_progress_ms_ == 0) last_progress_ms_ = steady_ms();
  loop_.need_sweep();
  ++operations_;
  socket_.async_wait(StreamSocket::wait_write, [this](ErrorCode error) {
    --operations_;
    blocked_ = false;
    if (closed_) return dispose_if_done();
    if (error && error != asio::error::operation_aborted) return close_now(CloseReason::by_peer);
    flush();
  });
}

void SocketConnection::continue_later() {
  continuing_ = true;
  loop_.counters_.write_yields.add(1);
  ++operations_;
  asio::post(socket_.get_executor(), [this] {
    --operations_;
    continuing_ = false;
    if (closed_) return dispose_if_done();
    flush();
  });
}

// What follows from how much is left to send.
void SocketConnection::after_write() {
  if (out_->empty()) {
    release_output();
    if (finishing_ && !blocked_) return sent_everything();
  } else {
    keep_output();
  }
  if (paused_ && out_->size() <= max_unsent_bytes_ / 2 && !continuing_) {
    // In a tick of its own, so that a client with a deep pipeline takes turns with the others.
    continuing_ = true;
    ++operations_;
    asio::post(socket_.get_executor(), [this] {
      --operations_;
      continuing_ = false;
      if (closed_) return dispose_if_done();
      paused_ = false;
      if (std::exchange(resumes_when_taken_, false)) return resumed();
      go_on();
    });
  }
}

void SocketConnection::assert_output_is_its_own() const noexcept {
  assert(own_output_ != nullptr || loop_.shared_output_.empty());
}

// What is in the loop's output becomes the connection's; the loop goes on with an empty one.
void SocketConnection::borrow_output() {
  own_output_ = loop_.lend_output();
  std::swap(*own_output_, loop_.shared_output_);
  out_ = own_output_.get();
  borrowed_ = true;
}

// The rest has to wait for the peer, for who knows how long: in no more memory than it needs.
void SocketConnection::keep_output() {
  if ((own_output_ == nullptr || borrowed_) && !out_->empty()) {
    auto kept = Output::take_and_shrink(*out_);
    if (borrowed_) loop_.take_back_output(std::move(own_output_));
    borrowed_ = false;
    own_output_ = std::move(kept);
    out_ = own_output_.get();
  }
  count_unsent();
}

void SocketConnection::release_output() {
  if (borrowed_) loop_.take_back_output(std::move(own_output_));
  borrowed_ = false;
  own_output_.reset();
  out_ = &loop_.shared_output_;
  count_unsent();
}

void SocketConnection::count_unsent() {
  const size_t unsent =
      (own_output_ == nullptr ? 0 : own_output_->size()) + (tls_ == nullptr ? 0 : tls_->sealed_bytes());
  if (unsent == counted_unsent_) return;
  loop_.counters_.unsent_bytes.add(unsent);
  loop_.counters_.unsent_bytes.sub(counted_unsent_);
  counted_unsent_ = unsent;
}

// --- the spool ---

void SocketConnection::drain_spool() {
  if (closed_ || lingering_) return;
  assert_output_is_its_own();
  // Before the frames, so that those that were appended before a resume are taken with it.
  const bool resume = spool_state_->take_resume();
  // An ending connection takes no more: a producer that never pauses would keep it open.
  const size_t taken = finishing_ ? 0 : take_spooled();
  if (resume) return resumed();
  if (taken > 0) flush_later();
}

size_t SocketConnection::take_spooled() {
  const uint64_t begin = written_total_ + out_->size();
  const size_t n = spool_state_->drain(*out_);
  if (n == 0) return 0;
  loop_.counters_.spool_drains.add(1);
  loop_.counters_.spool_bytes_in.add(n);
  loop_.counters_.spool_bytes_now.add(n);
  if (!spool_ranges_.empty() && spool_ranges_.back().end == begin) {
    spool_ranges_.back().end += n;
  } else {
    spool_ranges_.push_back({begin, begin + n});
  }
  return n;
}

// Of the bytes just written, tells the spool how many were its own.
void SocketConnection::spool_written(size_t n) {
  const uint64_t from = written_total_ - n;
  size_t spooled = 0;
  size_t done = 0;
  for (Range& range : spool_ranges_) {
    if (range.begin >= written_total_) break;
    const uint64_t end = std::min(range.end, written_total_);
    spooled += end - std::max(range.begin, from);
    if (range.end <= written_total_) ++done;
  }
  spool_ranges_.erase(spool_ranges_.begin(), spool_ranges_.begin() + static_cast<ptrdiff_t>(done));
  if (spooled == 0) return;
  loop_.counters_.spool_bytes_now.sub(spooled);
  spool_state_->written(spooled);
}

}  // namespace bobbin::net
