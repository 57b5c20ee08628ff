#include "serve/error_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "wire/binary_status.h"
#include "wire/subdoc_status.h"

namespace bobbin::serve {
namespace {

using enum wire::BinaryStatus;
using wire::SubdocStatus;

struct KnownError {
  template <typename Status>
  constexpr KnownError(Status known, std::string_view short_name, std::string_view sentence,
                       std::string_view marks)
      : status(static_cast<uint16_t>(known)), name(short_name), text(sentence), attributes(marks) {}

  uint16_t status;
  std::string_view name;
  std::string_view text;
  std::string_view attributes;  ///< separated by spaces
};

// Attributes of version 2 only, with a space before and behind.
constexpr std::string_view kNewAttributes = " auto-retry item-locked item-deleted rate-limit ";

constexpr KnownError kErrors[] = {
    {success, "SUCCESS", "done", "success"},
    {key_not_found, "KEY_ENOENT", "there is no such key", "item-only"},
    {key_exists, "KEY_EEXISTS", "the key exists, or has another CAS", "item-only"},
    {too_large, "E2BIG", "the value is larger than the bucket takes", "item-only invalid-input"},
    {invalid_arguments, "EINVAL", "the request is malformed", "internal invalid-input"},
    {not_stored, "NOT_STORED", "there is nothing to append to", "item-only"},
    {non_numeric, "DELTA_BADVAL", "the value is no number", "item-only invalid-input"},
    {not_my_vbucket, "NOT_MY_VBUCKET", "this node does not have the vbucket", "fetch-config invalid-input"},
    {no_bucket, "NO_BUCKET", "the connection has no bucket selected", "conn-state-invalidated"},
    {locked, "LOCKED", "somebody holds the document's lock", "item-locked item-only retry-later"},
    {stream_not_found, "DCP_STREAM_NOT_FOUND", "the connection has no such stream", "dcp"},
    {opaque_not_matching, "OPAQUE_NO_MATCH", "no stream has this opaque", "dcp"},
    {not_locked, "NOT_LOCKED", "the document is not locked", "item-only"},
    {auth_stale, "AUTH_STALE", "log in again", "conn-state-invalidated auth"},
    {auth_error, "AUTH_ERROR", "user or password are wrong", "conn-state-invalidated auth"},
    {auth_continue, "AUTH_CONTINUE", "the exchange goes on", "special-handling"},
    {out_of_range, "ERANGE", "a number is out of its range", "invalid-input"},
    {rollback, "ROLLBACK", "the stream has to go back", "special-handling"},
    {no_access, "EACCESS", "this user may not do that", "support"},
    {unknown_frame_info, "UNKNOWN_FRAME_INFO", "a framing extra is not known", "support"},
    {unknown_command, "UNKNOWN_COMMAND", "there is no such command", "support"},
    {out_of_memory, "ENOMEM", "there is no memory for this", "temp retry-later"},
    {not_supported, "NOT_SUPPORTED", "this server does not do that", "support"},
    {internal_error, "EINTERNAL", "something went wrong in the server", "internal conn-state-invalidated"},
    {busy, "EBUSY", "the server is busy", "temp retry-later"},
    {temporary_failure, "ETMPFAIL", "try again", "temp retry-later"},
    {xattr_invalid, "XATTR_EINVAL", "the extended attributes are malformed", "invalid-input subdoc"},
    {unknown_collection, "UNKNOWN_COLLECTION", "there is no such collection", "item-only retry-later"},
    {unknown_scope, "UNKNOWN_SCOPE", "there is no such scope", "item-only retry-later"},
    {stream_id_invalid, "DCP_STREAMID_INVALID", "the stream's id is missing, or was not agreed on", "dcp"},
    {durability_invalid_level, "DURABILITY_INVALID_LEVEL", "there is no such durability level",
     "item-only invalid-input"},
    {durability_impossible, "DURABILITY_IMPOSSIBLE", "there are too few replicas for this durability",
     "item-only"},
    {sync_write_in_progress, "SYNC_WRITE_IN_PROGRESS", "a durable write of the key is under way",
     "item-only retry-later"},
    {sync_write_ambiguous, "SYNC_WRITE_AMBIGUOUS", "nobody knows whether the durable write was made",
     "item-only"},
    {SubdocStatus::path_missing, "SUBDOC_PATH_ENOENT", "the path does not exist", "subdoc"},
    {SubdocStatus::path_mismatch, "SUBDOC_PATH_MISMATCH", "something on the path is of another type",
     "subdoc"},
    {SubdocStatus::path_invalid, "SUBDOC_PATH_EINVAL", "the path is malformed", "subdoc invalid-input"},
    {SubdocStatus::path_too_big, "SUBDOC_PATH_E2BIG", "the path is too long", "subdoc invalid-input"},
    {SubdocStatus::document_too_deep, "SUBDOC_DOC_E2DEEP", "the document has too many levels", "subdoc"},
    {SubdocStatus::value_cannot_insert, "SUBDOC_VALUE_CANTINSERT", "the value would not be JSON there",
     "subdoc invalid-input"},
    {SubdocStatus::document_not_json, "SUBDOC_DOC_NOTJSON", "the document is not JSON", "subdoc"},
    {SubdocStatus::number_out_of_range, "SUBDOC_NUM_ERANGE", "the number does not fit 64 bits", "subdoc"},
    {SubdocStatus::delta_invalid, "SUBDOC_DELTA_EINVAL", "the delta is no number, or 0",
     "subdoc invalid-input"},
    {SubdocStatus::path_exists, "SUBDOC_PATH_EEXISTS", "the path exists already", "subdoc"},
    {SubdocStatus::value_too_deep, "SUBDOC_VALUE_ETOODEEP", "the document would have too many levels",
     "subdoc invalid-input"},
    {SubdocStatus::invalid_combination, "SUBDOC_INVALID_COMBO", "these paths cannot go together",
     "subdoc invalid-input"},
    {SubdocStatus::multi_path_failure, "SUBDOC_MULTI_PATH_FAILURE", "some paths have failed",
     "subdoc special-handling"},
    {SubdocStatus::success_deleted, "SUBDOC_SUCCESS_DELETED", "done, on a deleted document",
     "success item-deleted subdoc"},
    {SubdocStatus::xattr_invalid_flags, "SUBDOC_XATTR_INVALID_FLAG_COMBO", "these flags cannot go together",
     "subdoc invalid-input"},
    {SubdocStatus::xattr_invalid_keys, "SUBDOC_XATTR_INVALID_KEY_COMBO", "one extended attribute at a time",
     "subdoc invalid-input"},
    {SubdocStatus::xattr_unknown_macro, "SUBDOC_XATTR_UNKNOWN_MACRO", "there is no such macro",
     "subdoc invalid-input"},
    {SubdocStatus::xattr_unknown_virtual, "SUBDOC_XATTR_UNKNOWN_VATTR", "there is no such virtual attribute",
     "subdoc invalid-input"},
    {SubdocStatus::xattr_cannot_modify_virtual, "SUBDOC_XATTR_CANT_MODIFY_VATTR",
     "virtual attributes cannot be changed", "subdoc invalid-input"},
    {SubdocStatus::multi_path_failure_deleted, "SUBDOC_MULTI_PATH_FAILURE_DELETED",
     "some paths of a deleted document have failed", "item-deleted subdoc special-handling"},
    {SubdocStatus::xattr_invalid_order, "SUBDOC_INVALID_XATTR_ORDER", "extended attributes come first",
     "subdoc invalid-input"},
    {SubdocStatus::xattr_unknown_virtual_macro, "SUBDOC_XATTR_UNKNOWN_VATTR_MACRO",
     "there is no such macro of a virtual attribute", "subdoc invalid-input"},
    {SubdocStatus::can_only_revive_deleted, "SUBDOC_CAN_ONLY_REVIVE_DELETED_DOCUMENTS",
     "the document is not deleted", "subdoc item-only"},
    {SubdocStatus::deleted_cannot_have_value, "SUBDOC_DELETED_DOCUMENT_CANT_HAVE_VALUE",
     "a deleted document has no body", "subdoc invalid-input"},
    {SubdocStatus::field_not_binary, "SUBDOC_FIELD_NOT_BINARY_VALUE",
     "what is there does not stand for bytes", "subdoc item-only"},
};

void append_attributes(std::string& json, std::string_view attributes, uint16_t version) {
  bool first = true;
  while (!attributes.empty()) {
    const std::string_view one = attributes.substr(0, attributes.find(' '));
    attributes.remove_prefix(std::min(attributes.size(), one.size() + 1));
    if (version < 2 && kNewAttributes.find(fmt::format(" {} ", one)) != std::string_view::npos) continue;
    fmt::format_to(std::back_inserter(json), R"({}"{}")", first ? "" : ",", one);
    first = false;
  }
}

}  // namespace

std::string error_map(uint16_t version) {
  const uint16_t known = std::min<uint16_t>(version, 2);
  std::string json = fmt::format(R"({{"version":{},"revision":1,"errors":{{)", known);
  bool first = true;
  for (const KnownError& error : kErrors) {
    fmt::format_to(std::back_inserter(json), R"({}"{:x}":{{"name":"{}","desc":"{}","attrs":[)",
                   first ? "" : ",", error.status, error.name, error.text);
    append_attributes(json, error.attributes, known);
    json += "]}";
    first = false;
  }
  return json + "}}";
}

}  // namespace bobbin::serve
