#pragma once

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "disk/disk_test_support.h"
#include "disk/persistence.h"

namespace bobbin::disk {

/// A persistent bucket in a folder of its own that can be closed, left as after a crash, and opened again,
/// with operations that fetch what they have to wait for. For tests only. Any thread, but for open and end.
class PersistenceFixture {
 public:
  PersistenceFixture() {
    options_.directory.path = folder_.path();
    options_.directory.shards = 2;
    options_.directory.vbuckets = 16;
    options_.directory.memory_bytes = 16 << 20;
    options_.bucket.quota_bytes = 64 << 20;
    options_.bucket.hash_seed = 1;
    options_.linger = std::chrono::milliseconds(2);
    options_.clock = &clock_;
  }

  [[nodiscard]] PersistenceOptions& options() { return options_; }
  [[nodiscard]] base::ManualClock& clock() { return clock_; }
  [[nodiscard]] base::Now now() const { return clock_.now(); }
  [[nodiscard]] uint32_t in(uint32_t seconds) const { return now().unix_s() + seconds; }
  [[nodiscard]] Persistence& there() { return *persistence_; }
  [[nodiscard]] store::Bucket& bucket() { return persistence_->bucket(); }

  /// Opens without starting.
  void open() {
    auto opened = Persistence::open(options_);
    ASSERT_TRUE(opened) << opened.error().message;
    persistence_ = std::move(*opened);
  }
  void start() {
    open();
    persistence_->start();
  }
  void start_warm() {
    start();
    wait_for_warmup();
  }
  [[nodiscard]] Result<void> try_close() {
    auto closed = persistence_->close();
    persistence_.reset();
    return closed;
  }
  void close() {
    const auto closed = try_close();
    EXPECT_TRUE(closed) << closed.error().message;
  }
  void crash() { persistence_.reset(); }
  void restart() {
    close();
    start();
  }

  void wait_for_warmup() {
    for (int i = 0; i < 60'000 && !persistence_->warmup().finished; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_TRUE(persistence_->warmup().finished);
  }
  /// Waits for a key from the disk.
  [[nodiscard]] std::shared_ptr<Fetching> fetch(store::DocKey key) {
    std::promise<void> arrived;
    const std::array<store::DocKey, 1> keys = {key};
    auto fetching = persistence_->fetch(keys, [&] { arrived.set_value(); });
    arrived.get_future().wait();
    return fetching;
  }
  template <typename Operation, typename Blocked>
  auto until_known(store::DocKey key, Operation&& operation, Blocked&& is_blocked) {
    std::shared_ptr<Fetching> fetched;
    while (true) {
      auto result = operation();
      if (!is_blocked(result) || (fetched && fetched->failed())) return result;
      fetched = fetch(key);
    }
  }
  store::StoreResult put(store::StoreMode mode, store::DocKey key, std::string_view value,
                         const store::StoreOptions& how = {}, uint32_t expiry = 0, uint32_t flags = 0) {
    auto draft = bucket().draft(key, flags, expiry, static_cast<uint32_t>(value.size()), now());
    if (!draft) return {store::StoreStatus::no_memory};
    if (!value.empty()) std::memcpy(draft->value().data(), value.data(), value.size());
    return until_known(
        key, [&] { return bucket().store(*draft, mode, how, now()); },
        [](const store::StoreResult& result) { return result.status == store::StoreStatus::would_block; });
  }
  store::StoreResult set(store::DocKey key, std::string_view value, uint32_t expiry = 0, uint32_t flags = 0) {
    return put(store::StoreMode::set, key, value, {}, expiry, flags);
  }
  store::Fetched get_document(store::DocKey key) {
    return until_known(
        key, [&] { return bucket().fetch(key, {.cannot_win = true}, now()); },
        [](const store::Fetched& found) { return found.would_block; });
  }
  std::string get(store::DocKey key) {
    const store::Fetched found = get_document(key);
    if (found.would_block) return "<failed>";
    return found ? std::string(found.doc->value()) : "<miss>";
  }
  store::RemoveResult remove(store::DocKey key, const store::RemoveOptions& how = {}) {
    return until_known(
        key, [&] { return bucket().remove(key, how, now()); },
        [](const store::RemoveResult& result) { return result.status == store::RemoveStatus::would_block; });
  }
  void flush_all() {
    bucket().flush(now());
    while (bucket().sweep_garbage(1000, now()))
      continue;
  }
  /// Waits as a durable write does, until the vbucket's changes up to here are on disk; false when they never
  /// will be.
  bool wait_until_persisted(uint16_t vbucket, uint64_t seqno) {
    while (true) {
      const auto committed = std::make_shared<std::promise<void>>();
      persistence_->after_commit_of(vbucket, seqno, [committed] { committed->set_value(); });
      if (bucket().persisted_seqno(vbucket) >= seqno) return true;
      if (!persistence_->writable(vbucket)) return false;
      committed->get_future().wait();
    }
  }
  void flush_to_disk() {
    for (uint32_t i = 0; i < bucket().vbucket_count(); ++i) {
      const auto vbucket = static_cast<uint16_t>(i);
      EXPECT_TRUE(wait_until_persisted(vbucket, bucket().high_seqno(vbucket)));
    }
  }
  /// Evicts all that can be evicted.
  void evict() {
    const uint64_t quota = bucket().quota_bytes();
    bucket().set_quota_bytes(1);
    for (int i = 0; i < 3; ++i)
      (void)bucket().draft("nobody", 0, 0, 0, now());
    bucket().set_quota_bytes(quota);
  }
  [[nodiscard]] uint64_t items() { return bucket().statistics().items; }

 private:
  TemporaryFolder folder_;
  base::ManualClock clock_;
  PersistenceOptions options_;
  std::unique_ptr<Persistence> persistence_;
};

}  // namespace bobbin::disk
