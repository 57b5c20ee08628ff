#include "cluster/source_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <initializer_list>

namespace bobbin::cluster {
namespace {

// More than there is anywhere, and sums of what buckets have fit.
constexpr uint64_t kMostQuotaBytes = uint64_t{1} << 50;
constexpr uint32_t kMostReplicas = 3;
constexpr uint32_t kMostVBuckets = 1024;

template <typename Number>
void read_number(std::string_view text, uint64_t most, std::optional<Number>& number) {
  uint64_t found = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), found);
  if (error == std::errc() && end == text.data() + text.size() && found <= most)
    number = static_cast<Number>(found);
}

void read_word(std::string_view text, std::initializer_list<std::string_view> known,
               std::optional<std::string>& word) {
  if (std::find(known.begin(), known.end(), text) != known.end()) word = text;
}

void add(std::string& list, const std::string& item) {
  list += (list.empty() ? "" : "; ") + item;
}

template <typename Value>
void take_over(std::string_view name, const std::optional<Value>& there, Value& here, std::string& changed) {
  if (!there || *there == here) return;
  add(changed, fmt::format("{} {} to {}", name, here, *there));
  here = *there;
}

void keep(std::string_view name, const std::optional<std::string>& there, const std::string& here,
          std::string_view why, std::string& kept) {
  if (there && *there != here)
    add(kept, fmt::format("{} is {} there and {} here, {}", name, *there, here, why));
}

constexpr std::string_view kCannotChange = "and cannot change";

}  // namespace

void SourceSettings::take(std::string_view name, std::string_view value) {
  if (name == "ep_item_eviction_policy") {
    if (value == "full_eviction") eviction = "fullEviction";
    if (value == "value_only") eviction = "valueOnly";
  } else if (name == "ep_conflict_resolution_type") {
    read_word(value, {"seqno", "lww"}, conflicts);
  } else if (name == "ep_compression_mode") {
    read_word(value, {"off", "passive", "active"}, compression);
  } else if (name == "ep_durability_min_level") {
    // In the words of Couchbase's engine.
    if (value == "none" || value == "majority") durability_min = value;
    if (value == "majority_and_persist_on_master") durability_min = "majorityAndPersistActive";
    if (value == "persist_to_majority") durability_min = "persistToMajority";
  } else if (name == "ep_max_ttl") {
    read_number(value, INT32_MAX, max_ttl_s);
  } else if (name == "ep_max_size") {
    read_number(value, kMostQuotaBytes, quota_bytes);
    if (quota_bytes == 0U) quota_bytes.reset();
  } else if (name == "ep_max_vbuckets") {
    read_number(value, kMostVBuckets, vbuckets);
    if (vbuckets && !std::has_single_bit(*vbuckets)) vbuckets.reset();
  } else if (name == "bobbin_replicas") {
    read_number(value, kMostReplicas, replicas);
  } else if (name == "bobbin_flush_enabled") {
    if (value == "true" || value == "false") flush_enabled = value == "true";
  }
}

void SourceSettings::put_into(serve::BucketSettings& settings) const {
  settings.eviction = eviction.value_or(settings.eviction);
  settings.conflicts = conflicts.value_or(settings.conflicts);
  settings.compression = compression.value_or(settings.compression);
  settings.durability_min = durability_min.value_or(settings.durability_min);
  settings.quota_bytes = quota_bytes.value_or(settings.quota_bytes);
  settings.max_ttl_s = max_ttl_s.value_or(settings.max_ttl_s);
  settings.replicas = replicas.value_or(settings.replicas);
  settings.flush_enabled = flush_enabled.value_or(settings.flush_enabled);
  settings.vbuckets = vbuckets.value_or(settings.vbuckets);
}

SettingsTaken take_settings(const SourceSettings& source, const serve::BucketSettings& here, bool is_default,
                            uint64_t quota_before) {
  SettingsTaken taken{.settings = here};
  serve::BucketSettings& settings = taken.settings;
  take_over("compressionMode", source.compression, settings.compression, taken.changed);
  take_over("maxTTL", source.max_ttl_s, settings.max_ttl_s, taken.changed);
  take_over("replicaNumber", source.replicas, settings.replicas, taken.changed);
  take_over("flushEnabled", source.flush_enabled, settings.flush_enabled, taken.changed);
  keep("evictionPolicy", source.eviction, here.eviction, kCannotChange, taken.kept);
  keep("conflictResolutionType", source.conflicts, here.conflicts, kCannotChange, taken.kept);
  if (is_default) {
    // Of who persists replies and who does not, `--durability` says it.
    serve::BucketSettings there = here;
    there.durability_min = source.durability_min.value_or(here.durability_min);
    if (there.persists_replies() == here.persists_replies())
      take_over("durabilityMinLevel", source.durability_min, settings.durability_min, taken.changed);
    else
      keep("durabilityMinLevel", source.durability_min, here.durability_min, "where it is --durability",
           taken.kept);
    return taken;
  }
  take_over("durabilityMinLevel", source.durability_min, settings.durability_min, taken.changed);
  if (!source.quota_bytes || *source.quota_bytes == here.quota_bytes) return taken;
  if (quota_before == here.quota_bytes) {
    add(taken.changed,
        fmt::format("ramQuota {} to {} MiB", here.quota_bytes >> 20, *source.quota_bytes >> 20));
    settings.quota_bytes = *source.quota_bytes;
  } else {
    add(taken.kept, fmt::format("ramQuota is {} MiB there and {} MiB here, which is this server's own",
                                *source.quota_bytes >> 20, here.quota_bytes >> 20));
  }
  return taken;
}

}  // namespace bobbin::cluster
