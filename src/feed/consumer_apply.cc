// What the streams of a source carry, and what becomes of it here.

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "feed/consumer.h"
#include "store/collection_event.h"
#include "wire/compression.h"
#include "wire/datatype.h"
#include "wire/xattr.h"

namespace bobbin::feed {
namespace {

using store::ReplicaStatus;
using wire::DcpEnd;

std::optional<store::EventKind> kind_of(wire::DcpEvent event) {
  switch (event) {
    case wire::DcpEvent::collection_created:
      return store::EventKind::collection_created;
    case wire::DcpEvent::collection_dropped:
      return store::EventKind::collection_dropped;
    case wire::DcpEvent::collection_changed:
      return store::EventKind::collection_changed;
    case wire::DcpEvent::scope_created:
      return store::EventKind::scope_created;
    case wire::DcpEvent::scope_dropped:
      return store::EventKind::scope_dropped;
  }
  return std::nullopt;
}

}  // namespace

FrameOutcome Consumer::take_request(std::string_view frame, base::Now now, SteadyTime steady,
                                    net::Output& out) {
  wire::BinaryRequest request;
  if (wire::cut_frame(frame, request, true) != wire::FrameState::complete)
    return broken("the source sends what is no message");
  const auto message = wire::read_dcp_message(request, true);
  if (!message)
    return broken(
        fmt::format("the source sends a message 0x{:02x} that cannot be read", request.header.opcode));
  if (std::holds_alternative<wire::DcpNoop>(*message)) {
    char* const begin = out.reserve(wire::kBinaryHeaderBytes);
    const char* const end = wire::write_dcp_reply(begin, wire::BinaryOpcode::dcp_noop, request.header.opaque,
                                                  wire::BinaryStatus::success);
    out.commit(static_cast<size_t>(end - begin));
    return FrameOutcome::taken;
  }
  const auto route = wire::read_dcp_route(request);
  if (!route || route->vbucket >= streams_.size() || streams_[route->vbucket].phase != Phase::open ||
      streams_[route->vbucket].opaque != route->opaque || route->stream_id != 0)
    return broken("the source sends something for a stream that is not open");
  const uint16_t vbucket = route->vbucket;
  const FrameOutcome outcome =
      std::visit([&](const auto& what) { return apply(vbucket, what, now); }, *message);
  if (outcome != FrameOutcome::taken) return outcome;
  numbers_.bytes.add(frame.size());
  acknowledge(wire::dcp_flow_bytes(request), out);
  settle_lag(steady);
  return FrameOutcome::taken;
}

FrameOutcome Consumer::wait(uint16_t vbucket) {
  waits_for_ = vbucket;
  numbers_.memory_waits.add(1);
  return FrameOutcome::wait;
}

FrameOutcome Consumer::outcome_of(ReplicaStatus status, uint16_t vbucket, uint64_t seqno) {
  const auto refuse = [&](std::string_view why) {
    return broken(fmt::format("seqno {} of vbucket {} {}", seqno, vbucket, why));
  };
  switch (status) {
    case ReplicaStatus::applied:
      reached(vbucket, seqno);
      return FrameOutcome::taken;
    case ReplicaStatus::no_memory:
      return wait(vbucket);
    case ReplicaStatus::not_following:
      return broken("changes cannot be written to disk here");
    case ReplicaStatus::out_of_order:
      return refuse("comes out of order");
    case ReplicaStatus::unknown_collection:
      return refuse("is of a collection that the source has not told of");
    case ReplicaStatus::invalid:
      break;
  }
  return refuse("is nothing that can be");
}

void Consumer::reached(uint16_t vbucket, uint64_t seqno) {
  Stream& stream = streams_[vbucket];
  stream.seqno = seqno;
  if (!stream.is_behind || seqno < stream.target) return;
  stream.is_behind = false;
  --behind_;
}

// The name alone chooses the vbucket. A key that no client could name is none.
bool Consumer::fits(uint16_t vbucket, const wire::DcpKey& key) const {
  const store::DocKey document(key.collection, key.name);
  return !key.name.empty() && document.stored_size() <= store::kMaxStoredKeyBytes &&
         bucket_.vbucket_of(document) == vbucket;
}

bool Consumer::has_sound_attributes(std::string_view value, bool with_body) {
  const auto parts = wire::split_xattr_value(value);
  return parts && (with_body || parts->body.empty()) && wire::check_xattrs(parts->block, index_);
}

FrameOutcome Consumer::apply(uint16_t vbucket, const wire::DcpSnapshotMarker& marker, base::Now /*now*/) {
  if (marker.start_seqno > marker.end_seqno) return broken("the source's snapshot ends before it begins");
  if (bucket_.high_seqno(vbucket) != streams_[vbucket].seqno) return broken(kChangedByItself);
  const bool from_disk = (marker.flags & wire::dcp_snapshot_flags::kDisk) != 0;
  const ReplicaStatus status =
      bucket_.begin_snapshot(vbucket, {marker.start_seqno, marker.end_seqno, from_disk});
  if (status != ReplicaStatus::applied) return outcome_of(status, vbucket, marker.end_seqno);
  numbers_.snapshots.add(1);
  return FrameOutcome::taken;
}

// A compressed value is kept as it has come, once it is known to be sound; not where it has attributes, which
// are wanted at once when the document goes.
bool Consumer::take_compressed(std::string_view& value, uint8_t& datatype) {
  if ((datatype & wire::kDatatypeSnappy) == 0) [[likely]]
    return true;
  if ((datatype & wire::kDatatypeXattr) == 0) {
    const auto bytes = wire::inflated_bytes(value);
    return bytes && *bytes <= store::kLargestMaxValueBytes && wire::is_sound(value);
  }
  constexpr size_t kMost = store::kLargestMaxValueBytes + store::kAttributeAllowanceBytes;
  if (!wire::inflate(value, kMost, plain_)) return false;
  value = plain_;
  datatype &= static_cast<uint8_t>(~wire::kDatatypeSnappy);
  return true;
}

FrameOutcome Consumer::apply(uint16_t vbucket, const wire::DcpMutation& received, base::Now now) {
  wire::DcpMutation mutation = received;
  constexpr uint8_t kKnown = wire::kDatatypeJson | wire::kDatatypeXattr | wire::kDatatypeSnappy;
  if ((mutation.datatype & ~kKnown) != 0 || !fits(vbucket, mutation.key) ||
      !take_compressed(mutation.value, mutation.datatype))
    return outcome_of(ReplicaStatus::invalid, vbucket, mutation.seqno);
  if ((mutation.datatype & wire::kDatatypeXattr) != 0 && !has_sound_attributes(mutation.value, true))
    return outcome_of(ReplicaStatus::invalid, vbucket, mutation.seqno);
  if (disk_.over_dirty_limit()) return wait(vbucket);
  auto draft = bucket_.replica_draft({mutation.key.collection, mutation.key.name}, mutation.flags,
                                     mutation.expiry_s, static_cast<uint32_t>(mutation.value.size()), now);
  if (!draft) {
    if (draft.error() == store::DraftError::too_large)
      return broken(fmt::format("seqno {} of vbucket {} is a value of {} bytes, too large for this server",
                                mutation.seqno, vbucket, mutation.value.size()));
    return wait(vbucket);
  }
  if (!mutation.value.empty())
    std::memcpy(draft->value().data(), mutation.value.data(), mutation.value.size());
  draft->set_datatype(mutation.datatype);
  const ReplicaStatus status = bucket_.apply(
      *draft, {.seqno = mutation.seqno, .cas = mutation.cas, .revision = mutation.revision}, now);
  if (status == ReplicaStatus::applied) numbers_.mutations.add(1);
  return outcome_of(status, vbucket, mutation.seqno);
}

FrameOutcome Consumer::apply(uint16_t vbucket, const wire::DcpRemoval& received, base::Now now) {
  wire::DcpRemoval removal = received;
  const bool keeps = (removal.datatype & wire::kDatatypeXattr) != 0;
  if (keeps && !take_compressed(removal.value, removal.datatype))
    return outcome_of(ReplicaStatus::invalid, vbucket, removal.seqno);
  // Without attributes nothing is left of a document; a body there is none, whatever the datatype says.
  if (!fits(vbucket, removal.key) || (!keeps && !removal.value.empty()) ||
      (keeps && (removal.datatype != wire::kDatatypeXattr || !has_sound_attributes(removal.value, false))))
    return outcome_of(ReplicaStatus::invalid, vbucket, removal.seqno);
  if (disk_.over_dirty_limit()) return wait(vbucket);
  const bool expired = removal.kind == wire::DcpRemovalKind::expiration;
  const store::ReplicaChange change{.seqno = removal.seqno,
                                    .cas = removal.cas,
                                    .revision = removal.revision,
                                    .deleted_s = removal.delete_time_s,
                                    .expired = expired};
  const store::DocKey key(removal.key.collection, removal.key.name);
  ReplicaStatus status = ReplicaStatus::applied;
  if (keeps) {
    auto draft = bucket_.replica_draft(key, 0, 0, static_cast<uint32_t>(removal.value.size()), now);
    if (!draft) {
      if (draft.error() == store::DraftError::too_large)
        return outcome_of(ReplicaStatus::invalid, vbucket, removal.seqno);
      return wait(vbucket);
    }
    std::memcpy(draft->value().data(), removal.value.data(), removal.value.size());
    draft->set_datatype(removal.datatype);
    status = bucket_.apply_removal(*draft, change, now);
  } else {
    status = bucket_.apply_removal(key, change, now);
  }
  if (status == ReplicaStatus::applied) (expired ? numbers_.expirations : numbers_.deletions).add(1);
  return outcome_of(status, vbucket, removal.seqno);
}

FrameOutcome Consumer::apply(uint16_t vbucket, const wire::DcpSystemEvent& event, base::Now now) {
  const auto kind = kind_of(event.event);
  if (!kind) return outcome_of(ReplicaStatus::invalid, vbucket, event.seqno);
  const store::CollectionEvent what{.kind = *kind,
                                    .manifest_uid = event.manifest_uid,
                                    .scope = event.scope,
                                    .collection = event.collection,
                                    .max_ttl_s = event.max_ttl_s,
                                    .name = event.name};
  const ReplicaStatus status = bucket_.apply_event(vbucket, what, event.seqno, now);
  if (status == ReplicaStatus::applied) numbers_.events.add(1);
  return outcome_of(status, vbucket, event.seqno);
}

FrameOutcome Consumer::apply(uint16_t vbucket, const wire::DcpSeqnoAdvanced& advanced, base::Now /*now*/) {
  return outcome_of(bucket_.advance_seqno(vbucket, advanced.seqno), vbucket, advanced.seqno);
}

// Most ends are for a moment: the bucket was flushed, or its disk could not be read. The next tick asks
// again, and the answer says what is to be done.
FrameOutcome Consumer::apply(uint16_t vbucket, const DcpEnd& reason, base::Now /*now*/) {
  if (reason == DcpEnd::lost_privileges) return broken("the source lets this user read its changes no more");
  close_stream(vbucket);
  return FrameOutcome::taken;
}

template <typename Other>
FrameOutcome Consumer::apply(uint16_t vbucket, const Other& /*other*/, base::Now /*now*/) {
  return broken(fmt::format("the source sends for vbucket {} what it was not asked for", vbucket));
}

}  // namespace bobbin::feed
