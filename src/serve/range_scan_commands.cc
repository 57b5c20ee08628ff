// RANGE_SCAN_CREATE, CONTINUE and CANCEL (kv_engine docs/range_scans). A scan answers from the pool; here is
// what can be told at once.

#include <string>
#include <utility>

#include "feed/scan.h"
#include "serve/binary_commands.h"
#include "serve/session.h"
#include "wire/datatype.h"
#include "wire/json_text.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryRequest;
using wire::BinaryStatus;
using wire::ExtrasLengths;
using wire::Presence;

// What the user may not do in the collection; success where it may.
BinaryStatus access_to(Session& session, store::CollectionId collection, Privileges needs) {
  switch (session.may_in(collection, needs)) {
    case Verdict::granted:
      return BinaryStatus::success;
    case Verdict::refused:
      return BinaryStatus::no_access;
    case Verdict::hidden:
      break;
  }
  return BinaryStatus::unknown_collection;
}

// Where its replies go. Who has not agreed that replies may come in another order than requests has its next
// requests answered behind this one's.
feed::Asker asker_of(Session& session, const BinaryRequest& request) {
  return {session.connection().spool(),  request.header,
          session.client()->received_ns, session.await_feed(),
          session.scans().memory(),      session.has(wire::Feature::report_unit_usage)};
}

void handle_create(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const auto refuse = [&](BinaryStatus status, std::string_view context = {}) {
    reply_binary_error(session, request.header, status, context);
  };
  if ((request.header.datatype & wire::kDatatypeJson) == 0) return refuse(BinaryStatus::invalid_arguments);
  if (session.served().disk() == nullptr) return refuse(BinaryStatus::not_supported);
  auto what = wire::parse_scan_create(request.value);
  if (!what) {
    return refuse(BinaryStatus::invalid_arguments,
                  R"({"error":{"context":)" + wire::json_string(what.error()) + "}}");
  }
  const BinaryStatus access = access_to(session, what->collection, kRead);
  if (access != BinaryStatus::success) return refuse(access);
  const bool reads_all = session.may_in(what->collection, kRead | kSystemXattrRead) == Verdict::granted;
  auto keeper = session.keep_bucket();
  if (keeper == nullptr) return refuse(BinaryStatus::temporary_failure);
  if (!session.scans().enter()) return refuse(BinaryStatus::busy);
  feed::ScanOptions options{
      {session.bucket(), *session.served().disk(), std::move(keeper)},
      request.header.vbucket_or_status,
      std::move(*what),
      {.json = true, .xattrs = session.has(wire::Feature::xattr), .system_xattrs = reads_all},
      session.user()};
  const auto scan = std::make_shared<feed::Scan>(std::move(options), asker_of(session, request),
                                                 session.engine().scans, session.engine().clock);
  session.scans().add(scan);
  session.engine().feeds->spawn(scan);
}

// Any connection of its user that works on the bucket may go on with a scan, as upstream's clients with
// several connections do; it ends with the one that has made it.
std::shared_ptr<feed::Scan> find(const Session& session, const BinaryRequest& request) {
  auto scan = session.engine().scans.find(wire::read_scan_id(request.extras));
  if (scan == nullptr || !scan->is_of(session.bucket()) || scan->user() != session.user() ||
      scan->vbucket() != request.header.vbucket_or_status)
    return nullptr;
  return scan;
}

void handle_continue(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const auto scan = find(session, request);
  if (scan == nullptr) return reply_binary_error(session, request.header, BinaryStatus::key_not_found);
  const BinaryStatus access = access_to(session, scan->what().collection, kRead);
  if (access != BinaryStatus::success) return reply_binary_error(session, request.header, access);
  const auto continued =
      scan->continue_for(wire::read_scan_continue(request.extras), asker_of(session, request));
  if (continued == feed::Scan::Continued::started) return;
  session.forget_feed();
  reply_binary_error(
      session, request.header,
      continued == feed::Scan::Continued::busy ? BinaryStatus::busy : BinaryStatus::key_not_found);
}

void handle_cancel(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const auto scan = find(session, request);
  if (scan == nullptr || access_to(session, scan->what().collection, kRead) != BinaryStatus::success ||
      !scan->cancel())
    return reply_binary_error(session, request.header, BinaryStatus::key_not_found);
  answer_success(session, request.header);
}

constexpr BinaryCommand row(BinaryOpcode opcode, std::string_view name, wire::BinaryShape shape,
                            decltype(BinaryCommand::handle) handle) {
  BinaryCommand row{opcode, name, shape, handle};
  row.key = KeyKind::name;
  row.needs = 0;  // the collection says
  row.audience = Audience::couchbase;
  return row;
}

using enum BinaryOpcode;
constexpr BinaryCommand kCommands[] = {
    reorders(row(range_scan_create, "range_scan_create",
                 wire::with_datatypes({ExtrasLengths(0), Presence::forbidden, Presence::required},
                                      wire::kDatatypeJson),
                 handle_create)),
    reorders(row(range_scan_continue, "range_scan_continue",
                 {ExtrasLengths(wire::ScanContinue::kBytes), Presence::forbidden, Presence::forbidden},
                 handle_continue)),
    reorders(row(range_scan_cancel, "range_scan_cancel",
                 {ExtrasLengths(sizeof(wire::ScanId)), Presence::forbidden, Presence::forbidden},
                 handle_cancel)),
};

}  // namespace

std::span<const BinaryCommand> range_scan_commands() {
  return kCommands;
}

}  // namespace bobbin::serve
