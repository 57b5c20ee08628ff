#include "wire/dcp.h"

#include "wire/frame_info.h"

namespace bobbin::wire {
namespace {

// Of messages without key and value whose extras are one number.
template <std::unsigned_integral Number>
std::optional<Number> read_number(const BinaryRequest& request) {
  if (request.extras.size() != sizeof(Number) || !request.key.empty() || request.value_bytes != 0)
    return std::nullopt;
  return load_big_endian<Number>(request.extras.data());
}

template <std::unsigned_integral Number>
char* write_number(char* out, BinaryOpcode opcode, const DcpRoute& route, Number number) {
  out = write_dcp_head(out, route, {.opcode = opcode, .extras_bytes = sizeof(Number)});
  return store_big_endian(out, number);
}

}  // namespace

// ---- what all messages have

std::optional<DcpRoute> read_dcp_route(const BinaryRequest& request) {
  DcpRoute route{.vbucket = request.header.vbucket_or_status, .opaque = request.header.opaque};
  if (request.framing.empty()) return route;
  FrameInfo info;
  if (read_frame_info(request.framing, info) != BinaryStatus::success) return std::nullopt;
  if (info.stream_id) route.stream_id = *info.stream_id;
  return route;
}

char* write_dcp_head(char* out, const DcpRoute& route, const DcpHead& head) {
  const bool framed = route.stream_id != 0;
  const size_t framing = framed ? kDcpStreamIdBytes : 0;
  out = encode_header(out, {.magic = framed ? kFlexibleRequestMagic : kBinaryRequestMagic,
                            .opcode = static_cast<uint8_t>(head.opcode),
                            .key_bytes = static_cast<uint16_t>(head.key_bytes),
                            .extras_bytes = head.extras_bytes,
                            .datatype = head.datatype,
                            .vbucket_or_status = route.vbucket,
                            .body_bytes = static_cast<uint32_t>(framing + head.extras_bytes + head.key_bytes +
                                                                head.value_bytes),
                            .opaque = route.opaque,
                            .cas = head.cas,
                            .framing_bytes = static_cast<uint8_t>(framing)});
  if (!framed) return out;
  out = store_big_endian(out, kDcpStreamIdObject);
  return store_big_endian(out, route.stream_id);
}

uint32_t dcp_flow_bytes(const BinaryRequest& request) {
  const uint8_t magic = request.header.magic;
  const auto opcode = static_cast<BinaryOpcode>(request.header.opcode);
  if (magic != kBinaryRequestMagic && magic != kFlexibleRequestMagic) return 0;
  if (opcode == BinaryOpcode::dcp_noop) return 0;
  const auto bytes = static_cast<uint32_t>(request.frame_bytes());
  return opcode == BinaryOpcode::dcp_prepare ? bytes + 2 : bytes;
}

// ---- a connection

std::optional<DcpOpen> read_dcp_open(const BinaryRequest& request) {
  if (request.extras.size() != 8 || request.key.empty() || request.key.size() > kMaxDcpNameBytes)
    return std::nullopt;
  return DcpOpen{.flags = load_big_endian<uint32_t>(request.extras.data() + 4),
                 .name = request.key,
                 .value = request.value};
}

char* write_dcp_open(char* out, uint32_t opaque, const DcpOpen& open) {
  out = write_dcp_head(out, {.opaque = opaque},
                       {.opcode = BinaryOpcode::dcp_open,
                        .extras_bytes = 8,
                        .key_bytes = open.name.size(),
                        .value_bytes = open.value.size()});
  out = store_big_endian(out, uint32_t{0});
  return store_big_endian(out, open.flags);
}

std::optional<DcpControl> read_dcp_control(const BinaryRequest& request) {
  if (!request.extras.empty() || request.key.empty() || request.value.empty()) return std::nullopt;
  return DcpControl{.key = request.key, .value = request.value};
}

char* write_dcp_control(char* out, uint32_t opaque, const DcpControl& control) {
  return write_dcp_head(out, {.opaque = opaque},
                        {.opcode = BinaryOpcode::dcp_control,
                         .key_bytes = control.key.size(),
                         .value_bytes = control.value.size()});
}

char* write_dcp_noop(char* out, uint32_t opaque) {
  return write_dcp_head(out, {.opaque = opaque}, {.opcode = BinaryOpcode::dcp_noop});
}

bool is_bare_dcp(const BinaryRequest& request) {
  return request.extras.empty() && request.key.empty() && request.value_bytes == 0;
}

char* write_dcp_reply(char* out, BinaryOpcode opcode, uint32_t opaque, BinaryStatus status) {
  return encode_header(out, {.magic = kBinaryReplyMagic,
                             .opcode = static_cast<uint8_t>(opcode),
                             .vbucket_or_status = static_cast<uint16_t>(status),
                             .opaque = opaque});
}

std::optional<uint32_t> read_dcp_buffer_ack(const BinaryRequest& request) {
  return read_number<uint32_t>(request);
}

char* write_dcp_buffer_ack(char* out, uint32_t opaque, uint32_t bytes) {
  return write_number(out, BinaryOpcode::dcp_buffer_ack, {.opaque = opaque}, bytes);
}

std::optional<uint64_t> read_dcp_seqno_acknowledged(const BinaryRequest& request) {
  return read_number<uint64_t>(request);
}

char* write_dcp_seqno_acknowledged(char* out, const DcpRoute& route, uint64_t prepared_seqno) {
  return write_number(out, BinaryOpcode::dcp_seqno_acknowledged, route, prepared_seqno);
}

// ---- a stream

std::optional<DcpStreamRequest> read_dcp_stream_request(const BinaryRequest& request) {
  if (request.extras.size() != 48 || !request.key.empty()) return std::nullopt;
  const char* const extras = request.extras.data();
  return DcpStreamRequest{.flags = load_big_endian<uint32_t>(extras),
                          .start_seqno = load_big_endian<uint64_t>(extras + 8),
                          .end_seqno = load_big_endian<uint64_t>(extras + 16),
                          .uuid = load_big_endian<uint64_t>(extras + 24),
                          .snapshot_start = load_big_endian<uint64_t>(extras + 32),
                          .snapshot_end = load_big_endian<uint64_t>(extras + 40),
                          .filter = request.value};
}

char* write_dcp_stream_request(char* out, const DcpRoute& route, const DcpStreamRequest& request) {
  out = write_dcp_head(
      out, route,
      {.opcode = BinaryOpcode::dcp_stream_request, .extras_bytes = 48, .value_bytes = request.filter.size()});
  out = store_big_endian(out, request.flags);
  out = store_big_endian(out, uint32_t{0});
  out = store_big_endian(out, request.start_seqno);
  out = store_big_endian(out, request.end_seqno);
  out = store_big_endian(out, request.uuid);
  out = store_big_endian(out, request.snapshot_start);
  return store_big_endian(out, request.snapshot_end);
}

std::optional<uint64_t> read_dcp_rollback(std::string_view value) {
  if (value.size() != kDcpRollbackBytes) return std::nullopt;
  return load_big_endian<uint64_t>(value.data());
}

char* write_dcp_failover_entry(char* out, const DcpFailoverEntry& entry) {
  out = store_big_endian(out, entry.uuid);
  return store_big_endian(out, entry.seqno);
}

std::optional<size_t> count_dcp_failover_entries(std::string_view value) {
  if (value.empty() || value.size() % kDcpFailoverEntryBytes != 0) return std::nullopt;
  return value.size() / kDcpFailoverEntryBytes;
}

DcpFailoverEntry read_dcp_failover_entry(std::string_view value, size_t index) {
  const char* const entry = value.data() + index * kDcpFailoverEntryBytes;
  return {.uuid = load_big_endian<uint64_t>(entry), .seqno = load_big_endian<uint64_t>(entry + 8)};
}

std::optional<uint32_t> read_dcp_add_stream(const BinaryRequest& request) {
  return read_number<uint32_t>(request);
}

char* write_dcp_add_stream(char* out, const DcpRoute& route, uint32_t flags) {
  return write_number(out, BinaryOpcode::dcp_add_stream, route, flags);
}

char* write_dcp_bare(char* out, BinaryOpcode opcode, const DcpRoute& route) {
  return write_dcp_head(out, route, {.opcode = opcode});
}

std::optional<DcpEnd> read_dcp_stream_end(const BinaryRequest& request) {
  const std::optional<uint32_t> reason = read_number<uint32_t>(request);
  if (!reason || *reason > static_cast<uint32_t>(DcpEnd::lost_privileges)) return std::nullopt;
  return static_cast<DcpEnd>(*reason);
}

char* write_dcp_stream_end(char* out, const DcpRoute& route, DcpEnd reason) {
  return write_number(out, BinaryOpcode::dcp_stream_end, route, static_cast<uint32_t>(reason));
}

std::optional<DcpVbucketState> read_dcp_vbucket_state(const BinaryRequest& request) {
  const std::optional<uint8_t> state = read_number<uint8_t>(request);
  if (!state || *state < 1 || *state > 4) return std::nullopt;
  return static_cast<DcpVbucketState>(*state);
}

char* write_dcp_vbucket_state(char* out, const DcpRoute& route, DcpVbucketState state) {
  return write_number(out, BinaryOpcode::dcp_set_vbucket_state, route, static_cast<uint8_t>(state));
}

std::optional<DcpVbucketSeqno> take_dcp_vbucket_seqno(std::string_view& value) {
  if (value.size() < kDcpVbucketSeqnoBytes) return std::nullopt;
  const DcpVbucketSeqno taken{.vbucket = load_big_endian<uint16_t>(value.data()),
                              .seqno = load_big_endian<uint64_t>(value.data() + 2)};
  value.remove_prefix(kDcpVbucketSeqnoBytes);
  return taken;
}

}  // namespace bobbin::wire
