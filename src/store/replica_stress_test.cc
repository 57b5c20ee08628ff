// A follower, readers, a flusher, and who evicts, sweeps, streams and clears, all at once. ThreadSanitizer
// runs this too.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "store/persistence_test_support.h"
#include "store/replica_test_support.h"
#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

constexpr int kKeys = 200;

class ReplicaStress : public testing::TestWithParam<EvictionPolicy> {
 protected:
  ReplicaStress() {
    const char* const given = std::getenv("BOBBIN_TEST_SEED");
    seed_ = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
    bucket_.follow(0, clock_.now());
    disk_.flush(bucket_, 0, clock_.now());
  }
  static BucketOptions options() {
    BucketOptions options;
    options.type = BucketType::persistent;
    options.eviction = GetParam();
    options.vbuckets = 1;
    options.quota_bytes = 200'000;
    options.hash_seed = 42;
    return options;
  }
  void apply(std::mt19937_64& random, uint64_t seqno) {
    const std::string key = numbered("k", static_cast<int>(random() % kKeys));
    const ReplicaChange change{.seqno = seqno, .cas = seqno + 1, .revision = seqno};
    const bool removes = random() % 4 == 0;
    const std::string value = key + ":" + std::string(random() % 600, 'v');
    ReplicaStatus status = ReplicaStatus::no_memory;
    while (status == ReplicaStatus::no_memory) {
      status = removes ? bucket_.apply_removal(key, change, clock_.now())
                       : apply_document(bucket_, key, value, change, {}, clock_.now());
      if (status == ReplicaStatus::no_memory) std::this_thread::yield();
    }
    ASSERT_EQ(status, ReplicaStatus::applied);
    if (removes)
      documents_.erase(key);
    else
      documents_[key] = value;
  }
  /// Fills the vbucket a few times, and clears it in between.
  void follow() {
    std::mt19937_64 random(seed_);
    for (int life = 0; life < 4 && !HasFatalFailure(); ++life) {
      if (life != 0) {
        EXPECT_TRUE(bucket_.clear(0, clock_.now()));
      }
      documents_.clear();
      uint64_t seqno = 0;
      for (int snapshot = 0; snapshot < 20; ++snapshot) {
        const uint64_t end = seqno + 100;
        ASSERT_EQ(bucket_.begin_snapshot(0, {seqno + 1, end, false}), ReplicaStatus::applied);
        while (seqno < end && !HasFatalFailure()) {
          seqno += 1 + random() % 2;
          apply(random, std::min(seqno, end));
        }
        seqno = end;
      }
    }
    done_.store(true);
  }
  void read(uint32_t number) {
    std::mt19937_64 random(seed_ + number);
    while (!done_.load()) {
      const std::string key = numbered("k", static_cast<int>(random() % kKeys));
      DocumentRef pin;
      Fetched found = bucket_.fetch(key, clock_.now());
      for (int i = 0; i < 10 && found.would_block; ++i) {
        pin = std::move(disk_.fetch(bucket_, key, clock_.now()).pin);
        found = bucket_.fetch(key, clock_.now());
      }
      if (found) {
        ASSERT_EQ(found.doc->value().substr(0, key.size() + 1), key + ":");
      }
      Draft draft = replica_draft(bucket_, key, "mine", {}, clock_.now());
      if (draft) {
        ASSERT_EQ(bucket_.store(std::move(draft), StoreMode::set, clock_.now()).status,
                  StoreStatus::no_memory);
      }
    }
  }
  void flush() {
    while (!done_.load()) {
      disk_.flush(bucket_, 0, clock_.now());
      std::this_thread::yield();
    }
  }
  void disturb() {
    while (!done_.load()) {
      (void)bucket_.sweep_expired(50, clock_.now());
      (void)bucket_.sweep_garbage(50, clock_.now());
      (void)bucket_.statistics();
      (void)bucket_.replica_facts(0).position();
      disk_.warm_up(bucket_, 0, clock_.now());
    }
  }
  void stream() {
    while (!done_.load()) {
      const AttachedCursor attached = bucket_.attach_cursor(0, "stream", 0);
      if (!attached.cursor) continue;
      uint64_t last = attached.from;
      for (int i = 0; i < 20; ++i) {
        const TakenChanges taken = bucket_.take_changes(0, *attached.cursor);
        if (taken.lost) break;
        taken.changes.for_each([&](const Change& change) {
          ASSERT_GT(change.seqno, last);
          last = change.seqno;
        });
      }
      bucket_.close_cursor(0, *attached.cursor);
    }
  }

  base::ManualClock clock_;
  FakeDisk disk_{1};
  Bucket bucket_{options()};
  uint64_t seed_ = 0;
  std::atomic<bool> done_{false};
  std::map<std::string, std::string> documents_;
};

TEST_P(ReplicaStress, EverythingAtOnce) {
  SCOPED_TRACE("BOBBIN_TEST_SEED=" + std::to_string(seed_));
  {
    std::vector<std::jthread> threads;
    for (uint32_t i = 1; i <= 2; ++i)
      threads.emplace_back([this, i] { read(i); });
    threads.emplace_back([this] { flush(); });
    threads.emplace_back([this] { disturb(); });
    threads.emplace_back([this] { stream(); });
    follow();
    done_.store(true);
  }
  if (HasFatalFailure()) return;
  disk_.flush(bucket_, 0, clock_.now());
  EXPECT_EQ(bucket_.statistics().items, documents_.size());
  EXPECT_EQ(bucket_.dirty_bytes(), 0U);
  EXPECT_EQ(disk_.state(0)->items, documents_.size());
  for (int i = 0; i < kKeys; ++i) {
    const std::string key = numbered("k", i);
    const auto record = disk_.read(0, key);
    const auto expected = documents_.find(key);
    ASSERT_EQ(record.has_value(), expected != documents_.end()) << key;
    if (record) {
      ASSERT_EQ(record->value, expected->second);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, ReplicaStress,
                         testing::Values(EvictionPolicy::value, EvictionPolicy::full));

}  // namespace
}  // namespace bobbin::store
