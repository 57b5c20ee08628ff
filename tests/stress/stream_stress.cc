// Scans and change streams of a whole server that end in every way, in every order: their connections close,
// or go to another bucket, or lose their privileges; buckets are removed and flushed, consumers have to roll
// back; the server drains, or is destroyed. Nothing may be left of any of them.

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "disk/disk_test_support.h"
#include "feed/scans.h"
#include "serve/server.h"
#include "stream_peers.h"

namespace bobbin::stress {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr int kStreamPeers = 4;
constexpr int kScanPeers = 3;

disk::PersistenceOptions persistence(const std::string& folder, const base::Clock& clock) {
  disk::PersistenceOptions options;
  options.directory.path = folder;
  options.directory.shards = 2;
  options.directory.vbuckets = kVBuckets;
  options.directory.memory_bytes = 8 * kMiB;
  options.bucket.type = store::BucketType::persistent;
  options.bucket.quota_bytes = 400 * kMiB;
  options.bucket.cursor_lag_bytes = 100'000;
  options.linger = std::chrono::milliseconds(2);
  options.readers = 1;
  options.clock = &clock;
  return options;
}

const serve::BucketSettings& bucket_b() {
  static const serve::BucketSettings settings = [] {
    serve::BucketSettings b;
    b.name = "b";
    b.quota_bytes = 100 * kMiB;
    b.flush_enabled = true;
    return b;
  }();
  return settings;
}

/// The server of a round, with what works on it from this process.
class House {
 public:
  explicit House(uint64_t seed) : random_(seed) {
    serve::ServerOptions options;
    options.front_end.listen.push_back(*net::Address::parse("127.0.0.1:0", 0));
    options.front_end.threads = 2;
    options.front_end.limits.spool_bytes = 64 << 10;
    options.front_end.limits.drain_timeout = std::chrono::milliseconds(200);
    options.bucket.disk = std::move(*disk::Persistence::open(persistence(folder_.path() + "/data", clock_)));
    options.bucket.max_backfills = 2;
    options.bucket.settings.flush_enabled = true;
    options.buckets.folder = folder_.path() + "/data";
    options.buckets.max_backfills = 2;
    options.buckets.open_disk = [this](const std::string& folder, const serve::BucketSettings&) {
      return disk::Persistence::open(persistence(folder, clock_));
    };
    auto users = std::move(*serve::Users::open({"", 3, &clock_}));
    EXPECT_TRUE(users->add({"u", "p", std::nullopt, *serve::parse_roles("admin")}));
    users_ = users.get();
    options.users = std::move(users);
    server_ = std::move(*serve::Server::start(std::move(options)));
    EXPECT_TRUE(buckets().create(bucket_b()));
  }

  serve::Server& operator*() { return *server_; }
  serve::Server* operator->() { return server_.get(); }
  void destroy() { server_.reset(); }
  [[nodiscard]] serve::Buckets& buckets() { return server_->engine().buckets; }

  void write_until(const std::atomic<bool>& ended, uint64_t seed) {
    Random random(seed);
    while (!ended) {
      const auto served = buckets().find(random.once_in(2) ? "default" : "b");
      if (served != nullptr)
        for (int i = 0; i < 50; ++i)
          write(served->bucket(), random);
      std::this_thread::yield();
    }
  }
  /// One thing that streams and scans have to bear.
  void disturb() {
    switch (random_.below(8)) {
      case 0:
        EXPECT_TRUE(buckets().remove("b"));
        EXPECT_TRUE(buckets().create(bucket_b()));
        return;
      case 1:
        (void)buckets().flush("default");
        return;
      case 2:
        (void)buckets().flush("b");
        return;
      case 3:
      case 4:
        // What it may not do any more, its streams may not go on with.
        for (const char* roles : {"data_reader[default]", "bucket_full_access[b]", "admin"})
          EXPECT_TRUE(users_->change({"u", std::nullopt, std::nullopt, *serve::parse_roles(roles)}));
        return;
      case 5:
        (void)server_->disk()->bring_to_disk();
        return;
      case 6: {
        // Documents are on disk only afterwards.
        const uint64_t quota = server_->bucket().quota_bytes();
        server_->bucket().set_quota_bytes(1);
        (void)server_->bucket().draft("nobody", 0, 0, 0, clock_.now());
        server_->bucket().set_quota_bytes(quota);
        return;
      }
      default:
        std::this_thread::sleep_for(std::chrono::milliseconds(random_.below(30)));
    }
  }
  /// Of `stats GROUP` of a bucket.
  std::map<std::string, std::string> statistics(const std::string& bucket, const std::string& group) {
    std::map<std::string, std::string> told;
    const auto served = buckets().find(bucket);
    if (served != nullptr)
      (void)serve::report_statistics(
          server_->engine(), *served, group,
          [&](std::string_view name, std::string_view value) { told[std::string(name)] = value; });
    return told;
  }

