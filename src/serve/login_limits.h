#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace bobbin::serve {

/// What failed logins cost. Each is remembered until it has leaked away.
struct LoginLimit {
  uint32_t free_failures;  ///< so many at once cost nothing
  uint64_t max_wait_ms;    ///< beyond these: 1 s, 2 s, 4 s …, up to this
  uint64_t leak_ms;        ///< after so long one failure is forgotten
};

struct LoginLimitsOptions {
  /// From one address, whoever it says it is.
  LoginLimit peer{20, 60'000, 60'000};
  /// As one user, from wherever: many addresses can share the work of guessing.
  LoginLimit user{10, 10'000, 60'000};
  /// Instead of both, for a user from where that user has logged in before: so that nobody locks out an
  /// application by failing in its name, or beside it behind one address.
  LoginLimit acquainted{20, 60'000, 60'000};
  uint64_t acquaintance_ms = 24ULL * 3600 * 1000;
  /// Users and addresses that are remembered; 40 bytes each. When there are more, the least guilty are
  /// forgotten.
  uint32_t entries = 8192;
  /// Not known outside: who could choose what collides could make us forget.
  std::string hash_key;
};

/// How often a login may be tried. Pure: no clock, no lock, no waiting; one thread at a time.
class LoginLimits {
 public:
  explicit LoginLimits(LoginLimitsOptions options);

  struct Wait {
    uint64_t ms = 0;        ///< 0: the login may be checked now. Otherwise it must not be: not before then.
    bool is_first = false;  ///< of this wait: whoever keeps a log writes it down once
  };
  /// Before a login is checked.
  [[nodiscard]] Wait wait(std::string_view user, std::string_view peer, base::Now now);
  /// It was checked and was wrong; also for users that do not exist.
  void failed(std::string_view user, std::string_view peer, base::Now now);
  /// It was right. Failures are not forgotten for that: who has an account could otherwise guess for others.
  void succeeded(std::string_view user, std::string_view peer, base::Now now);

 private:
  struct Entry {
    uint64_t key = 0;           ///< 0: free
    uint64_t failed_ms = 0;     ///< the last failure
    uint64_t succeeded_ms = 0;  ///< the last success, where it is an acquaintance; 0 otherwise
    uint32_t failures = 0;      ///< at failed_ms
    bool was_told = false;
  };
  /// What a login is limited by: the acquaintance, or the peer and the user.
  struct Keys {
    uint64_t peer;
    uint64_t user;
    uint64_t both;
  };

  [[nodiscard]] Keys keys_of(std::string_view user, std::string_view peer) const;
  [[nodiscard]] Entry* find(uint64_t key);
  [[nodiscard]] Entry& make(uint64_t key, uint64_t now_ms);
  [[nodiscard]] Entry* acquaintance(uint64_t key, uint64_t now_ms);
  static void count(Entry& entry, const LoginLimit& limit, uint64_t now_ms);

  LoginLimitsOptions options_;
  std::vector<Entry> entries_;
};

/// Whose failures count together: the address of a peer as net::ConnectionStatus writes it, without the port,
/// and of IPv6 the network of 64 bits, which one machine can have all of.
[[nodiscard]] std::string peer_group(std::string_view peer);

}  // namespace bobbin::serve
