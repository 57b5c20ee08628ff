#pragma once

#include <cstdint>

namespace bobbin::wire {

/// What a sub-document operation answers: the numbers of MCBP (kv_engine include/mcbp/protocol/status.h). The
/// first four are not the sub-document API's own; they are what its requests are refused with.
enum class SubdocStatus : uint16_t {
  success = 0x0000,
  invalid_arguments = 0x0004,  ///< EINVAL
  not_supported = 0x0083,      ///< an extended attribute on a connection without that feature
  xattr_invalid = 0x0087,      ///< XATTR_EINVAL: a key that no attribute can have

  path_missing = 0x00c0,   ///< PATH_ENOENT
  path_mismatch = 0x00c1,  ///< PATH_MISMATCH: an array where the path has a key, or the reverse; not a number
  path_invalid = 0x00c2,   ///< PATH_EINVAL
  path_too_big = 0x00c3,   ///< PATH_E2BIG: more than kMaxPathComponents
  document_too_deep = 0x00c4,      ///< DOC_E2DEEP
  value_cannot_insert = 0x00c5,    ///< VALUE_CANTINSERT: not JSON there; also a counter that would overflow
  document_not_json = 0x00c6,      ///< DOC_NOTJSON
  number_out_of_range = 0x00c7,    ///< NUM_ERANGE: the number in the document is not an int64
  delta_invalid = 0x00c8,          ///< DELTA_EINVAL: not an int64, or 0
  path_exists = 0x00c9,            ///< PATH_EEXISTS
  value_too_deep = 0x00ca,         ///< VALUE_ETOODEEP
  invalid_combination = 0x00cb,    ///< INVALID_COMBO
  multi_path_failure = 0x00cc,     ///< MULTI_PATH_FAILURE
  success_deleted = 0x00cd,        ///< SUCCESS_DELETED
  xattr_invalid_flags = 0x00ce,    ///< XATTR_INVALID_FLAG_COMBO
  xattr_invalid_keys = 0x00cf,     ///< XATTR_INVALID_KEY_COMBO; current servers allow several keys
  xattr_unknown_macro = 0x00d0,    ///< XATTR_UNKNOWN_MACRO
  xattr_unknown_virtual = 0x00d1,  ///< XATTR_UNKNOWN_VATTR
  xattr_cannot_modify_virtual = 0x00d2,  ///< XATTR_CANT_MODIFY_VATTR
  multi_path_failure_deleted = 0x00d3,   ///< MULTI_PATH_FAILURE_DELETED
  xattr_invalid_order = 0x00d4,          ///< INVALID_XATTR_ORDER: attributes come before the body
  xattr_unknown_virtual_macro = 0x00d5,  ///< XATTR_UNKNOWN_VATTR_MACRO
  can_only_revive_deleted = 0x00d6,      ///< CAN_ONLY_REVIVE_DELETED_DOCUMENTS
  deleted_cannot_have_value = 0x00d7,    ///< DELETED_DOCUMENT_CANT_HAVE_VALUE
  field_not_binary = 0x00d8,             ///< FIELD_NOT_BINARY_VALUE
};

}  // namespace bobbin::wire
