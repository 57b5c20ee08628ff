#include "serve/command_times.h"

#include <gtest/gtest.h>

#include <memory>

#include "serve/test_session.h"

namespace bobbin::serve {
namespace {

uint64_t count_of(const CommandTimes& times, size_t command) {
  uint64_t count = 0;
  for (const net::OwnedCounter& step : times.of(command).steps)
    count += step.get();
  return count;
}

TEST(CommandTimesTest, StepsAreDoublingMicroseconds) {
  EXPECT_EQ(CommandTimes::step_of(0), 0U);
  EXPECT_EQ(CommandTimes::step_of(1'000), 0U);
  EXPECT_EQ(CommandTimes::step_of(1'001), 1U);
  EXPECT_EQ(CommandTimes::step_of(2'000), 1U);
  EXPECT_EQ(CommandTimes::step_of(2'001), 2U);
  EXPECT_EQ(CommandTimes::step_of(1'024'000), 10U);
  EXPECT_EQ(CommandTimes::step_of(1'024'001), 11U);
  EXPECT_EQ(CommandTimes::step_of(UINT64_MAX), CommandTimes::kSteps - 1);
}

TEST(CommandTimesTest, AllOfABatchHaveItsTime) {
  const auto times = std::make_unique<CommandTimes>();
  for (const uint16_t command : {3, 3, 7, 3, 511})
    times->note(command);
  times->settle(0, 5'000);
  EXPECT_EQ(times->of(3).steps[3].get(), 3U);
  EXPECT_EQ(times->of(3).sum_ns.get(), 15'000U);
  EXPECT_EQ(times->of(7).steps[3].get(), 1U);
  EXPECT_EQ(times->of(511).steps[3].get(), 1U);
  EXPECT_FALSE(times->has_noted());
  times->settle(0, 5'000);
  EXPECT_EQ(count_of(*times, 3), 3U);
}

TEST(CommandTimesTest, TheClockIsLookedAtOnceInAWhile) {
  const auto times = std::make_unique<CommandTimes>();
  constexpr uint64_t kStart = 1'000'000'000;
  EXPECT_FALSE(times->is_due(kStart)) << "there is nothing";
  times->note(1);
  EXPECT_TRUE(times->is_due(kStart));
  times->settle(kStart, 1);
  times->note(1);
  EXPECT_FALSE(times->is_due(kStart + 99'999));
  times->note(1);
  EXPECT_TRUE(times->is_due(kStart + 100'000));
  EXPECT_TRUE(times->is_due(kStart - 1)) << "the wall clock was set back";
  times->settle(kStart + 100'000, 3'000);
  EXPECT_EQ(times->of(1).steps[2].get(), 2U) << "none is lost";
}

TEST(CommandTimesTest, WhatRunsAgainCountsOnce) {
  const auto times = std::make_unique<CommandTimes>();
  times->note(1);
  times->note(2);
  times->take_back();
  times->take_back();
  times->settle(0, 1);
  EXPECT_EQ(count_of(*times, 1), 1U);
  EXPECT_EQ(count_of(*times, 2), 0U);
  times->note(2);
  times->note(2);
  times->take_back();
  times->settle(0, 1);
  EXPECT_EQ(count_of(*times, 2), 1U);
}

TEST(CommandTimesTest, ASessionNotesTheCommandsOfEveryProtocol) {
  net::Loop loop{net::Limits{}};
  TestEngine server(loop);
  const CommandTimes& times = server.engine().counters[0]->times;
  const auto text = server.connect();
  text->feed("get a\r\nget b\r\nmn\r\n");
  server.clock().advance_s(1);
  const auto binary = server.connect();
  const std::string noop = std::string("\x80\x0a", 2) + std::string(22, '\0');
  binary->feed(noop + noop);
  uint64_t all = 0;
  for (size_t i = 0; i < CommandTimes::kCommands; ++i)
    all += count_of(times, i);
  EXPECT_EQ(all, 5U);
  EXPECT_EQ(count_of(times, CommandTimes::kBinary + 0x0a), 2U);
}

}  // namespace
}  // namespace bobbin::serve
