#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "net/test_certificates.h"
#include "net/test_socket.h"

namespace bobbin::net {

struct TlsClientOptions {
  const TestCertificate* certificate = nullptr;  ///< to show when it is asked for
  int version = 0;                               ///< TLS1_2_VERSION …; 0: what both know best
  size_t piece_bytes = 0;  ///< everything is sent in pieces of this size; 0: as it comes
  int receive_buffer_bytes = 0;
};

/// The other end of a TLS connection, for tests: blocking, and what it sends can be cut and kept back.
class TlsClient {
 public:
  explicit TlsClient(const Address& address, TlsClientOptions options = {})
      : options_(options), socket_(address, options.receive_buffer_bytes) {
    context_ = SSL_CTX_new(TLS_client_method());
    if (options.version != 0) {
      SSL_CTX_set_security_level(context_, 0);
      SSL_CTX_set_min_proto_version(context_, options.version);
      SSL_CTX_set_max_proto_version(context_, options.version);
    }
    if (options.certificate != nullptr) {
      SSL_CTX_use_certificate(context_, options.certificate->certificate());
      SSL_CTX_use_PrivateKey(context_, options.certificate->key());
    }
    ssl_ = SSL_new(context_);
    SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_);
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    ERR_clear_error();
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  /// Whether this side is content: with TLS 1.3 the server may still refuse the certificate.
  bool shake_hands() {
    return repeat([this] { return SSL_do_handshake(ssl_); }) == 1;
  }
  bool send_all(std::string_view bytes) {
    return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size()) &&
           send_sealed();
  }
  /// Up to `n` bytes; fewer only at the end.
  std::string receive(size_t n) {
    std::string bytes(n, '\0');
    size_t have = 0;
    while (have < n) {
      const int got = repeat([&] { return SSL_read(ssl_, bytes.data() + have, static_cast<int>(n - have)); });
      if (got <= 0) break;
      have += static_cast<size_t>(got);
    }
    bytes.resize(have);
    return bytes;
  }
  /// Nothing more comes, and the server has said so itself.
  bool is_ended_properly() {
    return receive(1).empty() && (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0;
  }
  /// Nothing more is sent, which the server is told.
  void end() {
    SSL_shutdown(ssl_);
    send_sealed();
  }
  /// What is to be sent, for the test to send.
  std::string take_sealed() {
    std::string bytes(static_cast<size_t>(BIO_pending(SSL_get_wbio(ssl_))), '\0');
    if (!bytes.empty()) BIO_read(SSL_get_wbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }
  bool send_sealed() {
    const std::string bytes = take_sealed();
    if (options_.piece_bytes == 0) return socket_.send_all(bytes);
    for (size_t i = 0; i < bytes.size(); i += options_.piece_bytes) {
      if (!socket_.send_all(std::string_view(bytes).substr(i, options_.piece_bytes))) return false;
      socket_.wait_until_arrived();
    }
    return true;
  }
  [[nodiscard]] SSL* ssl() const { return ssl_; }
  [[nodiscard]] TestSocket& socket() { return socket_; }
  [[nodiscard]] std::string server_name() const {
    char name[256] = "";
    const X509* certificate = SSL_get0_peer_certificate(ssl_);
    if (certificate != nullptr)
      X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
    return name;
  }

 private:
  template <typename Operation>
  int repeat(Operation operation) {
    for (;;) {
      ERR_clear_error();
      const int result = operation();
      if (!send_sealed() || result > 0) return result;
      if (SSL_get_error(ssl_, result) != SSL_ERROR_WANT_READ) return result;
      const std::string sealed = socket_.receive_some(16 << 10);
      if (sealed.empty()) return 0;
      BIO_write(SSL_get_rbio(ssl_), sealed.data(), static_cast<int>(sealed.size()));
    }
  }

  const TlsClientOptions options_;
  TestSocket socket_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
};

}  // namespace bobbin::net
