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
  std::string full_name;  ///< for people; may be empty
  std::vector<Role> roles;
  PasswordKeys keys;
  uint64_t password_changed_s = 0;  ///< Unix time

  [[nodiscard]] const wire::ScramKeys& keys_for(wire::Hash hash) const {
    return keys[static_cast<size_t>(hash)];
  }
};

/// All that the file of users holds.
struct UserTable {
  std::map<std::string, User, std::less<>> users;
  /// From this come the salts of users that do not exist. Kept, so that these stay the same.
  std::string decoy_key;
};

}  // namespace bobbin::serve
