#include "serve/binary_commands.h"

#include <array>

#include "serve/session.h"
#include "serve/stat_command.h"
#include "serve/storing.h"
#include "store/expiry.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryRequest;
using wire::BinaryStatus;
namespace shapes = wire::binary_shapes;

// Errors always; successes where they are asked for.
void reply_success(Session& session, const BinaryCommand& row, const BinaryRequest& request) {
  if (!row.quiet) answer_success(session, request.header);
}

void handle_fetch(Session& session, const BinaryCommand& row, const BinaryRequest& request) {
  const bool touch = !request.extras.empty();
  store::FetchOptions options;
  options.cannot_win = true;
  options.takes_compressed = session.has(wire::Feature::snappy);
  if (touch) options.touch = store::absolute_expiry(wire::read_u32_extras(request.extras), session.now());
  auto found = session.bucket().fetch(key_of(request), options, session.now());
  const Trouble trouble = trouble_of(session, found, key_of(request));
  if (trouble == Trouble::again) return;
  if (trouble != Trouble::none) return reply_binary_error(session, request.header, status_of(trouble));
  if (found && options.touch) session.changed(session.vbucket_of(request.key), found.doc->seqno());
  CommandCounters& counters = session.counters();
  counters.cmd_get.add(1);
  (found ? counters.get_hits : counters.get_misses).add(1);
  if (touch) {
    counters.cmd_touch.add(1);
    (found ? counters.touch_hits : counters.touch_misses).add(1);
  }
  if (found.expired) counters.get_expired.add(1);
  if (session.log().wants(kWatchFetchers)) {
    session.log().fetched(request.key, found ? "found" : (found.expired ? "expired" : "not_found"),
                          session.id(), found ? plain_bytes(*found.doc) : 0);
  }
  if (!found) {
    if (row.quiet) return;
    if (!row.with_key) return reply_binary_error(session, request.header, BinaryStatus::key_not_found);
    return answer(session, request.header, {.status = BinaryStatus::key_not_found, .key = request.wire_key});
  }
  if (options.touch) session.note_written(found.doc->doc_key(), found.doc->value_size());
  answer_document(session, request.header, row.with_key ? request.wire_key : std::string_view(),
                  std::move(found));
}

void handle_touch(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const uint32_t expiry = store::absolute_expiry(wire::read_u32_extras(request.extras), session.now());
  store::FetchOptions options;
  options.cannot_win = true;
  options.touch = expiry;
  options.needs_value = false;
  const auto found = session.bucket().fetch(key_of(request), options, session.now());
  const Trouble trouble = trouble_of(session, found, key_of(request));
  if (trouble == Trouble::again) return;
  if (trouble != Trouble::none) return reply_binary_error(session, request.header, status_of(trouble));
  if (found && options.touch) session.changed(session.vbucket_of(request.key), found.doc->seqno());
  CommandCounters& counters = session.counters();
  counters.cmd_touch.add(1);
  (found ? counters.touch_hits : counters.touch_misses).add(1);
  if (!found) {
    session.refused(request.key);
    return reply_binary_error(session, request.header, BinaryStatus::key_not_found);
  }
  // Like memcached: flags and CAS, no value.
  std::array<char, 4> flags;
  wire::store_big_endian(flags.data(), found.doc->flags());
  session.note_written(found.doc->doc_key(), found.doc->value_size());
  answer(session, request.header, {.cas = found.cas, .extras = {flags.data(), flags.size()}});
}

