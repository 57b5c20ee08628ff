// Get and lock, unlock: documents that only one client may change for a while (kv_engine
// docs/BinaryProtocol.md, "Get Locked").

#include <utility>

#include "serve/binary_commands.h"
#include "serve/session.h"
#include "serve/storing.h"
#include "store/document_locks.h"

namespace bobbin::serve {
namespace {

using store::LockStatus;
using wire::BinaryOpcode;
using wire::BinaryRequest;
using wire::BinaryStatus;
using wire::ExtrasLengths;
using wire::Presence;

BinaryStatus status_of(LockStatus status) {
  switch (status) {
    case LockStatus::locked:
    case LockStatus::unlocked:
      return BinaryStatus::success;
    case LockStatus::not_found:
      return BinaryStatus::key_not_found;
    case LockStatus::refused:
      return BinaryStatus::locked;
    case LockStatus::not_locked:
      return BinaryStatus::not_locked;
    case LockStatus::no_memory:
    case LockStatus::would_block:
      break;
    case LockStatus::unknown_collection:
      return BinaryStatus::unknown_collection;
  }
  return BinaryStatus::temporary_failure;
}

// True: the key has to be read first, and the request runs again.
bool waits(Session& session, LockStatus status, const BinaryRequest& request) {
  return status == LockStatus::would_block && session.retry_after_reading(key_of(request));
}

void handle_get_locked(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  if (request.header.cas != 0)
    return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  uint32_t seconds = request.extras.empty() ? 0 : wire::read_u32_extras(request.extras);
  if (seconds == 0 || seconds > store::kMaxLockS) seconds = store::kDefaultLockS;
  auto result =
      session.bucket().lock(key_of(request), seconds, session.now(), session.has(wire::Feature::snappy));
  if (waits(session, result.status, request)) return;
  CommandCounters& counters = session.counters();
  counters.cmd_get.add(1);
  (result.status == LockStatus::not_found ? counters.get_misses : counters.get_hits).add(1);
  if (result.status != LockStatus::locked)
    return reply_binary_error(session, request.header, status_of(result.status));
  result.found.locked = false;  // not to this client
  answer_document(session, request.header, {}, std::move(result.found));
}

void handle_unlock(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const LockStatus status = session.bucket().unlock(key_of(request), request.header.cas, session.now());
  if (waits(session, status, request)) return;
  if (status != LockStatus::unlocked) return reply_binary_error(session, request.header, status_of(status));
  answer_success(session, request.header);
}

constexpr BinaryCommand row(BinaryOpcode opcode, std::string_view name, wire::BinaryShape shape,
                            decltype(BinaryCommand::handle) handle) {
  BinaryCommand row{opcode, name, shape, handle};
  row.locks = true;
  row.audience = Audience::couchbase;
  return row;
}

constexpr wire::BinaryShape kUnlock{
    .extras = {}, .key = Presence::required, .value = Presence::forbidden, .cas = Presence::required};

using enum BinaryOpcode;
constexpr BinaryCommand kCommands[] = {
    reorders(row(get_locked, "get_locked", {ExtrasLengths(0, 4), Presence::required, Presence::forbidden},
                 handle_get_locked)),
    reorders(row(unlock_key, "unlock_key", kUnlock, handle_unlock)),
};

}  // namespace

std::span<const BinaryCommand> lock_commands() {
  return kCommands;
}

}  // namespace bobbin::serve
