#include "store/sweeper.h"

#include <algorithm>
#include <chrono>

#include "base/thread_name.h"

namespace bobbin::store {

namespace {

// Bounds of a step: long enough to be worth a wake, short enough to leave the core quickly.
constexpr uint32_t kGarbagePerStep = 1024;
constexpr uint64_t kMinDocumentsPerStep = 512;

}  // namespace

Sweeper::Sweeper(Bucket& bucket, const base::Clock& clock, const SweeperOptions& options)
    : bucket_(bucket), clock_(clock), options_(options) {
  bucket_.set_sweep_waker([this] {
    const base::MutexLock lock(mutex_);
    woken_ = true;
    ++wakes_;
    wake_.notify_one();
  });
}

Sweeper::~Sweeper() {
  bucket_.set_sweep_waker(nullptr);
  {
    const base::MutexLock lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Sweeper::start() {
  thread_ = std::thread([this] { run(); });
}

uint64_t Sweeper::wakes() const {
  const base::MutexLock lock(mutex_);
  return wakes_;
}

uint64_t Sweeper::step() {
  const base::Now now = clock_.now();
  if (bucket_.sweep_garbage(kGarbagePerStep, now)) return 0;

  uint64_t pause_ms = kUntilWoken;
  const SweepLoad load = bucket_.sweep_load();
  if (load.items_with_expiry != 0) {
    // As few documents in each step as finish the round in time, but enough to be worth waking up for.
    const uint64_t steps =
        std::max<uint32_t>(1, options_.round_ms / std::max<uint32_t>(1, options_.min_pause_ms));
    const uint64_t documents = std::max(kMinDocumentsPerStep, load.items_to_examine / steps + 1);
    const SweepPass pass =
        bucket_.sweep_expired(static_cast<uint32_t>(std::min<uint64_t>(documents, UINT32_MAX)), now);
    const double share = std::min(1.0, static_cast<double>(std::max<uint64_t>(pass.examined, 1)) /
                                           static_cast<double>(std::max<uint64_t>(load.items_to_examine, 1)));
    pause_ms = std::max<uint64_t>(options_.min_pause_ms, static_cast<uint64_t>(share * options_.round_ms));
  }

  const SweepWork work = bucket_.arm_sweep_waker();
  if (work.garbage) return 0;
  if (work.items_with_expiry != 0) pause_ms = std::min<uint64_t>(pause_ms, options_.round_ms);
  if (work.flush_deadline_s != 0) {
    const uint64_t deadline_ms = uint64_t{work.flush_deadline_s} * 1000;
    const uint64_t now_ms = now.unix_ns / 1'000'000;
    pause_ms = std::min(pause_ms, deadline_ms > now_ms ? deadline_ms - now_ms : 0);
  }
  return pause_ms;
}

void Sweeper::wait_ms(uint64_t milliseconds) {
  const base::MutexLock lock(mutex_);
  while (!woken_ && !stopping_) {
    if (milliseconds == kUntilWoken) {
      wake_.wait(mutex_);
    } else if (wake_.wait_for(mutex_, std::chrono::milliseconds(milliseconds)) == std::cv_status::timeout) {
      break;
    }
  }
  woken_ = false;
}

void Sweeper::run() {
  base::name_thread("sweeper");
  while (true) {
    const uint64_t pause_ms = step();
    if (pause_ms != 0) wait_ms(pause_ms);
    const base::MutexLock lock(mutex_);
    if (stopping_) return;
  }
}

}  // namespace bobbin::store
