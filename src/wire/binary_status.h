#pragma once

#include <cstdint>

namespace bobbin::wire {

/// What a reply says: memcached's numbers, and Couchbase's (kv_engine include/mcbp/protocol/status.h).
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
  durability_invalid_level = 0x00a0,
  durability_impossible = 0x00a1,
  sync_write_in_progress = 0x00a2,
  sync_write_ambiguous = 0x00a3,
  subdoc_path_not_found = 0x00c0,
  subdoc_path_mismatch = 0x00c1,
  subdoc_path_invalid = 0x00c2,
  subdoc_path_too_big = 0x00c3,
  subdoc_document_too_deep = 0x00c4,
  subdoc_value_cannot_insert = 0x00c5,
  subdoc_not_json = 0x00c6,
  subdoc_number_range = 0x00c7,
  subdoc_delta_invalid = 0x00c8,
  subdoc_path_exists = 0x00c9,
  subdoc_value_too_deep = 0x00ca,
  subdoc_invalid_combination = 0x00cb,
  subdoc_multi_path_failure = 0x00cc,
  subdoc_success_deleted = 0x00cd,
  subdoc_xattr_invalid_flags = 0x00ce,
  subdoc_xattr_invalid_keys = 0x00cf,
  subdoc_xattr_unknown_macro = 0x00d0,
  subdoc_xattr_unknown_virtual = 0x00d1,
  subdoc_xattr_cannot_modify_virtual = 0x00d2,
  subdoc_multi_path_failure_deleted = 0x00d3,
  subdoc_invalid_xattr_order = 0x00d4,
};

}  // namespace bobbin::wire
