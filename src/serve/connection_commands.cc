// Commands about the connection itself: who is speaking, what both sides know, which bucket is meant.

#include <array>
#include <string>
#include <vector>

#include "serve/binary_commands.h"
#include "serve/cluster_config.h"
#include "serve/error_map.h"
#include "serve/session.h"
#include "wire/datatype.h"
#include "wire/feature.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryRequest;
using wire::BinaryStatus;
using wire::ExtrasLengths;
using wire::Feature;
using wire::Presence;

constexpr wire::FeatureSet kOffered(
    Feature::tcp_nodelay, Feature::tcp_delay, Feature::mutation_seqno, Feature::xattr, Feature::xerror,
    Feature::select_bucket, Feature::json, Feature::duplex, Feature::unordered_execution, Feature::tracing,
    Feature::alt_request, Feature::sync_replication, Feature::collections, Feature::preserve_ttl,
    Feature::snappy, Feature::snappy_everywhere, Feature::vattr, Feature::subdoc_create_as_deleted,
    Feature::subdoc_document_macro, Feature::subdoc_replace_body_with_xattr, Feature::subdoc_replica_read,
    Feature::subdoc_multiple_xattr_keys, Feature::subdoc_binary_xattr,
    Feature::get_cluster_config_with_known_version, Feature::clustermap_change_notification,
    Feature::clustermap_change_notification_brief, Feature::dedupe_not_my_vbucket_clustermap,
    Feature::report_unit_usage, Feature::range_scan_include_xattr, Feature::subdoc_replica_read_of_deleted,
    Feature::get_random_key_include_xattr);

void answer_json(Session& session, const BinaryRequest& request, std::string_view json) {
  const uint8_t datatype = session.has(Feature::json) ? wire::kDatatypeJson : 0;
  answer_value(session, request.header, json, {.datatype = datatype});
}

// The agreement holds from the next request on: its answer is still written as those before.
void handle_hello(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  std::vector<Feature> granted;
  if (!wire::grant_features(request.value, kOffered, granted))
    return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  wire::FeatureSet features;
  std::string answer;
  for (const Feature feature : granted) {
    features.add(feature);
    const auto number = static_cast<uint16_t>(feature);
    answer += {static_cast<char>(number >> 8), static_cast<char>(number)};
  }
  session.greet(features);
  answer_value(session, request.header, answer);
}

void handle_error_map(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  if (request.value.size() != 2)
    return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  const auto version = wire::load_big_endian<uint16_t>(request.value.data());
  if (version == 0) return reply_binary_error(session, request.header, BinaryStatus::key_not_found);
  answer_json(session, request, error_map(version));
}

void handle_select_bucket(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  // Streams are of the bucket in which they were opened.
  if (session.producer() != nullptr)
    return reply_binary_error(session, request.header, BinaryStatus::not_supported);
  if (session.has_held_replies())
    return reply_binary_error(session, request.header, BinaryStatus::temporary_failure);
  // Before it is told whether there is such a bucket.
  if (!session.may_select(request.key))
    return reply_binary_error(session, request.header, BinaryStatus::no_access);
  auto entered = session.engine().buckets.enter(request.key, session.connection().spool());
  if (entered.bucket == nullptr)
    return reply_binary_error(session, request.header, BinaryStatus::key_not_found);
  session.select(std::move(entered));
  answer_success(session, request.header);
}

void handle_list_buckets(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  std::string names;
  session.engine().buckets.visit([&](const ServedBucket& bucket) {
    if (session.may_select(bucket.name())) names += (names.empty() ? "" : " ") + bucket.name();
  });
  answer_value(session, request.header, names);
}

// The extras are the configuration that the client has: nothing is sent to who has the newest.
void handle_cluster_config(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const bool of_bucket = session.has_bucket() && session.may_select_here();
  if (!request.extras.empty()) {
    const auto epoch = static_cast<int64_t>(wire::load_big_endian<uint64_t>(request.extras.data()));
    const auto revision = static_cast<int64_t>(wire::load_big_endian<uint64_t>(request.extras.data() + 8));
    const int64_t current = of_bucket ? bucket_config_revision(session.manifest().uid()) : kConfigRevision;
    if (epoch > kConfigEpoch || (epoch == kConfigEpoch && revision >= current))
      return answer_success(session, request.header);
  }
  if (of_bucket) session.client()->known_config = bucket_config_revision(session.manifest().uid());
  const ConfigPayload config =
      config_payload(session, of_bucket ? bucket_config(session) : global_config(session));
  answer_value(session, request.header, config.bytes, {.datatype = config.datatype});
}

constexpr BinaryCommand row(BinaryOpcode opcode, std::string_view name, wire::BinaryShape shape,
                            decltype(BinaryCommand::handle) handle, Audience audience = Audience::couchbase) {
  BinaryCommand row{opcode, name, shape, handle};
  row.needs_bucket = false;
  row.needs = 0;
  row.key = KeyKind::name;
  row.audience = audience;
  return row;
}

using enum BinaryOpcode;
constexpr BinaryCommand kCommands[] = {
    row(hello, "hello", {ExtrasLengths(0), Presence::optional, Presence::optional}, handle_hello,
        Audience::everybody),
    row(get_error_map, "get_error_map",
        wire::of_no_vbucket({ExtrasLengths(0), Presence::forbidden, Presence::required}), handle_error_map),
    row(select_bucket, "select_bucket",
        wire::with_cas({ExtrasLengths(0), Presence::required, Presence::forbidden}), handle_select_bucket),
    row(list_buckets, "list_buckets", wire::with_cas(wire::binary_shapes::kNothing), handle_list_buckets),
    reorders(row(get_cluster_config, "get_cluster_config",
                 {ExtrasLengths(0, 16), Presence::forbidden, Presence::forbidden}, handle_cluster_config)),
};

}  // namespace

std::span<const BinaryCommand> connection_commands() {
  return kCommands;
}

}  // namespace bobbin::serve
