#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace bobbin::net {

/// Which servers a client takes for those it has dialled.
struct TlsTrust {
  std::string ca_file;    ///< who may sign servers' certificates, in PEM; empty: whom this machine trusts
  bool insecure = false;  ///< any certificate will do, and any name; `ca_file` is not looked at
};

/// What the connections that a program dials with TLS have in common: TLS 1.2 and 1.3, whom they trust. A
/// certificate has to name the host that was dialled. Sessions are not resumed.
///
/// Constant, for any thread. Connections refer to it while their handshake goes on.
class TlsClientContext {
 public:
  /// Reads the file, so not for a loop's thread. An error names it.
  static base::Result<std::unique_ptr<TlsClientContext>, base::Error> load(const TlsTrust& trust);
  ~TlsClientContext();
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

 private:
  friend class TlsStream;
  struct Loaded;  ///< of OpenSSL
  explicit TlsClientContext(std::unique_ptr<Loaded> loaded);

  const std::unique_ptr<Loaded> loaded_;
};

}  // namespace bobbin::net
