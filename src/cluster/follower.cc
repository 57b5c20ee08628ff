#include "cluster/follower.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "cluster/greeting.h"
#include "feed/consumer.h"

namespace bobbin::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kTick{50};
constexpr milliseconds kFirstPause{50};
constexpr milliseconds kLongestPause{1000};
// To connect, and then to be let in.
constexpr milliseconds kPatience{10'000};
constexpr uint32_t kNoopIntervalS = 5;
// A source that says nothing for so long is taken for dead.
constexpr milliseconds kSilence = 3 * std::chrono::seconds(kNoopIntervalS);
// A connection that lived for so long was one: the next is tried soon.
constexpr milliseconds kProven{5'000};
// Who finds no room looks again after this; the flushers hurry meanwhile.
constexpr milliseconds kRoomPause{2};
// The longest value with attributes, a key, and what a message has around them.
constexpr uint32_t kMaxBodyBytes =
    store::kLargestMaxValueBytes + store::kAttributeAllowanceBytes + (64 << 10);

net::Limits limits_of_source() {
  net::Limits limits;
  limits.max_unread_bytes = size_t{kMaxBodyBytes} + (64 << 10);
  return limits;
}

}  // namespace

bool is_whole_copy(const store::Bucket& bucket) {
  for (uint32_t vbucket = 0; vbucket < bucket.vbucket_count(); ++vbucket) {
    const store::ReplicaFacts facts = bucket.replica_facts(static_cast<uint16_t>(vbucket));
    if (!facts.follows || facts.high_seqno < facts.snapshot.end) return false;
  }
  return true;
}

bool has_own_documents(const store::Bucket& bucket) {
  for (uint32_t i = 0; i < bucket.vbucket_count(); ++i) {
    const auto vbucket = static_cast<uint16_t>(i);
    if (!bucket.follows(vbucket) && bucket.high_seqno(vbucket) != 0) return true;
  }
  return false;
}

/// The connection to the source: first a greeting, then change streams.
class Follower::Connection final : public net::Receiver {
 public:
  Connection(Follower& owner, uint64_t attempt)
      : owner_(owner),
        attempt_(attempt),
        greeting_(std::make_unique<Greeting>(GreetingOptions{.agent = owner.options_.name,
                                                             .user = owner.options_.user,
                                                             .password = owner.options_.password})) {}

  void on_open(net::Connection& connection) override {
    if (owner_.attempt_ != attempt_) return connection.close_now(net::CloseReason::by_receiver);
    connection_ = &connection;
    connection.never_idle();
    heard_ = steady_clock::now();
    owner_.opened(*this);
    greeting_->begin(connection.out());
  }

  size_t on_bytes(net::Connection& connection, std::span<const char> unread, size_t /*seen*/) override {
    const std::string_view bytes(unread.data(), unread.size());
    now_ = owner_.clock_.now();
    heard_ = steady_clock::now();
    size_t consumed = 0;
    while (!is_broken_ && bytes.size() - consumed >= wire::kBinaryHeaderBytes) {
      const std::string_view rest = bytes.substr(consumed);
      const wire::BinaryHeader header = wire::decode_header(rest.data());
      if (header.body_bytes > kMaxBodyBytes || header.before_value() > header.body_bytes) {
        give_up("the source sends what is no message of the protocol");
        break;
      }
      const size_t size = wire::kBinaryHeaderBytes + size_t{header.body_bytes};
      if (rest.size() < size || !take(connection, rest.substr(0, size))) break;
      consumed += size;
    }
    tell_of_manifest();
    return consumed;
  }

  void on_resumed(net::Connection& /*connection*/) override {
    is_waiting_ = false;
    heard_ = steady_clock::now();
  }

  void on_closed(net::Connection& /*connection*/, net::CloseReason reason) override {
    if (connection_ == nullptr) return;
    connection_ = nullptr;
    if (owner_.connection_ != this) return;
    owner_.connection_ = nullptr;
    if (reason == net::CloseReason::shutdown) return;
    owner_.failed(trouble_.empty() ? "the source has closed the connection" : trouble_);
  }

  void tick(SteadyTime now) {
    if (is_waiting_) {
      if (consumer_) consumer_->tell_lag(now);
      return;
    }
    if (greeting_ != nullptr && now - owner_.began_ > kPatience) return give_up("the source does not answer");
    if (now - heard_ > kSilence) return give_up("the source has said nothing for too long");
    if (!consumer_) return;
    consumer_->tick(now, connection_->out());
    connection_->flush();
  }

  void go_on() {
    if (connection_ != nullptr && is_waiting_) connection_->spool().resume();
  }

 private:
  // False: the frame is to be shown again, or the connection is of no further use.
  bool take(net::Connection& connection, std::string_view frame) {
    if (greeting_ != nullptr) {
      switch (greeting_->take(frame, connection.out())) {
        case GreetingOutcome::going_on:
          return true;
        case GreetingOutcome::broken:
          give_up(greeting_->trouble());
          return false;
        case GreetingOutcome::done:
          break;
      }
      greeting_.reset();
      consumer_.emplace(
          *owner_.bucket_.disk(), owner_.state_.numbers,
          feed::ConsumerOptions{.name = owner_.options_.name, .noop_interval_s = kNoopIntervalS});
      consumer_->begin(heard_, connection.out());
      return true;
    }
    switch (consumer_->take(frame, now_, heard_, connection.out())) {
      case feed::FrameOutcome::taken:
        break;
      case feed::FrameOutcome::wait:
        is_waiting_ = true;
        connection.suspend(net::Hold::nothing);
        owner_.loop_.post_after(kRoomPause, [&owner = owner_, attempt = attempt_] {
          if (owner.attempt_ == attempt && owner.connection_ != nullptr) owner.connection_->go_on();
        });
        return false;
      case feed::FrameOutcome::broken:
        give_up(consumer_->trouble());
        return false;
    }
    if (!told_streaming_ && consumer_->is_streaming()) {
      told_streaming_ = true;
      owner_.state_.streaming();
      owner_.last_trouble_.clear();
      base::log(base::LogLevel::info, "follows " + owner_.state_.source());
    }
    return true;
  }

  // Clients that are told of each configuration.
  void tell_of_manifest() {
    const uint64_t generation = owner_.bucket_.bucket().manifest_generation();
    if (std::exchange(generation_, generation) != generation) owner_.bucket_.config_watchers().changed();
  }

  void give_up(std::string why) {
    is_broken_ = true;
    trouble_ = std::move(why);
    connection_->close_now(net::CloseReason::by_receiver);
  }

  Follower& owner_;
  const uint64_t attempt_;
  net::Connection* connection_ = nullptr;  // from on_open to on_closed
  std::unique_ptr<Greeting> greeting_;     // null: it is over
  std::optional<feed::Consumer> consumer_;
  base::Now now_;
  SteadyTime heard_{};
  uint64_t generation_ = 0;  // of the bucket's manifest that clients were told of
  bool is_waiting_ = false;
  bool is_broken_ = false;
  bool told_streaming_ = false;
  std::string trouble_;
};

Follower::Follower(const serve::ServedBucket& bucket, serve::Following& state, const base::Clock& clock,
                   FollowerOptions options)
    : bucket_(bucket),
      state_(state),
      clock_(clock),
      options_(std::move(options)),
      loop_(limits_of_source()),
      pause_(kFirstPause) {}

Follower::~Follower() {
  stop();
}

void Follower::start() {
  lost_ = steady_clock::now();
  loop_.post([this] { tick(); });
  thread_ = std::thread([this] { loop_.run(); });
}

void Follower::stop() {
  if (!thread_.joinable()) return;
  loop_.stop();
  thread_.join();
}

void Follower::tick() {
  const SteadyTime now = steady_clock::now();
  loop_.post_after(kTick, [this] { tick(); });
  if (connection_ != nullptr) return connection_->tick(now);
  tell_lag(now);
  if (is_dialling_) {
    if (now - began_ > kPatience)
      failed(options_.source.text() +
             (options_.tls == nullptr ? ": no connection" : ": no connection with TLS"));
    return;
  }
  if (now >= next_try_) dial(now);
}

// How old the copy is at most, while nothing is known of the source.
void Follower::tell_lag(SteadyTime now) {
  const auto since = std::chrono::duration_cast<milliseconds>(now - lost_);
  state_.numbers.lag_ms.store(lag_at_loss_ms_ + static_cast<uint64_t>(since.count()),
                              std::memory_order_relaxed);
}

void Follower::dial(SteadyTime now) {
  const uint64_t attempt = ++attempt_;
  is_dialling_ = true;
  began_ = now;
  state_.connecting();
  loop_.dial(
      options_.source, std::make_unique<Connection>(*this, attempt),
      [this, attempt](const base::Error& error) {
        if (attempt == attempt_) failed(error.message);
      },
      options_.tls.get());
}

void Follower::opened(Connection& connection) {
  is_dialling_ = false;
  connection_ = &connection;
}

void Follower::failed(std::string why) {
  const SteadyTime now = steady_clock::now();
  is_dialling_ = false;
  if (now - began_ > kProven) pause_ = kFirstPause;
  next_try_ = now + pause_;
  pause_ = std::min(pause_ * 2, kLongestPause);
  ++attempt_;
  lost_ = now;
  lag_at_loss_ms_ = state_.numbers.lag_ms.load(std::memory_order_relaxed);
  // The same trouble once a second is one line.
  if (why != last_trouble_)
    base::log(base::LogLevel::warning, fmt::format("cannot follow {} for now: {}", state_.source(), why));
  last_trouble_ = why;
  state_.failed(std::move(why));
}

}  // namespace bobbin::cluster
