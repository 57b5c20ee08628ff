#include "wire/subdoc.h"

#include <algorithm>

#include "wire/binary_header.h"
#include "wire/binary_xattr.h"
#include "wire/subdoc_path.h"
#include "wire/xattr.h"

namespace bobbin::wire {
namespace {

using Opcode = SubdocOpcode;
using Status = SubdocStatus;

constexpr uint8_t kXattr = path_flags::kXattr;
constexpr uint8_t kMacros = path_flags::kXattr | path_flags::kExpandMacros;
constexpr uint8_t kParents = path_flags::kXattr | path_flags::kCreateParents;
constexpr uint8_t kParentsAndMacros = kParents | kMacros;

// Where a value, of an attribute, may be no JSON.
constexpr uint8_t kBinary = path_flags::kBinaryValue;
constexpr uint8_t kDeleted = doc_flags::kAccessDeleted | doc_flags::kRevive;
constexpr uint8_t kLookup = kDeleted | doc_flags::kReplicaRead;
constexpr uint8_t kAddDeleted = kDeleted | doc_flags::kAdd | doc_flags::kCreateAsDeleted;
constexpr uint8_t kMake = kAddDeleted | doc_flags::kCreate;
constexpr uint8_t kKnownDocFlags = kMake | doc_flags::kReplicaRead;

// opcode, mutates, takes_value, replies_value, empty_path, whole_document, path_flags, doc_flags
constexpr SubdocRow kRows[] = {
    {Opcode::document_get, false, false, true, true, true, 0, kLookup},
    {Opcode::document_set, true, true, false, true, true, 0, doc_flags::kCreate | doc_flags::kAdd},
    {Opcode::document_delete, true, false, false, true, true, 0, kDeleted},
    {Opcode::get, false, false, true, false, false, kXattr | kBinary, kLookup},
    {Opcode::exists, false, false, false, false, false, kXattr, kLookup},
    {Opcode::dict_add, true, true, false, false, false, kParentsAndMacros | kBinary, kMake},
    {Opcode::dict_upsert, true, true, false, false, false, kParentsAndMacros | kBinary, kMake},
    {Opcode::remove, true, false, false, false, false, kXattr, kDeleted},
    {Opcode::replace, true, true, false, false, false, kMacros | kBinary, kDeleted | doc_flags::kAdd},
    {Opcode::array_push_last, true, true, false, true, false, kParentsAndMacros | kBinary, kMake},
    {Opcode::array_push_first, true, true, false, true, false, kParentsAndMacros | kBinary, kMake},
    {Opcode::array_insert, true, true, false, false, false, kMacros | kBinary, kAddDeleted},
    {Opcode::array_add_unique, true, true, false, true, false, kParents | kBinary, kMake},
    {Opcode::counter, true, true, true, false, false, kParents, kMake},
    {Opcode::get_count, false, false, true, true, false, kXattr, kLookup},
    {Opcode::replace_body_with_xattr, true, false, false, false, false, kXattr | kBinary, kDeleted},
};

/// Path flags, attribute and value of a single request or a spec.
Status check_spec(SubdocSpec& spec, const SubdocFrame& frame, uint8_t document_flags) {
  const SubdocRow& row = *spec.row;
  if ((spec.flags & ~row.path_flags) != 0) return Status::invalid_arguments;
  if (row.opcode == Opcode::replace_body_with_xattr && !spec.has(kXattr)) return Status::invalid_arguments;
  if ((document_flags & ~row.doc_flags) != 0) return Status::invalid_arguments;
  if (spec.path.size() > kMaxPathBytes) return Status::invalid_arguments;
  if (row.whole_document && !spec.path.empty()) return Status::invalid_arguments;
  if (spec.has(kXattr)) {
    if (spec.has(kBinary) && spec.has(path_flags::kExpandMacros)) return Status::xattr_invalid_flags;
    if (!frame.xattrs_agreed) return Status::not_supported;
    spec.xattr_key_bytes = static_cast<uint8_t>(xattr_key_bytes(spec.path));
    if (spec.xattr_key_bytes == 0) return Status::xattr_invalid;
    if (is_virtual_xattr(spec.path) && row.mutates) return Status::xattr_cannot_modify_virtual;
    if (spec.has(path_flags::kExpandMacros) && find_macro(spec.value) == XattrMacro::none)
      return Status::xattr_unknown_macro;
    if (!spec.has(kBinary) && has_broken_binary_value(spec.value)) return Status::xattr_invalid;
  } else if (spec.has(path_flags::kExpandMacros) || spec.has(kBinary)) {
    return Status::xattr_invalid_flags;
  }
  if (spec.path.empty() && !row.empty_path) return Status::invalid_arguments;
  if (spec.value.empty() == row.takes_value) return Status::invalid_arguments;
  return Status::success;
}

Status check_document_flags(const SubdocRequest& request, uint64_t cas) {
  using namespace doc_flags;  // NOLINT(google-build-using-namespace)
  const bool wrong = (request.flags & ~kKnownDocFlags) != 0 || (request.has(kAdd) && cas != 0) ||
                     (request.has(kAdd) && request.has(kCreate));
  return wrong ? Status::invalid_arguments : Status::success;
}

uint32_t take_number(std::string_view& bytes) {
  const auto number = load_big_endian<uint32_t>(bytes.data());
  bytes.remove_prefix(sizeof(number));
  return number;
}

/// Expiry, the document's own flags and document flags end the extras; each may be missing, but its own
/// flags stand only behind an expiry.
void read_tail(std::string_view tail, SubdocRequest& request) {
  if (tail.size() >= sizeof(uint32_t)) {
    request.has_expiry = true;
    request.expiry = take_number(tail);
  }
  if (tail.size() >= sizeof(uint32_t)) request.user_flags = take_number(tail);
  if (!tail.empty()) request.flags = static_cast<uint8_t>(tail[0]);
}

/// What read_tail reads, with or without the byte of document flags; a lookup has that alone.
bool is_tail_length(size_t bytes, bool mutates) {
  const size_t numbers = bytes / sizeof(uint32_t);
  return bytes % sizeof(uint32_t) <= 1 && numbers <= (mutates ? 2 : 0);
}

/// A document that may be made has its parents made too.
void imply_parents(SubdocRequest& request) {
  if (!request.has(doc_flags::kCreate) && !request.has(doc_flags::kAdd)) return;
  for (SubdocSpec& spec : request.all_specs)
    spec.flags |= path_flags::kCreateParents;
}

Status parse_single(const SubdocFrame& frame, SubdocRequest& request) {
  constexpr size_t kHeadBytes = 3;  // path length, path flags
  SubdocSpec& spec = request.all_specs[0];
  spec.row = find_subdoc_row(frame.opcode);
  if (spec.row == nullptr || spec.row->whole_document) return Status::invalid_arguments;
  request.mutates = spec.row->mutates;
  request.spec_count = 1;
  if (frame.extras.size() < kHeadBytes || !is_tail_length(frame.extras.size() - kHeadBytes, request.mutates))
    return Status::invalid_arguments;
  const size_t path_bytes = load_big_endian<uint16_t>(frame.extras.data());
  spec.flags = static_cast<uint8_t>(frame.extras[2]);
  read_tail(frame.extras.substr(kHeadBytes), request);
  if (path_bytes > frame.value.size()) return Status::invalid_arguments;
  spec.path = frame.value.substr(0, path_bytes);
  spec.value = frame.value.substr(path_bytes);
  if (check_document_flags(request, frame.cas) != Status::success) return Status::invalid_arguments;
  // A multi mutation may say so where nothing is to be made: the SDKs' transactions do.
  const bool makes = request.has(doc_flags::kAdd) || request.has(doc_flags::kCreate);
  if (request.has(doc_flags::kCreateAsDeleted) && (!makes || !spec.has(kXattr)))
    return Status::invalid_arguments;
  return check_spec(spec, frame, request.flags);
}

/// Cuts one spec off the front of `rest`.
Status cut_spec(std::string_view& rest, bool mutates, SubdocSpec& spec) {
  const size_t head_bytes = mutates ? 8 : 4;
  if (rest.size() < head_bytes) return Status::invalid_arguments;
  const auto opcode = static_cast<uint8_t>(rest[0]);
  spec.flags = static_cast<uint8_t>(rest[1]);
  const size_t path_bytes = load_big_endian<uint16_t>(rest.data() + 2);
  const size_t value_bytes = mutates ? load_big_endian<uint32_t>(rest.data() + 4) : 0;
  rest.remove_prefix(head_bytes);
  if (path_bytes + value_bytes > rest.size()) return Status::invalid_arguments;
  spec.path = rest.substr(0, path_bytes);
  spec.value = rest.substr(path_bytes, value_bytes);
  rest.remove_prefix(path_bytes + value_bytes);
  spec.row = find_subdoc_row(opcode);
  if (spec.row == nullptr || spec.row->mutates != mutates) return Status::invalid_combination;
  return Status::success;
}

/// Attributes come first; who deletes the document does nothing else to its body.
Status check_order(std::span<const SubdocSpec> before, const SubdocSpec& spec) {
  if (before.empty() || before.back().has(kXattr)) return Status::success;
  if (spec.has(kXattr)) return Status::xattr_invalid_order;
  return spec.row->opcode == Opcode::document_delete ? Status::invalid_combination : Status::success;
}

Status parse_multi(const SubdocFrame& frame, SubdocRequest& request) {
  request.multi = true;
  request.mutates = static_cast<Opcode>(frame.opcode) == Opcode::multi_mutation;
  if (!is_tail_length(frame.extras.size(), request.mutates)) return Status::invalid_arguments;
  read_tail(frame.extras, request);
  if (check_document_flags(request, frame.cas) != Status::success) return Status::invalid_arguments;
  if (request.has(doc_flags::kRevive) &&
      (!request.has(doc_flags::kAccessDeleted) || request.has(doc_flags::kCreateAsDeleted)))
    return Status::invalid_arguments;
  std::string_view rest = frame.value;
  while (!rest.empty()) {
    if (request.spec_count == kMaxSubdocSpecs) return Status::invalid_combination;
    // What follows a deletion is not looked at.
    const std::span<const SubdocSpec> before = request.specs();
    if (!before.empty() && before.back().row->opcode == Opcode::document_delete)
      return Status::invalid_combination;
    SubdocSpec& spec = request.all_specs[request.spec_count];
    Status status = cut_spec(rest, request.mutates, spec);
    if (status == Status::success) status = check_spec(spec, frame, request.flags);
    if (status == Status::success) status = check_order(before, spec);
    if (status != Status::success) return status;
    ++request.spec_count;
  }
  return request.spec_count == 0 ? Status::invalid_combination : Status::success;
}

}  // namespace

const SubdocRow* find_subdoc_row(uint8_t opcode) {
  const auto* const row = std::find_if(
      std::begin(kRows), std::end(kRows),
      [opcode](const SubdocRow& candidate) { return candidate.opcode == static_cast<Opcode>(opcode); });
  return row == std::end(kRows) ? nullptr : row;
}

SubdocStatus parse_subdoc(const SubdocFrame& frame, SubdocRequest& request) {
  request = SubdocRequest{};
  const auto opcode = static_cast<Opcode>(frame.opcode);
  const bool multi = opcode == Opcode::multi_lookup || opcode == Opcode::multi_mutation;
  const Status status = multi ? parse_multi(frame, request) : parse_single(frame, request);
  if (status == Status::success) imply_parents(request);
  return status;
}

std::string_view SubdocRequest::initial_body() const {
  if (has(doc_flags::kCreateAsDeleted)) return {};
  for (const SubdocSpec& spec : specs()) {
    if (spec.row->whole_document || spec.row->opcode == SubdocOpcode::replace_body_with_xattr) continue;
    // An empty path is that of an operation on an array.
    return spec.path.empty() || spec.path[0] == '[' ? "[]" : "{}";
  }
  return {};
}

char* put_lookup_result(char* out, SubdocStatus status, uint32_t value_bytes) {
  out = store_big_endian(out, static_cast<uint16_t>(status));
  return store_big_endian(out, value_bytes);
}

char* put_mutation_result(char* out, uint8_t index, uint32_t value_bytes) {
  out = put_mutation_failure(out, index, SubdocStatus::success);
  return store_big_endian(out, value_bytes);
}

char* put_mutation_failure(char* out, uint8_t index, SubdocStatus status) {
  out = store_big_endian(out, index);
  return store_big_endian(out, static_cast<uint16_t>(status));
}

XattrMacro find_macro(std::string_view value) {
  if (value == R"("${Mutation.CAS}")") return XattrMacro::cas;
  if (value == R"("${Mutation.seqno}")") return XattrMacro::seqno;
  if (value == R"("${Mutation.value_crc32c}")") return XattrMacro::value_crc32c;
  if (value.starts_with(R"("${$document)") && value.ends_with(R"(}")")) return XattrMacro::virtual_path;
  return XattrMacro::none;
}

}  // namespace bobbin::wire
