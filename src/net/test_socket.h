#pragma once

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "net/address.h"

namespace bobbin::net {

/// The other end of a connection, for tests: a plain blocking socket.
class TestSocket {
 public:
  explicit TestSocket(const Address& address, int receive_buffer_bytes = 0) {
    if (address.is_unix()) {
      descriptor_ = socket(AF_UNIX, SOCK_STREAM, 0);
      sockaddr_un name{};
      name.sun_family = AF_UNIX;
      std::strncpy(name.sun_path, address.unix_path.c_str(), sizeof name.sun_path - 1);
      open_ = connect(descriptor_, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0;
      return;
    }
    descriptor_ = socket(AF_INET, SOCK_STREAM, 0);
    if (receive_buffer_bytes > 0) {
      setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    }
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(address.port);
    inet_pton(AF_INET, address.host.c_str(), &name.sin_addr);
    open_ = connect(descriptor_, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0;
  }
  TestSocket(TestSocket&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), open_(other.open_) {}
  TestSocket(const TestSocket&) = delete;
  TestSocket& operator=(const TestSocket&) = delete;
  TestSocket& operator=(TestSocket&&) = delete;
  ~TestSocket() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  [[nodiscard]] bool open() const { return open_; }
  [[nodiscard]] int descriptor() const { return descriptor_; }

  bool send_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  /// Waits until everything sent lies in the peer's receive buffer, or was read from it (TCP).
  void wait_until_arrived() const {
    int unacknowledged = 1;
    while (ioctl(descriptor_, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged > 0)
      std::this_thread::yield();
  }
  /// Up to `n` bytes; fewer only at the end of the stream.
  std::string receive(size_t n) {
    std::string bytes(n, '\0');
    size_t have = 0;
    while (have < n) {
      const ssize_t got = recv(descriptor_, bytes.data() + have, n - have, 0);
      if (got <= 0) break;
      have += static_cast<size_t>(got);
    }
    bytes.resize(have);
    return bytes;
  }
  /// What is there, at least one byte and at most `n`; nothing at the end of the stream.
  std::string receive_some(size_t n) {
    std::string bytes(n, '\0');
    const ssize_t got = recv(descriptor_, bytes.data(), n, 0);
    bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return bytes;
  }
  std::string receive_to_end() {
    std::string all;
    for (std::string some = receive(65'536); !some.empty(); some = receive(65'536))
      all += some;
    return all;
  }
  void end() { shutdown(descriptor_, SHUT_WR); }
  void reset() {
    const linger now{1, 0};
    setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(std::exchange(descriptor_, -1));
  }

 private:
  int descriptor_ = -1;
  bool open_ = false;
};

}  // namespace bobbin::net
