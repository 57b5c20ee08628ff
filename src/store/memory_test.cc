#include "store/memory.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace bobbin::store {
namespace {

TEST(MemoryAccount, CountsExactlyWhatManyThreadsAdd) {
  MemoryAccount* account = MemoryAccount::open(uint64_t{1} << 30);
  ASSERT_NE(account, nullptr);
  constexpr int kThreads = 8;
  constexpr int kTimes = 20'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([account] {
      for (int i = 0; i < kTimes; ++i) {
        account->charge(96);
        if (i % 3 == 0) account->credit(48);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  const uint64_t credits = (kTimes + 2) / 3;
  EXPECT_EQ(account->used_bytes(), kThreads * (kTimes * 96U - credits * 48U));
  account->credit(account->used_bytes());
  EXPECT_EQ(account->used_bytes(), 0U);
  account->close();
}

TEST(MemoryAccount, SeesItsOwnThreadsBytesAtOnceAndErrsOnTheSafeSide) {
  MemoryAccount* account = MemoryAccount::open(1'000'000);
  EXPECT_FALSE(account->is_over_quota(0));
  account->charge(1'000'001);
  EXPECT_TRUE(account->is_over_quota(0));
  account->credit(1'000'001);
  EXPECT_FALSE(account->is_over_quota(0));
  EXPECT_TRUE(account->is_over_quota(1'000'001));
  account->close();
}

TEST(MemoryAccount, IsNotGivenOutAgainWhileSomethingIsChargedToIt) {
  MemoryAccount* account = MemoryAccount::open(1000);
  account->charge(10);
  account->close();
  MemoryAccount* other = MemoryAccount::open(1000);
  EXPECT_NE(other, account);
  other->close();
  account->credit(10);
  MemoryAccount* again = MemoryAccount::open(2000);
  EXPECT_EQ(again, account);
  EXPECT_EQ(again->quota_bytes(), 2000U);
  again->close();
}

TEST(MemoryAccount, KnowsHowManyThereAreStill) {
  const size_t before = MemoryAccount::available();
  MemoryAccount* account = MemoryAccount::open(1000);
  EXPECT_EQ(MemoryAccount::available(), before - 1);
  account->charge(10);
  account->close();
  EXPECT_EQ(MemoryAccount::available(), before - 1) << "something is charged to it";
  account->credit(10);
  EXPECT_EQ(MemoryAccount::available(), before);
}

TEST(MemoryAccount, EndsAtTwoHundredAndFiftySix) {
  std::vector<MemoryAccount*> accounts;
  while (MemoryAccount* account = MemoryAccount::open(1))
    accounts.push_back(account);
  EXPECT_EQ(accounts.size(), MemoryAccount::kMaxAccounts);
  for (MemoryAccount* account : accounts)
    account->close();
}

TEST(Allocator, ChargesNoLessThanWasAskedFor) {
  for (size_t size : {49U, 96U, 97U, 1000U, 70'000U, 1'100'000U}) {
    void* memory = allocate_bytes(size);
    ASSERT_NE(memory, nullptr);
    EXPECT_GE(allocated_size(memory, size), size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 16, 0U);
    free_bytes(memory, size);
  }
}

}  // namespace
}  // namespace bobbin::store
