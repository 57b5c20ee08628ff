#include "serve/storing.h"

#include <algorithm>
#include <utility>

#include "serve/asking.h"
#include "serve/binary_reply.h"
#include "store/expiry.h"
#include "wire/compression.h"
#include "wire/datatype.h"

namespace bobbin::serve {

Trouble trouble_without_memory(Session& session, uint16_t vbucket) {
  if (!session.is_writable(vbucket)) return Trouble::unwritable;
  return session.retry_when_there_is_room(vbucket) ? Trouble::again : Trouble::no_memory;
}

Trouble trouble_of(Session& session, const store::StoreResult& result, const store::Draft& draft,
                   uint16_t vbucket) {
  // What meets trouble leaves the draft as it was.
  if (draft) [[unlikely]]
    return trouble_of(session, result.status, draft.doc_key());
  if (is_refusal(result.status)) session.refused(vbucket);
  return Trouble::none;
}

Trouble trouble_of(Session& session, const store::Fetched& found, store::DocKey key) {
  if (found) [[likely]]
    return Trouble::none;
  if (found.would_block) return session.retry_after_reading(key) ? Trouble::again : Trouble::unreadable;
  if (found.damaged) return Trouble::unreadable;
  if (found.locked) return Trouble::locked;
  if (found.unknown_collection) return Trouble::unknown_collection;
  if (found.crowded) return Trouble::crowded;
  return found.no_memory ? trouble_without_memory(session, session.vbucket_of(key)) : Trouble::none;
}

std::string_view text_of(Trouble trouble) {
  if (trouble == Trouble::unreadable) return wire::kDiskUnreadable;
  if (trouble == Trouble::locked) return wire::kLocked;
  return trouble == Trouble::unwritable ? wire::kDiskUnwritable : wire::kOutOfMemory;
}

wire::BinaryStatus status_of(Trouble trouble) {
  if (trouble == Trouble::locked) return wire::BinaryStatus::locked;
  if (trouble == Trouble::unknown_collection) return wire::BinaryStatus::unknown_collection;
  return trouble == Trouble::no_memory ? wire::BinaryStatus::out_of_memory
                                       : wire::BinaryStatus::temporary_failure;
}

std::string_view verb_of(store::StoreMode mode) {
  static constexpr std::string_view kVerbs[] = {"set", "add", "replace", "append", "prepend", "cas"};
  return kVerbs[static_cast<size_t>(mode)];
}

uint32_t plain_bytes(const store::Document& document) {
  if (document.is_compressed()) [[unlikely]]
    return static_cast<uint32_t>(wire::inflated_bytes(document.value()).value_or(0));
  return document.resident() ? static_cast<uint32_t>(document.body().size()) : document.value_size();
}

uint32_t plain_bytes(store::Draft& draft) {
  const std::string_view value(draft.value().data(), draft.value().size());
  const bool is_compressed = (draft.datatype() & wire::kDatatypeSnappy) != 0;
  return static_cast<uint32_t>(is_compressed ? wire::inflated_bytes(value).value_or(0) : value.size());
}

void count_store(Session& session, std::string_view command, std::string_view key, bool compares_cas,
                 const store::StoreResult& result, uint32_t value_bytes) {
  CommandCounters& counters = session.counters();
  counters.cmd_set.add(1);
  std::string_view status = "stored";
  switch (result.status) {
    case store::StoreStatus::stored:
      if (compares_cas) counters.cas_hits.add(1);
      break;
    case store::StoreStatus::exists:
      counters.cas_badval.add(1);
      status = "exists";
      break;
    case store::StoreStatus::not_found:
      if (compares_cas) counters.cas_misses.add(1);
      status = "not_found";
      break;
    case store::StoreStatus::not_stored:
      status = "not_stored";
      break;
    case store::StoreStatus::too_large:
      counters.store_too_large.add(1);
      status = "too_large";
      break;
    case store::StoreStatus::locked:
      status = "locked";
      break;
    case store::StoreStatus::unknown_collection:
    case store::StoreStatus::would_block:  // nor could the disk be read
    case store::StoreStatus::no_memory:
      counters.store_no_memory.add(1);
      status = "no_memory";
      break;
  }
  if (session.log().wants(kWatchMutations)) {
    session.log().stored(key, status, command, result.expiry == 0 ? 0 : ttl_of(result.expiry, session.now()),
                         session.id(), result.ok() ? result.value_len : value_bytes);
  }
}

void count_arithmetic(Session& session, store::Direction direction, store::ArithmeticStatus status) {
  CommandCounters& counters = session.counters();
  const bool up = direction == store::Direction::increment;
  switch (status) {
    case store::ArithmeticStatus::stored:
      (up ? counters.incr_hits : counters.decr_hits).add(1);
      break;
    case store::ArithmeticStatus::created:
    case store::ArithmeticStatus::not_found:
      (up ? counters.incr_misses : counters.decr_misses).add(1);
      break;
    case store::ArithmeticStatus::exists:
      counters.cas_badval.add(1);
      break;
    case store::ArithmeticStatus::not_a_number:
    case store::ArithmeticStatus::unknown_collection:
    case store::ArithmeticStatus::would_block:
    case store::ArithmeticStatus::locked:
    case store::ArithmeticStatus::no_memory:
      break;
  }
}

base::Result<Placed, Trouble> place_value(Session& session, store::DocKey key, uint32_t flags,
                                          uint32_t expiry, uint32_t value_bytes, bool arrived,
                                          bool invalidate, bool may_be_longer) {
  Trouble refusal = Trouble::no_memory;
  UploadBudget::Share share;
  const bool too_large = value_bytes > session.bucket().max_value_bytes() && !may_be_longer;
  if (!arrived && !too_large) {
    share = session.served().uploads().take(value_bytes);
  }
  if (arrived || share || too_large) {
    auto draft = session.bucket().draft(key, flags, expiry, value_bytes, session.now(), may_be_longer);
    if (draft) [[likely]] {
      return Placed{std::move(*draft), std::move(share)};
    }
    refusal = draft.error() == store::DraftError::too_large
                  ? Trouble::none
                  : trouble_without_memory(session, session.vbucket_of(key));
    if (refusal == Trouble::again) return base::fail(refusal);
  }
  const bool large = refusal == Trouble::none;
  (large ? session.counters().store_too_large : session.counters().store_no_memory).add(1);
  if (session.log().wants(kWatchMutations)) {
    session.log().stored(key.name(), large ? "too_large" : "no_memory", "set", 0, session.id(), value_bytes);
  }
  if (invalidate && !session.bucket().is_persistent()) session.bucket().remove(key, {}, session.now());
  return base::fail(refusal);
}

bool inflate_value(Session& session, const wire::BinaryHeader& header, store::Draft& given,
                   store::Draft& whole) {
  const std::string_view compressed(given.value().data(), given.value().size());
  const auto refuse = [&](wire::BinaryStatus status) {
    reply_binary_error(session, header, status);
    return false;
  };
  const auto bytes = wire::inflated_bytes(compressed);
  if (!bytes) return refuse(wire::BinaryStatus::invalid_arguments);
  const bool attributes = (header.datatype & wire::kDatatypeXattr) != 0;
  if (*bytes > store::kLargestMaxValueBytes + store::kAttributeAllowanceBytes)
    return refuse(wire::BinaryStatus::too_large);
  auto made = session.bucket().draft_like(given, static_cast<uint32_t>(*bytes), session.now(), attributes);
  if (!made) {
    if (made.error() == store::DraftError::too_large) return refuse(wire::BinaryStatus::too_large);
    const Trouble trouble = trouble_without_memory(session, session.vbucket_of(given.doc_key()));
    return trouble != Trouble::again && refuse(status_of(trouble));
  }
  const bool is_whole =
      session.counters().inflations.time([&] { return wire::inflate(compressed, made->value().data()); });
  if (!is_whole) return refuse(wire::BinaryStatus::invalid_arguments);
  whole = std::move(*made);
  return true;
}

store::Draft& chosen_form(const Session& session, store::Draft& given, store::Draft& whole) {
  const uint8_t datatype = whole.datatype();
  if (!session.served().keeps_compressed() || given.value().size() >= whole.value().size() ||
      (datatype & wire::kDatatypeXattr) != 0)
    return whole;
  whole = store::Draft();
  given.set_datatype(datatype | wire::kDatatypeSnappy);
  return given;
}

void refuse_chunk(Session& session, bool noreply) {
  session.counters().cmd_set.add(1);
  if (!noreply) session.reply(wire::kBadDataChunk);
}

bool flush(Session& session, int64_t delay) {
  const disk::Persistence* disk = session.served().disk();
  const bool can_be = disk == nullptr || !disk->failure();
  Asking(session).note("flush bucket", session.served().name(), can_be, {}, AdminEvent::Pace::object);
  if (!can_be) return false;
  session.counters().cmd_flush.add(1);
  const uint32_t when = delay <= 0 ? store::kExpiredAtOnce : store::absolute_expiry(delay, session.now());
  if (store::is_expired(when, session.now().unix_s())) {
    session.bucket().flush(session.now());
    if (session.bucket().is_persistent()) {
      for (uint32_t vbucket = 0; vbucket < session.bucket().vbucket_count(); ++vbucket) {
        const auto number = static_cast<uint16_t>(vbucket);
        const uint64_t seqno = session.bucket().high_seqno(number);
        if (session.bucket().persisted_seqno(number) < seqno) session.changed(number, seqno);
      }
    }
  } else {
    session.bucket().flush_at(when, session.now());
  }
  if (session.bucket().unsaved_flush_moments() != 0) session.changed_flush_moment();
  return true;
}

int64_t ttl_of(uint32_t expiry, base::Now now) {
  if (expiry == store::kNeverExpires) return -1;
  return std::max<int64_t>(int64_t{expiry} - now.unix_s(), 0);
}

uint32_t age_of(uint32_t moment, base::Now now) {
  return now.unix_s() - std::min(moment, now.unix_s());
}

}  // namespace bobbin::serve
