#include "net/front_end.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <future>
#include <iterator>
#include <utility>

namespace bobbin::net {
namespace {

// When descriptors ran out, another process may have to give some back: look again after this.
constexpr std::chrono::milliseconds kDescriptorRetry{100};

}  // namespace

FrontEnd::FrontEnd(const FrontEndOptions& options, MakeReceiver make_receiver)
    : limits_(options.limits), make_receiver_(std::move(make_receiver)) {
  for (size_t i = 0; i < std::max<size_t>(options.threads, 1); ++i) {
    loops_.push_back(std::make_unique<Loop>(limits_));
  }
}

base::Result<std::unique_ptr<FrontEnd>, base::Error> FrontEnd::open(const FrontEndOptions& options,
                                                                    MakeReceiver make_receiver) {
  assert(!options.listen.empty() || !options.tls_listen.empty());
  assert(options.tls != nullptr || options.tls_listen.empty());
  std::unique_ptr<FrontEnd> front(new FrontEnd(options, std::move(make_receiver)));
  if (auto listening = front->listen(options); !listening) return base::fail(std::move(listening.error()));
  return front;
}

base::Result<void, base::Error> FrontEnd::listen(const FrontEndOptions& options) {
  const base::MutexLock lock(mutex_);
  tls_ = options.tls;
  for (const bool speaks_tls : {false, true}) {
    for (const Address& address : speaks_tls ? options.tls_listen : options.listen) {
      auto socket =
          BoundSocket::listen(address, AddressFamily::any, options.limits.backlog, options.unix_mode);
      if (!socket) return base::fail(std::move(socket.error()));
      Entry entry{{++last_listener_id_, socket->address(), speaks_tls}, nullptr};
      entry.listener = std::make_shared<Listener>(*loops_[0], std::move(*socket));
      listeners_.push_back(std::move(entry));
    }
  }
  return {};
}

base::Result<std::unique_ptr<FrontEnd>, base::Error> FrontEnd::start(const FrontEndOptions& options,
                                                                     MakeReceiver make_receiver) {
  auto opened = open(options, std::move(make_receiver));
  if (opened) (*opened)->run();
  return opened;
}

void FrontEnd::run() {
  for (const auto& loop : loops_) {
    loop->on_connection_closed([this] {
      if (!listener_counters_.accepting.load()) {
        loops_[0]->post([this] { resume_if_room(); });
      }
    });
  }
  loops_[0]->post([this] { start_accepting(); });
  for (const auto& loop : loops_) {
    threads_.emplace_back([&loop = *loop] { loop.run(); });
  }
}

FrontEnd::~FrontEnd() {
  stop();
}

size_t FrontEnd::connection_count() const noexcept {
  size_t count = 0;
  for (const auto& loop : loops_)
    count += loop->connection_count();
  return count;
}

uint64_t FrontEnd::accept_calls() const {
  const base::MutexLock lock(mutex_);
  uint64_t calls = past_accept_calls_;
  for (const Entry& entry : listeners_)
    calls += entry.listener == nullptr ? 0 : entry.listener->accept_calls();
  return calls;
}

std::vector<ListenerStatus> FrontEnd::listeners() const {
  const base::MutexLock lock(mutex_);
  std::vector<ListenerStatus> all;
  all.reserve(listeners_.size());
  for (const Entry& entry : listeners_)
    all.push_back(entry.status);
  return all;
}

std::vector<Address> FrontEnd::addresses_that(bool speak_tls) const {
  std::vector<Address> all;
  for (ListenerStatus& listener : listeners()) {
    if (listener.speaks_tls == speak_tls) all.push_back(std::move(listener.address));
  }
  return all;
}

std::vector<Address> FrontEnd::addresses() const {
  return addresses_that(false);
}

std::vector<Address> FrontEnd::tls_addresses() const {
  return addresses_that(true);
}

std::shared_ptr<TlsContext> FrontEnd::tls() const {
  const base::MutexLock lock(mutex_);
  return tls_;
}

bool FrontEnd::set_tls(std::shared_ptr<TlsContext> tls) {
  const base::MutexLock lock(mutex_);
  if (tls_ != nullptr) return false;
  tls_ = std::move(tls);
  return true;
}

base::Result<ListenerStatus, base::Error> FrontEnd::add_listener(const Address& address, AddressFamily family,
                                                                 bool speaks_tls, std::string tag) {
  auto bound = BoundSocket::listen(address, family, limits_.backlog, 0700);
  if (!bound) return base::fail(std::move(bound.error()));
  // A task can be copied, a socket cannot.
  const auto socket = std::make_shared<BoundSocket>(std::move(*bound));
  ListenerStatus status{0, socket->address(), speaks_tls, std::move(tag)};
  {
    const base::MutexLock lock(mutex_);
    if (closed_) return base::fail(base::Error{"the server ends"});
    if (listeners_.size() >= kMaxListeners)
      return base::fail(base::Error{"there are " + std::to_string(kMaxListeners) + " listeners already"});
    status.id = ++last_listener_id_;
    listeners_.push_back({status, nullptr});
  }
  loops_[0]->post([this, socket, id = status.id] { begin_listener(id, *socket); });
  return status;
}

void FrontEnd::begin_listener(uint64_t id, BoundSocket& socket) {
  Entry begun{{}, std::make_shared<Listener>(*loops_[0], std::move(socket))};
  {
    const base::MutexLock lock(mutex_);
    for (Entry& entry : listeners_) {
      if (entry.status.id != id) continue;
      entry.listener = begun.listener;
      begun.status = entry.status;
    }
  }
  if (begun.status.id == 0 || closed_for_good_) return begun.listener->close();  // removed meanwhile
  if (accepting_) accept_on(begun);
}

FrontEnd::Removal FrontEnd::remove_listener(uint64_t id) {
  std::shared_ptr<Listener> listener;
  {
    const base::MutexLock lock(mutex_);
    const auto found = std::find_if(listeners_.begin(), listeners_.end(),
                                    [id](const Entry& entry) { return entry.status.id == id; });
    if (found == listeners_.end() || closed_) return Removal::unknown;
    if (listeners_.size() == 1) return Removal::last;
    listener = std::move(found->listener);
    if (listener != nullptr) past_accept_calls_ += listener->accept_calls();
    listeners_.erase(found);
  }
  if (listener == nullptr) return Removal::done;  // begin_listener() closes it
  listener->turn_away();
  loops_[0]->post([listener = std::move(listener)] { listener->close(); });
  return Removal::done;
}

std::vector<FrontEnd::Entry> FrontEnd::made_listeners() const {
  const base::MutexLock lock(mutex_);
  std::vector<Entry> made;
  std::copy_if(listeners_.begin(), listeners_.end(), std::back_inserter(made),
               [](const Entry& entry) { return entry.listener != nullptr; });
  return made;
}

void FrontEnd::start_accepting() {
  if (accepting_ || closed_for_good_) return;
  accepting_ = true;
  listener_counters_.accepting.store(true);
  for (const Entry& entry : made_listeners())
    accept_on(entry);
}

void FrontEnd::accept_on(const Entry& entry) {
  entry.listener->accept(
      [this, speaks_tls = entry.status.speaks_tls](int descriptor, const std::string& local) {
        accepted(descriptor, local, speaks_tls);
      },
      [this] { pause_accepting(true); });
}

void FrontEnd::pause_accepting(bool out_of_descriptors) {
  if (!accepting_) return;
  accepting_ = false;
  paused_since_ = std::chrono::steady_clock::now();
  listener_counters_.accepting.store(false);
  listener_counters_.pauses.add(1);
  for (const Entry& entry : made_listeners())
    entry.listener->pause();
  if (out_of_descriptors) {
    listener_counters_.no_descriptors.add(1);
    loops_[0]->post_after(kDescriptorRetry, [this] { resume_if_room(); });
  } else {
    // A connection may have closed on another loop before the flag above was visible to it.
    loops_[0]->post([this] { resume_if_room(); });
  }
}

void FrontEnd::resume_if_room() {
  if (accepting_ || closed_for_good_ || connection_count() >= limits_.max_connections) return;
  const auto paused = std::chrono::steady_clock::now() - paused_since_;
  listener_counters_.paused_us.add(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(paused).count()));
  start_accepting();
}

