#include "cli/server_users.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "cli/data_commands.h"
#include "disk/system_file.h"
#include "serve/users_file.h"
#include "wire/crypto.h"

namespace bobbin::cli {
namespace {

// 96 bits, which can be read aloud and typed.
std::string make_up_password() {
  std::string text;
  for (const char byte : wire::random_bytes(12))
    text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

}  // namespace

std::string users_path(const std::string& data) {
  return data + "/users.json";
}

std::string audit_path(const std::string& data) {
  return data + "/audit.log";
}

bool has_users(const ServeConfig& config) {
  if (!config.persistent) return false;
  const std::string path = users_path(config.data);
  const auto text = disk::read_file(path);
  if (!text || !*text) return !text;
  const auto table = serve::decode_users(**text, path);
  return !table || !table->users.empty();
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

base::Result<void, StartError> make_administrator(const ServeConfig& config, const serve::Engine& engine) {
  if (config.admin.empty() || !engine.users.empty()) return {};
  serve::Role everything;
  everything.name = "admin";
  serve::UserChange administrator;
  administrator.name = config.admin;
  administrator.password = config.admin_password.empty() ? make_up_password() : config.admin_password;
  administrator.roles = {std::move(everything)};
  const auto made = engine.users.add(administrator);
  engine.audit.admin({"", "--admin", "create user", config.admin, made.has_value(),
                      made ? std::string() : made.error().message});
  if (!made) {
    const bool of_disk = made.error().kind == serve::UsersError::Kind::disk;
    return base::fail(
        StartError{"--admin: " + made.error().message, of_disk ? kExitNoResources : kExitConfiguration});
  }
  if (!config.admin_password.empty()) return {};
  // At once: whatever else goes wrong, it is on disk, and nobody can read it there.
  fmt::print("administrator {} has the password {}, which is not shown again\n", config.admin,
             *administrator.password);
  std::fflush(stdout);
  return {};
}

}  // namespace bobbin::cli