 private:
  void write(store::Bucket& bucket, Random& random) {
    const base::Now now = clock_.now();
    const std::string key = "key" + std::to_string(random.below(600));
    if (random.once_in(6)) {
      (void)bucket.remove(key, {}, now);
      return;
    }
    const size_t size = random.once_in(50) ? random.below(150'000) : random.below(400);
    auto draft = bucket.draft(key, 0, random.once_in(20) ? 1 : 0, static_cast<uint32_t>(size), now);
    if (!draft) return;
    std::fill(draft->value().begin(), draft->value().end(), 'v');
    (void)bucket.store(std::move(*draft), store::StoreMode::set, now);
  }

  base::SystemClock clock_;
  disk::TemporaryFolder folder_;
  Random random_;
  serve::Users* users_ = nullptr;
  std::unique_ptr<serve::Server> server_;
};

/// Those that a round has, on threads of their own.
class Crowd {
 public:
  Crowd(House& house, Random& random) {
    const net::Address address = house->addresses()[0];
    for (int i = 0; i < kStreamPeers; ++i)
      streamers_.push_back(std::make_unique<StreamPeer>(address, random.below(UINT64_MAX)));
    for (int i = 0; i < kScanPeers; ++i)
      scanners_.push_back(std::make_unique<ScanPeer>(address, random.below(UINT64_MAX)));
    writer_ =
        std::thread([this, &house, seed = random.below(UINT64_MAX)] { house.write_until(calm_, seed); });
    for (const auto& one : streamers_)
      threads_.emplace_back([this, &one] { one->run(ended_); });
    for (const auto& one : scanners_)
      threads_.emplace_back([this, &one] { one->run(ended_); });
  }
  ~Crowd() { leave(); }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  /// Nothing of this process calls the server any more.
  void calm() {
    calm_ = true;
    if (writer_.joinable()) writer_.join();
  }
  void tell_to_leave() { ended_ = true; }
  void leave() {
    calm();
    ended_ = true;
    for (std::thread& thread : threads_)
      thread.join();
    threads_.clear();
  }
  void count(uint64_t& messages, uint64_t& frames, uint64_t& rollbacks) const {
    for (const auto& one : streamers_) {
      messages += one->messages();
      rollbacks += one->rollbacks();
    }
    for (const auto& one : scanners_)
      frames += one->frames();
  }

