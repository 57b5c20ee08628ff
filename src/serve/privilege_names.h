#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "serve/roles.h"

namespace bobbin::serve {

/// A privilege as clients are told of it, and name it: kv_engine's word (rbac/privilege_database.h) where it
/// has this one.
struct NamedPrivilege {
  Privileges privilege = 0;
  std::string_view name;
};

/// Those that are told: each bit at most once.
[[nodiscard]] std::span<const NamedPrivilege> named_privileges();

/// What a name stands for; 0 for kv_engine's that mean nothing here. Nothing: there is none of that name.
[[nodiscard]] std::optional<Privileges> privileges_of(std::string_view name);

}  // namespace bobbin::serve
