#pragma once

// OpenSSL's types behind net/tls.h. For the tls*.cc files of this folder.

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>

#include "net/tls.h"

namespace bobbin::net {

struct FreeSslContext {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
struct FreeSsl {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};

struct TlsContext::Loaded {
  std::unique_ptr<SSL_CTX, FreeSslContext> context;
  int64_t valid_until_s = 0;
};

}  // namespace bobbin::net
