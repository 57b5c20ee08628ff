// The server, and where clients find what.

#include <memory>
#include <string>

#include "admin/admission.h"
#include "admin/bucket_text.h"
#include "admin/route.h"
#include "serve/cluster_config.h"

namespace bobbin::admin {
namespace {

HttpResponse handle_root(const Call& call) {
  return text_answer("Bobbin " BOBBIN_VERSION ", at " + managed_at(call).text() +
                     ". See /pools, /metrics, /readyz.\n");
}

HttpResponse handle_pools(const Call& call) {
  const serve::Access access = access_of(call, {});
  const std::string& uuid = call.engine().node.cluster_uuid;
  JsonWriter json;
  json.begin_object();
  json.member("isAdminCreds", access.may(serve::kManageServer));
  json.member("isROAdminCreds", access.may(serve::kReadServer) && !access.may(serve::kManageServer));
  json.member("isEnterprise", false).key("allowedServices").begin_array().value("kv").end();
  json.key("pools").begin_array().begin_object();
  json.member("name", "default").member("uri", "/pools/default?uuid=" + uuid);
  json.member("streamingUri", "/poolsStreaming/default?uuid=" + uuid);
  json.end().end();
  json.key("settings").begin_object().end();
  json.member("uuid", uuid).member("implementationVersion", kRestVersion);
  json.key("componentsVersion").begin_object().member("bobbin", BOBBIN_VERSION).end();
  json.end();
  return json_answer(json.take());
}

struct Totals {
  uint64_t quota_bytes = 0;
  uint64_t used_bytes = 0;
  uint64_t item_bytes = 0;
  uint64_t disk_bytes = 0;
};

Totals totals_of(const serve::Engine& engine) {
  Totals totals;
  for (const auto& bucket : engine.buckets.all()) {
    const store::Statistics stats = bucket->bucket().statistics();
    totals.quota_bytes += stats.quota_bytes;
    totals.used_bytes += stats.used_bytes;
    totals.item_bytes += stats.item_bytes;
    if (bucket->disk() != nullptr) totals.disk_bytes += bucket->disk()->statistics().shards.file_bytes;
  }
  return totals;
}

void write_storage_totals(JsonWriter& json, const Totals& totals) {
  json.key("storageTotals").begin_object();
  json.key("ram").begin_object();
  json.member("total", totals.quota_bytes).member("quotaTotal", totals.quota_bytes);
  json.member("quotaUsed", totals.quota_bytes).member("used", totals.used_bytes);
  json.member("usedByData", totals.item_bytes).member("quotaUsedPerNode", totals.quota_bytes);
  json.member("quotaTotalPerNode", totals.quota_bytes).end();
  json.key("hdd").begin_object();
  json.member("used", totals.disk_bytes).member("usedByData", totals.disk_bytes).end();
  json.end();
}

std::string pool_text(const Call& call) {
  JsonWriter json;
  json.begin_object();
  json.member("name", "default").member("clusterName", "");
  json.key("nodes").begin_array();
  write_node(json, call);
  json.end();
  json.key("buckets").begin_object().member("uri", "/pools/default/buckets");
  json.member("terseBucketsBase", "/pools/default/b/")
      .member("terseStreamingBucketsBase", "/pools/default/bs/");
  json.end();
  json.member("balanced", true).member("rebalanceStatus", "none");
  const Totals totals = totals_of(call.engine());
  json.member("memoryQuota", totals.quota_bytes >> 20);
  write_storage_totals(json, totals);
  json.member("uri", "/pools/default").member("nodeStatusesUri", "/nodeStatuses");
  json.end();
  return json.take();
}

HttpResponse handle_pool(const Call& call) {
  return json_answer(pool_text(call));
}

// What was asked outlives its connection's request: the text names the host that was dialled.
HttpResponse handle_pool_streaming(const Call& call) {
  struct Kept {
    explicit Kept(const Call& given)
        : request(host_of(given.request)), call{given.admin, request, {}, {}, {}, given.local} {}
    // Not the password.
    static HttpRequest host_of(const HttpRequest& given) {
      HttpRequest kept;
      kept.host = given.host;
      return kept;
    }
    const HttpRequest request;
    const Call call;
  };
  HttpResponse response;
  response.streamed = [kept = std::make_shared<const Kept>(call)] { return pool_text(kept->call); };
  return response;
}

HttpResponse handle_nodes(const Call& call) {
  JsonWriter json;
  json.begin_object().member("name", "default").key("nodes").begin_array();
  write_node(json, call);
  json.end().end();
  return json_answer(json.take());
}

HttpResponse handle_node_services(const Call& call) {
  return json_answer(serve::global_config(call.engine().node, place_of(call)));
}

HttpResponse handle_node_services_streaming(const Call& call) {
  HttpResponse response;
  response.streamed = [&node = call.engine().node, place = place_of(call)] {
    return serve::global_config(node, place);
  };
  return response;
}

constexpr Route kRoutes[] = {
    {"GET", "/", Door::everybody, 0, handle_root},
    {"GET", "/pools", Door::users, 0, handle_pools},
    {"GET", "/pools/default", Door::users, 0, handle_pool},
    {"GET", "/pools/nodes", Door::users, 0, handle_nodes},
    {"GET", "/pools/default/nodeServices", Door::users, 0, handle_node_services},
    {"GET", "/pools/default/nodeServicesStreaming", Door::users, 0, handle_node_services_streaming},
    {"GET", "/poolsStreaming/default", Door::users, 0, handle_pool_streaming},
};

}  // namespace

std::span<const Route> cluster_routes() {
  return kRoutes;
}

}  // namespace bobbin::admin
