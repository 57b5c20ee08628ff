#include "disk/persistence.h"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <future>
#include <thread>
#include <utility>

#include "base/log.h"
#include "disk/conversions.h"
#include "disk/manifest_file.h"
#include "disk/persistence_impl.h"

namespace bobbin::disk {

Persistence::Persistence(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Persistence::~Persistence() = default;

Result<std::unique_ptr<Persistence>> Persistence::open(PersistenceOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  if (impl->options.clock != nullptr) impl->clock = impl->options.clock;
  if (auto opened = impl->open_directory(); !opened) return base::fail(std::move(opened.error()));
  if (auto made = impl->make_bucket(); !made) return base::fail(std::move(made.error()));
  impl->make_threads();
  return std::unique_ptr<Persistence>(new Persistence(std::move(impl)));
}

Freshness Persistence::Impl::freshness_of(uint16_t vbucket, store::DocKey key, uint64_t seqno) const {
  const store::Bucket* const bucket_or_null = asked.load(std::memory_order_acquire);
  if (bucket_or_null == nullptr) return Freshness::unknown;
  const std::optional<uint64_t> newest = bucket_or_null->seqno_on_disk(vbucket, key);
  if (!newest) return Freshness::unknown;
  return *newest > seqno ? Freshness::superseded : Freshness::current;
}

Result<void> Persistence::Impl::open_directory() {
  options.directory.clock = clock;
  options.directory.freshness = [this](uint16_t vbucket, store::DocKey key, uint64_t seqno) {
    return freshness_of(vbucket, key, seqno);
  };
  auto opened = Directory::open(options.directory);
  if (!opened) opened = open_for_reading(std::move(opened.error()));
  if (!opened) return base::fail(std::move(opened.error()));
  directory = std::move(*opened);
  const uint32_t vbuckets = directory->vbuckets();
  if (std::has_single_bit(vbuckets) && vbuckets <= kDefaultVBuckets) return {};
  return base::fail(Error{ErrorKind::config, directory->path(),
                          directory->path() + ": has " + std::to_string(vbuckets) +
                              " vbuckets; a bucket has a power of two, up to 1024"});
}

Result<std::unique_ptr<Directory>> Persistence::Impl::open_for_reading(Error why) const {
  // RocksDB writes when it opens: a full disk would keep what it has to itself.
  const bool cannot_write =
      why.kind == ErrorKind::no_space || why.kind == ErrorKind::read_only || why.kind == ErrorKind::io;
  if (!cannot_write || options.directory.read_only) return base::fail(std::move(why));
  DirectoryOptions reading = options.directory;
  reading.read_only = true;
  reading.read_only_because = why;
  auto opened = Directory::open(reading);
  // Of the two, the first is what has to be mended.
  return opened ? std::move(opened) : base::fail(std::move(why));
}

Result<void> Persistence::Impl::make_bucket() {
  options.bucket.type = store::BucketType::persistent;
  options.bucket.vbuckets = directory->vbuckets();
  options.bucket.flush_shards = directory->shards();
  auto made = std::make_unique<store::Bucket>(options.bucket);
  for (uint32_t shard = 0; shard < directory->shards(); ++shard) {
    const auto states = directory->shard(shard).states();
    if (!states) return base::fail(states.error());
    for (const VBucketState& state : *states) {
      made->restore(state.vbucket, state_of(state), clock->now());
      items_at_start += state.items;
    }
  }
  if (auto checked = read_collections(*made); !checked) return checked;
  made->set_manifest_keeper([this](const store::Manifest& manifest) {
    auto kept = write_manifest(directory->path(), manifest);
    if (!kept) base::log(base::LogLevel::error, "collections: " + kept.error().message);
    return static_cast<bool>(kept);
  });
  bucket = std::move(made);
  asked.store(bucket.get(), std::memory_order_release);
  return {};
}

Result<void> Persistence::Impl::read_collections(store::Bucket& made) const {
  auto read = read_manifest(directory->path());
  if (!read) return base::fail(std::move(read.error()));
  // What is missing is never made anew: with it, collections would be dropped that are there.
  const std::string path = manifest_path(directory->path());
  std::error_code unknown;
  const bool is_missing = !std::filesystem::exists(path, unknown) && !unknown;
  made.restore_manifest(std::make_shared<const store::Manifest>(std::move(*read)));
  if (!is_missing || made.collection_statistics().size() == 1) return {};
  return base::fail(
      Error{ErrorKind::corrupt, path,
            path + ": missing, but there are documents in collections: restore it from a backup"});
}

void Persistence::Impl::make_threads() {
  FlusherOptions flusher;
  flusher.shards = directory->shards();
  flusher.linger = options.linger;
  flusher.commit_bytes = options.commit_bytes;
  flusher.hurry_above_bytes = options.max_dirty_bytes / 2;
  const auto plan = std::make_shared<WarmupPlan>(read_warm_set(directory->path()), directory->shards());
  for (uint32_t i = 0; i < directory->shards(); ++i) {
    flusher.shard = i;
    flushers.push_back(std::make_unique<Flusher>(*bucket, directory->shard(i), *clock, flusher));
    warmups.push_back(
        std::make_unique<Warmup>(*bucket, directory->shard(i), *clock, i, directory->shards(), plan));
  }
  fetcher = std::make_unique<Fetcher>(*bucket, *directory, *clock, options.readers);
  warm_set_writer =
      std::make_unique<WarmSetWriter>(*bucket, directory->path(), *clock, options.warm_set_period);
}

void Persistence::start() {
  {
    // Each writes and syncs: together, because a client may be waiting.
    std::vector<std::jthread> starting;
    for (const auto& flusher : impl_->flushers)
      starting.emplace_back([&flusher] { flusher->start(); });
  }
  // Where the last end came between a change of the manifest and what the vbuckets were told of it, they are
  // told now.
  impl_->bucket->set_manifest(impl_->bucket->manifest(), impl_->clock->now());
  impl_->fetcher->start();
  for (const auto& warmup : impl_->warmups)
    warmup->start();
  if (!failure()) impl_->warm_set_writer->start();
  impl_->started.store(true);
}

Result<void> Persistence::close() {
  if (impl_->closed.exchange(true)) return {};
  // A load writes the end of what it finds expired: these go before the flushers.
  for (const auto& warmup : impl_->warmups)
    warmup->stop();
  impl_->fetcher->stop();
  impl_->warm_set_writer->finish();
  std::optional<Error> first;
  for (const auto& flusher : impl_->flushers)
    flusher->stop();
  for (const auto& flusher : impl_->flushers) {
    auto finished = flusher->finish();
    if (!finished && !first) first = std::move(finished.error());
  }
  auto closed = impl_->directory->close();
  if (!closed && !first) first = std::move(closed.error());
  if (first) return base::fail(std::move(*first));
  return {};
}

store::Bucket& Persistence::bucket() noexcept {
  return *impl_->bucket;
}

const Directory& Persistence::directory() const noexcept {
  return *impl_->directory;
}

std::shared_ptr<Fetching> Persistence::fetch(std::span<const store::DocKey> keys,
                                             std::function<void()> done) {
  return impl_->fetcher->fetch(keys, std::move(done));
}

void Persistence::after_commit(uint16_t vbucket, std::function<void()> waker) {
  after_commit_of(vbucket, 0, std::move(waker));
}

void Persistence::after_commit_of(uint16_t vbucket, uint64_t seqno, std::function<void()> waker) {
  impl_->flusher_of(vbucket).after_commit({vbucket, seqno, std::move(waker)});
}

uint64_t Persistence::Impl::stuck_bytes() const noexcept {
  uint64_t stuck = 0;
  for (const auto& flusher : flushers)
    stuck += flusher->stuck_bytes();
  return stuck;
}

bool Persistence::has_uncommitted() const noexcept {
  return impl_->bucket->dirty_bytes() > impl_->stuck_bytes();
}

bool Persistence::over_dirty_limit() const noexcept {
  return impl_->bucket->dirty_bytes() > impl_->options.max_dirty_bytes + impl_->stuck_bytes();
}

void Persistence::wait_for_commit(uint16_t vbucket, const std::function<bool()>& is_needless) {
  // Shared: the waker may come after the wait has found out by itself.
  const auto committed = std::make_shared<std::promise<void>>();
  after_commit(vbucket, [committed] { committed->set_value(); });
  if (!is_needless() && writable(vbucket)) committed->get_future().wait();
}

Result<void> Persistence::bring_to_disk() {
  store::Bucket& bucket = *impl_->bucket;
  const auto unwritable = [this] {
    return base::fail(failure().value_or(
        Error{ErrorKind::io, directory().path(), directory().path() + ": cannot be written"}));
  };
  std::vector<uint64_t> seqnos;
  for (uint32_t vbucket = 0; vbucket < bucket.vbucket_count(); ++vbucket)
    seqnos.push_back(bucket.high_seqno(static_cast<uint16_t>(vbucket)));
  for (uint32_t i = 0; i < seqnos.size(); ++i) {
    const auto vbucket = static_cast<uint16_t>(i);
    // Of a vbucket that was cleared meanwhile nothing is awaited.
    const auto is_on_disk = [&] {
      return bucket.persisted_seqno(vbucket) >= seqnos[i] || bucket.high_seqno(vbucket) < seqnos[i];
    };
    while (!is_on_disk()) {
      if (!writable(vbucket)) return unwritable();
      wait_for_commit(vbucket, is_on_disk);
    }
  }
  const auto moments_are_on_disk = [&] {
    return bucket.unsaved_flush_moments() == 0 && bucket.unsaved_clears() == 0;
  };
  for (uint32_t shard = 0; !moments_are_on_disk(); shard = (shard + 1) % directory().shards()) {
    if (failure()) return unwritable();
    wait_for_commit(static_cast<uint16_t>(shard), moments_are_on_disk);
  }
  return {};
}

Result<void> Persistence::save_manifest(const store::Manifest& manifest) {
  if (auto error = failure()) return base::fail(std::move(*error));
  return write_manifest(directory().path(), manifest);
}

std::optional<Error> Persistence::failure() const {
  for (const auto& flusher : impl_->flushers) {
    if (auto error = flusher->failure()) return error;
  }
  return std::nullopt;
}

bool Persistence::writable(uint16_t vbucket) const noexcept {
  return !impl_->flusher_of(vbucket).failed();
}

Result<void> Persistence::compact(uint16_t vbucket, std::atomic<bool>& canceled) const {
  return impl_->directory->shard_of(vbucket).compact_meanwhile(canceled);
}

WarmupProgress Persistence::warmup() const {
  WarmupProgress progress;
  progress.items_total = impl_->items_at_start;
  progress.vbuckets_total = impl_->bucket->vbucket_count();
  if (!impl_->started.load()) return progress;
  progress.finished = true;
  for (const auto& warmup : impl_->warmups) {
    const WarmupNumbers numbers = warmup->numbers();
    progress.items_loaded += numbers.items;
    progress.values_loaded += numbers.values;
    progress.vbuckets_done += numbers.vbuckets_done;
    progress.finished = progress.finished && numbers.finished;
    progress.failed = progress.failed || numbers.failed;
    progress.elapsed_us = std::max(progress.elapsed_us, numbers.elapsed_us);
  }
  return progress;
}

PersistenceStatistics Persistence::statistics() const {
  PersistenceStatistics numbers;
  if (!impl_->closed.load()) numbers.shards = impl_->directory->statistics();
  numbers.warmup = warmup();
  for (const auto& flusher : impl_->flushers) {
    const FlusherStatistics one = flusher->statistics();
    numbers.commits += one.commits;
    numbers.commit_failures += one.commit_failures;
    numbers.flushed_items += one.flushed_items;
    numbers.flushed_bytes += one.flushed_bytes;
    numbers.last_commit_us = std::max(numbers.last_commit_us, one.last_commit_us);
    numbers.longest_commit_us = std::max(numbers.longest_commit_us, one.longest_commit_us);
    numbers.oldest_dirty_us = std::max(numbers.oldest_dirty_us, one.oldest_dirty_us);
  }
  numbers.max_dirty_bytes = impl_->options.max_dirty_bytes;
  const FetcherStatistics fetched = impl_->fetcher->statistics();
  numbers.fetches = fetched.fetches;
  numbers.fetch_waiters = fetched.waiters;
  numbers.fetch_failures = fetched.failures;
  numbers.fetches_pending = fetched.pending;
  return numbers;
}

std::vector<ShardTimes> Persistence::shard_times() const {
  std::vector<ShardTimes> all;
  if (impl_->closed.load()) return all;
  for (uint32_t i = 0; i < impl_->directory->shards(); ++i)
    all.push_back({.commits = impl_->flushers[i]->statistics().commit_times,
                   .reads = impl_->fetcher->reads_of(i).times.counts()});
  return all;
}

std::vector<ShardActivity> Persistence::shard_activity() const {
  std::vector<ShardActivity> all;
  if (impl_->closed.load()) return all;
  for (uint32_t i = 0; i < impl_->directory->shards(); ++i) {
    const FlusherStatistics written = impl_->flushers[i]->statistics();
    const Fetcher::ShardReads& reads = impl_->fetcher->reads_of(i);
    all.push_back({.files = impl_->directory->shard(i).statistics(),
                   .commit_failures = written.commit_failures,
                   .read_documents = reads.documents.load(std::memory_order_relaxed)});
  }
  return all;
}

DiskInProgress Persistence::in_progress(std::chrono::nanoseconds slow_after) const {
  const auto now = std::chrono::steady_clock::now();
  DiskInProgress counts{.reads = impl_->fetcher->in_progress().count(now, slow_after), .commits = {}};
  for (const auto& flusher : impl_->flushers) {
    const InProgressCounts one = flusher->in_progress().count(now, slow_after);
    counts.commits.all += one.all;
    counts.commits.slow += one.slow;
  }
  return counts;
}

Result<std::optional<StoredRecord>> Persistence::read(store::DocKey key) const {
  const uint16_t vbucket = impl_->bucket->vbucket_of(key);
  return impl_->directory->shard_of(vbucket).get(vbucket, key);
}

size_t Persistence::writers() const noexcept {
  return impl_->flushers.size();
}

size_t Persistence::readers() const noexcept {
  return impl_->fetcher->readers();
}

}  // namespace bobbin::disk