void FrontEnd::accepted(int descriptor, const std::string& local, bool speaks_tls) {
  // It stays the same one for as long as the loops run.
  const TlsContext* const context = speaks_tls ? tls().get() : nullptr;
  if (speaks_tls && context == nullptr) {
    close(descriptor);
    return;
  }
  size_t target = 0;
  for (size_t i = 1; i < loops_.size(); ++i) {
    if (loops_[i]->connection_count() < loops_[target]->connection_count()) target = i;
  }
  loops_[target]->expect_connection();
  const auto adopt = [this, target, descriptor, local, context] {
    loops_[target]->adopt(descriptor, local, make_receiver_(target), context);
  };
  if (target == 0) {
    adopt();
  } else {
    loops_[target]->post(adopt);
  }
  if (connection_count() >= limits_.max_connections) pause_accepting(false);
}

void FrontEnd::close_listeners() {
  std::promise<void> closed;
  loops_[0]->post([&] {
    pause_accepting(false);
    closed_for_good_ = true;
    {
      const base::MutexLock lock(mutex_);
      closed_ = true;
    }
    for (const Entry& entry : made_listeners())
      entry.listener->close();
    closed.set_value();
  });
  closed.get_future().wait();
}

void FrontEnd::drain() {
  if (threads_.empty()) return;
  close_listeners();
  std::vector<std::promise<void>> drained(loops_.size());
  for (size_t i = 0; i < loops_.size(); ++i) {
    loops_[i]->post([&loop = *loops_[i], &done = drained[i]] { loop.drain([&done] { done.set_value(); }); });
  }
  for (auto& done : drained)
    done.get_future().wait();
  stop();
}

void FrontEnd::stop() {
  if (threads_.empty()) return;
  // First, so that every socket that was accepted is handed to its loop before that loop is told to stop.
  close_listeners();
  for (const auto& loop : loops_)
    loop->stop();
  for (std::thread& thread : threads_)
    thread.join();
  threads_.clear();
}

}  // namespace bobbin::net
