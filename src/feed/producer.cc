#include "feed/producer.h"

#include <algorithm>
#include <array>
#include <utility>

namespace bobbin::feed {
namespace {

using wire::BinaryStatus;

constexpr auto kStepTime = std::chrono::milliseconds(1);
constexpr uint64_t kStepBytes = 256 << 10;
constexpr auto kRetryAfter = std::chrono::milliseconds(20);

}  // namespace

Producer::Producer(ProducerSetup setup)
    : setup_(std::move(setup)),
      by_vbucket_(setup_.bucket.vbucket_count()),
      seen_generation_(setup_.access_generation()) {}

Producer::~Producer() = default;

// --- the session's ---

StreamAnswer Producer::open_stream(const wire::DcpRoute& route, const wire::DcpStreamRequest& request,
                                   const wire::DcpFilter& asked, StreamFilter filter) {
  const uint16_t vbucket = route.vbucket;
  const Key key(vbucket, route.stream_id);
  const store::StreamFacts facts = setup_.bucket.stream_facts(vbucket);
  const uint64_t purged = setup_.disk.directory().shard_of(vbucket).purge_seqno(vbucket);
  const base::MutexLock lock(mutex_);
  if (open_.contains(key)) return {BinaryStatus::key_exists};
  // Those that the client has closed are there until a step has ended them.
  if (open_.size() >= kMaxStreams || held_.load() >= 2 * kMaxStreams) return {BinaryStatus::out_of_memory};
  const StreamStart start = judge_start(request, facts, purged, asked.purge_seqno);
  if (start.verdict == StartVerdict::out_of_range) return {BinaryStatus::out_of_range};
  if (start.verdict == StartVerdict::rollback) {
    setup_.streams.totals().rollbacks.fetch_add(1, std::memory_order_relaxed);
    return {BinaryStatus::rollback, start.rollback_seqno};
  }
  namespace flags = wire::dcp_stream_flags;
  const uint64_t number = next_number_.fetch_add(1);
  auto stream = std::make_shared<Stream>(
      StreamSource{setup_.bucket, setup_.disk, setup_.streams, progress_}, route, setup_.options,
      StreamOrder{.bounds = start.bounds,
                  .filter = std::move(filter),
                  .disk_only = (request.flags & flags::kDiskOnly) != 0,
                  .ignores_purges = (request.flags & flags::kIgnorePurged) != 0,
                  .purge_seqno = purged,
                  .generation = facts.generation},
      setup_.name, ready_of(number));
  setup_.streams.totals().streams.fetch_add(1, std::memory_order_relaxed);
  held_.fetch_add(1);
  open_.emplace(key, std::pair(number, stream));
  opened_.emplace_back(number, std::move(stream));
  wake();
  return {BinaryStatus::success, 0, facts.failover};
}

BinaryStatus Producer::close_stream(uint16_t vbucket, uint16_t stream_id) {
  const base::MutexLock lock(mutex_);
  const auto found = open_.find(Key(vbucket, stream_id));
  if (found == open_.end()) return BinaryStatus::key_not_found;
  found->second.second->close();
  ready_.push_back(found->second.first);
  open_.erase(found);
  wake();
  return BinaryStatus::success;
}

void Producer::acknowledge(uint32_t bytes) {
  const base::MutexLock lock(mutex_);
  acknowledged_ += bytes;
  wake();
}

void Producer::noop_answered() {
  noop_answered_.store(true);
}

bool Producer::has_stream_ids() const {
  const base::MutexLock lock(mutex_);
  return setup_.options.stream_ids;
}

void Producer::end() {
  ended_.store(true);
  wake();
}

void Producer::ask_to_close() {
  wants_close_.store(true);
  setup_.spool.resume();
}

Producer::Report Producer::report() const {
  const base::MutexLock lock(mutex_);
  Report report = report_;
  report.window_bytes = window_bytes_;
  report.noop_interval_s = wants_noops_ ? noop_interval_s_ : 0;
  return report;
}

void Producer::visit(const std::function<void(const Stream&)>& visit) const {
  std::vector<std::shared_ptr<Stream>> all;
  {
    const base::MutexLock lock(mutex_);
    for (const auto& [key, open] : open_)
      all.push_back(open.second);
  }
  for (const auto& stream : all)
    visit(*stream);
}

size_t Producer::streams() const {
  const base::MutexLock lock(mutex_);
  return open_.size();
}

std::function<void()> Producer::ready_of(uint64_t number) {
  return [weak = weak_from_this(), number] {
    const auto alive = std::static_pointer_cast<Producer>(weak.lock());
    if (alive == nullptr) return;
    {
      const base::MutexLock lock(alive->mutex_);
      alive->ready_.push_back(number);
    }
    alive->wake();
  };
}

// --- steps ---

Next Producer::step() {
  if (out_ == nullptr) {
    out_ = std::make_unique<Outlet>(setup_.spool, waker_of(shared_from_this()), setup_.translate);
    news_ = std::make_shared<store::News>(waker_of(shared_from_this()));
    setup_.bucket.add_reader(news_);
  }
  if (ended_.load() || out_->is_closed()) {
    let_go();
    return Next::done();
  }
  collect();
  queue_news();
  end_unprivileged();
  const Time now = std::chrono::steady_clock::now();
  out_->flush();
  const uint64_t before = out_->sent_bytes();
  advance_streams();
  if (out_->sent_bytes() != before) {
    last_sent_ = now;
    progress_->made(now);
  }
  out_->flush();
  progress_->set_stuck(!out_->has_room(), now);
  publish();
  if (out_->is_closed()) {
    let_go();
    return Next::done();
  }
  return rest(now);
}

// What loops, flushers and other streams have asked for since the last step.
void Producer::collect() {
  std::vector<std::pair<uint64_t, std::shared_ptr<Stream>>> opened;
  std::vector<uint64_t> ready;
  uint64_t acknowledged = 0;
  {
    const base::MutexLock lock(mutex_);
    opened.swap(opened_);
    ready.swap(ready_);
    acknowledged = std::exchange(acknowledged_, 0);
    out_->set_window(window_bytes_);
    const uint64_t seconds = wants_noops_ ? noop_interval_s_ : 0;
    noop_interval_ = setup_.second * static_cast<std::chrono::milliseconds::rep>(seconds);
  }
  out_->acknowledge(acknowledged);
  for (auto& [number, stream] : opened) {
    const uint16_t vbucket = stream->route().vbucket;
    news_->follow(vbucket);
    by_vbucket_[vbucket].push_back(number);
    streams_[number].stream = std::move(stream);
    queue(number);
    judges_anew_ = true;
    if (!std::exchange(has_had_stream_, true)) last_sent_ = std::chrono::steady_clock::now();
  }
  for (const uint64_t number : ready) {
    if (!end_if_too_slow(number)) queue(number);
  }
  if (std::exchange(retries_, false)) {
    for (const auto& [number, open] : streams_)
      queue(number);
  }
}

void Producer::queue(uint64_t number) {
  const auto found = streams_.find(number);
  if (found == streams_.end() || std::exchange(found->second.queued, true)) return;
  queue_.push_back(number);
}

// Whether or not there is room: who is too slow has none.
bool Producer::end_if_too_slow(uint64_t number) {
  const auto found = streams_.find(number);
  if (found == streams_.end() || !found->second.stream->is_too_slow()) return false;
  setup_.streams.totals().too_slow.fetch_add(1, std::memory_order_relaxed);
  found->second.stream->end(*out_, wire::DcpEnd::too_slow);
  forget(number);
  return true;
}

void Producer::queue_news() {
  for (const uint16_t vbucket : news_->take())
    for (const uint64_t number : by_vbucket_[vbucket])
      queue(number);
}

void Producer::end_unprivileged() {
  const uint64_t generation = setup_.access_generation();
  // A stream that came since may have been granted by what was true before.
  const bool judges_anew = std::exchange(judges_anew_, false);
  if (std::exchange(seen_generation_, generation) == generation && !judges_anew) return;
  std::vector<uint64_t> over;
  for (auto& [number, open] : streams_) {
    if (setup_.may_see(open.stream->filter())) continue;
    open.stream->end(*out_, wire::DcpEnd::lost_privileges);
    over.push_back(number);
  }
  for (const uint64_t number : over)
    forget(number);
}

void Producer::advance_streams() {
  const Time deadline = std::chrono::steady_clock::now() + kStepTime;
  const uint64_t until = out_->sent_bytes() + kStepBytes;
  while (!queue_.empty() && out_->has_room() && out_->sent_bytes() < until) {
    const uint64_t number = queue_.front();
    queue_.pop_front();
    const auto found = streams_.find(number);
    if (found == streams_.end()) continue;
    found->second.queued = false;
    settle(found->second, found->second.stream->advance(*out_), number);
    if (std::chrono::steady_clock::now() >= deadline) break;
    give_way();
  }
}

void Producer::settle(Open& open, Stream::Turn turn, uint64_t number) {
  const StreamStatus& status = open.stream->status();
  StreamTotals& totals = setup_.streams.totals();
  const auto add = [](std::atomic<uint64_t>& total, uint64_t& counted, const std::atomic<uint64_t>& now) {
    const uint64_t value = now.load(std::memory_order_relaxed);
    total.fetch_add(value - std::exchange(counted, value), std::memory_order_relaxed);
  };
  add(totals.items, open.items, status.items);
  add(totals.backfills, open.backfills, status.backfills);
  add(totals.lost_cursors, open.lost_cursors, status.lost_cursors);
  if (turn == Stream::Turn::again) queue(number);
  if (turn == Stream::Turn::retry) retries_ = true;
  if (turn == Stream::Turn::ended) forget(number);
}

void Producer::forget(uint64_t number) {
  const auto found = streams_.find(number);
  const std::shared_ptr<Stream> stream = std::move(found->second.stream);
  streams_.erase(found);
  held_.fetch_sub(1);
  const uint16_t vbucket = stream->route().vbucket;
  std::erase(by_vbucket_[vbucket], number);
  if (by_vbucket_[vbucket].empty()) news_->unfollow(vbucket);
  const base::MutexLock lock(mutex_);
  const auto open = open_.find(Key(vbucket, stream->route().stream_id));
  if (open != open_.end() && open->second.first == number) open_.erase(open);
}

void Producer::publish() {
  const uint64_t sent = out_->sent_bytes();
  setup_.streams.totals().bytes.fetch_add(sent - std::exchange(counted_bytes_, sent),
                                          std::memory_order_relaxed);
  const base::MutexLock lock(mutex_);
  report_.sent_bytes = sent;
  report_.unacknowledged_bytes = out_->unacknowledged_bytes();
  report_.is_full = out_->is_full();
  report_.is_window_full = !out_->is_window_open();
}

// When the next one is due, or the answer to the last.
std::optional<Producer::Time> Producer::care_for_noops(Time now) {
  if (noop_interval_.count() == 0 || !has_had_stream_) return std::nullopt;
  if (noop_sent_ && noop_answered_.load()) noop_sent_.reset();
  if (noop_sent_) {
    if (now < *noop_sent_ + noop_interval_) return *noop_sent_ + noop_interval_;
    setup_.streams.totals().noop_kicks.fetch_add(1, std::memory_order_relaxed);
    ask_to_close();
    return std::nullopt;
  }
  // Who does not read is dealt with by the connection's stall timeout.
  if (out_->is_full()) return now + noop_interval_;
  if (now < last_sent_ + noop_interval_) return last_sent_ + noop_interval_;
  noop_answered_.store(false);
  std::array<char, wire::kMaxDcpHeadBytes> message;
  const char* const end = wire::write_dcp_noop(message.data(), ++noop_opaque_);
  out_->send_uncounted({message.data(), static_cast<size_t>(end - message.data())});
  out_->flush();
  noop_sent_ = last_sent_ = now;
  return now + noop_interval_;
}

Next Producer::rest(Time now) {
  std::optional<Time> alarm = care_for_noops(now);
  if (out_->has_room() && !queue_.empty()) return Next::again();
  if (!out_->has_room()) {
    // Others may read the disk while this client does not take what it has.
    for (auto& [number, open] : streams_)
      if (open.stream->pause()) queue(number);
  }
  if (retries_) alarm = std::min(alarm.value_or(now + kRetryAfter), now + kRetryAfter);
  return alarm ? Next::wait_until(*alarm) : Next::wait();
}

void Producer::let_go() noexcept {
  if (std::exchange(gone_, true)) return;
  for (auto& [number, open] : streams_)
    open.stream->release();
  streams_.clear();
  queue_.clear();
  if (news_ != nullptr) setup_.bucket.remove_reader(*news_);
  news_.reset();
  decltype(opened_) opened;
  decltype(open_) open;
  {
    // They go without the lock, which those who wake streams take too.
    const base::MutexLock lock(mutex_);
    opened.swap(opened_);
    open.swap(open_);
  }
  opened.clear();
  open.clear();
  setup_.streams.leave(*this);
  setup_.may_see = nullptr;
  // The last, because it may be all that has kept the bucket.
  setup_.keeper.reset();
}

}  // namespace bobbin::feed
