// The sub-document API over documents of a bucket: fetch, run, and store if nobody was faster
// (kv_engine docs/SubDocument.md). What a request means is wire/subdoc.h's, what it does to a JSON text
// wire/subdoc_run.h's.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "base/work.h"
#include "serve/binary_commands.h"
#include "serve/cluster_config.h"
#include "serve/session.h"
#include "serve/storing.h"
#include "serve/virtual_attributes.h"
#include "store/expiry.h"
#include "wire/crc32c.h"
#include "wire/datatype.h"
#include "wire/json_check.h"
#include "wire/subdoc_run.h"
#include "wire/xattr.h"

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
bool is_json(CommandCounters& counters, const store::Document& document) {
  return (document.datatype() & wire::kDatatypeJson) != 0 || counters.json_checks.time([&document] {
    return wire::check_json(document.body(), workshop().index) == wire::JsonVerdict::valid;
  });
}

enum class Step : uint8_t { done, again };

class SubdocHandler {
 public:
  SubdocHandler(Session& session, const BinaryRequest& request, const SubdocRequest& subdoc)
      : session_(session), request_(request), subdoc_(subdoc), run_(workshop().run) {}
  ~SubdocHandler() { run_.release(); }
  SubdocHandler(const SubdocHandler&) = delete;
  SubdocHandler& operator=(const SubdocHandler&) = delete;

  Step try_once() {
    store::FetchOptions options;
    options.cannot_win = true;
    options.finds_deleted = subdoc_.has(wire::doc_flags::kAccessDeleted);
    found_ = session_.bucket().fetch(key_of(request_), options, session_.now());
    const Trouble trouble = trouble_of(session_, found_, key_of(request_));
    if (trouble == Trouble::again) return Step::done;
    if (trouble != Trouble::none) return fail(serve::status_of(trouble));
    if (found_)
      base::note_work(uint64_t{found_.doc->value_size()} * std::max<size_t>(subdoc_.specs().size(), 1));
    if (!subdoc_.mutates) count_lookup();
    if (const auto refused = check_found(); refused != BinaryStatus::success) return fail(refused);
    wire::SubdocSource source;
    if (found_) source.xattrs = found_.doc->attributes();
    source.body = found_ ? found_.doc->body() : subdoc_.initial_body();
    source.body_is_json = !found_ || is_json(session_.counters(), *found_.doc);
    source.deleted = found_ ? found_.deleted : subdoc_.has(wire::doc_flags::kCreateAsDeleted);
    const VirtualAttributes attributes(session_, request_, found_);
    const SubdocStatus status = session_.counters().subdoc_runs.time([&] {
      return run_.run(
          subdoc_, source, [&](std::string_view key) { return attributes.value(key); }, nonce());
    });
    if (subdoc_.mutates && SubdocRun::is_success(status)) return store(status);
    if (run_.reply_bytes() > most_reply_bytes()) return fail(BinaryStatus::too_large);
    const bool json = run_.reply_is_json() && session_.has(wire::Feature::json);
    if (found_) session_.note_read(key_of(request_), found_.doc->value_size());
    return reply({.status = status_of(status),
                  .cas = found_ ? found_.shown_cas() : 0,
                  .datatype = json ? wire::kDatatypeJson : uint8_t{0}});
  }

  // A large one is a copy that lies there until the client has taken it: charged as those of compressed
  // values are.
  Step reply(wire::BinaryReply reply) {
    constexpr size_t kSmallBytes = 64 << 10;
    const std::string value = reply_of(run_);
    if (value.size() < kSmallBytes) {
      answer_value(session_, request_.header, value, reply);
      return Step::done;
    }
    store::DocumentRef copy = session_.bucket().copy_for_reader(key_of(request_), value);
    if (!copy) return fail(BinaryStatus::temporary_failure);
    reply.value_bytes = static_cast<uint32_t>(value.size());
    serve::answer(session_, request_.header, reply);
    session_.out().append(store::pin(std::move(copy)));
    return Step::done;
  }

  Step fail(BinaryStatus status) {
    reply_binary_error(session_, request_.header, status);
    return Step::done;
  }

 private:
  // A request of a hundred bytes can name a document sixteen times; its answer is copied, and may not be
  // read.
  [[nodiscard]] size_t most_reply_bytes() const {
    return 2 * size_t{session_.bucket().max_value_bytes()} + (1 << 20);
  }

  void count_lookup() const {
    CommandCounters& counters = session_.counters();
    counters.cmd_get.add(1);
    (found_ ? counters.get_hits : counters.get_misses).add(1);
  }

  BinaryStatus check_found() const {
    using namespace wire::doc_flags;  // NOLINT(google-build-using-namespace)
    if (!found_) {
      return subdoc_.has(kCreate) || subdoc_.has(kAdd) ? BinaryStatus::success : BinaryStatus::key_not_found;
    }
    if (subdoc_.has(kRevive) && !found_.deleted) return status_of(SubdocStatus::can_only_revive_deleted);
    if (subdoc_.has(kAdd)) return BinaryStatus::key_exists;
    const uint64_t cas = request_.header.cas;
    if (subdoc_.mutates && found_.locked && cas != found_.cas) return BinaryStatus::locked;
    return cas == 0 || cas == found_.cas ? BinaryStatus::success : BinaryStatus::key_exists;
  }

