// How connections end whose receiver waits for another thread.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "net/held_loop.h"
#include "net/letter_receiver.h"

namespace bobbin::net {
namespace {

using SuspendEndingTest = SuspendTest;

TEST_F(SuspendEndingTest, AnswersAfterThePeerHasEnded) {
  start();
  {
    TestSocket client = connect();
    client.send_all("aWbHc");
    client.end();
    wait_for_suspends(1);
    peer_.spool.resume();
    wait_for_suspends(2);
    peer_.spool.resume();
    EXPECT_EQ(client.receive_to_end(), "aWbHc");
  }
  // The end is seen with the request: when the first buffer was filled, the connection looks for more.
  TestSocket client = connect();
  const std::string requests = std::string(kReadBufferBytes - 2, 'x') + "Hy";
  HeldLoop held(loop());
  client.send_all(requests);
  client.end();
  client.wait_until_arrived();
  held.release();
  wait_for_suspends(3);
  pass();
  peer_.spool.resume();
  EXPECT_EQ(client.receive_to_end(), requests);
  wait_for([&] { return counters().connections_closed.get() == 2; });
}

TEST_F(SuspendEndingTest, QuitsAfterWhatItHolds) {
  start();
  TestSocket client = connect();
  client.send_all("aHbQc");
  wait_for_suspends(1);
  peer_.spool.resume();
  EXPECT_EQ(client.receive_to_end(), "aHb");

  TestSocket second = connect();
  second.send_all("aXb");
  wait_for_suspends(2);
  EXPECT_EQ(readable(second), 0U);
  (void)peer_.spool.append("too late");
  pass();
  EXPECT_EQ(counters().unsent_bytes.get(), 1U);
  peer_.spool.resume();
  EXPECT_EQ(second.receive_to_end(), "aX");

  // With nothing to send.
  TestSocket silent = connect();
  silent.send_all("X");
  wait_for_suspends(3);
  peer_.spool.resume();
  EXPECT_EQ(silent.receive_to_end(), "X");

  // By somebody else while it is suspended.
  TestSocket third = connect();
  third.send_all("aHb");
  wait_for_suspends(4);
  on_loop([&] { peer_.connection->close_when_sent(); });
  EXPECT_EQ(counters().unsent_bytes.get(), 1U);
  peer_.spool.resume();
  EXPECT_EQ(third.receive_to_end(), "aH");
}

TEST_F(SuspendEndingTest, QuitsAfterWhatItHoldsInAnyCall) {
  on_open_ = [this](Connection& connection) {
    connection.out().append("o");
    connection.close_when_sent();
    connection.suspend(Hold::replies);
    ++suspends_;
  };
  start();
  TestSocket client = connect();
  wait_for_suspends(1);
  EXPECT_EQ(readable(client), 0U);
  peer_.spool.resume();
  EXPECT_EQ(client.receive_to_end(), "o");
}

TEST_F(SuspendEndingTest, IsResumedAfterItHasClosed) {
  start();
  TestSocket client = connect();
  client.send_all("aH");
  wait_for_suspends(1);
  on_loop([&] {
    peer_.connection->close_now(CloseReason::by_receiver);
    peer_.connection->suspend(Hold::nothing);
    peer_.spool.resume();
  });
  EXPECT_EQ(client.receive_to_end(), "");
  peer_.spool.resume();
  pass();
  EXPECT_EQ(counters().unsent_bytes.get(), 0U);
  EXPECT_EQ(counters().connections_closed.get(), 1U);

  // On the loop's list when it closes.
  TestSocket second = connect();
  second.send_all("aH");
  wait_for_suspends(2);
  {
    const HeldLoop held(loop());
    loop().post([&] { peer_.connection->close_now(CloseReason::by_receiver); });
    peer_.spool.resume();
  }
  EXPECT_EQ(second.receive_to_end(), "");
  wait_for([&] { return counters().connections_closed.get() == 2; });
}

TEST_F(SuspendEndingTest, DrainAnswersWhatHadArrivedAlsoWhenItSuspends) {
  Limits limits;
  limits.drain_timeout = std::chrono::minutes(10);
  before_suspend_ = [](Connection& connection) {
    // Later, from another thread.
    connection.loop().post(
        [spool = connection.spool()]() mutable { std::thread([&spool] { spool.resume(); }).join(); });
  };
  start(limits);
  TestSocket client = connect();
  std::string requests;
  for (int i = 0; i < 2'000; ++i)
    requests += "aWbHc";
  {
    const HeldLoop held(loop());
    client.send_all(requests);
    client.wait_until_arrived();
    loop().post([this] { loop().drain([] {}); });
  }
  std::string answers = client.receive(requests.size());
  EXPECT_TRUE(answers == requests);
  EXPECT_EQ(client.receive_to_end(), "");
}

TEST_F(SuspendEndingTest, DrainWaitsForAResume) {
  Limits limits;
  limits.drain_timeout = std::chrono::minutes(10);
  start(limits);
  TestSocket client = connect();
  client.send_all("aHbV");
  wait_for_suspends(1);
  // It ends in the middle of the value.
  client.send_all(std::string(LetterReceiver::kValueBytes / 2, 'v'));
  client.wait_until_arrived();
  on_loop([this] { loop().drain([] {}); });
  pass();
  EXPECT_EQ(counters().bytes_written.get(), 0U);
  client.send_all("not answered");
  peer_.spool.resume();
  peer_.spool.resume();
  EXPECT_EQ(client.receive(3), "aHb");
  wait_for_suspends(2);
  peer_.spool.resume();
  EXPECT_EQ(client.receive_to_end(), "v");
}

TEST_F(SuspendEndingTest, ADrainThatIsUnderWayWaitsToo) {
  Limits limits;
  limits.drain_timeout = std::chrono::minutes(10);
  start(limits);
  TestSocket client = connect();
  on_loop([&] {
    peer_.receiver->waiting = true;
    peer_.receiver->answer = "r";
    peer_.receiver->suspends_again = 1;
    peer_.receiver->again = Hold::nothing;
    loop().drain([] {});
    peer_.spool.resume();  // suspends when the drain's next step is due already
  });
  EXPECT_EQ(client.receive(1), ".");
  pass();
  peer_.spool.resume();
  EXPECT_EQ(client.receive_to_end(), "r");
}

TEST_F(SuspendEndingTest, ADrainIsBounded) {
  Limits limits;
  limits.drain_timeout = std::chrono::milliseconds(1);
  start(limits);
  TestSocket client = connect();
  client.send_all("aH");
  wait_for_suspends(1);
  front_->drain();
  EXPECT_EQ(client.receive_to_end(), "");
  EXPECT_TRUE(closed_);
  EXPECT_EQ(reason_, CloseReason::shutdown);
  peer_.spool.resume();
}

TEST_F(SuspendEndingTest, WhoOwesRepliesIsKeptWhenThePeerHasEnded) {
  start();
  TestSocket client = connect();
  client.send_all("aObc");
  client.end();
  EXPECT_EQ(client.receive(3), "abc");
  wait_for_suspends(1);
  EXPECT_FALSE(closed_);
  peer_.spool.resume();
  EXPECT_EQ(client.receive_to_end(), "o");
  wait_for([&] { return closed_.load(); });
}

TEST_F(SuspendEndingTest, WhoOwesRepliesIsKeptByADrain) {
  Limits limits;
  limits.drain_timeout = std::chrono::minutes(10);
  start(limits);
  TestSocket client = connect();
  client.send_all("aOb");
  EXPECT_EQ(client.receive(2), "ab");
  wait_for_suspends(1);
  {
    const HeldLoop held(loop());
    client.send_all("cOWd");
    client.wait_until_arrived();
    loop().post([this] { loop().drain([] {}); });
  }
  EXPECT_EQ(client.receive(1), "c");
  wait_for_suspends(3);
  client.send_all("not answered");
  pass();
  EXPECT_FALSE(closed_);
  peer_.spool.resume();
  EXPECT_EQ(client.receive_to_end(), "ooWd");
}

TEST_F(SuspendEndingTest, WhoOwesRepliesIsNotKeptLongerThanADrainMayTake) {
  Limits limits;
  limits.drain_timeout = std::chrono::milliseconds(1);
  start(limits);
  TestSocket client = connect();
  client.send_all("aO");
  EXPECT_EQ(client.receive(1), "a");
  wait_for_suspends(1);
  front_->drain();
  EXPECT_EQ(client.receive_to_end(), "");
  EXPECT_EQ(reason_, CloseReason::shutdown);
}

TEST_F(SuspendEndingTest, WhoOwesRepliesIsNotIdle) {
  Limits limits;
  limits.idle_timeout = std::chrono::milliseconds(50);
  on_open_ = [this](Connection& connection) {
    connection.keep_open(counters().connections_opened.get() == 1);
  };
  start(limits);
  TestSocket client = connect();
  Spool spool = peer_.spool;
  // Another that came later and idles is found by the same sweeps.
  TestSocket neighbour = connect();
  EXPECT_EQ(neighbour.receive_to_end(), "");
  client.send_all("aO");
  EXPECT_EQ(client.receive(1), "a");
  spool.resume();
  EXPECT_EQ(client.receive_to_end(), "o");
  EXPECT_EQ(counters().idle_kicks.get(), 2U);
}

TEST_F(SuspendEndingTest, StopsWithItsFrontEnd) {
  start();
  TestSocket client = connect();
  client.send_all("aH");
  wait_for_suspends(1);
  peer_.spool.resume();
  std::thread producer([spool = peer_.spool]() mutable {
    while (!spool.closed())
      spool.resume();
  });
  front_->stop();
  producer.join();
  EXPECT_TRUE(closed_);
  peer_.spool.resume();
}

}  // namespace
}  // namespace bobbin::net
