// The sub-document API over documents of a bucket: fetch, run, and store if nobody was faster
// (kv_engine docs/SubDocument.md). What a request means is wire/subdoc.h's, what it does to a JSON text
// wire/subdoc_run.h's.

#include <cstring>
#include <string>
#include <utility>

#include "serve/binary_commands.h"
#include "serve/session.h"
#include "serve/storing.h"
#include "serve/virtual_attributes.h"
#include "store/expiry.h"
#include "wire/datatype.h"
#include "wire/json_check.h"
#include "wire/subdoc_run.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryRequest;
using wire::BinaryStatus;
using wire::SubdocRequest;
using wire::SubdocRun;
using wire::SubdocStatus;

// Whose change comes in between, the request is run again on what that left; who loses so often is told so.
constexpr int kMaxTries = 100;

// Working memory that lasts from request to request; a loop's thread runs one at a time.
struct Workshop {
  SubdocRun run;
  wire::JsonIndex index;
};
Workshop& workshop() {
  static thread_local Workshop mine;
  return mine;
}

BinaryStatus status_of(SubdocStatus status) {
  return static_cast<BinaryStatus>(status);  // both are MCBP's numbers
}

std::string reply_of(const SubdocRun& run) {
  std::string value(run.reply_bytes(), '\0');
  run.write_reply(value.data());
  return value;
}

// Memcached's clients store JSON too, and nobody has looked.
bool is_json(const store::Document& document) {
  return (document.datatype() & wire::kDatatypeJson) != 0 ||
         wire::check_json(document.value(), workshop().index) == wire::JsonVerdict::valid;
}

enum class Step : uint8_t { done, again };

class SubdocHandler {
 public:
  SubdocHandler(Session& session, const BinaryRequest& request, const SubdocRequest& subdoc)
      : session_(session), request_(request), subdoc_(subdoc), run_(workshop().run) {}

  Step try_once() {
    store::FetchOptions options;
    options.cannot_win = true;
    found_ = session_.bucket().fetch(request_.key, options, session_.now());
    const Trouble trouble = trouble_of(session_, found_, request_.key);
    if (trouble == Trouble::again) return Step::done;
    if (trouble != Trouble::none) return fail(serve::status_of(trouble));
    if (!subdoc_.mutates) count_lookup();
    if (const auto refused = check_found(); refused != BinaryStatus::success) return fail(refused);
    wire::SubdocSource source;
    source.body = found_ ? found_.doc->value() : subdoc_.initial_body();
    source.body_is_json = !found_ || is_json(*found_.doc);
    const VirtualAttributes attributes(session_, request_, found_);
    const SubdocStatus status =
        run_.run(subdoc_, source, [&](std::string_view key) { return attributes.value(key); });
    if (subdoc_.mutates && SubdocRun::is_success(status)) return store();
    const bool json = run_.reply_is_json() && session_.has(wire::Feature::json);
    answer_value(session_, request_.header, reply_of(run_),
                 {.status = status_of(status),
                  .cas = found_ ? found_.shown_cas() : 0,
                  .datatype = json ? wire::kDatatypeJson : uint8_t{0}});
    return Step::done;
  }

  Step fail(BinaryStatus status) {
    reply_binary_error(session_, request_.header, status);
    return Step::done;
  }

 private:
  void count_lookup() const {
    CommandCounters& counters = session_.counters();
    counters.cmd_get.add(1);
    (found_ ? counters.get_hits : counters.get_misses).add(1);
  }

  BinaryStatus check_found() const {
    using namespace wire::doc_flags;  // NOLINT(google-build-using-namespace)
    // There are no deleted documents to be found, and none can be made.
    if (subdoc_.has(kCreateAsDeleted)) return BinaryStatus::not_supported;
    if (!found_) {
      return subdoc_.has(kCreate) || subdoc_.has(kAdd) ? BinaryStatus::success : BinaryStatus::key_not_found;
    }
    if (subdoc_.has(kRevive)) return status_of(SubdocStatus::can_only_revive_deleted);
    if (subdoc_.has(kAdd)) return BinaryStatus::key_exists;
    const uint64_t cas = request_.header.cas;
    if (subdoc_.mutates && found_.locked && cas != found_.cas) return BinaryStatus::locked;
    return cas == 0 || cas == found_.cas ? BinaryStatus::success : BinaryStatus::key_exists;
  }

  [[nodiscard]] uint32_t new_expiry() const {
    if (subdoc_.has_expiry) return store::absolute_expiry(subdoc_.expiry, session_.now());
    return found_ && session_.client()->frame.preserve_ttl ? found_.expiry : store::kNeverExpires;
  }

