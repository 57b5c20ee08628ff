#include "serve/disk_wait.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <utility>

namespace bobbin::serve {
namespace {

// A commit frees memory, but others may take it first.
constexpr uint8_t kRoomTries = 50;

// A shard's bit. With more than 64 shards some share one, and are woken a little too often.
uint64_t shard_bit(const disk::Persistence& disk, uint16_t vbucket) {
  return uint64_t{1} << (disk.directory().shard_number(vbucket) % 64);
}

}  // namespace

struct DiskWait::Wake {
  explicit Wake(net::Spool connection) : spool(std::move(connection)) {}

  net::Spool spool;
  std::atomic<uint32_t> fetches_done{0};
  std::atomic<uint64_t> asked{0};  // shards that will call after their next commit
  uint32_t fetches_started = 0;    // the loop's
};

DiskWait::DiskWait(disk::Persistence& disk, net::Connection& connection, bool durable)
    : disk_(disk), connection_(connection), durable_(durable) {}

DiskWait::~DiskWait() = default;

std::shared_ptr<DiskWait::Wake>& DiskWait::wake() {
  if (wake_ == nullptr) wake_ = std::make_shared<Wake>(connection_.spool());
  return wake_;
}

bool DiskWait::fetch(std::span<const store::DocKey> keys) {
  assert(!keys.empty() && keys.size() <= kMaxKeys && !retrying_);
  if (std::exchange(fetch_failed_, false)) return false;
  retrying_ = true;
  ++wake()->fetches_started;
  fetching_ = disk_.fetch(keys, [wake = wake_] {
    wake->fetches_done.fetch_add(1, std::memory_order_release);
    wake->spool.resume();
  });
  return true;
}

bool DiskWait::await_room(uint16_t vbucket) {
  assert(!retrying_);
  if (!disk_.writable(vbucket) || !disk_.has_uncommitted() || room_tries_ == kRoomTries) return false;
  ++room_tries_;
  retrying_ = true;
  await_commit(vbucket);
  return true;
}

void DiskWait::changed(uint16_t vbucket, uint64_t seqno, bool durably) {
  wrote_ = true;
  last_written_ = vbucket;
  if (durable_ || durably) await_seqno(vbucket, seqno);
}

void DiskWait::refused(uint16_t vbucket, bool durably) {
  if ((!durable_ && !durably) || !disk_.writable(vbucket)) return;
  // Whatever it was, it has no higher one.
  const uint64_t seqno = disk_.bucket().high_seqno(vbucket);
  if (disk_.bucket().persisted_seqno(vbucket) < seqno) await_seqno(vbucket, seqno);
}

void DiskWait::await_seqno(uint16_t vbucket, uint64_t seqno) {
  if (!written_.empty() && written_.back().vbucket == vbucket) {
    written_.back().seqno = std::max(written_.back().seqno, seqno);
    return;
  }
  written_.push_back({vbucket, seqno});
  if (written_.size() >= merge_at_) merge_written();
}

// One entry for each vbucket, so that no pipeline makes the list longer than there are vbuckets.
void DiskWait::merge_written() {
  std::sort(written_.begin(), written_.end(), [](const Written& one, const Written& other) {
    return one.vbucket != other.vbucket ? one.vbucket < other.vbucket : one.seqno > other.seqno;
  });
  const auto same = [](const Written& one, const Written& other) { return one.vbucket == other.vbucket; };
  written_.erase(std::unique(written_.begin(), written_.end(), same), written_.end());
  merge_at_ = std::max(kMergeAt, 2 * written_.size());
}

void DiskWait::await_commit(uint16_t vbucket) {
  awaits_commit_ = true;
  awaited_shard_ = shard_bit(disk_, vbucket);
  call_after_commit(vbucket);
}

void DiskWait::call_after_commit(uint16_t vbucket, uint64_t seqno) {
  const uint64_t bit = shard_bit(disk_, vbucket);
  if ((wake()->asked.fetch_or(bit, std::memory_order_acq_rel) & bit) != 0) return;
  disk_.after_commit_of(vbucket, seqno, [wake = wake_, bit] {
    wake->asked.fetch_and(~bit, std::memory_order_acq_rel);
    wake->spool.resume();
  });
}

bool DiskWait::fetch_pending() const noexcept {
  return fetching_ != nullptr &&
         wake_->fetches_done.load(std::memory_order_acquire) != wake_->fetches_started;
}

bool DiskWait::commit_pending() const noexcept {
  return awaits_commit_ && (wake_->asked.load(std::memory_order_acquire) & awaited_shard_) != 0;
}

void DiskWait::forget_committed() {
  const store::Bucket& bucket = disk_.bucket();
  std::erase_if(written_, [&](const Written& written) {
    // What was cleared with its vbucket will never be on disk.
    return bucket.persisted_seqno(written.vbucket) >= written.seqno ||
           bucket.high_seqno(written.vbucket) < written.seqno;
  });
  if (!written_.empty() || written_.capacity() <= kMergeAt) return;
  std::vector<Written>().swap(written_);
  merge_at_ = kMergeAt;
}

bool DiskWait::has_unsaved_moment() {
  if (!moment_written_) return false;
  const store::Bucket& bucket = disk_.bucket();
  if (bucket.unsaved_flush_moments() != 0) {
    for (uint32_t shard = 0; shard < disk_.directory().shards(); ++shard)
      call_after_commit(static_cast<uint16_t>(shard));
  }
  // In this order: where it can never be saved, nothing counts as unsaved any more.
  moment_written_ = bucket.unsaved_flush_moments() != 0;
  if (disk_.failure()) lost_ = true;
  return moment_written_;
}

bool DiskWait::has_uncommitted() {
  const bool has_moment = has_unsaved_moment();
  if (written_.empty()) return has_moment;
  forget_committed();
  if (written_.empty()) return has_moment;
  // The last of each shard is the last to be committed, as a rule.
  for (auto written = written_.rbegin(); written != written_.rend(); ++written)
    call_after_commit(written->vbucket, written->seqno);
  // What was committed before the question is not told any more.
  forget_committed();
  lost_ = lost_ || std::any_of(written_.begin(), written_.end(),
                               [&](const Written& written) { return !disk_.writable(written.vbucket); });
  return has_moment || !written_.empty();
}

bool DiskWait::suspend_if_waiting() {
  const bool uncommitted = has_uncommitted();
  if (lost_) {
    // The replies say that it is stored, and it is not.
    connection_.close_now(net::CloseReason::by_receiver);
    return true;
  }
  if (!uncommitted && !fetch_pending() && !commit_pending()) return false;
  connection_.suspend(uncommitted ? net::Hold::replies : net::Hold::nothing);
  return true;
}

bool DiskWait::settle() {
  if (lost_) return true;
  if (!retrying_) {
    fetching_.reset();
    fetch_failed_ = false;
    room_tries_ = 0;
    if (std::exchange(wrote_, false) && disk_.over_dirty_limit() && disk_.writable(last_written_)) {
      await_commit(last_written_);
    }
  }
  const bool again = retrying_;
  // Where the connection had to be closed, this is gone now.
  if (suspend_if_waiting()) return true;
  if (!again) return false;
  // What was waited for has come in the meantime; it is resumed for that, and goes on in on_resumed.
  connection_.suspend(net::Hold::nothing);
  return true;
}

bool DiskWait::resumed() {
  if (lost_ || suspend_if_waiting()) return false;
  begin_again();
  return true;
}

void DiskWait::begin_again() noexcept {
  awaits_commit_ = false;
  if (std::exchange(retrying_, false)) fetch_failed_ = fetching_ != nullptr && fetching_->failed();
}

DiskWait::Commit DiskWait::commit() {
  const bool uncommitted = has_uncommitted();
  if (lost_) return Commit::lost;
  return uncommitted ? Commit::pending : Commit::done;
}

void DiskWait::take_written(DiskWait& other) {
  for (const Written& written : other.written_)
    await_seqno(written.vbucket, written.seqno);
  other.written_.clear();
  moment_written_ = std::exchange(other.moment_written_, false) || moment_written_;
}

void DiskWait::take_throttle(DiskWait& other) noexcept {
  if (!std::exchange(other.wrote_, false)) return;
  wrote_ = true;
  last_written_ = other.last_written_;
}

}  // namespace bobbin::serve
