#pragma once

#include <string>
#include <string_view>

#include "disk/error.h"
#include "serve/user.h"

namespace bobbin::serve {

/// The file of users: a JSON object, one user a line, for people to look at. Not to be edited: the last
/// member is a checksum over everything before it, because a changed letter in a role would read as well as
/// the right one. Never in it: a password.
///
///   {"format":1,
///    "decoy_key":"base64",
///    "users":[
///     {"name":"app","full_name":"","roles":["data_reader[b]"],"password_changed":1790000000,
///      "keys":{"SCRAM-SHA512":{"iterations":15000,"salt":"…","stored_key":"…","server_key":"…"},…}}
///    ],
///    "groups":[{"name":"g","description":"","roles":["data_reader[b]"]}],
///    "checksum":123}
///
/// Where there are no groups there is no such member; a user that is in some has their names in "groups".

/// A file without groups is one of the format before, which knew none.
inline constexpr uint64_t kUsersFormat = 2;
/// A decoy key, and salts.
inline constexpr size_t kDecoyKeyBytes = 32;
inline constexpr size_t kMaxSaltBytes = 64;
/// More would hold up whoever checks a password for minutes.
inline constexpr uint64_t kMaxPasswordIterations = 10'000'000;

[[nodiscard]] std::string encode_users(const UserTable& table);
/// Every member and nothing else, keys of the right lengths, roles that there are: everything that is not
/// what encode_users writes is an error that names the file. `path` is for the messages.
[[nodiscard]] disk::Result<UserTable> decode_users(std::string_view text, const std::string& path);

}  // namespace bobbin::serve
