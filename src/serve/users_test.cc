#include "serve/users.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "disk/disk_test_support.h"

namespace bobbin::serve {
namespace {

constexpr uint32_t kIterations = 3;

class UsersTest : public testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return folder_.path() + "/users.json"; }
  [[nodiscard]] UsersOptions options(uint32_t iterations = kIterations) const {
    return {path(), iterations, &clock_};
  }
  std::unique_ptr<Users> open(uint32_t iterations = kIterations) {
    auto users = Users::open(options(iterations));
    EXPECT_TRUE(users) << users.error().message;
    return std::move(*users);
  }
  static UserChange change(const std::string& name, const std::string& password, const std::string& roles) {
    return {name, password, {}, *parse_roles(roles)};
  }

  base::ManualClock clock_;
  disk::TemporaryFolder folder_;
};

TEST_F(UsersTest, there_are_none_at_first) {
  const auto users = open();
  EXPECT_TRUE(users->empty());
  EXPECT_EQ(users->find("app"), nullptr);
  EXPECT_FALSE(users->is_password("app", "secret"));
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(UsersTest, are_kept) {
  ASSERT_TRUE(open()->add(change("app", "secret", "data_reader[b]")));
  const auto users = open();
  const auto user = users->find("app");
  ASSERT_NE(user, nullptr);
  EXPECT_EQ(role_text(user->roles.at(0)), "data_reader[b]");
  EXPECT_EQ(user->password_changed_s, clock_.now().unix_s());
  EXPECT_TRUE(users->is_password("app", "secret"));
  EXPECT_FALSE(users->is_password("app", "secrets"));
  EXPECT_FALSE(users->is_password("app", ""));
  EXPECT_FALSE(users->is_password("App", "secret"));
}

TEST_F(UsersTest, their_file_is_for_its_owner_alone) {
  std::ofstream(path() + ".new") << "left by a crash, and readable";
  ::chmod((path() + ".new").c_str(), 0666);
  ASSERT_TRUE(open()->add(change("app", "secret", "")));
  struct stat status {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_FALSE(std::filesystem::exists(path() + ".new"));
}

TEST_F(UsersTest, damage_is_an_error_that_names_the_file) {
  ASSERT_TRUE(open()->add(change("app", "secret", "")));
  for (const char* text : {"", "{}", "[]", "\n"}) {
    std::ofstream(path(), std::ios::trunc) << text;
    const auto users = Users::open(options());
    ASSERT_FALSE(users) << text;
    EXPECT_EQ(users.error().kind, disk::ErrorKind::corrupt);
    EXPECT_NE(users.error().message.find(path()), std::string::npos);
  }
}

TEST_F(UsersTest, what_cannot_be_written_has_not_happened) {
  const auto users = open();
  ASSERT_TRUE(users->add(change("app", "secret", "")));
  const uint64_t generation = users->generation();
  std::filesystem::create_directory(path() + ".new");
  const auto failed = users->add(change("other", "secret", ""));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, UsersError::Kind::disk);
  EXPECT_EQ(users->find("other"), nullptr);
  EXPECT_EQ(users->generation(), generation);
  EXPECT_NE(users->find("app"), nullptr);
}

TEST_F(UsersTest, change_in_parts) {
  const auto users = open();
  ASSERT_TRUE(users->add(change("app", "secret", "admin")));
  clock_.advance_s(10);
  ASSERT_TRUE(users->change({"app", std::nullopt, "Full Name", std::nullopt}));
  EXPECT_EQ(users->find("app")->full_name, "Full Name");
  EXPECT_EQ(users->find("app")->roles.size(), 1U);
  EXPECT_LT(users->find("app")->password_changed_s, clock_.now().unix_s());
  EXPECT_TRUE(users->is_password("app", "secret"));
  ASSERT_TRUE(users->change({"app", "other", std::nullopt, *parse_roles("ro_admin")}));
  EXPECT_EQ(users->find("app")->full_name, "Full Name");
  EXPECT_EQ(role_text(users->find("app")->roles.at(0)), "ro_admin");
  EXPECT_EQ(users->find("app")->password_changed_s, clock_.now().unix_s());
  EXPECT_FALSE(users->is_password("app", "secret"));
  EXPECT_TRUE(users->is_password("app", "other"));
}

TEST_F(UsersTest, are_added_once_changed_when_there_and_put_either_way) {
  const auto users = open();
  EXPECT_EQ(users->change(change("app", "secret", "")).error().kind, UsersError::Kind::missing);
  bool was_there = true;
  EXPECT_EQ(users->put({"app", std::nullopt, std::nullopt, std::nullopt}).error().kind,
            UsersError::Kind::invalid);
  ASSERT_TRUE(users->put(change("app", "secret", ""), &was_there));
  EXPECT_FALSE(was_there);
  ASSERT_TRUE(users->put(change("app", "secret", "admin"), &was_there));
  EXPECT_TRUE(was_there);
  EXPECT_EQ(users->add(change("app", "secret", "")).error().kind, UsersError::Kind::exists);
  EXPECT_EQ(users->remove("other").error().kind, UsersError::Kind::missing);
  ASSERT_TRUE(users->remove("app"));
  EXPECT_TRUE(users->empty());
  EXPECT_FALSE(users->is_password("app", "secret"));
}

TEST_F(UsersTest, names_and_passwords_that_are_none) {
  const auto users = open();
  for (const std::string name : {"", " ", "a b", "@a", "a/b", "a:b", "a\nb", "a\x7f", "a\xff", "a\"b", "a=b"})
    EXPECT_FALSE(users->add(change(name, "secret", ""))) << name;
  EXPECT_FALSE(users->add(change(std::string(129, 'a'), "secret", "")));
  EXPECT_FALSE(users->add(change("app", "", "")));
  EXPECT_FALSE(users->add(change("app", std::string("a\0b", 3), "")));
  EXPECT_FALSE(users->add(change("app", "\xff", "")));
  EXPECT_FALSE(users->add(change("app", std::string(513, 'a'), "")));
  EXPECT_TRUE(users->empty());
  EXPECT_TRUE(users->add(change("\xc3\xa4@b.c-d_e", "\xc3\xa4 b", "")));
}

TEST_F(UsersTest, every_change_has_a_generation_of_its_own) {
  const auto users = open();
  std::set<uint64_t> generations{0, users->generation()};
  ASSERT_TRUE(users->add(change("app", "secret", "")));
  EXPECT_TRUE(generations.insert(users->generation()).second);
  ASSERT_TRUE(users->change(change("app", "other", "")));
  EXPECT_TRUE(generations.insert(users->generation()).second);
  ASSERT_TRUE(users->remove("app"));
  EXPECT_TRUE(generations.insert(users->generation()).second);
}

TEST_F(UsersTest, what_is_held_stays_what_it_is) {
  const auto users = open();
  ASSERT_TRUE(users->add(change("app", "secret", "admin")));
  const auto held = users->find("app");
  ASSERT_TRUE(users->remove("app"));
  EXPECT_EQ(held->name, "app");
  EXPECT_EQ(role_text(held->roles.at(0)), "admin");
}

TEST_F(UsersTest, give_access) {
  const auto users = open();
  ASSERT_TRUE(users->add(change("app", "secret", "data_reader[b]")));
  EXPECT_TRUE(users->access("app", "b", {}).may(kRead));
  EXPECT_FALSE(users->access("app", "c", {}).may_select());
  EXPECT_FALSE(users->access("other", "b", {}).may_select());
}

TEST_F(UsersTest, salts_are_different_for_each_mechanism_user_and_password) {
  const auto users = open();
  std::set<std::string> salts;
  for (const char* name : {"a", "b"}) {
    for (const char* password : {"secret", "secret"}) {
      ASSERT_TRUE(users->put(change(name, password, "")));
      for (const wire::ScramKeys& keys : users->find(name)->keys)
        EXPECT_TRUE(salts.insert(keys.salt).second);
    }
  }
}

TEST_F(UsersTest, one_that_does_not_exist_looks_like_one_that_does) {
  auto users = open();
  ASSERT_TRUE(users->add(change("app", "secret", "")));
  const LoginKeys real = users->login_keys(wire::Hash::sha512, "app");
  const LoginKeys decoy = users->login_keys(wire::Hash::sha512, "nobody");
  EXPECT_TRUE(real.is_known);
  EXPECT_FALSE(decoy.is_known);
  EXPECT_EQ(decoy.keys.salt.size(), real.keys.salt.size());
  EXPECT_EQ(decoy.keys.iterations, real.keys.iterations);
  EXPECT_EQ(decoy.keys.stored_key.size(), real.keys.stored_key.size());
  EXPECT_EQ(decoy.keys.server_key.size(), real.keys.server_key.size());
  EXPECT_NE(decoy.keys.salt, users->login_keys(wire::Hash::sha512, "nobody2").keys.salt);
  EXPECT_NE(decoy.keys.salt, users->login_keys(wire::Hash::sha256, "nobody").keys.salt);
  // Always the same: after other changes, and after a restart with another setting.
  ASSERT_TRUE(users->add(change("other", "secret", "")));
  users = open(kIterations + 1);
  const LoginKeys again = users->login_keys(wire::Hash::sha512, "nobody");
  EXPECT_EQ(again.keys.salt, decoy.keys.salt);
  EXPECT_EQ(again.keys.iterations, decoy.keys.iterations);
}

TEST_F(UsersTest, without_users_a_decoy_has_the_setting) {
  EXPECT_EQ(open(77)->login_keys(wire::Hash::sha1, "nobody").keys.iterations, 77U);
}

TEST_F(UsersTest, a_right_password_is_recognised_until_it_changes) {
  const auto users = open();
  ASSERT_TRUE(users->add(change("app", "secret", "")));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(users->is_password("app", "secret"));
    EXPECT_FALSE(users->is_password("app", "wrong"));
  }
  // The same password again has new keys, so what was recognised is not any more; it is still right.
  ASSERT_TRUE(users->change(change("app", "secret", "")));
  EXPECT_TRUE(users->is_password("app", "secret"));
  ASSERT_TRUE(users->change(change("app", "other", "")));
  EXPECT_FALSE(users->is_password("app", "secret"));
  ASSERT_TRUE(users->remove("app"));
  EXPECT_FALSE(users->is_password("app", "other"));
}

