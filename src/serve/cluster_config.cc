#include "serve/cluster_config.h"

#include <fmt/format.h>

#include <iterator>

#include "serve/session.h"

namespace bobbin::serve {
namespace {

// What clients may dare to ask for. rangeScan and dcp are not among them while there are none: a scan that is
// refused looks to the SDK like an empty collection.
constexpr std::string_view kBucketCapabilities =
    R"(["collections","durableWrite","tombstonedUserXAttrs","cbhello","touch","cccp",)"
    R"("nodesExt","xattr","preserve_expiry"])";

net::Address place_of(const Session& session) {
  net::Address place = session.engine().node.advertised;
  if (place.host.empty()) place.host = "$HOST";
  if (place.port != 0) return place;
  const auto local = net::Address::parse(session.connection().status().local, 0);
  if (local) place.port = local->port;
  return place;
}

void append_node_services(std::string& json, const Session& session, const net::Address& place) {
  fmt::format_to(std::back_inserter(json), R"("nodesExt":[{{"services":{{"kv":{})", place.port);
  const uint16_t management = session.engine().node.management_port;
  if (management != 0) fmt::format_to(std::back_inserter(json), R"(,"mgmt":{})", management);
  fmt::format_to(std::back_inserter(json), R"(}},"thisNode":true,"hostname":"{}"}}])", place.host);
}

// Every vbucket lies on the one server there is.
void append_vbucket_map(std::string& json, uint32_t vbuckets) {
  json += R"("vBucketMap":[)";
  for (uint32_t i = 0; i < vbuckets; ++i)
    json += i == 0 ? "[0]" : ",[0]";
  json += ']';
}

}  // namespace

std::string bucket_config(const Session& session) {
  const net::Address place = place_of(session);
  const ServedBucket& bucket = session.served();
  const uint64_t manifest_uid = bucket.collections().manifest()->uid();
  std::string json;
  json.reserve(1024 + 4 * size_t{bucket.bucket().vbucket_count()});
  fmt::format_to(std::back_inserter(json),
                 R"({{"rev":{},"revEpoch":{},"name":"{}","uuid":"{}","nodeLocator":"vbucket",)"
                 R"("uri":"/pools/default/buckets/{}?bucket_uuid={}",)"
                 R"("streamingUri":"/pools/default/bucketsStreaming/{}?bucket_uuid={}",)"
                 R"("bucketCapabilitiesVer":"","bucketCapabilities":{},"collectionsManifestUid":"{}",)",
                 bucket_config_revision(manifest_uid), kConfigEpoch, bucket.name(), bucket.uuid(),
                 bucket.name(), bucket.uuid(), bucket.name(), bucket.uuid(), kBucketCapabilities,
                 store::manifest_number(manifest_uid));
  append_node_services(json, session, place);
  const uint16_t management = session.engine().node.management_port;
  const net::Address managed{place.host, management != 0 ? management : place.port, {}};
  fmt::format_to(std::back_inserter(json), R"(,"nodes":[{{"hostname":"{}","ports":{{"direct":{}}}}}],)",
                 managed.text(), place.port);
  fmt::format_to(std::back_inserter(json),
                 R"("vBucketServerMap":{{"hashAlgorithm":"CRC","numReplicas":0,"serverList":["{}"],)",
                 place.text());
  append_vbucket_map(json, bucket.bucket().vbucket_count());
  json += R"(},"clusterCapabilitiesVer":[1,0],"clusterCapabilities":{},"clusterName":"","clusterUUID":")";
  json += session.engine().node.cluster_uuid;
  json += "\"}";
  return json;
}

std::string global_config(const Session& session) {
  std::string json = fmt::format(R"({{"rev":{},"revEpoch":{},)", kConfigRevision, kConfigEpoch);
  append_node_services(json, session, place_of(session));
  fmt::format_to(std::back_inserter(json),
                 R"(,"clusterCapabilitiesVer":[1,0],"clusterCapabilities":{{}},"clusterName":"",)"
                 R"("clusterUUID":"{}"}})",
                 session.engine().node.cluster_uuid);
  return json;
}

}  // namespace bobbin::serve
