#include "serve/cluster_config.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "serve/binary_commands.h"
#include "serve/session.h"
#include "wire/binary_header.h"
#include "wire/compression.h"
#include "wire/datatype.h"

namespace bobbin::serve {
namespace {

// What clients may dare to ask for. rangeScan and dcp only where there is a disk: a scan that is refused
// looks to the SDK like an empty collection.
constexpr std::string_view kCacheCapabilities =
    R"(["collections","durableWrite","tombstonedUserXAttrs","cbhello","touch","cccp",)"
    R"("nodesExt","xattr","preserve_expiry","subdoc.AccessDeleted","subdoc.ReplaceBodyWithXattr",)"
    R"("subdoc.ReplicaRead","subdoc.BinaryXattr",)"
    R"("subdoc.DocumentMacroSupport","subdoc.ReviveDocument"])";
constexpr std::string_view kDiskCapabilities =
    R"(["collections","durableWrite","tombstonedUserXAttrs","cbhello","touch","cccp","dcp",)"
    R"("nodesExt","xattr","preserve_expiry","subdoc.AccessDeleted","subdoc.ReplaceBodyWithXattr",)"
    R"("subdoc.ReplicaRead","subdoc.BinaryXattr",)"
    R"("subdoc.DocumentMacroSupport","subdoc.ReviveDocument","rangeScan"])";

net::Address with_host(net::Address place) {
  if (place.host.empty()) place.host = "$HOST";
  return place;
}

void append_node_services(std::string& json, const Node& node, const net::Address& place) {
  fmt::format_to(std::back_inserter(json), R"("nodesExt":[{{"services":{{"kv":{})", place.port);
  if (node.management_port != 0)
    fmt::format_to(std::back_inserter(json), R"(,"mgmt":{})", node.management_port);
  if (node.tls_data_port != 0) fmt::format_to(std::back_inserter(json), R"(,"kvSSL":{})", node.tls_data_port);
  if (node.tls_management_port != 0)
    fmt::format_to(std::back_inserter(json), R"(,"mgmtSSL":{})", node.tls_management_port);
  fmt::format_to(std::back_inserter(json), R"(}},"thisNode":true,"hostname":"{}")", place.host);
  if (const std::string others = alternate_addresses(node); !others.empty())
    json += R"(,"alternateAddresses":)" + others;
  json += "}]";
}

ConfigPayload payload_of(std::string config, uint8_t datatype, bool compressed) {
  if (!compressed) return {std::move(config), datatype};
  ConfigPayload payload{{}, static_cast<uint8_t>(datatype | wire::kDatatypeSnappy)};
  wire::deflate(config, payload.bytes);
  return payload;
}

}  // namespace

net::Address place_of(const Session& session) {
  net::Address place = session.engine().node.advertised;
  if (place.port != 0) return place;
  // What stands there for every client is where nothing is encrypted.
  if (session.connection().tls() != nullptr) {
    place.port = session.engine().node.data_port;
    return place;
  }
  const auto local = net::Address::parse(session.connection().status().local, 0);
  if (local) place.port = local->port;
  return place;
}

std::string config_notification(const Node& node, const ServedBucket& bucket, const net::Address& place,
                                NotificationForm form) {
  constexpr uint8_t kClustermapChanged = 0x01;  // among the opcodes of servers
  constexpr uint8_t kNumbersBytes = 16;
  const int64_t revision = bucket_config_revision(bucket.collections().manifest()->uid());
  const ConfigPayload config = form == NotificationForm::brief
                                   ? ConfigPayload()
                                   : payload_of(bucket_config(node, bucket, place), wire::kDatatypeJson,
                                                form == NotificationForm::compressed);
  wire::BinaryHeader header;
  header.magic = wire::kServerRequestMagic;
  header.opcode = kClustermapChanged;
  header.extras_bytes = kNumbersBytes;
  header.key_bytes = static_cast<uint16_t>(bucket.name().size());
  header.datatype = config.datatype;
  header.body_bytes = static_cast<uint32_t>(kNumbersBytes + bucket.name().size() + config.bytes.size());
  std::string frame(wire::kBinaryHeaderBytes + kNumbersBytes, '\0');
  char* out = wire::encode_header(frame.data(), header);
  out = wire::store_big_endian(out, static_cast<uint64_t>(kConfigEpoch));
  wire::store_big_endian(out, static_cast<uint64_t>(revision));
  return frame.append(bucket.name()).append(config.bytes);
}

std::string vbucket_server_map(const ServedBucket& bucket, const net::Address& place) {
  std::string json = fmt::format(
      R"({{"hashAlgorithm":"CRC","numReplicas":0,"serverList":["{}"],"vBucketMap":[)", place.text());
  // Every vbucket lies on the one server there is.
  const uint32_t vbuckets = bucket.bucket().vbucket_count();
  json.reserve(json.size() + 4 * size_t{vbuckets} + 2);
  for (uint32_t i = 0; i < vbuckets; ++i)
    json += i == 0 ? "[0]" : ",[0]";
  return json += "]}";
}

// Without ports a client takes those of the node itself (docs.couchbase.com, "Alternate addresses").
std::string alternate_addresses(const Node& node) {
  if (node.external.host.empty()) return {};
  std::string json = fmt::format(R"({{"external":{{"hostname":"{}")", node.external.host);
  if (node.external.port != 0) {
    fmt::format_to(std::back_inserter(json), R"(,"ports":{{"kv":{})", node.external.port);
    const auto add = [&json](std::string_view service, uint16_t port) {
      if (port != 0) fmt::format_to(std::back_inserter(json), R"(,"{}":{})", service, port);
    };
    add("mgmt", node.external_management_port);
    add("kvSSL", node.external_tls_port);
    add("mgmtSSL", node.external_tls_management_port);
    json += "}";
  }
  return json += "}}";
}

std::string_view bucket_capabilities(const ServedBucket& bucket) {
  return bucket.disk() == nullptr ? kCacheCapabilities : kDiskCapabilities;
}

std::string bucket_config(const Node& node, const ServedBucket& bucket, net::Address place) {
  place = with_host(std::move(place));
  const uint64_t manifest_uid = bucket.collections().manifest()->uid();
  std::string json;
  json.reserve(1024 + 4 * size_t{bucket.bucket().vbucket_count()});
  fmt::format_to(std::back_inserter(json),
                 R"({{"rev":{},"revEpoch":{},"name":"{}","uuid":"{}","nodeLocator":"vbucket",)"
                 R"("uri":"/pools/default/buckets/{}?bucket_uuid={}",)"
                 R"("streamingUri":"/pools/default/bucketsStreaming/{}?bucket_uuid={}",)"
                 R"("bucketCapabilitiesVer":"","bucketCapabilities":{},"collectionsManifestUid":"{}",)",
                 bucket_config_revision(manifest_uid), kConfigEpoch, bucket.name(), bucket.uuid(),
                 bucket.name(), bucket.uuid(), bucket.name(), bucket.uuid(), bucket_capabilities(bucket),
                 store::manifest_number(manifest_uid));
  append_node_services(json, node, place);
  const net::Address managed{place.host, node.management_port != 0 ? node.management_port : place.port, {}};
  fmt::format_to(std::back_inserter(json), R"(,"nodes":[{{"hostname":"{}","ports":{{"direct":{}}}}}],)",
                 managed.text(), place.port);
  json += R"("vBucketServerMap":)" + vbucket_server_map(bucket, place);
  json += R"(,"clusterCapabilitiesVer":[1,0],"clusterCapabilities":{},"clusterName":"","clusterUUID":")";
  json += node.cluster_uuid;
  json += "\"}";
  return json;
}

