// How connections end: drained, closed from inside a call of their receiver, with producers alive.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <string>
#include <thread>

#include "net/front_end.h"
#include "net/held_loop.h"
#include "net/test_socket.h"

namespace bobbin::net {
namespace {

// A receiver made of what the test needs; echoes where the test says nothing.
struct Script {
  std::function<void(Connection&)> on_open = [](Connection&) {};
  std::function<size_t(Connection&, std::string_view)> on_bytes = [](Connection& connection,
                                                                     std::string_view unread) {
    connection.out().append(unread);
    return unread.size();
  };
  std::function<std::span<char>()> landing = [] { return std::span<char>(); };
  std::function<void(Connection&, size_t)> on_landed = [](Connection&, size_t) {};
  std::function<void(CloseReason)> on_closed = [](CloseReason) {};
};

class ScriptedReceiver final : public Receiver {
 public:
  explicit ScriptedReceiver(const Script& script) : script_(script) {}
  void on_open(Connection& connection) override { script_.on_open(connection); }
  size_t on_bytes(Connection& connection, std::span<const char> unread, size_t) override {
    return script_.on_bytes(connection, {unread.data(), unread.size()});
  }
  std::span<char> landing() noexcept override { return script_.landing(); }
  void on_landed(Connection& connection, size_t n) override { script_.on_landed(connection, n); }
  void on_closed(Connection&, CloseReason reason) override { script_.on_closed(reason); }

 private:
  const Script& script_;
};

class EndingTest : public testing::Test {
 protected:
  void start(const Limits& limits = {}) {
    FrontEndOptions options;
    // No drain here may end by its timeout, however slow the machine.
    options.listen.push_back(*Address::parse("127.0.0.1:0", 0));
    options.limits = limits;
    options.limits.drain_timeout = std::chrono::minutes(10);
    front_ = std::move(
        *FrontEnd::start(options, [this](size_t) { return std::make_unique<ScriptedReceiver>(script_); }));
  }
  TestSocket connect(int receive_buffer_bytes = 0) {
    return TestSocket(front_->addresses()[0], receive_buffer_bytes);
  }
  Loop& loop() { return *front_->loops()[0]; }
  const LoopCounters& counters() { return loop().counters(); }
  // Runs `task` on the loop's thread, so that what it changes needs no locks.
  void on_loop(const std::function<void()>& task) {
    std::promise<void> done;
    loop().post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }
  template <typename Condition>
  void wait_for(Condition condition) {
    while (!condition())
      std::this_thread::yield();
  }

