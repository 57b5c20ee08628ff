// A whole server: clients that mutate, evict and disconnect at random while watchers of the live log, fast
// and slow, come and go.

#include <algorithm>
#include <regex>
#include <vector>

#include "net/test_socket.h"
#include "serve/server.h"
#include "stress.h"

namespace bobbin::stress {
namespace {

constexpr int kClients = 3;
constexpr int kWatchers = 4;

std::string key_of(int client, uint64_t number) {
  return "client" + std::to_string(client) + "-" + std::to_string(number);
}

// A value is one letter, as often as its length says.
bool is_whole(std::string_view value) {
  return value.empty() || value.find_first_not_of(value.front()) == std::string_view::npos;
}

/// Talks over a connection of its own, to keys of its own; leaves in one of four ways and comes back.
class Client {
 public:
  Client(const serve::Server& server, int id, uint64_t seed) : server_(server), id_(id), random_(seed) {}

  void run(const std::atomic<bool>& ended) {
    while (!ended && !testing::Test::HasFailure()) {
      net::TestSocket socket(server_.addresses()[0]);
      for (uint64_t n = random_.below(200); n > 0 && !ended && !testing::Test::HasFailure(); --n)
        talk(socket);
      switch (random_.below(4)) {
        case 0:
          socket.reset();
          break;
        case 1:
          socket.send_all("quit\r\n");
          EXPECT_EQ(socket.receive_to_end(), "");
          break;
        case 2:  // in the middle of a value
          socket.send_all("set half 0 0 5000\r\nonly");
          break;
        default:  // with replies that nobody reads
          for (int i = 0; i < 50; ++i)
            socket.send_all("get " + key_of(id_, random_.below(300)) + "\r\n");
      }
    }
  }

 private:
  void talk(net::TestSocket& socket) {
    const std::string key = key_of(id_, random_.below(300));
    const std::string value(random_.below(random_.once_in(10) ? 100'000 : 2'000),
                            static_cast<char>('a' + random_.below(26)));
    switch (random_.below(6)) {
      case 0:
        ask(socket, "delete " + key + "\r\n", {"DELETED\r\n", "NOT_FOUND\r\n"});
        break;
      case 1:
        ask(socket, "touch " + key + " 100\r\n", {"TOUCHED\r\n", "NOT_FOUND\r\n"});
        break;
      case 2:
        if (random_.once_in(50)) ask(socket, "flush_all\r\n", {"OK\r\n"});
        break;
      case 3:
        socket.send_all("set " + key + " 0 0 " + std::to_string(value.size()) + " noreply\r\n" + value +
                        "\r\n");
        break;
      default:
        get(socket, key);
    }
  }
  static void ask(net::TestSocket& socket, const std::string& request,
                  const std::vector<std::string>& answers) {
    socket.send_all(request);
    const std::string answer = line(socket);
    EXPECT_NE(std::find(answers.begin(), answers.end(), answer), answers.end()) << request << answer;
  }
  static std::string line(net::TestSocket& socket) {
    std::string all;
    for (std::string next = socket.receive(1); !next.empty(); next = socket.receive(1)) {
      all += next;
      if (next == "\n") break;
    }
    return all;
  }
  static void get(net::TestSocket& socket, const std::string& key) {
    socket.send_all("get " + key + "\r\n");
    const std::string head = line(socket);
    if (head == "END\r\n") return;
    const std::string begin = "VALUE " + key + " 0 ";
    ASSERT_EQ(head.substr(0, begin.size()), begin);
    const size_t size = std::stoul(head.substr(begin.size()));
    EXPECT_TRUE(is_whole(socket.receive(size)));
    EXPECT_EQ(socket.receive(7), "\r\nEND\r\n");
  }

  const serve::Server& server_;
  const int id_;
  Random random_;
};

/// Watches for a while, reads fast or slowly, and checks that every line is whole.
void watch(const serve::Server& server, uint64_t seed, const std::atomic<bool>& ended) {
  static const std::regex whole(R"(ts=\d+\.\d{6} gid=\d+ type=\w+ .*|skipped=[1-9]\d*)");
  Random random(seed);
  while (!ended && !testing::Test::HasFailure()) {
    net::TestSocket socket(server.addresses()[0], random.once_in(2) ? 4'096 : 0);
    socket.send_all(random.once_in(2) ? "watch mutations evictions deletions\r\n"
                                      : "watch fetchers connevents mutations\r\n");
    std::string unread = socket.receive(4);
    if (unread != "OK\r\n") {
      EXPECT_TRUE(ended) << unread;
      return;
    }
    unread.clear();
    const bool slow = random.once_in(2);
    const auto until = Clock::now() + std::chrono::milliseconds(random.below(300));
    while (Clock::now() < until && !ended) {
      if (slow) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      const std::string some = socket.receive_some(slow ? 500 : 65'536);
      if (some.empty()) break;
      unread += some;
      size_t at = 0;
      for (size_t end = unread.find('\n'); end != std::string::npos; end = unread.find('\n', at)) {
        const std::string line = unread.substr(at, end - at);
        EXPECT_TRUE(std::regex_match(line, whole)) << line;
        at = end + 1;
      }
      unread.erase(0, at);
    }
    if (random.once_in(2)) socket.reset();
  }
}

TEST(ServerStress, ClientsAndWatchersComeAndGo) {
  const uint64_t chosen = seed();
  SCOPED_TRACE("BOBBIN_STRESS_SEED=" + std::to_string(chosen));
  Random random(chosen);
  serve::ServerOptions options;
  options.front_end.listen.push_back(*net::Address::parse("127.0.0.1:0", 0));
  options.front_end.threads = 2;
  options.front_end.limits.spool_bytes = 16 << 10;
  options.front_end.limits.drain_timeout = std::chrono::milliseconds(500);
  options.bucket.cache.quota_bytes = 8 << 20;
  auto server = std::move(*serve::Server::start(std::move(options)));
  std::atomic<bool> ended{false};
  std::vector<std::thread> clients;
  std::vector<std::thread> watchers;
  for (int id = 0; id < kClients; ++id) {
    clients.emplace_back([&, id, seed = random.below(UINT64_MAX)] { Client(*server, id, seed).run(ended); });
  }
  for (int i = 0; i < kWatchers; ++i)
    watchers.emplace_back([&, seed = random.below(UINT64_MAX)] { watch(*server, seed, ended); });
  std::this_thread::sleep_for(duration());
  ended = true;
  for (std::thread& client : clients)
    client.join();
  // A watcher may be waiting for a line; nobody makes one any more, but the end of the server is heard.
  std::thread drainer([&] { server->drain(); });
  for (std::thread& watcher : watchers)
    watcher.join();
  drainer.join();
  for (const auto& loop : server->front_end().loops()) {
    EXPECT_EQ(loop->connection_count(), 0U);
    EXPECT_EQ(loop->counters().spool_bytes_now.get(), 0U);
    EXPECT_EQ(loop->counters().unsent_bytes.get(), 0U);
    EXPECT_EQ(loop->counters().unread_bytes.get(), 0U);
  }
}

}  // namespace
}  // namespace bobbin::stress
