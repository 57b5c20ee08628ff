#include "serve/server.h"

#include <utility>

#include "serve/session.h"

namespace bobbin::serve {

Server::Server(ServerOptions&& options)
    : settings_(std::move(options.settings)),
      bucket_(options.bucket),
      log_(clock_),
      uploads_(options.bucket.quota_bytes / 2),
      engine_{bucket_, clock_, log_, counters_, settings_, front_end_, baseline_, uploads_, clock_.now()},
      sweeper_(bucket_, clock_) {
  for (size_t i = 0; i < std::max<size_t>(options.front_end.threads, 1); ++i) {
    counters_.push_back(std::make_unique<CommandCounters>());
  }
  bucket_.set_eviction_observer(&log_);
}

base::Result<std::unique_ptr<Server>, base::Error> Server::start(ServerOptions options) {
  const net::FrontEndOptions front_end = options.front_end;
  std::unique_ptr<Server> server(new Server(std::move(options)));
  auto opened = net::FrontEnd::open(front_end, [server = server.get()](size_t loop) {
    return std::make_unique<Session>(server->engine_, *server->counters_[loop]);
  });
  if (!opened) return base::fail(std::move(opened.error()));
  server->front_end_ = std::move(*opened);
  server->sweeper_.start();
  server->front_end_->run();
  return server;
}

Server::~Server() {
  front_end_.reset();
}

}  // namespace bobbin::serve
