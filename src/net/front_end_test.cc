#include "net/front_end.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>

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

base::Result<std::unique_ptr<FrontEnd>, base::Error> start_echo(const FrontEndOptions& options) {
  return FrontEnd::start(options, [](size_t) { return std::make_unique<EchoReceiver>(); });
}

FrontEndOptions on(const char* address) {
  FrontEndOptions options;
  options.listen.push_back(*Address::parse(address, 0));
  return options;
}

bool echoes(TestSocket& client) {
  client.send_all("?");
  return client.receive(1) == "?";
}

TEST(FrontEnd, SpreadsConnectionsEvenlyOverItsLoops) {
  FrontEndOptions options = on("127.0.0.1:0");
  options.threads = 4;
  const auto front = std::move(*start_echo(options));
  std::vector<TestSocket> clients;
  for (int i = 0; i < 42; ++i) {
    clients.emplace_back(front->addresses()[0]);
    ASSERT_TRUE(echoes(clients.back()));
  }
  for (const auto& loop : front->loops()) {
    EXPECT_GE(loop->connection_count(), 10U);
    EXPECT_LE(loop->connection_count(), 11U);
  }
}

TEST(FrontEnd, ListensOnMoreWhileItRuns) {
  const auto front = std::move(*start_echo(on("127.0.0.1:0")));
  const auto added = front->add_listener({"localhost", 0, {}}, AddressFamily::v4, false, "more");
  ASSERT_TRUE(added);
  EXPECT_EQ(added->address.host, "127.0.0.1");
  EXPECT_NE(added->address.port, 0);
  TestSocket client(added->address);
  EXPECT_TRUE(echoes(client));
  ASSERT_EQ(front->listeners().size(), 2U);
  EXPECT_EQ(front->listeners()[1].tag, "more");
  EXPECT_EQ(front->listeners()[1].id, added->id);
  EXPECT_FALSE(front->add_listener(added->address, AddressFamily::any, false, "")) << "it is taken";
  EXPECT_FALSE(front->add_listener({"192.0.2.1", 0, {}}, AddressFamily::v4, false, "")) << "not ours";

  EXPECT_EQ(front->remove_listener(added->id), FrontEnd::Removal::done);
  EXPECT_EQ(front->remove_listener(added->id), FrontEnd::Removal::unknown);
  EXPECT_TRUE(echoes(client)) << "connections stay";
  EXPECT_FALSE(TestSocket(added->address).open());
  EXPECT_EQ(front->remove_listener(front->listeners()[0].id), FrontEnd::Removal::last);
  TestSocket first(front->addresses()[0]);
  EXPECT_TRUE(echoes(first));
}

TEST(FrontEnd, ListenersComeAndGoWithoutEnd) {
  const auto front = std::move(*start_echo(on("127.0.0.1:0")));
  for (int i = 0; i < 300; ++i) {
    const auto added = front->add_listener({"127.0.0.1", 0, {}}, AddressFamily::v4, false, "");
    ASSERT_TRUE(added) << added.error().message;
    if (i % 3 == 0) {
      TestSocket client(added->address);
      ASSERT_TRUE(echoes(client));
    }
    ASSERT_EQ(front->remove_listener(added->id), FrontEnd::Removal::done);
  }
  for (size_t i = 1; i < FrontEnd::kMaxListeners; ++i)
    ASSERT_TRUE(front->add_listener({"127.0.0.1", 0, {}}, AddressFamily::v4, false, ""));
  EXPECT_FALSE(front->add_listener({"127.0.0.1", 0, {}}, AddressFamily::v4, false, ""));
}

