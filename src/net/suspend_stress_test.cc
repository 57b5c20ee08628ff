// Threads that resume many connections at random, against what each must answer. BOBBIN_TEST_SEED repeats a
// run's choices, though not the scheduler's.

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "net/front_end.h"
#include "net/test_socket.h"

namespace bobbin::net {
namespace {

constexpr size_t kConnections = 100;
constexpr int kRounds = 30;
constexpr size_t kRequestsPerRound = 200;

uint64_t seed_of_run() {
  const char* const given = std::getenv("BOBBIN_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

// What a receiver waits for, shared with the thread that does it.
struct Job {
  Spool spool;
  std::atomic<bool> done{false};
  char answer = 0;  // written before done
};

class Workers {
 public:
  void give(std::shared_ptr<Job> job) {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
    given_.notify_one();
  }
  // Those of any connection, in any order; and now and then one that nobody waits for, or one too early.
  void work(uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<Spool> met;
    for (std::shared_ptr<Job> job = take(random); job != nullptr; job = take(random)) {
      if (random() % 4 == 0) job->spool.resume();
      job->answer = '!';
      job->done.store(true, std::memory_order_release);
      job->spool.resume();
      if (met.size() < 2 * kConnections) met.push_back(job->spool);
      if (random() % 8 == 0) met[random() % met.size()].resume();
    }
  }
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    given_.notify_all();
  }

 private:
  std::shared_ptr<Job> take(std::mt19937_64& random) {
    std::unique_lock lock(mutex_);
    given_.wait(lock, [this] { return ended_ || !jobs_.empty(); });
    if (jobs_.empty()) return nullptr;
    std::swap(jobs_[random() % jobs_.size()], jobs_.back());
    auto job = std::move(jobs_.back());
    jobs_.pop_back();
    return job;
  }

  std::mutex mutex_;
  std::condition_variable given_;
  std::vector<std::shared_ptr<Job>> jobs_;
  bool ended_ = false;
};

// Answers each byte with itself. Before it answers 'w' and 'h' it waits for a worker, letting replies go or
// holding them; then it answers '!' as well.
class WaitingReceiver final : public Receiver {
 public:
  explicit WaitingReceiver(Workers& workers) : workers_(workers) {}

  size_t on_bytes(Connection& connection, std::span<const char> unread, size_t) override {
    EXPECT_EQ(job_, nullptr) << "shown while suspended";
    size_t n = 0;
    while (n < unread.size() && job_ == nullptr && !connection.congested()) {
      const char letter = unread[n++];
      connection.out().append({&letter, 1});
      if (letter != 'w' && letter != 'h') continue;
      job_ = std::make_shared<Job>();
      job_->spool = connection.spool();
      workers_.give(job_);
      hold_ = letter == 'h' ? Hold::replies : Hold::nothing;
      connection.suspend(hold_);
      held_at_ = hold_ == Hold::replies ? connection.out().size() : 0;
    }
    return n;
  }
  std::span<char> landing() noexcept override {
    EXPECT_EQ(job_, nullptr) << "asked while suspended";
    return {};
  }
  void on_resumed(Connection& connection) override {
    if (job_ == nullptr) return;
    EXPECT_GE(connection.out().size(), held_at_) << "sent what was held";
    if (!job_->done.load(std::memory_order_acquire)) return connection.suspend(hold_);
    connection.out().append({&job_->answer, 1});
    job_ = nullptr;
  }

 private:
  Workers& workers_;
  std::shared_ptr<Job> job_;
  Hold hold_ = Hold::nothing;
  size_t held_at_ = 0;
};

// One thread's share of the clients: what comes back is the model, byte for byte.
void converse(const Address& address, size_t clients, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<TestSocket> sockets;
  for (size_t i = 0; i < clients; ++i)
    sockets.emplace_back(address);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::string> expected(clients);
    for (size_t i = 0; i < clients; ++i) {
      std::string requests;
      const size_t n = 1 + random() % kRequestsPerRound;
      for (size_t k = 0; k < n; ++k) {
        requests += "abcdefgwhi"[random() % 10];
        expected[i] += requests.back();
        if (requests.back() == 'w' || requests.back() == 'h') expected[i] += '!';
      }
      ASSERT_TRUE(sockets[i].send_all(requests));
      if (round + 1 == kRounds && random() % 2 == 0) sockets[i].end();
    }
    for (size_t i = 0; i < clients; ++i)
      ASSERT_EQ(sockets[i].receive(expected[i].size()), expected[i]);
  }
}

TEST(SuspendStress, ManyThreadsResumeManyConnections) {
  const uint64_t seed = seed_of_run();
  SCOPED_TRACE("BOBBIN_TEST_SEED=" + std::to_string(seed));
  Workers workers;
  FrontEndOptions options;
  options.threads = 2;
  options.listen.push_back(*Address::parse("127.0.0.1:0", 0));
  options.limits.max_unsent_bytes = 64;  // congestion has its part
  const auto front = std::move(
      *FrontEnd::start(options, [&](size_t) { return std::make_unique<WaitingReceiver>(workers); }));
  std::vector<std::thread> resuming;
  std::vector<std::thread> conversing;
  for (uint64_t i = 0; i < 3; ++i)
    resuming.emplace_back([&, i] { workers.work(seed + i); });
  for (uint64_t i = 0; i < 4; ++i)
    conversing.emplace_back([&, i] { converse(front->addresses()[0], kConnections / 4, seed + 100 + i); });
  for (std::thread& thread : conversing)
    thread.join();
  workers.end();
  for (std::thread& thread : resuming)
    thread.join();
  front->drain();
  for (const auto& loop : front->loops()) {
    EXPECT_EQ(loop->counters().unsent_bytes.get(), 0U);
    EXPECT_EQ(loop->counters().unread_bytes.get(), 0U);
    EXPECT_EQ(loop->connection_count(), 0U);
  }
}

}  // namespace
}  // namespace bobbin::net
