#include <algorithm>
#include <random>
#include <utility>

#include "cli/options.h"
#include "cli/running_server.h"
#include "serve/server.h"

namespace bobbin::cli {
namespace {

class ServingServer final : public RunningServer {
 public:
  explicit ServingServer(std::unique_ptr<serve::Server> server) : server_(std::move(server)) {}
  [[nodiscard]] std::vector<net::Address> addresses() const override { return server_->addresses(); }
  void drain() override { server_->drain(); }

 private:
  std::unique_ptr<serve::Server> server_;
};

// Under memcached's names what memcached has too, for the agents that read them; then every option by its
// key.
std::vector<serve::Setting> settings_of(const ServeConfig& config) {
  const auto inter = [&] {
    std::string text;
    for (const std::string& address : config.listen)
      text += (text.empty() ? "" : ",") + address;
    return text;
  };
  std::vector<serve::Setting> settings{
      {"maxbytes", std::to_string(config.memory_bytes)},
      {"maxconns", std::to_string(config.limits.max_connections)},
      {"tcpport", std::to_string(config.port)},
      {"udpport", "0"},
      {"inter", inter()},
      {"verbosity", "0"},
      {"oldest", "0"},
      {"evictions", config.disable_evictions ? "off" : "on"},
      {"domain_socket", config.unix_socket.empty() ? "NULL" : "set"},
      {"num_threads", std::to_string(config.threads)},
      {"cas_enabled", "yes"},
      {"tcp_backlog", std::to_string(config.limits.backlog)},
      {"auth_enabled_sasl", "no"},
      {"item_size_max", std::to_string(config.max_item_bytes)},
      {"maxconns_fast", "no"},
      {"idle_timeout", std::to_string(config.limits.idle_timeout.count() / 1000)},
  };
  for (const Option& option : serve_options()) {
    // A path may tell more than a client should know.
    if (option.type == OptionType::path) continue;
    const auto told = [&](const serve::Setting& setting) { return setting.name == option.key; };
    if (std::any_of(settings.begin(), settings.end(), told)) continue;
    settings.push_back({std::string(option.key), current_text(option, config)});
  }
  return settings;
}

}  // namespace

base::Result<std::unique_ptr<RunningServer>, base::Error> start_server(const ServeConfig& config) {
  auto addresses = listen_addresses(config);
  if (!addresses) return base::fail(std::move(addresses.error()));
  serve::ServerOptions options;
  options.front_end.listen = std::move(*addresses);
  options.front_end.threads = config.threads;
  options.front_end.unix_mode = config.unix_mode;
  options.front_end.limits = config.limits;
  options.bucket.quota_bytes = config.memory_bytes;
  options.bucket.max_value_bytes = static_cast<uint32_t>(config.max_item_bytes);
  options.bucket.evict = !config.disable_evictions;
  std::random_device random;
  options.bucket.hash_seed = (uint64_t{random()} << 32) | random();
  options.settings = settings_of(config);
  auto server = serve::Server::start(std::move(options));
  if (!server) return base::fail(std::move(server.error()));
  return std::make_unique<ServingServer>(std::move(*server));
}

}  // namespace bobbin::cli
