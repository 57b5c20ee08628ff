#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "net/loop.h"
#include "net/tls.h"
#include "serve/session.h"
#include "store/bucket.h"
#include "wire/binary_header.h"

namespace bobbin::serve {

/// A connection without a socket, for tests and fuzz targets: what it is fed reaches its receiver as it would
/// from a socket, in the pieces in which it is fed, and the replies collect here. Its peer takes everything
/// at once whenever it is asked, so that congestion lasts for one call. On the thread that made its loop.
class TestConnection final : public net::Connection {
 public:
  /// As if over TLS, where there is a `tls`.
  TestConnection(net::Loop& loop, std::unique_ptr<net::Receiver> receiver,
                 std::optional<net::TlsPeer> tls = std::nullopt)
      : Connection(loop, 1), tls_(std::move(tls)) {
    own_output_ = std::make_unique<net::Output>();
    out_ = own_output_.get();
    receiver_ = std::move(receiver);
    receiver_->on_open(*this);
  }
  ~TestConnection() override {
    if (spool_state_ != nullptr) spool_state_->close();
    receiver_->on_closed(*this, net::CloseReason::by_peer);
  }
  TestConnection(const TestConnection&) = delete;
  TestConnection& operator=(const TestConnection&) = delete;

  void flush() override {}
  void close_when_sent() override { closing_ = true; }
  void close_now(net::CloseReason) override { closing_ = true; }
  void suspend(net::Hold hold) override {
    suspended_ = true;
    holding_ = hold == net::Hold::replies;
  }
  void keep_open(bool owes_replies) override { owing_ = owes_replies; }
  [[nodiscard]] net::ConnectionStatus status() const override { return {}; }
  [[nodiscard]] const net::TlsPeer* tls() const override { return tls_ ? &*tls_ : nullptr; }

  void feed(std::string_view bytes) {
    while (!bytes.empty() && !closing_) {
      const std::span<char> landing =
          unread_.empty() && !suspended_ ? receiver_->landing() : std::span<char>();
      if (landing.empty()) {
        unread_.append(std::exchange(bytes, {}));
        present();
        continue;
      }
      const size_t n = std::min(landing.size(), bytes.size());
      std::memcpy(landing.data(), bytes.data(), n);
      bytes.remove_prefix(n);
      receiver_->on_landed(*this, n);
      take_replies();
    }
  }

  /// As Spool::resume(), but at once.
  void resume() {
    suspended_ = false;
    receiver_->on_resumed(*this);
    if (!suspended_) holding_ = false;
    seen_ = 0;
    take_replies();
    present();
  }
  [[nodiscard]] bool suspended() const noexcept { return suspended_; }
  [[nodiscard]] bool owing() const noexcept { return owing_; }
  /// How often it stopped for others, and went on by itself.
  [[nodiscard]] size_t yields() const noexcept { return yields_; }
  /// Of replies that waited for the peer at once.
  [[nodiscard]] size_t most_unsent_bytes() const noexcept { return most_unsent_bytes_; }

  [[nodiscard]] const std::string& replies() const noexcept { return replies_; }
  [[nodiscard]] bool closing() const noexcept { return closing_; }

 private:
  void present() {
    bool paused = true;
    while (paused && !closing_ && !suspended_ && !unread_.empty()) {
      // Memory of exactly this size: a look beyond the end is one that sanitizers see.
      const std::vector<char> shown(unread_.begin(), unread_.end());
      unread_.erase(0, receiver_->on_bytes(*this, shown, seen_));
      paused = congested();
      seen_ = paused || suspended_ ? 0 : unread_.size();
      take_replies();
      if (suspended_ && yielded()) {
        ++yields_;
        paused = true;
        suspended_ = false;
        receiver_->on_resumed(*this);
        take_replies();
      }
    }
  }

  // It has resumed itself.
  bool yielded() { return spool_state_ != nullptr && spool_state_->take_resume(); }

  void take_replies() {
    std::array<std::span<const char>, 16> runs;
    most_unsent_bytes_ = std::max(most_unsent_bytes_, out_->size());
    while (!out_->empty() && !holding_) {
      size_t taken = 0;
      const size_t count = out_->gather(runs, out_->size());
      for (size_t i = 0; i < count; ++i) {
        replies_.append(runs[i].data(), runs[i].size());
        taken += runs[i].size();
      }
      out_->consume(taken);
    }
  }