  Step store() {
    if (run_.deletes()) return remove();
    const auto bytes = static_cast<uint32_t>(run_.body_bytes());
    auto placed = place_value(session_, request_.key, found_ ? found_.doc->flags() : 0, new_expiry(), bytes,
                              true, false);
    if (!placed) {
      const Trouble trouble = placed.error();
      if (trouble == Trouble::again) return Step::done;
      return fail(trouble == Trouble::none ? BinaryStatus::too_large : serve::status_of(trouble));
    }
    store::Draft& draft = placed->draft;
    char* out = draft.value().data();
    for (const std::string_view piece : run_.body_pieces()) {
      std::memcpy(out, piece.data(), piece.size());
      out += piece.size();
    }
    draft.set_datatype(run_.body_is_json() ? wire::kDatatypeJson : 0);
    store::StoreOptions options;
    if (found_) options.cas_compare = found_.cas;
    const auto mode = found_ ? store::StoreMode::cas : store::StoreMode::add;
    const auto result = session_.bucket().store(draft, mode, options, session_.now());
    if (const Step step = settle(result.status, result.ok()); step == Step::again || !result.ok())
      return step;
    count_store(session_, "subdoc", request_.key, false, result, bytes);
    return answer(result.seqno, result.cas);
  }

  Step remove() {
    const auto result = session_.bucket().remove(request_.key, {.cas_compare = found_.cas}, session_.now());
    const bool removed = result.status == store::RemoveStatus::removed;
    if (const Step step = settle(result.status, removed); step == Step::again || !removed) return step;
    session_.counters().delete_hits.add(1);
    return answer(result.seqno, result.cas);
  }

  // Answers what has failed for good; `again` when somebody else was faster.
  template <typename Status>
  Step settle(Status status, bool done) {
    if (done) return Step::done;
    const Trouble trouble = trouble_of(session_, status, request_.key);
    if (trouble == Trouble::none) return Step::again;
    return trouble == Trouble::again ? Step::done : fail(serve::status_of(trouble));
  }

  Step answer(uint64_t seqno, uint64_t cas) {
    const uint16_t vbucket = session_.vbucket_of(request_.key);
    session_.changed(vbucket, seqno);
    answer_mutation(session_, request_.header, vbucket, seqno, cas, reply_of(run_));
    return Step::done;
  }

  Session& session_;
  const BinaryRequest& request_;
  const SubdocRequest& subdoc_;
  SubdocRun& run_;
  store::Fetched found_;
};

void handle_subdoc(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  SubdocRequest subdoc;
  const wire::SubdocFrame frame{.opcode = request.header.opcode,
                                .extras = request.extras,
                                .value = request.value,
                                .cas = request.header.cas,
                                .xattrs_agreed = session.has(wire::Feature::xattr)};
  if (const auto parsed = wire::parse_subdoc(frame, subdoc); parsed != SubdocStatus::success)
    return reply_binary_error(session, request.header, status_of(parsed));
  if (subdoc.mutates && !session.may(kUpsert))
    return reply_binary_error(session, request.header, BinaryStatus::no_access);
  // Attributes can be asked for, and there are only virtual ones: none can be stored yet.
  for (const wire::SubdocSpec& spec : subdoc.specs()) {
    if (subdoc.mutates && spec.has(wire::path_flags::kXattr))
      return reply_binary_error(session, request.header, BinaryStatus::not_supported);
  }
  SubdocHandler handler(session, request, subdoc);
  for (int i = 0; i < kMaxTries; ++i)
    if (handler.try_once() == Step::done) return;
  handler.fail(BinaryStatus::temporary_failure);
}

constexpr BinaryCommand row(BinaryOpcode opcode, std::string_view name, bool writes) {
  // Which extras belong to which flags is checked with the rest of the frame, by parse_subdoc.
  BinaryCommand row{
      opcode,
      name,
      {wire::ExtrasLengths(0, 1, 3, 4, 5, 7, 8), wire::Presence::required, wire::Presence::optional},
      handle_subdoc};
  row.writes = writes;
  row.keeps_expiry = writes;
  row.needs = writes ? kRead | kUpsert : kRead;
  row.max_value_bytes = 1 << 20;
  row.audience = Audience::couchbase;
  return row;
}

using enum BinaryOpcode;
constexpr BinaryCommand kCommands[] = {
    row(subdoc_get, "subdoc_get", false),
    row(subdoc_exists, "subdoc_exists", false),
    row(subdoc_get_count, "subdoc_get_count", false),
    row(subdoc_multi_lookup, "subdoc_multi_lookup", false),
    row(subdoc_dict_add, "subdoc_dict_add", true),
    row(subdoc_dict_upsert, "subdoc_dict_upsert", true),
    row(subdoc_delete, "subdoc_delete", true),
    row(subdoc_replace, "subdoc_replace", true),
    row(subdoc_array_push_last, "subdoc_array_push_last", true),
    row(subdoc_array_push_first, "subdoc_array_push_first", true),
    row(subdoc_array_insert, "subdoc_array_insert", true),
    row(subdoc_array_add_unique, "subdoc_array_add_unique", true),
    row(subdoc_counter, "subdoc_counter", true),
    row(subdoc_multi_mutation, "subdoc_multi_mutation", true),
};

}  // namespace

std::span<const BinaryCommand> subdoc_commands() {
  return kCommands;
}

}  // namespace bobbin::serve
