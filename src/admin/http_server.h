#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "admin/config_streams.h"
#include "admin/http_session.h"
#include "base/result.h"
#include "base/worker.h"
#include "net/front_end.h"

namespace bobbin::admin {

struct HttpServerOptions {
  std::vector<net::Address> listen;  ///< at least one, or one of the next
  std::vector<net::Address> tls_listen;
  std::shared_ptr<net::TlsContext> tls;  ///< as in net::FrontEndOptions
  size_t max_connections = 256;
  std::chrono::milliseconds idle_timeout{60'000};
  /// How long a request may take to come, from its first byte on. Zero: as long as it likes.
  std::chrono::milliseconds request_timeout{60'000};
};

/// The HTTP server: a front end of its own with one loop, one thread and its own limits, so that it disturbs
/// no data and no data disturbs it, and a worker for what has to wait. Every call comes from a thread that is
/// none of these.
class HttpServer {
 public:
  /// Listens; nobody is served before run(). The error names the address that cannot be used. `engine`
  /// outlives it.
  [[nodiscard]] static base::Result<std::unique_ptr<HttpServer>, base::Error> open(
      const HttpServerOptions& options, const serve::Engine& engine);
  /// Ends at once what is still running.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  void run() { front_end_->run(); }
  /// Stops accepting, answers what has arrived, closes; blocks until that is done. Once.
  void drain();
  [[nodiscard]] std::vector<net::Address> addresses() const { return front_end_->addresses(); }
  [[nodiscard]] std::vector<net::Address> tls_addresses() const { return front_end_->tls_addresses(); }

 private:
  explicit HttpServer(const serve::Engine& engine);

  HttpCounters counters_;
  ConfigStreams streams_;
  Admin admin_;
  std::unique_ptr<net::FrontEnd> front_end_;
  base::Worker worker_{base::Worker::Rest::done};  // ends before the loop on which it resumes connections
};

}  // namespace bobbin::admin
