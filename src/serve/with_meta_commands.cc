// Documents as they were changed elsewhere, with their metadata: SET, ADD and DEL_WITH_META, and RETURN_META
// (ep-engine docs/protocol/set_with_meta.md, del_with_meta.md, return_meta.md).

#include <array>
#include <utility>

#include "serve/binary_commands.h"
#include "serve/session.h"
#include "serve/storing.h"
#include "store/expiry.h"
#include "wire/datatype.h"
#include "wire/json_check.h"
#include "wire/xattr.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryRequest;
using wire::BinaryStatus;
using wire::ExtrasLengths;
using wire::Presence;

constexpr uint32_t kSkipResolution = 0x01;
constexpr uint32_t kForceAccept = 0x02;  // says that the sender knows the bucket's rule
constexpr uint32_t kRegenerateCas = 0x04;
constexpr uint32_t kIsExpiration = 0x10;

BinaryStatus status_of(store::StoreStatus status) {
  switch (status) {
    case store::StoreStatus::stored:
      return BinaryStatus::success;
    case store::StoreStatus::exists:
    case store::StoreStatus::not_stored:
      return BinaryStatus::key_exists;
    case store::StoreStatus::not_found:
      return BinaryStatus::key_not_found;
    case store::StoreStatus::too_large:
      return BinaryStatus::too_large;
    case store::StoreStatus::unknown_collection:
    case store::StoreStatus::locked:
    case store::StoreStatus::no_memory:
    case store::StoreStatus::would_block:
      break;  // a trouble
  }
  return BinaryStatus::internal_error;
}

BinaryStatus status_of(store::RemoveStatus status) {
  if (status == store::RemoveStatus::removed) return BinaryStatus::success;
  return status == store::RemoveStatus::not_found ? BinaryStatus::key_not_found : BinaryStatus::key_exists;
}

bool is_add(BinaryOpcode opcode) {
  return opcode == BinaryOpcode::add_with_meta || opcode == BinaryOpcode::addq_with_meta;
}

// Extras: flags, expiry, revision, CAS, then options or not, then the length of more metadata or not, which
// nobody sends any more.
BinaryStatus read_change(const BinaryCommand& row, const BinaryRequest& request,
                         store::ForeignChange& change) {
  const char* extras = request.extras.data();
  const size_t size = request.extras.size();
  change.flags = wire::load_big_endian<uint32_t>(extras);
  change.expiry = wire::load_big_endian<uint32_t>(extras + 4);
  change.revision = wire::load_big_endian<uint64_t>(extras + 8);
  change.cas = wire::load_big_endian<uint64_t>(extras + 16);
  const uint32_t options = size >= 28 ? wire::load_big_endian<uint32_t>(extras + 24) : 0;
  const bool more = size == 26 || size == 30;
  if (more && wire::load_big_endian<uint16_t>(extras + size - 2) != 0) return BinaryStatus::not_supported;
  if ((options & ~(kSkipResolution | kForceAccept | kRegenerateCas | kIsExpiration)) != 0)
    return BinaryStatus::invalid_arguments;
  change.resolve = (options & kSkipResolution) == 0;
  change.new_cas = (options & kRegenerateCas) != 0;
  change.expired = (options & kIsExpiration) != 0;
  if (change.new_cas && change.resolve) return BinaryStatus::invalid_arguments;
  if (change.revision == 0 || change.revision > store::kMaxRevision) return BinaryStatus::invalid_arguments;
  if (change.cas == 0 || change.cas == store::kLockedCas) return BinaryStatus::key_exists;
  change.add = is_add(row.opcode);
  if (request.header.cas != 0) change.cas_compare = request.header.cas;
  return BinaryStatus::success;
}

// Looks at what has come, and says what it is.
BinaryStatus judge(Session& session, uint8_t datatype, store::Draft& draft) {
  static thread_local wire::JsonIndex index;
  const std::string_view value(draft.value().data(), draft.value().size());
  wire::XattrValue parts{.block = {}, .body = value};
  if ((datatype & wire::kDatatypeXattr) != 0) {
    const auto split = wire::split_xattr_value(value);
    if (!split || !wire::check_xattrs(split->block, index)) return BinaryStatus::xattr_invalid;
    parts = *split;
  }
  const size_t system = wire::system_xattr_bytes(parts.block);
  if (system > wire::kMaxSystemXattrBytes || value.size() - system > session.bucket().max_value_bytes())
    return BinaryStatus::too_large;
  const bool json = session.counters().json_checks.time(
      [&parts] { return wire::check_json(parts.body, index) == wire::JsonVerdict::valid; });
  draft.set_datatype(
      static_cast<uint8_t>((json ? wire::kDatatypeJson : 0) | (datatype & wire::kDatatypeXattr)));
  return BinaryStatus::success;
}

