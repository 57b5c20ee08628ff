#include "cli/server_users.h"

#include <unistd.h>

#include <utility>

#include "cli/data_commands.h"

namespace bobbin::cli {

std::string users_path(const std::string& data) {
  return data + "/users.json";
}

std::string audit_path(const std::string& data) {
  return data + "/audit.log";
}

bool has_users(const ServeConfig& config) {
  return config.persistent && access(users_path(config.data).c_str(), F_OK) == 0;
}

disk::Result<std::unique_ptr<serve::Users>> open_users(const ServeConfig& config, const base::Clock& clock) {
  serve::UsersOptions options{
      .path = config.persistent && !config.dev ? users_path(config.data) : std::string(), .clock = &clock};
  if (config.dev) options.iterations = serve::kDevPasswordIterations;
  auto users = serve::Users::open(std::move(options));
  if (!users || !config.dev) return users;
  serve::Role admin;
  admin.name = "admin";
  serve::UserChange administrator;
  administrator.name = "Administrator";
  administrator.password = "password";
  administrator.roles = {std::move(admin)};
  if (const auto added = (*users)->add(administrator); !added)
    return base::fail(disk::Error{disk::ErrorKind::io, {}, added.error().message});
  return users;
}

}  // namespace bobbin::cli
