#include "cluster/source_link.h"

#include <algorithm>
#include <span>
#include <utility>

#include "store/bucket_types.h"
#include "wire/binary_header.h"

namespace bobbin::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kFirstPause{50};
constexpr milliseconds kLongestPause{1000};
// To connect, and then to be let in.
constexpr milliseconds kPatience{10'000};
// A name server that is silent keeps what was given up on, and would keep more each time.
constexpr uint32_t kMostPending = 2;
// A source that says nothing for so long is taken for dead: each talk makes it say something more often.
constexpr milliseconds kSilence{15'000};
// A connection that lived for so long was one: the next is tried soon.
constexpr milliseconds kProven{5'000};
// Who finds no room looks again after this; the flushers hurry meanwhile.
constexpr milliseconds kRoomPause{2};
// The longest value with attributes, a key, and what a message has around them.
constexpr uint32_t kMaxBodyBytes =
    store::kLargestMaxValueBytes + store::kAttributeAllowanceBytes + (64 << 10);

}  // namespace

net::Limits SourceLink::limits() {
  net::Limits limits;
  limits.max_unread_bytes = size_t{kMaxBodyBytes} + (64 << 10);
  return limits;
}

/// One attempt: cuts what comes into frames, for its talk.
class SourceLink::Connection final : public net::Receiver {
 public:
  Connection(SourceLink& link, uint64_t attempt)
      : link_(link), attempt_(attempt), talk_(link.owner_.new_talk()) {
    ++link_.pending_;
  }
  ~Connection() override { settle(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void on_open(net::Connection& connection) override {
    settle();
    if (link_.attempt_ != attempt_) return connection.close_now(net::CloseReason::by_receiver);
    connection_ = &connection;
    connection.never_idle();
    heard_ = steady_clock::now();
    link_.opened(*this);
    talk_->begin(heard_, connection.out());
  }

  size_t on_bytes(net::Connection& connection, std::span<const char> unread, size_t /*seen*/) override {
    const std::string_view bytes(unread.data(), unread.size());
    now_ = link_.clock_.now();
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
    talk_->pause();
    return consumed;
  }

  void on_resumed(net::Connection& /*connection*/) override {
    is_waiting_ = false;
    heard_ = steady_clock::now();
  }

  void on_closed(net::Connection& /*connection*/, net::CloseReason reason) override {
    if (connection_ == nullptr) return;
    connection_ = nullptr;
    if (link_.connection_ != this) return;
    link_.connection_ = nullptr;
    if (reason == net::CloseReason::shutdown) return;
    link_.failed(trouble_.empty() ? "the source has closed the connection" : trouble_);
  }

  void tick(SteadyTime now) {
    if (is_waiting_) return talk_->tick_while_waiting(now);
    if (!talk_->is_let_in() && now - link_.began_ > kPatience) return give_up("the source does not answer");
    if (now - heard_ > kSilence) return give_up("the source has said nothing for too long");
    talk_->tick(now, connection_->out());
    connection_->flush();
  }

  void end() { give_up({}); }

  void go_on() {
    if (connection_ != nullptr && is_waiting_) connection_->spool().resume();
  }

 private:
  void settle() {
    if (std::exchange(is_pending_, false)) --link_.pending_;
  }

  // False: the frame is to be shown again, or the connection is of no further use.
  bool take(net::Connection& connection, std::string_view frame) {
    switch (talk_->take(frame, now_, heard_, connection.out())) {
      case TalkOutcome::taken:
        return true;
      case TalkOutcome::wait:
        is_waiting_ = true;
        connection.suspend(net::Hold::nothing);
        link_.loop_.post_after(kRoomPause, [&link = link_, attempt = attempt_] {
          if (link.attempt_ == attempt && link.connection_ != nullptr) link.connection_->go_on();
        });
        return false;
      case TalkOutcome::broken:
        break;
    }
    give_up(talk_->trouble());
    return false;
  }

  void give_up(std::string why) {
    is_broken_ = true;
    trouble_ = std::move(why);
    connection_->close_now(net::CloseReason::by_receiver);
  }

  SourceLink& link_;
  const uint64_t attempt_;
  const std::unique_ptr<Talk> talk_;
  net::Connection* connection_ = nullptr;  // from on_open to on_closed
  base::Now now_;
  SteadyTime heard_{};
  bool is_pending_ = true;
  bool is_waiting_ = false;
  bool is_broken_ = false;
  std::string trouble_;
};

SourceLink::SourceLink(net::Loop& loop, const base::Clock& clock, const SourceOptions& source, Owner& owner)
    : loop_(loop), clock_(clock), source_(source), owner_(owner), pause_(kFirstPause) {}

void SourceLink::tick(SteadyTime now) {
  if (connection_ != nullptr) return connection_->tick(now);
  if (is_dialling_) {
    if (now - began_ > kPatience)
      failed(source_.address.text() +
             (source_.tls == nullptr ? ": no connection" : ": no connection with TLS"));
    return;
  }
  if (now >= next_try_ && pending_ < kMostPending) dial(now);
}

void SourceLink::dial(SteadyTime now) {
  const uint64_t attempt = ++attempt_;
  is_dialling_ = true;
  began_ = now;
  owner_.connecting();
  loop_.dial(
      source_.address, std::make_unique<Connection>(*this, attempt),
      [this, attempt](const base::Error& error) {
        if (attempt == attempt_) failed(error.message);
      },
      source_.tls.get());
}

void SourceLink::end() {
  ++attempt_;
  is_dialling_ = false;
  if (Connection* const ended = std::exchange(connection_, nullptr)) ended->end();
}

void SourceLink::opened(Connection& connection) {
  is_dialling_ = false;
  connection_ = &connection;
}

void SourceLink::failed(std::string why) {
  const SteadyTime now = steady_clock::now();
  is_dialling_ = false;
  if (now - began_ > kProven) pause_ = kFirstPause;
  next_try_ = now + pause_;
  pause_ = std::min(pause_ * 2, kLongestPause);
  ++attempt_;
  owner_.failed(std::move(why));
}

}  // namespace bobbin::cluster
