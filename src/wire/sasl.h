#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace bobbin::wire {

/// Why a message of a login is not taken.
enum class SaslError : uint8_t {
  malformed,       ///< not what the mechanism's grammar allows
  unsupported,     ///< channel binding, or an extension that the client demands
  other_identity,  ///< to act as somebody else than who logs in
  refused,         ///< unknown user or wrong password: it is not told which
};

/// Longer messages are malformed. The official client's are below 400 bytes.
inline constexpr size_t kMaxSaslMessageBytes = 2048;

/// What SASL PLAIN says (RFC 4616); the views lie in the message.
struct SaslPlain {
  std::string_view user;
  std::string_view password;
};

/// authorization NUL user NUL password. The first may be empty or the user.
[[nodiscard]] base::Result<SaslPlain, SaslError> parse_sasl_plain(std::string_view message);

}  // namespace bobbin::wire
