#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/address.h"
#include "net/tls.h"
#include "wire/binary_status.h"

namespace bobbin::serve {

// The JSON of IFCONFIG (kv_engine docs/NetworkInterface.md). Pure.

/// Why it is not done, for the client.
struct InterfaceRefusal {
  wire::BinaryStatus status;
  std::string why;
};

/// A listener that is asked for.
struct NewInterface {
  net::Address address;
  net::AddressFamily family = net::AddressFamily::v4;
  bool speaks_tls = false;
  std::string tag = {};
};

/// {"host":…,"port":…,"family":"inet[6]","tls":…,"system":…,"tag":…,"type":"mcbp"}
[[nodiscard]] base::Result<NewInterface, InterfaceRefusal> read_interface(std::string_view json);

/// {"private key":…,"certificate chain":…,"CA file":…,"password":…,"minimum version":…,"cipher list":…,
/// "cipher order":…,"client cert auth":…}
[[nodiscard]] base::Result<net::TlsFiles, InterfaceRefusal> read_tls_settings(std::string_view json);
/// The same, but of the password only whether there is one.
[[nodiscard]] std::string tls_settings_text(const net::TlsFiles& files);

}  // namespace bobbin::serve