void store_value(Session& session, const BinaryCommand& row, const wire::BinaryHeader& header,
                 const store::ForeignChange& change, store::Draft& draft) {
  const uint16_t vbucket = session.vbucket_of(draft.doc_key());
  const uint64_t key_bytes = draft.doc_key().stored_size();
  const auto value_bytes = static_cast<uint32_t>(draft.value().size());
  const std::string logged(session.log().wants(kWatchMutations) ? draft.key() : std::string_view());
  const uint32_t plain = plain_bytes(draft);
  const auto result = session.bucket().store_foreign(draft, change, session.now());
  const Trouble trouble = trouble_of(session, result, draft, vbucket);
  if (trouble == Trouble::again) return;
  if (result.ok()) session.changed(vbucket, result.seqno);
  store::StoreResult told = result;
  if (plain != value_bytes) told.value_len = plain;
  count_store(session, row.name, logged, header.cas != 0, told, plain);
  if (trouble != Trouble::none) return reply_binary_error(session, header, serve::status_of(trouble));
  if (!result.ok()) return reply_binary_error(session, header, status_of(result.status));
  if (row.quiet) return;
  session.note_written(key_bytes + value_bytes);
  answer_mutation(session, header, vbucket, result.seqno, result.cas);
}

void finish_store(Session& session, const BinaryCommand& row, const wire::BinaryHeader& header,
                  const store::ForeignChange& change, store::Draft& draft) {
  const bool compressed = (header.datatype & wire::kDatatypeSnappy) != 0;
  store::Draft whole;
  if (compressed && !inflate_value(session, header, draft, whole)) return;
  store::Draft& plain = compressed ? whole : draft;
  if (const auto wrong = judge(session, header.datatype, plain); wrong != BinaryStatus::success)
    return reply_binary_error(session, header, wrong);
  store_value(session, row, header, change, compressed ? chosen_form(session, draft, whole) : draft);
}

class ForeignUpload final : public Upload {
 public:
  ForeignUpload(Placed placed, const BinaryCommand& row, const wire::BinaryHeader& header,
                const store::ForeignChange& change)
      : Upload(std::move(placed)), row_(row), header_(header), change_(change) {}
  void finish(Session& session) override { finish_store(session, row_, header_, change_, draft()); }
  void malformed(Session&) override {}  // nothing follows a value in this protocol

 private:
  const BinaryCommand& row_;
  const wire::BinaryHeader header_;
  const store::ForeignChange change_;
};

void handle_store(Session& session, const BinaryCommand& row, const BinaryRequest& request) {
  store::ForeignChange change;
  const auto refuse = [&](BinaryStatus status) {
    reply_binary_error(session, request.header, status);
    session.swallow(request.value_bytes);
  };
  if (const auto wrong = read_change(row, request, change); wrong != BinaryStatus::success)
    return refuse(wrong);
  if (change.expired) return refuse(BinaryStatus::invalid_arguments);
  const bool arrived = request.value.size() == request.value_bytes;
  // The limit is that of the value itself: attributes have one of their own, and what cannot be made shorter
  // by compression gets longer.
  const bool may_be_longer = (request.header.datatype & (wire::kDatatypeXattr | wire::kDatatypeSnappy)) != 0;
  auto placed = place_value(session, key_of(request), change.flags, change.expiry, request.value_bytes,
                            arrived, false, may_be_longer);
  if (!placed) {
    if (placed.error() == Trouble::again) return;
    return refuse(placed.error() == Trouble::none ? BinaryStatus::too_large
                                                  : serve::status_of(placed.error()));
  }
  if (!arrived) {
    return session.receive(std::make_unique<ForeignUpload>(std::move(*placed), row, request.header, change),
                           false);
  }
  session.take(request.value_bytes);
  request.value.copy(placed->draft.value().data(), request.value_bytes);
  finish_store(session, row, request.header, change, placed->draft);
}

// A tombstone has a value where it has attributes, and then it has no body.
bool is_tombstone_value(std::string_view value) {
  const auto split = wire::split_xattr_value(value);
  return split && !split->block.empty() && split->body.empty();
}

