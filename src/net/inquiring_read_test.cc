#include "net/inquiring_read.h"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <thread>

#include "net/front_end.h"
#include "net/held_loop.h"
#include "net/test_socket.h"

namespace bobbin::net {
namespace {

class EchoReceiver final : public Receiver {
 public:
  size_t on_bytes(Connection& connection, std::span<const char> unread, size_t) override {
    connection.out().append({unread.data(), unread.size()});
    return unread.size();
  }
};

class SilentReceiver final : public Receiver {
 public:
  size_t on_bytes(Connection&, std::span<const char> unread, size_t) override { return unread.size(); }
};

// Is silent as well; frames are sent by whoever has its spool.
class SpoolingReceiver final : public Receiver {
 public:
  explicit SpoolingReceiver(std::promise<Spool>& spool) : spool_(spool) {}
  void on_open(Connection& connection) override { spool_.set_value(connection.spool()); }
  size_t on_bytes(Connection&, std::span<const char> unread, size_t) override { return unread.size(); }

 private:
  std::promise<Spool>& spool_;
};

class InquiringReadTest : public testing::Test {
 protected:
  void start(const std::string& address) {
    FrontEndOptions options;
    options.listen.push_back(*Address::parse(address, 0));
    front_ = std::move(*FrontEnd::start(options, [](size_t) { return std::make_unique<EchoReceiver>(); }));
  }
  void start_silent(const std::string& address) {
    FrontEndOptions options;
    options.listen.push_back(*Address::parse(address, 0));
    front_ = std::move(*FrontEnd::start(options, [](size_t) { return std::make_unique<SilentReceiver>(); }));
  }
  // Everything that the peer sends in one go is there before the loop looks at the socket.
  void send_at_once(TestSocket& peer, std::string_view bytes, bool end) {
    HeldLoop held(*front_->loops()[0]);
    ASSERT_TRUE(peer.send_all(bytes));
    if (end) shutdown(peer.descriptor(), SHUT_WR);
    if (!front_->addresses()[0].is_unix()) peer.wait_until_arrived();  // a Unix socket has no way between
  }

  std::unique_ptr<FrontEnd> front_;
};

// The other end of a TCP connection, without a loop.
struct AcceptedPair {
  AcceptedPair() : listener(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(listen(listener, 1), 0);
    EXPECT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&name), &size), 0);
    port = ntohs(name.sin_port);
  }
  ~AcceptedPair() {
    if (accepted >= 0) close(accepted);
    close(listener);
  }
  int listener;
  int accepted = -1;
  uint16_t port = 0;
};

TEST(ReadAndInquire, TellsWhetherAnythingIsLeft) {
  AcceptedPair pair;
  TestSocket peer(*Address::parse("127.0.0.1", pair.port));
  pair.accepted = accept(pair.listener, nullptr, nullptr);
  ASSERT_GE(pair.accepted, 0);
  inquire(pair.accepted);
  std::string into(64, '\0');

  ASSERT_TRUE(peer.send_all("0123456789"));
  peer.wait_until_arrived();
  ReadResult first = read_and_inquire(pair.accepted, into.data(), 4);
  EXPECT_EQ(first.n, 4);
  EXPECT_FALSE(first.exhausted);
  first = read_and_inquire(pair.accepted, into.data(), into.size());
  EXPECT_EQ(first.n, 6);
  EXPECT_TRUE(first.exhausted);

  // The end of the stream is something left.
  ASSERT_TRUE(peer.send_all("x"));
  shutdown(peer.descriptor(), SHUT_WR);
  peer.wait_until_arrived();
  first = read_and_inquire(pair.accepted, into.data(), into.size());
  EXPECT_EQ(first.n, 1);
  EXPECT_FALSE(first.exhausted);
  first = read_and_inquire(pair.accepted, into.data(), into.size());
  EXPECT_EQ(first.n, 0);
}

TEST_F(InquiringReadTest, AnEndThatCameWithTheBytesIsSeen) {
  for (const std::string address : {"127.0.0.1:0", "unix:/tmp/bobbin-inquiring-read-test.sock"}) {
    start(address);
    // Sizes around the read buffer, which takes another path when it is full.
    for (const size_t size : {size_t{1}, kReadBufferBytes - 1, kReadBufferBytes, kReadBufferBytes + 1}) {
      TestSocket peer(front_->addresses()[0]);
      ASSERT_TRUE(peer.send_all("a"));
      ASSERT_EQ(peer.receive(1), "a");
      const std::string bytes(size, 'b');
      send_at_once(peer, bytes, true);
      EXPECT_EQ(peer.receive(size + 1), bytes) << address << " " << size;
    }
    front_.reset();
  }
}

// Nothing is written in answer to them, so that nothing else can tell of the reset.
TEST_F(InquiringReadTest, AResetThatCameWithTheBytesIsSeen) {
  start_silent("127.0.0.1:0");
  for (const size_t size : {size_t{1}, kReadBufferBytes - 1, kReadBufferBytes, kReadBufferBytes + 1}) {
    {
      TestSocket peer(front_->addresses()[0]);
      ASSERT_TRUE(peer.send_all("a"));
      while (front_->connection_count() == 0)
        std::this_thread::yield();
      const HeldLoop held(*front_->loops()[0]);
      ASSERT_TRUE(peer.send_all(std::string(size, 'b')));
      peer.wait_until_arrived();
      peer.reset();
    }
    while (front_->connection_count() != 0)
      std::this_thread::yield();
  }
}

// What was written while the read waited was no answer to what it brought.
TEST_F(InquiringReadTest, AResetThatCameWithTheBytesIsSeenThoughAFrameWasSentBefore) {
  FrontEndOptions options;
  options.listen.push_back(*Address::parse("127.0.0.1:0", 0));
  std::promise<Spool> spool;
  front_ = std::move(
      *FrontEnd::start(options, [&spool](size_t) { return std::make_unique<SpoolingReceiver>(spool); }));
  TestSocket peer(front_->addresses()[0]);
  ASSERT_EQ(spool.get_future().get().append("frame"), Append::accepted);
  EXPECT_EQ(peer.receive(5), "frame");
  {
    const HeldLoop held(*front_->loops()[0]);
    ASSERT_TRUE(peer.send_all("b"));
    peer.wait_until_arrived();
    peer.reset();
  }
  while (front_->connection_count() != 0)
    std::this_thread::yield();
}

TEST_F(InquiringReadTest, RequestsInAnyRhythmAreSeen) {
  start("127.0.0.1:0");
  TestSocket peer(front_->addresses()[0]);
  for (size_t i = 1; i < 400; ++i) {
    const std::string bytes(i * 37 % (2 * kReadBufferBytes) + 1, static_cast<char>('a' + i % 26));
    if (i % 3 == 0) {
      send_at_once(peer, bytes, false);
    } else {
      ASSERT_TRUE(peer.send_all(bytes));
    }
    ASSERT_EQ(peer.receive(bytes.size()), bytes);
  }
}

}  // namespace
}  // namespace bobbin::net
