#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "wire/binary_header.h"

/// HELLO: what a client asks for, and what it is granted (kv_engine docs/BinaryProtocol.md, "0x1f Helo";
/// include/mcbp/protocol/feature.h).

namespace bobbin::wire {

enum class Feature : uint16_t {
  tls = 0x02,
  tcp_nodelay = 0x03,
  mutation_seqno = 0x04,
  tcp_delay = 0x05,
  xattr = 0x06,
  xerror = 0x07,
  select_bucket = 0x08,
  snappy = 0x0a,
  json = 0x0b,
  duplex = 0x0c,
  clustermap_change_notification = 0x0d,
  unordered_execution = 0x0e,
  tracing = 0x0f,
  alt_request = 0x10,
  sync_replication = 0x11,
  collections = 0x12,
  snappy_everywhere = 0x13,
  preserve_ttl = 0x14,
  vattr = 0x15,
  pitr = 0x16,
  subdoc_create_as_deleted = 0x17,
  subdoc_document_macro = 0x18,
  subdoc_replace_body_with_xattr = 0x19,
  report_unit_usage = 0x1a,
  non_blocking_throttling = 0x1b,
  subdoc_replica_read = 0x1c,
  get_cluster_config_with_known_version = 0x1d,
  dedupe_not_my_vbucket_clustermap = 0x1e,
  clustermap_change_notification_brief = 0x1f,
  subdoc_multiple_xattr_keys = 0x20,
  subdoc_binary_xattr = 0x21,
  range_scan_include_xattr = 0x22,
  subdoc_replica_read_of_deleted = 0x23,
  get_random_key_include_xattr = 0x24,
};

/// Features by their numbers below 64.
class FeatureSet {
 public:
  constexpr FeatureSet() = default;
  template <typename... Features>
  explicit constexpr FeatureSet(Features... features) : bits_((bit(features) | ...)) {}

  constexpr void add(Feature feature) { bits_ |= bit(feature); }
  [[nodiscard]] constexpr bool has(Feature feature) const { return (bits_ & bit(feature)) != 0; }
  [[nodiscard]] constexpr bool has_number(uint16_t number) const {
    return number < 64 && ((bits_ >> number) & 1) != 0;
  }
  bool operator==(const FeatureSet&) const = default;

 private:
  static constexpr uint64_t bit(Feature feature) { return uint64_t{1} << static_cast<uint16_t>(feature); }
  uint64_t bits_ = 0;
};

/// What `asked` (two bytes for each feature, HELLO's value) has of `offered`: each once, in the order in
/// which it was asked for, as the reply lists them. False: an odd number of bytes. tcp_delay after
/// tcp_nodelay, or the other way round, is left out; a feature that builds on another (SnappyEverywhere,
/// the notifications, attributes in scans and random documents) is granted with that only.
[[nodiscard]] bool grant_features(std::string_view asked, FeatureSet offered, std::vector<Feature>& granted);

}  // namespace bobbin::wire
