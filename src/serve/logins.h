#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "serve/audit.h"
#include "serve/login_limits.h"
#include "serve/users.h"
#include "wire/scram.h"

namespace bobbin::serve {

/// Why somebody is not let in.
struct LoginError {
  enum class Kind : uint8_t {
    malformed,  ///< no login at all: what was sent is not what the mechanism allows
    refused,    ///< unknown user or wrong password: it is not told which
    too_often,  ///< not checked: not before `wait_ms` have passed
  };
  Kind kind = Kind::refused;
  uint64_t wait_ms = 0;
};

/// Who comes in: the one place where every protocol's logins are checked, limited and written down. Any
/// thread.
///
/// SCRAM costs a few microseconds and may be done on a loop. A password in clear (SASL PLAIN, HTTP's basic)
/// costs the iterations of PBKDF2, unless it was right a moment ago: see Users::is_password.
class Logins {
 public:
  /// All three outlive it.
  Logins(Users& users, AuditLog& audit, const base::Clock& clock);
  Logins(Users& users, AuditLog& audit, const base::Clock& clock, LoginLimitsOptions limits);

  /// The client's first message of SCRAM; server_first() of the result is the answer. `peer` is
  /// net::ConnectionStatus::peer.
  [[nodiscard]] base::Result<wire::ScramExchange, LoginError> begin_scram(wire::Hash hash,
                                                                          std::string_view message,
                                                                          std::string_view peer);
  /// The client's last message. Whoever gets a result has logged in as `user`; `answer` is the last message.
  struct Scrammed {
    std::string user;
    std::string answer;
  };
  [[nodiscard]] base::Result<Scrammed, LoginError> finish_scram(wire::ScramExchange exchange,
                                                                std::string_view message,
                                                                std::string_view peer);
  /// SASL PLAIN's message. The result is the user.
  [[nodiscard]] base::Result<std::string, LoginError> plain(std::string_view message, std::string_view peer);
  /// What plain() says, where that can be said on a loop; nothing: it takes milliseconds to find out.
  [[nodiscard]] std::optional<base::Result<std::string, LoginError>> plain_at_once(std::string_view message,
                                                                                   std::string_view peer);
  /// A name and a password from elsewhere; `mechanism` is for the audit log. A success is written down only
  /// with `is_told`: HTTP sends the password with each request.
  [[nodiscard]] base::Result<void, LoginError> password(std::string_view user, std::string_view password,
                                                        std::string_view peer, std::string_view mechanism,
                                                        bool is_told);

  /// A certificate that the TLS handshake has found right, of this common name: whether that is a user, who
  /// has logged in by this.
  [[nodiscard]] bool certificate(std::string_view common_name, std::string_view peer, bool is_told);

  // Since the start.
  [[nodiscard]] uint64_t succeeded() const noexcept { return succeeded_.load(std::memory_order_relaxed); }
  /// With those that came too often.
  [[nodiscard]] uint64_t failed() const noexcept { return failed_.load(std::memory_order_relaxed); }

 private:
  [[nodiscard]] base::Result<void, LoginError> may_try(std::string_view user, std::string_view peer,
                                                       std::string_view mechanism) EXCLUDES(mutex_);
  void note(bool succeeded, std::string_view user, std::string_view peer, std::string_view mechanism,
            bool is_told) EXCLUDES(mutex_);
  LoginError malformed(wire::SaslError error, std::string_view peer, std::string_view mechanism);

  Users& users_;
  AuditLog& audit_;
  const base::Clock& clock_;
  std::atomic<uint64_t> succeeded_{0};
  std::atomic<uint64_t> failed_{0};
  base::Mutex mutex_;
  LoginLimits limits_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::serve
