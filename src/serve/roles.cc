#include "serve/roles.h"

#include <algorithm>
#include <array>

namespace bobbin::serve {
namespace {

// docs.couchbase.com, "Roles"; what they grant in terms of the data service's privileges is ns_server's
// memcached_permissions and menelaus_roles.
constexpr Privileges kAllOfABucket = kRead | kWrite | kMetaWrite | kSystemXattrRead | kSystemXattrWrite |
                                     kDcpStream | kDcpProducer | kBucketStats | kFlush | kManageBucket |
                                     kManageCollections;
constexpr Privileges kAllOfAServer =
    kServerStats | kCreateBuckets | kReadUsers | kManageUsers | kReadServer | kManageServer | kImpersonate;
static_assert((kAllOfABucket | kAllOfAServer) == kEverything);

base::Result<Role, base::Error> refuse(std::string_view role, const std::string& why) {
  return base::fail(base::Error{"role \"" + std::string(role) + "\": " + why});
}

std::string known_roles() {
  std::string names;
  for (const RoleKind& kind : role_kinds())
    names += (names.empty() ? "" : ", ") + std::string(kind.name);
  return names;
}

/// What a bucket, scope or collection may be called; whether it exists is asked when it is used.
bool is_name(std::string_view text) {
  constexpr size_t kMaxNameBytes = 251;
  return !text.empty() && text.size() <= kMaxNameBytes && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '%';
  });
}

}  // namespace

const std::vector<RoleKind>& role_kinds() {
  static const std::vector<RoleKind> kKinds = {
      {"admin", "Full Admin", "Can do everything.", RoleReach::server, kEverything, kEverything},
      {"ro_admin", "Read-Only Admin", "Can see settings, statistics and users, but no data.",
       RoleReach::server, kBucketStats, kServerStats | kReadUsers | kReadServer},
      {"bucket_admin", "Bucket Admin", "Can manage a bucket and its collections, but not see its data.",
       RoleReach::bucket, kBucketStats | kFlush | kManageBucket | kManageCollections, 0},
      {"bucket_full_access", "Application Access", "Can read, write, stream and flush all data of a bucket.",
       RoleReach::bucket, kAllOfABucket & ~(kManageBucket | kManageCollections), 0},
      {"data_reader", "Data Reader", "Can read data.", RoleReach::collection, kRead, 0},
      {"data_writer", "Data Writer", "Can write and delete data, but not read it.", RoleReach::collection,
       kWrite, 0},
      {"data_dcp_reader", "Data DCP Reader", "Can read data, and stream changes (DCP).",
       RoleReach::collection, kRead | kSystemXattrRead | kDcpStream | kDcpProducer, 0},
      {"data_monitoring", "Data Monitor", "Can see the statistics of a bucket.", RoleReach::bucket,
       kBucketStats, 0},
  };
  return kKinds;
}

const RoleKind* role_kind(std::string_view name) {
  for (const RoleKind& kind : role_kinds()) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

base::Result<Role, base::Error> parse_role(std::string_view text) {
  const size_t open = text.find('[');
  const RoleKind* const kind = role_kind(text.substr(0, open));
  if (kind == nullptr) return refuse(text, "there is no such role; there are " + known_roles());
  Role role;
  role.name = kind->name;
  if (kind->reach == RoleReach::server) {
    if (open != std::string_view::npos) return refuse(text, "it is for the whole server: write " + role.name);
    return role;
  }
  if (open == std::string_view::npos || !text.ends_with(']'))
    return refuse(text, "it needs a bucket: write " + role.name + "[BUCKET], or " + role.name + "[*]");
  std::string_view rest = text.substr(open + 1, text.size() - open - 2);
  const std::array<std::string*, 3> parts = {&role.bucket, &role.scope, &role.collection};
  bool is_open = true;
  bool is_all = false;
  for (size_t i = 0; i < parts.size() && is_open; ++i) {
    const size_t colon = rest.find(':');
    const std::string_view name = rest.substr(0, colon);
    is_open = colon != std::string_view::npos;
    rest.remove_prefix(is_open ? colon + 1 : rest.size());
    if (name == "*") {
      is_all = true;
      continue;
    }
    if (!is_name(name)) return refuse(text, "\"" + std::string(name) + "\" is no name");
    if (is_all) return refuse(text, "nothing can be named behind a *");
    if (i > 0 && kind->reach == RoleReach::bucket)
      return refuse(text, "it is for whole buckets: write " + role.name + "[BUCKET]");
    *parts[i] = name;
  }
  if (is_open) return refuse(text, "too many names: it is [BUCKET:SCOPE:COLLECTION]");
  return role;
}

base::Result<std::vector<Role>, base::Error> parse_roles(std::string_view text) {
  std::vector<Role> roles;
  bool is_open = text.find_first_not_of(' ') != std::string_view::npos;
  while (is_open) {
    const size_t comma = text.find(',');
    is_open = comma != std::string_view::npos;
    std::string_view word = text.substr(0, comma);
    text.remove_prefix(is_open ? comma + 1 : text.size());
    word.remove_prefix(std::min(word.find_first_not_of(' '), word.size()));
    word = word.substr(0, word.find_last_not_of(' ') + 1);
    auto role = parse_role(word);
    if (!role) return base::fail(std::move(role.error()));
    if (std::find(roles.begin(), roles.end(), *role) == roles.end()) roles.push_back(std::move(*role));
  }
  return roles;
}

std::string role_text(const Role& role) {
  const RoleKind* const kind = role_kind(role.name);
  if (kind == nullptr || kind->reach == RoleReach::server) return role.name;
  std::string text = role.name + "[" + (role.bucket.empty() ? "*" : role.bucket);
  if (!role.scope.empty()) text += ":" + role.scope;
  if (!role.collection.empty()) text += ":" + role.collection;
  return text + "]";
}

}  // namespace bobbin::serve
