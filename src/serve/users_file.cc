#include "serve/users_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "serve/user_names.h"
#include "store/key_hash.h"
#include "wire/base64.h"
#include "wire/json_text.h"
#include "wire/json_value.h"

namespace bobbin::serve {
namespace {

using wire::JsonValue;

constexpr uint64_t kFormatWithoutGroups = 1;
constexpr std::string_view kChecksumAt = ",\n\"checksum\":";

std::string base64_string(std::string_view bytes) {
  std::string text(wire::base64_chars(bytes.size()), '\0');
  text.resize(wire::encode_base64(bytes, text.data()));
  return '"' + text + '"';
}

std::string encode_keys(const User& user) {
  std::string text;
  for (size_t i = 0; i < user.keys.size(); ++i) {
    const wire::ScramKeys& keys = user.keys[i];
    text += fmt::format(R"({}"{}":{{"iterations":{},"salt":{},"stored_key":{},"server_key":{}}})",
                        i == 0 ? "" : ",", wire::scram_mechanism(static_cast<wire::Hash>(i)), keys.iterations,
                        base64_string(keys.salt), base64_string(keys.stored_key.view()),
                        base64_string(keys.server_key.view()));
  }
  return text;
}

std::string encode_roles(const std::vector<Role>& roles) {
  std::string text;
  for (const Role& role : roles)
    text += (text.empty() ? "" : ",") + wire::json_string(role_text(role));
  return text;
}

std::string encode_user(const User& user) {
  std::string groups;
  for (const std::string& group : user.groups)
    groups += (groups.empty() ? ",\"groups\":[" : ",") + wire::json_string(group);
  if (!groups.empty()) groups += ']';
  return fmt::format(
      "{{\"name\":{},\"full_name\":{},\"roles\":[{}]{},\"password_changed\":{},\n  \"keys\":{{{}}}}}",
      wire::json_string(user.name), wire::json_string(user.full_name), encode_roles(user.roles), groups,
      user.password_changed_s, encode_keys(user));
}

std::string encode_group(const UserGroup& group) {
  return fmt::format(R"({{"name":{},"description":{},"roles":[{}]}})", wire::json_string(group.name),
                     wire::json_string(group.description), encode_roles(group.roles));
}

/// Reads the value of a text that has passed its checksum. What is missing or too much makes `is_damaged`
/// true.
class Reader {
 public:
  [[nodiscard]] bool is_damaged() const { return is_damaged_; }

  UserTable table(const JsonValue& root) {
    UserTable table;
    const JsonValue* const groups = root.member("groups");
    expect_members(root, groups == nullptr ? 4 : 5);
    if (groups != nullptr) read_groups(*groups, table);
    table.decoy_key = bytes(root.member("decoy_key"), kDecoyKeyBytes, kDecoyKeyBytes);
    const JsonValue* const users = root.member("users");
    if (users == nullptr || users->array() == nullptr) {
      is_damaged_ = true;
      return table;
    }
    for (const JsonValue& value : *users->array()) {
      User user = this->user(value);
      if (!is_user_name(user.name)) is_damaged_ = true;
      for (const std::string& group : user.groups)
        if (!table.groups.contains(group)) is_damaged_ = true;
      std::string name = user.name;
      if (!table.users.emplace(std::move(name), std::move(user)).second) is_damaged_ = true;
    }
    return table;
  }

 private:
  User user(const JsonValue& value) {
    User user;
    const JsonValue* const groups = value.member("groups");
    expect_members(value, groups == nullptr ? 5 : 6);
    if (groups != nullptr && groups->array() == nullptr) is_damaged_ = true;
    if (groups != nullptr && groups->array() != nullptr) {
      for (const JsonValue& group : *groups->array())
        user.groups.push_back(text(&group));
    }
    user.name = text(value.member("name"));
    user.full_name = text(value.member("full_name"));
    user.password_changed_s = number(value.member("password_changed"), UINT64_MAX);
    user.roles = roles(value.member("roles"));
    const JsonValue* const keys = value.member("keys");
    if (keys == nullptr) {
      is_damaged_ = true;
      return user;
    }
    expect_members(*keys, user.keys.size());
    for (size_t i = 0; i < user.keys.size(); ++i) {
      const auto hash = static_cast<wire::Hash>(i);
      user.keys[i] = this->keys(keys->member(wire::scram_mechanism(hash)), hash);
    }
    return user;
  }

