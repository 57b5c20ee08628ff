#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "base/result.h"

namespace bobbin::net {

/// Whether who connects shows a certificate of its own. The values are positions in an option's choices.
enum class ClientCertificates : uint8_t {
  off,       ///< nobody is asked
  optional,  ///< who has one is asked for it; one that was not signed by client_ca ends the handshake
  required,  ///< without one there is no connection
};

enum class TlsVersion : uint8_t { v1_2, v1_3 };

/// Where a TlsContext comes from, files in PEM, and what it allows.
struct TlsFiles {
  std::string certificate;  ///< the server's, followed by those that signed it
  std::string key;
  std::string client_ca;  ///< who signs clients' certificates; looked at unless `clients` is off
  ClientCertificates clients = ClientCertificates::off;
  std::string password = {};  ///< of the key; empty: it has none
  TlsVersion min_version = TlsVersion::v1_2;
  /// In OpenSSL's words, and order: those with forward secrecy and authenticated encryption.
  std::string ciphers_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20";
  std::string ciphers_1_3 = {};  ///< the same; empty: all that OpenSSL takes
  bool chooses_cipher = true;    ///< this side, and not the client, of those that both know
};

/// What a TLS handshake has told of the peer. Constant.
struct TlsPeer {
  std::string protocol;       ///< "TLSv1.2", "TLSv1.3"
  bool is_certified = false;  ///< it has shown a certificate that was signed by client_ca
  /// Of that certificate's subject, in UTF-8; empty where there is none, or several.
  std::string common_name;
};

/// What the connections of TLS listeners have in common: certificate, key, and who is let in. TLS 1.2 and
/// 1.3, without renegotiation; sessions are not resumed, so that each handshake looks at certificates anew.
///
/// Any thread. Connections refer to it while their handshake goes on.
class TlsContext {
 public:
  /// An error names the file that is at fault.
  static base::Result<std::unique_ptr<TlsContext>, base::Error> load(TlsFiles files);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  /// Reads the files again, for handshakes that begin after this: all of them, or, with an error, none.
  /// Reads from the disk: not for a loop's thread.
  base::Result<void, base::Error> reload() EXCLUDES(changing_, mutex_);
  /// As reload(), of other files from now on.
  base::Result<void, base::Error> change(TlsFiles files) EXCLUDES(changing_, mutex_);

  [[nodiscard]] TlsFiles files() const EXCLUDES(mutex_);
  /// Until when the certificate in use is valid, in seconds since 1970.
  [[nodiscard]] int64_t valid_until_s() const EXCLUDES(mutex_);

 private:
  friend class TlsStream;
  struct Loaded;  ///< of OpenSSL
  TlsContext() = default;
  static base::Result<std::shared_ptr<Loaded>, base::Error> read(const TlsFiles& files);
  [[nodiscard]] std::shared_ptr<Loaded> loaded() const EXCLUDES(mutex_);

  base::Result<void, base::Error> change_now(TlsFiles files) REQUIRES(changing_) EXCLUDES(mutex_);

  base::Mutex changing_;  // while files are read: what one has changed, no other takes back. Before mutex_
  mutable base::Mutex mutex_;
  TlsFiles files_ GUARDED_BY(mutex_);
  std::shared_ptr<Loaded> loaded_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::net