void handle_delete_with_attributes(Session& session, const BinaryCommand& row, const BinaryRequest& request,
                                   const store::ForeignChange& change) {
  const auto fail = [&](BinaryStatus status) { reply_binary_error(session, request.header, status); };
  auto placed = place_value(session, key_of(request), change.flags, change.expiry, request.value_bytes, true,
                            false, true);
  if (!placed) {
    if (placed.error() == Trouble::again) return;
    return fail(placed.error() == Trouble::none ? BinaryStatus::too_large : serve::status_of(placed.error()));
  }
  store::Draft given = std::move(placed->draft);
  request.value.copy(given.value().data(), request.value_bytes);
  store::Draft inflated;
  const bool compressed = (request.header.datatype & wire::kDatatypeSnappy) != 0;
  if (compressed && !inflate_value(session, request.header, given, inflated)) return;
  store::Draft& draft = compressed ? inflated : given;
  if (const auto wrong = judge(session, request.header.datatype, draft); wrong != BinaryStatus::success)
    return fail(wrong);
  if (!is_tombstone_value({draft.value().data(), draft.value().size()}))
    return fail(BinaryStatus::invalid_arguments);
  draft.set_datatype(wire::kDatatypeXattr);
  const size_t value_bytes = draft.value().size();
  const auto result = session.bucket().store_foreign(draft, change, session.now());
  const Trouble trouble = trouble_of(session, result.status, key_of(request));
  if (trouble == Trouble::again) return;
  if (trouble != Trouble::none) return fail(serve::status_of(trouble));
  if (!result.ok()) return fail(status_of(result.status));
  const uint16_t vbucket = session.vbucket_of(request.key);
  session.changed(vbucket, result.seqno);
  session.counters().delete_hits.add(1);
  if (row.quiet) return;
  session.note_written(key_of(request), value_bytes);
  answer_mutation(session, request.header, vbucket, result.seqno, result.cas);
}

void handle_delete(Session& session, const BinaryCommand& row, const BinaryRequest& request) {
  store::ForeignChange change;
  auto wrong = read_change(row, request, change);
  const bool attributes = (request.header.datatype & wire::kDatatypeXattr) != 0;
  const bool compressed = (request.header.datatype & wire::kDatatypeSnappy) != 0;
  // Where there is nothing, nothing can be compressed.
  if (wrong == BinaryStatus::success && !attributes && (request.value_bytes != 0 || compressed))
    wrong = BinaryStatus::invalid_arguments;
  if (wrong != BinaryStatus::success) return reply_binary_error(session, request.header, wrong);
  change.as_tombstone = attributes;
  if (attributes) return handle_delete_with_attributes(session, row, request, change);
  const auto result = session.bucket().remove_foreign(key_of(request), change, session.now());
  const Trouble trouble = trouble_of(session, result.status, key_of(request));
  if (trouble == Trouble::again) return;
  if (trouble != Trouble::none) return reply_binary_error(session, request.header, serve::status_of(trouble));
  if (result.status != store::RemoveStatus::removed)
    return reply_binary_error(session, request.header, status_of(result.status));
  const uint16_t vbucket = session.vbucket_of(request.key);
  session.changed(vbucket, result.seqno);
  session.counters().delete_hits.add(1);
  if (row.quiet) return;
  session.note_written(key_of(request), 0);
  answer_mutation(session, request.header, vbucket, result.seqno, result.cas);
}

// ---- RETURN_META: a change like any other, whose answer says what metadata it made.

void answer_metadata(Session& session, const BinaryRequest& request, uint32_t flags, uint32_t expiry,
                     uint64_t revision, uint64_t cas) {
  std::array<char, 16> extras;
  wire::store_big_endian(extras.data(), flags);
  wire::store_big_endian(extras.data() + 4, expiry);
  wire::store_big_endian(extras.data() + 8, revision);
  answer(session, request.header, {.cas = cas, .extras = {extras.data(), extras.size()}});
}

void return_meta_of_removal(Session& session, const BinaryRequest& request) {
  store::RemoveOptions options;
  if (request.header.cas != 0) options.cas_compare = request.header.cas;
  const auto result = session.bucket().remove(key_of(request), options, session.now());
  const Trouble trouble = trouble_of(session, result.status, key_of(request));
  if (trouble == Trouble::again) return;
  if (trouble != Trouble::none) return reply_binary_error(session, request.header, serve::status_of(trouble));
  if (result.status != store::RemoveStatus::removed)
    return reply_binary_error(session, request.header, status_of(result.status));
  session.changed(session.vbucket_of(request.key), result.seqno);
  session.counters().delete_hits.add(1);
  session.note_written(key_of(request), result.left_len);
  answer_metadata(session, request, 0, 0, result.revision, result.cas);
}

