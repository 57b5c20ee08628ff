// What tools ask about documents: whether they are on disk, which there are, all that is stored of one.

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "serve/binary_commands.h"
#include "serve/cluster_config.h"
#include "serve/session.h"
#include "serve/storing.h"
#include "wire/leb128.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryRequest;
using wire::BinaryStatus;
using wire::ExtrasLengths;
using wire::Presence;

// The most names that GET_KEYS gives at once; who asks for more gets so many.
constexpr size_t kMaxNames = 1000;

template <std::unsigned_integral Number>
void append_number(std::string& bytes, Number number) {
  std::array<char, sizeof(Number)> encoded;
  wire::store_big_endian(encoded.data(), number);
  bytes.append(encoded.data(), encoded.size());
}

// A key that lies in a value, as one that stands in a request's place for it. `key` is its name in `text`.
BinaryStatus read_key(Session& session, std::string_view text, store::DocKey& key) {
  store::CollectionId collection = store::kDefaultCollection;
  if (session.has(wire::Feature::collections)) {
    const auto read = wire::take_leb128(text);
    if (!read) return BinaryStatus::invalid_arguments;
    collection = *read;
  }
  if (text.empty() || text.size() > wire::kMaxBinaryKeyBytes) return BinaryStatus::invalid_arguments;
  if (session.may_in(collection, kRead) != Verdict::granted) return BinaryStatus::unknown_collection;
  key = {collection, text};
  return BinaryStatus::success;
}

// A name as this client writes it.
std::string wire_name(const Session& session, store::CollectionId collection, std::string_view name) {
  std::string written;
  if (session.has(wire::Feature::collections)) written = store::CollectionPrefix(collection).bytes();
  return written.append(name);
}

// All of a document's, those of the system as well, as they are stored.
bool may_see_attributes(Session& session, store::CollectionId collection) {
  return session.has(wire::Feature::xattr) &&
         session.may_in(collection, kSystemXattrRead) == Verdict::granted;
}

// OBSERVE: for each key whether it is there, and whether that is on disk.
enum class Observed : uint8_t { in_memory = 0x00, on_disk = 0x01, absent = 0x80 };

void handle_observe(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const auto refuse = [&](BinaryStatus status) { reply_binary_error(session, request.header, status); };
  store::Bucket& bucket = session.bucket();
  std::string answers;
  std::string_view rest = request.value;
  while (!rest.empty()) {
    if (rest.size() < 4) return refuse(BinaryStatus::invalid_arguments);
    const auto vbucket = wire::load_big_endian<uint16_t>(rest.data());
    const auto key_bytes = wire::load_big_endian<uint16_t>(rest.data() + 2);
    if (key_bytes > rest.size() - 4) return refuse(BinaryStatus::invalid_arguments);
    store::DocKey key;
    if (const auto wrong = read_key(session, rest.substr(4, key_bytes), key); wrong != BinaryStatus::success)
      return refuse(wrong);
    if (vbucket >= bucket.vbucket_count()) return reply_not_my_vbucket(session, request.header);
    const auto seen = bucket.peek(key, session.now());
    if (seen && seen->would_block) {
      if (session.retry_after_reading(key)) return;
      return refuse(BinaryStatus::temporary_failure);
    }
    Observed state = Observed::absent;
    if (seen) {
      const bool clean = bucket.is_persistent() && seen->doc->seqno() <= bucket.persisted_seqno(vbucket);
      state = clean ? Observed::on_disk : Observed::in_memory;
    }
    answers += rest.substr(0, 4 + size_t{key_bytes});
    append_number(answers, static_cast<uint8_t>(state));
    append_number(answers, seen ? seen->cas : uint64_t{0});
    rest.remove_prefix(4 + size_t{key_bytes});
  }
  // The header's CAS are two times, of persisting and replicating, that upstream fills with zeros by now.
  answer_value(session, request.header, answers);
}

// SEQNO_PERSISTENCE: answered when the vbucket is on disk up to there.
void handle_seqno_persistence(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const auto seqno = wire::load_big_endian<uint64_t>(request.extras.data());
  const uint16_t vbucket = request.header.vbucket_or_status;
  if (!session.bucket().is_persistent())
    return reply_binary_error(session, request.header, BinaryStatus::not_supported);
  // Nobody knows when a change will be made that was not.
  if (seqno > session.bucket().high_seqno(vbucket) || !session.is_writable(vbucket))
    return reply_binary_error(session, request.header, BinaryStatus::temporary_failure);
  session.await_on_disk(vbucket, seqno);
  answer_success(session, request.header);
}

void handle_evict(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  if (!session.bucket().is_persistent())  // it would be lost
    return reply_binary_error(session, request.header, BinaryStatus::not_supported);
  switch (session.bucket().evict(key_of(request), session.now())) {
    case store::RemoveStatus::removed:
      return answer_success(session, request.header);
    case store::RemoveStatus::not_found:
      return reply_binary_error(session, request.header, BinaryStatus::key_not_found);
    case store::RemoveStatus::unknown_collection:
      return reply_binary_error(session, request.header, BinaryStatus::unknown_collection);
    default:
      return reply_binary_error(session, request.header, BinaryStatus::key_exists);
  }
}