TEST_F(UsersTest, recognition_saves_the_iterations) {
  const auto users = open(200'000);
  ASSERT_TRUE(users->add(change("app", "secret", "")));
  const auto timed = [&] {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(users->is_password("app", "secret"));
    return std::chrono::steady_clock::now() - begin;
  };
  const auto first = timed();
  // The fastest of some, as the machine may be busy.
  auto later = timed();
  for (int i = 0; i < 5; ++i)
    later = std::min(later, timed());
  EXPECT_LT(later * 5, first);
}

TEST_F(UsersTest, of_a_server_without_a_directory_live_in_memory) {
  auto users = Users::open({"", kIterations, &clock_});
  ASSERT_TRUE(users);
  ASSERT_TRUE((*users)->add(change("app", "secret", "")));
  EXPECT_TRUE((*users)->is_password("app", "secret"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(UsersTest, are_read_and_checked_while_others_change_them) {
  const auto users = open();
  ASSERT_TRUE(users->add(change("app", "secret", "data_reader[b]")));
  std::atomic<bool> is_done{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      uint64_t last = 0;
      while (!is_done) {
        const uint64_t generation = users->generation();
        EXPECT_GE(generation, last);
        last = generation;
        EXPECT_TRUE(users->is_password("app", "secret"));
        EXPECT_TRUE(users->access("app", "b", {}).may(kRead));
        const auto other = users->find("other");
        EXPECT_TRUE(other == nullptr || other->name == "other");
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(users->put(change("other", "secret", "admin")));
    ASSERT_TRUE(users->change({"app", "secret", std::nullopt, std::nullopt}));
    ASSERT_TRUE(users->remove("other"));
  }
  is_done = true;
  for (std::thread& reader : readers)
    reader.join();
}

}  // namespace
}  // namespace bobbin::serve
