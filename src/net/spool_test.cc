#include "net/spool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "net/front_end.h"
#include "net/held_loop.h"
#include "net/test_socket.h"

namespace bobbin::net {
namespace {

// Hands the spool of each new connection to the test, and echoes.
class SpoolTest : public testing::Test {
 protected:
  class SpoolingReceiver final : public Receiver {
   public:
    explicit SpoolingReceiver(std::promise<Spool>& spool) : spool_(spool) {}
    void on_open(Connection& connection) override { spool_.set_value(connection.spool()); }
    size_t on_bytes(Connection& connection, std::span<const char> unread, size_t) override {
      connection.out().append({unread.data(), unread.size()});
      return unread.size();
    }

   private:
    std::promise<Spool>& spool_;
  };

  void start(size_t spool_bytes = 1 << 20) {
    FrontEndOptions options;
    options.listen.push_back(*Address::parse("127.0.0.1:0", 0));
    options.limits.spool_bytes = spool_bytes;
    front_ = std::move(
        *FrontEnd::start(options, [this](size_t) { return std::make_unique<SpoolingReceiver>(promise_); }));
  }
  TestSocket connect(int receive_buffer_bytes = 0) {
    TestSocket client(front_->addresses()[0], receive_buffer_bytes);
    spool_ = promise_.get_future().get();
    return client;
  }
  const LoopCounters& counters() { return front_->loops()[0]->counters(); }
  template <typename Condition>
  void wait_for(Condition condition) {
    while (!condition())
      std::this_thread::yield();
  }