void handle_random_key(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const store::CollectionId collection = wire::read_u32_extras(request.extras.substr(0, 4));
  const bool has_choice = request.extras.size() == 5;
  if (has_choice && request.extras.back() != 0 && request.extras.back() != 1)
    return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  if (session.may_in(collection, kRead) != Verdict::granted)
    return reply_binary_error(session, request.header, BinaryStatus::unknown_collection);
  uint64_t mixed = (session.now().unix_ns ^ session.counters().cmd_get.get() << 40) * 0xbf58476d1ce4e5b9;
  mixed ^= mixed >> 29;
  bool gave_up = false;
  const auto seen = session.bucket().any(mixed, collection, session.now(), gave_up);
  if (!seen) {
    return reply_binary_error(session, request.header,
                              gave_up ? BinaryStatus::temporary_failure : BinaryStatus::key_not_found);
  }
  const std::string name(seen->doc->key());
  store::FetchOptions options;
  options.cannot_win = true;
  options.no_bump = true;
  options.takes_compressed = session.has(wire::Feature::snappy);
  auto found = session.bucket().fetch(seen->doc->doc_key(), options, session.now());
  const Trouble trouble = trouble_of(session, found, seen->doc->doc_key());
  if (trouble == Trouble::again) return;
  session.counters().cmd_get.add(1);
  if (trouble != Trouble::none) return reply_binary_error(session, request.header, status_of(trouble));
  if (!found) return reply_binary_error(session, request.header, BinaryStatus::key_not_found);
  const bool whole = has_choice && request.extras.back() == 1 && may_see_attributes(session, collection);
  const std::string key = wire_name(session, collection, name);
  if (whole) return answer_whole_document(session, request.header, std::move(found), key);
  answer_document(session, request.header, key, std::move(found));
}

// GET_KEYS: names of the vbucket from the key on.
void handle_keys(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  size_t limit = request.extras.empty() ? kMaxNames : wire::read_u32_extras(request.extras);
  limit = std::min(limit, kMaxNames);
  const auto names =
      session.bucket().names(request.header.vbucket_or_status, key_of(request), limit, session.now());
  // Only the disk knows them all, and it is not asked.
  if (!names) return reply_binary_error(session, request.header, BinaryStatus::temporary_failure);
  if (names->empty()) return reply_binary_error(session, request.header, BinaryStatus::key_not_found);
  std::string value;
  uint64_t bytes = 0;
  for (const std::string& name : *names) {
    const std::string written = wire_name(session, request.collection, name);
    append_number(value, static_cast<uint16_t>(written.size()));
    value += written;
    bytes += store::DocKey(request.collection, name).stored_size();
  }
  session.note_read(bytes);
  answer_value(session, request.header, value);
}

// GET_EX: the value with its attributes, as it is stored.
void handle_get_ex(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  store::FetchOptions options;
  options.cannot_win = true;
  options.takes_compressed = session.has(wire::Feature::snappy);
  auto found = session.bucket().fetch(key_of(request), options, session.now());
  const Trouble trouble = trouble_of(session, found, key_of(request));
  if (trouble == Trouble::again) return;
  if (trouble != Trouble::none) return reply_binary_error(session, request.header, status_of(trouble));
  CommandCounters& counters = session.counters();
  counters.cmd_get.add(1);
  (found ? counters.get_hits : counters.get_misses).add(1);
  if (!found) return reply_binary_error(session, request.header, BinaryStatus::key_not_found);
  if (!may_see_attributes(session, request.collection))
    return answer_document(session, request.header, {}, std::move(found));
  answer_whole_document(session, request.header, std::move(found));
}

// There are no replicas here.
void handle_get_ex_replica(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  reply_not_my_vbucket(session, request.header);
}

constexpr BinaryCommand row(BinaryOpcode opcode, std::string_view name, wire::BinaryShape shape,
                            decltype(BinaryCommand::handle) handle, KeyKind key = KeyKind::document) {
  BinaryCommand row{opcode, name, shape, handle};
  row.key = key;
  row.audience = Audience::couchbase;
  return row;
}

constexpr BinaryCommand awaits_disk(BinaryCommand row) {
  row.awaits_disk = true;
  return reorders(row);
}

constexpr wire::BinaryShape kGetKeys{ExtrasLengths(0, 4), Presence::required, Presence::forbidden};
using enum BinaryOpcode;
constexpr BinaryCommand kCommands[] = {
    row(observe, "observe", {ExtrasLengths(0), Presence::forbidden, Presence::required}, handle_observe,
        KeyKind::name),
    awaits_disk(row(seqno_persistence, "seqno_persistence",
                    {ExtrasLengths(8), Presence::forbidden, Presence::forbidden}, handle_seqno_persistence,
                    KeyKind::name)),
    reorders(row(evict_key, "evict_key", wire::binary_shapes::kKey, handle_evict)),
    row(get_random_key, "get_random_key", {ExtrasLengths(0, 4, 5), Presence::forbidden, Presence::forbidden},
        handle_random_key, KeyKind::name),
    row(get_keys, "get_keys", kGetKeys, handle_keys),
    reorders(row(get_ex, "get_ex", wire::binary_shapes::kKey, handle_get_ex)),
    reorders(row(get_ex_replica, "get_ex_replica", wire::binary_shapes::kKey, handle_get_ex_replica)),
};

}  // namespace

std::span<const BinaryCommand> document_commands() {
  return kCommands;
}

}  // namespace bobbin::serve
