// How connections over TLS end, and handshakes that never do.

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>

#include "net/held_loop.h"
#include "net/tls_stream.h"
#include "net/tls_test_fixture.h"

namespace bobbin::net {
namespace {

using std::chrono::milliseconds;

TEST_F(TlsTest, WhoSpeaksSomethingElseIsClosedAtItsFirstByte) {
  start_tls();
  uint64_t failures = 0;
  for (const std::string bytes : {"g", "get k\r\n", "GET / HTTP/1.1\r\n\r\n", "\x80\x21", "\x16\x02"}) {
    TestSocket client(address());
    client.send_all(bytes);
    EXPECT_EQ(client.receive_to_end(), "");
    wait_for([&, this] { return counters().handshake_failures.get() == failures + 1; });
    ++failures;
  }
  EXPECT_EQ(counters().handshakes.get(), 0U);
}

// Told by its head: nothing of it is waited for.
TEST_F(TlsTest, AHelloThatIsTooLongIsRefusedBeforeItCame) {
  start_tls();
  TestSocket client(address());
  client.send_all(std::string("\x16\x03\x01\x40\x00\x01\x00\x40\x01", 9));  // 16 KiB and one byte
  EXPECT_EQ(client.receive_to_end(), "");
  TestSocket empty(address());
  empty.send_all(std::string("\x16\x03\x01\x00\x01\x01\x00\x00\x10", 9));
  EXPECT_EQ(empty.receive_to_end(), "");
  wait_for([this] { return counters().handshake_failures.get() == 2; });
}

TEST_F(TlsTest, GarbageInsteadOfAHandshake) {
  start_tls();
  const char* given = std::getenv("BOBBIN_SEED");
  const unsigned seed = given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
  SCOPED_TRACE("BOBBIN_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 200; ++i) {
    TlsClient source(address());
    SSL_do_handshake(source.ssl());
    std::string hello = source.take_sealed();
    for (int changes = 0; changes < 8; ++changes)
      hello[9 + random() % (hello.size() - 9)] = static_cast<char>(random());
    TestSocket client(address());
    client.send_all(hello);
    client.end();
    client.receive_to_end();
  }
  const auto client = connect_tls();
  ASSERT_TRUE(client->send_all("a"));
  EXPECT_EQ(client->receive(1), "a");
  wait_for([this] { return loop().connection_count() == 1; });
}

TEST_F(TlsTest, AHandshakeHasItsTime) {
  Limits limits;
  limits.handshake_timeout = milliseconds(300);
  start_tls(limits);
  // On a busy machine one may be late, too.
  std::unique_ptr<TlsClient> done;
  do {
    opened_ = {};
    done = std::make_unique<TlsClient>(address());
  } while (!done->shake_hands() || !done->send_all("a") || done->receive(1) != "a");
  TestSocket silent(address());
  TlsClient half(address());
  SSL_do_handshake(half.ssl());
  half.socket().send_all(half.take_sealed().substr(0, 100));
  TlsClient unfinished(address());
  SSL_do_handshake(unfinished.ssl());
  unfinished.send_sealed();
  EXPECT_EQ(silent.receive_to_end(), "");
  EXPECT_EQ(half.socket().receive_to_end(), "");
  unfinished.socket().receive_to_end();
  wait_for([this] { return loop().connection_count() == 1; });
  EXPECT_GE(counters().handshake_kicks.get(), 3U);
  ASSERT_TRUE(done->send_all("b"));
  EXPECT_EQ(done->receive(1), "b") << "the time is for handshakes only";
}

// Until a peer has begun right it costs what a plain connection does; the limit of connections counts it.
TEST_F(TlsTest, HandshakesCountAsConnections) {
  Limits limits;
  limits.max_connections = 2;
  start_tls(limits);
  TestSocket first(address());
  TestSocket second(address());
  wait_for([this] { return front_->listener_counters().pauses.get() == 1; });
  first.reset();
  const auto client = connect_tls();
  ASSERT_TRUE(client->send_all("a"));
  EXPECT_EQ(client->receive(1), "a");
}

TEST_F(TlsTest, PeersThatVanishInTheirHandshake) {
  start_tls();
  for (int i = 0; i < 20; ++i) {
    TlsClient client(address());
    SSL_do_handshake(client.ssl());
    const std::string hello = client.take_sealed();
    client.socket().send_all(hello.substr(0, i % 2 == 0 ? hello.size() : hello.size() / 2));
    client.socket().wait_until_arrived();
    if (i % 3 == 0) client.socket().reset();
  }
  wait_for([this] { return loop().connection_count() == 0; });
  EXPECT_EQ(counters().handshakes.get(), 0U);
}

TEST_F(TlsTest, TheReceiversEndIsToldToThePeer) {
  start_tls();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto client = connect_tls({.version = version});
    ASSERT_TRUE(client->send_all("abQ"));
    EXPECT_EQ(client->receive(2), "ab");
    EXPECT_TRUE(client->is_ended_properly());
  }
}

TEST_F(TlsTest, WhoEndsItsSideIsStillAnswered) {
  start_tls();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto client = connect_tls({.version = version});
    ASSERT_TRUE(client->send_all("aBb"));
    client->end();
    EXPECT_EQ(client->receive(LetterReceiver::kBigBytes + 2).size(), LetterReceiver::kBigBytes + 2);
    EXPECT_TRUE(client->is_ended_properly());
  }
}

