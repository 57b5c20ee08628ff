#include "admin/admission.h"

#include <fmt/format.h>

#include <algorithm>

#include "admin/json_writer.h"
#include "net/address.h"
#include "serve/logins.h"

namespace bobbin::admin {
namespace {

HttpResponse ask_for_login() {
  HttpResponse response =
      text_answer("Log in: the name and password of a user, by HTTP's basic authentication.\n", 401);
  response.headers.emplace_back("WWW-Authenticate", R"(Basic realm="bobbin", charset="UTF-8")");
  return response;
}

std::string_view host_of(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(0, authority.find(']') + 1);
  return authority.substr(0, authority.find(':'));
}

bool is_loopback_name(std::string_view host) {
  // Digits and dots to its end: a name such as 127.0.0.1.example leads wherever its owner wants, and is not
  // looked up here.
  if (host == "localhost" || host == "[::1]") return true;
  return host.find_first_not_of("0123456789.") == std::string_view::npos &&
         net::is_loopback({std::string(host), 0, {}});
}

/// Browsers send changes to wherever any page tells them to, with the name of that page as Origin. One of
/// another host is refused; so is one of a name that stands for this server only in that browser's eyes,
/// where nobody has to log in.
bool is_from_elsewhere(const HttpRequest& request, bool logged_in) {
  if (request.is_safe() || request.origin.empty()) return false;
  const size_t scheme = request.origin.find("://");
  if (scheme == std::string::npos) return true;
  const std::string_view authority = std::string_view(request.origin).substr(scheme + 3);
  return authority != request.host || (!logged_in && !is_loopback_name(host_of(authority)));
}

std::optional<HttpResponse> log_in(Call& call) {
  const serve::Engine& engine = call.engine();
  const bool is_open = engine.allow_anonymous || engine.users.empty();
  // Who gives a name and a password means these.
  if (call.request.authorization.empty() && engine.logins.certificate(call.certified, call.peer, false)) {
    call.user = call.certified;
    return std::nullopt;
  }
  if (call.request.authorization.empty()) return is_open ? std::nullopt : std::optional(ask_for_login());
  // Where there are no users, nobody can be told from anybody.
  if (engine.users.empty()) return std::nullopt;
  auto login = parse_basic_login(call.request.authorization);
  if (!login) return ask_for_login();
  const auto checked = engine.logins.password(login->user, login->password, call.peer, "basic", false);
  if (checked) {
    call.user = std::move(login->user);
    return std::nullopt;
  }
  if (checked.error().kind != serve::LoginError::Kind::too_often) return ask_for_login();
  HttpResponse response = text_answer("Too many failed logins.\n", 429);
  response.headers.emplace_back("Retry-After", fmt::format("{}", checked.error().wait_ms / 1000 + 1));
  return response;
}

HttpResponse forbid(const std::string& why) {
  JsonWriter json;
  json.begin_object().member("message", "Forbidden. " + why).key("permissions").begin_array().end().end();
  return json_answer(json.take(), 403);
}

bool may_pass(const Call& call, const Route& route) {
  const bool of_bucket = route.door == Door::bucket && !call.names.empty();
  const serve::Access access =
      access_of(call, of_bucket ? std::string_view(call.names[0]) : std::string_view());
  if (of_bucket && route.needs == 0) return access.may_select() || access.may(serve::kReadServer);
  return access.may(route.needs);
}

/// Users and settings of the server itself are its own, also where it follows another. Handlers look where
/// the request does not say it: some settings of a bucket may change, and one that the source has no more may
/// be removed.
bool changes_buckets(const Call& call, const Route& route) {
  constexpr serve::Privileges kChanges =
      serve::kFlush | serve::kManageBucket | serve::kManageCollections | serve::kCreateBuckets;
  const bool handler_looks = route.needs == serve::kManageBucket;
  return !call.request.is_safe() && !handler_looks && (route.needs & kChanges) != 0;
}

}  // namespace

serve::Access access_of(const Call& call, std::string_view bucket) {
  const serve::Engine& engine = call.engine();
  if (call.user.empty()) {
    const bool is_open = engine.allow_anonymous || engine.users.empty();
    return is_open ? serve::Access::unlimited() : serve::Access();
  }
  return engine.users.access(call.user, bucket, serve::CollectionIds::of_any_name());
}

HttpResponse refuse_as_follower(const Call& call) {
  return text_answer("This server follows " + call.engine().following->source() +
                         ": make the change there, and it comes here.\n",
                     409);
}

std::optional<HttpResponse> admit(Call& call, const Route*& route) {
  const auto segments = path_segments(call.request.target);
  if (!segments) return text_answer("Bad request: the path.\n", 400);
  RouteMatch match = find_route(call.request.method, *segments);
  if (match.route != nullptr && match.route->door == Door::everybody) {
    route = match.route;
    call.names = std::move(match.names);
    return std::nullopt;
  }
  // Before it is told what there is.
  if (auto refused = log_in(call)) return refused;
  if (match.route == nullptr) {
    if (match.allowed.empty()) return text_answer("Not found.", 404);
    HttpResponse response = text_answer("Method not allowed.", 405);
    response.headers.emplace_back("Allow", std::move(match.allowed));
    return response;
  }
  if (is_from_elsewhere(call.request, !call.user.empty()))
    return forbid("A page of another host has sent this.");
  call.names = std::move(match.names);
  if (!may_pass(call, *match.route)) {
    if (!call.request.is_safe())
      call.engine().audit.admin({call.user, call.peer, call.request.method, call.request.target, false,
                                 "not allowed", serve::AdminEvent::Pace::user});
    return forbid("The user's roles do not allow this.");
  }
  if (call.engine().following != nullptr && changes_buckets(call, *match.route))
    return refuse_as_follower(call);
  route = match.route;
  return std::nullopt;
}

}  // namespace bobbin::admin
