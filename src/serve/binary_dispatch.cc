// From the bytes of a binary request to the row of its command.

#include <algorithm>
#include <array>

#include "serve/access_context.h"
#include "serve/binary_commands.h"
#include "serve/cluster_config.h"
#include "serve/privilege_names.h"
#include "serve/session.h"
#include "wire/datatype.h"
#include "wire/leb128.h"

namespace bobbin::serve {
namespace {

using wire::BinaryRequest;
using wire::BinaryStatus;
using wire::Feature;

// HELLO and logins take a few hundred: it is kept until all of it is there.
constexpr uint32_t kStrangersValueBytes = 4 << 10;

using Rows = std::array<const BinaryCommand*, 256>;

constexpr auto kTables = {classic_commands,  connection_commands, login_commands,     collection_commands,
                          metadata_commands, subdoc_commands,     lock_commands,      with_meta_commands,
                          document_commands, node_commands,       interface_commands, range_scan_commands,
                          dcp_commands};

Rows rows_for(Audience audience) {
  Rows rows{};
  for (const auto table : kTables) {
    for (const BinaryCommand& row : table())
      if (row.audience == Audience::everybody || row.audience == audience)
        rows[static_cast<uint8_t>(row.opcode)] = &row;
  }
  return rows;
}

const BinaryCommand* row_of(uint8_t opcode, bool said_hello) {
  static const std::array<Rows, 2> kRows{rows_for(Audience::memcached), rows_for(Audience::couchbase)};
  return kRows[said_hello ? 1 : 0][opcode];
}

// The bits that this client has agreed on.
bool may_send_datatype(const Session& session, uint8_t datatype) {
  uint8_t allowed = 0;
  if (session.has(Feature::json)) allowed |= wire::kDatatypeJson;
  if (session.has(Feature::snappy)) allowed |= wire::kDatatypeSnappy;
  if (session.has(Feature::xattr)) allowed |= wire::kDatatypeXattr;
  return (datatype & ~allowed) == 0;
}

// The framing extras, and as whom the request is to be judged (kv_engine docs/Impersonate.md).
BinaryStatus read_frame(Session& session, const BinaryRequest& request) {
  wire::FrameInfo& frame = session.client()->frame;
  frame = {};
  if (const auto read = wire::read_frame_info(request.framing, frame); read != BinaryStatus::success)
    return read;
  Privileges extra = 0;
  if (frame.extra_privileges) [[unlikely]] {
    std::string_view rest = request.framing;
    for (std::string_view name; !(name = wire::take_extra_privilege(rest)).empty();) {
      const auto named = privileges_of(name);
      if (!named) return BinaryStatus::invalid_arguments;
      extra |= *named;
    }
  }
  if (frame.impersonated.empty()) return BinaryStatus::success;
  const bool granted = session.may(kImpersonate) && session.impersonate(frame.impersonated, extra);
  frame.impersonated = {};  // it does not outlive the request's bytes
  return granted ? BinaryStatus::success : BinaryStatus::no_access;
}

// 1 to 7 are kept for upstream's own use, and names elsewhere than in the default collection are shorter
// (kv_engine docs/Collections.md).
bool is_name_in(uint32_t collection, std::string_view name) {
  constexpr uint32_t kFirstCollection = 8;
  constexpr size_t kMostInOthers = 246;
  return !name.empty() &&
         (collection == 0 || (collection >= kFirstCollection && name.size() <= kMostInOthers));
}

// What a client of Couchbase's protocol has to be told before its command is looked at; success lets it
// pass. Takes the collection's id off the key.
BinaryStatus admit(Session& session, const BinaryCommand& row, BinaryRequest& request) {
  const wire::FrameInfo& frame = session.client()->frame;
  // What is asked for and cannot be done is refused: ignored, it would be done wrongly.
  if (frame.preserve_ttl && !row.keeps_expiry) return BinaryStatus::not_supported;
  if (frame.durability != wire::DurabilityLevel::none) {
    if (!row.writes) return BinaryStatus::invalid_arguments;
    // One node is a majority of one; its disk is another matter.
    if (session.wants_on_disk() && session.served().disk() == nullptr)
      return BinaryStatus::durability_impossible;
  }
  if (!may_send_datatype(session, request.header.datatype)) return BinaryStatus::invalid_arguments;
  if (!row.needs_bucket) return BinaryStatus::success;
  if (!session.has_bucket()) return BinaryStatus::no_bucket;
  // Not the configuration either, which NOT_MY_VBUCKET carries.
  if (!session.may_select_here()) return BinaryStatus::no_access;
  if (request.header.vbucket_or_status >= session.bucket().vbucket_count())
    return BinaryStatus::not_my_vbucket;
  if (row.key != KeyKind::document) return BinaryStatus::success;
  if (!session.served().vbuckets().serves(request.header.vbucket_or_status)) [[unlikely]]
    return BinaryStatus::not_my_vbucket;
  if (request.key.empty()) return session.may(row.needs) ? BinaryStatus::success : BinaryStatus::no_access;
  if (session.has(Feature::collections)) {
    const auto collection = wire::take_leb128(request.key);
    if (!collection || !is_name_in(*collection, request.key)) return BinaryStatus::invalid_arguments;
    request.collection = *collection;
  }
  switch (session.may_in(request.collection, row.needs)) {
    case Verdict::granted:
      return BinaryStatus::success;
    case Verdict::refused:
      return BinaryStatus::no_access;
    case Verdict::hidden:
      break;
  }
  return BinaryStatus::unknown_collection;
}

void refuse(Session& session, const BinaryRequest& request, BinaryStatus status) {
  if (status == BinaryStatus::not_my_vbucket) return reply_not_my_vbucket(session, request.header);
  reply_binary_error(session, request.header, status);
}

/// Not for a server that follows another. Of what such a server may be asked nothing else is a change of what
/// is stored: users, logs and connections are its own.
bool changes_something(const BinaryCommand& row) {
  constexpr Privileges kChanges = kWrite | kMetaWrite | kFlush | kManageCollections;
  return row.writes || row.sets_states || row.locks || (row.needs & kChanges) != 0;
}

/// A client's answer to what the server has sent of its own accord. Nobody waits for one; it is told by its
/// first byte, and comes only from who has agreed on such requests.
bool take_answer(Session& session) {
  const std::string_view bytes = session.following();
  if (!session.has(Feature::duplex) || bytes.empty() ||
      static_cast<uint8_t>(bytes.front()) != wire::kClientReplyMagic)
    return false;
  if (bytes.size() >= wire::kBinaryHeaderBytes)
    session.swallow(wire::kBinaryHeaderBytes + uint64_t{wire::decode_header(bytes.data()).body_bytes});
  return true;
}

void run(Session& session, const BinaryCommand& row, const BinaryRequest& request) {
  const std::string_view frame = session.following();
  const bool is_unordered = session.is_unordered();
  if (is_unordered && !session.may_begin(row, request)) return;
  session.take(row.uploads ? request.head_bytes() : request.frame_bytes());
  if (is_unordered) return session.run_unordered(row, request, frame);
  session.counters().times.note(CommandTimes::kBinary + request.header.opcode);
  row.handle(session, row, request);
}

}  // namespace

void for_each_binary_command(const std::function<void(const BinaryCommand&)>& visit) {
  for (const auto table : kTables)
    for (const BinaryCommand& row : table())
      visit(row);
}

void run_binary_command(Session& session) {
  if (take_consumer_reply(session) || take_answer(session)) [[unlikely]]
    return;
  BinaryRequest request;
  const bool said_hello = session.client() != nullptr;
  const wire::FrameState state =
      wire::cut_frame(session.following(), request, session.has(Feature::alt_request));
  if (state == wire::FrameState::incomplete) return;
  const bool is_frame = state != wire::FrameState::bad_magic && state != wire::FrameState::bad_lengths;
  const BinaryCommand* row = is_frame ? row_of(request.header.opcode, said_hello) : nullptr;
  if (session.is_unordered() && session.waits_its_turn(row)) [[unlikely]]
    return;
  if (state == wire::FrameState::bad_magic) return session.quit();
  if (state == wire::FrameState::bad_lengths) {
    reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
    return session.quit();
  }
  if (row != nullptr && row->needs_users && !said_hello && session.engine().users.empty()) row = nullptr;
  if (row == nullptr) {
    reply_binary_error(session, request.header, BinaryStatus::unknown_command);
    return session.swallow(request.frame_bytes());
  }
  const size_t max_key_bytes = wire::kMaxBinaryKeyBytes + (session.has(Feature::collections) ? 1 : 0);
  BinaryStatus shape = wire::check_shape(request.header, row->shape, max_key_bytes);
  if (said_hello && shape == BinaryStatus::success) shape = wire::check_marks(request.header, row->shape);
  if (shape != BinaryStatus::success) {
    reply_binary_error(session, request.header, shape);
    // memcached closes; Couchbase goes on with the next frame.
    return said_hello ? session.swallow(request.frame_bytes()) : session.quit();
  }
  if (state == wire::FrameState::header) return;
  session.be_oneself();
  if (said_hello) {
    if (const auto read = read_frame(session, request); read != BinaryStatus::success) {
      reply_binary_error(session, request.header, read);
      return session.swallow(request.frame_bytes());
    }
  }
  // Of what is about a document, the collection says more: admit().
  const bool is_allowed = said_hello && row->key == KeyKind::document ? session.may_somewhere(row->needs)
                                                                      : session.may(row->needs);
  if (!is_allowed) {
    // Memcached's clients know only that they have to log in.
    if (!said_hello) note_refusal(session, *row);
    reply_binary_error(session, request.header,
                       said_hello ? BinaryStatus::no_access : BinaryStatus::auth_error);
    return session.swallow(request.frame_bytes());
  }
  if (said_hello) {
    if (const auto admitted = admit(session, *row, request); admitted != BinaryStatus::success) {
      refuse(session, request, admitted);
      return session.swallow(request.frame_bytes());
    }
  }
  if (session.engine().following != nullptr && changes_something(*row)) [[unlikely]] {
    reply_binary_error(session, request.header, BinaryStatus::not_supported, kFollowsContext);
    return session.swallow(request.frame_bytes());
  }
  if (!row->uploads) {
    const uint32_t most = session.is_stranger() ? kStrangersValueBytes : row->max_value_bytes;
    if (request.value_bytes > std::min(most, row->max_value_bytes)) {
      reply_binary_error(session, request.header, BinaryStatus::too_large);
      return session.swallow(request.frame_bytes());
    }
    if (state != wire::FrameState::complete) return;
  }
  run(session, *row, request);
}

}  // namespace bobbin::serve
