#include "serve/errands.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>

namespace bobbin::serve {
namespace {

TEST(ErrandsTest, AreDoneOneAfterTheOther) {
  std::string done;
  std::promise<void> last;
  Errands errands;
  for (const char name : {'a', 'b', 'c'})
    EXPECT_TRUE(errands.post([&done, name] { done += name; }));
  EXPECT_TRUE(errands.post([&] { last.set_value(); }));
  last.get_future().wait();
  EXPECT_EQ(done, "abc");
}

TEST(ErrandsTest, SoManyWaitAndNoMore) {
  std::promise<void> begun;
  std::promise<void> go_on;
  Errands errands;
  EXPECT_TRUE(errands.post([&] {
    begun.set_value();
    go_on.get_future().wait();
  }));
  begun.get_future().wait();
  for (size_t i = 0; i < Errands::kMaxWaiting; ++i)
    EXPECT_TRUE(errands.post([] {}));
  EXPECT_FALSE(errands.post([] {}));
  go_on.set_value();
}

TEST(ErrandsTest, TheEndDropsThoseThatWait) {
  std::promise<void> begun;
  Errands errands;
  const auto held = std::make_shared<int>(1);
  EXPECT_TRUE(errands.post([&] {
    begun.set_value();
    while (!errands.ending().load())
      std::this_thread::yield();
  }));
  begun.get_future().wait();
  bool was_called = false;
  EXPECT_TRUE(errands.post([&was_called, held] { was_called = true; }));
  errands.end();
  EXPECT_FALSE(was_called);
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_FALSE(errands.post([] {}));
}

}  // namespace
}  // namespace bobbin::serve