  Script script_;
  std::unique_ptr<FrontEnd> front_;  // last: its threads end before what they use
};

TEST_F(EndingTest, DrainAnswersWhatHasArrived) {
  script_.on_bytes = [](Connection& connection, std::string_view unread) {
    const size_t whole = unread.rfind('\n') + 1;
    connection.out().append(unread.substr(0, whole));
    return whole;
  };
  start();
  TestSocket client = connect();
  client.send_all("before\n");
  EXPECT_EQ(client.receive(7), "before\n");
  std::string requests;
  for (int i = 0; i < 3'000; ++i)
    requests += std::to_string(i) + "\n";
  HeldLoop held(loop());
  client.send_all(requests + "half a reque");
  client.wait_until_arrived();
  std::thread drainer([this] { front_->drain(); });
  held.release();
  EXPECT_EQ(client.receive_to_end(), requests);
  drainer.join();
}

TEST_F(EndingTest, DrainLosesNoReplyToARequestThatComesTooLate) {
  const std::string reply(50'000, 'r');
  script_.on_bytes = [&](Connection& connection, std::string_view unread) {
    connection.out().append(base::PinnedBytes(reply, nullptr, [](void*) noexcept {}));
    return unread.size();
  };
  start();
  TestSocket client = connect(4'096);
  client.send_all("?");
  // In the kernel as a whole, and most of it not with the peer.
  wait_for([&] { return counters().bytes_written.get() == reply.size(); });
  on_loop([this] { loop().drain([] {}); });
  on_loop([] {});
  on_loop([] {});
  client.send_all("too late");
  EXPECT_EQ(client.receive_to_end().size(), reply.size());
}

TEST_F(EndingTest, APeerThatKeepsSendingCannotHoldADrain) {
  TestSocket* peer = nullptr;
  bool endless = false;
  std::atomic<int> answered{0};
  // As fast as a peer can be: whenever it is answered, its next request has arrived already.
  script_.on_bytes = [&](Connection& connection, std::string_view unread) {
    connection.out().append("!");
    ++answered;
    if (endless) {
      peer->send_all("?");
      peer->wait_until_arrived();
    }
    return unread.size();
  };
  start();
  TestSocket client = connect();
  client.send_all("?");
  EXPECT_EQ(client.receive(1), "!");
  on_loop([&] {
    peer = &client;
    endless = true;
  });
  {
    const HeldLoop held(loop());
    client.send_all("?");
    client.wait_until_arrived();
    loop().post([this] { loop().drain([] {}); });
  }
  EXPECT_EQ(client.receive_to_end(), "!");
  EXPECT_EQ(answered, 2);
}

TEST_F(EndingTest, DrainLeavesNoReadBehindInALandingThatWasFilled) {
  // What lands is given away when it is complete, as a stored document is: no later byte may reach it.
  struct State {
    std::vector<char> value = std::vector<char>(10'000);
    size_t filled = 0;
    bool wanted = false;
    std::atomic<bool> complete{false};
  } state;
  const std::string reply(8 << 20, 'r');  // more than the kernel's buffers take
  script_.on_bytes = [&](Connection&, std::string_view unread) {
    state.wanted = true;
    return unread.size();
  };
  script_.landing = [&] {
    if (!state.wanted || state.complete) return std::span<char>();
    return std::span(state.value).subspan(state.filled);
  };
  script_.on_landed = [&](Connection& connection, size_t n) {
    state.filled += n;
    if (state.filled < state.value.size()) return;
    state.complete = true;
    connection.out().append(base::PinnedBytes(reply, nullptr, [](void*) noexcept {}));
  };
  Limits limits;
  limits.max_unsent_bytes = 64 << 20;
  start(limits);
  TestSocket client = connect(65'536);
  client.send_all("?");
  wait_for([&] { return counters().bytes_read.get() == 1; });
  {
    const HeldLoop held(loop());
    client.send_all(std::string(10'000, 'v'));
    client.wait_until_arrived();
    loop().post([this] { loop().drain([] {}); });
  }
  wait_for([&] { return state.complete.load(); });
  client.send_all("late");
  EXPECT_EQ(client.receive_to_end().size(), reply.size());
  { const TestSocket ended = std::move(client); }
  wait_for([&] { return counters().connections_closed.get() == 1; });
  front_->stop();
  EXPECT_EQ(std::count(state.value.begin(), state.value.end(), 'v'), 10'000);
}

TEST_F(EndingTest, WhatWaitedForRoomIsNotAnsweredAfterTheEnd) {
  const std::string reply(32 << 20, 'r');  // half of it is more than the kernel takes
  std::promise<Connection*> promise;
  script_.on_open = [&](Connection& connection) { promise.set_value(&connection); };
  script_.on_bytes = [&](Connection& connection, std::string_view) {
    if (!connection.congested())
      connection.out().append(base::PinnedBytes(reply, nullptr, [](void*) noexcept {}));
    return 1;
  };
  Limits limits;
  limits.max_unsent_bytes = reply.size();
  start(limits);
  TestSocket client = connect(4'096);
  client.send_all("??");
  wait_for([&] { return counters().unsent_pauses.get() > 0; });
  Connection* connection = promise.get_future().get();
  on_loop([&] { connection->close_when_sent(); });
  // There is room again before everything is sent.
  EXPECT_EQ(client.receive_to_end().size(), reply.size());
}

TEST_F(EndingTest, AConnectionThatEndsTakesNoMoreFrames) {
  // The producer never pauses, the peer reads as fast as it can: the connection must end all the same.
  std::promise<Spool> promise;
  script_.on_open = [&](Connection& connection) { promise.set_value(connection.spool()); };
  script_.on_bytes = [](Connection& connection, std::string_view unread) {
    connection.close_when_sent();
    return unread.size();
  };
  start();
  TestSocket client = connect();
  Spool spool = promise.get_future().get();
  std::thread producer([&] {
    const std::string frame(1'000, 'f');
    while (spool.append(frame) != Append::closed) {
    }
  });
  EXPECT_EQ(client.receive(1'000'000).size(), 1'000'000U);
  client.send_all("end");
  EXPECT_EQ(client.receive_to_end().size() % 1'000, 0U) << "frames are whole to the end";
  client.reset();
  producer.join();
}

TEST_F(EndingTest, FramesAcceptedBeforeTheEndAreSent) {
  std::promise<Spool> promise;
  script_.on_open = [&](Connection& connection) { promise.set_value(connection.spool()); };
  script_.on_bytes = [](Connection& connection, std::string_view unread) {
    connection.out().append("bye");
    connection.close_when_sent();
    return unread.size();
  };
  start();
  TestSocket client = connect();
  Spool spool = promise.get_future().get();
  {
    const HeldLoop held(loop());
    client.send_all("end");
    client.wait_until_arrived();
    // The request is there; the frames are accepted before it is handled. Whichever the loop sees first:
    EXPECT_EQ(spool.append("frame"), Append::accepted);
  }
  const std::string all = client.receive_to_end();
  EXPECT_TRUE(all == "byeframe" || all == "framebye") << all;
}

TEST_F(EndingTest, AFrameDoesNotCutOffTheLastReply) {
  // After its last reply a connection waits for the peer's end, so that input still arriving does not reset
  // it.
  std::promise<Spool> promise;
  script_.on_open = [&](Connection& connection) { promise.set_value(connection.spool()); };
  script_.on_bytes = [](Connection& connection, std::string_view unread) {
    connection.out().append("bye");
    connection.close_when_sent();
    return unread.size();
  };
  start();
  TestSocket client = connect();
  Spool spool = promise.get_future().get();
  client.send_all("end");
  EXPECT_EQ(client.receive_to_end(), "bye");
  (void)spool.append("late");
  on_loop([] {});
  on_loop([] {});
  EXPECT_EQ(loop().connection_count(), 1U) << "still lingering";
  client.end();
  wait_for([&] { return counters().connections_closed.get() == 1; });
  EXPECT_EQ(counters().spool_bytes_now.get(), 0U);
}

TEST_F(EndingTest, MayCloseInsideAnyCallOfTheReceiver) {
  const auto close_hard = [](Connection& c) { c.close_now(CloseReason::by_receiver); };
  const auto close_soft = [](Connection& c) { c.close_when_sent(); };
  const auto flush_and_close = [](Connection& c) {
    c.out().append("x");
    c.flush();
    c.close_when_sent();
    c.out().append("y");
    c.flush();
    c.close_now(CloseReason::by_receiver);
    c.out().append("never sent");
    c.flush();
    c.close_when_sent();
  };
  char landing[4];
  int at = 0;
  bool landed = false;
  std::function<void(Connection&)> end;
  script_.on_open = [&](Connection& c) {
    (void)c.spool().append("s");
    if (at == 0) end(c);
  };
  script_.on_bytes = [&](Connection& c, std::string_view unread) {
    if (at == 1) end(c);
    if (at == 2) landed = true;
    return unread.size();
  };
  script_.landing = [&] { return at == 2 && landed ? std::span<char>(landing) : std::span<char>(); };
  script_.on_landed = [&](Connection& c, size_t) { end(c); };
  start();
  uint64_t ended = 0;
  for (int call = 0; call < 3; ++call) {
    for (const std::function<void(Connection&)>& way :
         {std::function<void(Connection&)>(close_hard), std::function<void(Connection&)>(close_soft),
          std::function<void(Connection&)>(flush_and_close)}) {
      const uint64_t read = counters().bytes_read.get();
      on_loop([&] {
        at = call;
        end = way;
        landed = false;
      });
      TestSocket client = connect();
      client.send_all("a");
      if (call == 2) {
        wait_for([&] { return counters().bytes_read.get() > read; });
        client.send_all("b");
      }
      const std::string all = client.receive_to_end();
      EXPECT_TRUE(all.find("never") == std::string::npos) << all;
      { const TestSocket gone = std::move(client); }
      ++ended;
      wait_for([&] { return counters().connections_closed.get() == ended; });
    }
  }
  EXPECT_EQ(counters().unsent_bytes.get(), 0U);
  EXPECT_EQ(counters().unread_bytes.get(), 0U);
  EXPECT_EQ(counters().spool_bytes_now.get(), 0U);
  EXPECT_EQ(loop().connection_count(), 0U);
}

TEST_F(EndingTest, AWakerMayCloseItsConnection) {
  std::promise<Connection*> promise;
  std::promise<Spool> spool_promise;
  script_.on_open = [&](Connection& connection) {
    spool_promise.set_value(connection.spool());
    promise.set_value(&connection);
  };
  Limits limits;
  limits.spool_bytes = 1'000;
  start(limits);
  TestSocket client = connect();
  Connection* connection = promise.get_future().get();
  Spool spool = spool_promise.get_future().get();
  {
    const HeldLoop held(loop());
    ASSERT_EQ(spool.append(std::string(1'000, 'f')), Append::accepted);
    ASSERT_EQ(spool.append_or_wake("more",
                                   [connection] {
                                     connection->close_now(CloseReason::by_receiver);
                                     connection->out().append("of a connection that is gone");
                                     connection->flush();
                                   }),
              Append::full);
  }
  EXPECT_EQ(client.receive_to_end(), std::string(1'000, 'f'));
  wait_for([&] { return counters().connections_closed.get() == 1; });
  on_loop([this] { script_.on_open = [](Connection&) {}; });
  TestSocket other = connect();
  other.send_all("?");
  EXPECT_EQ(other.receive(1), "?") << "nothing of it is left in what the loop lends";
}

}  // namespace
}  // namespace bobbin::net
