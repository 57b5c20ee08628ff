// Change streams (kv_engine docs/dcp/documentation): a connection becomes a producer's, and asks it for
// streams. What the producer sends is feed/producer.h's.

#include <algorithm>
#include <string>
#include <utility>

#include "feed/producer.h"
#include "serve/binary_commands.h"
#include "serve/session.h"
#include "wire/dcp.h"
#include "wire/dcp_filter.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryRequest;
using wire::BinaryStatus;
using wire::ExtrasLengths;
using wire::Feature;
using wire::Presence;

void refuse(Session& session, const BinaryRequest& request, BinaryStatus status) {
  reply_binary_error(session, request.header, status);
}

BinaryStatus judge_open(Session& session, const wire::DcpOpen& open) {
  namespace flags = wire::dcp_open_flags;
  constexpr uint32_t kKnown = flags::kProducer | flags::kNotifier | flags::kXattrs | flags::kNoValue |
                              flags::kCollections | flags::kDeleteTimes | flags::kNoValueButDatatype |
                              flags::kDeletedUserXattrs;
  const auto has = [&open](uint32_t flag) { return (open.flags & flag) != 0; };
  if (session.producer() != nullptr || (open.flags & ~kKnown) != 0 || has(flags::kNotifier) ||
      (has(flags::kXattrs) && !session.has(Feature::xattr)) ||
      (has(flags::kNoValue) && has(flags::kNoValueButDatatype)))
    return BinaryStatus::invalid_arguments;
  if (!session.may_somewhere(kDcpProducer)) return BinaryStatus::no_access;
  // A cache has no history; and this node takes changes by asking for them (consumers), not by being sent
  // them.
  if (session.served().disk() == nullptr || !has(flags::kProducer)) return BinaryStatus::not_supported;
  return BinaryStatus::success;
}

void handle_open(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  namespace flags = wire::dcp_open_flags;
  const auto open = wire::read_dcp_open(request);
  const BinaryStatus status = open ? judge_open(session, *open) : BinaryStatus::invalid_arguments;
  if (status != BinaryStatus::success) return refuse(session, request, status);
  const auto has = [&open](uint32_t flag) { return (open->flags & flag) != 0; };
  feed::StreamOptions options;
  options.collections = session.has(Feature::collections);
  options.json = session.has(Feature::json);
  options.snappy = session.has(Feature::snappy);
  options.xattrs = has(flags::kXattrs);
  options.deleted_user_xattrs = has(flags::kDeletedUserXattrs);
  options.no_value = has(flags::kNoValue);
  options.no_value_but_datatype = has(flags::kNoValueButDatatype);
  options.delete_times = has(flags::kDeleteTimes);
  session.produce(std::string(open->name), options);
  answer_success(session, request.header);
}

// A stream's id comes in the framing extras, and has to where the client has asked for ids.
BinaryStatus judge_stream_id(const Session& session, uint16_t id) {
  return session.producer()->has_stream_ids() == (id != 0) ? BinaryStatus::success
                                                           : BinaryStatus::dcp_stream_id_invalid;
}

// What the client wants to see, if it may.
BinaryStatus make_filter(Session& session, const wire::DcpFilter& asked, feed::StreamFilter& filter) {
  // A request is over soon, a stream is not: what the other user may do could change.
  if (session.impersonates()) return BinaryStatus::not_supported;
  // As it was agreed when the producer was opened.
  const bool aware = session.producer()->is_aware();
  if ((asked.scope || asked.collections) && !aware) return BinaryStatus::invalid_arguments;
  auto made = feed::StreamFilter::make(aware, asked, session.manifest());
  if (!made) {
    return made.error() == feed::FilterError::unknown_scope ? BinaryStatus::unknown_scope
                                                            : BinaryStatus::unknown_collection;
  }
  filter = std::move(*made);
  switch (session.may_stream(filter)) {
    case Verdict::granted:
      return BinaryStatus::success;
    case Verdict::refused:
      return BinaryStatus::no_access;
    case Verdict::hidden:
      break;
  }
  return filter.scope() ? BinaryStatus::unknown_scope : BinaryStatus::unknown_collection;
}

void handle_stream_request(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  namespace flags = wire::dcp_stream_flags;
  constexpr uint32_t kKnown = flags::kTakeover | flags::kDiskOnly | flags::kToLatest | flags::kActiveOnly |
                              flags::kStrictUuid | flags::kFromLatest | flags::kIgnorePurged;
  feed::Producer* const producer = session.producer();
  const auto wanted = wire::read_dcp_stream_request(request);
  const auto asked = wanted ? wire::read_dcp_filter(wanted->filter) : std::nullopt;
  if (producer == nullptr || !asked || (asked->scope && asked->collections) || (wanted->flags & ~kKnown) != 0)
    return refuse(session, request, BinaryStatus::invalid_arguments);
  // One node has all vbuckets, and gives none away.
  if ((wanted->flags & flags::kTakeover) != 0) return refuse(session, request, BinaryStatus::not_supported);
  const wire::DcpRoute route{request.header.vbucket_or_status, request.header.opaque,
                             asked->stream_id.value_or(0)};
  BinaryStatus status = judge_stream_id(session, route.stream_id);
  feed::StreamFilter filter;
  if (status == BinaryStatus::success) status = make_filter(session, *asked, filter);
  if (status != BinaryStatus::success) return refuse(session, request, status);
  const feed::StreamAnswer answered = producer->open_stream(route, *wanted, *asked, std::move(filter));
  std::string value;
  if (answered.status == BinaryStatus::success) {
    value.resize(wire::kDcpFailoverEntryBytes * answered.failover.size());
    char* out = value.data();
    for (const store::FailoverEntry& entry : answered.failover)
      out = wire::write_dcp_failover_entry(out, {entry.uuid, entry.seqno});
  } else if (answered.status == BinaryStatus::rollback) {
    value.resize(wire::kDcpRollbackBytes);
    wire::store_big_endian(value.data(), answered.rollback_seqno);
  } else {
    return refuse(session, request, answered.status);
  }
  answer_value(session, request.header, value, {.status = answered.status});
}