void handle_return_meta(Session& session, const BinaryCommand& row, const BinaryRequest& request) {
  enum : uint32_t { kSet = 1, kAdd = 2, kDelete = 3 };
  const auto type = wire::load_big_endian<uint32_t>(request.extras.data());
  const auto flags = wire::load_big_endian<uint32_t>(request.extras.data() + 4);
  const auto exptime = wire::load_big_endian<uint32_t>(request.extras.data() + 8);
  if (type < kSet || type > kDelete || (type == kDelete && request.value_bytes != 0) ||
      (request.header.datatype & wire::kDatatypeXattr) != 0)
    return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  const Privileges needs = type == kDelete ? Privileges{serve::kDelete} : Privileges{kUpsert};
  if (session.may_in(request.collection, needs) != Verdict::granted)
    return reply_binary_error(session, request.header, BinaryStatus::no_access);
  if (type == kDelete) return return_meta_of_removal(session, request);
  const uint32_t expiry = store::absolute_expiry(exptime, session.now());
  auto placed = place_value(session, key_of(request), flags, expiry, request.value_bytes, true, false);
  if (!placed) {
    if (placed.error() == Trouble::again) return;
    return reply_binary_error(
        session, request.header,
        placed.error() == Trouble::none ? BinaryStatus::too_large : serve::status_of(placed.error()));
  }
  store::Draft& draft = placed->draft;
  request.value.copy(draft.value().data(), request.value_bytes);
  (void)judge(session, 0, draft);
  store::StoreOptions options;
  if (request.header.cas != 0) options.cas_compare = request.header.cas;
  const auto mode = type == kAdd          ? store::StoreMode::add
                    : options.cas_compare ? store::StoreMode::cas
                                          : store::StoreMode::set;
  const auto result = session.bucket().store(draft, mode, options, session.now());
  const Trouble trouble = trouble_of(session, result.status, key_of(request));
  if (trouble == Trouble::again) return;
  if (result.ok()) session.changed(session.vbucket_of(request.key), result.seqno);
  count_store(session, row.name, request.key, request.header.cas != 0, result, request.value_bytes);
  if (trouble != Trouble::none) return reply_binary_error(session, request.header, serve::status_of(trouble));
  if (!result.ok()) return reply_binary_error(session, request.header, status_of(result.status));
  session.note_written(key_of(request), uint64_t{result.value_len} + result.kept_len);
  answer_metadata(session, request, flags, result.expiry, result.revision, result.cas);
}

constexpr BinaryCommand row(BinaryOpcode opcode, std::string_view name, bool quiet, bool removes = false) {
  BinaryCommand row{opcode, name,
                    wire::with_cas(wire::with_datatypes(
                        {ExtrasLengths(24, 26, 28, 30), Presence::required, Presence::optional},
                        wire::kDatatypeJson | wire::kDatatypeSnappy | wire::kDatatypeXattr)),
                    removes ? handle_delete : handle_store};
  row.quiet = quiet;
  row.uploads = !removes;
  if (removes) row.max_value_bytes = wire::kMaxSystemXattrBytes + store::kDefaultMaxValueBytes;
  row.writes = true;
  row.needs = kMetaWrite;
  row.audience = Audience::couchbase;
  return row;
}
constexpr BinaryCommand return_meta_row() {
  BinaryCommand row{BinaryOpcode::return_meta, "return_meta",
                    wire::with_cas({ExtrasLengths(12), Presence::required, Presence::optional}),
                    handle_return_meta};
  row.writes = true;
  row.max_value_bytes = 1 << 20;
  row.needs = 0;  // as the change takes
  row.audience = Audience::couchbase;
  return row;
}

using enum BinaryOpcode;
constexpr BinaryCommand kCommands[] = {
    row(set_with_meta, "set_with_meta", false),
    row(setq_with_meta, "setq_with_meta", true),
    row(add_with_meta, "add_with_meta", false),
    row(addq_with_meta, "addq_with_meta", true),
    row(del_with_meta, "del_with_meta", false, true),
    row(delq_with_meta, "delq_with_meta", true, true),
    return_meta_row(),
};

}  // namespace

std::span<const BinaryCommand> with_meta_commands() {
  return kCommands;
}

}  // namespace bobbin::serve
