#include "serve/session.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <thread>

#include "net/test_socket.h"
#include "serve/server.h"

namespace bobbin::serve {
namespace {

// A whole server on a port of its own, and plain sockets as its clients.
class SessionTest : public testing::Test {
 protected:
  void start(size_t max_unsent_bytes = 1 << 20, uint64_t quota_bytes = 256 << 20) {
    ServerOptions options;
    options.front_end.listen.push_back(*net::Address::parse("127.0.0.1:0", 0));
    options.front_end.limits.max_unsent_bytes = max_unsent_bytes;
    options.bucket.cache.quota_bytes = quota_bytes;
    options.settings = {{"maxbytes", "1"}};
    auto started = Server::start(std::move(options));
    ASSERT_TRUE(started) << started.error().message;
    server_ = std::move(*started);
  }
  net::TestSocket connect(int receive_buffer_bytes = 0) {
    return net::TestSocket(server_->addresses()[0], receive_buffer_bytes);
  }
  // Sends, ends, and returns everything that is answered.
  std::string exchange(std::string_view requests) {
    net::TestSocket client = connect();
    client.send_all(requests);
    client.end();
    return client.receive_to_end();
  }
  std::map<std::string, std::string> stats(const std::string& group = "") {
    std::map<std::string, std::string> all;
    const std::string text = exchange(group.empty() ? "stats\r\n" : "stats " + group + "\r\n");
    size_t at = 0;
    while (text.compare(at, 5, "STAT ") == 0) {
      const size_t name_end = text.find(' ', at + 5);
      const size_t line_end = text.find("\r\n", at);
      all[text.substr(at + 5, name_end - at - 5)] = text.substr(name_end + 1, line_end - name_end - 1);
      at = line_end + 2;
    }
    return all;
  }