 private:
  std::atomic<bool> calm_{false};
  std::atomic<bool> ended_{false};
  std::vector<std::unique_ptr<StreamPeer>> streamers_;
  std::vector<std::unique_ptr<ScanPeer>> scanners_;
  std::thread writer_;
  std::vector<std::thread> threads_;
};

/// Of streams and scans that have gone, the statistics say nothing.
void nothing_is_left(House& house, const std::string& bucket) {
  for (const char* name : {"ep_dcp_count", "ep_dcp_num_running_backfills", "ep_dcp_num_waiting_backfills",
                           "ep_dcp_cursor_lag_bytes"}) {
    must_become_true(name, [&] {
      const auto told = house.statistics(bucket, "dcp");
      const auto found = told.find(name);
      return found != told.end() && found->second == "0";
    });
  }
  must_become_true("range_scans_open",
                   [&] { return house.statistics(bucket, "range-scans")["range_scans_open"] == "0"; });
  for (const auto& [name, value] : house.statistics(bucket, "dcp"))
    EXPECT_FALSE(name.starts_with("eq_dcpq")) << name;
}

void connections_hold_nothing(const net::FrontEnd& front_end) {
  for (const auto& loop : front_end.loops()) {
    EXPECT_EQ(loop->connection_count(), 0U);
    EXPECT_EQ(loop->counters().spool_bytes_now.get(), 0U);
    EXPECT_EQ(loop->counters().unsent_bytes.get(), 0U);
    EXPECT_EQ(loop->counters().unread_bytes.get(), 0U);
  }
}

// What is there, for who looks for what is left.
void tell_what_is_there(House& house) {
  for (const auto& loop : house->front_end().loops())
    std::fprintf(stderr, "%zu connections\n", loop->connection_count());
  std::fprintf(stderr, "%zu tasks\n", house->engine().feeds->tasks());
  for (const char* bucket : {"default", "b"})
    for (const char* group : {"dcp", "range-scans"})
      for (const auto& [name, value] : house.statistics(bucket, group))
        std::fprintf(stderr, "%s %s %s\n", bucket, name.c_str(), value.c_str());
}

// All have gone, and the server is there: with nothing but its documents.
void look_for_remains(House& house) {
  const auto told_at = Clock::now() + std::chrono::seconds(30);
  bool told = false;
  must_become_true("tasks of feeds", [&] {
    if (!told && (told = Clock::now() > told_at)) tell_what_is_there(house);
    return house->engine().feeds->tasks() == 0;
  });
  nothing_is_left(house, "default");
  nothing_is_left(house, "b");
  const auto b = house.buckets().find("b");
  must_become_true("guests of the bucket", [&] { return b->guests()->size() == 0; });
}

void drain_and_close(House& house) {
  house->drain();
  connections_hold_nothing(house->front_end());
  EXPECT_TRUE(house->close());
  EXPECT_EQ(house->engine().scans.statistics().open, 0U);
  for (const auto& served : house.buckets().all()) {
    EXPECT_EQ(served->guests()->size(), 0U);
    EXPECT_EQ(served->streams().producers(), 0U);
    EXPECT_EQ(served->streams().backfills().running(), 0U);
    EXPECT_EQ(served->streams().backfills().waiting(), 0U);
    EXPECT_EQ(served->bucket().cursor_lag_bytes(), 0U);
  }
}

TEST(StreamStress, ScansAndStreamsEndInEveryWay) {
  const uint64_t chosen = seed();
  SCOPED_TRACE("BOBBIN_STRESS_SEED=" + std::to_string(chosen));
  Random random(chosen);
  uint64_t messages = 0;
  uint64_t frames = 0;
  uint64_t rollbacks = 0;
  int rounds = 0;
  for (const auto until = Clock::now() + 2 * duration();
       (Clock::now() < until || rounds < 3) && !testing::Test::HasFailure(); ++rounds) {
    House house(random.below(UINT64_MAX));
    Crowd crowd(house, random);
    const auto end = Clock::now() + std::chrono::milliseconds(200 + random.below(600));
    while (Clock::now() < end && !testing::Test::HasFailure())
      house.disturb();
    switch (rounds % 3) {
      case 0: {
        crowd.calm();
        crowd.tell_to_leave();
        // Who waits for a change hears of no end: the removal of its bucket is one, the drain another.
        EXPECT_TRUE(house.buckets().remove("b"));
        EXPECT_TRUE(house.buckets().create(bucket_b()));
        crowd.leave();
        look_for_remains(house);
        EXPECT_TRUE(house.buckets().remove("b"));
        drain_and_close(house);
        break;
      }
      case 1:
        crowd.calm();
        drain_and_close(house);
        crowd.leave();
        break;
      default:
        crowd.calm();
        house.destroy();
        crowd.leave();
    }
    crowd.count(messages, frames, rollbacks);
  }
  EXPECT_GT(messages, 0U);
  EXPECT_GT(frames, 0U);
  EXPECT_GT(rollbacks, 0U);
  std::printf("%d rounds, %llu messages, %llu frames of scans, %llu rollbacks\n", rounds,
              static_cast<unsigned long long>(messages), static_cast<unsigned long long>(frames),
              static_cast<unsigned long long>(rollbacks));
}

}  // namespace
}  // namespace bobbin::stress
