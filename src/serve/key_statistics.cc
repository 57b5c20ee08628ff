// Statistics of one document.

#include <charconv>
#include <optional>
#include <string>

#include "base/result.h"
#include "serve/engine.h"
#include "serve/key_validity.h"
#include "serve/stat_groups.h"
#include "store/expiry.h"

namespace bobbin::serve {
namespace {

template <typename Number>
std::optional<Number> number_in(std::string_view digits, int base) {
  Number value{};
  if (base == 16 && digits.starts_with("0x")) digits.remove_prefix(2);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// The last word, which is taken off. What is before it may have spaces: keys do.
std::string_view take_last_word(std::string_view& text) {
  const size_t space = text.rfind(' ');
  if (space == std::string_view::npos) return {};
  const std::string_view word = text.substr(space + 1);
  text.remove_suffix(text.size() - space);
  return word;
}

// Which document somebody asks for.
struct Asked {
  store::DocKey key;
  uint16_t vbucket = 0;
};

base::Result<Asked, StatAnswer> parse(const StatQuery& query, bool by_id) {
  std::string_view name = query.argument;
  std::optional<store::CollectionId> collection = store::kDefaultCollection;
  if (by_id) collection = number_in<store::CollectionId>(take_last_word(name), 16);
  const auto vbucket = number_in<uint16_t>(take_last_word(name), 10);
  if (!collection || !vbucket) return base::fail(StatAnswer(StatAnswer::invalid));
  const store::DocKey key{*collection, name};
  if (!key.is_valid()) return base::fail(StatAnswer(StatAnswer::invalid));
  const store::Bucket& bucket = query.bucket.bucket();
  if (*vbucket >= bucket.vbucket_count() || bucket.vbucket_of(key) != *vbucket)
    return base::fail(StatAnswer(StatAnswer::unknown));
  return Asked{key, *vbucket};
}

// What there is to tell of a document, wherever it lies.
struct Told {
  uint64_t cas = 0;
  uint32_t expiry = 0;
  uint32_t flags = 0;
  bool is_dirty = false;
  bool is_resident = false;
};

void tell_document(const StatQuery& query, const StatSink& sink, const Asked& asked, const Told& told) {
  tell(sink, "key_cas", told.cas);
  tell(sink, "key_exptime", told.expiry);
  tell(sink, "key_flags", told.flags);
  sink("key_is_dirty", told.is_dirty ? "true" : "false");
  sink("key_is_resident", told.is_resident ? "true" : "false");
  sink("key_vb_state", name_of(query.bucket.vbuckets().of(asked.vbucket)));
}

Told told_of(const StatQuery& query, const Asked& asked, const store::Peeked& found) {
  const store::Bucket& bucket = query.bucket.bucket();
  const store::Document& document = *found.doc;
  return {.cas = found.cas,
          .expiry = found.expiry,
          .flags = document.flags(),
          .is_dirty = bucket.is_persistent() && document.seqno() > bucket.persisted_seqno(asked.vbucket),
          .is_resident = document.resident()};
}

template <bool by_id>
StatAnswer report_key(const StatQuery& query, const StatSink& sink) {
  const auto asked = parse(query, by_id);
  if (!asked) return asked.error();
  const auto found = query.bucket.bucket().peek(asked->key, query.engine.clock.now());
  if (!found) return StatAnswer::unknown;
  if (found->would_block) return {StatAnswer::blocked, asked->key};
  tell_document(query, sink, *asked, told_of(query, *asked, *found));
  return StatAnswer::told;
}

// --- memory against the disk ---

// Memory has nothing of the key, or no more than that it may be there.
StatAnswer tell_of_disk(const StatQuery& query, const StatSink& sink, const Asked& asked,
                        const std::optional<disk::StoredRecord>& stored) {
  if (!stored || stored->record().kind != disk::RecordKind::document) return StatAnswer::unknown;
  const disk::Record record = stored->record();
  if (store::is_expired(record.time_s, query.engine.clock.now().unix_s())) return StatAnswer::unknown;
  tell_document(query, sink, asked, {.cas = record.cas, .expiry = record.time_s, .flags = record.flags});
  sink("key_valid", "valid");
  return StatAnswer::told;
}

// The disk is read first: what memory has then is the same version, or a later one that is not there yet.
// That may get there in between, and then it is read again.
template <bool by_id>
StatAnswer report_valid_key(const StatQuery& query, const StatSink& sink) {
  constexpr int kTries = 10;
  const auto asked = parse(query, by_id);
  if (!asked) return asked.error();
  if (query.bucket.disk() == nullptr) return StatAnswer::unknown;
  for (int i = 0; i < kTries; ++i) {
    const auto stored = query.bucket.disk()->read(asked->key);
    if (!stored) return StatAnswer::blocked;
    const auto found = query.bucket.bucket().peek(asked->key, query.engine.clock.now());
    if (!found) return StatAnswer::unknown;
    if (found->would_block) return tell_of_disk(query, sink, *asked, *stored);
    const Told told = told_of(query, *asked, *found);
    disk::Record record;
    if (*stored) record = (*stored)->record();
    const bool is_same = *stored && record.seqno == found->doc->seqno();
    if (!is_same && !told.is_dirty && i + 1 < kTries) continue;
    tell_document(query, sink, *asked, told);
    sink("key_valid", validity_of(*found->doc, told.is_dirty, *stored ? &record : nullptr));
    return StatAnswer::told;
  }
  return StatAnswer::blocked;
}

constexpr StatGroup kGroups[] = {
    {.name = "key",
     .report = report_key<false>,
     .about = "a document of the default collection",
     .argument = "key vbucket",
     .needs = kBucketStats | kRead},
    {.name = "key-byid",
     .report = report_key<true>,
     .about = "a document",
     .argument = "key vbucket collection",
     .needs = kBucketStats | kRead},
    {.name = "vkey",
     .report = report_valid_key<false>,
     .about = "`key`, and whether memory and disk have the same of it: `key_valid`; in a persistent bucket",
     .argument = "key vbucket",
     .needs = kBucketStats | kRead,
     .reads_disk = true},
    {.name = "vkey-byid",
     .report = report_valid_key<true>,
     .about = "the same for `key-byid`",
     .argument = "key vbucket collection",
     .needs = kBucketStats | kRead,
     .reads_disk = true},
};

}  // namespace

std::span<const StatGroup> key_groups() {
  return kGroups;
}

}  // namespace bobbin::serve
