#include "net/connection.h"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <thread>

#include "net/front_end.h"
#include "net/test_socket.h"

namespace bobbin::net {
namespace {

// A protocol for tests: lines. "echo X" answers X; "big N" answers N bytes, pinned; "value N" takes N bytes
// to a landing and answers their sum; "quit" closes.
class LineReceiver final : public Receiver {
 public:
  size_t on_bytes(Connection& connection, std::span<const char> unread, size_t seen) override {
    std::string_view rest(unread.data(), unread.size());
    size_t consumed = 0;
    while (!connection.congested()) {
      const size_t end = rest.find('\n', seen);
      seen = 0;
      if (end == std::string_view::npos) break;
      const std::string_view line = rest.substr(0, end);
      consumed += end + 1;
      rest.remove_prefix(end + 1);
      if (line.starts_with("value ")) {
        value_.resize(std::stoul(std::string(line.substr(6))));
        filled_ = std::min(value_.size(), rest.size());
        std::memcpy(value_.data(), rest.data(), filled_);
        consumed += filled_;
        rest.remove_prefix(filled_);
        if (filled_ < value_.size()) break;
        answer_value(connection);
      } else if (line.starts_with("echo ")) {
        connection.out().append(line.substr(5));
      } else if (line.starts_with("big ")) {
        static const std::string source(8 << 20, 'b');
        const std::string_view bytes(source.data(), std::stoul(std::string(line.substr(4))));
        connection.out().append(base::PinnedBytes(bytes, nullptr, [](void*) noexcept {}));
      } else if (line == "expect" || line == "content") {
        connection.expect(line == "expect");
      } else if (line == "quit") {
        connection.close_when_sent();
        break;
      }
    }
    return consumed;
  }
  std::span<char> landing() noexcept override { return std::span(value_).subspan(filled_); }
  void on_landed(Connection& connection, size_t n) override {
    filled_ += n;
    if (filled_ == value_.size()) answer_value(connection);
  }

 private:
  void answer_value(Connection& connection) {
    uint64_t sum = 0;
    for (const char c : value_)
      sum += static_cast<unsigned char>(c);
    connection.out().append(std::to_string(sum) + "\n");
    value_.clear();
    filled_ = 0;
  }
  std::string value_;
  size_t filled_ = 0;
};

class ConnectionTest : public testing::Test {
 protected:
  void start(Limits limits = {}) {
    FrontEndOptions options;
    options.listen.push_back(*Address::parse("127.0.0.1:0", 0));
    options.limits = limits;
    auto started = FrontEnd::start(options, [](size_t) { return std::make_unique<LineReceiver>(); });
    ASSERT_TRUE(started) << started.error().message;
    front_ = std::move(*started);
  }
  TestSocket connect(int receive_buffer_bytes = 0) {
    return TestSocket(front_->addresses()[0], receive_buffer_bytes);
  }
  const LoopCounters& counters() { return front_->loops()[0]->counters(); }

  // Waits for what another thread will do; the test's own timeout ends a wait for what never comes.
  template <typename Condition>
  void wait_for(Condition condition) {
    while (!condition())
      std::this_thread::yield();
  }

