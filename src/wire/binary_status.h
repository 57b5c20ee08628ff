#pragma once

#include <cstdint>

namespace bobbin::wire {

/// What a reply says: memcached's numbers, and Couchbase's (kv_engine include/mcbp/protocol/status.h). Those
/// of the sub-document API are SubdocStatus (subdoc_status.h).
enum class BinaryStatus : uint16_t {
  success = 0x0000,
  key_not_found = 0x0001,
  key_exists = 0x0002,  ///< with another CAS, or at all
  too_large = 0x0003,
  invalid_arguments = 0x0004,
  not_stored = 0x0005,
  non_numeric = 0x0006,
  not_my_vbucket = 0x0007,  ///< the body is a cluster configuration
  no_bucket = 0x0008,       ///< none is selected
  locked = 0x0009,
  stream_not_found = 0x000a,
  opaque_not_matching = 0x000b,
  not_locked = 0x000e,
  auth_stale = 0x001f,
  auth_error = 0x0020,
  auth_continue = 0x0021,
  out_of_range = 0x0022,
  rollback = 0x0023,
  no_access = 0x0024,
  unknown_frame_info = 0x0080,
  unknown_command = 0x0081,
  out_of_memory = 0x0082,
  not_supported = 0x0083,
  internal_error = 0x0084,
  busy = 0x0085,
  temporary_failure = 0x0086,
  xattr_invalid = 0x0087,
  unknown_collection = 0x0088,
  unknown_scope = 0x008c,
  dcp_stream_id_invalid = 0x008d,
  stream_id_invalid = 0x008d,
  durability_invalid_level = 0x00a0,
  durability_impossible = 0x00a1,
  sync_write_in_progress = 0x00a2,
  sync_write_ambiguous = 0x00a3,
  range_scan_cancelled = 0x00a5,
  range_scan_more = 0x00a6,      ///< a limit was reached, and there may be more
  range_scan_complete = 0x00a7,  ///< that was all
  vbucket_uuid_not_equal = 0x00a8,
};

}  // namespace bobbin::wire
