// How a connection of a TLS listener reads and writes. It is told apart by tls_, and differs in three places:
// what was read is opened before the receiver sees it, what is written is sealed before, and there is no
// receiver until the handshake is done.

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <cassert>
#include <utility>

#include "net/inquiring_read.h"
#include "net/socket_connection.h"

namespace bobbin::net {
namespace {

// Received and opened before the others on the loop have their turn.
constexpr size_t kOpenPerTickBytes = 128 << 10;

// Sealed before it is sent: a system call for some records. What of it the peer does not take waits as it is.
constexpr size_t kSealTogetherBytes = 64 << 10;

}  // namespace

const TlsPeer* SocketConnection::tls() const {
  return tls_ == nullptr || receiver_ == nullptr ? nullptr : &tls_->peer();
}

bool SocketConnection::is_shaking_hands() const {
  return tls_ != nullptr && receiver_ == nullptr && !finishing_;
}

void SocketConnection::start_handshake(const TlsContext& context, std::unique_ptr<Receiver> receiver) {
  tls_ = std::make_unique<TlsStream>(context, loop_, descriptor_, steady_ms(), std::move(receiver));
  inquire(descriptor_);
  loop_.counters_.connections_opened.add(1);
  loop_.need_sweep();
  settle();
}

void SocketConnection::start_handshake(const TlsClientContext& context, TlsDial dial,
                                       std::unique_ptr<Receiver> receiver) {
  tls_ = std::make_unique<TlsStream>(context, std::move(dial), loop_, descriptor_, steady_ms(),
                                     std::move(receiver));
  inquire(descriptor_);
  loop_.counters_.connections_opened.add(1);
  loop_.need_sweep();
  shake_hands();
  settle();
}

// The next part of what is here already, in a tick of its own.
void SocketConnection::open_later() {
  reading_ = true;
  ++operations_;
  asio::post(socket_.get_executor(), [this] { on_read({}, 0); });
}

void SocketConnection::take_sealed(size_t n) {
  if (n > 0) tls_->feed({buffer_.data(), n}, exhausted_);
  if (!stopped()) open();
}

// Opens what is here, as much as a tick may, and shows it to the receiver.
void SocketConnection::open() {
  tls_->allow(draining_ ? drain_bytes_ : kOpenPerTickBytes);
  if (receiver_ == nullptr) {
    shake_hands();
  } else {
    show_opened();
  }
  if (closed_) return;
  if (draining_) drain_bytes_ = tls_->allowed();
  ended_ = ended_ || tls_->has_ended();
  if (tls_->is_broken() && !finishing_) {
    flush();  // it may have to be told why
    return close_now(CloseReason::by_peer);
  }
  settle();
}

void SocketConnection::show_opened() {
  const std::span<char> landing = receiver_->landing();
  if (landing.empty()) {
    const std::span<char> scratch(loop_.scratch_.get(), kReadBufferBytes + kScratchBytes);
    if (const size_t n = tls_->read(scratch); n > 0) present(scratch.first(n));
    return;
  }
  set_state(ConnectionState::landing);
  if (const size_t n = tls_->read(landing.first(std::min(landing.size(), kOpenPerTickBytes))); n > 0)
    landed(n);
}

void SocketConnection::shake_hands() {
  switch (tls_->shake_hands()) {
    case TlsStream::Handshake::waiting:
      return flush();
    case TlsStream::Handshake::failed:
      loop_.counters_.handshake_failures.add(1);
      tls_->tell_dialler();
      // The peer is told why, and has time to read it.
      return close_when_sent();
    case TlsStream::Handshake::done:
      break;
  }
  loop_.counters_.handshakes.add(1);
  receiver_ = tls_->take_receiver();
  in_receiver_ = true;
  receiver_->on_open(*this);
  in_receiver_ = false;
}

void SocketConnection::open_what_had_arrived() {
  if (!tls_->has_more()) {
    if (drain_bytes_ == 0) return end_of_requests();
    ErrorCode error;
    const size_t n = socket_.read_some(
        asio::mutable_buffer(buffer_.data(), std::min(buffer_.size(), drain_bytes_)), error);
    if (error) return end_of_requests();
    drain_bytes_ -= n;
    loop_.counters_.bytes_read.add(n);
    tls_->feed({buffer_.data(), n}, false);
  }
  open();
}

bool SocketConnection::owes_sealed() const {
  return tls_ != nullptr && (tls_->sealed_bytes() > 0 || finishing_);
}

// As write_some(). Bytes count as written when they are sealed: they cannot be taken back, and what the peer
// has not taken of them is at most kSealTogetherBytes.
bool SocketConnection::write_sealed() {
  size_t budget = kTickWriteBytes;
  for (;;) {
    if (tls_->sealed_bytes() == 0 && !out_->empty() && budget > 0) {
      const size_t n = tls_->seal(*out_, std::min(budget, kSealTogetherBytes));
      if (n == 0) {
        close_now(CloseReason::by_peer);
        return false;
      }
      budget -= n;
      written_total_ += n;
      if (!spool_ranges_.empty()) spool_written(n);
      if (closed_) return false;  // by a waker
    }
    if (out_->empty() && finishing_) tls_->seal_end();
    if (tls_->sealed_bytes() == 0) break;
    const Sent sent = send_front(tls_->sealed(), kTickWriteBytes);
    if (sent.is_lost) {
      close_now(CloseReason::by_peer);
      return false;
    }
    tls_->sent(sent.bytes);
    if (!sent.is_all) {
      tls_->keep_sealed();
      wait_writable();
      return true;
    }
  }
  if (!out_->empty()) continue_later();
  return true;
}

}  // namespace bobbin::net
