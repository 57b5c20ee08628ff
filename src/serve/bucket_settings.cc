#include "serve/bucket_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <set>
#include <utility>

#include "store/key_hash.h"
#include "wire/json_text.h"
#include "wire/json_value.h"

namespace bobbin::serve {
namespace {

using wire::JsonValue;

constexpr uint64_t kFormat = 3;
constexpr uint64_t kOldestFormat = 1;
constexpr std::string_view kChecksumAt = ",\n\"checksum\":";
constexpr std::array<size_t, kFormat + 1> kMembersOfFormat{0, 9, 11, 12};
constexpr uint32_t kMostVBuckets = 1024;
constexpr uint64_t kLeastQuotaBytes = 100 << 20;
constexpr uint32_t kMaxReplicas = 3;
constexpr uint32_t kMaxTtlS = INT32_MAX;  // as in Couchbase

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_uuid(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string encode_bucket(const BucketSettings& bucket) {
  return fmt::format(R"({{"name":{},"uuid":{},"type":{},"eviction":{},"durability_min":{},"compression":{},)"
                     R"("quota_bytes":{},"replicas":{},"flush_enabled":{},"max_ttl_s":{},"conflicts":{},)"
                     R"("vbuckets":{}}})",
                     wire::json_string(bucket.name), wire::json_string(bucket.uuid),
                     wire::json_string(bucket.type), wire::json_string(bucket.eviction),
                     wire::json_string(bucket.durability_min), wire::json_string(bucket.compression),
                     bucket.quota_bytes, bucket.replicas, bucket.flush_enabled, bucket.max_ttl_s,
                     wire::json_string(bucket.conflicts), bucket.vbuckets);
}

bool read_text(const JsonValue& value, std::string_view name, std::string& text) {
  const JsonValue* const member = value.member(name);
  if (member == nullptr || member->string() == nullptr) return false;
  text = *member->string();
  return true;
}

/// What later formats have more.
bool read_rules(const JsonValue& value, uint64_t format, BucketSettings& bucket) {
  if (format == kOldestFormat) return true;
  const JsonValue* const ttl = value.member("max_ttl_s");
  if (ttl == nullptr || ttl->number().value_or(UINT64_MAX) > kMaxTtlS) return false;
  bucket.max_ttl_s = static_cast<uint32_t>(*ttl->number());
  if (!read_text(value, "conflicts", bucket.conflicts)) return false;
  if (format == 2) return true;
  const JsonValue* const vbuckets = value.member("vbuckets");
  if (vbuckets == nullptr || vbuckets->number().value_or(UINT64_MAX) > kMostVBuckets) return false;
  bucket.vbuckets = static_cast<uint32_t>(*vbuckets->number());
  return true;
}

/// False: that is none.
bool read_bucket(const JsonValue& value, uint64_t format, BucketSettings& bucket) {
  if (value.object() == nullptr || value.object()->size() != kMembersOfFormat[format]) return false;
  if (!read_rules(value, format, bucket)) return false;
  const JsonValue* const quota = value.member("quota_bytes");
  const JsonValue* const replicas = value.member("replicas");
  const JsonValue* const flush = value.member("flush_enabled");
  if (quota == nullptr || replicas == nullptr || flush == nullptr) return false;
  if (!quota->number() || replicas->number().value_or(UINT64_MAX) > kMaxReplicas || !flush->boolean())
    return false;
  bucket.quota_bytes = *quota->number();
  bucket.replicas = static_cast<uint32_t>(*replicas->number());
  bucket.flush_enabled = *flush->boolean();
  return read_text(value, "name", bucket.name) && read_text(value, "uuid", bucket.uuid) &&
         read_text(value, "type", bucket.type) && read_text(value, "eviction", bucket.eviction) &&
         read_text(value, "durability_min", bucket.durability_min) &&
         read_text(value, "compression", bucket.compression) && is_uuid(bucket.uuid) &&
         is_bucket_name(bucket.name);
}

}  // namespace

store::ConflictResolution conflicts_of(const BucketSettings& settings) noexcept {
  return settings.conflicts == "lww" ? store::ConflictResolution::time : store::ConflictResolution::revision;
}

bool is_bucket_name(std::string_view name) {
  return !name.empty() && name.size() <= 100 && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                  c == '-' || c == '%' || c == '.';
         });
}

