#include "wire/dcp_changes.h"

#include "wire/frame_info.h"

namespace bobbin::wire {
namespace {

constexpr size_t kMarkerV1Bytes = 20;
constexpr size_t kMarkerV20Bytes = 36;
constexpr size_t kMarkerV21Bytes = 44;
constexpr size_t kMarkerV22Bytes = 52;
constexpr size_t kShortMarkerV22Bytes = 44;  ///< without the high prepared seqno

// Reads numbers one after the other; the lengths were checked.
class Numbers {
 public:
  explicit Numbers(std::string_view bytes) : at_(bytes.data()) {}
  template <std::unsigned_integral Number>
  void take(Number& number) {
    number = load_big_endian<Number>(at_);
    at_ += sizeof(Number);
  }

 private:
  const char* at_;
};

BinaryOpcode opcode_of(const BinaryRequest& request) {
  return static_cast<BinaryOpcode>(request.header.opcode);
}

// A message about a document, with extras of this length: its key.
std::optional<DcpKey> key_of(const BinaryRequest& request, size_t extras_bytes, bool collections) {
  if (request.extras.size() != extras_bytes) return std::nullopt;
  return read_dcp_key(request.key, collections);
}

}  // namespace

// ---- keys

std::optional<DcpKey> read_dcp_key(std::string_view wire, bool collections) {
  DcpKey key{.name = wire, .wire = wire};
  if (collections) {
    const std::optional<uint32_t> id = take_leb128(key.name);
    if (!id) return std::nullopt;
    key.collection = *id;
  }
  if (key.name.empty()) return std::nullopt;
  return key;
}

// ---- snapshots

char* write_dcp_snapshot_marker(char* out, const DcpRoute& route, const DcpSnapshotMarker& marker) {
  const bool first = marker.version == DcpMarkerVersion::v1;
  const size_t value = marker.version == DcpMarkerVersion::v2_2 ? kMarkerV22Bytes : kMarkerV20Bytes;
  out = write_dcp_head(out, route,
                       {.opcode = BinaryOpcode::dcp_snapshot_marker,
                        .extras_bytes = static_cast<uint8_t>(first ? kMarkerV1Bytes : 1),
                        .value_bytes = first ? 0 : value});
  if (!first)
    out = store_big_endian(out, uint8_t{marker.version == DcpMarkerVersion::v2_2 ? uint8_t{2} : uint8_t{0}});
  out = store_big_endian(out, marker.start_seqno);
  out = store_big_endian(out, marker.end_seqno);
  out = store_big_endian(out, marker.flags);
  if (first) return out;
  out = store_big_endian(out, marker.max_visible_seqno);
  out = store_big_endian(out, marker.high_completed_seqno);
  if (marker.version == DcpMarkerVersion::v2_0) return out;
  out = store_big_endian(out, marker.purge_seqno);
  return store_big_endian(out, marker.high_prepared_seqno);
}

std::optional<DcpSnapshotMarker> read_dcp_snapshot_marker(const BinaryRequest& request) {
  if (!request.key.empty()) return std::nullopt;
  DcpSnapshotMarker marker;
  const auto read_first = [&marker](Numbers& numbers) {
    numbers.take(marker.start_seqno);
    numbers.take(marker.end_seqno);
    numbers.take(marker.flags);
    marker.max_visible_seqno = marker.end_seqno;
  };
  if (request.extras.size() == kMarkerV1Bytes && request.value.empty()) {
    Numbers numbers(request.extras);
    read_first(numbers);
    return marker;
  }
  if (request.extras.size() != 1) return std::nullopt;
  const auto version = static_cast<uint8_t>(request.extras[0]);
  const size_t size = request.value.size();
  const bool fits = (version == 0 && size == kMarkerV20Bytes) || (version == 1 && size == kMarkerV21Bytes) ||
                    (version == 2 && (size == kMarkerV22Bytes || size == kShortMarkerV22Bytes));
  if (!fits) return std::nullopt;
  marker.version = version == 2 ? DcpMarkerVersion::v2_2 : DcpMarkerVersion::v2_0;
  Numbers numbers(request.value);
  read_first(numbers);
  numbers.take(marker.max_visible_seqno);
  numbers.take(marker.high_completed_seqno);
  if (version == 2) numbers.take(marker.purge_seqno);
  if (size == kMarkerV22Bytes) numbers.take(marker.high_prepared_seqno);
  return marker;
}

char* write_dcp_oso_snapshot(char* out, const DcpRoute& route, const DcpOsoSnapshot& snapshot) {
  out = write_dcp_head(out, route, {.opcode = BinaryOpcode::dcp_oso_snapshot, .extras_bytes = 4});
  return store_big_endian(out, snapshot.flags);
}

std::optional<DcpOsoSnapshot> read_dcp_oso_snapshot(const BinaryRequest& request) {
  if (request.extras.size() != 4 || !request.key.empty() || request.value_bytes != 0) return std::nullopt;
  const DcpOsoSnapshot snapshot{load_big_endian<uint32_t>(request.extras.data())};
  if (snapshot.flags != dcp_oso_flags::kStart && snapshot.flags != dcp_oso_flags::kEnd) return std::nullopt;
  return snapshot;
}

char* write_dcp_seqno_advanced(char* out, const DcpRoute& route, const DcpSeqnoAdvanced& advanced) {
  out = write_dcp_head(out, route, {.opcode = BinaryOpcode::dcp_seqno_advanced, .extras_bytes = 8});
  return store_big_endian(out, advanced.seqno);
}

std::optional<DcpSeqnoAdvanced> read_dcp_seqno_advanced(const BinaryRequest& request) {
  if (request.extras.size() != 8 || !request.key.empty() || request.value_bytes != 0) return std::nullopt;
  return DcpSeqnoAdvanced{load_big_endian<uint64_t>(request.extras.data())};
}

// ---- changes of documents

char* write_dcp_mutation(char* out, const DcpRoute& route, const DcpMutation& mutation) {
  out = write_dcp_head(out, route,
                       {.opcode = BinaryOpcode::dcp_mutation,
                        .extras_bytes = 31,
                        .key_bytes = mutation.key.wire.size(),
                        .value_bytes = mutation.value.size(),
                        .datatype = mutation.datatype,
                        .cas = mutation.cas});
  out = store_big_endian(out, mutation.seqno);
  out = store_big_endian(out, mutation.revision);
  out = store_big_endian(out, mutation.flags);
  out = store_big_endian(out, mutation.expiry_s);
  out = store_big_endian(out, mutation.lock_time_s);
  out = store_big_endian(out, uint16_t{0});  // no metadata behind the value
  return store_big_endian(out, mutation.used);
}

std::optional<DcpMutation> read_dcp_mutation(const BinaryRequest& request, bool collections) {
  const std::optional<DcpKey> key = key_of(request, 31, collections);
  if (!key) return std::nullopt;
  DcpMutation mutation{.cas = request.header.cas, .datatype = request.header.datatype, .key = *key};
  uint16_t metadata_bytes = 0;
  Numbers numbers(request.extras);
  numbers.take(mutation.seqno);
  numbers.take(mutation.revision);
  numbers.take(mutation.flags);
  numbers.take(mutation.expiry_s);
  numbers.take(mutation.lock_time_s);
  numbers.take(metadata_bytes);
  numbers.take(mutation.used);
  if (metadata_bytes > request.value.size()) return std::nullopt;
  mutation.value = request.value.substr(0, request.value.size() - metadata_bytes);
  return mutation;
}

char* write_dcp_removal(char* out, const DcpRoute& route, const DcpRemoval& removal) {
  const bool expires = removal.kind == DcpRemovalKind::expiration;
  const bool first = removal.kind == DcpRemovalKind::deletion_v1;
  out = write_dcp_head(out, route,
                       {.opcode = expires ? BinaryOpcode::dcp_expiration : BinaryOpcode::dcp_deletion,
                        .extras_bytes = static_cast<uint8_t>(expires ? 20 : (first ? 18 : 21)),
                        .key_bytes = removal.key.wire.size(),
                        .value_bytes = removal.value.size(),
                        .datatype = removal.datatype,
                        .cas = removal.cas});
  out = store_big_endian(out, removal.seqno);
  out = store_big_endian(out, removal.revision);
  if (first) return store_big_endian(out, uint16_t{0});
  out = store_big_endian(out, removal.delete_time_s);
  return expires ? out : store_big_endian(out, uint8_t{0});
}

std::optional<DcpRemoval> read_dcp_removal(const BinaryRequest& request, bool collections) {
  const bool expires = opcode_of(request) == BinaryOpcode::dcp_expiration;
  const size_t size = request.extras.size();
  if (expires ? size != 20 : size != 18 && size != 21) return std::nullopt;
  const std::optional<DcpKey> key = key_of(request, size, collections);
  if (!key) return std::nullopt;
  DcpRemoval removal{.kind = expires      ? DcpRemovalKind::expiration
                             : size == 18 ? DcpRemovalKind::deletion_v1
                                          : DcpRemovalKind::deletion_v2,
                     .cas = request.header.cas,
                     .datatype = request.header.datatype,
                     .key = *key};
  uint16_t metadata_bytes = 0;
  Numbers numbers(request.extras);
  numbers.take(removal.seqno);
  numbers.take(removal.revision);
  if (size == 18) {
    numbers.take(metadata_bytes);
  } else {
    numbers.take(removal.delete_time_s);
  }
  if (metadata_bytes > request.value.size()) return std::nullopt;
  removal.value = request.value.substr(0, request.value.size() - metadata_bytes);
  return removal;
}

char* write_dcp_prepare(char* out, const DcpRoute& route, const DcpPrepare& prepare) {
  out = write_dcp_head(out, route,
                       {.opcode = BinaryOpcode::dcp_prepare,
                        .extras_bytes = 31,
                        .key_bytes = prepare.key.wire.size(),
                        .value_bytes = prepare.value.size(),
                        .datatype = prepare.datatype,
                        .cas = prepare.cas});
  out = store_big_endian(out, prepare.seqno);
  out = store_big_endian(out, prepare.revision);
  out = store_big_endian(out, prepare.flags);
  out = store_big_endian(out, prepare.expiry_s);
  out = store_big_endian(out, prepare.lock_time_s);
  out = store_big_endian(out, prepare.used);
  out = store_big_endian(out, uint8_t{prepare.deletes});
  return store_big_endian(out, prepare.durability);
}

std::optional<DcpPrepare> read_dcp_prepare(const BinaryRequest& request, bool collections) {
  const std::optional<DcpKey> key = key_of(request, 31, collections);
  if (!key) return std::nullopt;
  DcpPrepare prepare{
      .cas = request.header.cas, .datatype = request.header.datatype, .key = *key, .value = request.value};
  uint8_t deletes = 0;
  Numbers numbers(request.extras);
  numbers.take(prepare.seqno);
  numbers.take(prepare.revision);
  numbers.take(prepare.flags);
  numbers.take(prepare.expiry_s);
  numbers.take(prepare.lock_time_s);
  numbers.take(prepare.used);
  numbers.take(deletes);
  numbers.take(prepare.durability);
  if (deletes > 1 || prepare.durability < 1 || prepare.durability > 3) return std::nullopt;
  prepare.deletes = deletes == 1;
  return prepare;
}

char* write_dcp_completion(char* out, const DcpRoute& route, const DcpCompletion& completion) {
  out = write_dcp_head(out, route,
                       {.opcode = completion.commits ? BinaryOpcode::dcp_commit : BinaryOpcode::dcp_abort,
                        .extras_bytes = 16,
                        .key_bytes = completion.key.wire.size()});
  out = store_big_endian(out, completion.prepared_seqno);
  return store_big_endian(out, completion.seqno);
}

std::optional<DcpCompletion> read_dcp_completion(const BinaryRequest& request, bool collections) {
  const std::optional<DcpKey> key = key_of(request, 16, collections);
  if (!key || request.value_bytes != 0) return std::nullopt;
  DcpCompletion completion{.commits = opcode_of(request) == BinaryOpcode::dcp_commit, .key = *key};
  Numbers numbers(request.extras);
  numbers.take(completion.prepared_seqno);
  numbers.take(completion.seqno);
  return completion;
}

// ---- any of them

namespace {

template <typename Message>
std::optional<DcpMessage> either(const std::optional<Message>& message) {
  if (!message) return std::nullopt;
  return *message;
}

}  // namespace

std::optional<DcpMessage> read_dcp_message(const BinaryRequest& request, bool collections) {
  switch (opcode_of(request)) {
    case BinaryOpcode::dcp_mutation:
      return either(read_dcp_mutation(request, collections));
    case BinaryOpcode::dcp_deletion:
    case BinaryOpcode::dcp_expiration:
      return either(read_dcp_removal(request, collections));
    case BinaryOpcode::dcp_snapshot_marker:
      return either(read_dcp_snapshot_marker(request));
    case BinaryOpcode::dcp_seqno_advanced:
      return either(read_dcp_seqno_advanced(request));
    case BinaryOpcode::dcp_system_event:
      return either(read_dcp_system_event(request));
    case BinaryOpcode::dcp_prepare:
      return either(read_dcp_prepare(request, collections));
    case BinaryOpcode::dcp_commit:
    case BinaryOpcode::dcp_abort:
      return either(read_dcp_completion(request, collections));
    case BinaryOpcode::dcp_oso_snapshot:
      return either(read_dcp_oso_snapshot(request));
    case BinaryOpcode::dcp_stream_end:
      return either(read_dcp_stream_end(request));
    case BinaryOpcode::dcp_set_vbucket_state:
      return either(read_dcp_vbucket_state(request));
    case BinaryOpcode::dcp_flush:
      return is_bare_dcp(request) ? std::optional<DcpMessage>(DcpFlush{}) : std::nullopt;
    case BinaryOpcode::dcp_noop:
      return is_bare_dcp(request) ? std::optional<DcpMessage>(DcpNoop{}) : std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace bobbin::wire