void handle_delete(Session& session, const BinaryCommand& row, const BinaryRequest& request) {
  store::RemoveOptions options;
  if (request.header.cas != 0) options.cas_compare = request.header.cas;
  const auto result = session.bucket().remove(key_of(request), options, session.now());
  const Trouble trouble = trouble_of(session, result.status, key_of(request));
  if (trouble == Trouble::again) return;
  CommandCounters& counters = session.counters();
  switch (result.status) {
    case store::RemoveStatus::removed:
      session.changed(session.vbucket_of(request.key), result.seqno);
      counters.delete_hits.add(1);
      session.log().deleted(request.key, "delete", session.id(), result.value_len);
      if (row.quiet) return;
      session.note_written(key_of(request), result.left_len);
      // Memcached's clients are told no CAS: theirs ends with the document.
      return session.client() == nullptr
                 ? answer_success(session, request.header)
                 : answer_mutation(session, request.header, session.vbucket_of(request.key), result.seqno,
                                   result.cas);
    case store::RemoveStatus::not_found:
      counters.delete_misses.add(1);
      return reply_binary_error(session, request.header, BinaryStatus::key_not_found);
    case store::RemoveStatus::exists:
      return reply_binary_error(session, request.header, BinaryStatus::key_exists);
    case store::RemoveStatus::unknown_collection:
    case store::RemoveStatus::would_block:
    case store::RemoveStatus::locked:
    case store::RemoveStatus::no_memory:
      return reply_binary_error(session, request.header, status_of(trouble));
  }
}

void handle_arithmetic(Session& session, const BinaryCommand& row, const BinaryRequest& request) {
  const wire::ArithmeticExtras extras = wire::read_arithmetic_extras(request.extras);
  store::ArithmeticOptions options;
  const bool down = row.opcode == BinaryOpcode::decrement || row.opcode == BinaryOpcode::decrementq;
  options.direction = down ? store::Direction::decrement : store::Direction::increment;
  options.delta = extras.delta;
  if (request.header.cas != 0) options.cas_compare = request.header.cas;
  if (extras.exptime != wire::kDoNotCreate) {
    options.initial = extras.initial;
    options.initial_expiry = store::absolute_expiry(extras.exptime, session.now());
  }
  const auto result = session.bucket().arithmetic(key_of(request), options, session.now());
  const Trouble trouble = trouble_of(session, result.status, key_of(request));
  if (trouble == Trouble::again) return;
  count_arithmetic(session, options.direction, result.status);
  switch (result.status) {
    case store::ArithmeticStatus::stored:
    case store::ArithmeticStatus::created: {
      session.changed(session.vbucket_of(request.key), result.seqno);
      if (row.quiet) return;
      session.note_written(key_of(request), result.value_len);
      std::array<char, 8> counter;
      wire::store_big_endian(counter.data(), result.value);
      return answer_mutation(session, request.header, session.vbucket_of(request.key), result.seqno,
                             result.cas, {counter.data(), counter.size()});
    }
    case store::ArithmeticStatus::not_found:
      return reply_binary_error(session, request.header, BinaryStatus::key_not_found);
    case store::ArithmeticStatus::exists:
      return reply_binary_error(session, request.header, BinaryStatus::key_exists);
    case store::ArithmeticStatus::not_a_number:
      return reply_binary_error(session, request.header, BinaryStatus::non_numeric);
    case store::ArithmeticStatus::unknown_collection:
    case store::ArithmeticStatus::would_block:
    case store::ArithmeticStatus::locked:
    case store::ArithmeticStatus::no_memory:
      return reply_binary_error(session, request.header, status_of(trouble));
  }
}

void handle_flush(Session& session, const BinaryCommand& row, const BinaryRequest& request) {
  if (!flush(session, wire::read_u32_extras(request.extras))) {
    return reply_binary_error(session, request.header, BinaryStatus::temporary_failure);
  }
  reply_success(session, row, request);
}

void handle_nothing(Session& session, const BinaryCommand& row, const BinaryRequest& request) {
  reply_success(session, row, request);
}

void handle_quit(Session& session, const BinaryCommand& row, const BinaryRequest& request) {
  reply_success(session, row, request);
  session.quit();
}

void handle_version(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  answer_value(session, request.header, kProtocolVersion);
}

