#include "net/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/inquiring_read.h"
#include "net/loop.h"

namespace bobbin::net {
namespace {

constexpr size_t kRecordBytes = SSL3_RT_MAX_PLAIN_LENGTH;

struct FreeBioMethod {
  void operator()(BIO_METHOD* method) const noexcept { BIO_meth_free(method); }
};

/// Empty: there is none, or more than one, or one that is no text.
std::string common_name_of(const X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return {};
  unsigned char* text = nullptr;
  const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (size < 0) return {};
  std::string name(reinterpret_cast<const char*>(text), static_cast<size_t>(size));
  OPENSSL_free(text);
  // A name that ends for one reader where it goes on for another is nobody's.
  return name.find('\0') == std::string::npos ? name : std::string();
}

}  // namespace

/// OpenSSL's view of the stream: reads what was fed and what the socket has, writes to sealed_.
struct TlsStream::Bio {
  static TlsStream& of(BIO* bio) { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* data, int size) {
    BIO_clear_retry_flags(bio);
    const int n = of(bio).receive(data, static_cast<size_t>(std::max(size, 0)));
    if (n == 0) {
      BIO_set_retry_read(bio);
      return -1;
    }
    return n;
  }

  static int write(BIO* bio, const char* data, int size) {
    BIO_clear_retry_flags(bio);
    return of(bio).append_sealed({data, static_cast<size_t>(std::max(size, 0))}) ? size : -1;
  }

  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static BIO* make(TlsStream& stream) {
    static const std::unique_ptr<BIO_METHOD, FreeBioMethod> method = [] {
      std::unique_ptr<BIO_METHOD, FreeBioMethod> made(
          BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "bobbin connection"));
      BIO_meth_set_read(made.get(), &read);
      BIO_meth_set_write(made.get(), &write);
      BIO_meth_set_ctrl(made.get(), &control);
      return made;
    }();
    BIO* const bio = BIO_new(method.get());
    if (bio == nullptr) return nullptr;
    BIO_set_data(bio, &stream);
    BIO_set_init(bio, 1);
    return bio;
  }
};

TlsStream::TlsStream(const TlsContext& context, Loop& loop, int descriptor, int64_t now_ms,
                     std::unique_ptr<Receiver> receiver)
    : server_(&context),
      loop_(loop),
      descriptor_(descriptor),
      began_ms_(now_ms),
      receiver_(std::move(receiver)) {}

TlsStream::TlsStream(const TlsClientContext& context, TlsDial dial, Loop& loop, int descriptor,
                     int64_t now_ms, std::unique_ptr<Receiver> receiver)
    : client_(&context),
      dial_(std::move(dial)),
      loop_(loop),
      descriptor_(descriptor),
      began_ms_(now_ms),
      receiver_(std::move(receiver)) {}

TlsStream::~TlsStream() {
  drop_sealed();
}

// --- what arrives ---

void TlsStream::feed(std::span<const char> encrypted, bool exhausted) noexcept {
  assert(fed_.empty());
  fed_ = encrypted;
  exhausted_ = exhausted;
  hungry_ = false;
}

/// 0: nothing now; negative: nothing any more.
int TlsStream::receive(char* data, size_t size) {
  if (hello_taken_ < hello_size_) {
    const size_t n = std::min<size_t>(size, hello_size_ - hello_taken_);
    std::memcpy(data, hello_.data() + hello_taken_, n);
    hello_taken_ += static_cast<uint8_t>(n);
    return static_cast<int>(n);
  }
  if (!fed_.empty()) {
    const size_t n = std::min(size, fed_.size());
    std::memcpy(data, fed_.data(), n);
    fed_ = fed_.subspan(n);
    return static_cast<int>(n);
  }
  // After the end of the socket the stream stays whole: what has been asked can still be answered.
  if (exhausted_ || allowed_ == 0 || ended_) return 0;
  ReadResult result{};
  do {
    result = read_and_inquire(descriptor_, data, std::min(size, allowed_));
  } while (result.n < 0 && errno == EINTR);
  if (result.n > 0) {
    exhausted_ = result.exhausted;
    allowed_ -= static_cast<size_t>(result.n);
    loop_.counters_.bytes_read.add(static_cast<uint64_t>(result.n));
    return static_cast<int>(result.n);
  }
  exhausted_ = true;
  if (result.n == 0) {
    ended_ = true;
    return 0;
  }
  return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
}

size_t TlsStream::read(std::span<char> target) {
  size_t total = 0;
  while (total < target.size() && !broken_) {
    ERR_clear_error();
    size_t n = 0;
    const int result = SSL_read_ex(ssl_.get(), target.data() + total, target.size() - total, &n);
    if (result != 1) {
      note_trouble(result);
      break;
    }
    total += n;
  }
  return total;
}

void TlsStream::note_trouble(int result) {
  const int error = SSL_get_error(ssl_.get(), result);
  hungry_ = true;
  if (error == SSL_ERROR_WANT_READ) return;
  if (error == SSL_ERROR_ZERO_RETURN)
    ended_ = true;
  else
    broken_ = true;
  if (is_client() && SSL_in_init(ssl_.get()) != 0) {
    const long judged = SSL_get_verify_result(ssl_.get());
    if (judged != X509_V_OK)
      refusal_ = X509_verify_cert_error_string(judged);
    else if (const unsigned long code = ERR_peek_error(); code != 0)
      refusal_ = ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER ? "the server speaks no TLS there"
                                                                    : tls_reason();
  }
  ERR_clear_error();
}

// --- the handshake ---

