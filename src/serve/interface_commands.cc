// IFCONFIG (kv_engine docs/NetworkInterface.md): where the server listens, and what TLS goes by. What is
// changed here is gone after the next start, which goes by the configuration again.

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "serve/asking.h"
#include "serve/binary_commands.h"
#include "serve/interface_settings.h"
#include "serve/session.h"
#include "wire/datatype.h"
#include "wire/json_text.h"

namespace bobbin::serve {
namespace {

using wire::BinaryRequest;
using wire::BinaryStatus;

constexpr size_t kMaxNotedBytes = 100;

std::string error_text(std::string_view context, std::string_view error = {}) {
  return fmt::format(R"({{"error":{{"context":{},"errors":[{}]}}}})", wire::json_string(context),
                     error.empty() ? std::string() : wire::json_string(error));
}

// --- listeners ---

// The port's number alone would not do: another address may have the same.
std::string uuid_of(const Engine& engine, const net::ListenerStatus& listener) {
  return fmt::format("{}-{}", engine.node.cluster_uuid, listener.id);
}

std::string interface_text(const Engine& engine, const net::ListenerStatus& listener) {
  const bool is_six = listener.address.host.find(':') != std::string::npos;
  std::string json =
      fmt::format(R"({{"family":"{}","host":{},"port":{},"system":false)", is_six ? "inet6" : "inet",
                  wire::json_string(listener.address.host), listener.address.port);
  if (!listener.tag.empty()) json += R"(,"tag":)" + wire::json_string(listener.tag);
  if (listener.speaks_tls) json += R"(,"tls":true)";
  return json + fmt::format(R"(,"type":"mcbp","uuid":{}}})", wire::json_string(uuid_of(engine, listener)));
}

void handle_list(Session& session, const BinaryRequest& request) {
  std::string json = "[";
  const Engine& engine = session.engine();
  if (engine.front_end != nullptr) {
    for (const net::ListenerStatus& listener : engine.front_end->listeners()) {
      if (listener.address.is_unix()) continue;
      json += json.size() > 1 ? "," : "";
      json += interface_text(engine, listener);
    }
  }
  json += ']';
  answer_value(session, request.header, json,
               {.datatype = session.has(wire::Feature::json) ? wire::kDatatypeJson : uint8_t{0}});
}

AsideAnswer define(const Engine& engine, const NewInterface& wanted) {
  // As at the start: whoever could reach it could do everything.
  if ((engine.users.empty() || engine.allow_anonymous) && !net::is_loopback(wanted.address))
    return {BinaryStatus::no_access,
            error_text("Nobody has to log in: only addresses of this machine are listened on")};
  const auto added =
      engine.front_end->add_listener(wanted.address, wanted.family, wanted.speaks_tls, wanted.tag);
  if (!added)
    return {BinaryStatus::internal_error, error_text("Failed to create any ports", added.error().message)};
  return {BinaryStatus::success,
          fmt::format(R"({{"errors":[],"ports":[{}]}})", interface_text(engine, *added))};
}

void handle_define(Session& session, const BinaryRequest& request) {
  auto wanted = read_interface(request.value);
  if (!wanted)
    return reply_binary_error(session, request.header, wanted.error().status, error_text(wanted.error().why));
  session.run_aside(request.header, [&engine = session.engine(), wanted = std::move(*wanted),
                                     asking = Asking(session)](const ServedBucket&) {
    AsideAnswer answer = define(engine, wanted);
    asking.note("define interface", wanted.address.text(), answer.status == BinaryStatus::success);
    return answer;
  });
}

void handle_delete(Session& session, const BinaryRequest& request) {
  const Engine& engine = session.engine();
  auto removal = net::FrontEnd::Removal::unknown;
  std::string_view digits = request.value;
  if (const std::string begin = engine.node.cluster_uuid + "-"; digits.starts_with(begin)) {
    digits.remove_prefix(begin.size());
    uint64_t id = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
    if (error == std::errc{} && end == digits.data() + digits.size())
      removal = engine.front_end->remove_listener(id);
  }
  Asking(session).note("delete interface", request.value.substr(0, kMaxNotedBytes),
                       removal == net::FrontEnd::Removal::done);
  switch (removal) {
    case net::FrontEnd::Removal::done:
      return answer_success(session, request.header);
    case net::FrontEnd::Removal::last:
      return reply_binary_error(session, request.header, BinaryStatus::not_supported,
                                error_text("Nobody could connect any more: it is the last"));
    case net::FrontEnd::Removal::unknown:
      break;
  }
  reply_binary_error(session, request.header, BinaryStatus::key_not_found);
}

// --- TLS ---

void handle_get_tls(Session& session, const BinaryRequest& request) {
  const auto tls = session.engine().front_end->tls();
  if (tls == nullptr) return reply_binary_error(session, request.header, BinaryStatus::key_not_found);
  answer_value(session, request.header, tls_settings_text(tls->files()),
               {.datatype = session.has(wire::Feature::json) ? wire::kDatatypeJson : uint8_t{0}});
}

AsideAnswer set_tls(net::FrontEnd& front_end, net::TlsFiles files) {
  const auto failed = [](const base::Error& error) {
    return AsideAnswer{BinaryStatus::invalid_arguments, error_text("Nothing was changed", error.message)};
  };
  auto tls = front_end.tls();
  if (tls == nullptr) {
    auto loaded = net::TlsContext::load(files);
    if (!loaded) return failed(loaded.error());
    tls = std::move(*loaded);
    if (front_end.set_tls(tls)) return {BinaryStatus::success, tls_settings_text(tls->files())};
    tls = front_end.tls();
  }
  if (auto changed = tls->change(std::move(files)); !changed) return failed(changed.error());
  return {BinaryStatus::success, tls_settings_text(tls->files())};
}

void handle_tls(Session& session, const BinaryRequest& request) {
  if (request.value.empty()) return handle_get_tls(session, request);
  auto files = read_tls_settings(request.value);
  if (!files)
    return reply_binary_error(session, request.header, files.error().status, error_text(files.error().why));
  session.run_aside(request.header, [&front_end = *session.engine().front_end, files = std::move(*files),
                                     asking = Asking(session)](const ServedBucket&) {
    AsideAnswer answer = set_tls(front_end, files);
    asking.note("change TLS", files.certificate, answer.status == BinaryStatus::success);
    return answer;
  });
}

void handle_ifconfig(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  std::string verb(request.key);
  std::transform(verb.begin(), verb.end(), verb.begin(), [](unsigned char c) { return std::tolower(c); });
  if (verb == "list" && request.value.empty()) return handle_list(session, request);
  if (session.engine().front_end == nullptr || verb == "list")
    return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  if (verb == "define") return handle_define(session, request);
  if (verb == "delete") return handle_delete(session, request);
  if (verb == "tls") return handle_tls(session, request);
  reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
}

constexpr BinaryCommand kCommands[] = {{
    .opcode = wire::BinaryOpcode::ifconfig,
    .name = "ifconfig",
    .shape = wire::with_datatypes(
        {wire::ExtrasLengths(0), wire::Presence::required, wire::Presence::optional}, wire::kDatatypeJson),
    .handle = handle_ifconfig,
    .needs_bucket = false,
    .needs = kManageServer,
    .key = KeyKind::name,
    .audience = Audience::couchbase,
}};

}  // namespace

std::span<const BinaryCommand> interface_commands() {
  return kCommands;
}

}  // namespace bobbin::serve
