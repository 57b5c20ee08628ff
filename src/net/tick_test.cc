// What a loop does in one tick, and in which order.

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string_view>
#include <vector>

#include "net/front_end.h"
#include "net/held_loop.h"
#include "net/test_socket.h"

namespace bobbin::net {
namespace {

// Echoes, and notes how many writes the loop had made when it was shown each request.
class NotingReceiver final : public Receiver {
 public:
  explicit NotingReceiver(std::vector<uint64_t>& writes_before) : writes_before_(writes_before) {}
  size_t on_bytes(Connection& connection, std::span<const char> unread, size_t) override {
    writes_before_.push_back(connection.loop().counters().writes.get());
    connection.out().append({unread.data(), unread.size()});
    return unread.size();
  }

 private:
  std::vector<uint64_t>& writes_before_;
};

TEST(Tick, WritesWhenEverythingThatWasReadyHasBeenHandled) {
  std::vector<uint64_t> writes_before;  // the loop's thread, while there are connections
  FrontEndOptions options;
  options.listen.push_back(*Address::parse("127.0.0.1:0", 0));
  const auto front =
      *FrontEnd::start(options, [&](size_t) { return std::make_unique<NotingReceiver>(writes_before); });
  std::vector<TestSocket> clients;
  for (int i = 0; i < 5; ++i) {
    clients.emplace_back(front->addresses()[0]);
    clients.back().send_all("hello");
    ASSERT_EQ(clients.back().receive(5), "hello");
  }
  {
    const HeldLoop held(*front->loops()[0]);
    for (TestSocket& client : clients) {
      client.send_all("again");
      client.wait_until_arrived();
    }
  }
  for (TestSocket& client : clients)
    EXPECT_EQ(client.receive(5), "again");
  front->stop();
  ASSERT_EQ(writes_before.size(), 10U);
  for (size_t i = 5; i < 10; ++i)
    EXPECT_EQ(writes_before[i], 5U) << "nothing was written before the last of the five requests was seen";
}

// Echoes; flushes in the middle of a request when it is asked to.
class FlushingReceiver final : public Receiver {
 public:
  explicit FlushingReceiver(std::vector<Connection*>& connections) : connections_(connections) {}
  void on_open(Connection& connection) override { connections_.push_back(&connection); }
  size_t on_bytes(Connection& connection, std::span<const char> unread, size_t) override {
    if (unread.front() == '!') {
      connection.out().append("first");
      connection.flush();
    }
    connection.out().append({unread.data(), unread.size()});
    return unread.size();
  }

 private:
  std::vector<Connection*>& connections_;  // the loop's thread
};

class FlushingTest : public testing::Test {
 protected:
  void SetUp() override {
    FrontEndOptions options;
    options.listen.push_back(*Address::parse("127.0.0.1:0", 0));
    front_ = std::move(*FrontEnd::start(
        options, [this](size_t) { return std::make_unique<FlushingReceiver>(connections_); }));
  }
  TestSocket connect() {
    TestSocket client(front_->addresses()[0]);
    client.send_all("?");
    EXPECT_EQ(client.receive(1), "?");
    return client;
  }
  Spool spool_of(size_t connection) {
    std::promise<Spool> promise;
    front_->loops()[0]->post([&] { promise.set_value(connections_[connection]->spool()); });
    return promise.get_future().get();
  }
  static void arrive(TestSocket& client, std::string_view bytes) {
    client.send_all(bytes);
    client.wait_until_arrived();
  }

  std::vector<Connection*> connections_;
  std::unique_ptr<FrontEnd> front_;
};

// Whoever flushes, and whenever: what is appended after it belongs to the same peer.
TEST_F(FlushingTest, KeepsTheBytesOfConnectionsApartWhenATaskFlushes) {
  TestSocket first = connect();
  TestSocket second = connect();
  Spool spool = spool_of(0);
  {
    const HeldLoop held(*front_->loops()[0]);
    EXPECT_EQ(spool.append("frame"), Append::accepted);
    front_->loops()[0]->post([this] {
      connections_[0]->out().append("task");
      connections_[0]->flush();
    });
    arrive(first, "reply");
    arrive(second, "other");
  }
  EXPECT_EQ(first.receive(14), "frametaskreply");
  EXPECT_EQ(second.receive(5), "other");
}

TEST_F(FlushingTest, KeepsTheBytesOfConnectionsApartWhenAReceiverFlushes) {
  TestSocket first = connect();
  TestSocket second = connect();
  Spool spool = spool_of(0);
  {
    const HeldLoop held(*front_->loops()[0]);
    EXPECT_EQ(spool.append("frame"), Append::accepted);
    arrive(first, "!reply");
    arrive(second, "other");
  }
  EXPECT_EQ(first.receive(16), "framefirst!reply");
  EXPECT_EQ(second.receive(5), "other");
}

}  // namespace
}  // namespace bobbin::net
