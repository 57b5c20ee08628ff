#include "serve/users_file.h"

#include <gtest/gtest.h>

#include <string>

#include "store/key_hash.h"

namespace bobbin::serve {
namespace {

constexpr const char* kPath = "/data/users.json";

UserTable table() {
  UserTable table;
  table.decoy_key = std::string(kDecoyKeyBytes, 'k');
  for (const char* name : {"app",
                           "\xc3\xa4"
                           "dmin"}) {
    User user;
    user.name = name;
    user.full_name = "A \"name\"\\ with\nall";
    user.roles = *parse_roles("admin,data_reader[b:s:c],data_writer[*]");
    user.password_changed_s = 1'790'000'000;
    for (size_t i = 0; i < user.keys.size(); ++i)
      user.keys[i] = wire::scram_keys(static_cast<wire::Hash>(i), "secret", std::string(16, 's'), 2);
    table.users.emplace(name, user);
  }
  return table;
}

/// The text with its checksum made right again: what somebody wrote who knew how.
std::string resealed(std::string text) {
  const size_t at = text.rfind(",\n\"checksum\"");
  text.resize(at);
  return text + ",\n\"checksum\":" + std::to_string(store::crc32(text)) + "}\n";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return resealed(text.replace(at, from.size(), to));
}

TEST(UsersFile, reads_what_it_writes) {
  const UserTable written = table();
  const auto read = decode_users(encode_users(written), kPath);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->decoy_key, written.decoy_key);
  ASSERT_EQ(read->users.size(), 2U);
  for (const auto& [name, user] : written.users) {
    const User& back = read->users.at(name);
    EXPECT_EQ(back.name, user.name);
    EXPECT_EQ(back.full_name, user.full_name);
    EXPECT_EQ(back.roles, user.roles);
    EXPECT_EQ(back.password_changed_s, user.password_changed_s);
    for (size_t i = 0; i < user.keys.size(); ++i) {
      EXPECT_EQ(back.keys[i].salt, user.keys[i].salt);
      EXPECT_EQ(back.keys[i].iterations, user.keys[i].iterations);
      EXPECT_EQ(back.keys[i].stored_key.view(), user.keys[i].stored_key.view());
      EXPECT_EQ(back.keys[i].server_key.view(), user.keys[i].server_key.view());
    }
  }
  EXPECT_EQ(encode_users(*read), encode_users(written));
}

TEST(UsersFile, without_users_is_a_file_too) {
  UserTable empty;
  empty.decoy_key = std::string(kDecoyKeyBytes, 'k');
  const auto read = decode_users(encode_users(empty), kPath);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->users.empty());
}

UserTable table_with_groups() {
  UserTable table = serve::table();
  table.groups["g"] = {"g", "who \"reads\"", *parse_roles("data_reader[*]")};
  table.groups["h"] = {"h", "", {}};
  table.users.at("app").groups = {"h", "g"};
  return table;
}

TEST(UsersFile, has_groups_where_there_are_some) {
  const UserTable written = table_with_groups();
  const auto read = decode_users(encode_users(written), kPath);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->groups.size(), 2U);
  EXPECT_EQ(read->groups.at("g").description, "who \"reads\"");
  EXPECT_EQ(read->groups.at("g").roles, *parse_roles("data_reader[*]"));
  EXPECT_EQ(read->users.at("app").groups, (std::vector<std::string>{"h", "g"}));
  EXPECT_EQ(encode_users(*read), encode_users(written));
  EXPECT_NE(encode_users(table()).find("{\"format\":1,"), std::string::npos) << "as before there were groups";
  for (const auto& [from, to] : {std::pair("\"groups\":[\"h\",\"g\"]", "\"groups\":[\"h\",\"x\"]"),
                                 std::pair("\"groups\":[\"h\",\"g\"]", "\"groups\":1"),
                                 std::pair("{\"name\":\"h\"", "{\"name\":\"g\""),
                                 std::pair("\"description\":\"\"", "\"description\":1")})
    EXPECT_FALSE(decode_users(replaced(encode_users(written), from, to), kPath)) << to;
}

TEST(UsersFile, has_no_password_in_it) {
  EXPECT_EQ(encode_users(table()).find("secret"), std::string::npos);
}

TEST(UsersFile, every_flipped_bit_is_noticed_and_the_file_named) {
  const std::string text = encode_users(table());
  for (size_t at = 0; at < text.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      const auto read = decode_users(changed, kPath);
      ASSERT_FALSE(read) << at << " bit " << bit;
      ASSERT_NE(read.error().message.find(kPath), std::string::npos);
    }
  }
}

TEST(UsersFile, every_missing_end_is_noticed) {
  const std::string text = encode_users(table());
  for (size_t size = 0; size + 1 < text.size(); ++size)
    ASSERT_FALSE(decode_users(text.substr(0, size), kPath)) << size;
}

TEST(UsersFile, takes_nothing_that_only_has_the_right_checksum) {
  const std::string text = encode_users(table());
  ASSERT_TRUE(decode_users(resealed(text), kPath));
  const std::pair<const char*, const char*> changes[] = {
      {"\"name\":\"app\"", "\"name\":\"a p\""},
      {"\"name\":\"app\"",
       "\"name\":\"\xc3\xa4"
       "dmin\""},  // twice
      {"\"name\":\"app\"", "\"name\":1"},
      {"\"full_name\"", "\"fullname\""},
      {"\"roles\":[\"admin\"", "\"roles\":[\"king\""},
      {"\"roles\":[\"admin\"", "\"roles\":[1"},
      {"\"password_changed\":1790000000", "\"password_changed\":-1"},
      {"\"iterations\":2", "\"iterations\":0"},
      {"\"iterations\":2", "\"iterations\":10000001"},
      {"\"iterations\":2", "\"iterations\":2,\"more\":1"},
      {"\"salt\":\"", "\"salt\":\"!"},
      {"\"salt\":\"c3Nzc3Nzc3Nzc3Nzc3Nzcw==\"", "\"salt\":\"\""},
      {"\"stored_key\":\"", "\"stored_key\":\"AAAA"},
      {"\"SCRAM-SHA1\"", "\"SCRAM-MD5\""},
      {"\"decoy_key\":\"", "\"decoy_key\":\"AAAA"},
      {"\"format\":1", "\"format\":0"},
      {"\"format\":1,", ""},
      {"\"users\":[", "\"more\":1,\"users\":["},
  };
  for (const auto& [from, to] : changes) {
    const auto read = decode_users(replaced(text, from, to), kPath);
    ASSERT_FALSE(read) << to;
    EXPECT_EQ(read.error().kind, disk::ErrorKind::corrupt);
  }
}

TEST(UsersFile, of_a_later_version_is_not_called_damaged) {
  const auto read = decode_users("{\"format\":3,\"what\":[]}", kPath);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, disk::ErrorKind::other_version);
}

}  // namespace
}  // namespace bobbin::serve