constexpr BinaryCommand row(BinaryOpcode opcode, std::string_view name, wire::BinaryShape shape,
                            decltype(BinaryCommand::handle) handle) {
  return {opcode, name, shape, handle};
}
constexpr BinaryCommand quiet(BinaryCommand row) {
  row.quiet = true;
  return row;
}
constexpr BinaryCommand keyed(BinaryCommand row) {
  row.with_key = true;
  return row;
}
constexpr BinaryCommand writes(BinaryCommand row, Privileges needs = kUpsert) {
  row.writes = true;
  row.needs = needs;
  return row;
}
constexpr BinaryCommand store_row(BinaryOpcode opcode, std::string_view name, wire::BinaryShape shape,
                                  Privileges needs = kUpsert) {
  BinaryCommand stores = writes(row(opcode, name, shape, handle_binary_store), needs);
  stores.uploads = true;
  stores.keeps_expiry = true;
  return stores;
}
constexpr BinaryCommand counter_row(BinaryOpcode opcode, std::string_view name) {
  // Its answer is the number, so it reads.
  BinaryCommand counter = writes(row(opcode, name, shapes::kArithmetic, handle_arithmetic), kRead | kUpsert);
  counter.keeps_expiry = true;  // its expiry is for a counter that it makes
  return counter;
}
// About the connection or the server, not about documents.
constexpr BinaryCommand anywhere(BinaryCommand row) {
  row.needs_bucket = false;
  row.needs = 0;
  row.key = KeyKind::name;
  return row;
}
constexpr BinaryCommand statistics_row() {
  BinaryCommand stat = row(BinaryOpcode::stat, "stat", shapes::kStat, handle_binary_stat);
  stat.needs = kBucketStats;
  stat.key = KeyKind::name;
  return stat;
}
constexpr BinaryCommand of_memcached(BinaryCommand row) {
  row.audience = Audience::memcached;
  return row;
}

using enum BinaryOpcode;
constexpr BinaryCommand kCommands[] = {
    reorders(row(get, "get", shapes::kKey, handle_fetch)),
    quiet(row(getq, "getq", shapes::kKey, handle_fetch)),
    reorders(keyed(row(getk, "getk", shapes::kKey, handle_fetch))),
    quiet(keyed(row(getkq, "getkq", shapes::kKey, handle_fetch))),
    reorders(writes(row(touch, "touch", shapes::kTouch, handle_touch))),
    reorders(writes(row(gat, "gat", shapes::kTouch, handle_fetch), kRead | kUpsert)),
    quiet(writes(row(gatq, "gatq", shapes::kTouch, handle_fetch), kRead | kUpsert)),
    of_memcached(keyed(writes(row(gatk, "gatk", shapes::kTouch, handle_fetch), kRead | kUpsert))),
    of_memcached(quiet(keyed(writes(row(gatkq, "gatkq", shapes::kTouch, handle_fetch), kRead | kUpsert)))),
    reorders(store_row(set, "set", shapes::kStore)),
    quiet(store_row(setq, "setq", shapes::kStore)),
    reorders(store_row(add, "add", shapes::kAdd, kInsert)),
    quiet(store_row(addq, "addq", shapes::kAdd, kInsert)),
    reorders(store_row(replace, "replace", shapes::kStore)),
    quiet(store_row(replaceq, "replaceq", shapes::kStore)),
    reorders(store_row(append, "append", shapes::kAppend)),
    quiet(store_row(appendq, "appendq", shapes::kAppend)),
    reorders(store_row(prepend, "prepend", shapes::kAppend)),
    quiet(store_row(prependq, "prependq", shapes::kAppend)),
    reorders(writes(row(BinaryOpcode::remove, "delete", shapes::kDelete, handle_delete), kDelete)),
    quiet(writes(row(removeq, "deleteq", shapes::kDelete, handle_delete), kDelete)),
    reorders(counter_row(increment, "increment")),
    quiet(counter_row(incrementq, "incrementq")),
    reorders(counter_row(decrement, "decrement")),
    quiet(counter_row(decrementq, "decrementq")),
    writes(row(BinaryOpcode::flush, "flush", shapes::kFlush, handle_flush), kFlush),
    quiet(writes(row(flushq, "flushq", shapes::kFlush, handle_flush), kFlush)),
    anywhere(row(noop, "noop", shapes::kNothing, handle_nothing)),
    anywhere(row(version, "version", shapes::kNothing, handle_version)),
    anywhere(row(verbosity, "verbosity", shapes::kVerbosity, handle_nothing)),
    statistics_row(),
    anywhere(row(quit, "quit", shapes::kNothing, handle_quit)),
    anywhere(quiet(row(quitq, "quitq", shapes::kNothing, handle_quit))),
};

}  // namespace

std::span<const BinaryCommand> classic_commands() {
  return kCommands;
}

}  // namespace bobbin::serve
