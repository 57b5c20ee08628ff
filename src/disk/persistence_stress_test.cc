// A bucket far larger than its quota under random traffic of several threads, with restarts in between, held
// against a model. A run is told by its seed: BOBBIN_TEST_SEED takes it back.

#include <atomic>
#include <cstdlib>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "disk/persistence_fixture.h"

namespace bobbin::disk {
namespace {

using store::EvictionPolicy;
using store::RemoveStatus;
using store::StoreMode;

constexpr size_t kThreads = 4;
constexpr uint64_t kKeysPerThread = 800;
constexpr int kRounds = 4;
constexpr int kOperations = 3000;

uint64_t seed_of_run() {
  const char* const given = std::getenv("BOBBIN_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

class PersistenceStress : public testing::TestWithParam<EvictionPolicy>, protected PersistenceFixture {
 protected:
  /// What one thread does with the keys that are its own.
  class Client {
   public:
    Client(PersistenceStress& all, size_t number, uint64_t seed)
        : all_(all), number_(number), random_(seed + number) {}

    void run(int operations) {
      for (int i = 0; i < operations && !testing::Test::HasFailure(); ++i)
        step();
    }
    void check_all() {
      for (uint64_t i = 0; i < kKeysPerThread && !testing::Test::HasFailure(); ++i)
        check(key_of(i));
    }
    void forget() { model_.clear(); }
    [[nodiscard]] size_t items() const { return model_.size(); }

   private:
    [[nodiscard]] std::string key_of(uint64_t i) const {
      return "t" + std::to_string(number_) + "-" + std::to_string(i);
    }
    std::string some_value() {
      const uint64_t size = random_() % 8 == 0 ? random_() % 12'000 : random_() % 1500;
      return std::string(size, static_cast<char>('a' + random_() % 26));
    }
    /// Nobody is out of memory for good: what is dirty is on its way to disk.
    store::StoreResult put(StoreMode mode, const std::string& key, const std::string& value) {
      wait_for_room();
      store::StoreResult result = all_.put(mode, key, value);
      for (int i = 0; i < 10'000 && result.status == store::StoreStatus::no_memory; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        result = all_.put(mode, key, value);
      }
      return result;
    }
    store::RemoveResult remove(const std::string& key) {
      store::RemoveResult result = all_.remove(key);
      for (int i = 0; i < 10'000 && result.status == RemoveStatus::no_memory; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        result = all_.remove(key);
      }
      return result;
    }
    void wait_for_room() {
      while (all_.there().over_dirty_limit()) {
        const auto committed = std::make_shared<std::promise<void>>();
        all_.there().after_commit(0, [committed] { committed->set_value(); });
        if (all_.there().over_dirty_limit()) committed->get_future().wait();
      }
    }
    void check(const std::string& key) {
      const auto known = model_.find(key);
      const std::string found = all_.get(key);
      EXPECT_EQ(found == "<miss>", known == model_.end()) << key;
      if (known == model_.end()) return;
      EXPECT_TRUE(found == known->second) << key << ": " << found.size();
    }
    void step() {
      const std::string key = key_of(random_() % kKeysPerThread);
      const bool is_there = model_.count(key) != 0;
      switch (random_() % 10) {
        case 0:
        case 1:
        case 2: {
          const std::string value = some_value();
          EXPECT_TRUE(put(StoreMode::set, key, value).ok()) << key;
          model_[key] = value;
          return;
        }
        case 3: {
          const std::string value = some_value();
          EXPECT_EQ(put(StoreMode::add, key, value).ok(), !is_there) << key;
          if (!is_there) model_[key] = value;
          return;
        }
        case 4:
          EXPECT_EQ(remove(key).status, is_there ? RemoveStatus::removed : RemoveStatus::not_found) << key;
          model_.erase(key);
          return;
        case 5:
          if (!is_there || model_[key].size() > 20'000) return check(key);
          EXPECT_TRUE(put(StoreMode::append, key, "+").ok()) << key;
          model_[key] += "+";
          return;
        default:
          return check(key);
      }
    }

    PersistenceStress& all_;
    const size_t number_;
    std::mt19937_64 random_;
    std::map<std::string, std::string> model_;
  };
};

std::string policy_name(const testing::TestParamInfo<EvictionPolicy>& tested) {
  return tested.param == EvictionPolicy::value ? "Value" : "Full";
}
INSTANTIATE_TEST_SUITE_P(Eviction, PersistenceStress,
                         testing::Values(EvictionPolicy::value, EvictionPolicy::full), policy_name);

TEST_P(PersistenceStress, FarMoreThanTheQuotaKeepsToTheModel) {
  const uint64_t seed = seed_of_run();
  SCOPED_TRACE("BOBBIN_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  options().bucket.eviction = GetParam();
  options().bucket.quota_bytes = 1 << 20;
  options().max_dirty_bytes = 256 << 10;
  std::vector<Client> clients;
  for (size_t i = 0; i < kThreads; ++i)
    clients.emplace_back(*this, i, seed);
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    start();
    std::vector<std::thread> threads;
    for (Client& client : clients)
      threads.emplace_back([&client] { client.run(kOperations); });
    for (std::thread& thread : threads)
      thread.join();
    const auto items_of_all = [&] {
      size_t sum = 0;
      for (const Client& client : clients)
        sum += client.items();
      return sum;
    };
    if (round == 2) {
      flush_all();
      for (Client& client : clients) {
        client.forget();
        client.run(200);
      }
    }
    flush_to_disk();
    EXPECT_EQ(items(), items_of_all());
    if (random() % 2 == 0)
      close();
    else
      crash();
    start();
    for (Client& client : clients)
      client.check_all();
    wait_for_warmup();
    EXPECT_EQ(items(), items_of_all());
    close();
  }
}

}  // namespace
}  // namespace bobbin::disk
