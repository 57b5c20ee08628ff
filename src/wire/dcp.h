#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "wire/binary.h"
#include "wire/leb128.h"

/// Change streams: how a connection is made one, and how its streams are asked for, acknowledged and ended
/// (couchbase/kv_engine docs/dcp/documentation/commands). What streams carry is in dcp_changes.h, which parts
/// of a bucket in dcp_filter.h. Pure functions: no I/O, no allocation; every view points into what was passed
/// in.
///
/// A `write_dcp_*` writes what precedes a message's key and value (header, framing extras, extras), of which
/// kMaxDcpHeadBytes is the most, and returns the byte behind it. It looks at no byte of key and value but
/// needs their lengths, so whoever sends a frame can send them from where they lie. A `read_dcp_*` takes a
/// frame that cut_frame() called complete, and answers nothing where its extras, key or value are not what
/// the message has: answer invalid_arguments then.

namespace bobbin::wire {

inline constexpr uint8_t kDcpStreamIdObject = 0x22;  ///< framing object 2, of two bytes
inline constexpr size_t kDcpStreamIdBytes = 3;
inline constexpr size_t kMaxDcpHeadBytes = kBinaryHeaderBytes + kDcpStreamIdBytes + 53;

// ---- numbers

namespace dcp_open_flags {
inline constexpr uint32_t kProducer = 0x01;  ///< who is asked produces
inline constexpr uint32_t kNotifier = 0x02;
inline constexpr uint32_t kXattrs = 0x04;
inline constexpr uint32_t kNoValue = 0x08;  ///< and then no datatype either
/// Nothing: collections are agreed on by HELLO.
inline constexpr uint32_t kCollections = 0x10;
inline constexpr uint32_t kDeleteTimes = 0x20;  ///< deletions of version 2
inline constexpr uint32_t kNoValueButDatatype = 0x40;
inline constexpr uint32_t kDeletedUserXattrs = 0x100;
}  // namespace dcp_open_flags

namespace dcp_stream_flags {
inline constexpr uint32_t kTakeover = 0x01;
inline constexpr uint32_t kDiskOnly = 0x02;
inline constexpr uint32_t kToLatest = 0x04;  ///< end where the vbucket is now
inline constexpr uint32_t kNoValue = 0x08;   ///< of old; see dcp_open_flags
inline constexpr uint32_t kActiveOnly = 0x10;
inline constexpr uint32_t kStrictUuid = 0x20;  ///< compare the uuid from seqno 0 too
inline constexpr uint32_t kFromLatest = 0x40;  ///< begin where the vbucket is now
inline constexpr uint32_t kIgnorePurged = 0x80;
}  // namespace dcp_stream_flags

/// Why a stream ends.
enum class DcpEnd : uint32_t {
  ok = 0,  ///< all that was asked for was sent
  closed = 1,
  state_changed = 2,
  disconnected = 3,
  too_slow = 4,
  backfill_failed = 5,
  rollback = 6,
  filter_empty = 7,  ///< its collections are dropped
  lost_privileges = 8,
};

/// An end seqno that does not come.
inline constexpr uint64_t kDcpForever = UINT64_MAX;

// ---- what all messages have

/// Which stream a message belongs to. `stream_id` 0: none; the client did not ask for stream ids.
struct DcpRoute {
  uint16_t vbucket = 0;
  uint32_t opaque = 0;
  uint16_t stream_id = 0;
  friend bool operator==(const DcpRoute&, const DcpRoute&) = default;
};

/// Nothing where the framing extras cannot be read. Barriers and the like are passed over.
[[nodiscard]] std::optional<DcpRoute> read_dcp_route(const BinaryRequest& request);

/// A header of a request, and the stream's id if there is one; extras are the caller's to write behind it.
/// `body_bytes` are extras, key and value.
struct DcpHead {
  BinaryOpcode opcode;
  uint8_t extras_bytes = 0;
  size_t key_bytes = 0;
  size_t value_bytes = 0;
  uint8_t datatype = 0;
  uint64_t cas = 0;
};
/// With a stream id, a key has at most 255 bytes: there is no room for more in the header.
char* write_dcp_head(char* out, const DcpRoute& route, const DcpHead& head);

/// What the receiver of a frame acknowledges for it (flow-control.md): nothing for no-ops and replies; for a
/// prepare two bytes more than it has, which producers count since ever (prepare.md).
[[nodiscard]] uint32_t dcp_flow_bytes(const BinaryRequest& request);

// ---- a connection

struct DcpOpen {
  uint32_t flags = 0;
  std::string_view name = {};   ///< 1 to 200 bytes
  std::string_view value = {};  ///< JSON; may be empty
};
inline constexpr size_t kMaxDcpNameBytes = 200;
[[nodiscard]] std::optional<DcpOpen> read_dcp_open(const BinaryRequest& request);
char* write_dcp_open(char* out, uint32_t opaque, const DcpOpen& open);

struct DcpControl {
  std::string_view key = {};
  std::string_view value = {};
};
[[nodiscard]] std::optional<DcpControl> read_dcp_control(const BinaryRequest& request);
char* write_dcp_control(char* out, uint32_t opaque, const DcpControl& control);

char* write_dcp_noop(char* out, uint32_t opaque);
/// Of a message without extras, key and value: noop, close stream, failover log, flush. False where it has
/// some.
[[nodiscard]] bool is_bare_dcp(const BinaryRequest& request);
/// The whole answer to a message that has nothing to say but a status: 24 bytes.
char* write_dcp_reply(char* out, BinaryOpcode opcode, uint32_t opaque, BinaryStatus status);

/// How many bytes of what was sent the consumer has done with.
[[nodiscard]] std::optional<uint32_t> read_dcp_buffer_ack(const BinaryRequest& request);
char* write_dcp_buffer_ack(char* out, uint32_t opaque, uint32_t bytes);

/// The highest prepare that a replica has.
[[nodiscard]] std::optional<uint64_t> read_dcp_seqno_acknowledged(const BinaryRequest& request);
char* write_dcp_seqno_acknowledged(char* out, const DcpRoute& route, uint64_t prepared_seqno);

// ---- a stream

struct DcpStreamRequest {
  uint32_t flags = 0;
  uint64_t start_seqno = 0;  ///< the last that the consumer has
  uint64_t end_seqno = kDcpForever;
  uint64_t uuid = 0;  ///< of the branch in which it has it; 0: it has nothing
  uint64_t snapshot_start = 0;
  uint64_t snapshot_end = 0;
  std::string_view filter = {};  ///< JSON, dcp_filter.h; may be empty
};
[[nodiscard]] std::optional<DcpStreamRequest> read_dcp_stream_request(const BinaryRequest& request);
char* write_dcp_stream_request(char* out, const DcpRoute& route, const DcpStreamRequest& request);

/// The value of a reply whose status is rollback.
inline constexpr size_t kDcpRollbackBytes = 8;
[[nodiscard]] std::optional<uint64_t> read_dcp_rollback(std::string_view value);

struct DcpFailoverEntry {
  uint64_t uuid = 0;
  uint64_t seqno = 0;  ///< where the branch begins
  friend bool operator==(const DcpFailoverEntry&, const DcpFailoverEntry&) = default;
};
/// The value of a reply to a stream request or a request for the failover log: newest first.
inline constexpr size_t kDcpFailoverEntryBytes = 16;
char* write_dcp_failover_entry(char* out, const DcpFailoverEntry& entry);
/// How many there are; nothing for a value that is no failover log, or an empty one.
[[nodiscard]] std::optional<size_t> count_dcp_failover_entries(std::string_view value);
/// `index` is below the count.
[[nodiscard]] DcpFailoverEntry read_dcp_failover_entry(std::string_view value, size_t index);

/// Add stream: a consumer is told to ask for one. The flags are dcp_stream_flags.
[[nodiscard]] std::optional<uint32_t> read_dcp_add_stream(const BinaryRequest& request);
char* write_dcp_add_stream(char* out, const DcpRoute& route, uint32_t flags);
/// Close stream, or the request for a failover log.
char* write_dcp_bare(char* out, BinaryOpcode opcode, const DcpRoute& route);

[[nodiscard]] std::optional<DcpEnd> read_dcp_stream_end(const BinaryRequest& request);
char* write_dcp_stream_end(char* out, const DcpRoute& route, DcpEnd reason);

enum class DcpVbucketState : uint8_t { active = 1, replica = 2, pending = 3, dead = 4 };
[[nodiscard]] std::optional<DcpVbucketState> read_dcp_vbucket_state(const BinaryRequest& request);
char* write_dcp_vbucket_state(char* out, const DcpRoute& route, DcpVbucketState state);

/// A vbucket and its highest seqno, as the reply to GET_ALL_VB_SEQNOS lists them, ten bytes each.
struct DcpVbucketSeqno {
  uint16_t vbucket = 0;
  uint64_t seqno = 0;
};
inline constexpr size_t kDcpVbucketSeqnoBytes = 10;
/// Takes the one that `value` begins with; nothing where it has fewer than ten bytes.
[[nodiscard]] std::optional<DcpVbucketSeqno> take_dcp_vbucket_seqno(std::string_view& value);

}  // namespace bobbin::wire