BucketTrouble check_bucket(const BucketSettings& settings) {
  if (!is_bucket_name(settings.name))
    return {"name",
            "Bucket name can only contain characters in range A-Z, a-z, 0-9 as well as underscore, period, "
            "dash & "
            "percent, at most 100 of them, and does not begin with a period"};
  if (!is_one_of(settings.type, {"membase", "ephemeral", "memcached"}))
    return {"bucketType", "invalid bucket type"};
  if (settings.quota_bytes < kLeastQuotaBytes) return {"ramQuota", "RAM quota cannot be less than 100 MiB"};
  const bool fits = settings.on_disk() ? is_one_of(settings.eviction, {"valueOnly", "fullEviction"})
                                       : is_one_of(settings.eviction, {"noEviction", "nruEviction"});
  if (!fits) return {"evictionPolicy", "Eviction policy does not fit the type of the bucket"};
  if (!is_one_of(settings.compression, {"off", "passive", "active"}))
    return {"compressionMode", "compressionMode can be set to 'off', 'passive' or 'active'"};
  if (!is_one_of(settings.durability_min,
                 {"none", "majority", "majorityAndPersistActive", "persistToMajority"}))
    return {"durability_min_level", "Durability minimum level is not known"};
  if (settings.persists_replies() && !settings.on_disk())
    return {"durability_min_level", "A bucket in memory cannot have a durability level that persists"};
  if (settings.replicas > kMaxReplicas) return {"replicaNumber", "Replica number must be 0 to 3"};
  if (settings.max_ttl_s > kMaxTtlS) return {"maxTTL", "Max TTL must be an integer between 0 and 2147483647"};
  if (!is_one_of(settings.conflicts, {"seqno", "lww"}))
    return {"conflictResolutionType", "Conflict resolution type must be 'seqno' or 'lww'"};
  if (settings.vbuckets > kMostVBuckets || (settings.vbuckets & (settings.vbuckets - 1)) != 0)
    return {"numVBuckets", "The number of vbuckets must be a power of two, from 1 to 1024"};
  return {};
}

std::string encode_buckets(const std::vector<BucketSettings>& buckets) {
  std::string text = fmt::format("{{\"format\":{},\n\"buckets\":[", kFormat);
  for (size_t i = 0; i < buckets.size(); ++i)
    text += (i == 0 ? "\n " : ",\n ") + encode_bucket(buckets[i]);
  text += "\n]";
  const uint32_t checksum = store::crc32(text);
  return text.append(kChecksumAt) + std::to_string(checksum) + "}\n";
}

disk::Result<std::vector<BucketSettings>> decode_buckets(std::string_view text, const std::string& path) {
  const auto damaged =
      base::fail(disk::Error{disk::ErrorKind::corrupt, path,
                             path + ": damaged: this is not what was written; restore it from a copy"});
  const auto root = JsonValue::parse(text);
  if (!root) return damaged;
  const JsonValue* const format = root->member("format");
  if (format != nullptr && format->number().value_or(0) > kFormat) {
    return base::fail(disk::Error{disk::ErrorKind::other_version, path,
                                  path + ": written by a newer Bobbin: start that one"});
  }
  const size_t at = text.rfind(kChecksumAt);
  const JsonValue* const checksum = root->member("checksum");
  const JsonValue* const list = root->member("buckets");
  if (at == std::string_view::npos || checksum == nullptr || format == nullptr ||
      format->number().value_or(0) < kOldestFormat ||
      checksum->number() != store::crc32(text.substr(0, at)) || list == nullptr || list->array() == nullptr)
    return damaged;
  std::vector<BucketSettings> buckets;
  std::set<std::string> names;
  for (const JsonValue& value : *list->array()) {
    BucketSettings bucket;
    if (!read_bucket(value, *format->number(), bucket) || !names.insert(bucket.name).second) return damaged;
    buckets.push_back(std::move(bucket));
  }
  return buckets;
}

}  // namespace bobbin::serve
