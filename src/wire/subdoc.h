#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "wire/subdoc_status.h"

/// Requests of the sub-document API: what lies in the extras and behind the key (kv_engine
/// docs/SubDocument.md, "Wire Protocol Format"), and which combinations of flags are refused with what. Pure:
/// every view points into the bytes that were passed in.

namespace bobbin::wire {

inline constexpr size_t kMaxSubdocSpecs = 16;

/// Of requests, and of the specs within the two multi requests. The first three are specs only.
enum class SubdocOpcode : uint8_t {
  document_get = 0x00,
  document_set = 0x01,
  document_delete = 0x04,
  get = 0xc5,
  exists = 0xc6,
  dict_add = 0xc7,
  dict_upsert = 0xc8,
  remove = 0xc9,  ///< DELETE
  replace = 0xca,
  array_push_last = 0xcb,
  array_push_first = 0xcc,
  array_insert = 0xcd,
  array_add_unique = 0xce,
  counter = 0xcf,
  multi_lookup = 0xd0,
  multi_mutation = 0xd1,
  get_count = 0xd2,
  replace_body_with_xattr = 0xd3,
};

namespace path_flags {
inline constexpr uint8_t kCreateParents = 0x01;  ///< MKDIR_P
inline constexpr uint8_t kXattr = 0x04;          ///< the path begins with the key of an extended attribute
inline constexpr uint8_t kExpandMacros = 0x10;   ///< the value is a macro
inline constexpr uint8_t kBinaryValue =
    0x20;  ///< the value is no JSON; it is kept as a string that encodes it
}  // namespace path_flags

namespace doc_flags {
inline constexpr uint8_t kCreate = 0x01;  ///< MKDOC: the document is made if it is missing
inline constexpr uint8_t kAdd = 0x02;     ///< it has to be missing
inline constexpr uint8_t kAccessDeleted = 0x04;
inline constexpr uint8_t kCreateAsDeleted = 0x08;
inline constexpr uint8_t kRevive = 0x10;  ///< a deleted document becomes a live one
inline constexpr uint8_t kReplicaRead = 0x20;
}  // namespace doc_flags

/// The facts of one operation.
struct SubdocRow {
  SubdocOpcode opcode;
  bool mutates;
  bool takes_value;
  bool replies_value;  ///< EXISTS and most mutations say nothing but their status
  bool empty_path;     ///< may be empty; for operations on the whole document it has to be
  bool whole_document;
  uint8_t path_flags;  ///< that are allowed
  uint8_t doc_flags;
};

/// The row of a request or spec; null for other opcodes, and for the two multi requests.
const SubdocRow* find_subdoc_row(uint8_t opcode);

struct SubdocSpec {
  const SubdocRow* row = nullptr;
  uint8_t flags = 0;            ///< path_flags; kCreateParents also when the document may be made
  uint8_t xattr_key_bytes = 0;  ///< with kXattr: how much of the path is the key
  std::string_view path;
  std::string_view value;

  [[nodiscard]] bool has(uint8_t flag) const { return (flags & flag) != 0; }
};

struct SubdocRequest {
  bool multi = false;
  bool mutates = false;
  bool has_expiry = false;
  uint8_t flags = 0;  ///< doc_flags
  uint32_t expiry = 0;
  std::optional<uint32_t> user_flags;  ///< that the document is to have; none: those that it has, or 0
  size_t spec_count = 0;
  std::array<SubdocSpec, kMaxSubdocSpecs> all_specs;

  /// In the order of the request, which has those of attributes first.
  [[nodiscard]] std::span<const SubdocSpec> specs() const { return {all_specs.data(), spec_count}; }
  [[nodiscard]] bool has(uint8_t flag) const { return (flags & flag) != 0; }
  /// What a document that is made begins as: "{}", "[]", or empty when the request sets it as a whole or
  /// makes a deleted one. Only with kCreate or kAdd.
  [[nodiscard]] std::string_view initial_body() const;
};

/// The parts of a frame that belong to the sub-document API.
struct SubdocFrame {
  uint8_t opcode = 0;
  std::string_view extras;
  std::string_view value;  ///< path and value, or the specs
  uint64_t cas = 0;
  bool xattrs_agreed = false;  ///< the connection has the feature XATTR
};

/// Checks a frame and takes it apart. success, or what to answer: invalid_arguments, not_supported, or one of
/// the statuses for combinations and attributes. Paths are not parsed, JSON is not looked at.
SubdocStatus parse_subdoc(const SubdocFrame& frame, SubdocRequest& request);

// ---- bodies of replies

/// A result of a multi lookup: status, length, value. All specs have one, in their order.
inline constexpr size_t kLookupResultBytes = 6;
/// Writes what precedes the value and returns the byte behind it.
char* put_lookup_result(char* out, SubdocStatus status, uint32_t value_bytes);

/// A result of a multi mutation: index of the spec, status, and after success length and value. A successful
/// one has those of specs that give a value; a failed one only that of the spec which failed.
inline constexpr size_t kMutationResultBytes = 7;
inline constexpr size_t kMutationFailureBytes = 3;
char* put_mutation_result(char* out, uint8_t index, uint32_t value_bytes);
char* put_mutation_failure(char* out, uint8_t index, SubdocStatus status);

// ---- macros

/// What a spec with kExpandMacros may have as its value. The first three are known only when the change is
/// made; the others stand for a path into a virtual attribute.
enum class XattrMacro : uint8_t { none, cas, seqno, value_crc32c, virtual_path };
XattrMacro find_macro(std::string_view value);

}  // namespace bobbin::wire
