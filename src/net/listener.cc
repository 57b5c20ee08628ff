#include "net/listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/asio_io.h"

namespace bobbin::net {
namespace {

using Endpoint = asio::generic::stream_protocol::endpoint;

// Sockets accepted in one tick before the loop's other work has its turn.
constexpr int kAcceptsPerTick = 64;

base::Result<Endpoint, base::Error> resolve(const Address& address, AddressFamily family) {
  if (address.is_unix()) return Endpoint(asio::local::stream_protocol::endpoint(address.unix_path));
  using asio::ip::tcp;
  ErrorCode error;
  asio::io_context here;
  tcp::resolver resolver(here);
  const std::string port = std::to_string(address.port);
  const auto found = family == AddressFamily::any
                         ? resolver.resolve(address.host, port, tcp::resolver::passive, error)
                         : resolver.resolve(family == AddressFamily::v6 ? tcp::v6() : tcp::v4(), address.host,
                                            port, tcp::resolver::passive, error);
  if (error || found.empty()) return base::fail(base::Error{"cannot resolve: " + error.message()});
  return Endpoint(found.begin()->endpoint());
}

// A socket file that nobody answers on is left over from a process that ended without removing it.
bool is_stale(const Endpoint& endpoint) {
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool refused =
      connect(probe, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0 && errno == ECONNREFUSED;
  close(probe);
  return refused;
}

base::Error system_error(const char* what) {
  return {std::string(what) + ": " + std::strerror(errno)};
}

base::Result<int, base::Error> bind_and_listen(const Endpoint& endpoint, const Address& address, int backlog,
                                               unsigned unix_mode) {
  const int family = endpoint.protocol().family();
  const int descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return base::fail(system_error("socket"));
  const auto give_up = [&](const char* what) {
    base::Error error = system_error(what);
    close(descriptor);
    return base::fail(std::move(error));
  };
  const int on = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (address.is_unix()) {
    struct stat existing {};
    if (lstat(address.unix_path.c_str(), &existing) == 0) {
      if (!S_ISSOCK(existing.st_mode)) {
        errno = EEXIST;
        return give_up("a file that is not a socket lies there");
      }
      if (is_stale(endpoint)) unlink(address.unix_path.c_str());
    }
    // The mode has to be right from the moment the file exists.
    fchmod(descriptor, unix_mode);
  }
  if (bind(descriptor, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0) return give_up("bind");
  if (address.is_unix() && chmod(address.unix_path.c_str(), unix_mode) != 0) return give_up("chmod");
  if (::listen(descriptor, backlog) != 0) return give_up("listen");
  return descriptor;
}

asio::ip::tcp::endpoint bound_endpoint(int descriptor) {
  asio::ip::tcp::endpoint endpoint;
  auto length = static_cast<socklen_t>(endpoint.capacity());
  if (getsockname(descriptor, endpoint.data(), &length) == 0) endpoint.resize(length);
  return endpoint;
}

bool out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

BoundSocket::~BoundSocket() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (address_.is_unix()) unlink(address_.unix_path.c_str());
}

struct Listener::Socket {
  asio::posix::basic_stream_descriptor<Executor> descriptor;
};

Listener::Listener(Loop& loop, BoundSocket socket)
    : address_(std::move(socket.address_)),
      text_(address_.text()),
      socket_(std::make_shared<Socket>(Socket{asio::posix::basic_stream_descriptor<Executor>(
          loop.io_->context, std::exchange(socket.descriptor_, -1))})) {}

Listener::~Listener() {
  close();
}

base::Result<BoundSocket, base::Error> BoundSocket::listen(const Address& address, AddressFamily family,
                                                           int backlog, unsigned unix_mode) {
  const auto named = [&](const base::Error& error) {
    return base::fail(base::Error{"cannot listen on " + address.text() + ": " + error.message});
  };
  const auto endpoint = resolve(address, family);
  if (!endpoint) return named(endpoint.error());
  const auto descriptor = bind_and_listen(*endpoint, address, backlog, unix_mode);
  if (!descriptor) return named(descriptor.error());
  Address bound = address;
  if (!address.is_unix()) {
    const auto found = bound_endpoint(*descriptor);
    bound.port = found.port();
    if (family != AddressFamily::any) bound.host = found.address().to_string();
  }
  return BoundSocket(*descriptor, std::move(bound));
}

void Listener::accept(Accepted accepted, std::function<void()> out_of_descriptors) {
  accepted_ = std::move(accepted);
  out_of_descriptors_ = std::move(out_of_descriptors);
  accepting_ = true;
  wait();
}

void Listener::pause() {
  accepting_ = false;
}

void Listener::wait() {
  if (waiting_ || !accepting_ || !socket_->descriptor.is_open()) return;
  waiting_ = true;
  socket_->descriptor.async_wait(asio::posix::descriptor_base::wait_read,
                                 [this, socket = socket_](ErrorCode error) {
                                   // Closed, this listener may be gone.
                                   if (!socket->descriptor.is_open()) return;
                                   waiting_ = false;
                                   if (error || !accepting_) return;
                                   accept_ready();
                                   wait();
                                 });
}

void Listener::accept_ready() {
  for (int i = 0; i < kAcceptsPerTick && accepting_; ++i) {
    accept_calls_.add(1);
    const int descriptor =
        accept4(socket_->descriptor.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      accepted_(descriptor, text_);
      continue;
    }
    if (out_of_resources(errno)) {
      pause();
      out_of_descriptors_();
      return;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    // Anything else is the fault of that one connection (it was reset, or the network refused it).
  }
}

void Listener::turn_away() const {
  shutdown(socket_->descriptor.native_handle(), SHUT_RDWR);
}

void Listener::close() {
  accepting_ = false;
  if (!socket_->descriptor.is_open()) return;
  ErrorCode ignored;
  socket_->descriptor.close(ignored);
  if (address_.is_unix()) unlink(address_.unix_path.c_str());
}

}  // namespace bobbin::net