void handle_close_stream(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  if (session.producer() == nullptr) return refuse(session, request, BinaryStatus::invalid_arguments);
  const uint16_t id = session.client()->frame.stream_id.value_or(0);
  BinaryStatus status = judge_stream_id(session, id);
  if (status == BinaryStatus::success)
    status = session.producer()->close_stream(request.header.vbucket_or_status, id);
  if (status != BinaryStatus::success) return refuse(session, request, status);
  answer_success(session, request.header);
}

// Only a consumer can be told to ask for a stream.
void handle_add_stream(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  refuse(session, request, BinaryStatus::not_supported);
}

void handle_failover_log(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  if (session.producer() == nullptr) return refuse(session, request, BinaryStatus::invalid_arguments);
  const auto failover = session.bucket().failover_log(request.header.vbucket_or_status);
  std::string value(wire::kDcpFailoverEntryBytes * failover.size(), '\0');
  char* out = value.data();
  for (const store::FailoverEntry& entry : failover)
    out = wire::write_dcp_failover_entry(out, {entry.uuid, entry.seqno});
  answer_value(session, request.header, value);
}

void handle_control(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const auto control = wire::read_dcp_control(request);
  if (session.producer() == nullptr || !control)
    return refuse(session, request, BinaryStatus::invalid_arguments);
  const BinaryStatus status = session.producer()->control(control->key, control->value);
  if (status != BinaryStatus::success) return refuse(session, request, status);
  answer_success(session, request.header);
}

void handle_noop(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  if (session.producer() == nullptr) return refuse(session, request, BinaryStatus::invalid_arguments);
  answer_success(session, request.header);
}

// Is not answered, unless it is wrong.
void handle_buffer_ack(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const auto bytes = wire::read_dcp_buffer_ack(request);
  if (session.producer() == nullptr || !bytes)
    return refuse(session, request, BinaryStatus::invalid_arguments);
  session.producer()->acknowledge(*bytes);
}

constexpr BinaryCommand row(BinaryOpcode opcode, std::string_view name, wire::BinaryShape shape,
                            decltype(BinaryCommand::handle) handle) {
  BinaryCommand row{opcode, name, wire::with_cas(shape), handle};
  row.key = KeyKind::name;
  row.needs = 0;  // a role for one collection will do: the handlers look at what is asked for
  row.audience = Audience::couchbase;
  return row;
}

using enum BinaryOpcode;
constexpr BinaryCommand kCommands[] = {
    row(dcp_open, "dcp_open",
        wire::with_datatypes({ExtrasLengths(8), Presence::required, Presence::optional}, wire::kDatatypeJson),
        handle_open),
    row(dcp_add_stream, "dcp_add_stream", {ExtrasLengths(4), Presence::forbidden, Presence::forbidden},
        handle_add_stream),
    row(dcp_close_stream, "dcp_close_stream", wire::binary_shapes::kNothing, handle_close_stream),
    row(dcp_stream_request, "dcp_stream_req", {ExtrasLengths(48), Presence::forbidden, Presence::optional},
        handle_stream_request),
    row(dcp_failover_log, "dcp_get_failover_log", wire::binary_shapes::kNothing, handle_failover_log),
    row(dcp_noop, "dcp_noop", wire::binary_shapes::kNothing, handle_noop),
    row(dcp_buffer_ack, "dcp_buffer_acknowledgement",
        {ExtrasLengths(4), Presence::forbidden, Presence::forbidden}, handle_buffer_ack),
    row(dcp_control, "dcp_control", {ExtrasLengths(0), Presence::required, Presence::required},
        handle_control),
};

}  // namespace

std::span<const BinaryCommand> dcp_commands() {
  return kCommands;
}

// What a consumer answers to messages of its producer. Nothing is answered to that.
bool take_consumer_reply(Session& session) {
  const std::string_view bytes = session.following();
  if (session.producer() == nullptr || bytes.empty()) return false;
  const auto magic = static_cast<uint8_t>(bytes.front());
  if (magic != wire::kBinaryReplyMagic && magic != wire::kFlexibleReplyMagic) return false;
  if (bytes.size() < wire::kBinaryHeaderBytes) return true;
  const wire::BinaryHeader header = wire::decode_header(bytes.data());
  if (header.opcode == static_cast<uint8_t>(BinaryOpcode::dcp_noop)) session.producer()->noop_answered();
  session.swallow(wire::kBinaryHeaderBytes + uint64_t{header.body_bytes});
  return true;
}

}  // namespace bobbin::serve
