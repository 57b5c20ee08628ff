#include "net/blocking_stream.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <string>
#include <thread>

namespace bobbin::net {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// Listens on loopback, accepts one connection on a thread of its own and plays the server's part on it.
template <typename Protocol>
class OneShotServer {
 public:
  using Play = std::function<void(typename Protocol::socket&)>;
  OneShotServer(const typename Protocol::endpoint& endpoint, Play play)
      : acceptor_(context_, endpoint), thread_([this, play = std::move(play)] { play_on(play); }) {}
  ~OneShotServer() { thread_.join(); }
  OneShotServer(const OneShotServer&) = delete;
  OneShotServer& operator=(const OneShotServer&) = delete;

  uint16_t port() { return acceptor_.local_endpoint().port(); }

 private:
  void play_on(const Play& play) {
    typename Protocol::socket socket(context_);
    boost::system::error_code error;
    acceptor_.accept(socket, error);
    if (!error) play(socket);
  }

  asio::io_context context_;
  typename Protocol::acceptor acceptor_;
  std::thread thread_;
};

using TcpServer = OneShotServer<asio::ip::tcp>;
using TcpSocket = asio::ip::tcp::socket;

const asio::ip::tcp::endpoint kAnyPort(asio::ip::address_v4::loopback(), 0);

void send(TcpSocket& socket, const std::string& bytes) {
  boost::system::error_code ignored;
  asio::write(socket, asio::buffer(bytes), ignored);
}

/// Returns when the client has closed.
void wait_for_end(TcpSocket& socket) {
  std::string rest;
  boost::system::error_code ignored;
  asio::read(socket, asio::dynamic_buffer(rest), ignored);
}

base::Result<BlockingStream, base::Error> dial(TcpServer& server, std::chrono::milliseconds timeout = 10s) {
  return BlockingStream::connect(Address{"127.0.0.1", server.port(), ""}, timeout);
}

TEST(BlockingStream, SendsAndReceives) {
  std::string heard;
  {
    TcpServer server(kAnyPort, [&](TcpSocket& socket) {
      heard.resize(5);
      asio::read(socket, asio::buffer(heard));
      send(socket, "HD\r\n");
    });
    auto stream = dial(server);
    ASSERT_TRUE(stream) << stream.error().message;
    ASSERT_TRUE(stream->write_all("hello"));
    EXPECT_EQ(stream->read_line().value(), "HD");
  }
  EXPECT_EQ(heard, "hello");
}

TEST(BlockingStream, CutsLinesAndBlocksWhereverTheyWereSplit) {
  TcpServer server(kAnyPort, [](TcpSocket& socket) {
    socket.set_option(asio::ip::tcp::no_delay(true));
    for (const char c : std::string("VA 4\r\na\r\nb\r\nEN\nrest"))
      send(socket, std::string(1, c));
  });
  auto stream = dial(server);
  ASSERT_TRUE(stream) << stream.error().message;
  EXPECT_EQ(stream->read_line().value(), "VA 4");
  std::string value(6, '\0');
  ASSERT_TRUE(stream->read_exact(value));
  EXPECT_EQ(value, "a\r\nb\r\n");
  EXPECT_EQ(stream->read_line().value(), "EN");
  std::string rest;
  std::string some(3, '\0');
  for (auto n = stream->read_some(some); n.value() > 0; n = stream->read_some(some))
    rest += some.substr(0, *n);
  EXPECT_EQ(rest, "rest");
}

TEST(BlockingStream, ManyLinesOfOneSegmentAreHadWithoutWaiting) {
  TcpServer server(kAnyPort, [](TcpSocket& socket) {
    send(socket, "one\r\ntwo\r\nthr");
    wait_for_end(socket);
  });
  auto stream = dial(server);
  ASSERT_TRUE(stream) << stream.error().message;
  EXPECT_FALSE(stream->has_line());
  EXPECT_EQ(stream->read_line().value(), "one");
  EXPECT_EQ(stream->read_line().value(), "two");
  EXPECT_FALSE(stream->has_line());
  stream->close();
}

TEST(BlockingStream, SaysWhetherThereIsSomethingToRead) {
  TcpServer server(kAnyPort, [](TcpSocket& socket) {
    std::string asked(2, '\0');
    asio::read(socket, asio::buffer(asked));
    send(socket, "one\r\ntwo");
  });
  auto stream = dial(server);
  ASSERT_TRUE(stream) << stream.error().message;
  EXPECT_FALSE(stream->wait_readable(0ms).value());
  EXPECT_FALSE(stream->wait_readable(1ms).value());
  ASSERT_TRUE(stream->write_all("go"));
  EXPECT_TRUE(stream->wait_readable(10s).value());
  EXPECT_EQ(stream->read_line().value(), "one");
  EXPECT_TRUE(stream->wait_readable(0ms).value());
  std::string rest(3, '\0');
  ASSERT_TRUE(stream->read_exact(rest));
  // The end of the stream is something to read as well.
  EXPECT_TRUE(stream->wait_readable(10s).value());
  EXPECT_EQ(stream->read_some(rest).value(), 0U);
}

TEST(BlockingStream, ALineWithoutEndIsAnError) {
  TcpServer server(kAnyPort, [](TcpSocket& socket) {
    send(socket, std::string(100'000, 'x'));
    wait_for_end(socket);
  });
  auto stream = dial(server);
  ASSERT_TRUE(stream) << stream.error().message;
  const auto line = stream->read_line(1000);
  ASSERT_FALSE(line);
  EXPECT_NE(line.error().message.find("more than 1000 bytes"), std::string::npos) << line.error().message;
  stream->close();
}

TEST(BlockingStream, TheEndOfTheStreamIsToldApart) {
  TcpServer server(kAnyPort, [](TcpSocket& socket) { send(socket, "half"); });
  auto stream = dial(server);
  ASSERT_TRUE(stream) << stream.error().message;
  const auto line = stream->read_line();
  ASSERT_FALSE(line);
  EXPECT_NE(line.error().message.find("closed the connection"), std::string::npos) << line.error().message;
  std::string four(4, '\0');
  EXPECT_TRUE(stream->read_exact(four));
  EXPECT_EQ(four, "half");
  EXPECT_EQ(stream->read_some(four).value(), 0u);
  EXPECT_FALSE(stream->read_exact(four));
}

TEST(BlockingStream, AnAnswerThatDoesNotComeTimesOut) {
  TcpServer server(kAnyPort, wait_for_end);
  auto stream = dial(server);
  ASSERT_TRUE(stream) << stream.error().message;
  stream->set_timeout(20ms);
  const auto line = stream->read_line();
  ASSERT_FALSE(line);
  EXPECT_NE(line.error().message.find("no answer within 20 ms"), std::string::npos) << line.error().message;
}

TEST(BlockingStream, SendingToOneWhoDoesNotReadTimesOut) {
  std::promise<void> given_up;
  TcpServer server(kAnyPort, [&](TcpSocket&) { given_up.get_future().wait(); });
  auto stream = dial(server);
  if (stream) stream->set_timeout(50ms);
  const bool sent = stream && stream->write_all(std::string(64 << 20, 'x'));
  given_up.set_value();
  EXPECT_TRUE(stream);
  EXPECT_FALSE(sent);
}

TEST(BlockingStream, NamesTheAddressThatRefuses) {
  // Bound and not listening, so that nobody else gets the port.
  asio::io_context context;
  const TcpSocket bound(context, kAnyPort);
  const uint16_t port = bound.local_endpoint().port();
  const auto stream = BlockingStream::connect(Address{"127.0.0.1", port, ""}, 10s);
  ASSERT_FALSE(stream);
  EXPECT_NE(stream.error().message.find("127.0.0.1:" + std::to_string(port) + ": cannot connect"),
            std::string::npos)
      << stream.error().message;
}

TEST(BlockingStream, SpeaksOverAUnixSocket) {
  std::string folder = (std::filesystem::temp_directory_path() / "bobbin-stream-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/socket";
  using Local = asio::local::stream_protocol;
  {
    OneShotServer<Local> server(Local::endpoint(path), [](Local::socket& socket) {
      boost::system::error_code ignored;
      asio::write(socket, asio::buffer(std::string("hello\n")), ignored);
    });
    auto stream = BlockingStream::connect(Address{"", 0, path}, 10s);
    EXPECT_TRUE(stream);
    if (stream) {
      EXPECT_EQ(stream->read_line().value(), "hello");
    }
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace bobbin::net
