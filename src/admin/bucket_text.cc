#include "admin/bucket_text.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <thread>
#include <utility>

#include "serve/cluster_config.h"

namespace bobbin::admin {
namespace {

/// The host that a request names, if it is one that can stand in an answer.
std::string host_of(const Call& call) {
  std::string_view text = call.request.host;
  if (text.starts_with('['))
    text = text.substr(1, text.find(']') - 1);
  else
    text = text.substr(0, text.find(':'));
  const bool fits = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || c == ':' || c == '%';
  });
  if (fits) return std::string(text);
  const auto local = net::Address::parse(call.local, 0);
  return local && !local->host.empty() ? local->host : "127.0.0.1";
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

void write_controllers(JsonWriter& json, const std::string& base, bool can_flush) {
  json.key("controllers").begin_object();
  if (can_flush) json.member("flush", base + "/controller/doFlush");
  json.end();
}

void write_basic_stats(JsonWriter& json, const serve::ServedBucket& bucket) {
  const store::Statistics stats = bucket.bucket().statistics();
  const uint64_t disk_bytes = bucket.disk() == nullptr ? 0 : bucket.disk()->statistics().shards.file_bytes;
  json.key("basicStats").begin_object();
  const auto used = stats.quota_bytes == 0 ? 0.0
                                           : 100.0 * static_cast<double>(stats.used_bytes) /
                                                 static_cast<double>(stats.quota_bytes);
  json.key("quotaPercentUsed").raw(fmt::format("{:.2f}", used));
  json.member("opsPerSec", 0).member("diskFetches", 0).member("itemCount", stats.items);
  json.member("diskUsed", disk_bytes)
      .member("dataUsed", stats.item_bytes)
      .member("memUsed", stats.used_bytes);
  json.member("vbActiveNumNonResident", stats.non_resident_items + stats.items_on_disk_only).end();
}

}  // namespace

net::Address place_of(const Call& call) {
  net::Address place = call.engine().node.advertised;
  if (place.port == 0) place.port = call.engine().node.data_port;
  return place;
}

net::Address managed_at(const Call& call) {
  const serve::Node& node = call.engine().node;
  net::Address place{node.advertised.host, node.management_port, {}};
  if (place.host.empty()) place.host = host_of(call);
  return place;
}

std::shared_ptr<serve::ServedBucket> find_bucket(const serve::Engine& engine, std::string_view name) {
  return engine.buckets.find(name);
}

std::string terse_text(const serve::Engine& engine, std::string_view name, net::Address place) {
  const auto bucket = find_bucket(engine, name);
  return bucket == nullptr ? std::string() : serve::bucket_config(engine.node, *bucket, std::move(place));
}

ProcessUse process_use() {
  ProcessUse use;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  use.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  uint64_t pages = 0;
  uint64_t resident_pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident_pages;
  use.resident_bytes = resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return use;
}

void write_node(JsonWriter& json, const Call& call) {
  const std::string host = managed_at(call).text();
  const store::Statistics stats = call.engine().bucket->bucket().statistics();
  const auto page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  json.begin_object();
  json.member("clusterMembership", "active").member("recoveryType", "none").member("status", "healthy");
  json.member("otpNode", "ns_1@" + managed_at(call).host).member("thisNode", true);
  json.member("hostname", host).member("configuredHostname", host);
  json.member("nodeUUID", call.engine().node.cluster_uuid);
  json.member("clusterCompatibility", 7 * 65536 + 6).member("version", kRestVersion);
  json.member("os", "linux").member("cpuCount", std::thread::hardware_concurrency());
  json.member("addressFamily", "inet").member("nodeEncryption", false);
  json.key("ports").begin_object().member("direct", place_of(call).port);
  if (const uint16_t port = call.engine().node.tls_management_port; port != 0) json.member("httpsMgmt", port);
  json.end();
  if (const std::string others = serve::alternate_addresses(call.engine().node); !others.empty())
    json.key("alternateAddresses").raw(others);
  json.key("services").begin_array().value("kv").end();
  json.member("uptime",
              fmt::format("{}", call.engine().clock.now().unix_s() - call.engine().started.unix_s()));
  json.member("memoryTotal", static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * page_bytes);
  json.member("memoryFree", static_cast<uint64_t>(sysconf(_SC_AVPHYS_PAGES)) * page_bytes);
  json.key("interestingStats").begin_object();
  json.member("curr_items", stats.items)
      .member("curr_items_tot", stats.items)
      .member("mem_used", stats.used_bytes);
  json.member("vb_replica_curr_items", 0).end();
  json.end();
}

void write_bucket(JsonWriter& json, const Call& call, const serve::ServedBucket& bucket) {
  const std::string base = "/pools/default/buckets/" + bucket.name();
  net::Address place = place_of(call);
  if (place.host.empty()) place.host = managed_at(call).host;
  const uint64_t quota = bucket.bucket().quota_bytes();
  const serve::BucketSettings settings = bucket.settings();
  json.begin_object();
  json.member("name", bucket.name()).member("uuid", bucket.uuid());
  json.member("bucketType", settings.type);
  json.member("storageBackend", bucket.disk() == nullptr ? "undefined" : "couchstore");
  json.member("authType", "sasl").member("nodeLocator", "vbucket");
  json.member("uri", base + "?bucket_uuid=" + bucket.uuid());
  json.member("streamingUri", "/pools/default/bs/" + bucket.name() + "?bucket_uuid=" + bucket.uuid());
  json.member("numVBuckets", bucket.bucket().vbucket_count());
  json.member("bucketCapabilitiesVer", "").key("bucketCapabilities").raw(serve::bucket_capabilities(bucket));
  json.member("collectionsManifestUid", store::manifest_number(bucket.collections().manifest()->uid()));
  json.key("vBucketServerMap").raw(serve::vbucket_server_map(bucket, place));
  write_controllers(json, base, settings.flush_enabled);
  json.key("nodes").begin_array();
  write_node(json, call);
  json.end();
  json.key("quota").begin_object().member("ram", quota).member("rawRAM", quota).end();
  write_basic_stats(json, bucket);
  json.member("replicaNumber", settings.replicas).member("replicaIndex", false).member("threadsNumber", 3);
  json.member("evictionPolicy", settings.eviction).member("durabilityMinLevel", settings.durability_min);
  json.member("conflictResolutionType", settings.conflicts).member("maxTTL", settings.max_ttl_s);
  json.member("compressionMode", settings.compression);
  json.member("autoCompactionSettings", false);
  json.end();
}

}  // namespace bobbin::admin
