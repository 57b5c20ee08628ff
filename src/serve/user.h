#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "serve/roles.h"
#include "wire/scram_keys.h"

namespace bobbin::serve {

/// Keys for each of wire::Hash, by its number. PLAIN is checked with those of SHA-512.
using PasswordKeys = std::array<wire::ScramKeys, 3>;

/// A user of the data service.
struct User {
  std::string name;
  std::string full_name;    ///< for people; may be empty
  std::vector<Role> roles;  ///< besides those of its groups
  PasswordKeys keys;
  uint64_t password_changed_s = 0;  ///< Unix time
  std::vector<std::string> groups = {};

  [[nodiscard]] const wire::ScramKeys& keys_for(wire::Hash hash) const {
    return keys[static_cast<size_t>(hash)];
  }
};

/// Roles that users share.
struct UserGroup {
  std::string name;
  std::string description;  ///< for people; may be empty
  std::vector<Role> roles;
};

/// All that the file of users holds.
struct UserTable {
  std::map<std::string, User, std::less<>> users;
  std::map<std::string, UserGroup, std::less<>> groups = {};
  /// From this come the salts of users that do not exist. Kept, so that these stay the same.
  std::string decoy_key;
};

/// A user's own roles and those of its groups; one may be there twice.
[[nodiscard]] inline std::vector<Role> roles_of(const UserTable& table, const User& user) {
  std::vector<Role> roles = user.roles;
  for (const std::string& name : user.groups) {
    const auto group = table.groups.find(name);
    if (group == table.groups.end()) continue;
    roles.insert(roles.end(), group->second.roles.begin(), group->second.roles.end());
  }
  return roles;
}

}  // namespace bobbin::serve