TEST_F(TlsTest, WhoEndsItsSocketOnlyIsStillAnswered) {
  start_tls();
  const auto client = connect_tls();
  const std::string letters(50'000, 'x');
  {
    const HeldLoop held(loop());
    ASSERT_TRUE(client->send_all(letters));
    client->socket().end();
    client->socket().wait_until_arrived();
  }
  EXPECT_EQ(client->receive(letters.size()), letters);
  EXPECT_TRUE(client->is_ended_properly());
}

TEST_F(TlsTest, AChangedByteEndsTheConnection) {
  start_tls();
  const auto client = connect_tls();
  SSL_write(client->ssl(), "abc", 3);
  std::string sealed = client->take_sealed();
  sealed.back() = static_cast<char>(sealed.back() ^ 1);
  client->socket().send_all(sealed);
  EXPECT_EQ(client->receive(1), "");
  wait_for([this] { return closed_.load(); });
  EXPECT_EQ(reason_, CloseReason::by_peer);
}

TEST_F(TlsTest, DrainAnswersWhatHadArrived) {
  start_tls();
  const auto client = connect_tls();
  const auto idle = connect_tls();
  TestSocket silent(address());
  const std::string letters(100'000, 'x');
  std::thread drainer;
  {
    const HeldLoop held(loop());
    ASSERT_TRUE(client->send_all(letters));
    client->socket().wait_until_arrived();
    drainer = std::thread([this] { front_->drain(); });
  }
  EXPECT_EQ(client->receive(letters.size()), letters);
  EXPECT_TRUE(client->is_ended_properly());
  EXPECT_TRUE(idle->is_ended_properly());
  EXPECT_EQ(silent.receive_to_end(), "");
  drainer.join();
}

TEST_F(TlsTest, DrainInTheMiddleOfAValue) {
  start_tls();
  const auto client = connect_tls();
  ASSERT_TRUE(client->send_all("aV"));
  EXPECT_EQ(client->receive(1), "a");
  ASSERT_TRUE(client->send_all(std::string(50'000, 'v')));
  front_->drain();
  EXPECT_TRUE(client->is_ended_properly());
  EXPECT_TRUE(closed_);
}

TEST_F(TlsTest, StopInTheMiddleOfEverything) {
  start_tls();
  TlsClient unfinished(address());
  SSL_do_handshake(unfinished.ssl());
  unfinished.send_sealed();
  const auto sending = connect_tls();
  ASSERT_TRUE(sending->send_all("aV"));
  EXPECT_EQ(sending->receive(1), "a");
  ASSERT_TRUE(sending->send_all(std::string(50'000, 'v')));
  const auto taking_nothing = connect_tls({.receive_buffer_bytes = 4096});
  ASSERT_TRUE(taking_nothing->send_all("BB"));
  wait_for([this] { return counters().unsent_bytes.get() > 0; });
  const auto waiting = connect_tls();
  ASSERT_TRUE(waiting->send_all("H"));
  wait_for_suspends(1);
  front_->stop();
  EXPECT_EQ(loop().connection_count(), 0U);
  EXPECT_EQ(counters().unsent_bytes.get(), 0U);
  EXPECT_EQ(counters().unread_bytes.get(), 0U);
}

TEST_F(TlsTest, WhoTakesNothingIsClosedAndItsBytesAreFreed) {
  Limits limits;
  limits.stall_timeout = milliseconds(50);
  start_tls(limits);
  const auto client = connect_tls({.receive_buffer_bytes = 4096});
  ASSERT_TRUE(client->send_all("B"));
  wait_for([this] { return closed_.load(); });
  EXPECT_EQ(reason_, CloseReason::stalled);
  EXPECT_EQ(counters().stalled_kicks.get(), 1U);
  EXPECT_EQ(counters().unsent_bytes.get(), 0U);
}

TEST_F(TlsTest, WhoSaysNothingIsIdle) {
  Limits limits;
  limits.idle_timeout = milliseconds(1000);  // the handshake must be quicker
  start_tls(limits);
  const auto client = connect_tls();
  EXPECT_EQ(client->receive(1), "");
  wait_for([this] { return closed_.load(); });
  EXPECT_EQ(reason_, CloseReason::idle);
}

TEST_F(TlsTest, AResetEndsIt) {
  start_tls();
  const auto client = connect_tls();
  ASSERT_TRUE(client->send_all("W"));
  wait_for_suspends(1);
  peer_.spool.resume();
  EXPECT_EQ(client->receive(1), "W");
  client->socket().reset();
  wait_for([this] { return closed_.load(); });
  EXPECT_EQ(reason_, CloseReason::by_peer);
}

}  // namespace
}  // namespace bobbin::net
