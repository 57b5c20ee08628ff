#include "disk/warmup.h"

#include <sys/resource.h>

#include <algorithm>
#include <string>

#include "base/log.h"
#include "base/thread_name.h"
#include "disk/conversions.h"

namespace bobbin::disk {

namespace {

// Up to here memory is filled ahead of anybody who asks. A quarter is left for those who write, so that a
// server that has just started need not evict what it has just read.
constexpr uint64_t kLowWaterPercent = 75;
// Documents between looks at the clock, the memory, and whether to stop.
constexpr uint64_t kStep = 128;
// And bytes of values: as many documents as that may be more than there is memory.
constexpr uint64_t kStepBytes = 256 << 10;
// Documents of one reader: it keeps the files of its moment, and tickets grow old.
constexpr uint64_t kDocumentsPerReader = 4'000'000;
constexpr int kNiceness = 10;
// Between looks at how far the other shards are.
constexpr std::chrono::milliseconds kPause{2};

}  // namespace

Warmup::Warmup(store::Bucket& bucket, const Shard& shard, const base::Clock& clock, uint32_t number,
               uint32_t shards, std::shared_ptr<WarmupPlan> plan)
    : bucket_(bucket),
      shard_(shard),
      clock_(clock),
      number_(number),
      shards_(shards),
      plan_(std::move(plan)),
      next_(number),
      tickets_(bucket.vbucket_count()),
      missed_(bucket.vbucket_count()),
      now_(clock.now()) {}

Warmup::~Warmup() {
  stop();
}

uint64_t Warmup::since_begun_us() const noexcept {
  const auto passed = std::chrono::steady_clock::now() - begun_;
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(passed).count());
}

void Warmup::start() {
  begun_ = std::chrono::steady_clock::now();
  thread_ = std::thread([this] { run(); });
}

void Warmup::stop() {
  stopping_.store(true, std::memory_order_relaxed);
  if (thread_.joinable()) thread_.join();
}

WarmupNumbers Warmup::numbers() const noexcept {
  WarmupNumbers numbers;
  numbers.finished = finished_.load(std::memory_order_acquire);
  numbers.items = items_told_.load(std::memory_order_relaxed);
  numbers.values = values_told_.load(std::memory_order_relaxed);
  numbers.vbuckets_done = vbuckets_done_.load(std::memory_order_relaxed);
  numbers.failed = failed_.load(std::memory_order_relaxed);
  const uint64_t took_us = took_us_.load(std::memory_order_relaxed);
  numbers.elapsed_us = took_us != 0 ? took_us : since_begun_us();
  return numbers;
}

void Warmup::publish_numbers() noexcept {
  items_told_.store(items_, std::memory_order_relaxed);
  values_told_.store(values_, std::memory_order_relaxed);
}

bool Warmup::is_step(uint64_t value_bytes) noexcept {
  bytes_since_step_ += value_bytes;
  if (++seen_ % kStep != 0 && bytes_since_step_ < kStepBytes) return false;
  bytes_since_step_ = 0;
  return true;
}

bool Warmup::is_full(uint64_t value_bytes) {
  has_room_ = bucket_.used_bytes() + value_bytes < bucket_.quota_bytes() / 100 * kLowWaterPercent;
  // With value eviction, keys come whether or not there is room.
  return !has_room_ && (evicts_in_full() || pass_ == Pass::rest);
}

bool Warmup::evicts_in_full() const noexcept {
  return bucket_.eviction_policy() == store::EvictionPolicy::full;
}

void Warmup::take_tickets() {
  for (uint32_t vbucket = next_; vbucket < tickets_.size(); vbucket += shards_)
    tickets_[vbucket] = bucket_.begin_load(static_cast<uint16_t>(vbucket));
}

void Warmup::finish(uint32_t vbucket, bool complete) {
  if (complete) bucket_.learn_revisions(static_cast<uint16_t>(vbucket), seen_revisions_);
  seen_revisions_ = {};
  if (!finishes_) return;
  bucket_.finish_warmup(static_cast<uint16_t>(vbucket), complete && !missed_[vbucket]);
  vbuckets_done_.fetch_add(1, std::memory_order_relaxed);
}

void Warmup::finish_until(uint32_t vbucket, bool complete) {
  for (; next_ < vbucket; next_ += shards_)
    finish(next_, complete);
}

void Warmup::run() {
  base::name_thread("warmup");
  // Who waits for an answer goes first. (On Linux this is of the thread; where it fails, so be it.)
  setpriority(PRIO_PROCESS, 0, kNiceness);
  if (plan_->warm.empty())
    walk_all(Pass::all);
  else
    walk_in_two();
  plan_.reset();
  learn_the_rest();
  publish_numbers();
  took_us_.store(std::max<uint64_t>(since_begun_us(), 1), std::memory_order_relaxed);
  finished_.store(!stopping_.load(std::memory_order_relaxed), std::memory_order_release);
}

void Warmup::walk_in_two() {
  const Walked walked = walk_all(Pass::warm);
  plan_->shards_left.fetch_sub(1, std::memory_order_acq_rel);
  if (walked == Walked::to_the_end) wait_for_the_other_shards();
  if (stopping_.load(std::memory_order_relaxed)) return;
  if (walked == Walked::to_the_end) {
    walk_all(Pass::rest);
  } else if (evicts_in_full()) {
    next_ = number_;
    finishes_ = true;
    finish_until(bucket_.vbucket_count(), false);
  }
}

void Warmup::wait_for_the_other_shards() {
  while (plan_->shards_left.load(std::memory_order_acquire) != 0 &&
         !stopping_.load(std::memory_order_relaxed))
    std::this_thread::sleep_for(kPause);
}

