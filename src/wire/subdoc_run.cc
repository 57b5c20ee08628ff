#include "wire/subdoc_run.h"

#include <algorithm>

#include "wire/binary_xattr.h"
#include "wire/json_check.h"
#include "wire/json_tokens.h"
#include "wire/numbers.h"
#include "wire/xattr.h"

namespace bobbin::wire {
namespace {

using Opcode = SubdocOpcode;
using Status = SubdocStatus;

/// Above this, memory that one request needed is not kept for the next.
constexpr size_t kKeptBytes = 64 * 1024;

SubdocOperation operation_of(Opcode opcode) {
  switch (opcode) {
    case Opcode::exists:
      return SubdocOperation::exists;
    case Opcode::get_count:
      return SubdocOperation::get_count;
    case Opcode::dict_add:
      return SubdocOperation::dict_add;
    case Opcode::dict_upsert:
      return SubdocOperation::dict_upsert;
    case Opcode::remove:
      return SubdocOperation::remove;
    case Opcode::replace:
      return SubdocOperation::replace;
    case Opcode::array_push_last:
      return SubdocOperation::array_push_last;
    case Opcode::array_push_first:
      return SubdocOperation::array_push_first;
    case Opcode::array_insert:
      return SubdocOperation::array_insert;
    case Opcode::array_add_unique:
      return SubdocOperation::array_add_unique;
    case Opcode::counter:
      return SubdocOperation::counter;
    default:
      return SubdocOperation::get;
  }
}

void forget(std::string& text) {
  if (text.capacity() > kKeptBytes) {
    text = std::string();
  } else {
    text.clear();
  }
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_json_space(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_json_space(text.back()))
    text.remove_suffix(1);
  return text;
}

}  // namespace

// ---- the request as a whole

SubdocStatus SubdocRun::run(const SubdocRequest& request, const SubdocSource& source,
                            const VirtualXattrs& virtuals, uint64_t nonce) {
  request_ = &request;
  virtuals_ = &virtuals;
  nonce_ = nonce;
  start(request, source);
  bool failed = false;
  for (const SubdocSpec& spec : request.specs()) {
    const Result result = run_spec(spec, result_count_);
    results_[result_count_++] = result;
    if (result.status == Status::success) continue;
    failed = true;
    if (request.mutates) break;
  }
  body_index_.release();
  xattr_index_.release();
  return finish(source, failed);
}

void SubdocRun::release() {
  result_count_ = 0;
  for (std::string& text : made_)
    forget(text);
  forget(xattr_text_);
  forget(owned_body_);
  forget(xattrs_);
}

void SubdocRun::start(const SubdocRequest& request, const SubdocSource& source) {
  release();
  macros_.clear();
  for (std::string& mark : marks_)
    mark.clear();
  body_ = source.body;
  body_is_json_ = source.body_is_json && !source.body.empty();
  body_indexed_ = false;
  edit_.reset();
  piece_count_ = 0;
  deletes_ = std::any_of(request.specs().begin(), request.specs().end(),
                         [](const SubdocSpec& spec) { return spec.row->opcode == Opcode::document_delete; });
  source_xattrs_ = source.xattrs;
  if (request.mutates) xattrs_.assign(source.xattrs);
}

SubdocRun::Result SubdocRun::run_spec(const SubdocSpec& spec, size_t number) {
  const bool xattr = spec.has(path_flags::kXattr);
  if (!spec.row->whole_document) {
    const Status status = xattr ? path_.parse_xattr(spec.path, spec.xattr_key_bytes) : path_.parse(spec.path);
    if (status != Status::success) return {.status = status, .value = {}};
  }
  if (!spec.row->mutates) return xattr ? look_up_xattr(spec, number) : look_up(spec, number);
  if (spec.row->opcode == Opcode::replace_body_with_xattr) return replace_body(spec, number);
  return xattr ? change_xattr(spec, number) : change_body(spec, number);
}

SubdocStatus SubdocRun::finish(const SubdocSource& source, bool failed) {
  const bool stays_deleted = source.deleted && !request_->has(doc_flags::kRevive);
  if (failed) {
    if (!request_->multi) return results_[0].status;
    return source.deleted && !request_->mutates ? Status::multi_path_failure_deleted
                                                : Status::multi_path_failure;
  }
  if (request_->mutates) {
    if (deletes_) remove_user_xattrs(xattrs_);
    find_macros();
    collect_pieces();
    if (stays_deleted && body_bytes() != 0) return Status::deleted_cannot_have_value;
  }
  return stays_deleted ? Status::success_deleted : Status::success;
}

void SubdocRun::collect_pieces() {
  const auto add = [this](std::string_view piece) {
    if (!piece.empty()) pieces_[piece_count_++] = piece;
  };
  if (!edit_) {
    add(body_);
    return;
  }
  add(body_.substr(0, edit_->cut.begin));
  add(edit_->head);
  add(edit_->value);
  add(edit_->tail);
  add(body_.substr(edit_->cut.end));
}

size_t SubdocRun::body_bytes() const {
  size_t bytes = 0;
  for (const std::string_view piece : body_pieces())
    bytes += piece.size();
  return bytes;
}

// ---- lookups

SubdocRun::Result SubdocRun::look_up(const SubdocSpec& spec, size_t number) {
  if (spec.row->whole_document) {
    if (body_.empty()) return {.status = Status::path_missing, .value = {}};
    return {.status = Status::success, .value = body_};
  }
  if (!body_is_json_) return {.status = Status::document_not_json, .value = {}};
  if (!body_indexed_) {
    body_index_.build(body_);
    body_indexed_ = true;
  }
  const SubdocOutcome outcome =
      run_operation(operation_of(spec.row->opcode), false, body_index_, path_.components(), {}, scratch_);
  return answer(outcome, spec.row->opcode, body_, number);
}

SubdocRun::Result SubdocRun::look_up_xattr(const SubdocSpec& spec, size_t number) {
  const std::string_view key = spec.path.substr(0, spec.xattr_key_bytes);
  std::optional<std::string_view> value;
  if (is_virtual_xattr(key)) {
    std::optional<std::string> made = *virtuals_ ? (*virtuals_)(key) : std::nullopt;
    if (!made) return {.status = Status::xattr_unknown_virtual, .value = {}};
    made_[number] = std::move(*made);
    value = made_[number];
  } else {
    value = find_xattr(source_xattrs_, key);
    if (!value) return {.status = Status::path_missing, .value = {}};
  }
  const Result found = look_into(*value, spec.row->opcode, path_.components().subspan(1), number);
  return spec.has(path_flags::kBinaryValue) ? decoded(found, number) : found;
}

/// What was found as the bytes that it stands for.
SubdocRun::Result SubdocRun::decoded(const Result& found, size_t number) {
  if (found.status != Status::success) return found;
  // What was found may lie where this goes.
  std::optional<std::string> bytes = decode_binary_value(found.value);
  if (!bytes) return {.status = Status::field_not_binary, .value = {}};
  made_[number] = std::move(*bytes);
  return {.status = Status::success, .value = made_[number]};
}

/// The value of an attribute, unlike a document, may be a scalar.
SubdocRun::Result SubdocRun::look_into(std::string_view json, SubdocOpcode opcode,
                                       std::span<const PathComponent> path, size_t number) {
  const std::string_view value = trimmed(json);
  const bool container = value.starts_with('{') || value.starts_with('[');
  if (path.empty() && opcode != Opcode::get_count)
    return {.status = Status::success, .value = opcode == Opcode::get ? value : std::string_view{}};
  if (!container) return {.status = Status::path_mismatch, .value = {}};
  xattr_index_.build(value);
  return answer(run_operation(operation_of(opcode), false, xattr_index_, path, {}, scratch_), opcode, value,
                number);
}

SubdocRun::Result SubdocRun::answer(const SubdocOutcome& outcome, SubdocOpcode opcode, std::string_view text,
                                    size_t number) {
  Result result{.status = outcome.status, .value = {}};
  if (result.status != Status::success) return result;
  if (opcode == Opcode::get) result.value = outcome.found.of(text);
  if (opcode == Opcode::get_count || opcode == Opcode::counter) {
    numbers_[number] = outcome.digits;
    result.value = {numbers_[number].data(), outcome.digit_count};
  }
  return result;
}

// ---- changes of the body

SubdocRun::Result SubdocRun::change_body(const SubdocSpec& spec, size_t number) {
  if (spec.row->whole_document) return {.status = change_document(spec), .value = {}};
  if (!body_is_json_) return {.status = Status::document_not_json, .value = {}};
  own_body();
  body_index_.build(body_);
  SubdocOutcome outcome = run_operation(operation_of(spec.row->opcode), spec.has(path_flags::kCreateParents),
                                        body_index_, path_.components(), spec.value, scratch_);
  const Result result = answer(outcome, spec.row->opcode, body_, number);
  if (result.status == Status::success) edit_ = std::move(outcome.edit);
  return result;
}

SubdocStatus SubdocRun::change_document(const SubdocSpec& spec) {
  edit_.reset();
  body_ = spec.value;  // of document_delete: nothing
  body_is_json_ = !body_.empty() && check_json(body_, scratch_) == JsonVerdict::valid;
  scratch_.release();
  return Status::success;
}

/// Makes the change that is pending, so that another can be made on top of it.
void SubdocRun::own_body() {
  if (!edit_) return;
  if (!owned_body_.empty() && body_.data() == owned_body_.data()) {
    edit_->apply(owned_body_);
  } else {
    owned_body_.resize(edit_->size_after(body_.size()));
    edit_->write(owned_body_.data(), body_);
  }
  body_ = owned_body_;
  edit_.reset();
}

SubdocRun::Result SubdocRun::replace_body(const SubdocSpec& spec, size_t number) {
  const std::optional<std::string_view> value =
      find_xattr(xattrs_, spec.path.substr(0, spec.xattr_key_bytes));
  if (!value) return {.status = Status::path_missing, .value = {}};
  Result found = look_into(*value, Opcode::get, path_.components().subspan(1), 0);
  const bool is_binary = spec.has(path_flags::kBinaryValue);
  if (is_binary) found = decoded(found, number);
  if (found.status != Status::success) return found;
  // Attributes can change after this.
  owned_body_.assign(found.value);
  body_ = owned_body_;
  edit_.reset();
  body_is_json_ = !is_binary || (!body_.empty() && check_json(body_, scratch_) == JsonVerdict::valid);
  scratch_.release();
  return {};
}

// ---- changes of attributes

SubdocRun::Result SubdocRun::change_xattr(const SubdocSpec& spec, size_t number) {
  std::string_view value = spec.value;
  if (spec.has(path_flags::kExpandMacros)) {
    const std::optional<std::string_view> expanded = expand(spec, number);
    if (!expanded) return {.status = Status::xattr_unknown_virtual_macro, .value = {}};
    value = *expanded;
  }
  if (spec.has(path_flags::kBinaryValue)) {
    made_[number] = encode_binary_value(value);
    value = made_[number];
  }
  // The attribute as the only entry of an object: so the path's first component is like any other.
  const std::string_view key = spec.path.substr(0, spec.xattr_key_bytes);
  const std::optional<std::string_view> old = find_xattr(xattrs_, key);
  const std::string before = "{\"" + std::string(key) + "\":";
  xattr_text_.assign(old ? before : "{");
  if (old) xattr_text_ += *old;
  xattr_text_ += '}';
  xattr_index_.build(xattr_text_);
  const SubdocOutcome outcome =
      run_operation(operation_of(spec.row->opcode), spec.has(path_flags::kCreateParents), xattr_index_,
                    path_.components(), value, scratch_);
  const Result result = answer(outcome, spec.row->opcode, xattr_text_, number);
  if (result.status != Status::success) return result;
  outcome.edit.apply(xattr_text_);
  if (!xattr_text_.starts_with(before)) {
    remove_xattr(xattrs_, key);
    return result;
  }
  const std::string_view text = xattr_text_;
  set_xattr(xattrs_, key, trimmed(text.substr(before.size(), text.size() - before.size() - 1)));
  return result;
}

std::optional<std::string_view> SubdocRun::expand(const SubdocSpec& spec, size_t number) {
  const XattrMacro macro = find_macro(spec.value);
  if (macro == XattrMacro::none) return std::nullopt;
  if (macro != XattrMacro::virtual_path) return mark(macro);
  // "${$document.CAS}" stands for what a get of $document.CAS gives.
  const std::string_view text = spec.value.substr(3, spec.value.size() - 5);
  const size_t key_bytes = xattr_key_bytes(text);
  SubdocPath path;
  if (key_bytes == 0 || path.parse_xattr(text, key_bytes) != Status::success || !*virtuals_)
    return std::nullopt;
  std::optional<std::string> made = (*virtuals_)(text.substr(0, key_bytes));
  if (!made) return std::nullopt;
  made_[number] = std::move(*made);
  const Result found = look_into(made_[number], Opcode::get, path.components().subspan(1), number);
  if (found.status != Status::success) return std::nullopt;
  return found.value;
}

/// What stands for a macro in an attribute until its value is known: as many characters, and found nowhere
/// else.
std::string_view SubdocRun::mark(XattrMacro macro) {
  std::string& text = marks_[static_cast<size_t>(macro)];
  const size_t digits = macro == XattrMacro::value_crc32c ? 8 : 16;
  if (!text.empty()) return text;
  do {
    text.assign("\"0x");
    for (size_t i = 0; i < digits; ++i)
      text += "0123456789abcdef"[(nonce_ >> (4 * i)) & 15];
    text += '"';
    ++nonce_;
  } while (!is_free(text));
  return text;
}

bool SubdocRun::is_free(std::string_view mark) const {
  const auto has_mark = [mark](std::string_view text) { return text.find(mark) != std::string_view::npos; };
  const auto specs = request_->specs();
  return !has_mark(xattrs_) && std::none_of(specs.begin(), specs.end(),
                                            [&](const SubdocSpec& spec) { return has_mark(spec.value); });
}

void SubdocRun::find_macros() {
  for (const XattrMacro macro : {XattrMacro::cas, XattrMacro::seqno, XattrMacro::value_crc32c}) {
    const std::string& mark = marks_[static_cast<size_t>(macro)];
    if (mark.empty()) continue;
    for (size_t at = xattrs_.find(mark); at != std::string::npos; at = xattrs_.find(mark, at + mark.size()))
      macros_.push_back({.macro = macro, .offset = at + 1});
  }
}

// ---- the reply

size_t SubdocRun::reply_bytes() const {
  if (!request_->multi) return results_[0].value.size();
  size_t bytes = 0;
  for (const Result& result : results()) {
    if (!request_->mutates) {
      bytes += kLookupResultBytes + result.value.size();
    } else if (result.status != Status::success) {
      return kMutationFailureBytes;
    } else if (!result.value.empty()) {
      bytes += kMutationResultBytes + result.value.size();
    }
  }
  return bytes;
}

void SubdocRun::write_reply(char* out) const {
  if (!request_->multi) {
    put_bytes(out, results_[0].value);
    return;
  }
  const bool failed = result_count_ != 0 && results().back().status != Status::success;
  for (size_t i = 0; i < result_count_; ++i) {
    const Result& result = results_[i];
    const auto bytes = static_cast<uint32_t>(result.value.size());
    if (!request_->mutates) {
      out = put_bytes(put_lookup_result(out, result.status, bytes), result.value);
    } else if (result.status != Status::success) {
      out = put_mutation_failure(out, static_cast<uint8_t>(i), result.status);
    } else if (!failed && bytes != 0) {
      out = put_bytes(put_mutation_result(out, static_cast<uint8_t>(i), bytes), result.value);
    }
  }
}

bool SubdocRun::reply_is_json() const {
  return !request_->multi && result_count_ != 0 && results_[0].status == Status::success &&
         !results_[0].value.empty() && !request_->all_specs[0].has(path_flags::kBinaryValue);
}

}  // namespace bobbin::wire
