// SASL: who the client is (kv_engine docs/sasl.md; the binary protocol's SASL commands of memcached).

#include <string>
#include <utility>

#include "serve/binary_commands.h"
#include "serve/logins.h"
#include "serve/session.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryRequest;
using wire::BinaryStatus;

// In the order in which a client should choose. PLAIN is for those that know nothing better.
constexpr std::string_view kMechanisms = "SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1 PLAIN";
// Where nobody listens, it is the cheapest.
constexpr std::string_view kTlsMechanisms = "PLAIN SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1";

void handle_list_mechanisms(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const bool is_encrypted = session.connection().tls() != nullptr;
  answer_value(session, request.header, is_encrypted ? kTlsMechanisms : kMechanisms);
}

// Which of them, and whether there is such a user, is not told.
BinaryStatus status_of(const LoginError& error) {
  return error.kind == LoginError::Kind::malformed ? BinaryStatus::invalid_arguments
                                                   : BinaryStatus::auth_error;
}

void refuse(Session& session, const BinaryRequest& request, const LoginError& error) {
  session.log_out();
  reply_binary_error(session, request.header, status_of(error));
}

// The iterations of a password's hash would keep everybody else on the loop waiting.
void handle_plain(Session& session, const BinaryRequest& request, const std::string& peer) {
  Logins& logins = session.engine().logins;
  if (auto known = logins.plain_at_once(request.value, peer); known) {
    if (!*known) return refuse(session, request, known->error());
    session.log_in(std::move(**known));
    return answer_value(session, request.header, session.client() == nullptr ? "Authenticated" : "");
  }
  session.log_in_aside(request.header, [&logins, peer, message = std::string(request.value)] {
    auto user = logins.plain(message, peer);
    return user ? AsideAnswer(BinaryStatus::success, std::move(*user)) : AsideAnswer(status_of(user.error()));
  });
}

void handle_auth(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  // Whatever comes of this: who the client was before, it is no longer (CVE-2013-7239).
  session.log_out();
  Logins& logins = session.engine().logins;
  const std::string peer = session.connection().status().peer;
  if (request.key == "PLAIN") return handle_plain(session, request, peer);
  const auto hash = wire::scram_hash(request.key);
  if (!hash) return reply_binary_error(session, request.header, BinaryStatus::auth_error);
  auto exchange = logins.begin_scram(*hash, request.value, peer);
  if (!exchange) return refuse(session, request, exchange.error());
  answer_value(session, request.header, exchange->server_first(), {.status = BinaryStatus::auth_continue});
  session.begin_login(std::make_unique<wire::ScramExchange>(std::move(*exchange)));
}

void handle_step(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const auto exchange = session.take_login();
  if (exchange == nullptr || wire::scram_hash(request.key) != exchange->hash())
    return refuse(session, request, {});
  const std::string peer = session.connection().status().peer;
  auto done = session.engine().logins.finish_scram(std::move(*exchange), request.value, peer);
  if (!done) return refuse(session, request, done.error());
  session.log_in(std::move(done->user));
  answer_value(session, request.header, done->answer);
}

constexpr BinaryCommand row(BinaryOpcode opcode, std::string_view name, wire::BinaryShape shape,
                            decltype(BinaryCommand::handle) handle) {
  BinaryCommand row{opcode, name, shape, handle};
  row.needs_bucket = false;
  row.key = KeyKind::name;
  row.needs = 0;
  row.needs_users = true;
  return row;
}

using enum BinaryOpcode;
constexpr BinaryCommand kCommands[] = {
    row(sasl_list_mechs, "sasl_list_mechs", wire::binary_shapes::kNothing, handle_list_mechanisms),
    row(sasl_auth, "sasl_auth", wire::binary_shapes::kSasl, handle_auth),
    row(sasl_step, "sasl_step", wire::binary_shapes::kSasl, handle_step),
};

}  // namespace

std::span<const BinaryCommand> login_commands() {
  return kCommands;
}

}  // namespace bobbin::serve
