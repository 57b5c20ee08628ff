#include "net/loop.h"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cassert>
#include <iterator>
#include <utility>

#include "base/thread_name.h"
#include "net/asio_io.h"
#include "net/socket_connection.h"

namespace bobbin::net {

Loop::Loop(const Limits& limits)
    : limits_(limits),
      io_(std::make_unique<Io>()),
      scratch_(std::make_unique_for_overwrite<char[]>(kReadBufferBytes + kScratchBytes)) {}

Loop::~Loop() = default;

void Loop::run() {
  owner_ = std::this_thread::get_id();
  base::name_thread("loop");
  io_->context.run();
}

void Loop::stop() {
  post([this] {
    stopping_ = true;
    for (const auto& [id, connection] : connections_)
      connection->close_now(CloseReason::shutdown);
    if (connections_.empty()) io_->context.stop();
  });
}

void Loop::post(std::function<void()> task) {
  asio::post(io_->context, std::move(task));
}

void Loop::post_after(std::chrono::milliseconds delay, std::function<void()> task) {
  assert_owner();
  auto timer =
      std::make_unique<asio::basic_waitable_timer<std::chrono::steady_clock,
                                                  asio::wait_traits<std::chrono::steady_clock>, Executor>>(
          io_->context, delay);
  auto& armed = *timer;
  armed.async_wait([timer = std::move(timer), task = std::move(task)](ErrorCode error) {
    if (!error) task();
  });
}

bool Loop::in_loop_thread() const noexcept {
  return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

void Loop::assert_owner() const noexcept {
  // Before run() the thread that builds the loop may set it up.
  assert(in_loop_thread() || owner_.load(std::memory_order_relaxed) == std::thread::id());
}

void Loop::own(std::unique_ptr<Connection> connection) {
  assert_owner();
  const uint64_t id = connection->id();
  const base::MutexLock lock(connections_mutex_);
  connections_.emplace(id, std::move(connection));
}

void Loop::disown(uint64_t id) {
  assert_owner();
  std::unique_ptr<Connection> gone;
  {
    const base::MutexLock lock(connections_mutex_);
    auto found = connections_.find(id);
    assert(found != connections_.end());
    gone = std::move(found->second);
    connections_.erase(found);
  }
  gone.reset();
  count_.fetch_sub(1);
  counters_.connections_closed.add(1);
  if (closed_callback_) closed_callback_();
  if (connections_.empty() && stopping_) io_->context.stop();
  finish_drain_if_empty();
}

std::vector<ConnectionStatus> Loop::connections() const {
  std::vector<ConnectionStatus> all;
  const base::MutexLock lock(connections_mutex_);
  all.reserve(connections_.size());
  for (const auto& [id, connection] : connections_)
    all.push_back(connection->status());
  return all;
}

void Loop::drain(std::function<void()> done) {
  assert_owner();
  draining_ = true;
  drained_ = std::move(done);
  for (const auto& [id, connection] : connections_)
    static_cast<SocketConnection&>(*connection).drain();
  post_after(limits_.drain_timeout, [this] {
    for (const auto& [id, connection] : connections_)
      connection->close_now(CloseReason::shutdown);
  });
  finish_drain_if_empty();
}

void Loop::finish_drain_if_empty() {
  if (draining_ && connections_.empty() && drained_) std::exchange(drained_, nullptr)();
}

void Loop::signal(std::shared_ptr<SpoolState> spool) {
  bool wake = false;
  {
    const base::MutexLock lock(ready_mutex_);
    wake = ready_spools_.empty();
    ready_spools_.push_back(std::move(spool));
  }
  if (wake) asio::post(io_->context, [this] { drain_spools(); });
}

void Loop::drain_spools() {
  assert_owner();
  counters_.spool_wakes.add(1);
  draining_spools_.erase(draining_spools_.begin(),
                         draining_spools_.begin() + static_cast<ptrdiff_t>(std::exchange(next_spool_, 0)));
  {
    const base::MutexLock lock(ready_mutex_);
    if (draining_spools_.empty()) {
      draining_spools_.swap(ready_spools_);
    } else {
      draining_spools_.insert(draining_spools_.end(), std::make_move_iterator(ready_spools_.begin()),
                              std::make_move_iterator(ready_spools_.end()));
      ready_spools_.clear();
    }
  }
  drain_some_spools();
}

// One event may go to thousands of connections: the requests of others are answered in between.
void Loop::drain_some_spools() {
  for (size_t n = 0; n < kSpoolsPerTick && next_spool_ < draining_spools_.size(); ++n) {
    const auto spool = std::move(draining_spools_[next_spool_++]);
    if (Connection* connection = spool->owner()) static_cast<SocketConnection*>(connection)->drain_spool();
  }
  if (next_spool_ == draining_spools_.size()) {
    draining_spools_.clear();
    next_spool_ = 0;
  } else if (!std::exchange(more_spools_posted_, true)) {
    asio::post(io_->context, [this] {
      more_spools_posted_ = false;
      drain_some_spools();
    });
  }
}

void Loop::flush_at_end_of_tick(SocketConnection& connection) {
  // Behind the handlers of everything that is ready now.
  if (flush_due_.empty()) {
    asio::post(io_->context, [this] {
      flush_due();
      giving_way_.give_way();
    });
  }
  flush_due_.push_back(&connection);
  // No more at once than there are outputs to lend: it bounds what waits, and for how long.
  if (flush_due_.size() >= kSpareOutputs) flush_due();
}

void Loop::flush_due() {
  // Nothing that is called here adds to the list but through a handler of its own.
  std::vector<SocketConnection*> due;
  due.swap(flush_due_);
  for (SocketConnection* connection : due)
    connection->flush_now();
  // Those that closed meanwhile are destroyed in a later tick.
  for (SocketConnection* connection : due)
    connection->read_on();
  due.clear();
  if (flush_due_.empty()) flush_due_.swap(due);  // keeps its memory
}

std::unique_ptr<Output> Loop::lend_output() {
  if (spare_outputs_.empty()) return std::make_unique<Output>();
  auto output = std::move(spare_outputs_.back());
  spare_outputs_.pop_back();
  return output;
}

void Loop::take_back_output(std::unique_ptr<Output> output) {
  output->clear();
  if (spare_outputs_.size() < kSpareOutputs && output->held_bytes() <= kMaxSpareOutputBytes) {
    spare_outputs_.push_back(std::move(output));
  }
}

void Loop::need_sweep() {
  if (sweeping_) return;
  const auto limit = [](std::chrono::milliseconds a, std::chrono::milliseconds b) {
    return a.count() == 0 ? b : (b.count() == 0 ? a : std::min(a, b));
  };
  const auto shortest =
      limit(limit(limit(limits_.idle_timeout, limits_.expect_timeout), limits_.handshake_timeout),
            limit(limits_.stall_timeout, SocketConnection::kLingerTimeout));
  sweeping_ = true;
  post_after(std::clamp(shortest / 4, std::chrono::milliseconds(5), std::chrono::milliseconds(1000)),
             [this] { sweep(); });
}

void Loop::sweep() {
  sweeping_ = false;
  bool again = false;
  for (const auto& [id, connection] : connections_) {
    again |= static_cast<SocketConnection&>(*connection).sweep();
  }
  if (again) need_sweep();
}

}  // namespace bobbin::net