std::string global_config(const Node& node, net::Address place) {
  std::string json = fmt::format(R"({{"rev":{},"revEpoch":{},)", kConfigRevision, kConfigEpoch);
  append_node_services(json, node, with_host(std::move(place)));
  fmt::format_to(std::back_inserter(json),
                 R"(,"clusterCapabilitiesVer":[1,0],"clusterCapabilities":{{}},"clusterName":"",)"
                 R"("clusterUUID":"{}"}})",
                 node.cluster_uuid);
  return json;
}

std::string bucket_config(const Session& session) {
  return bucket_config(session.engine().node, session.served(), place_of(session));
}

ConfigPayload config_payload(const Session& session, std::string config) {
  const uint8_t datatype = session.has(wire::Feature::json) ? wire::kDatatypeJson : 0;
  return payload_of(std::move(config), datatype, session.has(wire::Feature::snappy_everywhere));
}

void reply_not_my_vbucket(Session& session, const wire::BinaryHeader& request) {
  Client& client = *session.client();
  const int64_t revision = bucket_config_revision(session.manifest().uid());
  const bool is_known =
      client.features.has(wire::Feature::dedupe_not_my_vbucket_clustermap) && client.known_config == revision;
  client.known_config = revision;
  const ConfigPayload config = is_known ? ConfigPayload() : config_payload(session, bucket_config(session));
  answer_value(session, request, config.bytes,
               {.status = wire::BinaryStatus::not_my_vbucket, .datatype = config.datatype});
}

std::string global_config(const Session& session) {
  return global_config(session.engine().node, place_of(session));
}

}  // namespace bobbin::serve
