// Statistics of one document.

#include <charconv>
#include <optional>
#include <string>

#include "serve/engine.h"
#include "serve/stat_groups.h"

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

StatAnswer report_document(const StatQuery& query, const StatSink& sink, std::string_view key_and_vbucket,
                           store::CollectionId collection) {
  std::string_view name = key_and_vbucket;
  const auto vbucket = number_in<uint16_t>(take_last_word(name), 10);
  if (!vbucket || !store::DocKey(collection, name).is_valid()) return StatAnswer::invalid;
  store::Bucket& bucket = query.bucket.bucket();
  const store::DocKey key{collection, name};
  if (*vbucket >= bucket.vbucket_count() || bucket.vbucket_of(key) != *vbucket) return StatAnswer::unknown;
  const auto found = bucket.peek(key, query.engine.clock.now());
  if (!found) return StatAnswer::unknown;
  if (found->would_block) return {StatAnswer::blocked, key};
  const store::Document& document = *found->doc;
  const bool is_dirty = bucket.is_persistent() && document.seqno() > bucket.persisted_seqno(*vbucket);
  tell(sink, "key_cas", found->cas);
  tell(sink, "key_exptime", found->expiry);
  tell(sink, "key_flags", document.flags());
  sink("key_is_dirty", is_dirty ? "true" : "false");
  sink("key_is_resident", document.resident() ? "true" : "false");
  sink("key_vb_state", name_of(query.bucket.vbuckets().of(*vbucket)));
  return StatAnswer::told;
}

StatAnswer report_key(const StatQuery& query, const StatSink& sink) {
  return report_document(query, sink, query.argument, store::kDefaultCollection);
}

StatAnswer report_key_by_id(const StatQuery& query, const StatSink& sink) {
  std::string_view rest = query.argument;
  const auto collection = number_in<store::CollectionId>(take_last_word(rest), 16);
  return collection ? report_document(query, sink, rest, *collection) : StatAnswer::invalid;
}

constexpr StatGroup kGroups[] = {
    {.name = "key",
     .report = report_key,
     .about = "a document of the default collection",
     .argument = "key vbucket",
     .needs = kBucketStats | kRead},
    {.name = "key-byid",
     .report = report_key_by_id,
     .about = "a document",
     .argument = "key vbucket collection",
     .needs = kBucketStats | kRead},
};

}  // namespace

std::span<const StatGroup> key_groups() {
  return kGroups;
}

}  // namespace bobbin::serve
