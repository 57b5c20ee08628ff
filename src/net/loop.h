#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "net/address.h"
#include "net/connection.h"
#include "net/counters.h"
#include "net/giving_way.h"
#include "net/limits.h"

namespace bobbin::net {

class SocketConnection;
class TlsClientContext;
class TlsContext;

/// A single-threaded event loop and the connections it owns, for life.
///
/// run() is called by one thread, which becomes the owner; all but the functions marked "any thread" are for
/// that thread, and assert it in debug builds.
class Loop {
 public:
  explicit Loop(const Limits& limits);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Handles events until stop(); then closes every connection and returns.
  void run();
  /// Any thread.
  void stop();
  /// Runs `task` on the loop's thread, in a later tick. Any thread; never blocks.
  void post(std::function<void()> task);
  /// Runs `task` on the loop's thread after `delay`, unless the loop has stopped by then.
  void post_after(std::chrono::milliseconds delay, std::function<void()> task);
  /// True on the thread inside run(). Any thread.
  [[nodiscard]] bool in_loop_thread() const noexcept;

  /// Makes a connection of a connected, non-blocking stream socket, and owns it. `descriptor` is closed with
  /// it, also on failure. With `tls`, which outlives the loop, the peer has to begin with a handshake.
  void adopt(int descriptor, std::string local, std::unique_ptr<Receiver> receiver,
             const TlsContext* tls = nullptr);
  /// Connects to `address` without blocking, then as adopt(); `failed` is called if that is not possible.
  /// With `tls`, which outlives the loop, the connection begins with a handshake, and that one failed counts
  /// as well.
  void dial(const Address& address, std::unique_ptr<Receiver> receiver,
            std::function<void(base::Error)> failed, const TlsClientContext* tls = nullptr);

  /// Answers what has arrived on every connection by now, sends it, and closes them; those whose peers do not
  /// take it are closed after limits().drain_timeout. `done` is called when none is left.
  void drain(std::function<void()> done);

  /// What every connection is doing. Any thread; O(connections), taken under a lock that only opening and
  /// closing a connection share.
  [[nodiscard]] std::vector<ConnectionStatus> connections() const;
  /// Connections owned or about to be adopted. Any thread.
  [[nodiscard]] size_t connection_count() const noexcept { return count_.load(); }
  /// Counts a connection that is on its way to adopt(). Any thread.
  void expect_connection() noexcept { count_.fetch_add(1); }
  /// Called, on this loop, after each connection that closed.
  void on_connection_closed(std::function<void()> callback) { closed_callback_ = std::move(callback); }

  [[nodiscard]] const Limits& limits() const noexcept { return limits_; }
  [[nodiscard]] const LoopCounters& counters() const noexcept { return counters_; }

  struct Io;  ///< Asio's context; net/asio_io.h

 private:
  friend class Connection;
  friend class SocketConnection;
  friend class Listener;
  friend class Spool;
  friend class TlsStream;

  void assert_owner() const noexcept;
  /// Puts a spool on the list of those to drain and wakes the loop if the list was empty. Any thread.
  void signal(std::shared_ptr<SpoolState> spool);
  void drain_spools();
  void drain_some_spools();
  /// Calls the connection's flush_now() when what is ready in this tick has been handled.
  void flush_at_end_of_tick(SocketConnection& connection);
  void flush_due();
  /// An empty output, with memory from the last time it was lent if there is one.
  [[nodiscard]] std::unique_ptr<Output> lend_output();
  void take_back_output(std::unique_ptr<Output> output);
  void own(std::unique_ptr<Connection> connection);
  /// Makes a connection of the socket, and owns it; null if that is not possible, with everything undone.
  SocketConnection* make_connection(int descriptor, std::string local);
  void end_if_ending(SocketConnection& started);
  /// The connection has closed and nothing refers to it any more: destroys it.
  void disown(uint64_t id);
  /// Starts the once-a-second look for idle and stalled peers, if limits ask for it.
  void need_sweep();
  void sweep();
  void finish_drain_if_empty();

  const Limits limits_;
  std::unique_ptr<Io> io_;
  std::atomic<std::thread::id> owner_;
  std::atomic<size_t> count_{0};
  LoopCounters counters_;

  // The loop's thread only.
  Output shared_output_;                                // lent to the connection being handled
  std::vector<std::unique_ptr<Output>> spare_outputs_;  // at most kSpareOutputs
  GivingWay giving_way_;
  std::vector<SocketConnection*> flush_due_;  // each counts this as one of its operations
  std::unique_ptr<char[]> scratch_;           // kScratchBytes + kReadBufferBytes
  bool sweeping_ = false;
  bool draining_ = false;
  bool stopping_ = false;
  std::function<void()> drained_;
  std::function<void()> closed_callback_;
  std::vector<std::shared_ptr<SpoolState>> draining_spools_;  // those before next_spool_ are done
  size_t next_spool_ = 0;
  bool more_spools_posted_ = false;

  // Changed by the loop's thread under the lock, read by the loop's thread without and by others with it.
  mutable base::Mutex connections_mutex_;
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;

  base::Mutex ready_mutex_;
  std::vector<std::shared_ptr<SpoolState>> ready_spools_ GUARDED_BY(ready_mutex_);
};

}  // namespace bobbin::net