  [[nodiscard]] uint32_t new_expiry() const {
    // A client that says which flags the document has cannot but say an expiry.
    if (found_ && !found_.deleted && session_.client()->frame.preserve_ttl) return found_.expiry;
    return subdoc_.has_expiry ? store::absolute_expiry(subdoc_.expiry, session_.now()) : store::kNeverExpires;
  }

  [[nodiscard]] uint32_t new_user_flags() const {
    return subdoc_.user_flags.value_or(found_ ? found_.doc->flags() : 0);
  }

  // A document that was there or is made stays alive unless it is deleted; a deleted one is to be revived.
  [[nodiscard]] bool leaves_tombstone(SubdocStatus status) const {
    return run_.deletes() || status == SubdocStatus::success_deleted;
  }

  Step store(SubdocStatus status) {
    const std::string_view xattrs = run_.xattrs();
    const size_t bytes = xattrs.size() + run_.body_bytes();
    if (!fits(xattrs, bytes)) return fail(BinaryStatus::too_large);
    auto placed = place_value(session_, key_of(request_), new_user_flags(), new_expiry(),
                              static_cast<uint32_t>(bytes), true, false, !xattrs.empty());
    if (!placed) {
      const Trouble trouble = placed.error();
      if (trouble == Trouble::again) return Step::done;
      return fail(trouble == Trouble::none ? BinaryStatus::too_large : serve::status_of(trouble));
    }
    store::Draft& draft = placed->draft;
    char* out = std::copy(xattrs.begin(), xattrs.end(), draft.value().data());
    for (const std::string_view piece : run_.body_pieces()) {
      std::memcpy(out, piece.data(), piece.size());
      out += piece.size();
    }
    draft.set_datatype(static_cast<uint8_t>((run_.body_is_json() ? wire::kDatatypeJson : 0) |
                                            (xattrs.empty() ? 0 : wire::kDatatypeXattr)));
    store::StoreOptions options;
    options.whole = true;
    options.finds_deleted = subdoc_.has(wire::doc_flags::kAccessDeleted);
    options.as_tombstone = leaves_tombstone(status);
    if (!run_.macros().empty()) {
      expand_checksums(draft.value());
      options.stamp = {expand_macros, &run_};
    }
    if (found_) options.cas_compare = found_.cas;
    const auto mode = found_ ? store::StoreMode::cas : store::StoreMode::add;
    const auto result = session_.bucket().store(draft, mode, options, session_.now());
    if (const Step step = settle(result.status, result.ok()); step == Step::again || !result.ok())
      return step;
    if (run_.deletes() && !found_.deleted) {
      session_.counters().delete_hits.add(1);
    } else {
      count_store(session_, "subdoc", request_.key, false, result, static_cast<uint32_t>(bytes));
    }
    session_.note_written(key_of(request_), bytes);
    return answer(status, result.seqno, result.cas);
  }

  // User attributes count together with the body, those of the system for themselves.
  [[nodiscard]] bool fits(std::string_view xattrs, size_t bytes) const {
    const size_t system = wire::system_xattr_bytes(xattrs);
    return system <= wire::kMaxSystemXattrBytes && bytes - system <= session_.bucket().max_value_bytes();
  }

  // What macros are marked with until they are expanded: not to be guessed.
  [[nodiscard]] uint64_t nonce() const {
    return session_.now().unix_ns * 0x9e3779b97f4a7c15 ^ (found_ ? found_.cas : 0);
  }

  void expand_checksums(std::span<char> value) const {
    uint32_t checksum = 0;
    bool known = false;
    for (const SubdocRun::MacroSpot& spot : run_.macros()) {
      if (spot.macro != wire::XattrMacro::value_crc32c) continue;
      if (!std::exchange(known, true)) {
        const std::string_view all(value.data(), value.size());
        checksum = wire::crc32c(all.substr(run_.xattrs().size()));
      }
      fmt::format_to(value.data() + spot.offset, "0x{:08x}", checksum);
    }
  }

  // The CAS is written with its bytes in the other order: so upstream does, and its clients rely on it.
  static void expand_macros(const void* run, std::span<char> value, uint64_t cas, uint64_t seqno) noexcept {
    for (const SubdocRun::MacroSpot& spot : static_cast<const SubdocRun*>(run)->macros()) {
      if (spot.macro == wire::XattrMacro::value_crc32c) continue;
      const uint64_t number = spot.macro == wire::XattrMacro::cas ? __builtin_bswap64(cas) : seqno;
      char* out = value.data() + spot.offset + 2;
      for (int shift = 60; shift >= 0; shift -= 4)
        *out++ = "0123456789abcdef"[number >> shift & 15];
    }
  }

