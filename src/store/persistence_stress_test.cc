// Clients, a flusher, a fetcher, and who evicts and sweeps, all at once. ThreadSanitizer runs this too.

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "store/persistence_test_support.h"
#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

uint64_t seed_of_run() {
  const char* const given = std::getenv("BOBBIN_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

/// Fetches for others, on a thread of its own.
class Fetcher {
 public:
  Fetcher(Bucket& bucket, FakeDisk& disk, const base::Clock& clock)
      : bucket_(bucket), disk_(disk), clock_(clock), thread_([this] { run(); }) {}
  ~Fetcher() {
    {
      const base::MutexLock lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }
  /// Waits for it.
  DocumentRef fetch(std::string_view key) {
    Request request{std::string(key), {}, false};
    const base::MutexLock lock(mutex_);
    queue_.push_back(&request);
    changed_.notify_all();
    while (!request.done)
      changed_.wait(mutex_);
    return std::move(request.pin);
  }

 private:
  struct Request {
    std::string key;
    DocumentRef pin;
    bool done = false;
  };
  void run() {
    while (true) {
      Request* request = nullptr;
      {
        const base::MutexLock lock(mutex_);
        while (queue_.empty() && !stopping_)
          changed_.wait(mutex_);
        if (queue_.empty()) return;
        request = queue_.front();
        queue_.pop_front();
      }
      Loaded loaded = disk_.fetch(bucket_, request->key, clock_.now());
      const base::MutexLock lock(mutex_);
      request->pin = std::move(loaded.pin);
      request->done = true;
      changed_.notify_all();
    }
  }

  Bucket& bucket_;
  FakeDisk& disk_;
  const base::Clock& clock_;
  base::Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Request*> queue_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

/// Sleeps until it is woken: a lost wake would be the end of who waits for it.
class Flusher {
 public:
  Flusher(Bucket& bucket, FakeDisk& disk, const base::Clock& clock)
      : bucket_(bucket), disk_(disk), clock_(clock) {
    bucket_.set_flush_waker(0, [this] {
      wakes_.fetch_add(1);
      wakes_.notify_one();
    });
    thread_ = std::thread([this] { run(); });
  }
  ~Flusher() {
    stopping_.store(true);
    wakes_.fetch_add(1);
    wakes_.notify_one();
    thread_.join();
    bucket_.set_flush_waker(0, nullptr);
  }

 private:
  void run() {
    while (!stopping_.load()) {
      const uint64_t before = wakes_.load();
      for (const uint16_t vbucket : bucket_.take_dirty(0).vbuckets)
        disk_.flush(bucket_, vbucket, clock_.now());
      if (!bucket_.arm_flush_waker(0) && !stopping_.load()) wakes_.wait(before);
    }
  }

  Bucket& bucket_;
  FakeDisk& disk_;
  const base::Clock& clock_;
  std::atomic<uint64_t> wakes_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

class PersistenceStress : public testing::TestWithParam<EvictionPolicy> {
 protected:
  static BucketOptions options() {
    BucketOptions options = BucketFixture::small_options();
    options.type = BucketType::persistent;
    options.eviction = GetParam();
    options.quota_bytes = 400'000;
    return options;
  }

  template <typename Operation>
  void until_known(std::string_view key, Operation&& blocks) {
    DocumentRef pin;
    while (blocks())
      pin = fetcher_->fetch(key);
  }

  // Each client has keys of its own, and knows what is in them; and it works on the others' without looking.
  void client(uint32_t number) {
    std::mt19937_64 random(seed_ + number);
    std::vector<std::string> values(40);
    for (int i = 0; i < 1500; ++i) {
      const size_t slot = random() % values.size();
      const std::string key = numbered("own", number) + numbered("-", static_cast<int64_t>(slot));
      const base::Now now = disk_.now();
      const std::string next(200 + random() % 600, static_cast<char>('a' + random() % 26));
      switch (random() % 8) {
        case 0:
        case 1:
        case 2: {
          auto draft = bucket().draft(key, 0, 0, static_cast<uint32_t>(next.size()), now);
          if (!draft) break;
          std::memcpy(draft->value().data(), next.data(), next.size());
          if (bucket().store(*draft, StoreMode::set, {}, now).ok()) values[slot] = next;
          break;
        }
        case 3:
          until_known(key, [&] {
            const RemoveResult result = bucket().remove(key, {}, now);
            if (result.status == RemoveStatus::removed) values[slot].clear();
            return result.status == RemoveStatus::would_block;
          });
          break;
        case 4:
          until_known(key, [&] {
            return bucket().touch(key, disk_.in(1'000'000), now).status == TouchStatus::would_block;
          });
          break;
        case 5:
          strangers(random, now);
          break;
        default:
          until_known(key, [&] {
            const Fetched found = bucket().fetch(key, now);
            if (found.would_block) return true;
            EXPECT_EQ(found ? std::string(found.doc->value()) : std::string(), values[slot]) << key;
            return false;
          });
      }
      if (HasFailure()) return;
    }
    const base::MutexLock lock(mutex_);
    for (size_t slot = 0; slot < values.size(); ++slot) {
      if (!values[slot].empty())
        expected_[numbered("own", number) + numbered("-", static_cast<int64_t>(slot))] = values[slot];
    }
  }
  void strangers(std::mt19937_64& random, base::Now now) {
    const std::string key = numbered("shared", static_cast<int64_t>(random() % 20));
    switch (random() % 4) {
      case 0:
        until_known(key, [&] {
          return bucket().arithmetic(key, {.delta = 1, .initial = 1}, now).status ==
                 ArithmeticStatus::would_block;
        });
        break;
      case 1:
        until_known(key, [&] {
          return bucket()
              .fetch(key, {.touch = disk_.in(2), .vivify_expiry = disk_.in(1), .recache_s = 2}, now)
              .would_block;
        });
        break;
      case 2:
        until_known(key, [&] {
          return bucket().remove(key, {.mark_stale = random() % 2 == 0}, now).status ==
                 RemoveStatus::would_block;
        });
        break;
      default:
        (void)bucket().statistics();
        bucket().for_each([](const Peeked&) { return true; }, now);
    }
  }
  Bucket& bucket() { return disk_.bucket(); }

  const uint64_t seed_ = seed_of_run();
  BucketOnDisk disk_{options()};
  std::unique_ptr<Fetcher> fetcher_;
  base::Mutex mutex_;
  std::map<std::string, std::string> expected_ GUARDED_BY(mutex_);
};

TEST_P(PersistenceStress, EveryClientSeesItsOwnWrites) {
  SCOPED_TRACE("BOBBIN_TEST_SEED=" + std::to_string(seed_));
  fetcher_ = std::make_unique<Fetcher>(bucket(), disk_.disk(), disk_.clock());
  const uint16_t streamed = 3;
  const ChangeLog::CursorId cursor = bucket().open_cursor(streamed, "stream");
  {
    Flusher flusher(bucket(), disk_.disk(), disk_.clock());
    std::atomic<bool> done{false};
    std::thread janitor([&] {
      uint64_t last = 0;
      for (int i = 0; !done.load(); ++i) {
        disk_.evict();
        bucket().sweep_expired(100, disk_.now());
        if (i % 20 == 0) disk_.clock().advance_s(1);
        const TakenChanges taken = bucket().take_changes(streamed, cursor);
        taken.changes.for_each([&](const Change& change) {
          EXPECT_GT(change.seqno, last);
          last = change.seqno;
        });
        std::this_thread::yield();
      }
    });
    std::vector<std::thread> clients;
    for (uint32_t i = 0; i < 8; ++i)
      clients.emplace_back([this, i] { client(i); });
    for (std::thread& one : clients)
      one.join();
    done.store(true);
    janitor.join();
  }
  fetcher_.reset();
  disk_.flush_to_disk();
  EXPECT_TRUE(disk_.disk().in_order());
  EXPECT_EQ(bucket().dirty_bytes(), 0U);
  EXPECT_EQ(bucket().statistics().dirty_items, 0U);
  EXPECT_EQ(bucket().statistics().high_seqno_sum, bucket().statistics().persisted_seqno_sum);
  disk_.crash();
  const base::MutexLock lock(mutex_);
  for (uint32_t number = 0; number < 8; ++number) {
    for (int slot = 0; slot < 40; ++slot) {
      const std::string key = numbered("own", number) + numbered("-", slot);
      const auto at = expected_.find(key);
      ASSERT_EQ(disk_.get(key), at == expected_.end() ? "<miss>" : at->second) << key;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, PersistenceStress,
                         testing::Values(EvictionPolicy::value, EvictionPolicy::full),
                         [](const testing::TestParamInfo<EvictionPolicy>& one) {
                           return one.param == EvictionPolicy::value ? "value" : "full";
                         });

}  // namespace
}  // namespace bobbin::store
