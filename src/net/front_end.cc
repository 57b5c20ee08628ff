#include "net/front_end.h"

#include <algorithm>
#include <cassert>
#include <future>
#include <utility>

namespace bobbin::net {
namespace {

// When descriptors ran out, another process may have to give some back: look again after this.
constexpr std::chrono::milliseconds kDescriptorRetry{100};

}  // namespace

FrontEnd::FrontEnd(const FrontEndOptions& options, MakeReceiver make_receiver)
    : limits_(options.limits), make_receiver_(std::move(make_receiver)), tls_(options.tls) {
  for (size_t i = 0; i < std::max<size_t>(options.threads, 1); ++i) {
    loops_.push_back(std::make_unique<Loop>(limits_));
  }
}

base::Result<std::unique_ptr<FrontEnd>, base::Error> FrontEnd::open(const FrontEndOptions& options,
                                                                    MakeReceiver make_receiver) {
  assert(!options.listen.empty() || !options.tls_listen.empty());
  assert(options.tls != nullptr || options.tls_listen.empty());
  std::unique_ptr<FrontEnd> front(new FrontEnd(options, std::move(make_receiver)));
  std::vector<Address> all = options.listen;
  all.insert(all.end(), options.tls_listen.begin(), options.tls_listen.end());
  for (const Address& address : all) {
    auto listener = Listener::open(*front->loops_[0], address, options.limits.backlog, options.unix_mode);
    if (!listener) return base::fail(std::move(listener.error()));
    front->listeners_.push_back(std::move(*listener));
  }
  front->plain_listeners_ = options.listen.size();
  return front;
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

uint64_t FrontEnd::accept_calls() const noexcept {
  uint64_t calls = 0;
  for (const auto& listener : listeners_)
    calls += listener->accept_calls();
  return calls;
}

std::vector<Address> FrontEnd::addresses() const {
  std::vector<Address> all;
  for (size_t i = 0; i < plain_listeners_; ++i)
    all.push_back(listeners_[i]->address());
  return all;
}

std::vector<Address> FrontEnd::tls_addresses() const {
  std::vector<Address> all;
  for (size_t i = plain_listeners_; i < listeners_.size(); ++i)
    all.push_back(listeners_[i]->address());
  return all;
}

void FrontEnd::start_accepting() {
  if (accepting_ || closed_for_good_) return;
  accepting_ = true;
  listener_counters_.accepting.store(true);
  for (size_t i = 0; i < listeners_.size(); ++i) {
    const bool speaks_tls = i >= plain_listeners_;
    listeners_[i]->accept(
        [this, speaks_tls](int descriptor, const std::string& local) {
          accepted(descriptor, local, speaks_tls);
        },
        [this] { pause_accepting(true); });
  }
}

void FrontEnd::pause_accepting(bool out_of_descriptors) {
  if (!accepting_) return;
  accepting_ = false;
  paused_since_ = std::chrono::steady_clock::now();
  listener_counters_.accepting.store(false);
  listener_counters_.pauses.add(1);
  for (const auto& listener : listeners_)
    listener->pause();
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
  size_t target = 0;
  for (size_t i = 1; i < loops_.size(); ++i) {
    if (loops_[i]->connection_count() < loops_[target]->connection_count()) target = i;
  }
  loops_[target]->expect_connection();
  const auto adopt = [this, target, descriptor, local, speaks_tls] {
    loops_[target]->adopt(descriptor, local, make_receiver_(target), speaks_tls ? tls_.get() : nullptr);
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
    for (const auto& listener : listeners_)
      listener->close();
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
