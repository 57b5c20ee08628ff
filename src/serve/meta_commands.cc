// mn, mg, ms, md, ma and me (memcached doc/protocol.txt, "Meta Commands").

#include <string>
#include <utility>

#include "serve/session.h"
#include "serve/storing.h"
#include "serve/text_commands.h"
#include "store/expiry.h"
#include "wire/compression.h"

namespace bobbin::serve {
namespace {

using wire::MetaCode;
using wire::MetaItem;
using wire::MetaMode;
using wire::MetaRequest;
using wire::MetaShape;

void write_code(Session& session, const MetaShape& shape, MetaCode code, const MetaRequest& request,
                const MetaItem& item) {
  char* line = session.out().reserve(wire::kMaxMetaReplyBytes);
  session.out().commit(wire::write_meta_reply(line, shape, code, request, item));
}

void reply_code(Session& session, const MetaShape& shape, MetaCode code, const MetaRequest& request,
                const MetaItem& item) {
  if (request.quiet() && wire::quiet_hides(shape.command, code)) return;
  write_code(session, shape, code, request, item);
}

uint32_t expiry_of(int64_t ttl, base::Now now) {
  return store::absolute_expiry(ttl, now);
}

void handle_mn(Session& session, const MetaShape&, const MetaRequest&) {
  session.reply(wire::kMetaNoop);
}

// Flags are worked off from left to right, which shows where one changes what another reports.
bool comes_before(const MetaRequest& request, char first, char second) {
  const std::string_view order(request.order.data(), request.flag_count);
  return order.find(first) < order.find(second);
}

store::FetchOptions fetch_options(const Session& session, const MetaRequest& request) {
  const base::Now now = session.now();
  store::FetchOptions options;
  if (request.has('T')) options.touch = expiry_of(request.ttl, now);
  if (request.has('N')) options.vivify_expiry = expiry_of(request.vivify_ttl, now);
  if (request.has('R')) {
    options.recache_s = static_cast<uint32_t>(std::clamp<int64_t>(request.recache_ttl, 0, UINT32_MAX));
    options.recache_before_touch = comes_before(request, 'R', 'T');
  }
  if (request.has('E')) options.explicit_cas = request.new_cas;
  // Who wins could not refill it there.
  options.cannot_win = session.engine().following != nullptr;
  options.no_bump = request.has('u');
  options.needs_value = request.has('v');
  return options;
}

void count_meta_get(Session& session, const MetaRequest& request, const store::Fetched& found) {
  CommandCounters& counters = session.counters();
  const bool hit = found && !found.vivified;
  const bool touch = request.has('T');
  counters.cmd_get.add(1);
  (hit ? counters.get_hits : counters.get_misses).add(1);
  if (touch) {
    counters.cmd_touch.add(1);
    (hit ? counters.touch_hits : counters.touch_misses).add(1);
  }
  if (found.expired) counters.get_expired.add(1);
  if (session.log().wants(kWatchFetchers)) {
    session.log().fetched(request.key, hit ? "found" : (found.expired ? "expired" : "not_found"),
                          session.id(), hit ? plain_bytes(*found.doc) : 0);
  }
}

bool tells_less(Session& session, std::string_view key) {
  if (!session.bucket().is_persistent()) return false;
  const auto seen = session.bucket().peek(key, session.now());
  return seen && seen->doc && !seen->doc->resident() &&
         (seen->doc->has_attributes() || seen->doc->is_compressed());
}

void handle_mg(Session& session, const MetaShape& shape, const MetaRequest& request) {
  store::FetchOptions options = fetch_options(session, request);
  // Of what is on disk only, the size of these is not known. Asked for before anything is marked: the request
  // runs again.
  if (request.has('s') && !options.needs_value) options.needs_value = tells_less(session, request.key);
  auto found = session.bucket().fetch(request.key, options, session.now());
  const Trouble trouble = trouble_of(session, found, request.key);
  if (trouble == Trouble::again) return;
  if (found && (found.published || request.has('T')))
    session.changed(session.vbucket_of(request.key), found.doc->seqno());
  count_meta_get(session, request, found);
  if (trouble != Trouble::none) return session.reply(text_of(trouble));
  if (!found) return reply_code(session, shape, MetaCode::miss, request, {});
  MetaItem item;
  item.client_flags = found.doc->flags();
  item.value_bytes = plain_bytes(*found.doc);
  item.cas = found.shown_cas();
  const bool before = comes_before(request, 't', found.vivified ? 'N' : 'T');
  item.ttl_s = ttl_of(before ? found.expiry_before : found.expiry, session.now());
  item.last_access_s = age_of(found.last_access, session.now());
  item.hit_before = found.fetched_before;
  item.won = found.won;
  item.stale = found.stale;
  item.win_sent = found.already_won;
  const bool with_value = request.has('v');
  reply_code(session, shape, with_value ? MetaCode::value : MetaCode::header, request, item);
  if (!with_value) return;
  session.reply_value(std::move(found.doc));
  session.reply(wire::kLineEnd);
}

store::StoreMode store_mode(const MetaRequest& request) {
  switch (request.mode) {
    case MetaMode::add:
      return store::StoreMode::add;
    case MetaMode::append:
      return store::StoreMode::append;
    case MetaMode::prepend:
      return store::StoreMode::prepend;
    case MetaMode::replace:
      return store::StoreMode::replace;
    default:
      return request.has('C') ? store::StoreMode::cas : store::StoreMode::set;
  }
}

// Leaves the draft as it was when it is to run again. `request.key` need not lie in it.
void finish_ms(Session& session, const MetaRequest& request, store::Draft& draft) {
  const MetaShape& shape = wire::meta_shapes::kSet;
  store::StoreOptions options;
  const store::StoreMode mode = store_mode(request);
  // C0 never matches, except that append and prepend take it for no C at all, as memcached does.
  if (request.compare_cas != 0 || mode == store::StoreMode::cas || mode == store::StoreMode::replace) {
    if (request.has('C')) options.cas_compare = request.compare_cas;
  }
  options.invalidate_if_older = request.has('I');
  if (request.has('E')) options.explicit_cas = request.new_cas;
  if (request.has('N')) options.vivify_expiry = expiry_of(request.vivify_ttl, session.now());
  const auto value_bytes = static_cast<uint32_t>(draft.value().size());
  const auto result = session.bucket().store(draft, mode, options, session.now());
  const Trouble trouble = trouble_of(session, result.status, request.key);
  if (trouble == Trouble::again) return;
  if (result.ok()) session.changed(session.vbucket_of(request.key), result.seqno);
  count_store(session, verb_of(mode), request.key, request.has('C'), result, value_bytes);
  MetaItem item;
  item.cas = result.cas;
  item.value_bytes = result.value_len;
  switch (result.status) {
    case store::StoreStatus::stored:
      return reply_code(session, shape, MetaCode::header, request, item);
    case store::StoreStatus::not_stored:
      return reply_code(session, shape, MetaCode::not_stored, request, item);
    case store::StoreStatus::exists:
      return reply_code(session, shape, MetaCode::exists, request, item);
    case store::StoreStatus::not_found:
      return reply_code(session, shape, MetaCode::not_found, request, item);
    case store::StoreStatus::too_large:
      return session.reply(wire::kTooLarge);
    case store::StoreStatus::locked:
      if (request.has('C')) return reply_code(session, shape, MetaCode::exists, request, item);
      [[fallthrough]];
    case store::StoreStatus::unknown_collection:
    case store::StoreStatus::would_block:
    case store::StoreStatus::no_memory:
      return session.reply(text_of(trouble));
  }
}

// Keeps what the request's views point to: its line is gone when the value has arrived.
class MetaUpload final : public Upload {
 public:
  MetaUpload(Placed placed, const MetaRequest& request)
      : Upload(std::move(placed)), request_(request), sent_key_(request.sent_key), opaque_(request.opaque) {
    request_.key = draft().key();
    request_.sent_key = sent_key_;
    request_.opaque = opaque_;
  }
  void finish(Session& session) override {
    const std::string key(draft().key());  // the draft takes its own along
    request_.key = key;
    finish_ms(session, request_, draft());
  }
  void malformed(Session& session) override { refuse_chunk(session, false); }

