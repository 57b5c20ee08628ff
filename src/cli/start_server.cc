#include <algorithm>
#include <random>
#include <utility>

#include "admin/http_server.h"
#include "cli/data_commands.h"
#include "cli/options.h"
#include "cli/running_server.h"
#include "cli/seeding.h"
#include "cli/server_users.h"
#include "cluster/follower.h"
#include "serve/server.h"

namespace bobbin::cli {
namespace {

class ServingServer final : public RunningServer {
 public:
  ServingServer(std::unique_ptr<serve::Server> server, std::unique_ptr<admin::HttpServer> http,
                std::shared_ptr<net::TlsContext> tls, std::unique_ptr<cluster::Follower> follower)
      : server_(std::move(server)),
        http_(std::move(http)),
        tls_(std::move(tls)),
        follower_(std::move(follower)) {}
  [[nodiscard]] std::vector<net::Address> addresses() const override { return server_->addresses(); }
  [[nodiscard]] std::vector<net::Address> http_addresses() const override {
    return http_ == nullptr ? std::vector<net::Address>() : http_->addresses();
  }
  [[nodiscard]] std::vector<net::Address> tls_addresses() const override { return server_->tls_addresses(); }
  [[nodiscard]] std::vector<net::Address> tls_http_addresses() const override {
    return http_ == nullptr ? std::vector<net::Address>() : http_->tls_addresses();
  }
  [[nodiscard]] bool wants_login() const override {
    const serve::Engine& engine = server_->engine();
    return !engine.users.empty() && !engine.allow_anonymous;
  }
  // One may have come while the server ran (IFCONFIG).
  [[nodiscard]] bool has_tls() const override { return server_->front_end().tls() != nullptr; }
  base::Result<void, base::Error> reload_tls() override {
    const auto tls = server_->front_end().tls();
    return tls == nullptr ? base::Result<void, base::Error>() : tls->reload();
  }
  // While data is drained, whoever asks is told that the server is not ready.
  void drain() override {
    server_->drain();
    if (http_ != nullptr) http_->drain();
  }
  disk::Result<void> close() override {
    if (follower_ != nullptr) follower_->stop();
    return server_->close();
  }
  [[nodiscard]] std::optional<disk::WarmupProgress> warmup() const override {
    if (server_->disk() == nullptr) return std::nullopt;
    return server_->disk()->warmup();
  }

