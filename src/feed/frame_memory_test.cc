#include "feed/frame_memory.h"

#include <gtest/gtest.h>

#include <string>

namespace bobbin::feed {
namespace {

class FrameMemoryTest : public testing::Test {
 protected:
  using Connection = std::shared_ptr<FrameMemory::Connection>;
  std::unique_ptr<FrameMemory::Claim> claim(const Connection& connection, uint64_t bytes, char name,
                                            std::string_view user = {}) {
    return memory_->claim(connection, user, bytes, [this, name] { woken_.push_back(name); });
  }
  static Connection connection() { return std::make_shared<FrameMemory::Connection>(); }

  std::shared_ptr<FrameMemory> memory_ =
      std::make_shared<FrameMemory>(FrameMemory::Limits{.bytes = 100, .connection_bytes = 40});
  std::string woken_;
};

TEST_F(FrameMemoryTest, AConnectionHasItsShare) {
  const Connection mine = connection();
  auto a = claim(mine, 20, 'a');
  auto b = claim(mine, 20, 'b');
  EXPECT_TRUE(a->is_granted());
  EXPECT_TRUE(b->is_granted());
  const auto c = claim(mine, 1, 'c');
  EXPECT_FALSE(c->is_granted());
  EXPECT_TRUE(claim(connection(), 40, 'd')->is_granted()) << "another one is not concerned";
  EXPECT_EQ(memory_->numbers().held_bytes, 40U);
  EXPECT_EQ(memory_->numbers().waiting, 1U);
  a.reset();
  EXPECT_EQ(woken_, "c");
  EXPECT_TRUE(c->is_granted());
  EXPECT_EQ(memory_->numbers().held_bytes, 21U);
  EXPECT_EQ(memory_->numbers().waiting, 0U);
}

TEST_F(FrameMemoryTest, AllTogetherHaveALimit) {
  auto a = claim(connection(), 40, 'a');
  auto b = claim(connection(), 40, 'b');
  const auto c = claim(connection(), 30, 'c');
  EXPECT_FALSE(c->is_granted());
  EXPECT_FALSE(claim(connection(), 1, 'd')->is_granted()) << "who came before is not passed";
  b.reset();
  EXPECT_EQ(woken_, "c");
  EXPECT_EQ(memory_->numbers().held_bytes, 70U);
}

TEST_F(FrameMemoryTest, WhatIsLargerThanAnyLimitGoesAlone) {
  const Connection mine = connection();
  auto a = claim(mine, 1000, 'a');
  EXPECT_TRUE(a->is_granted());
  auto b = claim(mine, 1000, 'b');
  const auto c = claim(connection(), 1, 'c');
  EXPECT_FALSE(b->is_granted());
  EXPECT_FALSE(c->is_granted());
  a.reset();
  EXPECT_EQ(woken_, "b") << "of all, and of its connection";
  b.reset();
  EXPECT_EQ(woken_, "bc");
}

TEST_F(FrameMemoryTest, NobodyPassesAnotherOfItsConnection) {
  const Connection mine = connection();
  auto a = claim(mine, 30, 'a');
  auto large = claim(mine, 40, 'l');
  const auto small = claim(mine, 1, 's');
  EXPECT_FALSE(small->is_granted());
  const auto other = claim(connection(), 1, 'o');
  EXPECT_TRUE(other->is_granted());
  large.reset();  // does not want it any more
  EXPECT_EQ(woken_, "s");
  EXPECT_EQ(memory_->numbers().held_bytes, 32U);
}

TEST_F(FrameMemoryTest, AUserHasItsShareHoweverManyConnectionsItHas) {
  auto a = claim(connection(), 20, 'a', "greedy");
  EXPECT_TRUE(a->is_granted());
  auto b = claim(connection(), 20, 'b', "greedy");
  EXPECT_FALSE(b->is_granted());
  const auto small = claim(connection(), 1, 's', "greedy");
  EXPECT_FALSE(small->is_granted()) << "who came before, of its user, is not passed";
  const auto other = claim(connection(), 20, 'o', "other");
  EXPECT_TRUE(other->is_granted()) << "does not wait behind another user's";
  const auto stranger = claim(connection(), 40, 'n');
  EXPECT_TRUE(stranger->is_granted()) << "who has not logged in has no share";
  a.reset();
  EXPECT_EQ(woken_, "bs");
  b.reset();
  EXPECT_EQ(memory_->numbers().held_bytes, 61U);
  EXPECT_EQ(memory_->numbers().waiting, 0U);
}

TEST_F(FrameMemoryTest, AUsersFirstFrameMayBeLargerThanItsShare) {
  auto a = claim(connection(), 40, 'a', "user");
  EXPECT_TRUE(a->is_granted());
  const auto b = claim(connection(), 40, 'b', "user");
  EXPECT_FALSE(b->is_granted());
  a.reset();
  EXPECT_EQ(woken_, "b");
}

TEST_F(FrameMemoryTest, AConnectionThatIsFullDoesNotKeepItsUsersOthers) {
  memory_ = std::make_shared<FrameMemory>(FrameMemory::Limits{.bytes = 400, .connection_bytes = 40});
  const Connection full = connection();
  const auto a = claim(full, 40, 'a', "user");
  auto b = claim(full, 20, 'b', "user");
  EXPECT_FALSE(b->is_granted());
  EXPECT_TRUE(claim(connection(), 40, 'c', "user")->is_granted());
  // Who waits and goes lets those behind it through.
  const auto c = claim(connection(), 40, 'c', "user");
  auto d = claim(connection(), 40, 'd', "user");
  const auto e = claim(connection(), 20, 'e', "user");
  EXPECT_FALSE(d->is_granted());
  EXPECT_FALSE(e->is_granted());
  d.reset();
  EXPECT_EQ(woken_, "e");
}

TEST_F(FrameMemoryTest, AClaimOutlivesTheRest) {
  auto a = claim(nullptr, 10, 'a');
  const auto b = claim(nullptr, 90, 'b');
  EXPECT_TRUE(b->is_granted()) << "who has no connection shares none";
  const auto c = claim(nullptr, 1, 'c');
  memory_.reset();
  a.reset();
  EXPECT_EQ(woken_, "c");
}

}  // namespace
}  // namespace bobbin::feed
