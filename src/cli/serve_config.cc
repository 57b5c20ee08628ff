#include "cli/serve_config.h"

#include <algorithm>
#include <string_view>

namespace bobbin::cli {

size_t disk_memory(const ServeConfig& config) {
  if (config.disk_memory_bytes != 0) return config.disk_memory_bytes;
  // Most of the memory is better used by documents: what RocksDB caches, it has to decode again.
  constexpr size_t kMost = size_t{128} << 20;
  constexpr size_t kLeast = size_t{8} << 20;
  return std::clamp(config.memory_bytes / 8, kLeast, kMost);
}

base::Result<std::vector<net::Address>, base::Error> listen_addresses(const ServeConfig& config) {
  std::vector<net::Address> addresses;
  const bool no_tcp = config.listen.size() == 1 && config.listen.front() == "none";
  if (!no_tcp) {
    for (const std::string& text : config.listen) {
      auto address = net::Address::parse(text, config.port);
      if (!address) return base::fail(std::move(address.error()));
      addresses.push_back(std::move(*address));
    }
    for (const std::string& text : config.listen) {
      auto address = net::Address::parse(text, config.mcbp_port);
      if (config.mcbp_port == 0 || !address || address->is_unix() || address->port != config.mcbp_port)
        continue;
      const auto same = [&](const net::Address& other) { return other.text() == address->text(); };
      if (std::none_of(addresses.begin(), addresses.end(), same)) addresses.push_back(std::move(*address));
    }
  }
  if (!config.unix_socket.empty()) {
    auto address = net::Address::parse("unix:" + config.unix_socket, 0);
    if (!address) return base::fail(std::move(address.error()));
    addresses.push_back(std::move(*address));
  }
  return addresses;
}

namespace {

/// Every host of `listen`, once, with this port; 0 stands for none.
base::Result<std::vector<net::Address>, base::Error> hosts_at(const ServeConfig& config, uint16_t port) {
  std::vector<net::Address> addresses;
  if (port == 0) return addresses;
  for (const std::string& text : config.listen) {
    auto address = text == "none" ? net::Address{} : net::Address::parse(text, 0);
    if (!address) return base::fail(std::move(address.error()));
    if (address->host.empty()) continue;
    // Hosts that are listened on at two ports are one here.
    address->port = port;
    const auto same = [&](const net::Address& other) { return other.text() == address->text(); };
    if (std::none_of(addresses.begin(), addresses.end(), same)) addresses.push_back(std::move(*address));
  }
  return addresses;
}

}  // namespace

base::Result<std::vector<net::Address>, base::Error> http_addresses(const ServeConfig& config) {
  return hosts_at(config, config.http_port);
}

std::vector<std::string> followed_buckets(const ServeConfig& config) {
  std::vector<std::string> names;
  std::string_view rest = config.follow_buckets;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(','), rest.size());
    names.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return names;
}

base::Result<net::Address, base::Error> source_address(const ServeConfig& config) {
  return net::Address::parse(config.follow, config.follow_tls ? kSourceTlsPort : kSourcePort);
}

base::Result<std::vector<net::Address>, base::Error> tls_addresses(const ServeConfig& config) {
  return hosts_at(config, config.tls_cert.empty() ? uint16_t{0} : config.tls_port);
}

base::Result<std::vector<net::Address>, base::Error> tls_http_addresses(const ServeConfig& config) {
  return hosts_at(config, config.tls_cert.empty() ? uint16_t{0} : config.tls_http_port);
}

}  // namespace bobbin::cli
