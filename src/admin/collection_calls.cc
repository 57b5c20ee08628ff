// The scopes and collections of a bucket (docs.couchbase.com, "Scopes and Collections API").

#include <fmt/format.h>

#include <charconv>

#include "admin/bucket_text.h"
#include "admin/config_streams.h"
#include "admin/json_writer.h"
#include "admin/route.h"

namespace bobbin::admin {
namespace {

using store::ManifestError;

HttpResponse refuse(std::string_view field, std::string_view why, int status = 400) {
  JsonWriter json;
  json.begin_object().key("errors").begin_object().member(field, why).end().end();
  return json_answer(json.take(), status);
}

/// What a call is about, for its errors and the audit log.
struct Subject {
  std::string scope;
  std::string collection = {};

  [[nodiscard]] std::string text() const {
    return collection.empty() ? fmt::format("Scope with name \"{}\"", scope)
                              : fmt::format("Collection with name \"{}\" in scope \"{}\"", collection, scope);
  }
};

HttpResponse error_of(ManifestError error, const Subject& subject) {
  switch (error) {
    case ManifestError::scope_exists:
    case ManifestError::collection_exists:
      return refuse("_", subject.text() + " already exists");
    case ManifestError::unknown_scope:
      return refuse("_", Subject{subject.scope}.text() + " is not found", 404);
    case ManifestError::unknown_collection:
      return refuse("_", subject.text() + " is not found", 404);
    case ManifestError::invalid_name:
      return refuse(
          "name",
          "A name has 1 to 251 of the characters A-Z, a-z, 0-9, _, - and %, and begins with neither _ nor %");
    case ManifestError::invalid_ttl:
      return refuse("maxTTL", fmt::format("The value must be in range from -1 to {}", store::kMaxTtlS));
    case ManifestError::not_on_disk:
    case ManifestError::shutting_down:
      return text_answer(std::string(store::text_of(error)) + "\n", 503);
    default:
      return refuse("_", store::text_of(error));
  }
}

/// Writes down what was done, or why not, and makes the answer of it.
HttpResponse tell(const Call& call, std::string_view action, const Subject& subject,
                  const serve::Collections::Changed& changed) {
  const std::string object =
      call.names[0] + "." + subject.scope + (subject.collection.empty() ? "" : "." + subject.collection);
  const std::string_view detail = changed ? std::string_view() : store::text_of(changed.error());
  call.engine().audit.admin({call.user, call.peer, action, object, changed.has_value(), detail});
  if (!changed) return error_of(changed.error(), subject);
  call.admin.streams.changed();
  JsonWriter json;
  json.begin_object().member("uid", store::manifest_number(*changed)).end();
  return json_answer(json.take());
}

/// -1: no limit, whatever the bucket's; 0 or nothing: the bucket's; otherwise seconds.
base::Result<std::optional<uint32_t>, HttpResponse> ttl_of(const Form& form) {
  const std::string* const text = form_value(form, "maxTTL");
  if (text == nullptr || text->empty() || *text == "0") return std::optional<uint32_t>();
  if (*text == "-1") return std::optional<uint32_t>(0);
  uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc() || end != text->data() + text->size() || seconds > store::kMaxTtlS)
    return base::fail(error_of(ManifestError::invalid_ttl, {}));
  return std::optional<uint32_t>(seconds);
}

bool wants_history(const Form& form) {
  const std::string* const text = form_value(form, "history");
  return text != nullptr && *text == "true";
}

HttpResponse handle_create_scope(const Call& call) {
  const auto bucket = find_bucket(call.engine(), call.names[0]);
  if (bucket == nullptr) return missing();
  const auto form = parse_form(call.request.body);
  const std::string* const name = form ? form_value(*form, "name") : nullptr;
  if (name == nullptr) return refuse("name", "The value must be supplied");
  return tell(call, "create scope", {*name}, bucket->collections().create_scope(*name));
}

HttpResponse handle_drop_scope(const Call& call) {
  const auto bucket = find_bucket(call.engine(), call.names[0]);
  if (bucket == nullptr) return missing();
  return tell(call, "drop scope", {call.names[1]}, bucket->collections().drop_scope(call.names[1]));
}

HttpResponse handle_create_collection(const Call& call) {
  const auto bucket = find_bucket(call.engine(), call.names[0]);
  if (bucket == nullptr) return missing();
  const auto form = parse_form(call.request.body);
  const std::string* const name = form ? form_value(*form, "name") : nullptr;
  if (name == nullptr) return refuse("name", "The value must be supplied");
  const auto ttl = ttl_of(*form);
  if (!ttl) return ttl.error();
  if (wants_history(*form)) return refuse("history", "There is no history of changes here");
  return tell(call, "create collection", {call.names[1], *name},
              bucket->collections().create_collection(call.names[1], *name, *ttl));
}

HttpResponse handle_change_collection(const Call& call) {
  const auto bucket = find_bucket(call.engine(), call.names[0]);
  if (bucket == nullptr) return missing();
  const auto form = parse_form(call.request.body);
  if (!form) return refuse("_", "The body is no form");
  const auto ttl = ttl_of(*form);
  if (!ttl) return ttl.error();
  if (wants_history(*form)) return refuse("history", "There is no history of changes here");
  const Subject subject{call.names[1], call.names[2]};
  if (form_value(*form, "maxTTL") == nullptr) return refuse("maxTTL", "The value must be supplied");
  return tell(call, "change collection", subject,
              bucket->collections().change_max_ttl(subject.scope, subject.collection, *ttl));
}

HttpResponse handle_drop_collection(const Call& call) {
  const auto bucket = find_bucket(call.engine(), call.names[0]);
  if (bucket == nullptr) return missing();
  const Subject subject{call.names[1], call.names[2]};
  return tell(call, "drop collection", subject,
              bucket->collections().drop_collection(subject.scope, subject.collection));
}

using serve::kManageCollections;
constexpr Route kRoutes[] = {
    {"POST", "/pools/default/buckets/{bucket}/scopes", Door::bucket, kManageCollections, handle_create_scope,
     true},
    {"DELETE", "/pools/default/buckets/{bucket}/scopes/{scope}", Door::bucket, kManageCollections,
     handle_drop_scope, true},
    {"POST", "/pools/default/buckets/{bucket}/scopes/{scope}/collections", Door::bucket, kManageCollections,
     handle_create_collection, true},
    {"PATCH", "/pools/default/buckets/{bucket}/scopes/{scope}/collections/{collection}", Door::bucket,
     kManageCollections, handle_change_collection, true},
    {"DELETE", "/pools/default/buckets/{bucket}/scopes/{scope}/collections/{collection}", Door::bucket,
     kManageCollections, handle_drop_collection, true},
};

}  // namespace

std::span<const Route> collection_routes() {
  return kRoutes;
}

}  // namespace bobbin::admin
