#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
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
  /// Where peers speak TLS; none without `tls`, which may be loaded anew, and changed, at any time.
  std::vector<Address> tls_listen;
  std::shared_ptr<TlsContext> tls;
  size_t threads = 1;  ///< loops, each with its own thread; at least 1
  unsigned unix_mode = 0700;
  Limits limits;
};

/// Where a front end listens.
struct ListenerStatus {
  uint64_t id = 0;  ///< this front end's, never used again
  Address address;
  bool speaks_tls = false;
  std::string tag = {};  ///< whatever who asked for it calls it
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

  static constexpr size_t kMaxListeners = 64;
  /// Listens on one more address, from now on: who has connected when this returns is accepted, if there is
  /// room. Resolves names, so not from a loop's thread.
  base::Result<ListenerStatus, base::Error> add_listener(const Address& address, AddressFamily family,
                                                         bool speaks_tls, std::string tag) EXCLUDES(mutex_);
  enum class Removal : uint8_t { done, unknown, last };
  /// Nobody connects there from now on; connections stay. The last one is not removed. Any thread.
  Removal remove_listener(uint64_t id) EXCLUDES(mutex_);

  // Any thread:
  [[nodiscard]] std::vector<ListenerStatus> listeners() const EXCLUDES(mutex_);
  [[nodiscard]] std::vector<Address> addresses() const;
  [[nodiscard]] std::vector<Address> tls_addresses() const;
  /// What TLS listeners go by. Null: who connects there is let go.
  [[nodiscard]] std::shared_ptr<TlsContext> tls() const EXCLUDES(mutex_);
  /// Where there was none. False: there is one, to be changed.
  bool set_tls(std::shared_ptr<TlsContext> tls) EXCLUDES(mutex_);
  [[nodiscard]] const std::vector<std::unique_ptr<Loop>>& loops() const noexcept { return loops_; }
  [[nodiscard]] const ListenerCounters& listener_counters() const noexcept { return listener_counters_; }
  [[nodiscard]] const Limits& limits() const noexcept { return limits_; }
  [[nodiscard]] size_t connection_count() const noexcept;
  /// How often accept was called, with whatever result.
  [[nodiscard]] uint64_t accept_calls() const EXCLUDES(mutex_);

 private:
  FrontEnd(const FrontEndOptions& options, MakeReceiver make_receiver);

  struct Entry {
    ListenerStatus status;
    std::shared_ptr<Listener> listener;  // null until loop 0 has made it
  };

  // Loop 0's thread only.
  void start_accepting() EXCLUDES(mutex_);
  void accept_on(const Entry& entry);
  void begin_listener(uint64_t id, BoundSocket& socket) EXCLUDES(mutex_);
  void pause_accepting(bool out_of_descriptors) EXCLUDES(mutex_);
  void accepted(int descriptor, const std::string& local, bool speaks_tls);
  void resume_if_room();

  /// Ends accepting for good; blocks until that is done. From another thread.
  void close_listeners() EXCLUDES(mutex_);
  base::Result<void, base::Error> listen(const FrontEndOptions& options) EXCLUDES(mutex_);
  [[nodiscard]] std::vector<Entry> made_listeners() const EXCLUDES(mutex_);
  [[nodiscard]] std::vector<Address> addresses_that(bool speak_tls) const EXCLUDES(mutex_);

  const Limits limits_;
  const MakeReceiver make_receiver_;
  std::vector<std::unique_ptr<Loop>> loops_;
  mutable base::Mutex mutex_;
  std::shared_ptr<TlsContext> tls_ GUARDED_BY(mutex_);  // once there, the same for as long as the loops
  std::vector<Entry> listeners_ GUARDED_BY(mutex_);
  uint64_t last_listener_id_ GUARDED_BY(mutex_) = 0;
  uint64_t past_accept_calls_ GUARDED_BY(mutex_) = 0;  // of listeners that were removed
  bool closed_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
  ListenerCounters listener_counters_;

  // Loop 0's thread only.
  bool accepting_ = false;
  bool closed_for_good_ = false;
  std::chrono::steady_clock::time_point paused_since_;
};

}  // namespace bobbin::net
