// Connections over TLS: handshakes of every kind of peer, and bytes both ways, however they are cut.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "net/tls_test_fixture.h"

namespace bobbin::net {
namespace {

TEST_F(TlsTest, SpeaksTls12AndTls13AndNothingOlder) {
  start_tls();
  for (const auto& [version, name] : {std::pair{TLS1_2_VERSION, "TLSv1.2"}, {TLS1_3_VERSION, "TLSv1.3"}}) {
    const auto client = connect_tls({.version = version});
    EXPECT_EQ(peer_protocol(), name);
    ASSERT_TRUE(client->send_all("abc"));
    EXPECT_EQ(client->receive(3), "abc");
  }
  TlsClient old(address(), {.version = TLS1_1_VERSION});
  EXPECT_FALSE(old.shake_hands());
  wait_for([this] { return counters().handshake_failures.get() == 1; });
}

TEST_F(TlsTest, ItsNeighboursOnPlainListenersHaveNone) {
  tls_ = std::move(*TlsContext::load(files()));
  FrontEndOptions options;
  options.listen.push_back(*Address::parse("127.0.0.1:0", 0));
  options.tls_listen.push_back(*Address::parse("127.0.0.1:0", 0));
  options.tls = tls_;
  front_ = std::move(
      *FrontEnd::start(options, [this](size_t) { return std::make_unique<LetterReceiver>(*this); }));
  ASSERT_EQ(front_->addresses().size(), 1U);
  TestSocket plain = connect();
  on_loop([this] { EXPECT_EQ(peer_.connection->tls(), nullptr); });
  const auto sealed = connect_tls();
  on_loop([this] { EXPECT_NE(peer_.connection->tls(), nullptr); });
  plain.send_all("p");
  EXPECT_EQ(plain.receive(1), "p");
  ASSERT_TRUE(sealed->send_all("s"));
  EXPECT_EQ(sealed->receive(1), "s");
}

TEST_F(TlsTest, HoweverItIsCut) {
  start_tls();
  for (size_t piece = 1; piece < 600; piece += piece / 2 + 1) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      const auto client = connect_tls({.version = version, .piece_bytes = piece});
      ASSERT_TRUE(client->send_all("abcdefghij"));
      ASSERT_TRUE(client->send_all("klm"));
      ASSERT_EQ(client->receive(13), "abcdefghijklm") << piece;
    }
  }
  EXPECT_EQ(counters().handshake_failures.get(), 0U);
}

// Two records at a time with every cut in between, so that a read ends in each place of a record.
TEST_F(TlsTest, WhereverAReadEnds) {
  start_tls();
  const auto client = connect_tls();
  for (size_t cut = 0;; ++cut) {
    SSL_write(client->ssl(), "ab", 2);
    SSL_write(client->ssl(), "cd", 2);
    const std::string sealed = client->take_sealed();
    if (cut > sealed.size()) break;
    client->socket().send_all(sealed.substr(0, cut));
    client->socket().wait_until_arrived();
    pass();
    client->socket().send_all(sealed.substr(cut));
    ASSERT_EQ(client->receive(4), "abcd") << cut;
  }
}

TEST_F(TlsTest, LargeValuesComeInAndGoOut) {
  start_tls();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const int suspends = suspends_;
    const auto client = connect_tls({.version = version});
    ASSERT_TRUE(client->send_all("aV"));
    EXPECT_EQ(client->receive(1), "a");
    std::thread other([this, suspends] {
      wait_for_suspends(suspends + 1);  // in the middle of the value
      peer_.spool.resume();
    });
    ASSERT_TRUE(client->send_all(std::string(LetterReceiver::kValueBytes, 'v') + "b"));
    EXPECT_EQ(client->receive(8), "vV200000") << version;
    EXPECT_EQ(client->receive(1), "b");
    other.join();
    ASSERT_TRUE(client->send_all("cBd"));
    const std::string big = client->receive(LetterReceiver::kBigBytes + 2);
    ASSERT_EQ(big.size(), LetterReceiver::kBigBytes + 2);
    EXPECT_EQ(big.front(), 'c');
    EXPECT_EQ(big.back(), 'd');
    EXPECT_EQ(std::count(big.begin(), big.end(), 'B'), LetterReceiver::kBigBytes);
  }
  wait_for([this] { return counters().unsent_bytes.get() == 0; });
  EXPECT_EQ(counters().unread_bytes.get(), 0U);
}

