#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/sasl.h"
#include "wire/scram_keys.h"

namespace bobbin::wire {

/// The client's side of SCRAM (RFC 5802, section 5), in its three steps: first() is sent, answer() makes the
/// second message out of what came back, is_right() looks at the server's last word. Pure but for the time
/// that PBKDF2 takes: not for a loop.
class ScramClient {
 public:
  /// `nonce`: printable, without commas and spaces, never used before.
  ScramClient(Hash hash, std::string_view user, std::string password, std::string_view nonce);
  ~ScramClient() { wipe(password_); }
  ScramClient(const ScramClient&) = delete;
  ScramClient& operator=(const ScramClient&) = delete;

  /// A server that asks for more rounds of PBKDF2 keeps its client busy on purpose; one that asks for fewer
  /// wants to guess the password from the answer. Bobbin's users have at least as many.
  static constexpr uint32_t kMinIterations = 1'000;
  static constexpr uint32_t kMaxIterations = 1'000'000;

  [[nodiscard]] std::string first() const { return "n,," + bare_; }
  /// The last message for what the server said; malformed: that was nothing of SCRAM's, or not for this
  /// login.
  [[nodiscard]] base::Result<std::string, SaslError> answer(std::string_view server_first);
  /// The server knows the user's keys: it is the one that the password was set on. After answer().
  [[nodiscard]] bool is_right(std::string_view server_final) const;

 private:
  const Hash hash_;
  std::string password_;
  std::string nonce_;
  std::string bare_;              // first() without its header
  std::string server_signature_;  // as its last message has it
};

}  // namespace bobbin::wire
