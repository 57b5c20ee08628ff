// What a program dials with TLS: whom it takes for the server it meant, and bytes both ways.

#include "net/tls_client.h"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <thread>
#include <utility>

#include "net/loop.h"
#include "net/tls_test_fixture.h"

namespace bobbin::net {
namespace {

/// A client's side: keeps what it is sent.
class Caller final : public Receiver {
 public:
  struct Told {
    std::promise<std::string> opened;  ///< empty, or why not
    std::promise<std::string> heard;   ///< `wanted` bytes, or what there was until the end
    size_t wanted = 0;
    Connection* connection = nullptr;  ///< the loop's thread only
  };
  explicit Caller(Told& told) : told_(told) {}
  void on_open(Connection& connection) override {
    told_.connection = &connection;
    told_.opened.set_value("");
  }
  size_t on_bytes(Connection&, std::span<const char> unread, size_t) override {
    bytes_.append(unread.data(), unread.size());
    if (told_.wanted > 0 && bytes_.size() >= told_.wanted) tell();
    return unread.size();
  }
  void on_closed(Connection&, CloseReason) override {
    told_.connection = nullptr;
    if (told_.wanted > 0) tell();
  }

 private:
  void tell() {
    told_.wanted = 0;
    told_.heard.set_value(bytes_);
  }
  Told& told_;
  std::string bytes_;
};

class TlsClientTest : public TlsTest {
 protected:
  TlsClientTest() {
    Limits limits;
    limits.handshake_timeout = std::chrono::milliseconds(50);
    call_with(limits);
  }
  ~TlsClientTest() override { hang_up(); }
  /// From now on by a loop with these.
  void call_with(const Limits& limits) {
    hang_up();
    calling_ = std::make_unique<Loop>(limits);
    thread_ = std::thread([this] { calling_->run(); });
  }
  void hang_up() {
    if (!thread_.joinable()) return;
    calling_->stop();
    thread_.join();
  }
  /// Empty, or why there is no connection.
  std::string dial(const Address& address, const TlsTrust& trust) {
    context_ = std::move(*TlsClientContext::load(trust));
    told_ = {};
    opened_ = {};
    calling_->post([&] {
      calling_->dial(
          address, std::make_unique<Caller>(told_),
          [this](const base::Error& error) { told_.opened.set_value(error.message); }, context_.get());
    });
    const std::string trouble = told_.opened.get_future().get();
    if (trouble.empty()) peer_ = opened_.get_future().get();
    return trouble;
  }
  [[nodiscard]] TlsTrust trusting() const { return {authority_.certificate_path()}; }
  std::string ask(const std::string& letters, size_t answer_bytes) {
    calling_->post([&] {
      told_.wanted = answer_bytes;
      told_.connection->out().append(letters);
      told_.connection->flush();
    });
    return told_.heard.get_future().get();
  }

  std::unique_ptr<TlsClientContext> context_;
  Caller::Told told_;
  std::unique_ptr<Loop> calling_;
  std::thread thread_;
};

TEST_F(TlsClientTest, SpeaksWithAServerThatAnAuthorityVouchesFor) {
  start_tls();
  ASSERT_EQ(dial(address(), trusting()), "");
  EXPECT_EQ(ask("abc", 3), "abc");
  Address by_name = address();
  by_name.host = "localhost";
  EXPECT_EQ(dial(by_name, trusting()), "");
}

TEST_F(TlsClientTest, SendsAndTakesMoreThanARecord) {
  start_tls();
  ASSERT_EQ(dial(address(), trusting()), "");
  const std::string letters(200'000, 'l');
  const size_t size = letters.size() + LetterReceiver::kBigBytes;
  EXPECT_EQ(ask(letters + "B", size), letters + std::string(LetterReceiver::kBigBytes, 'B'));
}

TEST_F(TlsClientTest, TakesNoCertificateOfSomebodyElsesAuthority) {
  start_tls();
  const TestCertificate other(folder_ / "other", "Authority");
  EXPECT_EQ(dial(address(), {other.certificate_path()}).find(address().text() + ": no TLS handshake: "), 0U);
  EXPECT_NE(dial(address(), {}), "") << "nor one that this machine knows nothing of";
  wait_for([this] { return counters().handshake_failures.get() == 2; });
  EXPECT_EQ(dial(address(), {{}, true}), "") << "insecure";
}

TEST_F(TlsClientTest, TakesNoCertificateThatNamesAnother) {
  tls_ = std::move(*TlsContext::load(files()));
  FrontEndOptions options;
  options.tls_listen.push_back(*Address::parse("127.0.0.2:0", 0));  // the certificate has 127.0.0.1
  options.tls = tls_;
  front_ = std::move(
      *FrontEnd::start(options, [this](size_t) { return std::make_unique<LetterReceiver>(*this); }));
  EXPECT_NE(dial(address(), trusting()).find("IP address mismatch"), std::string::npos);
  EXPECT_EQ(dial(address(), {{}, true}), "") << "insecure";
}

/// A socket of loopback, and its address.
std::pair<int, Address> listening() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof name;
  EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&name), size), 0);
  EXPECT_EQ(listen(listener, 1), 0);
  getsockname(listener, reinterpret_cast<sockaddr*>(&name), &size);
  return {listener, Address{"127.0.0.1", ntohs(name.sin_port), {}}};
}

TEST_F(TlsClientTest, TellsOfServersThatSpeakNoTls) {
  start();
  EXPECT_NE(dial(front_->addresses()[0], trusting()).find("no TLS handshake"), std::string::npos);
  opened_.get_future().wait();  // at the server's end too, perhaps later, before the next dial puts it back
  const auto [silent, address] = listening();
  EXPECT_NE(dial(address, trusting()).find("no TLS handshake"), std::string::npos) << "in time";
  close(silent);
}

TEST_F(TlsClientTest, TellsOfAnAnswerThatIsNoTls) {
  call_with({});  // however long it takes
  const auto [listener, address] = listening();
  std::thread memcached([listener = listener] {
    const int asked = accept(listener, nullptr, nullptr);
    EXPECT_EQ(send(asked, "ERROR\r\n", 7, MSG_NOSIGNAL), 7);
    close(asked);
  });
  EXPECT_NE(dial(address, trusting()).find("no TLS handshake: the server speaks no TLS there"),
            std::string::npos);
  memcached.join();
  close(listener);
}

TEST_F(TlsClientTest, TellsWhichFileCannotBeUsed) {
  const auto context = TlsClientContext::load({folder_ / "nothing"});
  ASSERT_FALSE(context);
  EXPECT_NE(context.error().message.find(folder_ / "nothing"), std::string::npos);
}

}  // namespace
}  // namespace bobbin::net
