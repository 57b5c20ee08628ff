#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/address.h"

namespace bobbin::wire {
struct BinaryHeader;
}  // namespace bobbin::wire

namespace bobbin::serve {

class Session;
class ServedBucket;

/// How clients of Couchbase's protocol find this server. Fixed before the first session.
struct Node {
  std::string cluster_uuid = {};  ///< 32 hexadecimal digits; empty: the data directory's, or of this start
  /// Where clients find it. No host: the one that each client dialled, which it fills in for "$HOST". Port 0:
  /// that of the client's connection.
  net::Address advertised = {};
  uint16_t management_port = 0;  ///< of the HTTP server; 0: there is none
  /// Where clients find it that ask for the network "external". No host: there is no such network. Port 0:
  /// the ports are those of above.
  net::Address external = {};
  // With a port of `external`: what else is reached there. 0: nothing.
  uint16_t external_management_port = 0;
  uint16_t external_tls_port = 0;
  uint16_t external_tls_management_port = 0;
  /// Of this server, for who asks by other means than its connection. 0: it listens on no TCP port.
  uint16_t data_port = 0;
  // The same two for TLS; 0: there is none.
  uint16_t tls_management_port = 0;
  uint16_t tls_data_port = 0;
};

/// The configuration of the bucket that the session has selected, as GET_CLUSTER_CONFIG and NOT_MY_VBUCKET
/// answer it: every key that known clients insist on, one node, no replicas (kv_engine
/// docs/BinaryProtocol.md, "0xb5 Get cluster config"; the shapes are those of Couchbase's terse bucket
/// information).
[[nodiscard]] std::string bucket_config(const Session& session);
/// A configuration as the client is sent it: to who has agreed on SnappyEverywhere, compressed (kv_engine,
/// get_cluster_config_executor), with the datatype that says so.
struct ConfigPayload {
  std::string bytes = {};
  uint8_t datatype = 0;
};
[[nodiscard]] ConfigPayload config_payload(const Session& session, std::string config);
/// NOT_MY_VBUCKET with that, of a client of Couchbase's protocol. One that has agreed on
/// DedupeNotMyVbucketClustermap is not sent again what GET_CLUSTER_CONFIG or this has sent it.
void reply_not_my_vbucket(Session& session, const wire::BinaryHeader& request);
/// What clients are told that have no bucket: the nodes alone.
[[nodiscard]] std::string global_config(const Session& session);

enum class NotificationForm : uint8_t { brief, full, compressed };
/// A request of the server's (CLUSTERMAP_CHANGE_NOTIFICATION): the numbers of the bucket's configuration, and
/// unless it is to be brief, that itself. Any thread; `place` is what place_of() said.
[[nodiscard]] std::string config_notification(const Node& node, const ServedBucket& bucket,
                                              const net::Address& place, NotificationForm form);
/// Where the session's client finds the data.
[[nodiscard]] net::Address place_of(const Session& session);

/// The same for who is no session; `place` is where the bucket's data is reached. No host stands for "$HOST".
[[nodiscard]] std::string bucket_config(const Node& node, const ServedBucket& bucket, net::Address place);
[[nodiscard]] std::string global_config(const Node& node, net::Address place);
/// Parts of it, each a value of JSON: where each vbucket lies, and what clients may dare to ask for.
[[nodiscard]] std::string vbucket_server_map(const ServedBucket& bucket, const net::Address& place);
[[nodiscard]] std::string_view bucket_capabilities(const ServedBucket& bucket);
/// {"external":{"hostname":…,"ports":{…}}}; empty where there is none.
[[nodiscard]] std::string alternate_addresses(const Node& node);
/// The numbers of the configuration. What it says of nodes does not change while the server runs.
inline constexpr int64_t kConfigEpoch = 1;
inline constexpr int64_t kConfigRevision = 1;
/// That of a bucket changes with its collections.
[[nodiscard]] constexpr int64_t bucket_config_revision(uint64_t manifest_uid) {
  // Far below what a signed number holds: a manifest may come from anybody.
  return kConfigRevision + static_cast<int64_t>(manifest_uid & (UINT64_MAX >> 2U));
}

}  // namespace bobbin::serve
