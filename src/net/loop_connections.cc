// How sockets become connections of a loop.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "net/asio_io.h"
#include "net/socket_connection.h"

namespace bobbin::net {
namespace {

uint64_t next_connection_id() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

std::string peer_text(const StreamSocket& socket) {
  ErrorCode error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return "unknown";
  const int family = endpoint.protocol().family();
  if (family == AF_UNIX) return "unix";
  asio::ip::tcp::endpoint tcp;
  if (endpoint.size() > tcp.capacity()) return "unknown";
  std::memcpy(tcp.data(), endpoint.data(), endpoint.size());
  tcp.resize(endpoint.size());
  const std::string port = std::to_string(tcp.port());
  return family == AF_INET6 ? "tcp6:[" + tcp.address().to_string() + "]:" + port
                            : "tcp:" + tcp.address().to_string() + ":" + port;
}

constexpr std::chrono::seconds kMaxTimePerAddress{3};

/// A connection that is being made: a name may stand for several addresses.
struct Dialling {
  explicit Dialling(asio::io_context& context) : resolver(context), socket(context), timer(context) {}

  std::vector<asio::generic::stream_protocol::endpoint> endpoints;
  size_t next = 0;
  asio::ip::tcp::resolver resolver;
  StreamSocket socket;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                             Executor>
      timer;
  // One of them is called, once.
  std::function<void(int descriptor)> connected;
  std::function<void(const ErrorCode&)> refused;
};

// The kernel waits two minutes for an address that does not answer. Behind it there may be one that does.
void hurry(const std::shared_ptr<Dialling>& dialling) {
  if (dialling->next == dialling->endpoints.size()) return;
  dialling->timer.expires_after(kMaxTimePerAddress);
  dialling->timer.async_wait([weak = std::weak_ptr(dialling), at = dialling->next](const ErrorCode& error) {
    const auto late = weak.lock();
    ErrorCode ignored;
    if (!error && late != nullptr && late->next == at) late->socket.cancel(ignored);
  });
}

// The first that answers is taken. `error` is what kept the one before from it.
void try_next(std::shared_ptr<Dialling> dialling, ErrorCode error) {
  Dialling& dial = *dialling;
  while (dial.next != dial.endpoints.size()) {
    const auto& endpoint = dial.endpoints[dial.next++];
    dial.socket.close(error);
    dial.socket.open(endpoint.protocol(), error);
    if (error) continue;
    hurry(dialling);
    dial.socket.async_connect(endpoint, [dialling = std::move(dialling)](const ErrorCode& result) mutable {
      dialling->timer.cancel();
      if (result) return try_next(std::move(dialling), result);
      ErrorCode released;
      const int descriptor = dialling->socket.release(released);
      if (released) return dialling->refused(released);
      dialling->connected(descriptor);
    });
    return;
  }
  dial.refused(error);
}

// A name server may take half a minute to say nothing: asked by a thread of Asio's, so that the loop can end.
void resolve(std::shared_ptr<Dialling> dialling, const Address& address) {
  auto& resolver = dialling->resolver;
  resolver.async_resolve(
      address.host, std::to_string(address.port),
      [dialling = std::move(dialling)](const ErrorCode& error,
                                       const asio::ip::tcp::resolver::results_type& found) mutable {
        if (error) return dialling->refused(error);
        for (const auto& entry : found)
          dialling->endpoints.emplace_back(entry.endpoint());
        try_next(std::move(dialling), asio::error::host_not_found);
      });
}

}  // namespace

SocketConnection* Loop::make_connection(int descriptor, std::string local) {
  assert_owner();
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  const bool known = getsockname(descriptor, reinterpret_cast<sockaddr*>(&name), &length) == 0;
  const int family = known ? name.ss_family : AF_INET;
  if (family != AF_UNIX) {
    const int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  StreamSocket socket(io_->context);
  ErrorCode error;
  socket.assign(asio::generic::stream_protocol(family, 0), descriptor, error);
  if (!error) socket.non_blocking(true, error);
  if (error) {
    if (!socket.is_open()) close(descriptor);
    count_.fetch_sub(1);
    if (closed_callback_) closed_callback_();
    return nullptr;
  }
  std::string peer = peer_text(socket);
  auto connection = std::make_unique<SocketConnection>(*this, next_connection_id(), std::move(socket),
                                                       std::move(peer), std::move(local));
  SocketConnection* const made = connection.get();
  own(std::move(connection));
  return made;
}

void Loop::adopt(int descriptor, std::string local, std::unique_ptr<Receiver> receiver,
                 const TlsContext* tls) {
  SocketConnection* const connection = make_connection(descriptor, std::move(local));
  if (connection == nullptr) return;
  if (tls == nullptr) {
    connection->start(std::move(receiver));
  } else {
    connection->start_handshake(*tls, std::move(receiver));
  }
  end_if_ending(*connection);
}

// What is started while the loop ends is ended as the others were.
void Loop::end_if_ending(SocketConnection& started) {
  if (stopping_) {
    started.close_now(CloseReason::shutdown);
  } else if (draining_) {
    started.drain();
  }
}

void Loop::dial(const Address& address, std::unique_ptr<Receiver> receiver,
                std::function<void(base::Error)> failed, const TlsClientContext* tls) {
  assert_owner();
  expect_connection();
  const auto tell = [failed = std::move(failed), text = address.text()](const base::Error& error) {
    failed({text + ": " + error.message});
  };
  auto dialling = std::make_shared<Dialling>(io_->context);
  dialling->refused = [this, tell](const ErrorCode& error) {
    count_.fetch_sub(1);
    tell({error.message()});
  };
  // A function is to be copied, and a receiver cannot be: it is this once.
  auto kept = std::make_shared<std::unique_ptr<Receiver>>(std::move(receiver));
  dialling->connected = [this, tell, tls, host = address.host, kept = std::move(kept)](int descriptor) {
    if (tls == nullptr) return adopt(descriptor, {}, std::move(*kept));
    SocketConnection* const connection = make_connection(descriptor, {});
    if (connection == nullptr) return tell({"the socket cannot be used"});
    connection->start_handshake(*tls, {host, tell}, std::move(*kept));
    end_if_ending(*connection);
  };
  ErrorCode is_name;
  const auto number = asio::ip::make_address(address.host, is_name);
  if (address.is_unix()) {
    dialling->endpoints.emplace_back(asio::local::stream_protocol::endpoint(address.unix_path));
  } else if (!is_name) {
    dialling->endpoints.emplace_back(asio::ip::tcp::endpoint(number, address.port));
  } else {
    return resolve(std::move(dialling), address);
  }
  try_next(std::move(dialling), asio::error::host_not_found);
}

}  // namespace bobbin::net
