#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "wire/dcp.h"

/// What a change stream carries: snapshots, changes of documents, and events of scopes and collections
/// (couchbase/kv_engine docs/dcp/documentation/commands). dcp.h says how reading and writing work.

namespace bobbin::wire {

// ---- keys

/// A key as streams carry it: for who has agreed on collections with its collection's id in front.
struct DcpKey {
  uint32_t collection = 0;
  std::string_view name = {};
  std::string_view wire = {};  ///< all bytes, the ones in front too
};
/// Nothing for an empty key, and for an id that cannot be read.
[[nodiscard]] std::optional<DcpKey> read_dcp_key(std::string_view wire, bool collections);

// ---- snapshots

namespace dcp_snapshot_flags {
inline constexpr uint32_t kMemory = 0x01;
inline constexpr uint32_t kDisk = 0x02;
inline constexpr uint32_t kCheckpoint = 0x04;
inline constexpr uint32_t kAck = 0x08;  ///< answer when all of it is there
inline constexpr uint32_t kHistory = 0x10;
inline constexpr uint32_t kMayDuplicateKeys = 0x20;
}  // namespace dcp_snapshot_flags

enum class DcpMarkerVersion : uint8_t { v1, v2_0, v2_2 };

/// A number that the version does not have is 0, but max_visible_seqno, which is end_seqno then.
struct DcpSnapshotMarker {
  DcpMarkerVersion version = DcpMarkerVersion::v1;
  uint64_t start_seqno = 0;
  uint64_t end_seqno = 0;
  uint32_t flags = 0;
  uint64_t max_visible_seqno = 0;     ///< from v2.0
  uint64_t high_completed_seqno = 0;  ///< from v2.0; of snapshots from disk only
  uint64_t purge_seqno = 0;           ///< v2.2: tombstones up to here may be gone
  uint64_t high_prepared_seqno = 0;   ///< v2.2; peers may leave it out
};
/// All of it; there is no key. In versions 2 what was a value is written as well.
char* write_dcp_snapshot_marker(char* out, const DcpRoute& route, const DcpSnapshotMarker& marker);
/// Also reads v2.1, which is v2.0 with a time behind it.
[[nodiscard]] std::optional<DcpSnapshotMarker> read_dcp_snapshot_marker(const BinaryRequest& request);

namespace dcp_oso_flags {
inline constexpr uint32_t kStart = 0x01;
inline constexpr uint32_t kEnd = 0x02;
}  // namespace dcp_oso_flags
/// A snapshot out of order begins or ends.
struct DcpOsoSnapshot {
  uint32_t flags = 0;
};
char* write_dcp_oso_snapshot(char* out, const DcpRoute& route, const DcpOsoSnapshot& snapshot);
[[nodiscard]] std::optional<DcpOsoSnapshot> read_dcp_oso_snapshot(const BinaryRequest& request);

/// The vbucket went on, by something that this stream does not show.
struct DcpSeqnoAdvanced {
  uint64_t seqno = 0;
};
char* write_dcp_seqno_advanced(char* out, const DcpRoute& route, const DcpSeqnoAdvanced& advanced);
[[nodiscard]] std::optional<DcpSeqnoAdvanced> read_dcp_seqno_advanced(const BinaryRequest& request);

// ---- changes of documents. Of `key.wire` and `value` writers use the lengths alone: send the bytes behind.

struct DcpMutation {
  uint64_t seqno = 0;
  uint64_t revision = 0;
  uint64_t cas = 0;
  uint32_t flags = 0;
  uint32_t expiry_s = 0;  ///< Unix time; 0: never
  uint32_t lock_time_s = 0;
  uint8_t used = 0;  ///< NRU, for who cares
  uint8_t datatype = 0;
  DcpKey key = {};
  std::string_view value = {};  ///< attributes in front, where the datatype says so
};
char* write_dcp_mutation(char* out, const DcpRoute& route, const DcpMutation& mutation);
/// Extended metadata behind the value is cut off.
[[nodiscard]] std::optional<DcpMutation> read_dcp_mutation(const BinaryRequest& request, bool collections);

/// Version 2 has a time, and is what expirations have. Version 1 may have metadata, which is cut off.
enum class DcpRemovalKind : uint8_t { deletion_v1, deletion_v2, expiration };
struct DcpRemoval {
  DcpRemovalKind kind = DcpRemovalKind::deletion_v1;
  uint64_t seqno = 0;
  uint64_t revision = 0;
  uint64_t cas = 0;
  uint32_t delete_time_s = 0;  ///< Unix time; 0: not known
  uint8_t datatype = 0;
  DcpKey key = {};
  std::string_view value = {};  ///< attributes that are kept; mostly empty
};
char* write_dcp_removal(char* out, const DcpRoute& route, const DcpRemoval& removal);
[[nodiscard]] std::optional<DcpRemoval> read_dcp_removal(const BinaryRequest& request, bool collections);

/// The first half of a durable write.
struct DcpPrepare {
  uint64_t seqno = 0;
  uint64_t revision = 0;
  uint64_t cas = 0;
  uint32_t flags = 0;
  uint32_t expiry_s = 0;
  uint32_t lock_time_s = 0;
  uint8_t used = 0;
  bool deletes = false;
  uint8_t durability = 1;  ///< 1 to 3, as DurabilityLevel
  uint8_t datatype = 0;
  DcpKey key = {};
  std::string_view value = {};
};
char* write_dcp_prepare(char* out, const DcpRoute& route, const DcpPrepare& prepare);
[[nodiscard]] std::optional<DcpPrepare> read_dcp_prepare(const BinaryRequest& request, bool collections);

/// The second half: a commit, or an abort.
struct DcpCompletion {
  bool commits = true;
  uint64_t prepared_seqno = 0;
  uint64_t seqno = 0;
  DcpKey key = {};
};
char* write_dcp_completion(char* out, const DcpRoute& route, const DcpCompletion& completion);
[[nodiscard]] std::optional<DcpCompletion> read_dcp_completion(const BinaryRequest& request,
                                                               bool collections);

// ---- scopes and collections

enum class DcpEvent : uint32_t {
  collection_created = 0,
  collection_dropped = 1,
  scope_created = 3,
  scope_dropped = 4,
  collection_changed = 5,
};

struct DcpSystemEvent {
  uint64_t seqno = 0;
  DcpEvent event = DcpEvent::collection_created;
  uint64_t manifest_uid = 0;
  uint32_t scope = 0;
  uint32_t collection = 0;  ///< 0 where it is about a scope
  std::optional<uint32_t> max_ttl_s =
      std::nullopt;            ///< then a created or changed collection has version 1, else 0
  std::string_view name = {};  ///< empty of what is dropped
};
inline constexpr size_t kMaxDcpEventValueBytes = 20;
/// Head only. `name` is the key, and comes next; then what write_dcp_event_value() wrote.
char* write_dcp_system_event(char* out, const DcpRoute& route, const DcpSystemEvent& event);
/// At most kMaxDcpEventValueBytes.
char* write_dcp_event_value(char* out, const DcpSystemEvent& event);
/// Nothing also for events that are not known, and for FlatBuffers, which nobody asked for.
[[nodiscard]] std::optional<DcpSystemEvent> read_dcp_system_event(const BinaryRequest& request);

// ---- any of them

/// Everything of the vbucket is gone.
struct DcpFlush {};
struct DcpNoop {};

using DcpMessage =
    std::variant<DcpSnapshotMarker, DcpMutation, DcpRemoval, DcpPrepare, DcpCompletion, DcpSystemEvent,
                 DcpSeqnoAdvanced, DcpOsoSnapshot, DcpEnd, DcpVbucketState, DcpFlush, DcpNoop>;

/// What a producer sent, whatever it is. Nothing for what is malformed, and for what no producer sends.
[[nodiscard]] std::optional<DcpMessage> read_dcp_message(const BinaryRequest& request, bool collections);

}  // namespace bobbin::wire
