#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "net/address.h"
#include "net/limits.h"

namespace bobbin::cli {

/// Everything that `bobbin serve` can be told. The initial values are the defaults: help and documentation
/// read them from here. Each field has a row in the table of options.cc that says how it is written.
struct ServeConfig {
  /// Hosts, "host:port", "[v6]:port" or "unix:/path"; the single word "none" stands for no TCP at all.
  std::vector<std::string> listen = {"127.0.0.1", "::1"};
  uint16_t port = 11211;  ///< for every entry of `listen` that names none; 0: the kernel chooses
  std::string unix_socket;
  uint32_t unix_mode = 0700;
  bool force_public = false;

  size_t memory_bytes = size_t{64} << 20;
  size_t max_item_bytes = size_t{1} << 20;
  bool disable_evictions = false;

  size_t threads = 0;  ///< 0: one per core
  net::Limits limits;

  base::LogLevel log_level = base::LogLevel::info;
  std::string pid_file;
};

/// `listen` with its ports, then the Unix socket. Empty when there is nothing to listen on. An error names
/// the entry that is no address.
base::Result<std::vector<net::Address>, base::Error> listen_addresses(const ServeConfig& config);

}  // namespace bobbin::cli
