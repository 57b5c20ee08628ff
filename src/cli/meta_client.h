#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "net/blocking_stream.h"

namespace bobbin::cli {

inline constexpr size_t kMaxKeyBytes = 250;

/// How `bobbin set` stores, with the letter that the meta protocol has for it.
enum class MetaMode : char { set = 'S', add = 'E', replace = 'R', append = 'A', prepend = 'P' };

struct MetaSet {
  MetaMode mode = MetaMode::set;
  uint32_t client_flags = 0;
  uint64_t expiry = 0;  ///< as the protocol counts: 0 never, up to 30 days relative, above that Unix time
};

/// A connection that speaks memcached's meta protocol (memcached's doc/protocol.txt, "Meta Commands") and the
/// two text commands that have no meta form, stats and watch. Waits for every answer; one thread at a time.
///
/// Errors are for a person: no connection, or what the server answered.
class MetaClient {
 public:
  static base::Result<MetaClient, base::Error> connect(const net::Address& address,
                                                       std::chrono::milliseconds timeout);

  /// Keys are 1 to kMaxKeyBytes bytes of any kind.
  base::Result<std::vector<std::optional<std::string>>, base::Error> get(
      const std::vector<std::string>& keys);
  /// False if the mode's condition was not met.
  base::Result<bool, base::Error> set(const std::string& key, std::string_view value, const MetaSet& how);
  /// For each key whether it was there.
  base::Result<std::vector<bool>, base::Error> remove(const std::vector<std::string>& keys);

  /// Names and values in the server's order; empty also for an action such as "reset".
  base::Result<std::vector<std::pair<std::string, std::string>>, base::Error> stats(const std::string& group);

  /// After this only next_event() may be called.
  base::Result<void, base::Error> watch(const std::vector<std::string>& groups);
  /// Waits for as long as it takes.
  base::Result<std::string, base::Error> next_event();
  [[nodiscard]] bool has_event() const { return stream_.has_line(); }

 private:
  explicit MetaClient(net::BlockingStream stream) : stream_(std::move(stream)) {}
  base::Result<std::optional<std::string>, base::Error> read_value();
  base::Error unexpected(const std::string& reply) const;

  net::BlockingStream stream_;
};

/// Empty if the key can be sent, otherwise why not.
std::string key_problem(std::string_view key);

/// The key as the meta protocol takes it, with the flag that goes behind it: "hello" and "", or base64 and
/// " b" for keys with spaces or control characters.
struct WireKey {
  std::string text;
  std::string_view flag;
};
WireKey wire_key(std::string_view key);

}  // namespace bobbin::cli
