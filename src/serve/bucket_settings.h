#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "disk/error.h"
#include "store/bucket_types.h"

namespace bobbin::serve {

/// What a bucket is, in the words of Couchbase's REST interface. A value.
struct BucketSettings {
  std::string name = "default";
  std::string uuid = {};                ///< 32 hexadecimal digits; see ServedBucketOptions
  std::string type = "membase";         ///< kept on disk; "ephemeral", "memcached": in memory only
  std::string eviction = "valueOnly";   ///< "fullEviction"; in memory: "noEviction", "nruEviction"
  std::string durability_min = "none";  ///< "majority", "majorityAndPersistActive", "persistToMajority"
  std::string compression = "passive";  ///< values stay as they come; "active": or get compressed; "off"
  uint64_t quota_bytes = 0;
  uint32_t replicas = 0;  ///< told; there is one node
  /// Seconds that a document lives at most, where its collection does not say otherwise; 0: no limit.
  uint32_t max_ttl_s = 0;
  std::string conflicts =
      "seqno";  ///< "lww": of two changes the later one wins, not that of the higher revision
  bool flush_enabled = false;
  /// A power of two up to 1024, which does not change any more; 0: as many as the default bucket has.
  uint32_t vbuckets = 0;

  [[nodiscard]] bool on_disk() const noexcept { return type == "membase"; }
  [[nodiscard]] bool evicts() const noexcept { return eviction != "noEviction"; }
  /// Every write has to be on disk before it is answered.
  [[nodiscard]] bool persists_replies() const noexcept {
    return durability_min == "majorityAndPersistActive" || durability_min == "persistToMajority";
  }

  friend bool operator==(const BucketSettings&, const BucketSettings&) = default;
};

/// As the store has it.
[[nodiscard]] store::ConflictResolution conflicts_of(const BucketSettings& settings) noexcept;

/// 1 to 100 of A-Z a-z 0-9 _ - % ., and no "." in front: it is part of paths.
[[nodiscard]] bool is_bucket_name(std::string_view name);
/// The settings fit together; otherwise the field of Couchbase's forms that does not, and why.
struct BucketTrouble {
  std::string field = {};  ///< empty: there is none
  std::string why = {};
};
[[nodiscard]] BucketTrouble check_bucket(const BucketSettings& settings);

/// The file of buckets: a JSON object with a checksum over everything before it as its last member.
///
///   {"format":3,
///    "buckets":[
///     {"name":"b","uuid":"…","type":"membase","eviction":"valueOnly","durability_min":"none",
///      "compression":"off","quota_bytes":104857600,"replicas":0,"flush_enabled":false,
///      "max_ttl_s":0,"conflicts":"seqno","vbuckets":0}
///    ],
///    "checksum":123}
///
/// Format 1 has not the last three, format 2 not the last.
[[nodiscard]] std::string encode_buckets(const std::vector<BucketSettings>& buckets);
/// What is not what encode_buckets writes is an error that names the file.
[[nodiscard]] disk::Result<std::vector<BucketSettings>> decode_buckets(std::string_view text,
                                                                       const std::string& path);

}  // namespace bobbin::serve
