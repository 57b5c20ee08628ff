#include "serve/text_commands.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "serve/session.h"
#include "serve/stat_command.h"
#include "serve/storing.h"
#include "store/expiry.h"

namespace bobbin::serve {
namespace {

using wire::Shape;
using wire::TextRequest;

// Keys of one line that are looked up together, so that the waits for memory overlap.
constexpr size_t kKeysTogether = 16;

void reply_unless(bool noreply, Session& session, std::string_view bytes) {
  if (!noreply) session.reply(bytes);
}

void count_fetch(Session& session, std::string_view key, const store::Fetched& found, bool touch) {
  CommandCounters& counters = session.counters();
  counters.cmd_get.add(1);
  if (touch) counters.cmd_touch.add(1);
  if (found) {
    counters.get_hits.add(1);
    if (touch) counters.touch_hits.add(1);
  } else {
    counters.get_misses.add(1);
    if (touch) counters.touch_misses.add(1);
    if (found.expired) counters.get_expired.add(1);
  }
  if (session.log().wants(kWatchFetchers)) {
    session.log().fetched(key, found ? "found" : (found.expired ? "expired" : "not_found"), session.id(),
                          found ? found.doc->body().size() : 0);
  }
}

void reply_item(Session& session, std::string_view key, store::Fetched& found, bool with_cas) {
  const auto& document = *found.doc;
  const auto value_bytes = static_cast<uint32_t>(document.body().size());
  char* line = session.out().reserve(wire::kMaxValueLineBytes);
  session.out().commit(
      with_cas ? wire::write_value_line(line, key, document.flags(), value_bytes, found.shown_cas())
               : wire::write_value_line(line, key, document.flags(), value_bytes));
  session.reply_value(std::move(found.doc));
  session.reply(wire::kLineEnd);
}

void handle_get(Session& session, const TextRequest& request) {
  retrieve(session, request, false, false);
}
void handle_gets(Session& session, const TextRequest& request) {
  retrieve(session, request, true, false);
}
void handle_gat(Session& session, const TextRequest& request) {
  retrieve(session, request, false, true);
}
void handle_gats(Session& session, const TextRequest& request) {
  retrieve(session, request, true, true);
}

void handle_delete(Session& session, const TextRequest& request) {
  const auto result = session.bucket().remove(request.key, {}, session.now());
  const Trouble trouble = trouble_of(session, result.status, request.key);
  if (trouble == Trouble::again) return;
  if (trouble != Trouble::none) return reply_unless(request.noreply, session, text_of(trouble));
  const bool removed = result.status == store::RemoveStatus::removed;
  (removed ? session.counters().delete_hits : session.counters().delete_misses).add(1);
  if (removed) {
    session.changed(session.vbucket_of(request.key), result.seqno);
    session.log().deleted(request.key, "delete", session.id(), result.value_len);
  }
  reply_unless(request.noreply, session, removed ? wire::kDeleted : wire::kNotFound);
}

void change_number(Session& session, const TextRequest& request, store::Direction direction) {
  store::ArithmeticOptions options;
  options.direction = direction;
  options.delta = request.number;
  const auto result = session.bucket().arithmetic(request.key, options, session.now());
  const Trouble trouble = trouble_of(session, result.status, request.key);
  if (trouble == Trouble::again) return;
  count_arithmetic(session, direction, result.status);
  switch (result.status) {
    case store::ArithmeticStatus::stored:
    case store::ArithmeticStatus::created: {
      session.changed(session.vbucket_of(request.key), result.seqno);
      if (request.noreply) return;
      char* line = session.out().reserve(wire::kMaxNumberLineBytes);
      session.out().commit(wire::write_number_line(line, result.value));
      return;
    }
    case store::ArithmeticStatus::not_found:
    case store::ArithmeticStatus::exists:
      return reply_unless(request.noreply, session, wire::kNotFound);
    case store::ArithmeticStatus::not_a_number:
      return reply_unless(request.noreply, session, wire::kNonNumeric);
    case store::ArithmeticStatus::unknown_collection:
    case store::ArithmeticStatus::would_block:
    case store::ArithmeticStatus::locked:
    case store::ArithmeticStatus::no_memory:
      return reply_unless(
          request.noreply, session,
          trouble == Trouble::no_memory ? "SERVER_ERROR out of memory in incr\r\n" : text_of(trouble));
  }
}

void handle_incr(Session& session, const TextRequest& request) {
  change_number(session, request, store::Direction::increment);
}
void handle_decr(Session& session, const TextRequest& request) {
  change_number(session, request, store::Direction::decrement);
}

void handle_touch(Session& session, const TextRequest& request) {
  const uint32_t expiry = store::absolute_expiry(request.exptime, session.now());
  const auto result = session.bucket().touch(request.key, expiry, session.now());
  const Trouble trouble = trouble_of(session, result.status, request.key);
  if (trouble == Trouble::again) return;
  if (trouble != Trouble::none) return reply_unless(request.noreply, session, text_of(trouble));
  const bool found = result.ok();
  if (result.seqno != 0) session.changed(session.vbucket_of(request.key), result.seqno);
  session.counters().cmd_touch.add(1);
  (found ? session.counters().touch_hits : session.counters().touch_misses).add(1);
  reply_unless(request.noreply, session, found ? wire::kTouched : wire::kNotFound);
}

void handle_flush_all(Session& session, const TextRequest& request) {
  const bool done = flush(session, request.exptime);
  reply_unless(request.noreply, session, done ? wire::kOk : wire::kDiskUnwritable);
}

void handle_version(Session& session, const TextRequest&) {
  char* line = session.out().reserve(kProtocolVersion.size() + 10);
  session.out().commit(wire::write_version_line(line, kProtocolVersion));
}

void handle_verbosity(Session& session, const TextRequest& request) {
  reply_unless(request.noreply, session, wire::kOk);
}

void handle_watch(Session& session, const TextRequest& request) {
  uint32_t kinds = 0;
  wire::Words words(request.words);
  for (std::string_view word = words.next(); !word.empty(); word = words.next()) {
    const uint32_t kind = watch_kind(word);
    if (kind == 0) return session.reply(wire::kError);
    kinds |= kind;
  }
  session.reply(wire::kOk);
  session.watch(kinds == 0 ? kWatchFetchers : kinds);
}

void handle_quit(Session& session, const TextRequest&) {
  session.quit();
}

constexpr TextCommand kCommands[] = {
    {"get", Shape::retrieval, handle_get, kRead, "values of keys"},
    {"set", Shape::storage, handle_set, kUpsert, "store a value"},
    {"gets", Shape::retrieval, handle_gets, kRead, "values of keys, with their CAS"},
    {"gat", Shape::gat, handle_gat, kRead | kUpsert, "values of keys, which get a new expiry"},
    {"gats", Shape::gat, handle_gats, kRead | kUpsert, "the same with their CAS"},
    {"add", Shape::storage, handle_add, kInsert, "store where nothing is"},
    {"replace", Shape::storage, handle_replace, kUpsert, "store where something is"},
    {"append", Shape::storage, handle_append, kUpsert, "put bytes behind a value"},
    {"prepend", Shape::storage, handle_prepend, kUpsert, "put bytes before a value"},
    {"cas", Shape::cas, handle_cas, kUpsert, "store if nobody else has since"},
    {"delete", Shape::deletion, handle_delete, kDelete, "remove a key"},
    {"incr", Shape::delta, handle_incr, kRead | kUpsert, "add to a number; wraps at 2^64"},
    {"decr", Shape::delta, handle_decr, kRead | kUpsert, "subtract from a number; stops at 0"},
    {"touch", Shape::touch, handle_touch, kUpsert, "a new expiry for a key"},
    {"flush_all", Shape::flush, handle_flush_all, kFlush, "remove everything, now or after a delay"},
    {"version", Shape::nothing, handle_version, kRead, "Bobbin's version"},
    {"verbosity", Shape::verbosity, handle_verbosity, kRead, "accepted and ignored"},
    {"stats", Shape::words, handle_text_stats, kRead, "statistics: general, or of a group"},
    {"watch", Shape::words, handle_watch, kServerStats, "the live log, until the connection closes"},
    {"quit", Shape::nothing, handle_quit, kRead, "close the connection"},
};

// A verb's place in the tables, found by its first byte, its last and its length: few verbs share all three.
struct VerbIndex {
  static constexpr size_t kSlots = 256;
  static constexpr uint8_t kNone = 0xff;
  static constexpr uint8_t kMeta = 0x80;  // the low bits are the row

