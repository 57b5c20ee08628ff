#include "net/blocking_stream.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <optional>
#include <vector>

namespace bobbin::net {

namespace asio = boost::asio;
using boost::system::error_code;
using Protocol = asio::generic::stream_protocol;

struct BlockingStream::State {
  asio::io_context context{1};
  Protocol::socket socket{context};
  std::string peer;
  std::chrono::milliseconds timeout{0};
  std::string unread;    ///< received beyond what was asked for
  size_t unread_at = 0;  ///< the part of it that was handed out
  bool ended = false;    ///< the peer's end was seen: the kernel would not tell it twice

  struct Outcome {
    error_code error;
    size_t bytes = 0;
  };

  /// Runs one asynchronous operation to its end: `start` is given the handler for it. An operation that
  /// outlasts the timeout is cut off by closing the socket.
  template <typename Start>
  Outcome run(Start start) {
    std::optional<Outcome> outcome;
    start([&outcome](error_code error, size_t bytes) { outcome = Outcome{error, bytes}; });
    context.restart();
    if (timeout.count() == 0) {
      context.run();
    } else {
      context.run_for(timeout);
    }
    if (outcome) return *outcome;
    error_code ignored;
    socket.close(ignored);
    context.restart();
    context.run();
    return Outcome{make_error_code(asio::error::timed_out), 0};
  }

  base::Error error(const char* doing, error_code code) const {
    if (code == asio::error::timed_out) {
      return {peer + ": no answer within " + std::to_string(timeout.count()) + " ms"};
    }
    if (code == asio::error::eof) return {peer + ": the server closed the connection"};
    return {peer + ": " + doing + ": " + code.message()};
  }
};

namespace {

/// The addresses that a name stands for, in the order in which they are to be tried.
base::Result<std::vector<Protocol::endpoint>, base::Error> resolve(asio::io_context& context,
                                                                   const Address& address) {
  std::vector<Protocol::endpoint> endpoints;
  if (address.is_unix()) {
    endpoints.emplace_back(asio::local::stream_protocol::endpoint(address.unix_path));
    return endpoints;
  }
  asio::ip::tcp::resolver resolver(context);
  error_code error;
  const auto found = resolver.resolve(address.host, std::to_string(address.port), error);
  if (error) return base::fail(base::Error{address.text() + ": " + error.message()});
  for (const auto& entry : found)
    endpoints.emplace_back(entry.endpoint());
  return endpoints;
}

}  // namespace

BlockingStream::BlockingStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
BlockingStream::BlockingStream(BlockingStream&& other) noexcept = default;
BlockingStream& BlockingStream::operator=(BlockingStream&& other) noexcept = default;
BlockingStream::~BlockingStream() = default;

base::Result<BlockingStream, base::Error> BlockingStream::connect(const Address& address,
                                                                  std::chrono::milliseconds timeout) {
  auto state = std::make_unique<State>();
  state->peer = address.text();
  state->timeout = timeout;
  const auto endpoints = resolve(state->context, address);
  if (!endpoints) return base::fail(endpoints.error());
  error_code last = asio::error::host_not_found;
  for (const Protocol::endpoint& endpoint : *endpoints) {
    error_code ignored;
    state->socket.close(ignored);
    last = state
               ->run([&](auto done) {
                 state->socket.async_connect(endpoint, [done](error_code error) mutable { done(error, 0); });
               })
               .error;
    if (last) continue;
    // Fails on a Unix socket, where there is nothing to delay.
    state->socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    return BlockingStream(std::move(state));
  }
  return base::fail(state->error("cannot connect", last));
}

void BlockingStream::set_timeout(std::chrono::milliseconds timeout) {
  state_->timeout = timeout;
}

base::Result<void, base::Error> BlockingStream::write_all(std::string_view bytes) {
  const auto outcome = state_->run(
      [&](auto done) { asio::async_write(state_->socket, asio::buffer(bytes.data(), bytes.size()), done); });
  if (outcome.error) return base::fail(state_->error("cannot send", outcome.error));
  return {};
}

/// Straight from the socket; 0 at the end of the stream.
base::Result<size_t, base::Error> BlockingStream::receive(std::span<char> out) {
  if (state_->ended) return 0;
  const auto outcome = state_->run(
      [&](auto done) { state_->socket.async_read_some(asio::buffer(out.data(), out.size()), done); });
  if (outcome.error == asio::error::eof) {
    state_->ended = true;
    return 0;
  }
  if (outcome.error) return base::fail(state_->error("cannot receive", outcome.error));
  return outcome.bytes;
}

/// Receives more behind what is unread; false at the end of the stream.
base::Result<bool, base::Error> BlockingStream::fill() {
  state_->unread.erase(0, std::exchange(state_->unread_at, 0));
  std::array<char, 16 << 10> chunk;
  const auto received = receive(chunk);
  if (!received) return base::fail(received.error());
  state_->unread.append(chunk.data(), *received);
  return *received > 0;
}

bool BlockingStream::has_line() const {
  return state_->unread.find('\n', state_->unread_at) != std::string::npos;
}

base::Result<std::string, base::Error> BlockingStream::read_line(size_t max_bytes) {
  const auto too_long = [&] {
    return base::fail(
        base::Error{state_->peer + ": sent a line of more than " + std::to_string(max_bytes) + " bytes"});
  };
  size_t searched = 0;
  for (;;) {
    const size_t end = state_->unread.find('\n', state_->unread_at + searched);
    if (end != std::string::npos) {
      std::string line = state_->unread.substr(state_->unread_at, end - state_->unread_at);
      state_->unread_at = end + 1;
      if (line.ends_with('\r')) line.pop_back();
      if (line.size() > max_bytes) return too_long();
      return line;
    }
    searched = state_->unread.size() - state_->unread_at;
    if (searched > max_bytes + 1) return too_long();
    const auto more = fill();
    if (!more) return base::fail(more.error());
    if (!*more) return base::fail(state_->error("", asio::error::eof));
  }
}

base::Result<size_t, base::Error> BlockingStream::read_some(std::span<char> out) {
  const size_t unread = state_->unread.size() - state_->unread_at;
  if (unread == 0) return receive(out);
  const size_t n = std::min(unread, out.size());
  std::memcpy(out.data(), state_->unread.data() + state_->unread_at, n);
  state_->unread_at += n;
  return n;
}

base::Result<void, base::Error> BlockingStream::read_exact(std::span<char> out) {
  while (!out.empty()) {
    const auto n = read_some(out);
    if (!n) return base::fail(n.error());
    if (*n == 0) return base::fail(state_->error("", asio::error::eof));
    out = out.subspan(*n);
  }
  return {};
}

base::Result<bool, base::Error> BlockingStream::wait_readable(std::chrono::milliseconds patience) {
  if (state_->unread.size() > state_->unread_at || state_->ended) return true;
  std::optional<error_code> outcome;
  state_->socket.async_wait(Protocol::socket::wait_read, [&outcome](error_code error) { outcome = error; });
  state_->context.restart();
  state_->context.run_for(patience);
  if (!outcome) {
    error_code ignored;
    state_->socket.cancel(ignored);
    state_->context.restart();
    state_->context.run();
    // It may have become readable just then.
    return outcome && !*outcome;
  }
  if (*outcome) return base::fail(state_->error("cannot receive", *outcome));
  return true;
}

void BlockingStream::close() {
  error_code ignored;
  state_->socket.close(ignored);
}

}  // namespace bobbin::net
