#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "net/counters.h"
#include "net/limits.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/tls.h"

namespace bobbin::net {

struct FrontEndOptions {
  std::vector<Address> listen;  ///< at least one, or one of the next
  /// Where peers speak TLS; none without `tls`, which may be loaded anew at any time.
  std::vector<Address> tls_listen;
  std::shared_ptr<const TlsContext> tls;
  size_t threads = 1;  ///< loops, each with its own thread; at least 1
  unsigned unix_mode = 0700;
  Limits limits;
};

/// The loops with their threads, the listeners, and the rule that spreads connections over the loops. Loop 0
/// accepts; a new connection goes to the loop with the fewest, and stays there.
class FrontEnd {
 public:
  /// Called for each new connection, on its own loop, with that loop's index.
  using MakeReceiver = std::function<std::unique_ptr<Receiver>(size_t loop)>;

  /// Listens; nothing is accepted before run(). Fails if an address cannot be used, naming it.
  static base::Result<std::unique_ptr<FrontEnd>, base::Error> open(const FrontEndOptions& options,
                                                                   MakeReceiver make_receiver);
  /// Starts the threads. Once.
  void run();
  /// open() and run().
  static base::Result<std::unique_ptr<FrontEnd>, base::Error> start(const FrontEndOptions& options,
                                                                    MakeReceiver make_receiver);
  /// Stops without draining, if still running, and joins the threads. Every producer must have ended.
  ~FrontEnd();
  FrontEnd(const FrontEnd&) = delete;
  FrontEnd& operator=(const FrontEnd&) = delete;

  /// Stops accepting, answers what has arrived, closes every connection; blocks until that is done, at most
  /// limits.drain_timeout. Not from a loop's thread; once.
  void drain();
  /// Closes everything now and joins the threads. Not from a loop's thread.
  void stop();

  // Any thread:
  [[nodiscard]] std::vector<Address> addresses() const;
  [[nodiscard]] std::vector<Address> tls_addresses() const;
  [[nodiscard]] const std::vector<std::unique_ptr<Loop>>& loops() const noexcept { return loops_; }
  [[nodiscard]] const ListenerCounters& listener_counters() const noexcept { return listener_counters_; }
  [[nodiscard]] const Limits& limits() const noexcept { return limits_; }
  [[nodiscard]] size_t connection_count() const noexcept;
  /// How often accept was called, with whatever result.
  [[nodiscard]] uint64_t accept_calls() const noexcept;

 private:
  FrontEnd(const FrontEndOptions& options, MakeReceiver make_receiver);

  // Loop 0's thread only.
  void start_accepting();
  void pause_accepting(bool out_of_descriptors);
  void accepted(int descriptor, const std::string& local, bool speaks_tls);
  void resume_if_room();

  /// Ends accepting for good; blocks until that is done. From another thread.
  void close_listeners();

  const Limits limits_;
  const MakeReceiver make_receiver_;
  const std::shared_ptr<const TlsContext> tls_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  size_t plain_listeners_ = 0;  // those are first, those for TLS follow
  std::vector<std::thread> threads_;
  ListenerCounters listener_counters_;

  // Loop 0's thread only.
  bool accepting_ = false;
  bool closed_for_good_ = false;
  std::chrono::steady_clock::time_point paused_since_;
};

}  // namespace bobbin::net