  std::array<std::array<uint8_t, 4>, kSlots> rows{};

  static constexpr size_t slot(std::string_view verb) {
    const auto first = static_cast<uint8_t>(verb[0]);
    const auto last = static_cast<uint8_t>(verb[verb.size() - 1]);
    return (first * 7U + last * 31U + verb.size() * 64U) % kSlots;
  }
  void insert(std::string_view verb, uint8_t row) {
    for (uint8_t& place : rows.at(slot(verb))) {
      if (place == kNone) {
        place = row;
        return;
      }
    }
    assert(false && "more verbs share a slot than it has places");
  }
  VerbIndex() {
    for (auto& places : rows)
      places.fill(kNone);
    uint8_t row = 0;
    for (const TextCommand& command : kCommands)
      insert(command.verb, row++);
    row = 0;
    for (const MetaCommandRow& command : meta_commands())
      insert(command.verb, kMeta | row++);
  }
};

// As trouble_of, for several keys of a retrieval. Those that are on disk only are read at once, together with
// those among the following `words`.
Trouble trouble_of_many(Session& session, std::span<const store::DocKey> keys,
                        std::span<const store::Fetched> found, wire::Words words) {
  std::array<store::DocKey, DiskWait::kMaxKeys> blocked;
  size_t count = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (found[i].would_block) blocked[count++] = keys[i];
    if (found[i].no_memory || found[i].damaged || (found[i].locked && !found[i]))
      return trouble_of(session, found[i], keys[i]);
  }
  if (count == 0) [[likely]]
    return Trouble::none;
  store::FetchOptions look;
  look.no_bump = true;
  look.cannot_win = true;
  for (std::string_view key = words.next(); !key.empty() && count < blocked.size(); key = words.next()) {
    if (session.bucket().fetch(key, look, session.now()).would_block) blocked[count++] = key;
  }
  const auto keys_blocked = std::span<const store::DocKey>(blocked).first(count);
  return session.retry_after_reading(keys_blocked) ? Trouble::again : Trouble::unreadable;
}

// Its value, if there is one, is passed over.
void refuse_text(Session& session, const TextCommand& row, const TextRequest& request, std::string_view why) {
  if (row.shape == Shape::storage || row.shape == Shape::cas)
    session.swallow(uint64_t{request.value_bytes} + wire::kLineEnd.size());
  reply_unless(request.noreply, session, why);
}

}  // namespace

