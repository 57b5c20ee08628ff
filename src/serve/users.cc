#include "serve/users.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "disk/system_file.h"
#include "serve/user_names.h"
#include "serve/users_file.h"

namespace bobbin::serve {
namespace {

constexpr size_t kSaltBytes = 16;
constexpr size_t kMaxDescriptionBytes = 1024;
constexpr std::array kHashes = {wire::Hash::sha1, wire::Hash::sha256, wire::Hash::sha512};

base::Result<void, UsersError> refuse(UsersError::Kind kind, std::string message) {
  return base::fail(UsersError{kind, std::move(message)});
}

base::Result<void, UsersError> check(const UserChange& change) {
  using Kind = UsersError::Kind;
  if (!is_user_name(change.name)) {
    return refuse(
        Kind::invalid,
        "the name of a user has 1 to 128 bytes of UTF-8, without spaces, ( ) < > , ; : \\ \" / [ ] ? = "
        "{ }, and without @ at its beginning");
  }
  if (change.password && !is_password_text(*change.password))
    return refuse(Kind::invalid, "a password has 1 to 512 bytes of UTF-8, none of them NUL");
  if (change.full_name &&
      (change.full_name->size() > 4 * kMaxUserNameBytes || !wire::is_utf8(*change.full_name)))
    return refuse(Kind::invalid, "a full name has at most 512 bytes of UTF-8");
  return {};
}

constexpr auto kPasswordHash = wire::Hash::sha512;  // of those that are sent in clear

PasswordKeys keys_of(std::string_view password, uint32_t iterations) {
  PasswordKeys keys;
  for (const wire::Hash hash : kHashes) {
    keys[static_cast<size_t>(hash)] =
        wire::scram_keys(hash, password, wire::random_bytes(kSaltBytes), iterations);
  }
  return keys;
}

}  // namespace

disk::Result<std::unique_ptr<Users>> Users::open(UsersOptions options) {
  UserTable table;
  std::optional<std::string> text;
  if (!options.path.empty()) {
    auto read = disk::read_file(options.path);
    if (!read) return base::fail(std::move(read.error()));
    text = std::move(*read);
  }
  if (text) {
    auto decoded = decode_users(*text, options.path);
    if (!decoded) return base::fail(std::move(decoded.error()));
    table = std::move(*decoded);
  } else {
    table.decoy_key = wire::random_bytes(kDecoyKeyBytes);
  }
  options.iterations = std::clamp<uint32_t>(options.iterations, 1, kMaxPasswordIterations);
  auto users = std::unique_ptr<Users>(new Users(std::move(options)));
  const base::MutexLock lock(users->mutex_);
  users->snapshot_ = make_snapshot(std::move(table));
  return users;
}

std::unique_ptr<Users> Users::nobody(const base::Clock& clock) {
  auto users = open({.path = {}, .clock = &clock});
  return std::move(*users);  // without a file nothing can fail
}

std::shared_ptr<const Users::Snapshot> Users::make_snapshot(UserTable table) {
  std::set<uint32_t> iterations;
  for (const auto& [_, user] : table.users) {
    for (const wire::ScramKeys& keys : user.keys)
      iterations.insert(keys.iterations);
  }
  return std::make_shared<const Snapshot>(
      Snapshot{std::move(table), std::vector<uint32_t>(iterations.begin(), iterations.end())});
}

std::shared_ptr<const Users::Snapshot> Users::snapshot() const {
  const base::MutexLock lock(mutex_);
  return snapshot_;
}

std::shared_ptr<const UserTable> Users::table() const {
  const auto snapshot = this->snapshot();
  return {snapshot, &snapshot->table};
}

std::shared_ptr<const User> Users::find(std::string_view name) const {
  const auto table = this->table();
  const auto found = table->users.find(name);
  if (found == table->users.end()) return nullptr;
  return {table, &found->second};
}

Access Users::access(std::string_view name, std::string_view bucket, const CollectionIds& ids) const {
  const auto table = this->table();
  const auto user = table->users.find(name);
  return user == table->users.end() ? Access() : Access(roles_of(*table, user->second), bucket, ids);
}

/// The keys that a user of this name would have. How many iterations: one of the numbers that real users
/// have, chosen by the name, so that a setting that was changed does not tell them apart.
wire::ScramKeys Users::decoy_keys(const Snapshot& snapshot, wire::Hash hash, std::string_view name) const {
  const auto made_up = [&](std::string_view what) {
    const std::string text = std::string(wire::scram_mechanism(hash)) + '\0' + std::string(what) + '\0';
    return wire::hmac(wire::Hash::sha512, snapshot.table.decoy_key, text + std::string(name));
  };
  wire::ScramKeys keys;
  const size_t chosen = static_cast<unsigned char>(made_up("iterations").view()[0]);
  keys.iterations = snapshot.iterations.empty() ? options_.iterations
                                                : snapshot.iterations[chosen % snapshot.iterations.size()];
  keys.salt = made_up("salt").view().substr(0, kSaltBytes);
  keys.stored_key = wire::Digest(made_up("stored").view().substr(0, wire::digest_bytes(hash)));
  keys.server_key = wire::Digest(made_up("server").view().substr(0, wire::digest_bytes(hash)));
  return keys;
}

LoginKeys Users::login_keys(wire::Hash hash, std::string_view name) const {
  const auto snapshot = this->snapshot();
  // Made up for everybody, so that it takes as long for those who exist.
  LoginKeys login{decoy_keys(*snapshot, hash, name), false};
  const auto& users = snapshot->table.users;
  const auto found = users.find(name);
  if (found == users.end()) return login;
  return {found->second.keys_for(hash), true};
}

bool Users::recognises(std::string_view name, std::string_view password) const {
  const LoginKeys login = login_keys(kPasswordHash, name);
  const wire::Digest seen = wire::hmac(kPasswordHash, recognition_key_, password);
  const auto is_same = [](const wire::Digest& a, const wire::Digest& b) {
    return wire::equal_in_constant_time(a.view(), b.view());
  };
  const base::MutexLock lock(mutex_);
  const auto known = recognised_.find(name);
  return login.is_known && known != recognised_.end() &&
         is_same(known->second.stored_key, login.keys.stored_key) && is_same(known->second.password, seen);
}

bool Users::is_password(std::string_view name, std::string_view password) {
  if (!is_password_text(password)) return false;
  if (recognises(name, password)) return true;
  const LoginKeys login = login_keys(kPasswordHash, name);
  const bool is_right = wire::is_password(login.keys, kPasswordHash, password);
  if (!is_right || !login.is_known) return false;
  const wire::Digest seen = wire::hmac(kPasswordHash, recognition_key_, password);
  const base::MutexLock lock(mutex_);
  recognised_.insert_or_assign(std::string(name), Recognised{login.keys.stored_key, seen});
  return true;
}

Users::Done Users::add(const UserChange& change) {
  return apply(change, false, true, nullptr);
}

Users::Done Users::change(const UserChange& change) {
  return apply(change, true, false, nullptr);
}

Users::Done Users::put(const UserChange& change, bool* was_there) {
  return apply(change, true, true, was_there);
}

Users::Done Users::apply(const UserChange& change, bool may_exist, bool may_be_new, bool* was_there) {
  if (auto checked = check(change); !checked) return checked;
  const std::lock_guard lock(changing_);
  UserTable next = *table();
  const auto found = next.users.find(change.name);
  const bool is_there = found != next.users.end();
  if (was_there != nullptr) *was_there = is_there;
  if (is_there && !may_exist)
    return refuse(UsersError::Kind::exists, "there is a user \"" + change.name + "\"");
  if (!is_there && !may_be_new)
    return refuse(UsersError::Kind::missing, "there is no user \"" + change.name + "\"");
  if (!is_there && !change.password) return refuse(UsersError::Kind::invalid, "a new user needs a password");
  for (const std::string& group : change.groups.value_or(std::vector<std::string>())) {
    if (!next.groups.contains(group))
      return refuse(UsersError::Kind::invalid, "there is no group \"" + group + "\"");
  }
  User& user = next.users[change.name];
  user.name = change.name;
  if (change.full_name) user.full_name = *change.full_name;
  if (change.roles) user.roles = *change.roles;
  if (change.groups) user.groups = *change.groups;
  if (change.password) {
    user.keys = keys_of(*change.password, options_.iterations);
    user.password_changed_s = options_.clock == nullptr ? 0 : options_.clock->now().unix_s();
  }
  return replace(std::move(next));
}

Users::Done Users::remove(std::string_view name) {
  const std::lock_guard lock(changing_);
  UserTable next = *table();
  const auto found = next.users.find(name);
  if (found == next.users.end())
    return refuse(UsersError::Kind::missing, "there is no user \"" + std::string(name) + "\"");
  next.users.erase(found);
  return replace(std::move(next));
}

Users::Done Users::put_group(const UserGroup& group) {
  if (!is_user_name(group.name))
    return refuse(UsersError::Kind::invalid, "the name of a group is made like a user's");
  if (group.description.size() > kMaxDescriptionBytes || !wire::is_utf8(group.description))
    return refuse(UsersError::Kind::invalid, "a description has at most 1024 bytes of UTF-8");
  const std::lock_guard lock(changing_);
  UserTable next = *table();
  next.groups.insert_or_assign(group.name, group);
  return replace(std::move(next));
}

Users::Done Users::remove_group(std::string_view name) {
  const std::lock_guard lock(changing_);
  UserTable next = *table();
  const auto found = next.groups.find(name);
  if (found == next.groups.end())
    return refuse(UsersError::Kind::missing, "there is no group \"" + std::string(name) + "\"");
  next.groups.erase(found);
  for (auto& [_, user] : next.users)
    std::erase(user.groups, name);
  return replace(std::move(next));
}

Users::Done Users::replace(UserTable table) {
  if (!options_.path.empty()) {
    const auto written = disk::replace_file(options_.path, encode_users(table), disk::kSecretFileMode);
    if (!written) return refuse(UsersError::Kind::disk, written.error().message);
  }
  const base::MutexLock lock(mutex_);
  std::erase_if(recognised_, [&](const auto& known) {
    const auto user = table.users.find(known.first);
    return user == table.users.end() ||
           user->second.keys_for(wire::Hash::sha512).stored_key.view() != known.second.stored_key.view();
  });
  snapshot_ = make_snapshot(std::move(table));
  generation_.fetch_add(1, std::memory_order_release);
  return {};
}

}  // namespace bobbin::serve
