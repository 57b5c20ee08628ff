#include "cli/bench_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "cli/bench_connection.h"

namespace bobbin::cli {
namespace {

constexpr uint32_t kFillWindow = 16;
/// Longer values are stored one at a time, so that filling does not take more memory than measuring.
constexpr uint32_t kFillOneByOneAboveBytes = 64 << 10;
constexpr size_t kSinkBytes = 128 << 10;
constexpr std::chrono::milliseconds kTick{50};
/// With a rate requests are sent in steps of a millisecond; up to this they are not late.
constexpr std::chrono::milliseconds kRateTick{1};
constexpr uint64_t kLateAfterNs = 2'000'000;

net::Limits client_limits() {
  net::Limits limits;
  // Answers must be read however much waits to be sent, or both sides wait for each other.
  limits.max_unsent_bytes = std::numeric_limits<size_t>::max() / 2;
  // Who runs it bounds all of connecting, and each answer.
  limits.idle_timeout = limits.stall_timeout = limits.handshake_timeout = std::chrono::milliseconds(0);
  return limits;
}

/// Part `index` of `whole` divided by `parts`; all parts add up to `whole`.
uint64_t share(uint64_t whole, uint64_t index, uint64_t parts) {
  return whole / parts + (index < whole % parts ? 1 : 0);
}

std::string make_value(uint32_t bytes, uint64_t seed) {
  BenchRandom random(seed);
  std::string value(bytes, '\0');
  for (char& c : value)
    c = static_cast<char>('a' + random.below(26));
  return value;
}

}  // namespace

uint64_t bench_now_ns() noexcept {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                               std::chrono::nanoseconds(1));
}

BenchPlan::BenchPlan(const BenchOptions& wanted, const net::TlsClientContext* client)
    : options(wanted),
      tls(client),
      keys(wanted.keys, wanted.key_bytes),
      sizes(wanted.min_value_bytes, wanted.max_value_bytes),
      zipf(wanted.zipf_theta ? std::optional<BenchZipf>(std::in_place, wanted.keys, *wanted.zipf_theta)
                             : std::nullopt),
      writer(make_bench_writer(wanted.protocol, keys, wanted.paths)),
      value(wanted.paths > 0 ? bench_document(wanted.max_value_bytes, wanted.paths)
                             : make_value(wanted.max_value_bytes, wanted.seed)) {}

void BenchResult::merge(const BenchResult& other) {
  replies.merge(other.replies);
  gets.merge(other.gets);
  sets.merge(other.sets);
  bytes_in += other.bytes_in;
  get_keys += other.get_keys;
  last_answer_ns = std::max(last_answer_ns, other.last_answer_ns);
}

uint32_t BenchWorker::largest_window(const BenchOptions& options) noexcept {
  return std::max(options.in_flight, kFillWindow);
}