std::span<const TextCommand> text_commands() {
  return kCommands;
}

void run_text_command(Session& session, std::string_view line) {
  static const VerbIndex index;
  const auto [verb, arguments] = wire::split_verb(line);
  if (verb.empty()) return session.reply(wire::kError);
  for (const uint8_t place : index.rows[VerbIndex::slot(verb)]) {
    if (place == VerbIndex::kNone) break;
    if ((place & VerbIndex::kMeta) != 0) {
      const MetaCommandRow& row = meta_commands()[place & ~VerbIndex::kMeta];
      if (row.verb != verb) continue;
      session.counters().times.note(CommandTimes::kMeta + (place & ~VerbIndex::kMeta));
      return run_meta_command(session, row, arguments);
    }
    const TextCommand& row = kCommands[place];
    if (row.verb != verb) continue;
    TextRequest request;
    session.counters().times.note(place);
    const wire::TextStatus status = wire::parse_text(row.shape, arguments, request);
    if (status == wire::TextStatus::ok) {
      if (row.needs != kRead && !session.may(row.needs)) [[unlikely]]
        return refuse_text(session, row, request, wire::kForbidden);
      // A change is for the server that this one follows.
      if ((row.needs & (kWrite | kFlush)) != 0 && session.engine().following != nullptr) [[unlikely]]
        return refuse_text(session, row, request, kFollowsLine);
      return row.handle(session, request);
    }
    return reply_unless(request.noreply, session, wire::text_error(status));
  }
  session.reply(wire::kError);
}

