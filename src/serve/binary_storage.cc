// set, add, replace, append and prepend of the binary protocol.

#include <string>
#include <utility>

#include "serve/binary_commands.h"
#include "serve/storing.h"
#include "store/expiry.h"
#include "wire/datatype.h"
#include "wire/json_check.h"

namespace bobbin::serve {
namespace {

using store::StoreMode;
using wire::BinaryOpcode;
using wire::BinaryStatus;

StoreMode mode_of(BinaryOpcode opcode) {
  switch (opcode) {
    case BinaryOpcode::add:
    case BinaryOpcode::addq:
      return StoreMode::add;
    case BinaryOpcode::replace:
    case BinaryOpcode::replaceq:
      return StoreMode::replace;
    case BinaryOpcode::append:
    case BinaryOpcode::appendq:
      return StoreMode::append;
    case BinaryOpcode::prepend:
    case BinaryOpcode::prependq:
      return StoreMode::prepend;
    default:
      return StoreMode::set;
  }
}

BinaryStatus status_of(store::StoreStatus status, StoreMode mode) {
  switch (status) {
    case store::StoreStatus::stored:
      return BinaryStatus::success;
    case store::StoreStatus::exists:
      return BinaryStatus::key_exists;
    case store::StoreStatus::not_found:
      // memcached's answer to append and prepend, which clients rely on, is another.
      return mode == StoreMode::append || mode == StoreMode::prepend ? BinaryStatus::not_stored
                                                                     : BinaryStatus::key_not_found;
    case store::StoreStatus::not_stored:
      // The binary protocol says why: add finds the key, replace does not.
      if (mode == StoreMode::add) return BinaryStatus::key_exists;
      if (mode == StoreMode::replace) return BinaryStatus::key_not_found;
      return BinaryStatus::not_stored;
    case store::StoreStatus::too_large:
      return BinaryStatus::too_large;
    case store::StoreStatus::unknown_collection:
    case store::StoreStatus::would_block:
    case store::StoreStatus::locked:
    case store::StoreStatus::no_memory:
      break;  // a trouble
  }
  return BinaryStatus::internal_error;
}

// Who has agreed on JSON is told what is JSON, and is not asked: what clients say of their values is wrong
// too often. Costs a nanosecond or so for a byte or two.
uint8_t datatype_of(std::span<const char> value) {
  static thread_local wire::JsonIndex index;
  const std::string_view text(value.data(), value.size());
  return wire::check_json(text, index) == wire::JsonVerdict::valid ? wire::kDatatypeJson : 0;
}

void store_value(Session& session, const BinaryCommand& row, const wire::BinaryHeader& header,
                 store::Draft& draft) {
  const StoreMode asked = mode_of(row.opcode);
  const bool appends = asked == StoreMode::append || asked == StoreMode::prepend;
  // With a CAS, set, add and replace are all the same: store if the document has it.
  const StoreMode mode = header.cas != 0 && !appends ? StoreMode::cas : asked;
  store::StoreOptions options;
  if (header.cas != 0) options.cas_compare = header.cas;
  options.keep_expiry = session.client() != nullptr && session.client()->frame.preserve_ttl;
  const bool is_compressed = (draft.datatype() & wire::kDatatypeSnappy) != 0;
  const uint32_t value_bytes = plain_bytes(draft);
  const std::string logged(session.log().wants(kWatchMutations) ? draft.key() : std::string_view());
  const uint16_t vbucket = session.vbucket_of(draft.doc_key());
  const uint64_t key_bytes = draft.doc_key().stored_size();
  const auto result = session.bucket().store(draft, mode, options, session.now());
  const Trouble trouble = trouble_of(session, result, draft, vbucket);
  if (trouble == Trouble::again) return;
  if (result.ok()) session.changed(vbucket, result.seqno);
  store::StoreResult told = result;
  if (is_compressed) told.value_len = value_bytes;
  count_store(session, verb_of(mode), logged, header.cas != 0, told, value_bytes);
  const BinaryStatus status = trouble == Trouble::none ? status_of(result.status, mode) : status_of(trouble);
  if (status != BinaryStatus::success) return reply_binary_error(session, header, status);
  if (row.quiet) return;
  session.note_written(key_bytes + result.value_len + result.kept_len);
  answer_mutation(session, header, vbucket, result.seqno, result.cas);
}

void finish_store(Session& session, const BinaryCommand& row, const wire::BinaryHeader& header,
                  store::Draft& draft) {
  const StoreMode asked = mode_of(row.opcode);
  const bool appends = asked == StoreMode::append || asked == StoreMode::prepend;
  const auto judge = [&](store::Draft& value) {
    if (!session.has(wire::Feature::json) || appends) return;
    value.set_datatype(session.counters().json_checks.time([&value] { return datatype_of(value.value()); }));
  };
  const bool compressed = session.client() != nullptr && (header.datatype & wire::kDatatypeSnappy) != 0;
  if (!compressed) {
    judge(draft);
    return store_value(session, row, header, draft);
  }
  store::Draft whole;
  if (!inflate_value(session, header, draft, whole)) return;
  judge(whole);
  store_value(session, row, header, appends ? whole : chosen_form(session, draft, whole));
}

class BinaryUpload final : public Upload {
 public:
  BinaryUpload(Placed placed, const BinaryCommand& row, const wire::BinaryHeader& header)
      : Upload(std::move(placed)), row_(row), header_(header) {}
  void finish(Session& session) override { finish_store(session, row_, header_, draft()); }
  void malformed(Session&) override {}  // nothing follows a value in this protocol

 private:
  const BinaryCommand& row_;
  const wire::BinaryHeader header_;
};

}  // namespace

void handle_binary_store(Session& session, const BinaryCommand& row, const wire::BinaryRequest& request) {
  // Values with attributes come by other commands.
  if (session.client() != nullptr && (request.header.datatype & wire::kDatatypeXattr) != 0) {
    reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
    return session.swallow(request.value_bytes);
  }
  const bool appends = request.extras.empty();
  const wire::StoreExtras extras = appends ? wire::StoreExtras{} : wire::read_store_extras(request.extras);
  const uint32_t expiry = store::absolute_expiry(extras.exptime, session.now());
  const bool arrived = request.value.size() == request.value_bytes;
  // What cannot be made shorter gets longer; the limit is the value's own.
  const bool may_be_longer =
      session.client() != nullptr && (request.header.datatype & wire::kDatatypeSnappy) != 0;
  auto placed = place_value(session, key_of(request), extras.flags, expiry, request.value_bytes, arrived,
                            mode_of(row.opcode) == StoreMode::set, may_be_longer);
  if (!placed) {
    const Trouble trouble = placed.error();
    if (trouble == Trouble::again) return;
    reply_binary_error(session, request.header,
                       trouble == Trouble::none ? BinaryStatus::too_large : status_of(trouble));
    return session.swallow(request.value_bytes);
  }
  if (!arrived) {
    return session.receive(std::make_unique<BinaryUpload>(std::move(*placed), row, request.header), false);
  }
  session.take(request.value_bytes);
  request.value.copy(placed->draft.value().data(), request.value_bytes);
  finish_store(session, row, request.header, placed->draft);
}

}  // namespace bobbin::serve