  const std::optional<net::TlsPeer> tls_;
  std::string unread_;
  std::string replies_;
  size_t seen_ = 0;
  size_t most_unsent_bytes_ = 0;
  bool closing_ = false;
  bool suspended_ = false;
  bool holding_ = false;
  bool owing_ = false;
  size_t yields_ = 0;
};

/// A bucket of its own with everything else that a session needs, a clock that stands still, and no threads.
/// Two that are asked the same have handed out the same CAS values, whatever pieces the requests came in.
class TestEngine {
 public:
  explicit TestEngine(net::Loop& loop, const store::BucketOptions& options = {.vbuckets = 1},
                      base::Worker::Where errands = base::Worker::Where::caller,
                      const std::string& audit_path = {})
      : loop_(loop),
        errands_(base::Worker::Rest::dropped, errands),
        // All have the same uuid: it is in cluster configurations, and so in replies that are compared.
        served_(std::make_shared<ServedBucket>(
            ServedBucketOptions{.uuid = std::string(32, 'b'), .cache = options}, clock_)),
        audit_(AuditOptions{.file = {.path = audit_path}, .clock = &clock_}) {
    counters_.push_back(std::make_unique<CommandCounters>());
    // A session's time moves a little with each look at its bytes, and CAS values follow the time: unless
    // they are well ahead of it.
    store::StoreOptions ahead;
    ahead.explicit_cas = clock_.now().unix_ns + uint64_t{3'000} * 1'000'000'000;
    auto draft = bucket_.draft("ahead", 0, 0, 0, clock_.now());
    (void)bucket_.store(std::move(*draft), store::StoreMode::set, ahead, clock_.now());
    (void)bucket_.remove("ahead", {}, clock_.now());
    bucket_.reset_statistics();
  }

  [[nodiscard]] std::unique_ptr<TestConnection> connect(std::optional<net::TlsPeer> tls = std::nullopt) {
    return std::make_unique<TestConnection>(loop_, std::make_unique<Session>(engine_, *counters_[0]),
                                            std::move(tls));
  }
  [[nodiscard]] base::ManualClock& clock() noexcept { return clock_; }
  [[nodiscard]] store::Bucket& bucket() const noexcept { return bucket_; }
  [[nodiscard]] const Engine& engine() const noexcept { return engine_; }
  [[nodiscard]] const ServedBucket& served() const noexcept { return *served_; }
  [[nodiscard]] Collections& collections() const noexcept { return served_->collections(); }
  [[nodiscard]] Users& users() noexcept { return *users_; }
  [[nodiscard]] Buckets& buckets() noexcept { return buckets_; }
  [[nodiscard]] Node& node() noexcept { return node_; }
  [[nodiscard]] base::Worker& errands() noexcept { return errands_; }
  /// Sessions do not come from there.
  void listen(std::unique_ptr<net::FrontEnd> front_end) { front_end_ = std::move(front_end); }

  [[nodiscard]] std::map<std::string_view, uint64_t> counts() const {
    std::map<std::string_view, uint64_t> all;
    for (const NamedCounter& named : kCommandCounters)
      all[named.name] = (*counters_[0].*named.counter).get();
    all["total_items"] = bucket_.statistics().total_items;
    all["upload_bytes"] = served_->uploads().used_bytes();
    return all;
  }
  /// All documents with everything that a client could find out about them.
  using Content = std::tuple<std::string, uint32_t, uint64_t, uint32_t, bool, bool, bool>;
  [[nodiscard]] std::map<std::string, Content> contents() {
    std::map<std::string, Content> all;
    const auto add = [&](const store::Peeked& seen) {
      const store::Document& doc = *seen.doc;
      all[std::string(doc.key())] = {
          std::string(doc.value()), doc.flags(), doc.cas(), seen.expiry, seen.fetched, seen.stale,
          seen.token_sent};
      return true;
    };
    bucket_.for_each(add, clock_.now());
    return all;
  }

 private:
  base::ManualClock clock_;
  net::Loop& loop_;
  base::Worker errands_;  // which are done, and passwords checked, in their order
  std::shared_ptr<ServedBucket> served_;
  store::Bucket& bucket_ = served_->bucket();
  LiveLog log_{clock_};
  Buckets buckets_{served_, {.cache = {.vbuckets = 4}}, clock_};
  feed::Scans scans_{feed::ScanLimits{}};
  std::unique_ptr<feed::Pool> feeds_ = std::make_unique<feed::Pool>(1);
  std::vector<std::unique_ptr<CommandCounters>> counters_;
  std::vector<Setting> settings_;
  std::unique_ptr<net::FrontEnd> front_end_;
  StatBaseline baseline_;
  StatTimes stat_times_;
  const std::unique_ptr<Users> users_ = Users::nobody(clock_);
  AuditLog audit_;
  Logins logins_{*users_, audit_, clock_};
  Node node_{.cluster_uuid = "c0ffee"};
  const Engine engine_{served_, buckets_,  feeds_,    scans_,     errands_,    errands_,    clock_,
                       log_,    counters_, settings_, front_end_, baseline_,   stat_times_, node_,
                       *users_, logins_,   audit_,    false,      clock_.now()};
};

/// Replies without the statistics, which tell of the process and of the moment too.
inline std::string without_statistics(std::string_view replies) {
  std::string rest;
  if (replies.starts_with(static_cast<char>(wire::kBinaryReplyMagic))) {
    while (replies.size() >= wire::kBinaryHeaderBytes) {
      const wire::BinaryHeader header = wire::decode_header(replies.data());
      const size_t size = std::min(replies.size(), wire::kBinaryHeaderBytes + size_t{header.body_bytes});
      if (header.opcode != static_cast<uint8_t>(wire::BinaryOpcode::stat)) rest += replies.substr(0, size);
      replies.remove_prefix(size);
    }
    return rest.append(replies);
  }
  while (!replies.empty()) {
    const size_t size = std::min(replies.find('\n'), replies.size() - 1) + 1;
    if (!replies.starts_with("STAT ")) rest += replies.substr(0, size);
    replies.remove_prefix(size);
  }
  return rest;
}

/// What one client's requests came to.
struct Outcome {
  std::string replies;
  bool closed = false;
  std::map<std::string_view, uint64_t> counts;
  std::map<std::string, TestEngine::Content> contents;
  bool operator==(const Outcome&) const = default;
};

/// Feeds `requests` to a server of their own, in pieces of the sizes that `next_size` answers (0 and what is
/// too large: the rest).
template <typename NextSize>
Outcome deliver(net::Loop& loop, const store::BucketOptions& options, std::string_view requests,
                NextSize next_size) {
  TestEngine server(loop, options);
  Outcome outcome;
  {
    const auto connection = server.connect();
    while (!requests.empty()) {
      const size_t asked = next_size();
      const size_t size = asked == 0 ? requests.size() : std::min<size_t>(asked, requests.size());
      connection->feed(requests.substr(0, size));
      requests.remove_prefix(size);
    }
    outcome.replies = without_statistics(connection->replies());
    outcome.closed = connection->closing();
  }
  outcome.counts = server.counts();
  outcome.contents = server.contents();
  return outcome;
}

/// The same to a client that takes replies in any order, where nobody does errands before `next_size` answers
/// a multiple of four, or all was sent: nothing may be left then. Whether that is so.
template <typename NextSize>
bool deliver_unordered(net::Loop& loop, const store::BucketOptions& options, std::string_view requests,
                       NextSize next_size) {
  static constexpr std::string_view kHello("\x80\x1f\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\x0e", 26);
  TestEngine server(loop, options, base::Worker::Where::nobody);
  const auto connection = server.connect();
  connection->feed(kHello);
  bool is_over = false;
  while (!is_over) {
    const size_t size = std::min(std::max<size_t>(next_size(), 1), requests.size());
    is_over = requests.empty();
    connection->feed(requests.substr(0, size));
    requests.remove_prefix(size);
    if (size % 4 != 0 && !is_over) continue;
    // Those that run may let others be asked for.
    for (int i = 0; i < 1000 && !connection->closing() && (connection->owing() || connection->suspended());
         ++i) {
      server.errands().run_waiting();
      connection->resume();
    }
  }
  const CommandCounters& counters = *server.engine().counters[0];
  return connection->closing() ||
         (!connection->owing() && !connection->suspended() && counters.unordered_waiting.get() == 0 &&
          counters.unordered_bytes.get() == 0);
}

}  // namespace bobbin::serve
