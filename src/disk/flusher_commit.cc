// How a flusher writes what it has taken.
#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "base/log.h"
#include "disk/conversions.h"
#include "disk/flusher.h"
#include "disk/give_way.h"
#include "store/collection_event.h"

namespace bobbin::disk {

namespace {

// Keys that are looked up at once. The values of some come along, so not many.
constexpr size_t kLookups = 64;

}  // namespace

void Flusher::Group::clear() {
  batches.clear();
  changes.clear();
  states.clear();
  priors.clear();
  unknown.clear();
  unknown_of.clear();
  bytes = 0;
  items = 0;
}

void Flusher::forget_unknown(size_t first, const store::Change& change) {
  std::optional<store::CollectionId> dropped;
  if (change.kind == store::ChangeKind::event) {
    const auto event = store::decode_event(change.doc->value());
    if (!event || event->kind != store::EventKind::collection_dropped) return;
    dropped = event->collection;
  }
  size_t kept = first;
  for (size_t i = first; i < group_.unknown.size(); ++i) {
    if (dropped && group_.unknown[i].key.collection() != *dropped) group_.unknown[kept++] = group_.unknown[i];
  }
  group_.unknown.resize(kept);
  group_.unknown_of.resize(kept);
}

void Flusher::add_to_commit(store::FlushBatch& batch, base::Now now) {
  const size_t number = group_.states.size();
  const size_t unknown_before = group_.unknown.size();
  batch.changes.changes.for_each([&](const store::Change& change) {
    give_way_now_and_then();
    group_.changes.push_back(change_of(batch.vbucket, change, now.unix_s()));
    if (change.kind == store::ChangeKind::flush || change.kind == store::ChangeKind::event) {
      // What came before is in no count any more.
      forget_unknown(unknown_before, change);
    } else if (change.prior_unknown && batch.counts_priors && !batch.clears) {
      // There is one such change of a key in a batch at most: where its absence from the table would not say
      // that it does not exist, what the first has left in the table supersedes it.
      group_.unknown.push_back({batch.vbucket, change.doc->doc_key()});
      group_.unknown_of.push_back(number);
    }
  });
  group_.items += batch.changes.items;
  batch.state.as_of_ns = now.unix_ns;
  group_.states.push_back(state_of(batch.vbucket, std::move(batch.state)));
  group_.states.back().clears = batch.clears;
  group_.priors.emplace_back();
  if (closing_) {
    VBucketState& state = group_.states.back();
    state.reserved_seqno = state.high_seqno;
    state.reserved_cas = state.max_cas;
  }
}

void Flusher::count_priors() {
  // What the items count is a document's record, whether it has expired or not: its end is a change of its
  // own.
  const std::span<const DocumentKey> names(group_.unknown);
  const bool attributes = std::any_of(group_.states.begin(), group_.states.end(),
                                      [](const VBucketState& state) { return state.may_have_attributes; });
  for (size_t begin = 0; begin < names.size(); begin += kLookups) {
    const size_t count = std::min(kLookups, names.size() - begin);
    const auto found = shard_.are_documents(names.subspan(begin, count), attributes);
    bool is_logged = false;
    for (size_t i = 0; i < count; ++i) {
      if (found[i]) {
        if (*found[i]) {
          store::PriorsFound& priors = group_.priors[group_.unknown_of[begin + i]];
          priors.add(names[begin + i].key.collection());
        }
      } else if (!std::exchange(is_logged, true)) {
        // The write need not fail for it: one item too many is counted.
        base::log(base::LogLevel::error, "disk: counting items: " + found[i].error().message);
      }
    }
  }
  for (size_t i = 0; i < group_.states.size(); ++i)
    take_priors_off(group_.states[i], group_.priors[i]);
}

void Flusher::take_priors_off(VBucketState& state, const store::PriorsFound& priors) {
  state.items -= std::min(state.items, priors.all);
  for (const auto& [id, found] : priors.of_collections) {
    for (store::CollectionState& collection : state.collections) {
      if (collection.id == id) collection.items -= std::min(collection.items, found);
    }
  }
}

void Flusher::commit() {
  if (group_.batches.empty()) return;
  const auto begun = SteadyClock::now();
  // Read after all of it was taken: nothing in a batch is younger than what its state says.
  const base::Now now = clock_.now();
  for (store::FlushBatch& batch : group_.batches)
    add_to_commit(batch, now);
  in_progress_.begin(0, begun);
  count_priors();
  const auto committed = shard_.commit(group_.changes, group_.states, Sync::yes);
  in_progress_.end(0);
  if (!committed) return fail_with(committed.error());
  for (size_t i = 0; i < group_.batches.size(); ++i) {
    give_way_now_and_then(group_.batches[i].changes.items);
    bucket_.persisted(group_.batches[i], group_.priors[i]);
  }
  {
    const base::MutexLock lock(mutex_);
    ++numbers_.commits;
    numbers_.flushed_items += group_.items;
    numbers_.flushed_bytes += group_.bytes;
    const auto took = SteadyClock::now() - begun;
    numbers_.last_commit_us = microseconds(took);
    numbers_.commit_times.add(static_cast<uint64_t>(std::chrono::nanoseconds(took).count()));
    numbers_.longest_commit_us = std::max(numbers_.longest_commit_us, numbers_.last_commit_us);
  }
  group_.clear();
  call_waiters(false);
}

void Flusher::fail_with(const Error& error) {
  base::log(base::LogLevel::error, "disk: " + error.message + ": its vbuckets are read-only from here on");
  {
    const base::MutexLock lock(mutex_);
    failure_ = error;
    ++numbers_.commit_failures;
  }
  failed_.store(true, std::memory_order_release);
  refuse_changes();
  // Nobody must wait for these to become fewer.
  uint64_t stuck = group_.bytes;
  for (uint32_t vbucket = options_.shard; vbucket < bucket_.vbucket_count(); vbucket += options_.shards)
    stuck += bucket_.take_log(static_cast<uint16_t>(vbucket), clock_.now()).changes.bytes;
  stuck_bytes_.store(stuck, std::memory_order_relaxed);
  group_.clear();
  call_waiters(true);
}

bool Flusher::is_to_wait_on(const Waiter& waiter) const {
  // What was cleared with its vbucket will never be on disk.
  return waiter.seqno != 0 && bucket_.persisted_seqno(waiter.vbucket) < waiter.seqno &&
         bucket_.high_seqno(waiter.vbucket) >= waiter.seqno;
}

void Flusher::call_waiters(bool is_all_done) {
  std::vector<Waiter> waiters;
  {
    const base::MutexLock lock(mutex_);
    waiters.swap(waiters_);
  }
  const bool calls_all = is_all_done || failed();
  const auto kept = std::partition(waiters.begin(), waiters.end(),
                                   [&](const Waiter& waiter) { return calls_all || !is_to_wait_on(waiter); });
  std::for_each(waiters.begin(), kept, [](const Waiter& waiter) { waiter.waker(); });
  if (kept == waiters.end()) return;
  const base::MutexLock lock(mutex_);
  std::move(kept, waiters.end(), std::back_inserter(waiters_));
}

}  // namespace bobbin::disk
