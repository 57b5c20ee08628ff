#include "disk/document_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "disk/document_memtable.h"
#include "disk/memtable_fixture.h"

namespace bobbin::disk {
namespace {

using memtable_test::BareMemtable;
using versions::Key;
using versions::Keys;
using versions::Order;
using versions::OrderCursor;
using versions::Orders;

constexpr uint16_t kVBucket = 258;

std::vector<std::string> names_of(const versions::SortedKeys& keys) {
  std::vector<std::string> names;
  for (const Key* key : keys)
    names.emplace_back(key->bytes());
  return names;
}

class DocumentOrder : public ::testing::Test {
 protected:
  /// A new key of a vbucket; its bytes.
  std::string insert(uint64_t number, uint16_t vbucket = kVBucket) {
    std::string bytes{static_cast<char>(vbucket >> 8U), static_cast<char>(vbucket)};
    bytes += "key-" + std::to_string(number);
    const std::string entry = BareMemtable::entry_of({bytes, ++sequence_}, "value");
    void* const memory = memtable::allocate_aligned(memtable_.rep(), sizeof(versions::Version) + entry.size(),
                                                    alignof(versions::Version));
    auto* const version = std::construct_at(static_cast<versions::Version*>(memory));
    std::memcpy(static_cast<char*>(memory) + sizeof *version, entry.data(), entry.size());
    EXPECT_TRUE(keys_.insert(*version, static_cast<uint32_t>(number)));
    return bytes;
  }
  /// So many more, in no order.
  void insert_more(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i)
      names_.insert(insert(next_number()));
  }
  /// Each once, and neighbours far from each other.
  uint64_t next_number() { return number_++ * 7'919 % 1'000'003; }

  /// What walking through an order finds.
  static std::vector<std::string> walk(const std::shared_ptr<const Order>& order) {
    std::vector<std::string> found;
    OrderCursor at;
    for (at.begin(order); !at.is_at_end(); at.next())
      found.emplace_back(at.key().bytes());
    return found;
  }
  [[nodiscard]] std::vector<std::string> all() const { return {names_.begin(), names_.end()}; }

  BareMemtable memtable_{document_memtables(256)};
  Keys keys_{memtable_.rep(), 1024};
  Orders orders_{keys_.last_of_vbuckets()};
  std::set<std::string> names_;
  uint64_t sequence_ = 0;
  uint64_t number_ = 0;
  const uint64_t seed_ = memtable_test::seed();
  const ::testing::ScopedTrace trace_{__FILE__, __LINE__, "BOBBIN_TEST_SEED=" + std::to_string(seed_)};
  std::mt19937_64 random_{seed_};
};

TEST_F(DocumentOrder, ThereIsNoneOfAVBucketWithoutKeys) {
  insert_more(3);
  EXPECT_EQ(orders_.of(kVBucket + 1), nullptr);
  OrderCursor at;
  at.begin(nullptr);
  EXPECT_TRUE(at.is_at_end());
  EXPECT_FALSE(at.prev());
}

TEST_F(DocumentOrder, WhoComesLaterHasTheSame) {
  insert_more(1000);
  const auto order = orders_.of(kVBucket);
  EXPECT_EQ(walk(order), all());
  insert(1, kVBucket + 1);
  EXPECT_EQ(orders_.of(kVBucket), order);
}

// One that seeks while keys come must not sort the vbucket anew for each of them.
TEST_F(DocumentOrder, WhatIsSortedIsNotSortedAgain) {
  insert_more(10'000);
  const auto order = orders_.of(kVBucket);
  EXPECT_EQ(order->most->size(), 10'000U);
  insert_more(1);
  const auto next = orders_.of(kVBucket);
  EXPECT_EQ(next->most, order->most);
  EXPECT_EQ(next->latest.size(), 1U);
  std::set<std::shared_ptr<const versions::SortedKeys>> all_most = {order->most};
  size_t longest = 0;
  for (int i = 0; i < 20'000; ++i) {
    insert_more(1);
    const auto now = orders_.of(kVBucket);
    all_most.insert(now->most);
    longest = std::max(longest, now->latest.size());
    all_most.erase(order->most);
  }
  EXPECT_LT(all_most.size(), 250U);
  EXPECT_LT(longest, 200U);
  EXPECT_EQ(walk(orders_.of(kVBucket)), all());
  EXPECT_EQ(order->most->size(), 10'000U);
}

TEST_F(DocumentOrder, ManyThatCameSinceAreMergedIn) {
  for (const uint64_t count : {1, 1, 63, 1, 1000, 5000, 70, 1, 100}) {
    insert_more(count);
    const auto order = orders_.of(kVBucket);
    ASSERT_EQ(walk(order), all());
    EXPECT_EQ(order->most->size() + order->latest.size(), names_.size());
    const auto names = names_of(*order->most);
    EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  }
}

TEST_F(DocumentOrder, ACursorGoesBothWays) {
  insert_more(2000);
  (void)orders_.of(kVBucket);
  insert_more(60);
  const auto order = orders_.of(kVBucket);
  ASSERT_EQ(order->latest.size(), 60U);
  OrderCursor at;
  at.begin(order);
  auto model = names_.begin();
  const auto expect_same = [&] {
    ASSERT_EQ(at.is_at_end(), model == names_.end());
    if (at.is_at_end()) return;
    ASSERT_EQ(at.key().bytes(), *model);
  };
  for (int i = 0; i < 50'000; ++i) {
    expect_same();
    if (HasFatalFailure()) return;
    switch (random_() % 8) {
      case 0: {
        const std::string target =
            std::string{static_cast<char>(kVBucket >> 8U), static_cast<char>(kVBucket & 0xffU)} + "key-" +
            std::to_string(random_() % 1'000'003);
        at.seek(target);
        model = names_.lower_bound(target);
        break;
      }
      case 1:
      case 2:
      case 3:
      case 4:
        ASSERT_EQ(at.prev(), model != names_.begin());
        if (model != names_.begin()) --model;
        break;
      case 5:
        if (random_() % 100 == 0) {
          at.to_end();
          model = names_.end();
        }
        break;
      default:
        if (at.is_at_end()) break;
        at.next();
        ++model;
    }
  }
}

TEST_F(DocumentOrder, SeveralMayComeWhileKeysDo) {
  constexpr uint64_t kKeys = 20'000;
  std::atomic<uint64_t> inserted{0};
  std::atomic<bool> failed{false};
  const auto reads = [&] {
    for (uint64_t seen = 0; seen < kKeys && !failed;) {
      seen = inserted.load(std::memory_order_acquire);
      const auto order = orders_.of(kVBucket);
      const auto names = walk(order);
      if (names.size() < seen || !std::is_sorted(names.begin(), names.end())) failed = true;
    }
  };
  std::thread one(reads);
  std::thread other(reads);
  for (uint64_t i = 0; i < kKeys; ++i) {
    insert(next_number());
    inserted.store(i + 1, std::memory_order_release);
  }
  one.join();
  other.join();
  EXPECT_FALSE(failed);
  EXPECT_EQ(walk(orders_.of(kVBucket)).size(), kKeys);
}

// One that has seen the newest key before another kept an order with a newer one.
TEST_F(DocumentOrder, WhoIsOvertakenFindsTheOrderOfANewerKey) {
  constexpr uint64_t kKeys = 3000;
  std::atomic<bool> done{false};
  std::atomic<bool> failed{false};
  const auto comes = [&] {
    size_t before = 0;
    while (!done && !failed) {
      const auto order = orders_.of(kVBucket);
      const size_t now = order ? order->size() : 0;
      if (now < before) failed = true;
      before = now;
    }
  };
  std::thread one(comes);
  std::thread other(comes);
  for (uint64_t i = 0; i < kKeys; ++i) {
    insert(next_number());
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
  done = true;
  one.join();
  other.join();
  EXPECT_FALSE(failed);
  EXPECT_EQ(walk(orders_.of(kVBucket)).size(), kKeys);
}

}  // namespace
}  // namespace bobbin::disk
