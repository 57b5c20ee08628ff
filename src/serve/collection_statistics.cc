#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string>

#include "serve/served_bucket.h"
#include "serve/stat_groups.h"

namespace bobbin::serve {
namespace {

using Counts = std::map<store::CollectionId, store::CollectionStatistics>;

template <typename Number>
std::optional<Number> number_in(std::string_view digits, int base) {
  Number value{};
  if (base == 16 && digits.starts_with("0x")) digits.remove_prefix(2);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// What one report is about, and what its names begin with.
struct Report {
  const ServedBucket& bucket;
  const store::Manifest& manifest;
  const StatSink& sink;
};

void describe(const Report& report, const store::Collection& collection) {
  const std::string name = fmt::format("{:#x}:{:#x}:", collection.scope, collection.id);
  report.sink(name + "name", collection.name);
  report.sink(name + "scope_name", report.manifest.scope(collection.scope)->name);
  tell(report.sink, name + "maxTTL", collection.max_ttl_s.value_or(0));
}

void count(const Report& report, const std::string& name, const store::CollectionStatistics& numbers) {
  tell(report.sink, name + "items", numbers.items);
  tell(report.sink, name + "collections_mem_used", numbers.bytes);
}

// The last word, taken as a path or as "id NUMBER". Empty where there is none such.
template <typename ByPath, typename ById>
auto one_of(std::string_view wanted, ByPath by_path, ById by_id) {
  if (!wanted.starts_with("id ")) return by_path(wanted);
  const auto id = number_in<uint32_t>(wanted.substr(3), 16);
  return id ? by_id(*id) : nullptr;
}

bool report_each_collection(const Report& report, std::string_view wanted) {
  const store::Collection* one = nullptr;
  if (!wanted.empty()) {
    one = one_of(
        wanted,
        [&](std::string_view path) -> const store::Collection* {
          const size_t dot = path.find('.');
          if (dot == std::string_view::npos) return nullptr;
          return report.manifest.collection(path.substr(0, dot), path.substr(dot + 1));
        },
        [&](uint32_t id) { return report.manifest.collection(id); });
    if (one == nullptr) return false;
  }
  Counts counts = report.bucket.bucket().collection_statistics();
  report.sink("manifest_uid", store::manifest_number(report.manifest.uid()));
  for (const store::Collection& collection : report.manifest.collections()) {
    if (one != nullptr && one->id != collection.id) continue;
    describe(report, collection);
    count(report, fmt::format("{:#x}:{:#x}:", collection.scope, collection.id), counts[collection.id]);
  }
  return true;
}

bool report_each_scope(const Report& report, std::string_view wanted) {
  const store::Scope* one = nullptr;
  if (!wanted.empty()) {
    one = one_of(
        wanted, [&](std::string_view name) { return report.manifest.scope(name); },
        [&](uint32_t id) { return report.manifest.scope(id); });
    if (one == nullptr) return false;
  }
  Counts counts = report.bucket.bucket().collection_statistics();
  report.sink("manifest_uid", store::manifest_number(report.manifest.uid()));
  for (const store::Scope& scope : report.manifest.scopes()) {
    if (one != nullptr && one->id != scope.id) continue;
    store::CollectionStatistics sum;
    uint64_t collections = 0;
    for (const store::Collection& collection : report.manifest.collections()) {
      if (collection.scope != scope.id) continue;
      ++collections;
      sum.items += counts[collection.id].items;
      sum.bytes += counts[collection.id].bytes;
    }
    const std::string name = fmt::format("{:#x}:", scope.id);
    report.sink(name + "name", scope.name);
    tell(report.sink, name + "collections", collections);
    count(report, name, sum);
  }
  return true;
}

// All vbuckets are told of together while these are fewer than so many collections of vbuckets: a reply is
// some 200 bytes for each.
constexpr size_t kMostDetails = 20'000;

// Calls `each` for the vbucket that is named, or for all; false when that is none, or too many.
template <typename Each>
bool for_vbuckets(const Report& report, std::string_view wanted, Each each) {
  const uint32_t vbuckets = report.bucket.bucket().vbucket_count();
  if (wanted.empty() && vbuckets * report.manifest.collections().size() > kMostDetails) return false;
  if (wanted.empty()) {
    for (uint32_t vbucket = 0; vbucket < vbuckets; ++vbucket)
      each(static_cast<uint16_t>(vbucket));
    return true;
  }
  const auto vbucket = number_in<uint16_t>(wanted, 10);
  if (!vbucket || *vbucket >= vbuckets) return false;
  each(*vbucket);
  return true;
}

bool report_collection_details(const Report& report, std::string_view wanted) {
  const std::string uid = store::manifest_number(report.manifest.uid());
  const bool told = for_vbuckets(report, wanted, [&](uint16_t vbucket) {
    const std::string of = fmt::format("vb_{}:", vbucket);
    report.sink(of + "manifest:uid", uid);
    for (const auto& [id, numbers] : report.bucket.bucket().collection_statistics(vbucket)) {
      const store::Collection* const collection = report.manifest.collection(id);
      if (collection == nullptr) continue;  // made since then
      const std::string name = fmt::format("{}{:#x}:", of, id);
      report.sink(name + "name", collection->name);
      report.sink(name + "scope", fmt::format("{:#x}", collection->scope));
      tell(report.sink, name + "items", numbers.items);
      tell(report.sink, name + "high_seqno", numbers.high_seqno);
    }
  });
  if (!told || !wanted.empty()) return told;
  for (const store::Collection& collection : report.manifest.collections())
    describe(report, collection);
  return true;
}

bool report_scope_details(const Report& report, std::string_view wanted) {
  const std::string uid = store::manifest_number(report.manifest.uid());
  return for_vbuckets(report, wanted, [&](uint16_t vbucket) {
    Counts counts = report.bucket.bucket().collection_statistics(vbucket);
    report.sink(fmt::format("vb_{}:manifest:uid", vbucket), uid);
    for (const store::Collection& collection : report.manifest.collections()) {
      const std::string name = fmt::format("vb_{}:{:#x}:{:#x}:", vbucket, collection.scope, collection.id);
      report.sink(name + "name", collection.name);
      tell(report.sink, name + "items", counts[collection.id].items);
    }
  });
}

template <bool (*report)(const Report&, std::string_view)>
StatAnswer told_by(const StatQuery& query, const StatSink& sink) {
  const auto manifest = query.bucket.collections().manifest();
  return report({query.bucket, *manifest, sink}, query.argument) ? StatAnswer::told : StatAnswer::unknown;
}

template <bool (*report)(const Report&, std::string_view)>
StatAnswer told_by_id(const StatQuery& query, const StatSink& sink) {
  const auto manifest = query.bucket.collections().manifest();
  const std::string wanted = fmt::format("id {}", query.argument);
  return report({query.bucket, *manifest, sink}, wanted) ? StatAnswer::told : StatAnswer::unknown;
}

constexpr StatGroup kGroups[] = {
    {.name = "collections",
     .report = told_by<report_each_collection>,
     .about = "collections",
     .argument = "[scope.collection or `id` number]"},
    {.name = "collections-byid",
     .report = told_by_id<report_each_collection>,
     .about = "a collection",
     .argument = "number"},
    {.name = "collections-details",
     .report = told_by<report_collection_details>,
     .about = "collections in each vbucket; without a number only while vbuckets times collections are at "
              "most 20,000",
     .argument = "[vbucket]"},
    {.name = "scopes",
     .report = told_by<report_each_scope>,
     .about = "scopes",
     .argument = "[scope or `id` number]"},
    {.name = "scopes-byid",
     .report = told_by_id<report_each_scope>,
     .about = "a scope",
     .argument = "number"},
    {.name = "scopes-details",
     .report = told_by<report_scope_details>,
     .about = "scopes in each vbucket, with the same limit",
     .argument = "[vbucket]"},
};

}  // namespace

std::span<const StatGroup> collection_groups() {
  return kGroups;
}

}  // namespace bobbin::serve
