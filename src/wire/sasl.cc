#include "wire/sasl.h"

#include "wire/utf8.h"

namespace bobbin::wire {

base::Result<SaslPlain, SaslError> parse_sasl_plain(std::string_view message) {
  if (message.size() > kMaxSaslMessageBytes || !is_utf8(message)) return base::fail(SaslError::malformed);
  const size_t user_at = message.find('\0');
  if (user_at == std::string_view::npos) return base::fail(SaslError::malformed);
  const std::string_view identity = message.substr(0, user_at);
  message.remove_prefix(user_at + 1);
  const size_t password_at = message.find('\0');
  if (password_at == std::string_view::npos) return base::fail(SaslError::malformed);
  const SaslPlain plain{message.substr(0, password_at), message.substr(password_at + 1)};
  if (plain.user.empty() || plain.password.empty() || plain.password.find('\0') != std::string_view::npos)
    return base::fail(SaslError::malformed);
  if (!identity.empty() && identity != plain.user) return base::fail(SaslError::other_identity);
  return plain;
}

}  // namespace bobbin::wire
