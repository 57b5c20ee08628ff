// Buckets are made, changed, emptied and removed (docs.couchbase.com, "Buckets API").

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>

#include "admin/admission.h"
#include "admin/bucket_form.h"
#include "admin/bucket_text.h"
#include "admin/config_streams.h"
#include "admin/json_writer.h"
#include "admin/route.h"
#include "serve/buckets.h"

namespace bobbin::admin {
namespace {

using serve::BucketError;
using serve::BucketSettings;

HttpResponse refuse(std::string_view field, std::string_view why) {
  JsonWriter json;
  json.begin_object().key("errors").begin_object().member(field, why).end();
  json.key("summaries").begin_object().end().end();
  return json_answer(json.take(), 400);
}

/// Writes down what was done, or why not, and makes the answer of it.
HttpResponse tell(const Call& call, std::string_view action, const std::string& name,
                  const serve::Buckets::Done& done, int status) {
  const std::string_view detail = done ? std::string_view() : std::string_view(done.error().message);
  call.engine().audit.admin({call.user, call.peer, action, name, done.has_value(), detail});
  if (done) {
    call.admin.streams.changed();
    return json_answer("", status);
  }
  const BucketError& error = done.error();
  switch (error.kind) {
    case BucketError::Kind::missing:
      return missing();
    case BucketError::Kind::no_flush:
      return json_answer(R"({"_":"Flush is disabled for the bucket"})", 400);
    case BucketError::Kind::disk:
      return text_answer(error.message + "\n", 500);
    case BucketError::Kind::invalid:
    case BucketError::Kind::exists:
      break;
  }
  return refuse(error.field, error.message);
}

std::optional<uint64_t> number_of(const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

bool is_true(const std::string& text) {
  return text == "1" || text == "true";
}

/// A field of the form: false when its value cannot be.
struct Field {
  std::string_view name;
  std::string_view why;
  bool (*read)(const std::string& text, BucketSettings& settings);
};

bool read_quota(const std::string& text, BucketSettings& settings) {
  constexpr uint64_t kMostMiB = uint64_t{1} << 30;
  const auto mib = number_of(text);
  if (!mib || *mib > kMostMiB) return false;
  settings.quota_bytes = *mib << 20;
  return true;
}

bool read_replicas(const std::string& text, BucketSettings& settings) {
  const auto replicas = number_of(text);
  if (!replicas || *replicas > 3) return false;
  settings.replicas = static_cast<uint32_t>(*replicas);
  return true;
}

bool read_ttl(const std::string& text, BucketSettings& settings) {
  const auto seconds = number_of(text);
  if (!seconds || *seconds > INT32_MAX) return false;
  settings.max_ttl_s = static_cast<uint32_t>(*seconds);
  return true;
}

bool read_vbuckets(const std::string& text, BucketSettings& settings) {
  const auto vbuckets = number_of(text);
  if (!vbuckets || *vbuckets == 0 || *vbuckets > UINT32_MAX) return false;
  settings.vbuckets = static_cast<uint32_t>(*vbuckets);
  return true;
}

bool is_none(const std::string& text, BucketSettings&) {
  return text.empty() || text == "0" || text == "false";
}

constexpr Field kFields[] = {
    {"ramQuotaMB", "The RAM Quota must be a number of MiB", read_quota},
    {"ramQuota", "The RAM Quota must be a number of MiB", read_quota},
    {"replicaNumber", "Replica number must be 0 to 3", read_replicas},
    {"flushEnabled", "",
     [](const std::string& text, BucketSettings& settings) {
       settings.flush_enabled = is_true(text);
       return true;
     }},
    {"evictionPolicy", "",
     [](const std::string& text, BucketSettings& settings) {
       settings.eviction = text;
       return true;
     }},
    {"compressionMode", "",
     [](const std::string& text, BucketSettings& settings) {
       settings.compression = text;
       return true;
     }},
    {"durabilityMinLevel", "",
     [](const std::string& text, BucketSettings& settings) {
       settings.durability_min = text;
       return true;
     }},
    {"maxTTL", "Max TTL must be an integer between 0 and 2147483647", read_ttl},
    {"conflictResolutionType", "",
     [](const std::string& text, BucketSettings& settings) {
       settings.conflicts = text;
       return true;
     }},
    {"numVBuckets", "The number of vbuckets must be a power of two, from 1 to 1024", read_vbuckets},
    // What is asked for and cannot be done is refused.
    {"storageBackend", "storageBackend can be 'couchstore': there is one here",
     [](const std::string& text, BucketSettings&) {
       return text.empty() || text == "couchstore" || text == "undefined";
     }},
    {"historyRetentionCollectionDefault", "There is no history of changes here", is_none},
    {"historyRetentionBytes", "There is no history of changes here", is_none},
    {"historyRetentionSeconds", "There is no history of changes here", is_none},
};

/// What the form says, over what there is; otherwise what cannot be.
base::Result<void, serve::BucketTrouble> read_form(const Form& form, BucketSettings& settings) {
  for (const Field& field : kFields) {
    const std::string* const text = form_value(form, field.name);
    if (text != nullptr && !field.read(*text, settings))
      return base::fail(serve::BucketTrouble{std::string(field.name), std::string(field.why)});
  }
  return {};
}

HttpResponse handle_create(const Call& call) {
  const auto form = parse_form(call.request.body);
  if (!form) return refuse("_", "The body is no form");
  const auto settings = read_new_bucket(*form);
  if (!settings) return refuse(settings.error().field, settings.error().why);
  return tell(call, "create bucket", settings->name, call.engine().buckets.create(*settings), 202);
}

/// How much memory a copy has is each server's own, and too little holds the copy up.
bool is_of_memory_alone(const Form& form) {
  return !form.empty() && std::all_of(form.begin(), form.end(), [](const auto& field) {
    return field.first == "ramQuotaMB" || field.first == "ramQuota";
  });
}

HttpResponse handle_change(const Call& call) {
  const auto form = parse_form(call.request.body);
  if (!form) return refuse("_", "The body is no form");
  if (call.engine().following != nullptr && !is_of_memory_alone(*form)) return refuse_as_follower(call);
  BucketSettings settings;
  {
    // Not kept: whoever removes it waits for us.
    const auto bucket = find_bucket(call.engine(), call.names[0]);
    if (bucket == nullptr) return missing();
    settings = bucket->settings();
    if (bucket == call.engine().bucket) settings.quota_bytes = bucket->bucket().quota_bytes();
  }
  if (const auto read = read_form(*form, settings); !read)
    return refuse(read.error().field, read.error().why);
  return tell(call, "change bucket", settings.name, call.engine().buckets.change(settings), 200);
}

/// A copy can go once its source has no such bucket: before that it would be made again. Nothing: there is
/// none (any more).
std::optional<HttpResponse> give_up_copy(const Call& call) {
  constexpr std::chrono::seconds kLongestWait{10};
  const serve::Following* const following = call.engine().following;
  const auto copy = following == nullptr ? nullptr : following->find(call.names[0]);
  // The default bucket stays.
  if (copy == nullptr || call.names[0] == call.engine().bucket->name()) return std::nullopt;
  if (copy->is_expected()) return refuse_as_follower(call);
  copy->dismiss();
  if (copy->await_let_go(kLongestWait)) return std::nullopt;
  return text_answer("The copy is still in use. Try again.\n", 503);
}

HttpResponse handle_remove(const Call& call) {
  if (auto refused = give_up_copy(call)) return std::move(*refused);
  return tell(call, "remove bucket", call.names[0], call.engine().buckets.remove(call.names[0]), 200);
}

HttpResponse handle_flush(const Call& call) {
  return tell(call, "flush bucket", call.names[0], call.engine().buckets.flush(call.names[0]), 200);
}

constexpr Route kRoutes[] = {
    {"POST", "/pools/default/buckets", Door::users, serve::kCreateBuckets, handle_create, true},
    {"POST", "/pools/default/buckets/{bucket}", Door::bucket, serve::kManageBucket, handle_change, true},
    {"DELETE", "/pools/default/buckets/{bucket}", Door::bucket, serve::kManageBucket, handle_remove, true},
    {"POST", "/pools/default/buckets/{bucket}/controller/doFlush", Door::bucket, serve::kFlush, handle_flush,
     true},
};

}  // namespace

base::Result<BucketSettings, serve::BucketTrouble> read_new_bucket(const Form& form) {
  BucketSettings settings;
  const std::string* const name = form_value(form, "name");
  if (name == nullptr) return base::fail(serve::BucketTrouble{"name", "Bucket name needs to be specified"});
  settings.name = *name;
  if (const std::string* type = form_value(form, "bucketType")) settings.type = *type;
  if (settings.type == "couchbase") settings.type = "membase";
  if (settings.type == "ephemeral") settings.eviction = "noEviction";
  if (settings.type == "memcached") settings.eviction = "nruEviction";
  if (auto read = read_form(form, settings); !read) return base::fail(std::move(read.error()));
  return settings;
}

std::vector<std::string> new_bucket_fields() {
  std::vector<std::string> names = {"name", "bucketType"};
  for (const Field& field : kFields)
    names.emplace_back(field.name);
  return names;
}

std::span<const Route> bucket_change_routes() {
  return kRoutes;
}

}  // namespace bobbin::admin
