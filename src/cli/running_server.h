#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/serve_config.h"
#include "disk/persistence.h"
#include "net/address.h"

namespace bobbin::cli {

inline constexpr int kExitCannotStart = 1;
inline constexpr int kExitConfiguration = 2;
inline constexpr int kExitDamaged = 4;
inline constexpr int kExitNoResources = 5;

/// A server that listens, as `bobbin serve` sees it. Its threads are its own; all calls come from other ones.
class RunningServer {
 public:
  /// Ends at once what is still running.
  virtual ~RunningServer() = default;

  /// Where it listens, with the ports the kernel chose.
  [[nodiscard]] virtual std::vector<net::Address> addresses() const = 0;

  /// Where its HTTP server listens; nothing where there is none.
  [[nodiscard]] virtual std::vector<net::Address> http_addresses() const { return {}; }

  /// Where each of these speaks TLS.
  [[nodiscard]] virtual std::vector<net::Address> tls_addresses() const { return {}; }
  [[nodiscard]] virtual std::vector<net::Address> tls_http_addresses() const { return {}; }

  /// Who has not logged in may do nothing: there are users.
  [[nodiscard]] virtual bool wants_login() const { return false; }

  /// Reads certificates and keys again, for connections that come after this. With an error, which names the
  /// file, everything stays as it is.
  virtual base::Result<void, base::Error> reload_tls() { return {}; }
  [[nodiscard]] virtual bool has_tls() const { return false; }

  /// Stops accepting, answers what has arrived, closes. Blocks until that is done, at most the configured
  /// drain_timeout. Called once.
  virtual void drain() = 0;
  /// After drain(): brings to disk what is not there yet. An error: not all of it is there. Called once.
  virtual disk::Result<void> close() = 0;
  /// How far the documents have come into memory; nothing where none are on disk.
  [[nodiscard]] virtual std::optional<disk::WarmupProgress> warmup() const { return std::nullopt; }
};

/// Why a server did not start, and with which code the process ends for that.
struct StartError {
  std::string message;
  int exit_code = kExitCannotStart;
};

/// The end of a server process for trouble with its disk.
[[nodiscard]] int exit_code_of(disk::ErrorKind kind);

using StartServer =
    std::function<base::Result<std::unique_ptr<RunningServer>, StartError>(const ServeConfig& config)>;

/// Starts the real one: listens on listen_addresses(config) and returns when clients can connect. The error
/// names the address that cannot be used. `config.threads` is not 0. Called with SIGINT and SIGTERM blocked,
/// which the threads that are started inherit. With `files`, which are for tests, the shards lie in these.
base::Result<std::unique_ptr<RunningServer>, StartError> start_server(
    const ServeConfig& config, const std::shared_ptr<disk::Files>& files = nullptr);

}  // namespace bobbin::cli
