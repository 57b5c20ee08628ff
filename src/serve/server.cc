#include "serve/server.h"

#include <utility>

#include "base/log.h"
#include "serve/control.h"
#include "serve/session.h"

namespace bobbin::serve {

Server::Server(ServerOptions&& options)
    : settings_(std::move(options.settings)),
      disk_(std::move(options.disk)),
      cache_(disk_ == nullptr ? std::make_unique<store::Bucket>(options.bucket) : nullptr),
      bucket_(disk_ == nullptr ? *cache_ : disk_->bucket()),
      log_(clock_),
      uploads_(bucket_.quota_bytes() / 2),
      engine_{bucket_,
              clock_,
              log_,
              counters_,
              settings_,
              front_end_,
              baseline_,
              uploads_,
              clock_.now(),
              disk_.get(),
              options.durable_replies},
      sweeper_(std::make_unique<store::Sweeper>(bucket_, clock_)) {
  for (size_t i = 0; i < std::max<size_t>(options.front_end.threads, 1); ++i) {
    counters_.push_back(std::make_unique<CommandCounters>());
  }
  bucket_.set_eviction_observer(&log_);
}

base::Result<std::unique_ptr<Server>, base::Error> Server::start(ServerOptions options) {
  const net::FrontEndOptions front_end = options.front_end;
  const std::string control = options.control;
  std::unique_ptr<Server> server(new Server(std::move(options)));
  auto opened = net::FrontEnd::open(front_end, [server = server.get()](size_t loop) {
    return std::make_unique<Session>(server->engine_, *server->counters_[loop]);
  });
  if (!opened) return base::fail(std::move(opened.error()));
  server->front_end_ = std::move(*opened);
  if (server->disk_ != nullptr) server->disk_->start();
  server->sweeper_->start();
  if (server->disk_ != nullptr && !control.empty()) server->open_control_socket(control);
  server->front_end_->run();
  return server;
}

// Documents are served whether or not they can be backed up meanwhile.
void Server::open_control_socket(const std::string& path) {
  backups_ = std::make_unique<BackupJob>(*disk_, clock_);
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

disk::Result<void> Server::close() {
  end_control();
  front_end_->stop();
  sweeper_.reset();
  return disk_ == nullptr ? disk::Result<void>() : disk_->close();
}

// Those who wake connections end before the loops that own these.
Server::~Server() {
  end_control();
  if (front_end_ != nullptr) front_end_->stop();
  sweeper_.reset();
  disk_.reset();
  front_end_.reset();
}

}  // namespace bobbin::serve
