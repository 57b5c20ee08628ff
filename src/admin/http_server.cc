#include "admin/http_server.h"

#include <utility>

namespace bobbin::admin {
namespace {

// One answer may be longer. Streams go through spools.
constexpr size_t kMaxUnsentBytes = 64 << 10;

}  // namespace

HttpServer::HttpServer(const serve::Engine& engine)
    : admin_{engine, streams_, counters_,
             [this](std::function<void()> task) { return worker_.post(std::move(task)); }} {
  if (engine.following != nullptr) engine.following->watch_configs([this] { streams_.changed(); });
}

base::Result<std::unique_ptr<HttpServer>, base::Error> HttpServer::open(const HttpServerOptions& options,
                                                                        const serve::Engine& engine) {
  std::unique_ptr<HttpServer> server(new HttpServer(engine));
  net::FrontEndOptions front_end;
  front_end.listen = options.listen;
  front_end.tls_listen = options.tls_listen;
  front_end.tls = options.tls;
  front_end.limits.max_connections = options.max_connections;
  front_end.limits.idle_timeout = options.idle_timeout;
  front_end.limits.expect_timeout = options.request_timeout;
  // A body is taken as it comes: what stays unread is a head, or the requests behind one that is being worked
  // on.
  front_end.limits.max_unread_bytes = 2 * kMaxBodyBytes;
  // Who asks without reading the answers may not have logged in.
  front_end.limits.max_unsent_bytes = kMaxUnsentBytes;
  auto opened = net::FrontEnd::open(
      front_end, [server = server.get()](size_t) { return std::make_unique<HttpSession>(server->admin_); });
  if (!opened) return base::fail(std::move(opened.error()));
  server->front_end_ = std::move(*opened);
  return server;
}

HttpServer::~HttpServer() {
  if (const serve::Following* following = admin_.engine.following) following->watch_configs({});
  if (front_end_ != nullptr) front_end_->stop();
  worker_.end();
}

void HttpServer::drain() {
  front_end_->drain();
  worker_.end();
}

}  // namespace bobbin::admin
