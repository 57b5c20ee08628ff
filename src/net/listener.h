#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "net/address.h"
#include "net/counters.h"

namespace bobbin::net {

class Loop;

/// A socket that listens, and that no loop has yet: who connects waits in the kernel. Closed with this.
class BoundSocket {
 public:
  /// Binds and listens. TCP: of a name, the first address of that family; IPv6 addresses are IPv6 only, so
  /// that both families can have the same port. Unix: a stale socket file is replaced, a live one is an
  /// error; `unix_mode` is its mode. Any thread; resolving a name may take its time.
  static base::Result<BoundSocket, base::Error> listen(const Address& address, AddressFamily family,
                                                       int backlog, unsigned unix_mode);
  BoundSocket(BoundSocket&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), address_(std::move(other.address_)) {}
  BoundSocket(const BoundSocket&) = delete;
  BoundSocket& operator=(const BoundSocket&) = delete;
  BoundSocket& operator=(BoundSocket&&) = delete;
  ~BoundSocket();

  /// With the port that the kernel chose, and, of a family that was asked for, the address that was found.
  [[nodiscard]] const Address& address() const noexcept { return address_; }

 private:
  friend class Listener;
  BoundSocket(int descriptor, Address address) : descriptor_(descriptor), address_(std::move(address)) {}

  int descriptor_;
  Address address_;
};

/// A listening socket on one loop. It accepts until it is paused, and hands each new descriptor, with the
/// text of the address it was accepted on, to a callback. Only that loop's thread may call it.
class Listener {
 public:
  using Accepted = std::function<void(int descriptor, const std::string& local)>;

  /// Not accepting yet.
  Listener(Loop& loop, BoundSocket socket);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Starts or resumes. `out_of_descriptors` is called, once, when accepting failed for want of a descriptor
  /// or of kernel memory; the listener has paused itself then.
  void accept(Accepted accepted, std::function<void()> out_of_descriptors);
  void pause();
  /// Stops listening for good and removes a Unix socket's file.
  void close();
  /// Nobody connects any more. Any thread, before close().
  void turn_away() const;

  /// Where it listens, with the port that the kernel chose. Any thread.
  [[nodiscard]] const Address& address() const noexcept { return address_; }
  /// How often accept was called, with whatever result. Any thread.
  [[nodiscard]] uint64_t accept_calls() const noexcept { return accept_calls_.get(); }

 private:
  struct Socket;
  void wait();
  void accept_ready();

  const Address address_;
  const std::string text_;
  // Kept by a wait that is under way, which this may not outlive.
  std::shared_ptr<Socket> socket_;
  Accepted accepted_;
  std::function<void()> out_of_descriptors_;
  OwnedCounter accept_calls_;
  bool accepting_ = false;
  bool waiting_ = false;
};

}  // namespace bobbin::net