  std::unique_ptr<Server> server_;
};

TEST_F(SessionTest, AMultiGetWaitsForItsReaderInTheMiddleAndGoesOn) {
  start(50'000);
  std::string fill;
  std::string get = "gets";
  for (int i = 0; i < 200; ++i) {
    const std::string key = "key" + std::to_string(i);
    fill += "set " + key + " 0 0 100000 noreply\r\n" + std::string(100'000, static_cast<char>('a' + i % 26)) +
            "\r\n";
    get += " " + key;
  }
  ASSERT_EQ(exchange(fill + "mn\r\n"), "MN\r\n");
  net::TestSocket client = connect(4'096);
  client.send_all(get + "\r\nmn\r\n");
  while (server_->front_end().loops()[0]->counters().unsent_pauses.get() == 0)
    std::this_thread::yield();
  EXPECT_LT(server_->front_end().loops()[0]->counters().unsent_bytes.get(), 2'000'000U)
      << "the rest is not even looked up";
  client.end();
  const std::string all = client.receive_to_end();
  size_t at = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string head = "VALUE key" + std::to_string(i) + " 0 100000 ";
    ASSERT_EQ(all.substr(at, head.size()), head);
    at = all.find("\r\n", at) + 2;
    ASSERT_EQ(all.substr(at, 100'000), std::string(100'000, static_cast<char>('a' + i % 26)));
    at += 100'002;
  }
  EXPECT_EQ(all.substr(at), "END\r\nMN\r\n");
  EXPECT_EQ(stats()["get_hits"], "200") << "no key was counted twice";
}

TEST_F(SessionTest, ValuesThatArriveInPartsAreStoredLikeOthers) {
  start();
  net::TestSocket client = connect();
  const std::string value(300'000, 'v');
  for (const std::string& part :
       {std::string("set big 7 0 300000\r\n") + value.substr(0, 100), value.substr(100), std::string("\r"),
        std::string("\nms meta 5 c k O12\r\nab"), std::string("cde\r\n")}) {
    client.send_all(part);
    while (server_->front_end().loops()[0]->counters().bytes_read.get() == 0)
      std::this_thread::yield();
  }
  EXPECT_EQ(client.receive(8), "STORED\r\n");
  EXPECT_EQ(client.receive(4), "HD c");
  client.send_all("get big\r\nquit\r\n");
  const std::string rest = client.receive_to_end();
  EXPECT_NE(rest.find(" kmeta O12\r\nVALUE big 7 300000\r\n" + value + "\r\nEND\r\n"), std::string::npos);
}

TEST_F(SessionTest, ABadChunkConsumesExactlyWhatWasAnnounced) {
  start();
  EXPECT_EQ(exchange("set k 0 0 3\r\nabcdefg\r\nget k\r\n"),
            "CLIENT_ERROR bad data chunk\r\nERROR\r\nEND\r\n");
}

TEST_F(SessionTest, AnnouncedValuesCannotTakeTheWholeBucket) {
  start(1 << 20, 16 << 20);
  std::vector<net::TestSocket> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(connect());
    clients.back().send_all("set k" + std::to_string(i) + " 0 0 1000000\r\nonly the beginning");
  }
  while (std::stoul(stats()["store_no_memory"]) < 32)
    std::this_thread::yield();
  EXPECT_LE(std::stoul(stats()["upload_bytes"]), 8U << 20);
  EXPECT_EQ(exchange("set small 0 0 5\r\nvalue\r\nget small\r\n"),
            "STORED\r\nVALUE small 0 5\r\nvalue\r\nEND\r\n");
  clients.clear();
  while (stats()["upload_bytes"] != "0")
    std::this_thread::yield();
}

TEST_F(SessionTest, StatisticsCountWhatWentInAndResetBeginsAtZero) {
  start();
  exchange(
      "set a 0 0 1\r\n1\r\nset b 0 100 2\r\n22\r\nget a b c\r\ngat 0 a\r\ntouch c 0\r\nincr a 5\r\ndecr c "
      "1\r\n"
      "delete b\r\ndelete b\r\ncas a 0 0 1 1\r\nx\r\ncas z 0 0 1 1\r\nx\r\nmg a v\r\nflush_all\r\n");
  auto now = stats();
  const std::map<std::string, std::string> expected = {
      {"cmd_get", "5"},     {"get_hits", "4"},    {"get_misses", "1"},    {"cmd_set", "4"},
      {"cmd_touch", "2"},   {"touch_hits", "1"},  {"touch_misses", "1"},  {"incr_hits", "1"},
      {"decr_misses", "1"}, {"delete_hits", "1"}, {"delete_misses", "1"}, {"cas_badval", "1"},
      {"cas_misses", "1"},  {"cmd_meta", "1"},    {"cmd_flush", "1"},     {"curr_items", "0"},
      {"total_items", "2"}, {"evictions", "0"},
  };
  for (const auto& [name, value] : expected)
    EXPECT_EQ(now[name], value) << name;
  EXPECT_EQ(exchange("stats reset\r\n"), "RESET\r\n");
  now = stats();
  for (const char* name : {"cmd_get", "get_hits", "cmd_set", "total_items", "cmd_flush"}) {
    EXPECT_EQ(now[name], "0") << name;
  }
}

TEST_F(SessionTest, StatisticsOfSizesItemsAndConnections) {
  start();
  exchange("set a 0 0 1\r\n1\r\nset b 0 0 1\r\n2\r\nset c 0 0 1000\r\n" + std::string(1000, 'c') + "\r\n");
  EXPECT_EQ(stats("sizes"), (std::map<std::string, std::string>{{"64", "2"}, {"1056", "1"}}));
  EXPECT_EQ(stats("items")["items:1:number"], "2");
  EXPECT_EQ(stats("slabs")["active_slabs"], "2");
  EXPECT_EQ(stats("settings")["maxbytes"], "1");
  const auto conns = stats("conns");
  ASSERT_EQ(conns.size(), 4U) << "the asking connection";
  EXPECT_EQ(conns.begin()->second.substr(0, 14), "tcp:127.0.0.1:");
  EXPECT_EQ(exchange("stats nonsense\r\n"), "ERROR\r\n");
}

TEST_F(SessionTest, AWatcherSeesEvictionsFromOtherThreads) {
  start(1 << 20, 4 << 20);
  net::TestSocket watcher = connect();
  watcher.send_all("watch evictions\r\n");
  ASSERT_EQ(watcher.receive(4), "OK\r\n");
  std::string fill;
  for (int i = 0; i < 100; ++i) {
    fill += "set key" + std::to_string(i) + " 0 0 100000 noreply\r\n" + std::string(100'000, 'x') + "\r\n";
  }
  exchange(fill);
  std::string line;
  while (line.empty() || line.back() != '\n')
    line += watcher.receive(1);
  EXPECT_NE(line.find(" type=eviction key=key"), std::string::npos) << line;
  EXPECT_NE(line.find(" fetch=no ttl=-1 "), std::string::npos) << line;
}

TEST_F(SessionTest, TheFirstByteDecidesForTheWholeConnection) {
  start();
  const std::string noop("\x80\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0", 24);
  const std::string answer = exchange(noop + noop);
  ASSERT_EQ(answer.size(), 48U);
  EXPECT_EQ(answer[0], '\x81');
  EXPECT_EQ(exchange("mn\r\n" + noop + "\r\nmn\r\n"), "MN\r\nERROR\r\nERROR\r\nMN\r\n")
      << "two lines, since the opcode of noop is a newline";
  EXPECT_EQ(exchange(noop + "version\r\n                  "), answer.substr(0, 24))
      << "closed at the bad magic";
}

}  // namespace
}  // namespace bobbin::serve
