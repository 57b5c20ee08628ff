#pragma once

#include <memory>
#include <string>
#include <utility>

#include "net/letter_receiver.h"
#include "net/test_tls_client.h"
#include "net/tls.h"

namespace bobbin::net {

/// A TLS listener that speaks the letters of letter_receiver.h.
class TlsTest : public SuspendTest {
 protected:
  void start_tls(Limits limits = {}, ClientCertificates clients = ClientCertificates::off) {
    tls_ = std::move(*TlsContext::load(files(clients)));
    FrontEndOptions options;
    options.tls_listen.push_back(*Address::parse("127.0.0.1:0", 0));
    options.tls = tls_;
    options.limits = limits;
    front_ = std::move(
        *FrontEnd::start(options, [this](size_t) { return std::make_unique<LetterReceiver>(*this); }));
  }
  [[nodiscard]] TlsFiles files(ClientCertificates clients = ClientCertificates::off) const {
    return {server_.certificate_path(), server_.key_path(), authority_.certificate_path(), clients};
  }
  [[nodiscard]] Address address() const { return front_->tls_addresses()[0]; }
  /// A client whose handshake is done on both sides.
  std::unique_ptr<TlsClient> connect_tls(TlsClientOptions options = {}) {
    opened_ = {};
    auto client = std::make_unique<TlsClient>(address(), options);
    EXPECT_TRUE(client->shake_hands());
    peer_ = opened_.get_future().get();
    return client;
  }
  std::string peer_protocol() {
    std::string protocol;
    on_loop([&] { protocol = peer_.connection->tls()->protocol; });
    return protocol;
  }

  TestFolder folder_;
  TestCertificate authority_{folder_ / "authority", "Authority"};
  TestCertificate server_{folder_ / "server", "server one", &authority_};
  std::shared_ptr<TlsContext> tls_;
};

}  // namespace bobbin::net
