#include "serve/access.h"

namespace bobbin::serve {

static_assert(kManageCollections == 1U << 12 && kServerStats == 1U << 13, "Access::kOfBuckets");

CollectionIds CollectionIds::of_any_name() {
  return {.scope = [](std::string_view) { return std::optional<uint32_t>(0); },
          .collection = [](std::string_view, std::string_view) { return std::optional<uint32_t>(0); }};
}

Access::Access(const std::vector<Role>& roles, std::string_view bucket, const CollectionIds& ids)
    : everywhere_(server_privileges(roles)) {
  for (const Role& role : roles) {
    const RoleKind* const kind = role_kind(role.name);
    if (kind == nullptr || (!role.bucket.empty() && role.bucket != bucket)) continue;
    if (role.scope.empty()) {
      everywhere_ |= kind->privileges;
      continue;
    }
    Part part{0, std::nullopt, kind->privileges};
    const auto scope = ids.scope ? ids.scope(role.scope) : std::nullopt;
    if (!scope) continue;
    part.scope = *scope;
    if (!role.collection.empty()) {
      part.collection = ids.collection ? ids.collection(role.scope, role.collection) : std::nullopt;
      if (!part.collection) continue;
    }
    parts_.push_back(part);
    anywhere_ |= part.privileges;
    // A connection is of the bucket; what its streams show is asked for each collection.
    everywhere_ |= part.privileges & kDcpProducer;
  }
  anywhere_ |= everywhere_;
}

Access Access::unlimited() {
  Access access;
  access.everywhere_ = kEverything;
  access.anywhere_ = kEverything;
  return access;
}

Verdict Access::look_up(Privileges needed, uint32_t scope, uint32_t collection) const noexcept {
  // What a role of the server or the right to open a stream allows is no reason to see the collection.
  constexpr Privileges kShows = kOfBuckets & ~kDcpProducer;
  Privileges here = everywhere_;
  for (const Part& part : parts_) {
    if (part.scope == scope && (!part.collection || *part.collection == collection)) here |= part.privileges;
  }
  if ((here & needed) == needed) return Verdict::granted;
  return (here & kShows) == 0 ? Verdict::hidden : Verdict::refused;
}

Privileges server_privileges(const std::vector<Role>& roles) {
  Privileges privileges = 0;
  for (const Role& role : roles) {
    if (const RoleKind* const kind = role_kind(role.name)) privileges |= kind->server_privileges;
  }
  return privileges;
}

}  // namespace bobbin::serve
