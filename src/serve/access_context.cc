#include "serve/access_context.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "serve/asking.h"
#include "serve/binary_commands.h"
#include "serve/privilege_names.h"
#include "serve/session.h"
#include "wire/crypto.h"

namespace bobbin::serve {
namespace {

const BinaryCommand* find_row(uint8_t opcode) {
  const BinaryCommand* found = nullptr;
  for_each_binary_command([&](const BinaryCommand& row) {
    if (static_cast<uint8_t>(row.opcode) == opcode && row.audience != Audience::memcached) found = &row;
  });
  return found;
}

// Of version 4.
std::string random_uuid() {
  std::string bytes = wire::random_bytes(16);
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned char>(bytes[i]));
  }
  return text;
}

}  // namespace

std::string note_refusal(Session& session, const BinaryCommand& row) {
  // A server's strangers are refused everything.
  if (session.is_stranger()) return {};
  constexpr Privileges kAdministration = kFlush | kManageBucket | kManageCollections | kManageServer;
  const Asking asking(session);
  // Either of the two may be the one who may not.
  const std::string detail =
      session.impersonates() ? "not allowed on behalf of " + session.impersonated() : "not allowed";
  std::string ref = random_uuid();
  const bool is_kept = asking.audit.admin({.user = asking.user,
                                           .peer = asking.peer,
                                           .action = row.name,
                                           .object = session.has_bucket() ? session.served().name() : "",
                                           .succeeded = false,
                                           .detail = detail,
                                           .pace = AdminEvent::Pace::user,
                                           .ref = ref,
                                           .is_access = (row.needs & kAdministration) == 0});
  return is_kept ? ref : std::string();
}

std::string refuse_access(Session& session, const wire::BinaryHeader& request) {
  std::string text = "Authorization failed";
  std::string ref;
  if (const BinaryCommand* const row = find_row(request.opcode); row != nullptr) {
    text.append(": ").append(row->name);
    std::string_view separator = " needs ";
    for (const NamedPrivilege& named : named_privileges()) {
      if ((row->needs & named.privilege) == 0 || session.may(named.privilege)) continue;
      text.append(separator).append(named.name);
      separator = ", ";
    }
    ref = note_refusal(session, *row);
  }
  return R"({"error":{"context":")" + text + (ref.empty() ? "" : R"(","ref":")" + ref) + R"("}})";
}

}  // namespace bobbin::serve