 private:
  const std::unique_ptr<serve::Server> server_;
  const std::unique_ptr<admin::HttpServer> http_;      // null: none. Uses what the other owns
  const std::shared_ptr<net::TlsContext> tls_;         // null: no TLS
  const std::unique_ptr<cluster::Follower> follower_;  // null: it follows nobody. Ends before the server
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
      {"bucket_type", config.persistent ? "persistent" : "cache"},
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
      {"item_size_max", std::to_string(config.max_item_bytes)},
      {"maxconns_fast", "no"},
      {"ssl_enabled", config.tls_cert.empty() ? "no" : "yes"},
      {"idle_timeout", std::to_string(config.limits.idle_timeout.count() / 1000)},
      {"login_timeout", std::to_string(config.limits.expect_timeout.count() / 1000)},
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

/// What one bucket has on disk, and how much memory it takes.
struct DiskPlan {
  std::string path;
  size_t shards = 0;      ///< 0: those that are there
  uint32_t vbuckets = 0;  ///< the same
  uint64_t quota_bytes = 0;
  uint64_t disk_memory_bytes = 0;
  uint64_t history_bytes = 0;  ///< for restoring moments between backups, which know the default bucket
  store::EvictionPolicy eviction = store::EvictionPolicy::value;
  bool durable_replies = false;
};

disk::Result<std::unique_ptr<disk::Persistence>> open_disk(const ServeConfig& config, const DiskPlan& plan,
                                                           const store::BucketOptions& bucket,
                                                           const std::shared_ptr<disk::Files>& files) {
  disk::PersistenceOptions options;
  options.directory.path = plan.path;
  options.directory.files = files;
  if (plan.shards != 0) options.directory.shards = static_cast<uint32_t>(plan.shards);
  if (plan.vbuckets != 0) options.directory.vbuckets = plan.vbuckets;
  options.directory.memory_bytes = plan.disk_memory_bytes;
  options.directory.history_bytes = plan.history_bytes;
  options.bucket = bucket;
  options.bucket.type = store::BucketType::persistent;
  options.bucket.eviction = plan.eviction;
  options.bucket.quota_bytes = plan.quota_bytes;
  options.linger = plan.durable_replies ? std::chrono::milliseconds(0) : config.flush_linger;
  // What is dirty cannot be evicted: most of the memory must be able to go.
  options.max_dirty_bytes = std::min<uint64_t>(config.max_unsaved_bytes, options.bucket.quota_bytes / 4);
  options.readers = static_cast<uint32_t>(config.disk_readers);
  return disk::Persistence::open(std::move(options));
}

DiskPlan plan_of_default(const ServeConfig& config) {
  DiskPlan plan{.path = config.data, .shards = config.disk_shards};
  plan.disk_memory_bytes = disk_memory(config);
  plan.history_bytes = config.history_bytes;
  plan.quota_bytes = config.memory_bytes - disk_memory(config);
  if (config.eviction == Eviction::full) plan.eviction = store::EvictionPolicy::full;
  plan.durable_replies = config.durability == Durability::disk;
  return plan;
}

// Of each bucket another one: the names of vbuckets' histories come from it, and of two buckets that are made
// one after the other under one name nobody may go on in the second where he was in the first.
uint64_t random_seed() {
  std::random_device random;
  return (uint64_t{random()} << 32) | random();
}

/// The buckets besides the default one: of those that are on disk each has little of it for itself.
serve::BucketsOptions buckets_of(const ServeConfig& config, const store::BucketOptions& cache,
                                 const std::shared_ptr<disk::Files>& files) {
  constexpr uint64_t kDiskMemoryBytes = 8 << 20;
  serve::BucketsOptions options;
  options.cache = cache;
  if (!config.persistent) return options;
  options.folder = config.data;
  options.open_disk = [config, cache, files](const std::string& folder,
                                             const serve::BucketSettings& settings) {
    DiskPlan plan{
        .path = folder, .shards = 1, .vbuckets = settings.vbuckets, .quota_bytes = settings.quota_bytes};
    plan.disk_memory_bytes = kDiskMemoryBytes;
    if (settings.eviction == "fullEviction") plan.eviction = store::EvictionPolicy::full;
    plan.durable_replies = settings.persists_replies();
    store::BucketOptions bucket = cache;
    bucket.conflicts = serve::conflicts_of(settings);
    bucket.hash_seed = random_seed();
    return open_disk(config, plan, bucket, files);
  };
  return options;
}

}  // namespace

int exit_code_of(disk::ErrorKind kind) {
  switch (kind) {
    case disk::ErrorKind::config:
    case disk::ErrorKind::other_version:
      return kExitConfiguration;
    case disk::ErrorKind::corrupt:
      return kExitDamaged;
    case disk::ErrorKind::io:
    case disk::ErrorKind::no_space:
    case disk::ErrorKind::read_only:
    case disk::ErrorKind::locked:
      break;
  }
  return kExitNoResources;
}

namespace {

serve::Node node_of(const ServeConfig& config, const std::vector<net::Address>& listen) {
  serve::Node node;
  const auto advertised = net::Address::parse(config.advertise, 0);
  if (advertised) node.advertised = *advertised;  // load_config has looked at it
  const auto external = net::Address::parse(config.external, 0);
  if (external) node.external = *external;
  node.external_management_port = config.external_http_port;
  node.external_tls_port = config.external_tls_port;
  node.external_tls_management_port = config.external_tls_http_port;
  const auto is_mcbp = [&](const net::Address& address) { return address.port == config.mcbp_port; };
  if (std::any_of(listen.begin(), listen.end(), is_mcbp)) node.data_port = config.mcbp_port;
  return node;
}

/// Null when none is asked for.
base::Result<std::unique_ptr<admin::HttpServer>, base::Error> open_http(
    const ServeConfig& config, const std::shared_ptr<net::TlsContext>& tls, serve::Server& server) {
  admin::HttpServerOptions options;
  auto addresses = http_addresses(config);
  if (!addresses) return base::fail(std::move(addresses.error()));
  auto tls_addresses = tls_http_addresses(config);
  if (!tls_addresses) return base::fail(std::move(tls_addresses.error()));
  if (addresses->empty() && tls_addresses->empty()) return nullptr;
  options.listen = std::move(*addresses);
  options.tls_listen = std::move(*tls_addresses);
  options.tls = tls;
  options.request_timeout = config.limits.expect_timeout;
  auto http = admin::HttpServer::open(options, server.engine());
  if (!http) return http;
  const auto port_of = [](const std::vector<net::Address>& bound) {
    return bound.empty() ? uint16_t{0} : bound.front().port;
  };
  server.set_management_ports(port_of((*http)->addresses()), port_of((*http)->tls_addresses()));
  return http;
}

/// Every error a line.
StartError wrong_seed(const std::vector<base::Error>& errors) {
  std::string text;
  for (const base::Error& error : errors)
    text += (text.empty() ? "" : "\n") + error.message;
  return {std::move(text), kExitConfiguration};
}

/// HTTP answers while documents are stored, and says that the server is not ready; but not before there are
/// users, where there are to be some.
base::Result<void, StartError> begin(serve::Server& server, admin::HttpServer* http, const Seed& seed,
                                     const ServeConfig& config) {
  if (auto made = make_administrator(config, server.engine()); !made) return made;
  Seeding seeding(seed, config, server.engine());
  if (!seed.empty()) {
    server.start_buckets();
    if (auto made = seeding.make_places(); !made) return made;
  }
  if (http != nullptr) http->run();
  if (!seed.empty()) {
    if (auto stored = seeding.store_documents(); !stored) return stored;
  }
  server.run();
  return {};
}

/// Null when none is asked for.
base::Result<std::shared_ptr<net::TlsContext>, base::Error> load_tls(const ServeConfig& config) {
  if (config.tls_cert.empty()) return nullptr;
  auto loaded = net::TlsContext::load(
      {config.tls_cert, config.tls_key, config.tls_client_ca, config.tls_client_certificates});
  if (!loaded) return base::fail(std::move(loaded.error()));
  return std::shared_ptr<net::TlsContext>(std::move(*loaded));
}

}  // namespace

/// Null where the source is not spoken to through TLS.
base::Result<std::unique_ptr<net::TlsClientContext>, base::Error> load_source_tls(const ServeConfig& config) {
  if (!config.follow_tls) return nullptr;
  return net::TlsClientContext::load({.ca_file = config.follow_cafile, .insecure = config.follow_insecure});
}

/// Not started. Null where the server follows nobody.
std::unique_ptr<cluster::Follower> make_follower(const ServeConfig& config, serve::Server& server,
                                                 std::unique_ptr<net::TlsClientContext> tls) {
  if (server.following() == nullptr) return nullptr;
  cluster::FollowerOptions options;
  if (auto source = source_address(config)) options.source.address = std::move(*source);
  options.source.tls = std::move(tls);
  options.source.user = config.follow_user;
  options.source.password = config.follow_password;
  options.source.name = "bobbin-follower:" + server.disk()->directory().uuid();
  options.buckets = followed_buckets(config);
  return std::make_unique<cluster::Follower>(server.engine().buckets, *server.following(), server.clock(),
                                             std::move(options));
}

base::Result<std::unique_ptr<RunningServer>, StartError> start_server(
    const ServeConfig& config, const std::shared_ptr<disk::Files>& files) {
  const auto seed = read_seed(config);
  if (!seed) return base::fail(wrong_seed(seed.error()));
  auto addresses = listen_addresses(config);
  if (!addresses) return base::fail(StartError{std::move(addresses.error().message)});
  auto tls_listen = tls_addresses(config);
  if (!tls_listen) return base::fail(StartError{std::move(tls_listen.error().message)});
  auto tls = load_tls(config);
  if (!tls) return base::fail(StartError{std::move(tls.error().message), kExitConfiguration});
  auto source_tls = load_source_tls(config);
  if (!source_tls) return base::fail(StartError{std::move(source_tls.error().message), kExitConfiguration});
  serve::ServerOptions options;
  options.front_end.listen = std::move(*addresses);
  options.front_end.tls_listen = std::move(*tls_listen);
  options.front_end.tls = *tls;
  options.front_end.threads = config.threads;
  options.feed_threads = config.feed_threads;
  options.scans = config.scans;
  options.bucket.max_backfills = config.max_backfills;
  options.front_end.unix_mode = config.unix_mode;
  options.front_end.limits = config.limits;
  options.bucket.cache.quota_bytes = config.memory_bytes;
  options.bucket.cache.max_value_bytes = static_cast<uint32_t>(config.max_item_bytes);
  options.bucket.cache.evict = !config.disable_evictions;
  options.bucket.cache.hash_seed = random_seed();
  options.settings = settings_of(config);
  options.buckets = buckets_of(config, options.bucket.cache, files);
  options.buckets.max_backfills = config.max_backfills;
  if (config.persistent) {
    auto disk = open_disk(config, plan_of_default(config), options.bucket.cache, files);
    if (!disk) return base::fail(StartError{disk.error().message, exit_code_of(disk.error().kind)});
    if (!config.follow.empty()) options.following = std::make_unique<serve::Following>(config.follow);
    options.bucket.disk = std::move(*disk);
    options.control = control_path(config.data);
    options.bucket.durable_replies = config.durability == Durability::disk;
  }
  static const base::SystemClock clock;  // for as long as there are users
  auto users = open_users(config, clock);
  if (!users) return base::fail(StartError{users.error().message, exit_code_of(users.error().kind)});
  options.users = std::move(*users);
  options.allow_anonymous = config.dev;
  if (config.persistent && !config.dev) options.audit.file.path = audit_path(config.data);
  options.node = node_of(config, options.front_end.listen);
  auto server = serve::Server::open(std::move(options));
  if (!server) {
    const auto disk = server.error().disk;
    return base::fail(
        StartError{std::move(server.error().message), disk ? exit_code_of(*disk) : kExitCannotStart});
  }
  cluster::settle_copies((*server)->engine().buckets, (*server)->following(), followed_buckets(config),
                         clock.now());
  auto http = open_http(config, *tls, **server);
  if (!http) return base::fail(StartError{std::move(http.error().message)});
  if (auto begun = begin(**server, http->get(), *seed, config); !begun)
    return base::fail(std::move(begun.error()));
  auto follower = make_follower(config, **server, std::move(*source_tls));
  if (follower != nullptr) follower->start();
  return std::make_unique<ServingServer>(std::move(*server), std::move(*http), std::move(*tls),
                                         std::move(follower));
}

}  // namespace bobbin::cli
