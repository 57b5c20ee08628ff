#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bobbin::serve {

class Session;
class ServedBucket;

/// How clients of Couchbase's protocol find this server. Fixed before the first session.
struct Node {
  std::string cluster_uuid = {};  ///< 32 hexadecimal digits, of this data directory or this start
  /// The host in configurations; empty: the one that each client dialled, which it fills in for "$HOST".
  std::string advertised_host = {};
  uint16_t advertised_port = 0;  ///< 0: the one that the client's connection came in on
  uint16_t management_port = 0;  ///< of the HTTP server; 0: there is none
};

/// The configuration of the bucket that the session has selected, as GET_CLUSTER_CONFIG and NOT_MY_VBUCKET
/// answer it: every key that known clients insist on, one node, no replicas (kv_engine
/// docs/BinaryProtocol.md, "0xb5 Get cluster config"; the shapes are those of Couchbase's terse bucket
/// information).
[[nodiscard]] std::string bucket_config(const Session& session);
/// What clients are told that have no bucket: the nodes alone.
[[nodiscard]] std::string global_config(const Session& session);
/// The number of the configuration. It changes when the configuration of a bucket does.
inline constexpr int64_t kConfigEpoch = 1;
[[nodiscard]] int64_t config_revision(const Session& session);

/// The port of "host:port" or "[v6]:port"; 0 when there is none.
[[nodiscard]] uint16_t port_of(std::string_view address);

}  // namespace bobbin::serve
