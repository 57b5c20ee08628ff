// What clients ask about documents and vbuckets without reading or changing them.

#include <array>
#include <optional>
#include <string>

#include "serve/binary_commands.h"
#include "serve/session.h"
#include "serve/storing.h"
#include "wire/datatype.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryRequest;
using wire::BinaryStatus;
using wire::ExtrasLengths;
using wire::Presence;

// Appends numbers in network byte order.
template <std::unsigned_integral Number>
void append_number(std::string& bytes, Number number) {
  std::array<char, sizeof(Number)> encoded;
  wire::store_big_endian(encoded.data(), number);
  bytes.append(encoded.data(), encoded.size());
}

// GET_META: deleted, flags, expiry, revision, and with version 2 the datatype (docs/BinaryProtocol.md).
void handle_get_meta(Session& session, const BinaryCommand& row, const BinaryRequest& request) {
  if (!request.extras.empty() && request.extras[0] != 1 && request.extras[0] != 2)
    return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  store::FetchOptions options;
  options.cannot_win = true;
  options.no_bump = true;
  options.needs_value = false;
  options.finds_deleted = true;
  const auto found = session.bucket().fetch(key_of(request), options, session.now());
  const Trouble trouble = trouble_of(session, found, key_of(request));
  if (trouble == Trouble::again) return;
  if (trouble != Trouble::none) return reply_binary_error(session, request.header, status_of(trouble));
  if (!found) {
    if (!row.quiet) reply_binary_error(session, request.header, BinaryStatus::key_not_found);
    return;
  }
  std::string extras;
  append_number(extras, uint32_t{found.deleted});
  append_number(extras, found.doc->flags());
  append_number(extras, found.expiry);
  append_number(extras, found.doc->revision());
  if (!request.extras.empty() && request.extras[0] == 2) {
    const uint8_t datatype = found.doc->datatype();
    const bool inflates = !session.has(wire::Feature::snappy);
    append_number(extras, static_cast<uint8_t>(inflates ? datatype & ~wire::kDatatypeSnappy : datatype));
  }
  session.note_read(key_of(request), 0);
  answer(session, request.header, {.cas = found.shown_cas(), .extras = extras});
}

// OBSERVE_SEQNO: the request's value is the uuid that the client knows. Format 0 when it is the current one;
// 1 when there was a failover since: then the old uuid and how far it is valid follow.
void handle_observe_seqno(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  if (request.value.size() != 8)
    return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  const auto asked = wire::load_big_endian<uint64_t>(request.value.data());
  const uint16_t vbucket = request.header.vbucket_or_status;
  const store::Bucket& bucket = session.bucket();
  const auto failover = bucket.failover_log(vbucket);
  std::string value;
  const auto write = [&](uint8_t format) {
    append_number(value, format);
    append_number(value, vbucket);
    append_number(value, failover.front().uuid);
    append_number(value, bucket.is_persistent() ? bucket.persisted_seqno(vbucket) : uint64_t{0});
    append_number(value, bucket.high_seqno(vbucket));
  };
  if (failover.front().uuid == asked) {
    write(0);
    return answer_value(session, request.header, value);
  }
  for (size_t i = 1; i < failover.size(); ++i) {
    if (failover[i].uuid != asked) continue;
    write(1);
    append_number(value, asked);
    append_number(value, failover[i - 1].seqno);
    return answer_value(session, request.header, value);
  }
  reply_binary_error(session, request.header, BinaryStatus::key_not_found);
}

void handle_failover_log(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  std::string value;
  for (const store::FailoverEntry& entry : session.bucket().failover_log(request.header.vbucket_or_status)) {
    append_number(value, entry.uuid);
    append_number(value, entry.seqno);
  }
  answer_value(session, request.header, value);
}

// Whether a vbucket is in the state that was asked for: 0 is any but dead.
bool is_in_state(const Session& session, uint16_t vbucket, uint32_t state) {
  const auto is = session.served().vbuckets().of(vbucket);
  return state == is || (state == 0 && is != VBucketStates::kDeleted && is != VBucketStates::kDead);
}

// GET_ALL_VB_SEQNOS: the extras may name a state and a collection.
void handle_all_seqnos(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const uint32_t state = wire::read_u32_extras(request.extras);
  std::optional<store::CollectionId> collection;
  if (request.extras.size() == 8) collection = wire::read_u32_extras(request.extras.substr(4));
  if (collection && session.manifest().collection(*collection) == nullptr)
    return reply_binary_error(session, request.header, BinaryStatus::unknown_collection);
  if (state > 4) return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  std::string value;
  const store::Bucket& bucket = session.bucket();
  value.reserve(10 * size_t{bucket.vbucket_count()});
  for (uint32_t vbucket = 0; vbucket < bucket.vbucket_count(); ++vbucket) {
    const auto number = static_cast<uint16_t>(vbucket);
    if (!is_in_state(session, number, state)) continue;
    append_number(value, number);
    append_number(value, collection ? bucket.high_seqno(number, *collection) : bucket.high_seqno(number));
  }
  answer_value(session, request.header, value);
}

// There are no replicas here.
void handle_get_replica(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  reply_not_my_vbucket(session, request.header);
}

constexpr BinaryCommand row(BinaryOpcode opcode, std::string_view name, wire::BinaryShape shape,
                            decltype(BinaryCommand::handle) handle, KeyKind key = KeyKind::document) {
  BinaryCommand row{opcode, name, shape, handle};
  row.key = key;
  if (key == KeyKind::name) row.needs = 0;  // of vbuckets: who may select the bucket
  row.audience = Audience::couchbase;
  return row;
}
constexpr BinaryCommand quiet(BinaryCommand row) {
  row.quiet = true;
  return row;
}

constexpr wire::BinaryShape kMeta{ExtrasLengths(0, 1), Presence::required, Presence::forbidden};

using enum BinaryOpcode;
constexpr BinaryCommand kCommands[] = {
    row(get_meta, "get_meta", kMeta, handle_get_meta),
    quiet(row(getq_meta, "getq_meta", kMeta, handle_get_meta)),
    row(observe_seqno, "observe_seqno",
        wire::with_cas({ExtrasLengths(0), Presence::forbidden, Presence::required}), handle_observe_seqno,
        KeyKind::name),
    row(get_failover_log, "get_failover_log", wire::binary_shapes::kNothing, handle_failover_log,
        KeyKind::name),
    reorders(row(get_all_vb_seqnos, "get_all_vb_seqnos",
                 {ExtrasLengths(0, 4, 8), Presence::forbidden, Presence::forbidden}, handle_all_seqnos,
                 KeyKind::name)),
    reorders(row(get_replica, "get_replica", wire::binary_shapes::kKey, handle_get_replica)),
};

}  // namespace

std::span<const BinaryCommand> metadata_commands() {
  return kCommands;
}

}  // namespace bobbin::serve