 private:
  MetaRequest request_;
  const std::string sent_key_;
  const std::string opaque_;
};

void handle_ms(Session& session, const MetaShape&, const MetaRequest& request) {
  const uint32_t size = request.value_bytes;
  const uint32_t expiry = request.has('T') ? expiry_of(request.ttl, session.now()) : store::kNeverExpires;
  const std::string_view following = session.following();
  const bool arrived = following.size() >= size + wire::kLineEnd.size();
  const bool sets = request.mode == MetaMode::set;
  auto placed = place_value(session, request.key, request.client_flags, expiry, size, arrived, sets);
  if (!placed) {
    if (placed.error() == Trouble::again) return;
    session.reply(placed.error() == Trouble::none ? wire::kTooLarge : text_of(placed.error()));
    return session.swallow(uint64_t{size} + wire::kLineEnd.size());
  }
  if (!arrived) return session.receive(std::make_unique<MetaUpload>(std::move(*placed), request), true);
  session.take(size + wire::kLineEnd.size());
  if (following.substr(size, wire::kLineEnd.size()) != wire::kLineEnd) return refuse_chunk(session, false);
  following.copy(placed->draft.value().data(), size);
  finish_ms(session, request, placed->draft);
}

void handle_md(Session& session, const MetaShape& shape, const MetaRequest& request) {
  store::RemoveOptions options;
  if (request.has('C')) options.cas_compare = request.compare_cas;
  options.mark_stale = request.has('I');
  options.drop_value = request.has('x');
  if (request.has('E')) options.explicit_cas = request.new_cas;
  if (request.has('T')) options.expiry = expiry_of(request.ttl, session.now());
  const auto result = session.bucket().remove(request.key, options, session.now());
  const Trouble trouble = trouble_of(session, result.status, request.key);
  if (trouble == Trouble::again) return;
  CommandCounters& counters = session.counters();
  switch (result.status) {
    case store::RemoveStatus::removed:
      session.changed(session.vbucket_of(request.key), result.seqno);
      counters.delete_hits.add(1);
      session.log().deleted(request.key, "md", session.id(), result.value_len);
      return reply_code(session, shape, MetaCode::header, request, {});
    case store::RemoveStatus::not_found:
      counters.delete_misses.add(1);
      return reply_code(session, shape, MetaCode::not_found, request, {});
    case store::RemoveStatus::exists:
      return reply_code(session, shape, MetaCode::exists, request, {});
    case store::RemoveStatus::locked:
      if (request.has('C')) return reply_code(session, shape, MetaCode::exists, request, {});
      [[fallthrough]];
    case store::RemoveStatus::unknown_collection:
    case store::RemoveStatus::would_block:
    case store::RemoveStatus::no_memory:
      return session.reply(text_of(trouble));
  }
}

void handle_ma(Session& session, const MetaShape& shape, const MetaRequest& request) {
  store::ArithmeticOptions options;
  options.direction =
      request.mode == MetaMode::decrement ? store::Direction::decrement : store::Direction::increment;
  options.delta = request.delta;
  // Unlike ms and md, memcached does not compare with 0 here.
  if (request.compare_cas != 0) options.cas_compare = request.compare_cas;
  if (request.has('E')) options.explicit_cas = request.new_cas;
  if (request.has('T')) options.expiry = expiry_of(request.ttl, session.now());
  if (request.has('N')) {
    options.initial = request.initial;
    options.initial_expiry = expiry_of(request.vivify_ttl, session.now());
  }
  const auto result = session.bucket().arithmetic(request.key, options, session.now());
  const Trouble trouble = trouble_of(session, result.status, request.key);
  if (trouble == Trouble::again) return;
  count_arithmetic(session, options.direction, result.status);
  switch (result.status) {
    case store::ArithmeticStatus::stored:
    case store::ArithmeticStatus::created:
      session.changed(session.vbucket_of(request.key), result.seqno);
      break;
    case store::ArithmeticStatus::not_found:
      return reply_code(session, shape, MetaCode::not_found, request, {});
    case store::ArithmeticStatus::exists:
      return reply_code(session, shape, MetaCode::exists, request, {});
    case store::ArithmeticStatus::not_a_number:
      return session.reply(wire::kNonNumeric);
    case store::ArithmeticStatus::locked:
      if (request.compare_cas != 0) return reply_code(session, shape, MetaCode::exists, request, {});
      [[fallthrough]];
    case store::ArithmeticStatus::unknown_collection:
    case store::ArithmeticStatus::would_block:
    case store::ArithmeticStatus::no_memory:
      return session.reply(text_of(trouble));
  }
  std::array<char, wire::kMaxU64Chars> digits;
  const std::string_view number(
      digits.data(), static_cast<size_t>(wire::put_number(digits.data(), result.value) - digits.data()));
  MetaItem item;
  item.cas = result.cas;
  item.value_bytes = static_cast<uint32_t>(number.size());
  const bool created = result.status == store::ArithmeticStatus::created;
  const bool before = comes_before(request, 't', created ? 'N' : 'T');
  item.ttl_s = ttl_of(before ? result.expiry_before : result.expiry, session.now());
  const MetaCode code = request.has('v') ? MetaCode::value : MetaCode::header;
  // q hides what was expected; that the number had to be created was not.
  if (request.quiet() && !created) return;
  write_code(session, shape, code, request, item);
  if (code != MetaCode::value) return;
  session.reply(number);
  session.reply(wire::kLineEnd);
}

void handle_me(Session& session, const MetaShape&, const MetaRequest& request) {
  const auto seen = session.bucket().peek(request.key, session.now());
  if (seen && seen->would_block) {
    if (!session.retry_after_reading(request.key)) session.reply(wire::kDiskUnreadable);
    return;
  }
  if (!seen) return session.reply(wire::kMetaMiss);
  wire::MetaDebugItem item;
  item.ttl_s = ttl_of(seen->expiry, session.now());
  item.last_access_s = age_of(seen->last_access, session.now());
  item.cas = seen->cas;
  item.fetched = seen->fetched;
  item.item_bytes = seen->doc->size();
  char* line = session.out().reserve(wire::kMaxMetaReplyBytes);
  session.out().commit(wire::write_meta_debug(line, request, item));
}

// Also a get that sets an expiry, makes a placeholder, or gives out the right to refill one.
Privileges needed(const MetaCommandRow& row, const MetaRequest& request) {
  const bool changes = row.shape.command == wire::MetaCommand::get &&
                       (request.has('T') || request.has('N') || request.has('R'));
  return changes ? row.needs | kUpsert : row.needs;
}

// Its value, if there is one, is passed over.
void refuse_meta(Session& session, const MetaCommandRow& row, const MetaRequest& request,
                 std::string_view why) {
  session.counters().cmd_meta.add(1);
  session.reply(why);
  if (row.shape.command == wire::MetaCommand::set)
    session.swallow(uint64_t{request.value_bytes} + wire::kLineEnd.size());
}

constexpr MetaCommandRow kCommands[] = {
    {"mg", wire::meta_shapes::kGet, handle_mg, kRead, "get, touch, or win the right to refill"},
    {"ms", wire::meta_shapes::kSet, handle_ms, kUpsert, "every kind of store"},
    {"md", wire::meta_shapes::kDelete, handle_md, kDelete, "delete, or mark stale"},
    {"ma", wire::meta_shapes::kArithmetic, handle_ma, kRead | kUpsert, "incr and decr"},
    {"mn", wire::meta_shapes::kNoop, handle_mn, kRead, "answers MN: the end of a quiet pipeline"},
    {"me", wire::meta_shapes::kDebug, handle_me, kRead, "what is known of an item"},
};

}  // namespace

std::span<const MetaCommandRow> meta_commands() {
  return kCommands;
}

void run_meta_command(Session& session, const MetaCommandRow& row, std::string_view arguments) {
  wire::MetaKeyBuffer key_buffer;
  MetaRequest request;
  const wire::MetaStatus status = wire::parse_meta(row.shape, arguments, key_buffer, request);
  if (status == wire::MetaStatus::ok) [[likely]] {
    const Privileges needs = needed(row, request);
    if (needs != kRead) {
      if (!session.may(needs)) [[unlikely]]
        return refuse_meta(session, row, request, wire::kForbidden);
      if ((needs & (kWrite | kFlush)) != 0 && session.engine().following != nullptr) [[unlikely]]
        return refuse_meta(session, row, request, kFollowsLine);
    }
    row.handle(session, row.shape, request);
    // One that runs again is counted then.
    if (!session.retrying()) session.counters().cmd_meta.add(1);
    return;
  }
  session.counters().cmd_meta.add(1);
  session.reply(wire::meta_error(row.shape.command, status));
  if (request.swallow_value) session.swallow(uint64_t{request.value_bytes} + wire::kLineEnd.size());
}

}  // namespace bobbin::serve
