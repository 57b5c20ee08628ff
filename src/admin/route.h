#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "admin/http_request.h"
#include "net/connection.h"
#include "net/spool.h"
#include "serve/engine.h"
#include "serve/roles.h"

namespace bobbin::admin {

class ConfigStreams;
struct HttpCounters;

inline constexpr std::string_view kJson = "application/json";
inline constexpr std::string_view kText = "text/plain; charset=utf-8";

/// An answer that goes on and on: what it sends comes through the connection's spool. Lives on the management
/// loop, and ends with its connection.
class LiveAnswer {
 public:
  virtual ~LiveAnswer() = default;
  /// Asked when the spool was resumed: the connection is to be closed.
  [[nodiscard]] virtual bool is_over() = 0;
};

struct HttpResponse {
  int status = 200;
  std::string body = {};
  std::string_view content_type = kJson;
  std::vector<std::pair<std::string_view, std::string>> headers = {};  ///< besides those of every answer
  /// Writes the text that follows, again whenever configurations may have changed (ConfigStreams::Text): the
  /// answer never ends, and has no body. Called on any thread, when the call is long over.
  std::function<std::string()> streamed = nullptr;
  /// Begins the rest of an answer that never ends, when its head is on the way; such an answer has no body.
  /// What is sent is in chunks of HTTP/1.1 where `is_chunked`. Null: there is no rest.
  std::function<std::unique_ptr<LiveAnswer>(net::Spool spool, bool is_chunked)> live = nullptr;
};

/// What all requests share. Every member may be used on any thread.
struct Admin {
  const serve::Engine& engine;
  ConfigStreams& streams;
  HttpCounters& counters;
  /// Has the task done on a thread that may wait, after those that were given before; false: there are too
  /// many.
  std::function<bool(std::function<void()> task)> post;
};

/// A request on its way to its handler.
struct Call {
  Admin& admin;
  const HttpRequest& request;
  std::vector<std::string> names;  ///< what stands in the path for the pattern's {…}, in their order
  std::string user;                ///< who has logged in; empty: nobody
  std::string peer;                ///< as net::ConnectionStatus has it
  std::string local;               ///< the address that it came in on
  std::string certified = {};      ///< the common name of the client's certificate

  [[nodiscard]] const serve::Engine& engine() const noexcept { return admin.engine; }
};

/// Who may make a call.
enum class Door : uint8_t {
  everybody,  ///< no login is looked at
  users,      ///< who is logged in, and has what the row needs, of the server
  bucket,     ///< the same, in the bucket that the path names first; without needs: who may select it
};

/// A call, as a row of a table (see kTables in routes.cc): method, path, who may, what happens.
struct Route {
  std::string_view method;   ///< GET answers HEAD, too
  std::string_view pattern;  ///< "/pools/default/b/{bucket}"
  Door door;
  serve::Privileges needs;
  HttpResponse (*handle)(const Call& call);
  /// It waits for the disk or for other threads: it is called on the worker's, one after the other.
  bool waits = false;
};

/// The row for a request, or why there is none.
struct RouteMatch {
  const Route* route = nullptr;
  std::vector<std::string> names;
  std::string allowed;  ///< methods that the path has, where the request's is none of them; otherwise empty
};
[[nodiscard]] RouteMatch find_route(std::string_view method, const std::vector<std::string>& segments);
/// Calls `visit` for every row.
void for_each_route(const std::function<void(const Route&)>& visit);

// The tables.
[[nodiscard]] std::span<const Route>
cluster_routes();                                      ///< cluster_calls.cc: the server and its configuration
[[nodiscard]] std::span<const Route> bucket_routes();  ///< bucket_calls.cc
[[nodiscard]] std::span<const Route> bucket_change_routes();  ///< bucket_changes.cc
[[nodiscard]] std::span<const Route> collection_routes();     ///< collection_calls.cc
[[nodiscard]] std::span<const Route> user_routes();           ///< user_calls.cc
[[nodiscard]] std::span<const Route> change_routes();         ///< change_calls.cc
[[nodiscard]] std::span<const Route> health_routes();         ///< health_calls.cc: livez, readyz, metrics

// Answers.
[[nodiscard]] inline HttpResponse json_answer(std::string body, int status = 200) {
  return {.status = status, .body = std::move(body)};
}
[[nodiscard]] inline HttpResponse text_answer(std::string body, int status = 200) {
  return {.status = status, .body = std::move(body), .content_type = kText};
}
/// As Couchbase says that a bucket is not there, or whatever else a path names.
[[nodiscard]] inline HttpResponse missing() {
  return text_answer("Requested resource not found.", 404);
}

}  // namespace bobbin::admin
