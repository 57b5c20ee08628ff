#pragma once

// OpenSSL's types behind net/tls.h. For the tls*.cc files of this folder.

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>

#include "net/tls.h"
#include "net/tls_client.h"

namespace bobbin::net {

struct FreeSslContext {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
struct FreeSsl {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};

/// The reason that OpenSSL has put down first on this thread, in words; its list is empty afterwards.
std::string tls_reason();

/// Without buffers while nothing arrives.
inline constexpr long kTlsModes =
    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;

struct TlsContext::Loaded {
  std::unique_ptr<SSL_CTX, FreeSslContext> context;
  int64_t valid_until_s = 0;
};

struct TlsClientContext::Loaded {
  std::unique_ptr<SSL_CTX, FreeSslContext> context;
  bool is_insecure = false;
};

}  // namespace bobbin::net
