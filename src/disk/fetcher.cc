#include "disk/fetcher.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/thread_name.h"
#include "disk/conversions.h"

namespace bobbin::disk {

namespace {

// Keys that a reader takes at once when many wait.
constexpr size_t kLargestBatch = 32;
// Above this a value is large: read one at a time.
constexpr uint64_t kLargeValueBytes = 16 << 10;
// Who waits for many keys is given no more once it has so many bytes: it runs again with these, and asks
// anew.
constexpr uint64_t kEnoughBytes = 1 << 20;
// No memory is a moment's trouble or a lasting one.
constexpr int kMemoryTries = 5;
constexpr std::chrono::milliseconds kMemoryPause{5};

/// The key whose stored form this is, for as long as the text is there.
store::DocKey named_in(const std::string& stored) {
  return store::DocKey::parse(stored).value_or(store::DocKey());
}

}  // namespace

/// Somebody who waits for keys, and the pins of those that have come. Readers write to a place of their own
/// each, the last of them calls `done`.
class Fetcher::Wait final : public Fetching {
 public:
  Wait(size_t keys, std::function<void()> done) : done_(std::move(done)), pins_(keys), missing_(keys) {}

  [[nodiscard]] bool failed() const noexcept override { return failed_.load(std::memory_order_acquire); }

