#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/address.h"
#include "net/counters.h"

namespace bobbin::net {

class Loop;

/// A listening socket on one loop. It accepts until it is paused, and hands each new descriptor, with the
/// text of the address it was accepted on, to a callback. Only that loop's thread may call it.
class Listener {
 public:
  using Accepted = std::function<void(int descriptor, const std::string& local)>;

  /// Binds and listens, not accepting yet. TCP: IPv6 addresses are IPv6 only, so that both families can have
  /// the same port. Unix: a stale socket file is replaced, a live one is an error; `unix_mode` is its mode.
  static base::Result<std::unique_ptr<Listener>, base::Error> open(Loop& loop, const Address& address,
                                                                   int backlog, unsigned unix_mode);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Starts or resumes. `out_of_descriptors` is called, once, when accepting failed for want of a descriptor
  /// or of kernel memory; the listener has paused itself then.
  void accept(Accepted accepted, std::function<void()> out_of_descriptors);
  void pause();
  /// Stops listening for good and removes a Unix socket's file.
  void close();

  /// Where it listens, with the port that the kernel chose. Any thread.
  [[nodiscard]] const Address& address() const noexcept { return address_; }
  /// How often accept was called, with whatever result. Any thread.
  [[nodiscard]] uint64_t accept_calls() const noexcept { return accept_calls_.get(); }

 private:
  struct Socket;
  Listener(Loop& loop, Address address, std::unique_ptr<Socket> socket);
  void wait();
  void accept_ready();

  Loop& loop_;
  Address address_;
  std::string text_;
  std::unique_ptr<Socket> socket_;
  Accepted accepted_;
  std::function<void()> out_of_descriptors_;
  OwnedCounter accept_calls_;
  bool accepting_ = false;
  bool waiting_ = false;
};

}  // namespace bobbin::net
