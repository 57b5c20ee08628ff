#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "cli/serve_config.h"
#include "net/address.h"

namespace bobbin::cli {

/// A server that listens, as `bobbin serve` sees it. Its threads are its own; all calls come from other ones.
class RunningServer {
 public:
  /// Ends at once what is still running.
  virtual ~RunningServer() = default;

  /// Where it listens, with the ports the kernel chose.
  [[nodiscard]] virtual std::vector<net::Address> addresses() const = 0;

  /// Stops accepting, answers what has arrived, closes. Blocks until that is done, at most the configured
  /// drain_timeout. Called once.
  virtual void drain() = 0;
};

using StartServer =
    std::function<base::Result<std::unique_ptr<RunningServer>, base::Error>(const ServeConfig& config)>;

/// Starts the real one: listens on listen_addresses(config) and returns when clients can connect. The error
/// names the address that cannot be used. `config.threads` is not 0. Called with SIGINT and SIGTERM blocked,
/// which the threads that are started inherit.
base::Result<std::unique_ptr<RunningServer>, base::Error> start_server(const ServeConfig& config);

}  // namespace bobbin::cli