  [[nodiscard]] bool has_enough() const noexcept {
    return bytes_.load(std::memory_order_relaxed) >= kEnoughBytes;
  }
  void arrived(size_t place, store::DocumentRef pin, bool failed) {
    if (pin) bytes_.fetch_add(pin->value_size(), std::memory_order_relaxed);
    pins_[place] = std::move(pin);
    if (failed) failed_.store(true, std::memory_order_release);
    if (missing_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    // What the callback holds must not keep what holds the callback.
    const std::function<void()> done = std::move(done_);
    done_ = nullptr;
    done();
  }

 private:
  std::function<void()> done_;
  std::vector<store::DocumentRef> pins_;
  std::atomic<uint64_t> bytes_{0};
  std::atomic<size_t> missing_;
  std::atomic<bool> failed_{false};
};

Fetcher::Fetcher(store::Bucket& bucket, Directory& directory, const base::Clock& clock, uint32_t readers)
    : bucket_(bucket),
      directory_(directory),
      clock_(clock),
      readers_(std::max(readers, 1U)),
      queues_(directory.shards()),
      reads_(directory.shards()),
      in_progress_(readers_) {}

Fetcher::~Fetcher() {
  stop();
}

void Fetcher::start() {
  for (uint32_t i = 0; i < readers_; ++i)
    threads_.emplace_back([this, i] { run(i); });
}

void Fetcher::stop() {
  Wanted left;
  {
    const base::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  for (std::thread& thread : threads_)
    thread.join();
  threads_.clear();
  {
    const base::MutexLock lock(mutex_);
    left.swap(wanted_);
    for (auto& queue : queues_)
      queue.clear();
    queued_ = 0;
  }
  for (auto& [key, waiters] : left) {
    for (Waiter& waiter : waiters)
      waiter.wait->arrived(waiter.place, {}, true);
  }
}

std::shared_ptr<Fetching> Fetcher::fetch(std::span<const store::DocKey> keys, std::function<void()> done) {
  auto wait = std::make_shared<Wait>(keys.size(), std::move(done));
  waiters_.fetch_add(keys.size(), std::memory_order_relaxed);
  bool is_over = false;
  {
    const base::MutexLock lock(mutex_);
    is_over = stopping_;
    for (size_t i = 0; i < keys.size() && !is_over; ++i) {
      const auto [at, is_new] = wanted_.try_emplace(keys[i].stored());
      at->second.push_back({wait, i});
      if (!is_new) continue;
      queues_[directory_.shard_number(bucket_.vbucket_of(keys[i]))].push_back(named_in(at->first));
      ++queued_;
      changed_.notify_one();
    }
  }
  for (size_t i = 0; i < keys.size() && is_over; ++i)
    wait->arrived(i, {}, true);
  return wait;
}

FetcherStatistics Fetcher::statistics() const {
  FetcherStatistics numbers;
  numbers.fetches = fetches_.load(std::memory_order_relaxed);
  numbers.waiters = waiters_.load(std::memory_order_relaxed);
  numbers.failures = failures_.load(std::memory_order_relaxed);
  const base::MutexLock lock(mutex_);
  numbers.pending = wanted_.size();
  return numbers;
}

void Fetcher::run(size_t reader) {
  base::name_thread("fetcher");
  for (auto keys = take(); !keys.empty(); keys = take())
    read(keys, reader);
}

std::vector<store::DocKey> Fetcher::take() {
  std::vector<store::DocKey> keys;
  const base::MutexLock lock(mutex_);
  while (!stopping_ && queued_ == 0)
    changed_.wait(mutex_);
  if (stopping_) return keys;
  while (queues_[next_queue_].empty())
    next_queue_ = (next_queue_ + 1) % queues_.size();
  std::deque<store::DocKey>& queue = queues_[next_queue_];
  // A fair share: while few wait, each gets a reader of its own.
  const bool are_large = last_value_bytes_.load(std::memory_order_relaxed) > kLargeValueBytes;
  const size_t share = are_large ? 1 : std::clamp<size_t>(queued_ / readers_, 1, kLargestBatch);
  while (!queue.empty() && keys.size() < share) {
    keys.push_back(queue.front());
    queue.pop_front();
  }
  queued_ -= keys.size();
  next_queue_ = (next_queue_ + 1) % queues_.size();
  return keys;
}

bool Fetcher::is_wanted(store::DocKey key) const {
  const base::MutexLock lock(mutex_);
  const Waiters& waiters = wanted_.find(key.stored())->second;
  return std::any_of(waiters.begin(), waiters.end(),
                     [](const Waiter& waiter) { return !waiter.wait->has_enough(); });
}

void Fetcher::read(std::span<const store::DocKey> keys, size_t reader) {
  std::vector<Arrival> arrivals(keys.size());
  if (keys.size() == 1 && !is_wanted(keys.front())) return finish(keys, arrivals);
  std::vector<DocumentKey> names;
  std::vector<store::LoadTicket> tickets;
  for (const store::DocKey key : keys) {
    names.push_back({bucket_.vbucket_of(key), key});
    tickets.push_back(bucket_.begin_load(names.back().vbucket));
  }
  const uint32_t number = directory_.shard_number(names.front().vbucket);
  Shard& shard = directory_.shard(number);
  fetches_.fetch_add(keys.size(), std::memory_order_relaxed);
  const auto begun = std::chrono::steady_clock::now();
  in_progress_.begin(reader, begun);
  std::vector<Result<std::optional<StoredRecord>>> found;
  if (keys.size() == 1)
    found.push_back(shard.get(names.front().vbucket, keys.front()));
  else
    found = shard.get_many(names);
  in_progress_.end(reader);
  const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - begun;
  reads_[number].times.add(static_cast<uint64_t>(took.count()));
  reads_[number].documents.fetch_add(keys.size(), std::memory_order_relaxed);
  for (size_t i = 0; i < keys.size(); ++i) {
    Arrival& arrival = arrivals[i];
    arrival.loaded = load(keys[i], found[i], tickets[i], arrival.failed);
    if (arrival.loaded.status == store::LoadStatus::read_again)
      arrival.loaded = read_again(names[i].vbucket, keys[i], arrival.failed);
  }
  finish(keys, arrivals);
}

store::Loaded Fetcher::read_again(uint16_t vbucket, store::DocKey key, bool& failed) {
  while (!is_stopping()) {
    const store::LoadTicket ticket = bucket_.begin_load(vbucket);
    fetches_.fetch_add(1, std::memory_order_relaxed);
    store::Loaded loaded = load(key, directory_.shard_of(vbucket).get(vbucket, key), ticket, failed);
    if (loaded.status != store::LoadStatus::read_again) return loaded;
  }
  // Who waited is gone, or about to go.
  failed = true;
  return {};
}

bool Fetcher::is_stopping() {
  const base::MutexLock lock(mutex_);
  return stopping_;
}

store::Loaded Fetcher::load(store::DocKey key, const Result<std::optional<StoredRecord>>& found,
                            store::LoadTicket ticket, bool& failed) {
  if (!found) {
    failed = true;
    log_failure(found.error().message);
    return {};
  }
  if (*found) last_value_bytes_.store((*found)->record().value.size(), std::memory_order_relaxed);
  std::optional<store::LoadedRecord> record;
  if (*found) record = loaded_of((*found)->record(), true);
  store::Loaded loaded;
  for (int tries = 0; tries < kMemoryTries; ++tries) {
    if (tries != 0) std::this_thread::sleep_for(kMemoryPause);
    loaded = bucket_.load(key, record ? &*record : nullptr, ticket, store::LoadPurpose::fetch, clock_.now());
    if (loaded.status != store::LoadStatus::no_memory) break;
  }
  if (loaded.status == store::LoadStatus::no_memory) {
    failed = true;
    log_failure("no memory for a document that somebody waits for");
  } else if (loaded.status == store::LoadStatus::missing) {
    failed = true;
    const Shard& shard = directory_.shard_of(bucket_.vbucket_of(key));
    log_failure(shard.path() + ": a document that was written is not there");
  }
  return loaded;
}

void Fetcher::finish(std::span<const store::DocKey> keys, std::span<Arrival> arrivals) {
  std::vector<Wanted::node_type> done;
  done.reserve(keys.size());
  {
    const base::MutexLock lock(mutex_);
    for (const store::DocKey key : keys)
      done.push_back(wanted_.extract(key.stored()));
  }
  for (size_t k = 0; k < done.size(); ++k) {
    Waiters& waiters = done[k].mapped();
    Arrival& arrival = arrivals[k];
    if (arrival.failed) failures_.fetch_add(1, std::memory_order_relaxed);
    for (size_t i = 1; i < waiters.size(); ++i)
      waiters[i].wait->arrived(waiters[i].place, arrival.loaded.pin.share(), arrival.failed);
    waiters.front().wait->arrived(waiters.front().place, std::move(arrival.loaded.pin), arrival.failed);
  }
}

void Fetcher::log_failure(const std::string& message) {
  const uint32_t now_s = clock_.now().unix_s();
  uint64_t left_out = 0;
  {
    const base::MutexLock lock(mutex_);
    // A line each second tells as much as one for each key of a damaged disk.
    if (now_s == last_logged_s_) {
      ++not_logged_;
      return;
    }
    last_logged_s_ = now_s;
    left_out = std::exchange(not_logged_, 0);
  }
  base::log(base::LogLevel::error,
            "disk: " + message + (left_out == 0 ? "" : " (and " + std::to_string(left_out) + " more)"));
}

}  // namespace bobbin::disk
