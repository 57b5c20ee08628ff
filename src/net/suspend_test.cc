// Receivers that wait for another thread: what they leave is kept, what they hold is not sent, and nothing
// is lost however the two threads meet.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "net/held_loop.h"
#include "net/letter_receiver.h"

namespace bobbin::net {
namespace {

TEST_F(SuspendTest, KeepsTheOrderOfReplies) {
  start();
  TestSocket client = connect();
  client.send_all("abWcdHefWW");
  for (int i = 1; i <= 4; ++i) {
    wait_for_suspends(i);
    peer_.spool.resume();
  }
  EXPECT_EQ(client.receive(10), "abWcdHefWW");
  client.send_all("g");
  EXPECT_EQ(client.receive(1), "g");
  EXPECT_EQ(counters().unread_bytes.get(), 0U);
  EXPECT_EQ(counters().unsent_bytes.get(), 0U);
}

TEST_F(SuspendTest, ReadsNothingMeanwhileAndLetsItsNeighboursProceed) {
  start();
  TestSocket client = connect();
  Spool spool = peer_.spool;
  client.send_all("aW");
  EXPECT_EQ(client.receive(1), "a") << "nothing was held";
  wait_for_suspends(1);
  client.send_all("bc");
  client.wait_until_arrived();
  TestSocket neighbour = connect();
  for (int i = 0; i < 10; ++i) {
    neighbour.send_all("n");
    EXPECT_EQ(neighbour.receive(1), "n");
  }
  EXPECT_EQ(counters().bytes_read.get(), 12U);
  spool.resume();
  EXPECT_EQ(client.receive(3), "Wbc");
}

TEST_F(SuspendTest, HeldRepliesWaitWhateverIsSpooled) {
  start();
  TestSocket client = connect();
  client.send_all("abH");
  wait_for_suspends(1);
  EXPECT_EQ(counters().unsent_bytes.get(), 2U);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(peer_.spool.append(std::string(300'000, 'f')), Append::accepted);
    pass();
  }
  on_loop([&] {
    peer_.connection->flush();
    EXPECT_TRUE(peer_.receiver->waiting);
  });
  EXPECT_EQ(counters().bytes_written.get(), 0U);
  EXPECT_EQ(readable(client), 0U);
  EXPECT_EQ(counters().unsent_bytes.get(), 900'002U);
  EXPECT_EQ(peer_.spool.unwritten_bytes(), 900'000U);
  peer_.spool.resume();
  EXPECT_EQ(client.receive(900'003), "ab" + std::string(900'000, 'f') + "H");
  wait_for([&] { return peer_.spool.unwritten_bytes() == 0 && counters().unsent_bytes.get() == 0; });
}

TEST_F(SuspendTest, HoldsWhatAnEarlierHandlerOfTheTickLeft) {
  start();
  TestSocket client = connect();
  {
    // The frame is on its way out when the request is handled, or comes behind its replies.
    const HeldLoop held(loop());
    ASSERT_EQ(peer_.spool.append("frame"), Append::accepted);
    client.send_all("aH");
    client.wait_until_arrived();
  }
  wait_for_suspends(1);
  pass();
  const uint64_t written = counters().bytes_written.get();
  EXPECT_TRUE(written == 0 || written == 5) << written;
  EXPECT_EQ(counters().unsent_bytes.get(), 6 - written);
  peer_.spool.resume();
  const std::string all = client.receive(7);
  EXPECT_TRUE(all == "frameaH" || all == "aframeH") << all;
}

TEST_F(SuspendTest, AResumeBeforeTheSuspendIsNotLost) {
  before_suspend_ = [](Connection& connection) {
    Spool spool = connection.spool();
    std::thread([&spool] { spool.resume(); }).join();
  };
  start();
  TestSocket client = connect();
  client.send_all("aWbHcHWd");
  EXPECT_EQ(client.receive(8), "aWbHcHWd");
}

TEST_F(SuspendTest, AResumeIsNotLostWhenTheSpoolIsDrainedBeforeIt) {
  // close_when_sent() takes what is spooled: not the resume that was called with it.
  before_suspend_ = [](Connection& connection) {
    Spool spool = connection.spool();
    EXPECT_EQ(spool.append("frame"), Append::accepted);
    spool.resume();
    connection.close_when_sent();
  };
  start();
  TestSocket client = connect();
  client.send_all("aH");
  EXPECT_EQ(client.receive_to_end(), "aframeH");
}

TEST_F(SuspendTest, ManyResumesAreOneWakeAndOneCall) {
  start();
  TestSocket first = connect();
  const Peer one = peer_;
  TestSocket second = connect();
  const Peer two = peer_;
  first.send_all("aH");
  second.send_all("bW");
  wait_for_suspends(2);
  HeldLoop held(loop());
  const uint64_t wakes = counters().spool_wakes.get();
  for (int i = 0; i < 1'000; ++i) {
    Spool(one.spool).resume();
    Spool(two.spool).resume();
    ASSERT_EQ(Spool(one.spool).append("f"), Append::accepted);
  }
  held.release();
  EXPECT_EQ(first.receive(1'002), "a" + std::string(1'000, 'f') + "H");
  EXPECT_EQ(second.receive(2), "bW");
  EXPECT_EQ(counters().spool_wakes.get(), wakes + 1);
  on_loop([&] {
    EXPECT_EQ(one.receiver->resumes, 1);
    EXPECT_EQ(two.receiver->resumes, 1);
  });
}

TEST_F(SuspendTest, AResumeThatNobodyWaitsForIsHarmless) {
  start();
  TestSocket client = connect();
  for (int i = 0; i < 10; ++i) {
    peer_.spool.resume();
    pass();
    client.send_all("a");
    EXPECT_EQ(client.receive(1), "a");
  }
  on_loop([&] { EXPECT_EQ(peer_.receiver->resumes, 10); });
  Spool().resume();
}

TEST_F(SuspendTest, SuspendsAgainWhenResumed) {
  start();
  TestSocket client = connect();
  client.send_all("aHb");
  wait_for_suspends(1);
  on_loop([&] { peer_.receiver->suspends_again = 3; });
  for (int i = 2; i <= 4; ++i) {
    peer_.spool.resume();
    wait_for_suspends(i);
    EXPECT_EQ(counters().bytes_written.get(), 0U) << "still held";
    EXPECT_EQ(counters().unsent_bytes.get(), static_cast<uint64_t>(i));
  }
  on_loop([&] {
    peer_.receiver->suspends_again = 1;
    peer_.receiver->again = Hold::nothing;
  });
  peer_.spool.resume();
  EXPECT_EQ(client.receive(5), "a....") << "the last suspend does not hold";
  EXPECT_EQ(counters().unread_bytes.get(), 1U);
  peer_.spool.resume();
  EXPECT_EQ(client.receive(2), "Hb");
}

TEST_F(SuspendTest, SuspendsInTheMiddleOfALanding) {
  start();
  TestSocket client = connect();
  client.send_all("aV");
  EXPECT_EQ(client.receive(1), "a");
  std::thread sender([&] { client.send_all(std::string(LetterReceiver::kValueBytes, 'v') + "b"); });
  wait_for_suspends(1);
  const uint64_t read = counters().bytes_read.get();
  pass();
  EXPECT_EQ(counters().bytes_read.get(), read);
  peer_.spool.resume();
  EXPECT_EQ(client.receive(9), "vV200000b");
  sender.join();
}

TEST_F(SuspendTest, KeepsWhatAReadInProgressBrings) {
  // A receiver that is resumed without need may suspend while the connection waits for its peer.
  start();
  TestSocket client = connect();
  on_loop([&] {
    peer_.receiver->waiting = true;
    peer_.receiver->answer = "r";
    peer_.receiver->suspends_again = 1;
    peer_.receiver->again = Hold::nothing;
  });
  HeldLoop held(loop());
  peer_.spool.resume();
  client.send_all("abc");
  client.wait_until_arrived();
  held.release();
  EXPECT_EQ(client.receive(1), ".");
  peer_.spool.resume();
  EXPECT_EQ(client.receive(4), "rabc");
}

TEST_F(SuspendTest, CongestionEndsWhileSuspended) {
  Limits limits;
  limits.max_unsent_bytes = 100'000;
  start(limits);
  TestSocket client = connect(4'096);
  client.send_all("aBcW");  // congested after B
  wait_for([&] { return counters().unsent_pauses.get() == 1; });
  on_loop([&] {
    peer_.receiver->waiting = true;
    peer_.receiver->answer = "r";
    peer_.connection->suspend(Hold::nothing);
  });
  EXPECT_EQ(client.receive(1 + LetterReceiver::kBigBytes).back(), 'B');
  wait_for([&] { return counters().unsent_bytes.get() == 0; });
  pass();
  EXPECT_EQ(readable(client), 0U);
  EXPECT_EQ(counters().unread_bytes.get(), 2U);
  peer_.spool.resume();
  EXPECT_EQ(client.receive(2), "rc");
  wait_for_suspends(1);
  peer_.spool.resume();
  EXPECT_EQ(client.receive(1), "W");
}

TEST_F(SuspendTest, CongestedByWhatItHolds) {
  Limits limits;
  limits.max_unsent_bytes = 100'000;
  start(limits);
  TestSocket client = connect(4'096);
  client.send_all("H");
  wait_for_suspends(1);
  ASSERT_EQ(peer_.spool.append(std::string(500'000, 'f')), Append::accepted);
  client.send_all("aBcHd");
  client.wait_until_arrived();
  pass();
  EXPECT_EQ(counters().bytes_written.get(), 0U);
  peer_.spool.resume();
  const std::string expected =
      std::string(500'000, 'f') + "Ha" + std::string(LetterReceiver::kBigBytes, 'B') + "c";
  EXPECT_EQ(client.receive(expected.size() - 1), expected.substr(0, expected.size() - 1));
  wait_for_suspends(2);
  peer_.spool.resume();
  EXPECT_EQ(client.receive(3), "cHd");
}

TEST_F(SuspendTest, KeepsWhatLandsWithoutRoom) {
  // The same for replies that come while the connection waits for its peer: more than there is room for.
  Limits limits;
  limits.max_unsent_bytes = 100'000;
  start(limits);
  TestSocket client = connect(4'096);
  client.send_all("aV");
  EXPECT_EQ(client.receive(1), "a");
  const std::string big(LetterReceiver::kBigBytes, 'B');
  on_loop([&] {
    peer_.receiver->waiting = true;
    peer_.receiver->answer = big;
  });
  peer_.spool.resume();
  wait_for([&] { return counters().unsent_pauses.get() == 1; });
  const uint64_t read = counters().bytes_read.get();
  std::thread sender([&] { client.send_all(std::string(LetterReceiver::kValueBytes, 'v') + "b"); });
  wait_for([&] { return counters().bytes_read.get() > read; });
  EXPECT_EQ(client.receive(big.size()), big);
  wait_for_suspends(1);
  peer_.spool.resume();
  EXPECT_EQ(client.receive(9), "vV200000b");
  sender.join();
}

TEST_F(SuspendTest, IsNeitherStalledNorIdle) {
  // From its first moment: one that holds what the kernel does not take, one that has nothing to send.
  std::atomic<int> opened{0};
  on_open_ = [&](Connection& connection) {
    const int n = ++opened;
    if (n == 1) connection.out().append(std::string(LetterReceiver::kBigBytes, 'B'));
    if (n == 1) connection.flush();
    if (n <= 2) connection.suspend(Hold::replies);
  };
  Limits limits;
  limits.max_unsent_bytes = 64 << 20;
  limits.stall_timeout = std::chrono::milliseconds(20);
  limits.idle_timeout = std::chrono::milliseconds(20);
  // The kernel's buffer of a unix socket does not grow.
  const std::string path = testing::TempDir() + "suspend_test." + std::to_string(getpid());
  start(limits, "unix:" + path);
  const TestSocket stalled = connect();
  EXPECT_GT(counters().unsent_bytes.get(), 0U);
  const TestSocket silent = connect();
  for (uint64_t i = 1; i <= 3; ++i) {
    TestSocket idle = connect();
    EXPECT_EQ(idle.receive_to_end(), "");
    EXPECT_EQ(counters().idle_kicks.get(), i) << "the sweep was here";
  }
  EXPECT_EQ(counters().stalled_kicks.get(), 0U);
  wait_for([&] { return counters().connections_closed.get() == 3; });
  EXPECT_EQ(loop().connection_count(), 2U);
}

}  // namespace
}  // namespace bobbin::net
