#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/address.h"

namespace bobbin::net {

/// A connection for programs that have one thing to do: every call waits for its result, on the calling
/// thread. For command-line clients and tests, never for a server's thread.
///
/// One thread at a time. After an error other than a bad argument the stream is of no further use.
class BlockingStream {
 public:
  /// Resolves the host and tries its addresses in turn. `timeout` bounds each attempt to connect, and every
  /// later call that has to wait for the peer; zero waits for ever. Resolving a name is not bounded.
  static base::Result<BlockingStream, base::Error> connect(const Address& address,
                                                           std::chrono::milliseconds timeout);
  BlockingStream(BlockingStream&& other) noexcept;
  BlockingStream& operator=(BlockingStream&& other) noexcept;
  ~BlockingStream();

  /// For the calls after this one; zero waits for ever.
  void set_timeout(std::chrono::milliseconds timeout);

  base::Result<void, base::Error> write_all(std::string_view bytes);

  /// Up to "\n", without it and without a "\r" before it. A line of more than `max_bytes` is an error, and so
  /// is the end of the stream.
  base::Result<std::string, base::Error> read_line(size_t max_bytes = 64 << 10);

  /// Fills all of `out`; the end of the stream before that is an error.
  base::Result<void, base::Error> read_exact(std::span<char> out);

  /// At least one byte, at most out.size(); 0 at the end of the stream.
  base::Result<size_t, base::Error> read_some(std::span<char> out);

  /// Waits until there is something to read, or the peer has ended; false when `patience` has passed before
  /// that. The timeout of the other calls does not matter, and the stream stays of use.
  base::Result<bool, base::Error> wait_readable(std::chrono::milliseconds patience);

  /// Whether read_line would find a whole line without waiting.
  [[nodiscard]] bool has_line() const;

  /// No call may follow but the destructor.
  void close();

 private:
  struct State;
  explicit BlockingStream(std::unique_ptr<State> state);
  base::Result<size_t, base::Error> receive(std::span<char> out);
  base::Result<bool, base::Error> fill();

  std::unique_ptr<State> state_;
};

}  // namespace bobbin::net
