// Users, groups and roles (docs.couchbase.com, "Role Based Access Control (RBAC)" of the REST API).

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "admin/admission.h"
#include "admin/json_writer.h"
#include "admin/route.h"
#include "serve/users.h"

namespace bobbin::admin {
namespace {

using serve::Role;
using serve::User;
using serve::UserGroup;
using serve::UsersError;
using serve::UserTable;

void write_role_names(JsonWriter& json, const Role& role) {
  const serve::RoleKind* const kind = serve::role_kind(role.name);
  json.member("role", role.name);
  if (kind == nullptr || kind->reach == serve::RoleReach::server) return;
  const auto name = [](const std::string& text) { return text.empty() ? std::string("*") : text; };
  json.member("bucket_name", name(role.bucket));
  if (kind->reach != serve::RoleReach::collection) return;
  json.member("scope_name", name(role.scope)).member("collection_name", name(role.collection));
}

/// Each role once, with where it comes from.
void write_roles(JsonWriter& json, const UserTable& table, const User& user) {
  std::vector<Role> all;
  for (Role& role : serve::roles_of(table, user))
    if (std::find(all.begin(), all.end(), role) == all.end()) all.push_back(std::move(role));
  const auto has = [](const std::vector<Role>& roles, const Role& role) {
    return std::find(roles.begin(), roles.end(), role) != roles.end();
  };
  json.key("roles").begin_array();
  for (const Role& role : all) {
    json.begin_object();
    write_role_names(json, role);
    json.key("origins").begin_array();
    if (has(user.roles, role)) json.begin_object().member("type", "user").end();
    for (const std::string& name : user.groups) {
      const auto group = table.groups.find(name);
      if (group != table.groups.end() && has(group->second.roles, role))
        json.begin_object().member("type", "group").member("name", name).end();
    }
    json.end().end();
  }
  json.end();
}

std::string time_text(uint64_t unix_s) {
  const auto seconds = static_cast<std::time_t>(unix_s);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.000Z", parts);
}

void write_user(JsonWriter& json, const UserTable& table, const User& user) {
  json.begin_object();
  json.member("id", user.name).member("domain", "local").member("name", user.full_name);
  write_roles(json, table, user);
  json.key("groups").begin_array();
  for (const std::string& group : user.groups)
    json.value(group);
  json.end().key("external_groups").begin_array().end();
  json.member("password_change_date", time_text(user.password_changed_s));
  json.end();
}

void write_group(JsonWriter& json, const UserGroup& group) {
  json.begin_object().member("id", group.name).member("description", group.description);
  json.key("roles").begin_array();
  for (const Role& role : group.roles) {
    json.begin_object();
    write_role_names(json, role);
    json.end();
  }
  json.end().member("ldap_group_ref", "").end();
}

HttpResponse refuse(std::string_view field, std::string_view why) {
  JsonWriter json;
  json.begin_object().key("errors").begin_object().member(field, why).end().end();
  return json_answer(json.take(), 400);
}

const HttpResponse kDone{.body = "\"\""};

/// Writes down what was done, or why not, and makes the answer of it. `field` is what the error is about.
HttpResponse tell(const Call& call, std::string_view action, std::string_view object, std::string_view field,
                  const base::Result<void, UsersError>& done, std::string_view missing_text) {
  const std::string_view detail = done ? std::string_view() : std::string_view(done.error().message);
  call.engine().audit.admin({call.user, call.peer, action, object, done.has_value(), detail});
  if (done) return kDone;
  switch (done.error().kind) {
    case UsersError::Kind::missing:
      return json_answer(wire::json_string(missing_text), 404);
    case UsersError::Kind::disk:
      return text_answer(done.error().message + "\n", 500);
    case UsersError::Kind::invalid:
    case UsersError::Kind::exists:
      break;
  }
  return refuse(field, done.error().message);
}

constexpr std::string_view kNoUser = "User was not found.";
constexpr std::string_view kNoGroup = "Group was not found.";

/// After the change somebody must be able to change it back: without an administrator nobody could manage
/// this server, and without any user everybody could.
base::Result<void, UsersError> expect_administrator(const UserTable& after) {
  const auto is_admin = [&](const auto& named) {
    const auto privileges = serve::server_privileges(serve::roles_of(after, named.second));
    return (privileges & serve::kManageUsers) != 0;
  };
  if (std::any_of(after.users.begin(), after.users.end(), is_admin)) return {};
  return base::fail(
      UsersError{UsersError::Kind::invalid,
                 "there has to be a user with the role admin after this: nobody else could manage the "
                 "server (with the server stopped, `bobbin user` does what is asked of it)"});
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view word = text.substr(0, comma);
    if (!word.empty()) words.emplace_back(word);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return words;
}

HttpResponse handle_users(const Call& call) {
  const auto table = call.engine().users.table();
  JsonWriter json;
  json.begin_array();
  for (const auto& [_, user] : table->users)
    write_user(json, *table, user);
  json.end();
  return json_answer(json.take());
}

HttpResponse handle_user(const Call& call) {
  const auto table = call.engine().users.table();
  const auto user = table->users.find(call.names[0]);
  if (user == table->users.end()) return json_answer(wire::json_string(kNoUser), 404);
  JsonWriter json;
  write_user(json, *table, user->second);
  return json_answer(json.take());
}

HttpResponse handle_whoami(const Call& call) {
  const auto table = call.engine().users.table();
  const auto user = table->users.find(call.user);
  JsonWriter json;
  if (user != table->users.end())
    write_user(json, *table, user->second);
  else
    json.begin_object().member("id", "").member("domain", "anonymous").key("roles").begin_array().end().end();
  return json_answer(json.take());
}

HttpResponse handle_put_user(const Call& call) {
  const auto form = parse_form(call.request.body);
  if (!form) return refuse("_", "The body is no form.");
  serve::UserChange change;
  change.name = call.names[0];
  if (const std::string* password = form_value(*form, "password")) change.password = *password;
  if (const std::string* name = form_value(*form, "name")) change.full_name = *name;
  if (const std::string* groups = form_value(*form, "groups")) change.groups = split(*groups);
  if (const std::string* text = form_value(*form, "roles")) {
    auto roles = serve::parse_roles(*text);
    if (!roles) return refuse("roles", "Cannot assign roles to user: " + roles.error().message);
    change.roles = std::move(*roles);
  }
  serve::Users& users = call.engine().users;
  UserTable after = *users.table();
  User& user = after.users[change.name];
  if (change.roles) user.roles = *change.roles;
  if (change.groups) user.groups = *change.groups;
  auto done = expect_administrator(after);
  const std::string_view field = !done ? "roles" : change.password ? "_" : "password";
  if (done) done = users.put(change);
  return tell(call, "change user", change.name, field, done, kNoUser);
}

HttpResponse handle_delete_user(const Call& call) {
  serve::Users& users = call.engine().users;
  UserTable after = *users.table();
  base::Result<void, UsersError> done;
  if (after.users.erase(call.names[0]) > 0) done = expect_administrator(after);
  if (done) done = users.remove(call.names[0]);
  return tell(call, "remove user", call.names[0], "_", done, kNoUser);
}

HttpResponse handle_change_password(const Call& call) {
  const auto form = parse_form(call.request.body);
  const std::string* const password = form ? form_value(*form, "password") : nullptr;
  if (password == nullptr) return refuse("password", "The password is missing.");
  if (call.user.empty()) return refuse("_", "Nobody has logged in.");
  serve::UserChange change;
  change.name = call.user;
  change.password = *password;
  return tell(call, "change password", call.user, "password", call.engine().users.change(change), kNoUser);
}

HttpResponse handle_roles(const Call&) {
  JsonWriter json;
  json.begin_array();
  for (const serve::RoleKind& kind : serve::role_kinds()) {
    Role role;
    role.name = kind.name;
    json.begin_object();
    write_role_names(json, role);
    json.member("name", kind.title).member("desc", kind.description).end();
  }
  json.end();
  return json_answer(json.take());
}

HttpResponse handle_groups(const Call& call) {
  const auto table = call.engine().users.table();
  JsonWriter json;
  json.begin_array();
  for (const auto& [_, group] : table->groups)
    write_group(json, group);
  json.end();
  return json_answer(json.take());
}

HttpResponse handle_group(const Call& call) {
  const auto table = call.engine().users.table();
  const auto group = table->groups.find(call.names[0]);
  if (group == table->groups.end()) return json_answer(wire::json_string(kNoGroup), 404);
  JsonWriter json;
  write_group(json, group->second);
  return json_answer(json.take());
}

HttpResponse handle_put_group(const Call& call) {
  const auto form = parse_form(call.request.body);
  if (!form) return refuse("_", "The body is no form.");
  const auto value = [&](std::string_view name) {
    const std::string* const text = form_value(*form, name);
    return text == nullptr ? std::string() : *text;
  };
  auto roles = serve::parse_roles(value("roles"));
  if (!roles) return refuse("roles", "Cannot assign roles to group: " + roles.error().message);
  if (!value("ldap_group_ref").empty()) return refuse("ldap_group_ref", "There is no LDAP here.");
  const UserGroup group{call.names[0], value("description"), std::move(*roles)};
  serve::Users& users = call.engine().users;
  UserTable after = *users.table();
  after.groups.insert_or_assign(group.name, group);
  base::Result<void, UsersError> done;
  if (!after.users.empty()) done = expect_administrator(after);
  if (done) done = users.put_group(group);
  return tell(call, "change group", group.name, "_", done, kNoGroup);
}

HttpResponse handle_delete_group(const Call& call) {
  serve::Users& users = call.engine().users;
  UserTable after = *users.table();
  base::Result<void, UsersError> done;
  if (after.groups.erase(call.names[0]) > 0 && !after.users.empty()) done = expect_administrator(after);
  if (done) done = users.remove_group(call.names[0]);
  return tell(call, "remove group", call.names[0], "_", done, kNoGroup);
}

using serve::kManageUsers;
using serve::kReadUsers;
constexpr Route kRoutes[] = {
    {"GET", "/whoami", Door::users, 0, handle_whoami},
    {"GET", "/settings/rbac/roles", Door::users, kReadUsers, handle_roles},
    {"GET", "/settings/rbac/users", Door::users, kReadUsers, handle_users},
    {"GET", "/settings/rbac/users/local", Door::users, kReadUsers, handle_users},
    {"GET", "/settings/rbac/users/local/{user}", Door::users, kReadUsers, handle_user},
    {"PUT", "/settings/rbac/users/local/{user}", Door::users, kManageUsers, handle_put_user, true},
    {"DELETE", "/settings/rbac/users/local/{user}", Door::users, kManageUsers, handle_delete_user, true},
    {"GET", "/settings/rbac/groups", Door::users, kReadUsers, handle_groups},
    {"GET", "/settings/rbac/groups/{group}", Door::users, kReadUsers, handle_group},
    {"PUT", "/settings/rbac/groups/{group}", Door::users, kManageUsers, handle_put_group, true},
    {"DELETE", "/settings/rbac/groups/{group}", Door::users, kManageUsers, handle_delete_group, true},
    {"POST", "/controller/changePassword", Door::users, 0, handle_change_password, true},
};

}  // namespace

std::span<const Route> user_routes() {
  return kRoutes;
}

}  // namespace bobbin::admin
