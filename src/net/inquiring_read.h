#pragma once

// How a connection's reads avoid a system call that finds nothing. Private to `net`.
//
// Asio tries each read at once and waits for the socket only when there is nothing: a client that waits for
// its replies costs one vain recv for each request. Linux can say with the bytes whether more are there
// (TCP_INQ; it counts an end of stream as more, but not a reset). When none are, the next read waits without
// a try. A reset that had come with the bytes is found by the write that answers them; whoever writes nothing
// has to look again (SocketConnection::read).

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <cerrno>
#include <cstring>

#include "net/asio_io.h"

namespace bobbin::net {

/// One buffer, to be read into, and where it is told whether nothing more is there. Its type chooses the
/// operation below. `exhausted` must live until the operation is complete.
class ReadTarget {
 public:
  using value_type = asio::mutable_buffer;
  using const_iterator = const asio::mutable_buffer*;

  ReadTarget(char* data, size_t size, bool& exhausted) noexcept
      : buffer_(data, size), exhausted_(&exhausted) {}
  [[nodiscard]] const_iterator begin() const noexcept { return &buffer_; }
  [[nodiscard]] const_iterator end() const noexcept { return &buffer_ + 1; }
  [[nodiscard]] const asio::mutable_buffer& buffer() const noexcept { return buffer_; }
  void tell(bool exhausted) const noexcept { *exhausted_ = exhausted; }

 private:
  asio::mutable_buffer buffer_;
  bool* exhausted_;
};

/// Asks the kernel to tell. Where it cannot (Unix sockets, old kernels), reads are tried as before.
inline void inquire(int descriptor) noexcept {
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_INQ, &on, sizeof on);
}

struct ReadResult {
  ssize_t n;
  bool exhausted;  ///< nothing more is there, not even the end
};

inline ReadResult read_and_inquire(int descriptor, void* data, size_t size) noexcept {
  iovec part{data, size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t n = recvmsg(descriptor, &message, 0);
  int unread = 1;
  if (n > 0) {
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_level == IPPROTO_TCP && header->cmsg_type == TCP_CM_INQ)
      std::memcpy(&unread, CMSG_DATA(header), sizeof unread);
  }
  return {n, unread == 0};
}

}  // namespace bobbin::net

namespace boost::asio::detail {

/// Asio's receive operation for this one type of buffers. Should another version of Asio not look for it, the
/// general one is used and nothing but the vain tries come back.
template <>
class reactive_socket_recv_op_base<bobbin::net::ReadTarget> : public reactor_op {
 public:
  reactive_socket_recv_op_base(const boost::system::error_code& success, socket_type socket,
                               socket_ops::state_type /*state*/, const bobbin::net::ReadTarget& target,
                               socket_base::message_flags /*flags*/, func_type completed)
      : reactor_op(success, &reactive_socket_recv_op_base::do_perform, completed),
        socket_(socket),
        target_(target) {}

  static status do_perform(reactor_op* base) {
    auto* op = static_cast<reactive_socket_recv_op_base*>(base);
    const asio::mutable_buffer& buffer = op->target_.buffer();
    for (;;) {
      const auto [n, exhausted] = bobbin::net::read_and_inquire(op->socket_, buffer.data(), buffer.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return not_done;
      op->bytes_transferred_ = n < 0 ? 0 : static_cast<size_t>(n);
      if (n < 0) {
        op->ec_ = boost::system::error_code(errno, boost::asio::error::get_system_category());
      } else if (n == 0) {
        op->ec_ = boost::asio::error::eof;
      } else {
        op->ec_ = boost::system::error_code();
        op->target_.tell(exhausted);
        return exhausted ? done_and_exhausted : done;
      }
      return done_and_exhausted;
    }
  }

 private:
  socket_type socket_;
  bobbin::net::ReadTarget target_;
};

}  // namespace boost::asio::detail
