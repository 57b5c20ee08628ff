#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509err.h>

#include <cstring>
#include <ctime>
#include <filesystem>
#include <utility>

#include "net/tls_loaded.h"

namespace bobbin::net {
namespace {

// A chain of certificates that a client may show.
constexpr long kMaxClientChainBytes = 32 << 10;
constexpr uintmax_t kMaxFileBytes = 1 << 20;

auto failed(const std::string& what, const std::string& file) {
  return base::fail(base::Error{what + " " + file + ": " + tls_reason()});
}

// Without this OpenSSL would ask for it on the terminal.
int give_password(char* out, int size, int, void* password) {
  const auto& text = *static_cast<const std::string*>(password);
  if (text.empty() || text.size() > static_cast<size_t>(size)) return -1;
  text.copy(out, text.size());
  return static_cast<int>(text.size());
}

bool allow(SSL_CTX* context, const TlsFiles& files) {
  const int version = files.min_version == TlsVersion::v1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
  return SSL_CTX_set_min_proto_version(context, version) == 1 &&
         SSL_CTX_set_cipher_list(context, files.ciphers_1_2.c_str()) == 1 &&
         (files.ciphers_1_3.empty() || SSL_CTX_set_ciphersuites(context, files.ciphers_1_3.c_str()) == 1);
}

int64_t end_of(const X509* certificate) {
  std::tm end{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1) return 0;
  return timegm(&end);
}

// What OpenSSL would wait for, or read for ever.
base::Result<void, base::Error> check_files(const TlsFiles& files) {
  for (const std::string* const path : {&files.certificate, &files.key, &files.client_ca}) {
    std::error_code error;
    const auto status = std::filesystem::status(*path, error);
    if (path->empty() || error || !std::filesystem::exists(status))
      continue;  // OpenSSL has the words for that
    if (!std::filesystem::is_regular_file(status) ||
        std::filesystem::file_size(*path, error) > kMaxFileBytes || error)
      return base::fail(base::Error{*path + ": is no file of at most 1 MiB"});
  }
  return {};
}

base::Result<void, base::Error> load_own(SSL_CTX* context, const TlsFiles& files) {
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1)
    return failed("cannot use the certificate in", files.certificate);
  if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) == 1) return {};
  const unsigned long code = ERR_peek_error();
  const bool is_another =
      ERR_GET_LIB(code) == ERR_LIB_X509 && ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH;
  return failed(is_another ? "the key of another certificate than " + files.certificate + " is in"
                           : std::string("cannot use the key in"),
                files.key);
}

base::Result<void, base::Error> load_client_ca(SSL_CTX* context, const TlsFiles& files) {
  if (files.clients == ClientCertificates::off) return {};
  if (SSL_CTX_load_verify_file(context, files.client_ca.c_str()) != 1)
    return failed("cannot use the clients' certificate authority in", files.client_ca);
  auto* names = SSL_load_client_CA_file(files.client_ca.c_str());
  if (names == nullptr) return failed("cannot use the clients' certificate authority in", files.client_ca);
  SSL_CTX_set_client_CA_list(context, names);
  const bool required = files.clients == ClientCertificates::required;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  return {};
}

}  // namespace

// Those after the first follow from it.
std::string tls_reason() {
  const unsigned long code = ERR_peek_error();
  ERR_clear_error();
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(static_cast<int>(ERR_GET_REASON(code)));
  const char* words = ERR_reason_error_string(code);
  return words == nullptr ? "unknown error" : words;
}

TlsContext::~TlsContext() = default;

base::Result<std::shared_ptr<TlsContext::Loaded>, base::Error> TlsContext::read(const TlsFiles& files) {
  ERR_clear_error();
  auto loaded = std::make_shared<Loaded>();
  loaded->context.reset(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* const context = loaded->context.get();
  if (context == nullptr || !allow(context, files))
    return failed("cannot prepare TLS for", files.certificate);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
  if (files.chooses_cipher) SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, kTlsModes);
  // One system call for a record, not one for its head as well.
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_max_cert_list(context, kMaxClientChainBytes);
  SSL_CTX_set_default_passwd_cb(context, &give_password);
  std::string password = files.password;
  SSL_CTX_set_default_passwd_cb_userdata(context, &password);
  if (auto sound = check_files(files); !sound) return base::fail(std::move(sound.error()));
  auto own = load_own(context, files);
  SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  if (!own) return base::fail(std::move(own.error()));
  if (auto others = load_client_ca(context, files); !others) return base::fail(std::move(others.error()));
  loaded->valid_until_s = end_of(SSL_CTX_get0_certificate(context));
  return loaded;
}

base::Result<std::unique_ptr<TlsContext>, base::Error> TlsContext::load(TlsFiles files) {
  std::unique_ptr<TlsContext> context(new TlsContext());
  if (auto loaded = context->change(std::move(files)); !loaded) return base::fail(std::move(loaded.error()));
  return context;
}

base::Result<void, base::Error> TlsContext::reload() {
  const base::MutexLock one_at_a_time(changing_);
  return change_now(files());
}

base::Result<void, base::Error> TlsContext::change(TlsFiles files) {
  const base::MutexLock one_at_a_time(changing_);
  return change_now(std::move(files));
}

base::Result<void, base::Error> TlsContext::change_now(TlsFiles files) {
  auto loaded = read(files);
  if (!loaded) return base::fail(std::move(loaded.error()));
  const base::MutexLock lock(mutex_);
  loaded_ = std::move(*loaded);
  files_ = std::move(files);
  return {};
}

TlsFiles TlsContext::files() const {
  const base::MutexLock lock(mutex_);
  return files_;
}

std::shared_ptr<TlsContext::Loaded> TlsContext::loaded() const {
  const base::MutexLock lock(mutex_);
  return loaded_;
}

int64_t TlsContext::valid_until_s() const {
  return loaded()->valid_until_s;
}

}  // namespace bobbin::net