TEST(FrontEnd, ListensOnAUnixSocketWithItsModeAndRemovesIt) {
  const std::string path = testing::TempDir() + "bobbin-front-end-test.sock";
  FrontEndOptions options = on(("unix:" + path).c_str());
  options.unix_mode = 0640;
  {
    const auto front = std::move(*start_echo(options));
    struct stat file {};
    ASSERT_EQ(stat(path.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777, 0640U);
    TestSocket client(front->addresses()[0]);
    EXPECT_TRUE(echoes(client));
    EXPECT_EQ(front->loops()[0]->connections().at(0).peer, "unix");
    const auto second = start_echo(options);
    ASSERT_FALSE(second) << "a live socket must not be taken over";
    EXPECT_NE(second.error().message.find(path), std::string::npos);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(FrontEnd, NamesTheAddressThatIsInUse) {
  const auto front = std::move(*start_echo(on("127.0.0.1:0")));
  const std::string taken = front->addresses()[0].text();
  const auto second = start_echo(on(taken.c_str()));
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find(taken), std::string::npos);
}

TEST(FrontEnd, AtTheConnectionLimitAcceptingPausesAndResumes) {
  FrontEndOptions options = on("127.0.0.1:0");
  options.limits.max_connections = 3;
  options.threads = 2;
  const auto front = std::move(*start_echo(options));
  std::vector<TestSocket> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(front->addresses()[0]);
    ASSERT_TRUE(echoes(clients.back()));
  }
  // Accepted by the kernel, not by us; answered once a place is free.
  TestSocket waiting(front->addresses()[0]);
  waiting.send_all("?");
  while (front->listener_counters().pauses.get() == 0)
    std::this_thread::yield();
  EXPECT_FALSE(front->listener_counters().accepting.load());
  EXPECT_EQ(front->connection_count(), 3U);
  for (TestSocket& client : clients)
    EXPECT_TRUE(echoes(client));
  clients.pop_back();
  EXPECT_EQ(waiting.receive(1), "?");
}

TEST(FrontEnd, WithoutDescriptorsAcceptingPausesAndResumes) {
  const auto front = std::move(*start_echo(on("127.0.0.1:0")));
  TestSocket first(front->addresses()[0]);
  ASSERT_TRUE(echoes(first));
  TestSocket second(front->addresses()[0]);
  ASSERT_TRUE(echoes(second));

  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  // The client takes the last descriptor that the limit allows, so that accepting it must fail.
  const int next = dup(0);
  close(next);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(next) + 1;
  setrlimit(RLIMIT_NOFILE, &tight);
  TestSocket third(front->addresses()[0]);
  third.send_all("?");
  // It tries again from time to time. Each attempt is one call, and none is made in between.
  while (front->listener_counters().no_descriptors.get() == 0)
    std::this_thread::yield();
  const uint64_t pauses = front->listener_counters().pauses.get();
  const uint64_t calls = front->accept_calls();
  while (front->listener_counters().pauses.get() < pauses + 3)
    std::this_thread::yield();
  const uint64_t more_calls = front->accept_calls() - calls;
  EXPECT_LE(more_calls, front->listener_counters().pauses.get() - pauses + 1);
  EXPECT_TRUE(echoes(first));
  EXPECT_TRUE(echoes(second));
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(third.receive(1), "?");
}

TEST(FrontEnd, StopsWithConnectionsOpen) {
  auto front = std::move(*start_echo(on("127.0.0.1:0")));
  TestSocket client(front->addresses()[0]);
  ASSERT_TRUE(echoes(client));
  front.reset();
  EXPECT_EQ(client.receive_to_end(), "");
}

TEST(FrontEnd, StoppingEndsEveryConnectionThatWasAccepted) {
  FrontEndOptions options = on("127.0.0.1:0");
  options.threads = 3;
  for (int round = 0; round < 100; ++round) {
    auto front = std::move(*start_echo(options));
    std::vector<TestSocket> clients;
    for (int i = 0; i < 20; ++i)
      clients.emplace_back(front->addresses()[0]);
    front.reset();  // while the accepting loop hands them to the others
    for (TestSocket& client : clients)
      EXPECT_EQ(client.receive_to_end(), "");
  }
}

TEST(Address, ReadsWhatPeopleWrite) {
  EXPECT_EQ(Address::parse("localhost:1", 7)->port, 1);
  EXPECT_EQ(Address::parse("localhost", 7)->port, 7);
  EXPECT_EQ(Address::parse("::1", 7)->host, "::1");
  EXPECT_EQ(Address::parse("[::1]:9", 7)->text(), "[::1]:9");
  EXPECT_EQ(Address::parse("unix:/a", 7)->unix_path, "/a");
  EXPECT_EQ(Address::parse("/a", 7)->text(), "unix:/a");
  for (const char* wrong : {"", "host:", "host:x", "host:70000", "[::1", "[::1]x", "unix:", ":1"}) {
    EXPECT_FALSE(Address::parse(wrong, 7)) << wrong;
  }
  EXPECT_FALSE(Address::parse("/" + std::string(108, 'x'), 7));
}

TEST(Address, KnowsLoopback) {
  EXPECT_TRUE(is_loopback(*Address::parse("127.0.0.1", 1)));
  EXPECT_TRUE(is_loopback(*Address::parse("[::1]", 1)));
  EXPECT_TRUE(is_loopback(*Address::parse("/x", 1)));
  EXPECT_FALSE(is_loopback(*Address::parse("0.0.0.0", 1)));
}

}  // namespace
}  // namespace bobbin::net