TEST_F(TlsTest, APipelineIsAnsweredInItsOrder) {
  start_tls();
  const auto client = connect_tls();
  std::string letters;
  std::mt19937 random(7);
  for (int i = 0; i < 300'000; ++i)
    letters += static_cast<char>('a' + random() % 26);
  for (size_t i = 0; i < letters.size(); i += 10'000)
    ASSERT_TRUE(client->send_all(std::string_view(letters).substr(i, 10'000)));
  EXPECT_EQ(client->receive(letters.size()), letters);
}

TEST_F(TlsTest, FramesOfOtherThreadsGoBetweenReplies) {
  start_tls();
  const auto client = connect_tls();
  constexpr int kFrames = 2000;
  std::thread producer([spool = peer_.spool]() mutable {
    for (int i = 0; i < kFrames; ++i) {
      const std::string frame = "<" + std::string(static_cast<size_t>(i % 700), 'f') + ">";
      while (spool.append(frame) == Append::full)
        std::this_thread::yield();
    }
  });
  std::string replies;
  int frames = 0;
  bool inside = false;
  for (int i = 0; frames < kFrames || replies.size() < 100; ++i) {
    if (i < 100) {
      ASSERT_TRUE(client->send_all(std::string(1, static_cast<char>('a' + i % 5))));
    }
    const std::string some = client->receive(1);
    ASSERT_EQ(some.size(), 1U);
    if (some == "<") {
      ASSERT_FALSE(inside) << "a frame in a frame";
      inside = true;
    } else if (some == ">") {
      inside = false;
      ++frames;
    } else if (!inside) {
      replies += some;
    }
  }
  producer.join();
  EXPECT_EQ(replies.substr(0, 10), "abcdeabcde");
  pass();
  EXPECT_EQ(counters().spool_bytes_now.get(), 0U);
  EXPECT_EQ(peer_.spool.unwritten_bytes(), 0U);
}

TEST_F(TlsTest, SuspendsAndHoldsReplies) {
  start_tls();
  const auto client = connect_tls();
  ASSERT_TRUE(client->send_all("aWb"));
  EXPECT_EQ(client->receive(1), "a");
  wait_for_suspends(1);
  ASSERT_TRUE(client->send_all("cH"));
  client->socket().wait_until_arrived();
  pass();
  EXPECT_EQ(readable(client->socket()), 0U) << "nothing is answered meanwhile";
  peer_.spool.resume();
  EXPECT_EQ(client->receive(1), "W");
  wait_for_suspends(2);
  EXPECT_EQ(readable(client->socket()), 0U) << "bc are held";
  peer_.spool.append("<frame>");
  pass();
  EXPECT_EQ(readable(client->socket()), 0U);
  peer_.spool.resume();
  EXPECT_EQ(client->receive(10), "bc<frame>H");
}

TEST_F(TlsTest, ManyRecordsThatCameWhileItWaited) {
  start_tls();
  const auto client = connect_tls();
  ASSERT_TRUE(client->send_all("W"));
  wait_for_suspends(1);
  std::string letters(100'000, 'x');
  for (size_t i = 0; i < letters.size(); i += 100)
    ASSERT_TRUE(client->send_all(std::string_view(letters).substr(i, 100)));
  peer_.spool.resume();
  EXPECT_EQ(client->receive(1 + letters.size()), "W" + letters);
}

// The protocol itself has to be answered, with new keys, while the application says nothing.
TEST_F(TlsTest, KeysMayBeRenewedOverAndOver) {
  start_tls();
  const auto client = connect_tls({.version = TLS1_3_VERSION});
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(SSL_key_update(client->ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    ASSERT_EQ(SSL_do_handshake(client->ssl()), 1);
    ASSERT_TRUE(client->send_sealed());
  }
  ASSERT_TRUE(client->send_all("ab"));
  EXPECT_EQ(client->receive(2), "ab");
}

// Whoever only asks for answers of the protocol and takes none of them is cut off: they are not kept for
// ever.
TEST_F(TlsTest, AnswersOfTheProtocolAreBounded) {
  Limits limits;
  limits.max_unsent_bytes = 2 * LetterReceiver::kBigBytes;  // so that it goes on reading
  start_tls(limits);
  const auto client = connect_tls({.version = TLS1_3_VERSION, .receive_buffer_bytes = 4096});
  ASSERT_TRUE(client->send_all("B"));  // nothing that follows can be sent
  wait_for([this] { return counters().unsent_bytes.get() > 0; });
  int renewed = 0;
  for (; !closed_; ++renewed) {
    SSL_key_update(client->ssl(), SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake(client->ssl());
    if (!client->send_sealed()) break;
  }
  wait_for([this] { return closed_.load(); });
  EXPECT_EQ(reason_, CloseReason::by_peer);
  EXPECT_GT(renewed, 1000);
  EXPECT_EQ(counters().unsent_bytes.get(), 0U);
}

TEST_F(TlsTest, RefusesToNegotiateAnew) {
  start_tls();
  const auto client = connect_tls({.version = TLS1_2_VERSION});
  ASSERT_EQ(SSL_renegotiate(client->ssl()), 1);
  EXPECT_FALSE(client->shake_hands());
  EXPECT_EQ(counters().handshakes.get(), 1U);
}

TEST_F(TlsTest, SessionsAreNotResumed) {
  start_tls();
  SSL_SESSION* session = nullptr;
  {
    const auto first = connect_tls({.version = TLS1_2_VERSION});
    session = SSL_get1_session(first->ssl());
  }
  opened_ = {};
  TlsClient second(address(), {.version = TLS1_2_VERSION});
  SSL_set_session(second.ssl(), session);
  EXPECT_TRUE(second.shake_hands());
  EXPECT_EQ(SSL_session_reused(second.ssl()), 0);
  SSL_SESSION_free(session);
}

}  // namespace
}  // namespace bobbin::net
