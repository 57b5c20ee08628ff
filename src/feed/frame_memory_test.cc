#include "feed/frame_memory.h"

#include <gtest/gtest.h>

#include <string>

namespace bobbin::feed {
namespace {

class FrameMemoryTest : public testing::Test {
 protected:
  using Connection = std::shared_ptr<FrameMemory::Connection>;
  std::unique_ptr<FrameMemory::Claim> claim(const Connection& connection, uint64_t bytes, char name) {
    return memory_->claim(connection, bytes, [this, name] { woken_.push_back(name); });
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
