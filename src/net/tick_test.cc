// What a loop does in one tick, and in which order.

#include <gtest/gtest.h>

#include <memory>
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

}  // namespace
}  // namespace bobbin::net