BenchWorker::BenchWorker(const BenchPlan& plan, uint32_t index, BenchStages& stages)
    : plan_(plan),
      stages_(stages),
      connection_count_(static_cast<uint32_t>(share(plan.options.connections, index, plan.options.threads))),
      request_limit_(plan.options.requests == 0 ? std::numeric_limits<uint64_t>::max()
                                                : share(plan.options.requests, index, plan.options.threads)),
      interval_ns_(
          plan.options.rate == 0
              ? 0
              : std::max<uint64_t>(uint64_t{1'000'000'000} * plan.options.threads / plan.options.rate, 1)),
      random_(mix_bits(plan.options.seed) + index),
      sink_(kSinkBytes),
      fill_next_(index),
      loop_(client_limits()) {}

BenchWorker::~BenchWorker() {
  stop();
}

// --- any thread ---

void BenchWorker::start() {
  loop_.post([this] {
    for (uint32_t i = 0; i < connection_count_; ++i) {
      loop_.dial(
          plan_.options.server, std::make_unique<BenchConnection>(*this),
          [this](base::Error error) { stages_.fail(std::move(error)); }, plan_.tls);
    }
    tick();
  });
  thread_ = std::thread([this] { loop_.run(); });
}

void BenchWorker::stop() {
  if (!thread_.joinable()) return;
  loop_.stop();
  thread_.join();
  // What failed before the measurement failed all the same.
  for (size_t i = 0; i < kBenchErrors; ++i)
    result_.replies.errors[i] += uncounted_.errors[i];
  if (result_.replies.first_refusal.empty()) result_.replies.first_refusal = uncounted_.first_refusal;
}

void BenchWorker::fill() {
  loop_.post([this] {
    const bool one_by_one = plan_.sizes.max() > kFillOneByOneAboveBytes;
    window_ = one_by_one ? 1 : largest_window(plan_.options);
    phase_ = Phase::filling;
    go_all();
  });
}

void BenchWorker::measure(uint64_t count_from_ns) {
  loop_.post([this, count_from_ns] {
    const auto duration_ns = static_cast<uint64_t>(std::chrono::nanoseconds(plan_.options.duration).count());
    count_from_ns_ = count_from_ns;
    end_ns_ = duration_ns == 0 ? std::numeric_limits<uint64_t>::max() : count_from_ns + duration_ns;
    due_ns_ = bench_now_ns();
    window_ = plan_.options.in_flight;
    phase_ = Phase::running;
    if (interval_ns_ > 0) return rate_tick();
    go_all();
  });
}

void BenchWorker::stop_sending() {
  loop_.post([this] {
    end_ns_ = 0;
    look(bench_now_ns());
  });
}

void BenchWorker::take_snapshot() {
  loop_.post([this] {
    const base::MutexLock lock(snapshot_mutex_);
    snapshot_ = result_;
  });
}

BenchResult BenchWorker::snapshot() const {
  const base::MutexLock lock(snapshot_mutex_);
  return snapshot_;
}

// --- the loop ---

void BenchWorker::opened(BenchConnection& connection) {
  connections_.push_back(&connection);
  if (++live_ == connection_count_) stages_.reach(BenchStage::connected);
}

void BenchWorker::closed(BenchConnection& connection, uint64_t lost, BenchError why) {
  std::replace(connections_.begin(), connections_.end(), &connection, static_cast<BenchConnection*>(nullptr));
  --live_;
  in_flight_ -= lost;
  if (phase_ == Phase::idle) {
    if (connections_.size() < connection_count_) {
      stages_.fail({plan_.options.server.text() + ": the server closed a connection"});
    }
    return;
  }
  result_.replies.fail(why, std::max<uint64_t>(lost, 1));
  look(bench_now_ns());
}

bool BenchWorker::next(uint64_t now_ns, BenchRequest& request, std::span<uint32_t> keys) {
  request = BenchRequest{};
  request.sent_ns = now_ns;
  if (phase_ != Phase::running) {
    if (phase_ == Phase::idle || fill_next_ >= plan_.keys.count()) return false;
    request.is_set = true;
    keys[0] = static_cast<uint32_t>(fill_next_);
    fill_next_ += plan_.options.threads;
    ++in_flight_;
    return true;
  }
  if (nothing_more_to_send(now_ns)) return false;
  if (interval_ns_ > 0) {
    if (due_ns_ > now_ns) return false;
    if (now_ns - due_ns_ > kLateAfterNs) request.sent_ns = due_ns_;
    due_ns_ += interval_ns_;
  }
  request.counted = now_ns >= count_from_ns_;
  if (request.counted) ++sent_;
  set_credit_ += plan_.options.sets;
  request.is_set = set_credit_ >= uint64_t{plan_.options.sets} + plan_.options.gets;
  if (request.is_set) {
    set_credit_ -= uint64_t{plan_.options.sets} + plan_.options.gets;
    keys = keys.first(1);
  }
  for (uint32_t& key : keys)
    key = plan_.zipf ? plan_.zipf->draw(random_) : random_.below(plan_.keys.count());
  ++in_flight_;
  return true;
}

void BenchWorker::answered(const BenchRequest& request, uint64_t now_ns) {
  --in_flight_;
  if (!request.counted) return;
  result_.bytes_in += request.bytes_in;
  result_.last_answer_ns = now_ns;
  const uint64_t latency_ns = now_ns - request.sent_ns;
  if (request.is_set) return result_.sets.record(latency_ns);
  result_.gets.record(latency_ns);
  result_.get_keys += plan_.options.multi_get;
}

bool BenchWorker::nothing_more_to_send(uint64_t now_ns) const noexcept {
  return live_ == 0 || now_ns >= end_ns_ || sent_ >= request_limit_;
}

void BenchWorker::look(uint64_t now_ns) {
  if (in_flight_ > 0) return;
  if (phase_ == Phase::filling && (live_ == 0 || fill_next_ >= plan_.keys.count())) {
    phase_ = Phase::idle;
    fill_is_over();
  } else if (phase_ == Phase::running && nothing_more_to_send(now_ns)) {
    phase_ = Phase::idle;
    stages_.reach(BenchStage::finished);
  }
}

void BenchWorker::fill_is_over() {
  const uint64_t failed = uncounted_.error_count() + result_.replies.error_count();
  if (failed == 0) return stages_.reach(BenchStage::filled);
  const std::string reason =
      uncounted_.first_refusal.empty() ? "the connection was lost" : uncounted_.first_refusal;
  stages_.fail(
      {fmt::format("{}: {} keys could not be stored: {}", plan_.options.server.text(), failed, reason)});
}

void BenchWorker::go_all() {
  const uint64_t now_ns = bench_now_ns();
  for (size_t i = 0; i < connections_.size(); ++i) {
    if (connections_[i] != nullptr) connections_[i]->go(now_ns);
  }
  look(now_ns);
}

// Requests that are due go to the connections in turn, one each.
void BenchWorker::rate_tick() {
  if (phase_ != Phase::running) return;
  const uint64_t now_ns = bench_now_ns();
  for (size_t i = 0; i < connections_.size() && due_ns_ <= now_ns; ++i) {
    BenchConnection* const connection = connections_[round_at_];
    round_at_ = (round_at_ + 1) % connections_.size();
    if (connection != nullptr) connection->go(now_ns);
  }
  look(now_ns);
  loop_.post_after(kRateTick, [this] { rate_tick(); });
}

// For what no answer sets off: the end of the time, and answers that do not come.
void BenchWorker::tick() {
  const uint64_t now_ns = bench_now_ns();
  const auto timeout_ns = static_cast<uint64_t>(std::chrono::nanoseconds(plan_.options.timeout).count());
  for (size_t i = 0; timeout_ns > 0 && i < connections_.size(); ++i) {
    BenchConnection* const connection = connections_[i];
    if (connection == nullptr || connection->in_flight() == 0) continue;
    if (connection->oldest_ns() + timeout_ns < now_ns) connection->give_up(BenchError::timed_out);
  }
  look(now_ns);
  loop_.post_after(kTick, [this] { tick(); });
}

}  // namespace bobbin::cli