  std::promise<Spool> promise_;
  Spool spool_;
  std::unique_ptr<FrontEnd> front_;  // last: its threads end before what they use
};

TEST_F(SpoolTest, FramesOfEachProducerArriveWholeAndInOrder) {
  start();
  TestSocket client = connect();
  constexpr int producers = 4;
  constexpr int frames = 20'000;
  std::vector<std::thread> threads;
  for (int p = 0; p < producers; ++p) {
    threads.emplace_back([this, p] {
      std::string frame(8, static_cast<char>('a' + p));
      for (int i = 0; i < frames; ++i) {
        std::snprintf(frame.data() + 1, 8, "%06d", i);
        frame[7] = '\n';
        while (spool_.append(frame) == Append::full)
          std::this_thread::yield();
      }
    });
  }
  std::vector<int> next(producers, 0);
  for (int i = 0; i < producers * frames; ++i) {
    const std::string frame = client.receive(8);
    ASSERT_EQ(frame.size(), 8U);
    ASSERT_EQ(frame[7], '\n');
    ASSERT_EQ(std::stoi(frame.substr(1, 6)), next.at(static_cast<size_t>(frame[0] - 'a'))++);
  }
  for (std::thread& thread : threads)
    thread.join();
  wait_for([&] { return spool_.unwritten_bytes() == 0; });
  EXPECT_LT(counters().spool_wakes.get(), static_cast<uint64_t>(producers * frames));
}

TEST_F(SpoolTest, IsBoundedAndWakesTheSleeperAtHalf) {
  start(100'000);
  TestSocket client = connect(4'096);
  const std::string frame(1'000, 'f');
  std::atomic<int> woken{0};
  std::atomic<size_t> unwritten_when_woken{0};
  {
    // Nothing is drained while the spool is filled.
    const HeldLoop held(*front_->loops()[0]);
    for (int i = 0; i < 100; ++i)
      ASSERT_EQ(spool_.append(frame), Append::accepted);
    EXPECT_EQ(spool_.append_or_wake(frame,
                                    [&] {
                                      unwritten_when_woken = spool_.unwritten_bytes();
                                      ++woken;
                                    }),
              Append::full);
    EXPECT_EQ(spool_.unwritten_bytes(), 100'000U);
    EXPECT_EQ(woken, 0);
  }
  EXPECT_EQ(client.receive(100'000), std::string(100'000, 'f'));
  wait_for([&] { return woken > 0; });
  EXPECT_LE(unwritten_when_woken, 50'000U);
  EXPECT_EQ(spool_.append(frame), Append::accepted);
  EXPECT_EQ(client.receive(1'000), frame);
  wait_for([&] { return spool_.unwritten_bytes() == 0; });
  EXPECT_EQ(woken, 1) << "a waker is called once";
}

TEST_F(SpoolTest, AFrameLargerThanTheMarkStillGoesThroughAlone) {
  start(1'000);
  TestSocket client = connect();
  EXPECT_EQ(spool_.append(std::string(5'000, 'x')), Append::accepted);
  EXPECT_EQ(client.receive(5'000).size(), 5'000U);
}

TEST_F(SpoolTest, PinnedValuesAreLetGoWhenSentAndKeptByTheCallerWhenRefused) {
  start(50'000);
  TestSocket client = connect(4'096);
  static std::atomic<int> released{0};
  released = 0;
  const std::string value(10'000, 'v');
  const auto pin = [&value] { return base::PinnedBytes(value, nullptr, [](void*) noexcept { ++released; }); };
  int accepted = 0;
  base::PinnedBytes refused;
  for (;;) {
    base::PinnedBytes next = pin();
    if (spool_.append("h", next) == Append::full) {
      refused = std::move(next);
      break;
    }
    ++accepted;
  }
  EXPECT_EQ(refused.size(), value.size());
  EXPECT_EQ(client.receive(static_cast<size_t>(accepted) * 10'001).size(),
            static_cast<size_t>(accepted) * 10'001);
  wait_for([&] { return released == accepted; });
}

TEST_F(SpoolTest, ClosingFreesWhatIsQueuedWakesSleepersAndRefusesMore) {
  start(50'000);
  static std::atomic<int> released{0};
  released = 0;
  std::atomic<bool> woken{false};
  const std::string value(2'000, 'v');
  int accepted = 0;
  {
    TestSocket client = connect(4'096);
    for (;;) {
      base::PinnedBytes next(value, nullptr, [](void*) noexcept { ++released; });
      if (spool_.append_or_wake("h", next, [&woken] { woken = true; }) == Append::full) break;
      ++accepted;
    }
    client.reset();
  }
  wait_for([&] { return woken.load(); });
  wait_for([&] { return released == accepted + 1; });  // and the one that was refused
  // The wake may have come from room that the kernel's buffers made, before the reset was seen.
  wait_for([&] { return spool_.closed(); });
  EXPECT_EQ(spool_.append("more"), Append::closed);
  EXPECT_EQ(spool_.unwritten_bytes(), 0U);
  wait_for([&] { return counters().connections_closed.get() == 1; });
  EXPECT_EQ(counters().spool_bytes_now.get(), 0U);
}

TEST_F(SpoolTest, OneWakeForManyFramesOfManyProducers) {
  start();
  TestSocket client = connect();
  HeldLoop held(*front_->loops()[0]);
  const uint64_t wakes = counters().spool_wakes.get();
  for (int i = 0; i < 1'000; ++i)
    EXPECT_EQ(spool_.append("0123456789"), Append::accepted);
  held.release();
  EXPECT_EQ(client.receive(10'000).size(), 10'000U);
  EXPECT_EQ(counters().spool_wakes.get(), wakes + 1);
}

TEST(ManySpools, TakeTurnsWithTheLoopsOtherWork) {
  class Recorder final : public Receiver {
   public:
    explicit Recorder(std::vector<Spool>& spools) : spools_(spools) {}
    void on_open(Connection& connection) override { spools_.push_back(connection.spool()); }
    size_t on_bytes(Connection&, std::span<const char> unread, size_t) override { return unread.size(); }

   private:
    std::vector<Spool>& spools_;
  };
  constexpr size_t connections = 3 * kSpoolsPerTick;
  std::vector<Spool> spools;
  FrontEndOptions options;
  options.listen.push_back(*Address::parse("127.0.0.1:0", 0));
  const auto front =
      std::move(*FrontEnd::start(options, [&](size_t) { return std::make_unique<Recorder>(spools); }));
  Loop& loop = *front->loops()[0];
  std::vector<TestSocket> clients;
  for (size_t i = 0; i < connections; ++i)
    clients.emplace_back(front->addresses()[0]);
  while (loop.counters().connections_opened.get() < connections)
    std::this_thread::yield();
  std::promise<uint64_t> drained_before;
  {
    const HeldLoop held(loop);
    for (Spool& spool : spools)
      ASSERT_EQ(spool.append("frame"), Append::accepted);
    loop.post([&] { drained_before.set_value(loop.counters().spool_drains.get()); });
  }
  EXPECT_LE(drained_before.get_future().get(), kSpoolsPerTick);
  for (TestSocket& client : clients)
    EXPECT_EQ(client.receive(5), "frame");
}

}  // namespace
}  // namespace bobbin::net