Warmup::Walked Warmup::walk_all(Pass pass) {
  pass_ = pass;
  next_ = number_;
  // With value eviction a vbucket is known when all its keys are, whichever have their values.
  finishes_ = pass == Pass::all || (pass == Pass::warm) != evicts_in_full();
  Walked walked = Walked::to_a_rest;
  while (walked == Walked::to_a_rest)
    walked = walk();
  if (walked == Walked::damaged) {
    walk_one_by_one();
  } else if (walked != Walked::stopped) {
    finish_until(bucket_.vbucket_count(), walked == Walked::to_the_end);
  }
  return walked;
}

Warmup::Walked Warmup::walk() {
  take_tickets();
  seen_revisions_ = {};
  const auto reader = shard_.read_keys_from(static_cast<uint16_t>(next_));
  uint64_t documents = 0;
  for (;;) {
    const Result<bool> more = reader->next();
    if (!more) return Walked::damaged;
    if (!*more) return Walked::to_the_end;
    if (reader->vbucket() != next_) {
      finish_until(reader->vbucket(), true);
      items_before_vbucket_ = items_;
      if (documents >= kDocumentsPerReader) return Walked::to_a_rest;
    }
    ++documents;
    if (const auto stop = step(*reader)) return *stop;
    load(*reader);
  }
}

std::optional<Warmup::Walked> Warmup::step(const KeyReader& reader) {
  const uint64_t value_bytes = reader.record().value.size();
  if (!is_step(value_bytes)) return std::nullopt;
  publish_numbers();
  now_ = clock_.now();
  if (is_full(value_bytes)) return Walked::full;
  if (stopping_.load(std::memory_order_relaxed)) return Walked::stopped;
  return std::nullopt;
}

void Warmup::walk_one_by_one() {
  items_ = items_before_vbucket_;
  // The damage may be in this vbucket or in one behind it, and another may begin in the same block.
  for (bool full = false; next_ < bucket_.vbucket_count(); next_ += shards_) {
    const Walked walked = full ? Walked::full : walk_one(static_cast<uint16_t>(next_));
    if (walked == Walked::stopped) return;
    full = walked == Walked::full;
    finish(next_, walked == Walked::to_the_end);
  }
}

Warmup::Walked Warmup::walk_one(uint16_t vbucket) {
  tickets_[vbucket] = bucket_.begin_load(vbucket);
  seen_revisions_ = {};
  const auto reader = shard_.read_keys(vbucket);
  for (;;) {
    const Result<bool> more = reader->next();
    if (!more) {
      base::log(base::LogLevel::error, "disk: warmup of vbucket " + std::to_string(vbucket) +
                                           ", which goes on without: " + more.error().message);
      failed_.store(true, std::memory_order_relaxed);
      return Walked::damaged;
    }
    if (!*more) return Walked::to_the_end;
    if (const auto stop = step(*reader)) return *stop;
    load(*reader);
  }
}

bool Warmup::is_wanted(bool is_warm) const noexcept {
  switch (pass_) {
    case Pass::all:
      return true;
    case Pass::warm:
      return is_warm || !evicts_in_full();
    case Pass::rest:
      return !is_warm;
  }
  return true;
}

void Warmup::learn_the_rest() {
  for (uint32_t i = number_; i < bucket_.vbucket_count(); i += shards_) {
    const auto vbucket = static_cast<uint16_t>(i);
    if (!bucket_.lacks_revisions(vbucket)) continue;
    store::SeenRevisions seen;
    const auto reader = shard_.read_keys(vbucket);
    for (;;) {
      if (stopping_.load(std::memory_order_relaxed)) return;
      const Result<bool> more = reader->next();
      // The walk has told of it. What cannot be read can be stored anew: behind what the vbucket's changes
      // can have come to.
      if (!more) {
        seen.all = false;
        seen.revision = std::max(seen.revision, bucket_.high_seqno(vbucket));
      }
      if (!more || !*more) {
        bucket_.learn_revisions(vbucket, seen);
        break;
      }
      const Record& record = reader->record();
      seen.take(record.revision, is_tombstone(record.kind) ? std::optional(record.cas) : std::nullopt);
    }
  }
}

void Warmup::load(const KeyReader& reader) {
  const Record& record = reader.record();
  seen_revisions_.take(record.revision, is_tombstone(record.kind) ? std::optional(record.cas) : std::nullopt);
  if (!is_loadable(record)) return;
  const uint16_t vbucket = reader.vbucket();
  const bool is_warm = pass_ != Pass::all && plan_->warm.contains(vbucket, reader.key());
  if (!is_wanted(is_warm)) return;
  const bool with_value = evicts_in_full() || (has_room_ && (is_warm || pass_ != Pass::warm));
  store::LoadedRecord loaded = loaded_of(record, with_value);
  // Else what nobody asks for between two restarts would be as good as the rest after the second.
  if (is_warm) loaded.frequency = 1;
  const store::LoadStatus status =
      bucket_.load(reader.key(), &loaded, tickets_[vbucket], store::LoadPurpose::warmup, now_).status;
  if (status == store::LoadStatus::no_memory) missed_[vbucket] = true;
  // What somebody has changed and evicted meanwhile is not worth another read: only full eviction takes
  // documents out, and then the table has not everything anyway.
  if (!loaded.deleted && (pass_ != Pass::rest || evicts_in_full())) ++items_;
  if (with_value && status == store::LoadStatus::installed) ++values_;
}

}  // namespace bobbin::disk
