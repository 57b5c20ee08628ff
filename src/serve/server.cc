#include "serve/server.h"

#include <utility>

#include "base/log.h"
#include "disk/layout_file.h"
#include "serve/control.h"
#include "serve/session.h"

namespace bobbin::serve {

namespace {

Node with_uuid(Node node, const ServedBucketOptions& bucket) {
  if (!node.cluster_uuid.empty()) return node;
  node.cluster_uuid = bucket.disk != nullptr ? bucket.disk->directory().uuid() : disk::new_uuid();
  return node;
}

uint16_t first_port(const std::vector<net::Address>& addresses) {
  for (const net::Address& address : addresses)
    if (!address.is_unix()) return address.port;
  return 0;
}

AuditOptions with_clock(AuditOptions options, const base::Clock& clock) {
  options.clock = &clock;
  return options;
}

ServedBucketOptions observed(ServedBucketOptions options, LiveLog& log) {
  options.observer = &log;
  return options;
}

}  // namespace

Server::Server(ServerOptions&& options)
    : settings_(std::move(options.settings)),
      following_(std::move(options.following)),
      node_(with_uuid(std::move(options.node), options.bucket)),
      users_(options.users != nullptr ? std::move(options.users) : Users::nobody(clock_)),
      audit_(with_clock(std::move(options.audit), clock_)),
      logins_(*users_, audit_, clock_),
      log_(clock_),
      bucket_(std::make_shared<ServedBucket>(observed(std::move(options.bucket), log_), clock_)),
      buckets_(bucket_, std::move(options.buckets), clock_),
      scans_(options.scans),
      feeds_(std::make_unique<feed::Pool>(options.feed_threads)),
      engine_{bucket_,      buckets_,
              feeds_,       scans_,
              errands_,     login_checks_,
              clock_,       log_,
              counters_,    settings_,
              front_end_,   baseline_,
              stat_times_,  node_,
              *users_,      logins_,
              audit_,       options.allow_anonymous,
              clock_.now(), following_.get()} {
  for (size_t i = 0; i < std::max<size_t>(options.front_end.threads, 1); ++i) {
    counters_.push_back(std::make_unique<CommandCounters>());
  }
}

base::Result<std::unique_ptr<Server>, OpenError> Server::start(ServerOptions options) {
  auto server = open(std::move(options));
  if (server) (*server)->run();
  return server;
}

base::Result<std::unique_ptr<Server>, OpenError> Server::open(ServerOptions options) {
  const net::FrontEndOptions front_end = options.front_end;
  std::string control = options.control;
  std::unique_ptr<Server> server(new Server(std::move(options)));
  if (const auto opened = server->buckets_.open(); !opened)
    return base::fail(OpenError{opened.error().message, opened.error().kind});
  auto opened = net::FrontEnd::open(front_end, [server = server.get()](size_t loop) {
    return std::make_unique<Session>(server->engine_, *server->counters_[loop]);
  });
  if (!opened) return base::fail(OpenError{std::move(opened.error().message)});
  server->front_end_ = std::move(*opened);
  server->control_path_ = std::move(control);
  if (server->node_.data_port == 0) server->node_.data_port = first_port(server->addresses());
  server->node_.tls_data_port = first_port(server->tls_addresses());
  return server;
}

void Server::start_buckets() {
  buckets_.start();
  buckets_started_ = true;
}

void Server::run() {
  if (!buckets_started_) start_buckets();
  if (disk() != nullptr && !control_path_.empty()) open_control_socket(control_path_);
  front_end_->run();
}

// Documents are served whether or not they can be backed up meanwhile.
void Server::open_control_socket(const std::string& path) {
  backups_ = std::make_unique<BackupJob>(*disk(), buckets_, clock_);
  auto opened = open_control(path, *backups_);
  if (opened)
    control_ = std::move(*opened);
  else
    base::log(base::LogLevel::warning,
              "no backup can be made while this server runs: " + opened.error().message);
}

void Server::end_control() {
  if (backups_ != nullptr) backups_->stop();
  control_.reset();
}

// Steps of feeds read buckets and append to spools.
void Server::stop_serving() {
  if (front_end_ != nullptr) front_end_->stop();
  feeds_.reset();
  errands_.end();
  login_checks_.end();
}

disk::Result<void> Server::close() {
  end_control();
  stop_serving();
  return buckets_.close();
}

// Those who wake connections end before the loops that own these.
Server::~Server() {
  end_control();
  stop_serving();
  buckets_.end();
  front_end_.reset();
}

}  // namespace bobbin::serve
