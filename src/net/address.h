#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bobbin::net {

/// Where to listen or connect: "127.0.0.1:11211", "[::1]:11211", "localhost:11211", or "unix:/path" (a text
/// that begins with "/" is a path as well).
struct Address {
  std::string host;       ///< empty for a Unix socket
  uint16_t port = 0;      ///< 0 when listening: the kernel chooses
  std::string unix_path;  ///< empty for TCP; at most 107 bytes

  [[nodiscard]] bool is_unix() const noexcept { return !unix_path.empty(); }
  [[nodiscard]] std::string text() const;

  /// `default_port` is used where the text names none.
  static base::Result<Address, base::Error> parse(std::string_view text, uint16_t default_port);
};

/// Which addresses of a name are meant.
enum class AddressFamily : uint8_t { any, v4, v6 };

/// True if every address that `host` stands for is one that only this machine can reach. Resolves names.
bool is_loopback(const Address& address);

}  // namespace bobbin::net