  void read_groups(const JsonValue& value, UserTable& table) {
    if (value.array() == nullptr || value.array()->empty()) is_damaged_ = true;
    if (value.array() == nullptr) return;
    for (const JsonValue& element : *value.array()) {
      expect_members(element, 3);
      UserGroup group{text(element.member("name")), text(element.member("description")),
                      roles(element.member("roles"))};
      if (!is_user_name(group.name)) is_damaged_ = true;
      std::string name = group.name;
      if (!table.groups.emplace(std::move(name), std::move(group)).second) is_damaged_ = true;
    }
  }

  std::vector<Role> roles(const JsonValue* value) {
    std::vector<Role> roles;
    if (value == nullptr || value->array() == nullptr) {
      is_damaged_ = true;
      return roles;
    }
    for (const JsonValue& text : *value->array()) {
      auto role = parse_role(this->text(&text));
      if (role)
        roles.push_back(std::move(*role));
      else
        is_damaged_ = true;
    }
    return roles;
  }

  wire::ScramKeys keys(const JsonValue* value, wire::Hash hash) {
    wire::ScramKeys keys;
    if (value == nullptr) {
      is_damaged_ = true;
      return keys;
    }
    expect_members(*value, 4);
    const size_t size = wire::digest_bytes(hash);
    keys.iterations = static_cast<uint32_t>(number(value->member("iterations"), kMaxPasswordIterations));
    keys.salt = bytes(value->member("salt"), 1, kMaxSaltBytes);
    keys.stored_key = wire::Digest(bytes(value->member("stored_key"), size, size));
    keys.server_key = wire::Digest(bytes(value->member("server_key"), size, size));
    if (keys.iterations == 0) is_damaged_ = true;
    return keys;
  }

  void expect_members(const JsonValue& value, size_t count) {
    if (value.object() == nullptr || value.object()->size() != count) is_damaged_ = true;
  }

  std::string text(const JsonValue* value) {
    if (value != nullptr && value->string() != nullptr) return *value->string();
    is_damaged_ = true;
    return {};
  }

  uint64_t number(const JsonValue* value, uint64_t max) {
    const auto number = value == nullptr ? std::nullopt : value->number();
    if (number && *number <= max) return *number;
    is_damaged_ = true;
    return 0;
  }

  std::string bytes(const JsonValue* value, size_t min, size_t max) {
    const std::string text = this->text(value);
    std::string bytes(text.size() / 4 * 3, '\0');
    bytes.resize(wire::decode_base64(text, bytes.data()).value_or(0));
    if (bytes.size() < min || bytes.size() > max) is_damaged_ = true;
    return bytes;
  }

  bool is_damaged_ = false;
};

}  // namespace

std::string encode_users(const UserTable& table) {
  std::string text =
      fmt::format("{{\"format\":{},\n\"decoy_key\":{},\n\"users\":[",
                  table.groups.empty() ? kFormatWithoutGroups : kUsersFormat, base64_string(table.decoy_key));
  bool is_first = true;
  for (const auto& [name, user] : table.users) {
    text += (is_first ? "\n " : ",\n ") + encode_user(user);
    is_first = false;
  }
  text += is_first ? "]" : "\n]";
  std::string groups;
  for (const auto& [name, group] : table.groups)
    groups += (groups.empty() ? ",\n\"groups\":[\n " : ",\n ") + encode_group(group);
  if (!groups.empty()) text += groups + "\n]";
  const uint32_t checksum = store::crc32(text);
  return text.append(kChecksumAt) + std::to_string(checksum) + "}\n";
}

disk::Result<UserTable> decode_users(std::string_view text, const std::string& path) {
  const auto damaged = base::fail(disk::Error{
      disk::ErrorKind::corrupt, path,
      path +
          ": damaged: this is not what was written; restore it from a copy, or remove it and add the users "
          "again (bobbin user add)"});
  const auto root = JsonValue::parse(text);
  if (!root) return damaged;
  const JsonValue* const format = root->member("format");
  // Before the checksum: a later version may change all but this member.
  if (format != nullptr && format->number().value_or(0) > kUsersFormat) {
    return base::fail(disk::Error{disk::ErrorKind::other_version, path,
                                  path + ": written by a newer Bobbin: start that one"});
  }
  const size_t at = text.rfind(kChecksumAt);
  const JsonValue* const checksum = root->member("checksum");
  if (at == std::string_view::npos || checksum == nullptr || format == nullptr ||
      format->number().value_or(0) == 0 || checksum->number() != store::crc32(text.substr(0, at)))
    return damaged;
  Reader reader;
  UserTable table = reader.table(*root);
  if (reader.is_damaged()) return damaged;
  return table;
}

}  // namespace bobbin::serve
