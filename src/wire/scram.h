#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/sasl.h"
#include "wire/scram_keys.h"

namespace bobbin::wire {

/// The server's side of SCRAM (RFC 5802, section 5), in its two steps:
///
///   parse_scram_first(client-first)   who wants to log in; the caller looks up the keys
///   ScramExchange{...}.server_first() the answer
///   exchange.finish(client-final)     the last answer, or a refusal
///
/// No I/O, no clock, no randomness of its own. Stricter than the RFC nowhere, laxer in one place: a nonce may
/// contain spaces, because the official Couchbase client's does.

/// What the client's first message says; owns its text.
struct ScramFirst {
  std::string user;
  std::string gs2_header;  ///< up to and with the second comma
  std::string bare;        ///< what is behind it
  std::string nonce;
};

[[nodiscard]] base::Result<ScramFirst, SaslError> parse_scram_first(std::string_view message);

/// A login that has begun. Not copied, so that one challenge is answered once.
class ScramExchange {
 public:
  /// `keys` are the user's; of a user that does not exist (`is_known` false) they are made up, and the
  /// exchange takes the same steps and is refused at its end. `server_nonce`: printable, without commas, and
  /// never used before.
  ScramExchange(Hash hash, ScramFirst first, ScramKeys keys, bool is_known, std::string_view server_nonce);
  ScramExchange(ScramExchange&&) = default;
  ScramExchange& operator=(ScramExchange&&) = default;
  ScramExchange(const ScramExchange&) = delete;
  ScramExchange& operator=(const ScramExchange&) = delete;

  [[nodiscard]] Hash hash() const noexcept { return hash_; }
  [[nodiscard]] const std::string& user() const noexcept { return first_.user; }
  [[nodiscard]] const std::string& server_first() const noexcept { return server_first_; }

  /// The server's last message, which proves to the client that the server knows the keys: the user is who it
  /// says. Otherwise the login has failed. Called once.
  [[nodiscard]] base::Result<std::string, SaslError> finish(std::string_view client_final) &&;

 private:
  Hash hash_;
  ScramFirst first_;
  ScramKeys keys_;
  bool is_known_;
  std::string nonce_;  ///< the client's and the server's
  std::string server_first_;
};

}  // namespace bobbin::wire