// A client that speaks something else is refused by its first byte, and a hello that is too long by its head.
bool TlsStream::is_begun_right() const noexcept {
  const auto byte = [this](size_t i) { return static_cast<uint8_t>(hello_[i]); };
  constexpr uint8_t kHandshakeRecord = 22;
  constexpr uint8_t kMajorVersion = 3;
  constexpr uint8_t kClientHello = 1;
  if (hello_size_ > 0 && byte(0) != kHandshakeRecord) return false;
  if (hello_size_ > 1 && byte(1) != kMajorVersion) return false;
  if (hello_size_ > 5 && byte(5) != kClientHello) return false;
  if (hello_size_ < hello_.size()) return true;
  const size_t record = size_t{byte(3)} << 8U | byte(4);
  const size_t message = size_t{byte(6)} << 16U | size_t{byte(7)} << 8U | byte(8);
  return record >= 4 && record <= kRecordBytes && message <= kMaxHelloBytes;
}

/// Whether all of hello_ is there; otherwise hungry_ or broken_.
bool TlsStream::take_hello() {
  while (hello_size_ < hello_.size()) {
    const int n = receive(hello_.data() + hello_size_, hello_.size() - hello_size_);
    if (n <= 0) {
      hungry_ = true;
      broken_ = broken_ || n < 0;
      break;
    }
    hello_size_ += static_cast<uint8_t>(n);
    // receive() must not take them for bytes to be handed out yet.
    hello_taken_ = hello_size_;
    if (is_begun_right()) continue;
    broken_ = true;
    break;
  }
  return hello_size_ == hello_.size() && !broken_;
}

void TlsStream::begin() {
  hello_taken_ = 0;
  const auto loaded = is_client() ? nullptr : server_->loaded();
  ssl_.reset(SSL_new(is_client() ? client_->loaded_->context.get() : loaded->context.get()));
  BIO* const bio = ssl_ == nullptr ? nullptr : Bio::make(*this);
  if (bio == nullptr) {
    broken_ = true;
    return;
  }
  SSL_set_bio(ssl_.get(), bio, bio);
  if (!is_client()) return SSL_set_accept_state(ssl_.get());
  SSL_set_connect_state(ssl_.get());
  broken_ = !set_wanted_host();
}

/// Without a host that the certificate must name, a trusted one of anybody's would do.
bool TlsStream::set_wanted_host() {
  const char* const host = dial_.host.c_str();
  // An address is never told to the server, only compared.
  const bool is_address = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), host) == 1;
  ERR_clear_error();
  if (is_address || client_->loaded_->is_insecure) {
    if (!is_address && !dial_.host.empty()) SSL_set_tlsext_host_name(ssl_.get(), host);
    return true;
  }
  return SSL_set_tlsext_host_name(ssl_.get(), host) == 1 && SSL_set1_host(ssl_.get(), host) == 1;
}

void TlsStream::tell_dialler() {
  if (receiver_ == nullptr || dial_.failed == nullptr) return;
  const std::string why = refusal_.empty() ? "the server has ended the connection" : refusal_;
  std::exchange(dial_.failed, nullptr)({"no TLS handshake: " + why});
}

TlsStream::Handshake TlsStream::shake_hands() {
  if (broken_) return Handshake::failed;
  if (ssl_ == nullptr) {
    if (!is_client() && !take_hello()) return broken_ || ended_ ? Handshake::failed : Handshake::waiting;
    begin();
    if (broken_) return Handshake::failed;
  }
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    learn_peer();
    return Handshake::done;
  }
  note_trouble(result);
  return broken_ || ended_ ? Handshake::failed : Handshake::waiting;
}

void TlsStream::learn_peer() {
  peer_.protocol = SSL_get_version(ssl_.get());
  const X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  peer_.is_certified = certificate != nullptr && SSL_get_verify_result(ssl_.get()) == X509_V_OK;
  if (peer_.is_certified) peer_.common_name = common_name_of(certificate);
}

// --- what goes out ---

size_t TlsStream::seal(Output& plain, size_t max_bytes) {
  char together[kRecordBytes];
  size_t total = 0;
  while (!plain.empty() && total < max_bytes && !broken_) {
    std::array<std::span<const char>, 64> runs;
    const size_t count = plain.gather(runs, std::min(kRecordBytes, max_bytes - total));
    std::span<const char> record = runs[0];
    if (count > 1) {
      size_t size = 0;
      for (size_t i = 0; i < count; ++i) {
        std::memcpy(together + size, runs[i].data(), runs[i].size());
        size += runs[i].size();
      }
      record = {together, size};
    }
    ERR_clear_error();
    size_t n = 0;
    if (SSL_write_ex(ssl_.get(), record.data(), record.size(), &n) != 1) {
      broken_ = true;
      break;
    }
    plain.consume(n);
    total += n;
  }
  return total;
}

void TlsStream::seal_end() {
  if (end_sealed_ || broken_ || ssl_ == nullptr || SSL_in_init(ssl_.get()) != 0) return;
  end_sealed_ = true;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

bool TlsStream::append_sealed(std::span<const char> bytes) {
  if (sealed_ == nullptr) sealed_ = loop_.lend_output();
  if (sealed_->size() + bytes.size() > kMaxSealedBytes) return false;
  sealed_->append(std::string_view(bytes.data(), bytes.size()));
  return true;
}

void TlsStream::sent(size_t n) {
  sealed_->consume(n);
  if (sealed_->empty()) drop_sealed();
}

void TlsStream::keep_sealed() {
  if (sealed_ == nullptr) return;
  auto kept = Output::take_and_shrink(*sealed_);
  loop_.take_back_output(std::move(sealed_));
  sealed_ = std::move(kept);
}

void TlsStream::drop_sealed() {
  if (sealed_ != nullptr) loop_.take_back_output(std::move(sealed_));
}

}  // namespace bobbin::net
