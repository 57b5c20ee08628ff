// What clients ask about scopes and collections (kv_engine docs/Collections.md).

#include <array>
#include <utility>

#include "serve/asking.h"
#include "serve/binary_commands.h"
#include "serve/session.h"
#include "store/manifest.h"
#include "wire/datatype.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryRequest;
using wire::BinaryStatus;
using wire::ExtrasLengths;
using wire::Presence;

// A name that is left out is the default.
std::string_view named(std::string_view name) {
  return name.empty() ? store::kDefaultName : name;
}

bool is_name(std::string_view name) {
  return store::is_manifest_name(name, store::NameOwner::server);
}

// Answers the manifest's uid and an id.
void answer_id(Session& session, const BinaryRequest& request, uint64_t manifest, uint32_t id) {
  std::array<char, 12> extras;
  wire::store_big_endian(extras.data(), manifest);
  wire::store_big_endian(extras.data() + 8, id);
  answer(session, request.header, {.extras = {extras.data(), extras.size()}});
}

void handle_manifest(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const uint8_t datatype = session.has(wire::Feature::json) ? wire::kDatatypeJson : 0;
  answer_value(session, request.header, session.manifest().json(), {.datatype = datatype});
}

// The path is the value; in older clients the key.
std::string_view path_of(const BinaryRequest& request) {
  return request.value.empty() ? request.key : request.value;
}

wire::BinaryStatus status_of(store::ManifestError error) {
  switch (error) {
    case store::ManifestError::older:
      return BinaryStatus::out_of_range;
    case store::ManifestError::not_on_disk:
    case store::ManifestError::shutting_down:
      return BinaryStatus::temporary_failure;
    default:
      return BinaryStatus::invalid_arguments;
  }
}

// What makes manifests in a cluster sends them so. It is on disk, and every vbucket follows it, when this is
// answered.
void handle_set_manifest(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  store::Manifest::Changed manifest = store::Manifest::parse(request.value);
  if (!manifest) return reply_binary_error(session, request.header, status_of(manifest.error()));
  session.run_aside(request.header,
                    [sent = std::move(*manifest), asking = Asking(session)](const ServedBucket& served) {
                      const Collections::Changed changed = served.collections().replace(sent);
                      asking.note("replace manifest", served.name(), changed.has_value());
                      return changed ? BinaryStatus::success : status_of(changed.error());
                    });
}

constexpr BinaryCommand set_manifest_row() {
  BinaryCommand row{BinaryOpcode::collections_set_manifest, "collections_set_manifest",
                    wire::of_no_vbucket({ExtrasLengths(0), Presence::forbidden, Presence::required}),
                    handle_set_manifest};
  row.key = KeyKind::name;
  row.needs = kManageCollections;
  row.audience = Audience::couchbase;
  row.max_value_bytes = store::kMaxManifestBytes;
  row.reorders = true;
  return row;
}

void handle_collection_id(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const std::string_view path = path_of(request);
  const size_t dot = path.find('.');
  const std::string_view scope = named(path.substr(0, dot));
  const std::string_view name = named(dot == std::string_view::npos ? path : path.substr(dot + 1));
  if (dot == std::string_view::npos || !is_name(scope) || !is_name(name))
    return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  const store::Manifest& manifest = session.manifest();
  if (manifest.scope(scope) == nullptr)
    return reply_binary_error(session, request.header, BinaryStatus::unknown_scope);
  const store::Collection* const found = manifest.collection(scope, name);
  if (found == nullptr) return reply_binary_error(session, request.header, BinaryStatus::unknown_collection);
  answer_id(session, request, manifest.uid(), found->id);
}

void handle_scope_id(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const std::string_view path = path_of(request);
  const size_t dot = path.find('.');
  const std::string_view scope = named(path.substr(0, dot));
  if (!is_name(scope) || (dot != std::string_view::npos && path.find('.', dot + 1) != std::string_view::npos))
    return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  const store::Manifest& manifest = session.manifest();
  const store::Scope* const found = manifest.scope(scope);
  if (found == nullptr) return reply_binary_error(session, request.header, BinaryStatus::unknown_scope);
  answer_id(session, request, manifest.uid(), found->id);
}

constexpr BinaryCommand row(BinaryOpcode opcode, std::string_view name,
                            decltype(BinaryCommand::handle) handle) {
  BinaryCommand row{opcode, name,
                    wire::of_no_vbucket({ExtrasLengths(0), Presence::optional, Presence::optional}), handle};
  row.key = KeyKind::name;
  row.needs = 0;  // who may select a bucket may know what is in it
  row.audience = Audience::couchbase;
  return row;
}
constexpr BinaryCommand bare(BinaryCommand row) {
  row.shape = wire::of_no_vbucket(wire::binary_shapes::kNothing);
  return row;
}

using enum BinaryOpcode;
constexpr BinaryCommand kCommands[] = {
    set_manifest_row(),
    bare(row(collections_get_manifest, "collections_get_manifest", handle_manifest)),
    row(collections_get_id, "collections_get_id", handle_collection_id),
    row(collections_get_scope_id, "collections_get_scope_id", handle_scope_id),
};

}  // namespace

std::span<const BinaryCommand> collection_commands() {
  return kCommands;
}

}  // namespace bobbin::serve
