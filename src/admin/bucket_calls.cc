// Buckets: what they are, and their configuration as clients of the data read it.

#include "admin/admission.h"
#include "admin/bucket_text.h"
#include "admin/route.h"

namespace bobbin::admin {
namespace {

HttpResponse handle_list(const Call& call) {
  JsonWriter json;
  json.begin_array();
  for (const auto& bucket : call.engine().buckets.all()) {
    const serve::Access access = access_of(call, bucket->name());
    if (access.may_select() || access.may(serve::kReadServer)) write_bucket(json, call, *bucket);
  }
  json.end();
  return json_answer(json.take());
}

HttpResponse handle_one(const Call& call) {
  const auto bucket = find_bucket(call.engine(), call.names[0]);
  if (bucket == nullptr) return missing();
  JsonWriter json;
  write_bucket(json, call, *bucket);
  return json_answer(json.take());
}

HttpResponse handle_terse(const Call& call) {
  std::string text = terse_text(call.engine(), call.names[0], place_of(call));
  return text.empty() ? missing() : json_answer(std::move(text));
}

HttpResponse handle_streaming(const Call& call) {
  if (find_bucket(call.engine(), call.names[0]) == nullptr) return missing();
  HttpResponse response;
  response.streamed = [&engine = call.engine(), place = place_of(call), name = call.names[0]] {
    return terse_text(engine, name, place);
  };
  return response;
}

HttpResponse handle_scopes(const Call& call) {
  const auto bucket = find_bucket(call.engine(), call.names[0]);
  return bucket == nullptr ? missing() : json_answer(bucket->collections().manifest()->json());
}

constexpr Route kRoutes[] = {
    {"GET", "/pools/default/buckets", Door::users, 0, handle_list},
    {"GET", "/pools/default/buckets/{bucket}", Door::bucket, 0, handle_one},
    {"GET", "/pools/default/b/{bucket}", Door::bucket, 0, handle_terse},
    {"GET", "/pools/default/bs/{bucket}", Door::bucket, 0, handle_streaming},
    {"GET", "/pools/default/bucketsStreaming/{bucket}", Door::bucket, 0, handle_streaming},
    {"GET", "/pools/default/buckets/{bucket}/scopes", Door::bucket, 0, handle_scopes},
};

}  // namespace

std::span<const Route> bucket_routes() {
  return kRoutes;
}

}  // namespace bobbin::admin
