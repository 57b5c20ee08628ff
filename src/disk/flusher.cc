#include "disk/flusher.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/thread_name.h"
#include "disk/conversions.h"
#include "disk/give_way.h"

namespace bobbin::disk {

namespace {

// How long to wait when there was no memory to take changes.
constexpr std::chrono::milliseconds kMemoryPause{10};
// Between looks at how much is dirty.
constexpr std::chrono::milliseconds kShortestLook{1};
constexpr std::chrono::milliseconds kLongestLook{10};
// How often finish() tries to get memory.
constexpr int kMemoryTries = 100;
// Where writers wait for room, each commit lets them in once: it must take more than they bring.
constexpr uint64_t kHurriedCommitBytes = 4 << 20;
// Where somebody waits for each, a sync more costs him more than what cannot give way costs others.
constexpr uint64_t kAwaitedCommitBytes = 512 << 10;

}  // namespace

Flusher::Flusher(store::Bucket& bucket, Shard& shard, const base::Clock& clock, const FlusherOptions& options)
    : bucket_(bucket), shard_(shard), clock_(clock), options_(options) {
  bucket_.set_flush_waker(options_.shard, [this] { wake(); });
}

Flusher::~Flusher() {
  stop();
  end_waiting();
}

void Flusher::start() {
  (void)pass();
  thread_ = std::thread([this] { run(); });
}

void Flusher::stop() {
  bucket_.set_flush_waker(options_.shard, nullptr);
  {
    const base::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Flusher::end_waiting() {
  {
    const base::MutexLock lock(mutex_);
    ended_ = true;
  }
  call_waiters(true);
}

void Flusher::refuse_changes() {
  for (uint32_t vbucket = options_.shard; vbucket < bucket_.vbucket_count(); vbucket += options_.shards)
    bucket_.refuse_changes(static_cast<uint16_t>(vbucket));
}

Result<void> Flusher::finish() {
  // From here on no state is outdated by the time it is on disk.
  refuse_changes();
  int tries = 0;
  for (Passed passed = pass(); passed != Passed::nothing && !failed(); passed = pass()) {
    if (passed != Passed::no_memory) continue;
    if (++tries == kMemoryTries)
      fail_with({ErrorKind::io, shard_.path(), shard_.path() + ": no memory to write what is not on disk"});
    std::this_thread::sleep_for(kMemoryPause);
  }
  closing_ = true;
  for (uint32_t vbucket = options_.shard; vbucket < bucket_.vbucket_count() && !failed();
       vbucket += options_.shards)
    group_.batches.push_back(bucket_.take_log(static_cast<uint16_t>(vbucket), clock_.now()));
  if (!failed()) commit();
  end_waiting();
  if (auto error = failure()) return base::fail(std::move(*error));
  return {};
}

void Flusher::after_commit(Waiter waiter) {
  {
    const base::MutexLock lock(mutex_);
    if (!ended_) {
      waiters_.push_back(std::move(waiter));
      changed_.notify_all();
      return;
    }
  }
  // There will be no commit any more.
  waiter.waker();
}

std::optional<Error> Flusher::failure() const {
  const base::MutexLock lock(mutex_);
  return failure_;
}

FlusherStatistics Flusher::statistics() const {
  const base::MutexLock lock(mutex_);
  FlusherStatistics numbers = numbers_;
  if (dirty_since_) numbers.oldest_dirty_us = microseconds(SteadyClock::now() - *dirty_since_);
  return numbers;
}

void Flusher::wake() {
  const base::MutexLock lock(mutex_);
  // Once for each time it was armed, for a change; otherwise somebody is out of memory.
  if (!std::exchange(armed_, false)) hurried_ = true;
  if (!dirty_since_) dirty_since_ = SteadyClock::now();
  woken_ = true;
  changed_.notify_all();
}

bool Flusher::wait_for_work() {
  {
    const base::MutexLock lock(mutex_);
    woken_ = false;
    armed_ = !failed();
  }
  if (!failed()) {
    const bool has_work = bucket_.arm_flush_waker(options_.shard);
    const base::MutexLock lock(mutex_);
    if (has_work) {
      armed_ = false;
      woken_ = true;
      if (!dirty_since_) dirty_since_ = SteadyClock::now();
    } else if (!woken_) {
      dirty_since_.reset();
    }
  }
  const base::MutexLock lock(mutex_);
  while (!stopping_ && !woken_ && waiters_.empty())
    changed_.wait(mutex_);
  return !stopping_;
}

bool Flusher::is_in_hurry() const {
  return stopping_ || hurried_ || !waiters_.empty() || is_much_dirty();
}

bool Flusher::is_waited_for() const {
  const base::MutexLock lock(mutex_);
  return !waiters_.empty();
}

bool Flusher::linger() {
  const base::MutexLock lock(mutex_);
  const auto until = dirty_since_.value_or(SteadyClock::now()) + options_.linger;
  // Nobody tells when much has become dirty: look a few times.
  const auto step = std::clamp<SteadyClock::duration>(options_.linger / 4, kShortestLook, kLongestLook);
  while (!is_in_hurry()) {
    const auto now = SteadyClock::now();
    if (now >= until) break;
    changed_.wait_until(mutex_, std::min(until, now + step));
  }
  hurried_ = false;
  return !stopping_;
}

void Flusher::run() {
  base::name_thread("flusher");
  while (wait_for_work()) {
    Passed passed = Passed::nothing;
    if (!failed()) {
      if (!linger()) return;
      passed = pass();
    }
    // All that anybody waits for is on disk, or will never be. (Who changed something meanwhile asks again.)
    if (passed == Passed::nothing) call_waiters(true);
    if (passed == Passed::no_memory) std::this_thread::sleep_for(kMemoryPause);
  }
}

Flusher::Passed Flusher::pass() {
  const auto begun = SteadyClock::now();
  const store::DirtyWork work = bucket_.take_dirty(options_.shard);
  if (work.vbuckets.empty()) return Passed::nothing;
  Passed passed = Passed::something;
  const bool hurries = work.urgent || is_much_dirty();
  const InHurry in_hurry(hurries);
  uint64_t commit_bytes = options_.commit_bytes;
  if (hurries)
    commit_bytes = std::max(commit_bytes, kHurriedCommitBytes);
  else if (is_waited_for())
    commit_bytes = std::max(commit_bytes, kAwaitedCommitBytes);
  for (const uint16_t vbucket : work.vbuckets) {
    if (failed()) break;
    store::FlushBatch batch = bucket_.take_log(vbucket, clock_.now());
    // The bucket has marked it dirty again.
    if (batch.changes.no_memory) {
      passed = Passed::no_memory;
      continue;
    }
    give_way_now_and_then(batch.changes.items);
    group_.bytes += batch.changes.bytes;
    group_.batches.push_back(std::move(batch));
    if (group_.bytes >= commit_bytes) commit();
  }
  if (!failed()) commit();
  const base::MutexLock lock(mutex_);
  // What has changed since is younger than this pass.
  if (passed == Passed::something) dirty_since_ = begun;
  return passed;
}

}  // namespace bobbin::disk
