#include "net/tls_client.h"

#include <openssl/err.h>

#include <utility>

#include "net/tls_loaded.h"

namespace bobbin::net {

TlsClientContext::TlsClientContext(std::unique_ptr<Loaded> loaded) : loaded_(std::move(loaded)) {}
TlsClientContext::~TlsClientContext() = default;

base::Result<std::unique_ptr<TlsClientContext>, base::Error> TlsClientContext::load(const TlsTrust& trust) {
  ERR_clear_error();
  auto loaded = std::make_unique<Loaded>();
  loaded->is_insecure = trust.insecure;
  loaded->context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* const context = loaded->context.get();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
    return base::fail(base::Error{"cannot prepare TLS: " + tls_reason()});
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, kTlsModes);
  SSL_CTX_set_read_ahead(context, 1);
  if (trust.insecure) return std::unique_ptr<TlsClientContext>(new TlsClientContext(std::move(loaded)));
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  const bool is_there = trust.ca_file.empty() ? SSL_CTX_set_default_verify_paths(context) == 1
                                              : SSL_CTX_load_verify_file(context, trust.ca_file.c_str()) == 1;
  if (!is_there) {
    const std::string where = trust.ca_file.empty() ? "of this machine" : "in " + trust.ca_file;
    return base::fail(base::Error{"cannot use the certificate authorities " + where + ": " + tls_reason()});
  }
  return std::unique_ptr<TlsClientContext>(new TlsClientContext(std::move(loaded)));
}

}  // namespace bobbin::net