  // Answers what has failed for good; `again` when somebody else was faster.
  template <typename Status>
  Step settle(Status status, bool done) {
    if (done) return Step::done;
    const Trouble trouble = trouble_of(session_, status, key_of(request_));
    if (trouble == Trouble::none) return Step::again;
    return trouble == Trouble::again ? Step::done : fail(serve::status_of(trouble));
  }

  Step answer(SubdocStatus status, uint64_t seqno, uint64_t cas) {
    const uint16_t vbucket = session_.vbucket_of(request_.key);
    session_.changed(vbucket, seqno);
    answer_mutation(session_, request_.header, vbucket, seqno, cas, reply_of(run_), status_of(status));
    return Step::done;
  }

  Session& session_;
  const BinaryRequest& request_;
  const SubdocRequest& subdoc_;
  SubdocRun& run_;
  store::Fetched found_;
};

void run_subdoc(Session& session, const BinaryRequest& request) {
  SubdocRequest subdoc;
  const wire::SubdocFrame frame{.opcode = request.header.opcode,
                                .extras = request.extras,
                                .value = request.value,
                                .cas = request.header.cas,
                                .xattrs_agreed = session.has(wire::Feature::xattr)};
  if (const auto parsed = wire::parse_subdoc(frame, subdoc); parsed != SubdocStatus::success)
    return reply_binary_error(session, request.header, status_of(parsed));
  // There are no replicas here.
  if (subdoc.has(wire::doc_flags::kReplicaRead)) return reply_not_my_vbucket(session, request.header);
  if (subdoc.mutates && session.may_in(request.collection, kUpsert) != Verdict::granted)
    return reply_binary_error(session, request.header, BinaryStatus::no_access);
  for (const wire::SubdocSpec& spec : subdoc.specs()) {
    const bool of_system = spec.has(wire::path_flags::kXattr) && wire::is_system_xattr(spec.path);
    if (of_system &&
        session.may_in(request.collection, subdoc.mutates ? kSystemXattrWrite : kSystemXattrRead) !=
            Verdict::granted)
      return reply_binary_error(session, request.header, BinaryStatus::no_access);
  }
  SubdocHandler handler(session, request, subdoc);
  for (int i = 0; i < kMaxTries; ++i)
    if (handler.try_once() == Step::done) return;
  handler.fail(BinaryStatus::temporary_failure);
}

void handle_lookup(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  run_subdoc(session, request);
}

// What a change puts into a document comes in parts where it is large. It is received into a document that
// nobody will see, so that it counts as those do.
class SubdocUpload final : public Upload {
 public:
  SubdocUpload(Placed placed, const BinaryRequest& request)
      : Upload(std::move(placed)), request_(request), extras_(request.extras) {}
  void finish(Session& session) override {
    const store::DocKey key = draft().doc_key();
    request_.framing = {};
    request_.extras = extras_;
    request_.key = key.name();
    request_.wire_key = {};
    request_.value = {draft().value().data(), draft().value().size()};
    run_subdoc(session, request_);
  }
  void malformed(Session&) override {}  // nothing follows a value in this protocol

 private:
  BinaryRequest request_;  // the views into what has been read are made anew
  const std::string extras_;
};

void handle_mutation(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  if (request.value.size() == request.value_bytes) {
    session.take(request.value_bytes);
    return run_subdoc(session, request);
  }
  auto placed = place_value(session, key_of(request), 0, 0, request.value_bytes, false, false, true);
  if (placed) return session.receive(std::make_unique<SubdocUpload>(std::move(*placed), request), false);
  if (placed.error() == Trouble::again) return;
  reply_binary_error(
      session, request.header,
      placed.error() == Trouble::none ? BinaryStatus::too_large : serve::status_of(placed.error()));
  session.swallow(request.value_bytes);
}

constexpr BinaryCommand row(BinaryOpcode opcode, std::string_view name, bool writes) {
  // Which extras belong to which flags is checked with the rest of the frame, by parse_subdoc.
  BinaryCommand row{opcode, name,
                    wire::with_cas({wire::ExtrasLengths(0, 1, 3, 4, 5, 7, 8, 9, 11, 12),
                                    wire::Presence::required, wire::Presence::optional}),
                    writes ? handle_mutation : handle_lookup};
  row.uploads = writes;
  row.reorders = true;
  row.writes = writes;
  row.keeps_expiry = writes;
  row.needs = writes ? kUpsert : kRead;
  row.max_value_bytes = 1 << 20;
  row.audience = Audience::couchbase;
  return row;
}

// Its answer has values of the document.
constexpr BinaryCommand reads_too(BinaryCommand row) {
  row.needs |= kRead;
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
    reads_too(row(subdoc_counter, "subdoc_counter", true)),
    reads_too(row(subdoc_multi_mutation, "subdoc_multi_mutation", true)),
    row(subdoc_replace_body_with_xattr, "subdoc_replace_body_with_xattr", true),
};

}  // namespace

std::span<const BinaryCommand> subdoc_commands() {
  return kCommands;
}

}  // namespace bobbin::serve