void retrieve(Session& session, const TextRequest& request, bool with_cas, bool touch) {
  wire::Words words(request.words);
  store::FetchOptions options;
  options.cannot_win = true;
  if (touch) options.touch = store::absolute_expiry(request.exptime, session.now());
  const char* const end_of_line = session.following().data();
  size_t together = 1;
  for (;;) {
    std::array<store::DocKey, kKeysTogether> keys;
    size_t count = 0;
    for (; count < together; ++count) {
      const std::string_view word = words.next();
      if (word.empty()) break;
      keys[count] = word;
    }
    if (count == 0) break;
    std::array<store::Fetched, kKeysTogether> found;
    if (touch || count == 1) {
      for (size_t i = 0; i < count; ++i) {
        found[i] = touch ? session.bucket().fetch(keys[i], options, session.now())
                         : session.bucket().fetch(keys[i], session.now());
      }
    } else {
      session.bucket().fetch_many(std::span(keys).first(count), std::span(found).first(count), session.now());
    }
    const auto keys_found = std::span(found).first(count);
    for (size_t i = 0; i < count; ++i) {
      if (touch && found[i]) session.changed(session.vbucket_of(keys[i]), found[i].doc->seqno());
    }
    const Trouble trouble = trouble_of_many(session, std::span(keys).first(count), keys_found, words);
    if (trouble != Trouble::none) [[unlikely]] {
      if (trouble != Trouble::again) return session.reply(text_of(trouble));
      const auto left = static_cast<size_t>(end_of_line - keys[0].name().data());
      return session.suspend_retrieval(request, with_cas, touch, left);
    }
    for (size_t i = 0; i < count; ++i) {
      const bool is_compressed = found[i] && found[i].doc->is_compressed();
      if (is_compressed) [[unlikely]] {
        // One after the other, and no further than the client reads: each may be large.
        const bool waits = session.connection().congested();
        if (!waits) session.bucket().inflate(found[i]);
        const Trouble refused = trouble_of(session, found[i], keys[i]);
        if (waits || refused == Trouble::again) {
          const auto left = static_cast<size_t>(end_of_line - keys[i].name().data());
          return session.suspend_retrieval(request, with_cas, touch, left);
        }
        if (refused != Trouble::none) return session.reply(text_of(refused));
      }
      count_fetch(session, keys[i].name(), found[i], touch);
      if (found[i]) reply_item(session, keys[i].name(), found[i], with_cas);
    }
    const std::string_view rest = words.rest();
    if (session.connection().congested() && rest.find_first_not_of(' ') != std::string_view::npos) {
      const auto left = static_cast<size_t>(end_of_line - rest.data());
      return session.suspend_retrieval(request, with_cas, touch, left);
    }
    // The first key tells little of the values' size; with large ones, going one by one bounds what a client
    // that does not read can hold.
    together = touch || session.out().size() > net::kScratchBytes ? 1 : kKeysTogether;
  }
  session.reply(wire::kEnd);
}

}  // namespace bobbin::serve
