// The operations of Bucket that read a document, build another from it, and publish that if the first is
// still there; otherwise they start over. Each new start means that another thread has published meanwhile.

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>

#include "store/bucket.h"
#include "store/number_text.h"
#include "store/vbucket.h"
#include "wire/compression.h"

namespace bobbin::store {

namespace {

void copy_into(std::span<char> out, std::initializer_list<std::string_view> parts) noexcept {
  char* to = out.data();
  for (const std::string_view part : parts) {
    // memcpy must not be given the null pointer of an empty view.
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
}

// 0: it is not compressed, or damaged.
uint64_t inflates_to(const Document& document) noexcept {
  if (!document.is_compressed()) [[likely]]
    return 0;
  const uint32_t bytes = static_cast<uint32_t>(wire::inflated_bytes(document.value()).value_or(0));
  return bytes <= kLargestMaxValueBytes ? bytes : 0;
}

StoreStatus status_of(DraftError error) noexcept {
  return error == DraftError::too_large ? StoreStatus::too_large : StoreStatus::no_memory;
}

StoreStatus status_of(RemoveStatus status) noexcept {
  switch (status) {
    case RemoveStatus::removed:
      return StoreStatus::stored;
    case RemoveStatus::not_found:
      return StoreStatus::not_found;
    case RemoveStatus::exists:
      return StoreStatus::exists;
    case RemoveStatus::no_memory:
      return StoreStatus::no_memory;
    case RemoveStatus::would_block:
      return StoreStatus::would_block;
    case RemoveStatus::locked:
      return StoreStatus::locked;
    case RemoveStatus::unknown_collection:
      break;
  }
  return StoreStatus::unknown_collection;
}

}  // namespace

base::Result<Draft, DraftError> Bucket::copy_shape(const Document& like, uint32_t value_len, base::Now now) {
  base::Result<Draft, DraftError> copy =
      draft(like.doc_key(), like.flags(), kNeverExpires, value_len, now, like.has_attributes());
  if (copy) copy->set_datatype(like.datatype());
  return copy;
}

StoreResult Bucket::store_body(Draft& draft, StoreMode mode, const StoreOptions& options, base::Now now) {
  const Key at = locate(draft.doc_key());
  const Document& given = *draft.document_;
  while (true) {
    const Snapshot base = at.vbucket.snapshot(draft.doc_key(), at.hash, now.unix_s());
    if (base.refused) return {StoreStatus::no_memory};
    if (base.unknown) return {StoreStatus::would_block};
    if (!base.doc || !base.doc->has_attributes()) {
      const StoreResult result = at.vbucket.publish(draft, at.hash, mode, options, now);
      if (result.has_attributes) continue;
      return result;
    }
    if (mode == StoreMode::add) return {StoreStatus::not_stored};
    const bool compares = mode == StoreMode::cas || options.cas_compare;
    const uint64_t wanted = options.cas_compare.value_or(0);
    const bool other = compares && wanted != base.cas;
    if (base.locked && (other || !compares)) return {StoreStatus::locked};
    const bool invalidates = other && options.invalidate_if_older && wanted != 0 && wanted < base.cas;
    if (other && !invalidates) return {StoreStatus::exists};
    if (!base.doc->resident()) {
      count_blocked();
      return {StoreStatus::would_block};
    }
    const std::string_view kept = base.doc->attributes();
    const PlainDocument body = plain_of(given);
    if (!body) return {body.failure()};
    base::Result<Draft, DraftError> whole =
        this->draft(draft.doc_key(), given.flags_, kNeverExpires,
                    static_cast<uint32_t>(kept.size() + body->value_size()), now, true);
    if (!whole) return {status_of(whole.error())};
    whole->set_datatype(body->datatype() | Document::kAttributesBit);
    copy_into(whole->value(), {kept, body->value()});
    Takeover takeover;
    takeover.explicit_cas = options.explicit_cas;
    takeover.cas_compare = options.cas_compare;
    takeover.mark_stale = invalidates;
    if (!options.keep_expiry && !invalidates) takeover.expiry = given.expiry_;
    StoreResult result = at.vbucket.publish_over(*whole, at.hash, *base.doc, takeover, now);
    if (result.status == StoreStatus::exists || result.status == StoreStatus::locked) continue;
    result.value_len = given.value_len_;
    result.kept_len = static_cast<uint32_t>(kept.size());
    return result;
  }
}

StoreResult Bucket::extend(Draft& addition, StoreMode mode, const StoreOptions& options, base::Now now) {
  const Key at = locate(addition.doc_key());
  const std::span<const char> added_bytes = addition.value();
  const std::string_view added(added_bytes.data(), added_bytes.size());
  while (true) {
    const Snapshot base = at.vbucket.snapshot(addition.doc_key(), at.hash, now.unix_s());
    if (base.unknown_collection) return {StoreStatus::unknown_collection};
    if (base.refused) return {StoreStatus::no_memory};
    if (base.unknown) return {StoreStatus::would_block};
    if (!base.doc) {
      if (!options.vivify_expiry) return {StoreStatus::not_stored};
      addition.set_expiry(*options.vivify_expiry);
      const StoreResult created = at.vbucket.publish(addition, at.hash, StoreMode::add, options, now);
      if (created.status == StoreStatus::not_stored) continue;
      if (created.ok()) note_expiry(created.expiry);
      return created;
    }
    const bool other = options.cas_compare && base.cas != *options.cas_compare;
    if (base.locked && (other || !options.cas_compare)) return {StoreStatus::locked};
    if (other) return {StoreStatus::exists};
    if (!base.doc->resident()) {
      count_blocked();
      return {StoreStatus::would_block};
    }
    // What is full is not inflated to be told so.
    if (inflates_to(*base.doc) + added.size() > options_.max_value_bytes && !base.doc->has_attributes())
      return {StoreStatus::too_large};
    const PlainDocument there = plain_of(*base.doc);
    if (!there) return {there.failure()};
    const std::string_view before = there->body();
    const std::string_view attributes = there->attributes();
    const uint64_t body_len = uint64_t{before.size()} + added.size();
    if (body_len > options_.max_value_bytes) return {StoreStatus::too_large};
    const uint64_t value_len = attributes.size() + body_len;
    base::Result<Draft, DraftError> whole = copy_shape(*base.doc, static_cast<uint32_t>(value_len), now);
    if (!whole) return {status_of(whole.error())};
    // What two JSON texts make together is none.
    whole->set_datatype(base.doc->datatype() & Document::kAttributesBit);
    if (mode == StoreMode::append) {
      copy_into(whole->value(), {attributes, before, added});
    } else {
      copy_into(whole->value(), {attributes, added, before});
    }
    Takeover takeover;
    takeover.explicit_cas = options.explicit_cas;
    takeover.cas_compare = options.cas_compare;
    StoreResult result = at.vbucket.publish_over(*whole, at.hash, *base.doc, takeover, now);
    if (result.ok()) {
      result.kept_len = static_cast<uint32_t>(attributes.size());
      result.value_len -= result.kept_len;
    }
    if (result.status != StoreStatus::exists && result.status != StoreStatus::locked) return result;
  }
}

ArithmeticResult Bucket::arithmetic(DocKey key, const ArithmeticOptions& options, base::Now now) {
  flush_if_due(now.unix_s());
  const Key at = locate(key);
  std::array<char, kMaxNumberDigits> digits;
  while (true) {
    const Snapshot base = at.vbucket.snapshot(key, at.hash, now.unix_s());
    if (base.unknown_collection) return {ArithmeticStatus::unknown_collection};
    if (base.refused) return {ArithmeticStatus::no_memory};
    if (base.unknown) return {ArithmeticStatus::would_block};
    const bool creates = !base.doc;
    uint64_t number = 0;
    std::string_view attributes;
    size_t body_len = 0;
    std::optional<PlainDocument> there;
    if (creates) {
      if (!options.initial) return {ArithmeticStatus::not_found};
      number = *options.initial;
    } else {
      // In memcached's order: an empty value is looked for before the CAS is, digits after.
      if (base.doc->value_size() == 0) return {ArithmeticStatus::not_a_number};
      const bool other = options.cas_compare && base.cas != *options.cas_compare;
      if (base.locked && (other || !options.cas_compare)) return {ArithmeticStatus::locked};
      if (other) return {ArithmeticStatus::exists};
      if (!base.doc->resident()) {
        count_blocked();
        return {ArithmeticStatus::would_block};
      }
      if (inflates_to(*base.doc) > kMaxNumberBytes && !base.doc->has_attributes())
        return {ArithmeticStatus::not_a_number};
      there = plain_of(*base.doc);
      if (!*there) {
        return {there->failure() == StoreStatus::no_memory ? ArithmeticStatus::no_memory
                                                           : ArithmeticStatus::not_a_number};
      }
      attributes = (*there)->attributes();
      body_len = (*there)->body().size();
      const std::optional<uint64_t> before = parse_number((*there)->body());
      if (!before) return {ArithmeticStatus::not_a_number};
      number = options.direction == Direction::increment ? *before + options.delta
                                                         : *before - std::min(*before, options.delta);
    }
    const std::string_view text(digits.data(), format_number(number, digits));
    // memcached overwrites in place, so a value never gets shorter: blanks fill it (observed, 1.6.18).
    const size_t value_len = attributes.size() + std::max(text.size(), body_len);
    base::Result<Draft, DraftError> next =
        creates ? draft(key, 0, options.initial_expiry, static_cast<uint32_t>(value_len), now)
                : copy_shape(*base.doc, static_cast<uint32_t>(value_len), now);
    if (!next) return {ArithmeticStatus::no_memory};
    std::fill(next->value().begin(), next->value().end(), ' ');
    copy_into(next->value(), {attributes, text});
    if (!creates) next->set_datatype((*there)->datatype());

    StoreResult result;
    if (creates) {
      StoreOptions create;
      create.explicit_cas = options.explicit_cas;
      result = at.vbucket.publish(*next, at.hash, StoreMode::add, create, now);
      if (result.status == StoreStatus::not_stored) continue;
      if (result.status == StoreStatus::would_block) return {ArithmeticStatus::would_block};
    } else {
      const Takeover takeover{options.explicit_cas,       options.expiry,
                              /*keep_marks=*/true,        /*mark_stale=*/false,
                              /*counts_as_stored=*/false, options.cas_compare};
      result = at.vbucket.publish_over(*next, at.hash, *base.doc, takeover, now);
      if (result.status == StoreStatus::exists || result.status == StoreStatus::locked) continue;
    }
    if (result.status == StoreStatus::unknown_collection) return {ArithmeticStatus::unknown_collection};
    if (!result.ok()) return {ArithmeticStatus::no_memory};
    note_expiry(result.expiry);
    return {creates ? ArithmeticStatus::created : ArithmeticStatus::stored,
            number,
            result.cas,
            result.seqno,
            result.expiry,
            result.expiry_before,
            result.value_len};
  }
}

Fetched Bucket::fetch_touching(DocKey key, const FetchOptions& options, base::Now now) {
  const Key at = locate(key);
  while (true) {
    const Snapshot base = at.vbucket.snapshot(key, at.hash, now.unix_s());
    Fetched missed;
    missed.would_block = base.unknown;
    missed.no_memory = base.refused;
    missed.unknown_collection = base.unknown_collection;
    missed.locked = base.locked;
    if (!base.doc || base.locked) return missed;
    if (base.expiry == *options.touch) {
      // Nothing to change: no new document.
      FetchOptions rest = options;
      rest.touch.reset();
      return at.vbucket.fetch(key, at.hash, rest, now.unix_s());
    }
    missed.would_block = !base.doc->resident() && base.doc->value_size() != 0;
    if (missed.would_block) {
      count_blocked();
      return missed;
    }
    const std::string_view value = base.doc->value();
    base::Result<Draft, DraftError> copy = copy_shape(*base.doc, static_cast<uint32_t>(value.size()), now);
    missed.no_memory = !copy;
    if (!copy) return missed;
    copy_into(copy->value(), {value});
    copy->set_expiry(*options.touch);
    TouchedOver touched = at.vbucket.touch_over(*copy, at.hash, *base.doc, options, now);
    missed.no_memory = touched.no_memory;
    if (touched.no_memory) return missed;
    if (touched.done) return std::move(touched.fetched);
  }
}

RemoveResult Bucket::remove(DocKey key, const RemoveOptions& options, base::Now now) {
  flush_if_due(now.unix_s());
  if (options.mark_stale || options.drop_value) return rewrite_marked(key, options, now);
  const Key at = locate(key);
  const RemoveResult result = at.vbucket.remove(key, at.hash, options, now);
  // A tombstone has a time, too.
  if (result.left_tombstone) note_expiry(tombstone_end(now.unix_s()));
  return result;
}

StoreResult Bucket::remove_whole(DocKey key, const StoreOptions& options, base::Now now) {
  const Key at = locate(key);
  RemoveOptions whole;
  whole.cas_compare = options.cas_compare.value_or(0);
  whole.drop_attributes = true;
  const RemoveResult removed = at.vbucket.remove(key, at.hash, whole, now);
  StoreResult result;
  result.status = status_of(removed.status);
  result.cas = removed.cas;
  result.seqno = removed.seqno;
  result.revision = removed.revision;
  return result;
}

RemoveResult Bucket::rewrite_marked(DocKey key, const RemoveOptions& options, base::Now now) {
  const Key at = locate(key);
  while (true) {
    const Snapshot base = at.vbucket.snapshot(key, at.hash, now.unix_s());
    if (base.unknown_collection) return {RemoveStatus::unknown_collection};
    if (base.refused) return {RemoveStatus::no_memory};
    if (base.unknown) return {RemoveStatus::would_block};
    if (!base.doc) return {RemoveStatus::not_found};
    const bool other = options.cas_compare && base.cas != *options.cas_compare;
    if (base.locked && (other || !options.cas_compare)) return {RemoveStatus::locked};
    if (other) return {RemoveStatus::exists};
    if ((!options.drop_value || base.doc->has_attributes()) && !base.doc->resident()) {
      count_blocked();
      return {RemoveStatus::would_block};
    }
    const std::string_view value = options.drop_value ? base.doc->attributes() : base.doc->value();
    base::Result<Draft, DraftError> copy = copy_shape(*base.doc, static_cast<uint32_t>(value.size()), now);
    if (!copy) return {RemoveStatus::no_memory};
    copy_into(copy->value(), {value});
    if (options.drop_value) {
      copy->set_flags(0);
      copy->set_datatype(base.doc->datatype() & Document::kAttributesBit);
    }
    const Takeover takeover{options.explicit_cas,
                            options.expiry,
                            /*keep_marks=*/!options.drop_value,
                            options.mark_stale,
                            /*counts_as_stored=*/false,
                            options.cas_compare};
    const StoreResult result = at.vbucket.publish_over(*copy, at.hash, *base.doc, takeover, now);
    if (result.status == StoreStatus::exists || result.status == StoreStatus::locked) continue;
    if (result.status == StoreStatus::unknown_collection) return {RemoveStatus::unknown_collection};
    if (!result.ok()) return {RemoveStatus::no_memory};
    note_expiry(result.expiry);
    return {RemoveStatus::removed, result.cas, result.seqno, result.revision,
            static_cast<uint32_t>(base.doc->body().size())};
  }
}

}  // namespace bobbin::store