  std::unique_ptr<FrontEnd> front_;
};

TEST_F(ConnectionTest, AnswersAndEndsWhenTold) {
  start();
  TestSocket client = connect();
  client.send_all("echo hello\necho  world\nquit\necho never\n");
  EXPECT_EQ(client.receive_to_end(), "hello world");
}

TEST_F(ConnectionTest, EndsWhileBytesOfEarlierReadsAreUnread) {
  start();
  TestSocket client = connect();
  client.send_all("echo split over reads");
  wait_for([&] { return counters().unread_bytes.get() > 0; });
  client.send_all("\nquit\n" + std::string(100'000, 'x'));
  EXPECT_EQ(client.receive_to_end(), "split over reads");
  TestSocket other = connect();
  other.send_all("echo alive\n");
  EXPECT_EQ(other.receive(5), "alive");
}

TEST_F(ConnectionTest, AnswersAfterThePeerHasEnded) {
  start();
  TestSocket client = connect();
  client.send_all("echo a\nbig 3000000\necho z\n");
  client.end();
  const std::string all = client.receive_to_end();
  ASSERT_EQ(all.size(), 3'000'002U);
  EXPECT_EQ(all.front(), 'a');
  EXPECT_EQ(all.back(), 'z');
}

TEST_F(ConnectionTest, KeepsHalfARequestUntilItsEndArrives) {
  start();
  TestSocket client = connect();
  for (const char c : std::string("echo split\n"))
    client.send_all({&c, 1});
  EXPECT_EQ(client.receive(5), "split");
  wait_for([&] { return counters().unread_bytes.get() == 0; });
}

TEST_F(ConnectionTest, ReadsValuesIntoTheirLanding) {
  start();
  TestSocket client = connect();
  const std::string value(5'000'000, '\1');
  client.send_all("echo first\nvalue 5000000\n" + value + "echo last\n");
  EXPECT_EQ(client.receive(17), "first5000000\nlast");
}

TEST_F(ConnectionTest, ALongPipelineIsAnsweredInOrder) {
  start();
  TestSocket client = connect();
  std::string expected;
  std::thread sender([&client] {
    for (int i = 0; i < 100'000; ++i)
      client.send_all("echo " + std::to_string(i) + ",\n");
  });
  for (int i = 0; i < 100'000; ++i)
    expected += std::to_string(i) + ",";
  EXPECT_EQ(client.receive(expected.size()), expected);
  sender.join();
}

TEST_F(ConnectionTest, StopsReadingAPeerThatDoesNotTakeItsReplies) {
  Limits limits;
  limits.max_unsent_bytes = 100'000;
  start(limits);
  TestSocket client = connect(4'096);
  std::string requests;
  for (int i = 0; i < 20'000; ++i)
    requests += "big 2000\n";
  std::thread sender([&] { client.send_all(requests); });
  wait_for([&] { return counters().unsent_pauses.get() > 0; });
  EXPECT_LE(counters().unsent_bytes.get(), limits.max_unsent_bytes + 2'000);
  EXPECT_EQ(client.receive(40'000'000).size(), 40'000'000U);
  sender.join();
  EXPECT_EQ(counters().stalled_kicks.get(), 0U);
}

TEST_F(ConnectionTest, ClosesAPeerThatLeavesTooMuchUnread) {
  Limits limits;
  limits.max_unread_bytes = 100'000;
  start(limits);
  TestSocket client = connect();
  client.send_all(std::string(1'000'000, 'x'));
  EXPECT_EQ(client.receive_to_end(), "");
  wait_for([&] { return counters().connections_closed.get() == 1; });
  EXPECT_EQ(counters().unread_kicks.get(), 1U);
}

TEST_F(ConnectionTest, ClosesIdlePeers) {
  Limits limits;
  limits.idle_timeout = std::chrono::milliseconds(20);
  start(limits);
  TestSocket idle = connect();
  EXPECT_EQ(idle.receive_to_end(), "");
  wait_for([&] { return counters().connections_closed.get() == 1; });
  EXPECT_EQ(counters().idle_kicks.get(), 1U);
}

TEST_F(ConnectionTest, ClosesWhoDoesNotDoWhatIsExpected) {
  Limits limits;
  limits.expect_timeout = std::chrono::milliseconds(20);
  start(limits);
  TestSocket content = connect();
  content.send_all("expect\ncontent\necho a\n");
  EXPECT_EQ(content.receive(1), "a");
  // Whatever it sends meanwhile, and however often that is said.
  TestSocket overdue = connect();
  std::string got;
  while (counters().connections_closed.get() == 0) {
    overdue.send_all("expect\necho b\n");
    got += overdue.receive(1);
  }
  EXPECT_EQ(counters().overdue_kicks.get(), 1U);
  content.send_all("echo a\n");
  EXPECT_EQ(content.receive(1), "a") << "it is not that one";
}

TEST_F(ConnectionTest, ClosesStalledPeers) {
  Limits limits;
  limits.stall_timeout = std::chrono::milliseconds(20);
  start(limits);
  TestSocket stalled = connect(4'096);
  stalled.send_all("big 8000000\n");
  wait_for([&] { return counters().connections_closed.get() == 1; });
  EXPECT_EQ(counters().stalled_kicks.get(), 1U);
  EXPECT_EQ(counters().unsent_bytes.get(), 0U);
}

TEST_F(ConnectionTest, SurvivesPeersThatResetAtAnyPoint) {
  start();
  for (int i = 0; i < 200; ++i) {
    TestSocket client = connect(4'096);
    client.send_all(i % 2 == 0 ? "big 8000000\n" : "value 100000\nabc");
    if (i % 4 == 0) client.receive(1);
    client.reset();
  }
  wait_for([&] { return counters().connections_closed.get() == 200; });
  TestSocket client = connect();
  client.send_all("echo alive\n");
  EXPECT_EQ(client.receive(5), "alive");
}

}  // namespace
}  // namespace bobbin::net
