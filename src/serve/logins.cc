#include "serve/logins.h"

#include <utility>

#include "wire/base64.h"
#include "wire/sasl.h"

namespace bobbin::serve {
namespace {

LoginLimitsOptions with_key(LoginLimitsOptions limits) {
  if (limits.hash_key.empty()) limits.hash_key = wire::random_bytes(32);
  return limits;
}

/// Printable, without a comma, and never again.
std::string new_nonce() {
  constexpr size_t kNonceBytes = 18;
  std::string text(wire::base64_chars(kNonceBytes), '\0');
  text.resize(wire::encode_base64(wire::random_bytes(kNonceBytes), text.data()));
  return text;
}

std::string_view reason_of(wire::SaslError error) {
  switch (error) {
    case wire::SaslError::malformed:
      return "malformed message";
    case wire::SaslError::unsupported:
      return "channel binding or an extension was demanded";
    case wire::SaslError::other_identity:
      return "to act as another user was demanded";
    case wire::SaslError::refused:
      break;
  }
  return "unknown user or wrong password";
}

constexpr std::string_view kPlain = "PLAIN";

}  // namespace

Logins::Logins(Users& users, AuditLog& audit, const base::Clock& clock)
    : Logins(users, audit, clock, LoginLimitsOptions{}) {}

Logins::Logins(Users& users, AuditLog& audit, const base::Clock& clock, LoginLimitsOptions limits)
    : users_(users), audit_(audit), clock_(clock), limits_(with_key(std::move(limits))) {}

base::Result<void, LoginError> Logins::may_try(std::string_view user, std::string_view peer,
                                               std::string_view mechanism) {
  LoginLimits::Wait wait;
  {
    const base::MutexLock lock(mutex_);
    wait = limits_.wait(user, peer, clock_.now());
  }
  if (wait.ms == 0) return {};
  failed_.fetch_add(1, std::memory_order_relaxed);
  if (wait.is_first)
    audit_.login({user, peer, mechanism, false, "too many failures: not checked for a while"});
  return base::fail(LoginError{LoginError::Kind::too_often, wait.ms});
}

void Logins::note(bool succeeded, std::string_view user, std::string_view peer, std::string_view mechanism,
                  bool is_told) {
  {
    const base::MutexLock lock(mutex_);
    if (succeeded)
      limits_.succeeded(user, peer, clock_.now());
    else
      limits_.failed(user, peer, clock_.now());
  }
  (succeeded ? succeeded_ : failed_).fetch_add(1, std::memory_order_relaxed);
  if (is_told)
    audit_.login({user, peer, mechanism, succeeded, succeeded ? "" : reason_of(wire::SaslError::refused)});
}

LoginError Logins::malformed(wire::SaslError error, std::string_view peer, std::string_view mechanism) {
  failed_.fetch_add(1, std::memory_order_relaxed);
  bool is_told = false;
  {
    // Nobody is guessed that way, but the log could be filled.
    const base::MutexLock lock(mutex_);
    is_told = limits_.wait("", peer, clock_.now()).ms == 0;
    if (is_told) limits_.failed("", peer, clock_.now());
  }
  if (is_told) audit_.login({"", peer, mechanism, false, reason_of(error)});
  return {LoginError::Kind::malformed, 0};
}

base::Result<wire::ScramExchange, LoginError> Logins::begin_scram(wire::Hash hash, std::string_view message,
                                                                  std::string_view peer) {
  const std::string_view mechanism = wire::scram_mechanism(hash);
  auto first = wire::parse_scram_first(message);
  if (!first) return base::fail(malformed(first.error(), peer, mechanism));
  if (auto allowed = may_try(first->user, peer, mechanism); !allowed) return base::fail(allowed.error());
  LoginKeys login = users_.login_keys(hash, first->user);
  return wire::ScramExchange(hash, std::move(*first), std::move(login.keys), login.is_known, new_nonce());
}

base::Result<Logins::Scrammed, LoginError> Logins::finish_scram(wire::ScramExchange exchange,
                                                                std::string_view message,
                                                                std::string_view peer) {
  const std::string user = exchange.user();
  const std::string_view mechanism = wire::scram_mechanism(exchange.hash());
  // Again: many exchanges may have been begun before the first of them failed.
  if (auto allowed = may_try(user, peer, mechanism); !allowed) return base::fail(allowed.error());
  auto answer = std::move(exchange).finish(message);
  if (!answer && answer.error() != wire::SaslError::refused)
    return base::fail(malformed(answer.error(), peer, mechanism));
  note(answer.has_value(), user, peer, mechanism, true);
  if (!answer) return base::fail(LoginError{});
  return Scrammed{user, std::move(*answer)};
}

base::Result<std::string, LoginError> Logins::plain(std::string_view message, std::string_view peer) {
  const auto plain = wire::parse_sasl_plain(message);
  if (!plain) return base::fail(malformed(plain.error(), peer, kPlain));
  auto checked = password(plain->user, plain->password, peer, kPlain, true);
  if (!checked) return base::fail(checked.error());
  return std::string(plain->user);
}

std::optional<base::Result<std::string, LoginError>> Logins::plain_at_once(std::string_view message,
                                                                           std::string_view peer) {
  const auto plain = wire::parse_sasl_plain(message);
  if (plain && !users_.recognises(plain->user, plain->password)) {
    // Who comes too often is not to keep the others waiting.
    if (auto allowed = may_try(plain->user, peer, kPlain); !allowed) return base::fail(allowed.error());
    return std::nullopt;
  }
  return this->plain(message, peer);
}

bool Logins::certificate(std::string_view common_name, std::string_view peer, bool is_told) {
  if (common_name.empty() || users_.find(common_name) == nullptr) return false;
  succeeded_.fetch_add(1, std::memory_order_relaxed);
  if (is_told) audit_.login({common_name, peer, "certificate", true});
  return true;
}

base::Result<void, LoginError> Logins::password(std::string_view user, std::string_view password,
                                                std::string_view peer, std::string_view mechanism,
                                                bool is_told) {
  if (auto allowed = may_try(user, peer, mechanism); !allowed) return allowed;
  const bool is_right = users_.is_password(user, password);
  note(is_right, user, peer, mechanism, is_told || !is_right);
  if (!is_right) return base::fail(LoginError{});
  return {};
}

}  // namespace bobbin::serve
