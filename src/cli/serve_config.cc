#include "cli/serve_config.h"

namespace bobbin::cli {

base::Result<std::vector<net::Address>, base::Error> listen_addresses(const ServeConfig& config) {
  std::vector<net::Address> addresses;
  const bool no_tcp = config.listen.size() == 1 && config.listen.front() == "none";
  if (!no_tcp) {
    for (const std::string& text : config.listen) {
      auto address = net::Address::parse(text, config.port);
      if (!address) return base::fail(std::move(address.error()));
      addresses.push_back(std::move(*address));
    }
  }
  if (!config.unix_socket.empty()) {
    auto address = net::Address::parse("unix:" + config.unix_socket, 0);
    if (!address) return base::fail(std::move(address.error()));
    addresses.push_back(std::move(*address));
  }
  return addresses;
}

}  // namespace bobbin::cli
