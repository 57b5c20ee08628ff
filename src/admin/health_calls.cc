// Whether the server lives, and whether it can be used; and its numbers.

#include "admin/health.h"

namespace bobbin::admin {
namespace {

HttpResponse handle_live(const Call&) {
  return text_answer("ok\n");
}

HttpResponse handle_ready(const Call& call) {
  const std::string why = not_ready(call.engine());
  return why.empty() ? text_answer("ok\n") : text_answer(why + "\n", 503);
}

constexpr Route kRoutes[] = {
    {"GET", "/livez", Door::everybody, 0, handle_live},
    {"GET", "/readyz", Door::everybody, 0, handle_ready},
    {"GET", "/metrics", Door::users, serve::kServerStats, handle_metrics},
};

}  // namespace

std::string not_ready(const serve::Engine& engine) {
  if (engine.front_end == nullptr || !engine.front_end->listener_counters().accepting.load())
    return "no further connection is accepted";
  std::string why = engine.following == nullptr ? std::string() : engine.following->missing();
  if (!why.empty()) return why;
  engine.buckets.visit([&](const serve::ServedBucket& bucket) {
    if (bucket.disk() != nullptr && bucket.disk()->failure())
      why = "bucket " + bucket.name() + " cannot be written to disk";
  });
  return why;
}

std::span<const Route> health_routes() {
  return kRoutes;
}

}  // namespace bobbin::admin
