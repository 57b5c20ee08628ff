#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bobbin::serve {

/// What a user may do, a bit each. Those of the first group hold for a collection, a scope or a whole bucket,
/// those of the second for a bucket, those of the third for the server. Fewer than kv_engine's
/// (include/memcached/rbac/privileges.h): reading a document's metadata and user attributes is reading it.
enum Privilege : uint32_t {
  kRead = 1U << 0,
  kInsert = 1U << 1,  ///< store where nothing is
  kUpsert = 1U << 2,  ///< store, append, count, touch, lock
  kDelete = 1U << 3,
  kMetaWrite = 1U << 4,  ///< the *_WITH_META commands
  kSystemXattrRead = 1U << 5,
  kSystemXattrWrite = 1U << 6,
  kDcpStream = 1U << 7,  ///< what a DCP stream shows

  kDcpProducer = 1U << 8,  ///< open a DCP connection
  kBucketStats = 1U << 9,
  kFlush = 1U << 10,
  kManageBucket = 1U << 11,  ///< change and remove it
  kManageCollections = 1U << 12,

  kServerStats = 1U << 13,
  kCreateBuckets = 1U << 14,
  kReadUsers = 1U << 15,
  kManageUsers = 1U << 16,
  kReadServer = 1U << 17,    ///< settings, logs, every bucket's description
  kManageServer = 1U << 18,  ///< settings, verbosity, backups, shutdown
  kImpersonate = 1U << 19,   ///< have requests judged by what another user may do, too
};

inline constexpr uint32_t kWrite = kInsert | kUpsert | kDelete;
inline constexpr uint32_t kEverything = (1U << 20) - 1;

/// Some of the bits of Privilege.
using Privileges = uint32_t;

/// A role, given to a user for what it names: "admin", "bucket_admin[b]", "data_reader[b:s:c]", as
/// Couchbase's REST writes them. Names and not ids: what is removed and made again under its name is covered
/// again.
struct Role {
  std::string name;
  // Empty: every one. An empty scope means that the collection is empty, too.
  std::string bucket;
  std::string scope;
  std::string collection;

  friend bool operator==(const Role&, const Role&) = default;
};

/// How far a role's name can be narrowed.
enum class RoleReach : uint8_t { server, bucket, collection };

struct RoleKind {
  std::string_view name;
  std::string_view title;        ///< for people, as GET /settings/rbac/roles tells
  std::string_view description;  ///< a sentence with its full stop
  RoleReach reach;
  Privileges privileges;         ///< in what the role names
  Privileges server_privileges;  ///< besides, whatever it names
};

/// Every role there is.
[[nodiscard]] const std::vector<RoleKind>& role_kinds();
/// Null when there is none of that name.
[[nodiscard]] const RoleKind* role_kind(std::string_view name);

/// The error names what is wrong. "*" stands for every one; nothing may be named behind it.
[[nodiscard]] base::Result<Role, base::Error> parse_role(std::string_view text);
/// Separated by commas, as a form has them; nothing but spaces is no role.
[[nodiscard]] base::Result<std::vector<Role>, base::Error> parse_roles(std::string_view text);
/// As parse_role reads it.
[[nodiscard]] std::string role_text(const Role& role);

}  // namespace bobbin::serve
