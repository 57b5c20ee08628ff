// Users and groups over HTTP, and who cannot lock out whom.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/admin_test_support.h"
#include "wire/json_value.h"

namespace bobbin::admin {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class UserCallsTest : public testing::Test {
 protected:
  void SetUp() override { http_.add_user("admin", "admin"); }
  std::string get(std::string_view target) { return http_.get(target, admin_); }
  std::string send(std::string_view method, std::string_view target, std::string_view form = {}) {
    return http_.send(method, target, form, admin_);
  }

  net::Loop loop_{net::Limits{}};
  TestHttp http_{loop_};
  const std::string admin_ = basic("admin", "secret");
  const std::string u_ = "/settings/rbac/users/local/u";
};

TEST_F(UserCallsTest, AUserIsMadeShownChangedAndRemoved) {
  EXPECT_EQ(body_of(get(u_)), "\"User was not found.\"");
  EXPECT_THAT(send("PUT", u_, "password=secret&name=U+U&roles=data_reader[default:s],ro_admin"),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(
      body_of(get(u_)),
      R"({"id":"u","domain":"local","name":"U U","roles":[{"role":"data_reader","bucket_name":"default",)"
      R"("scope_name":"s","collection_name":"*","origins":[{"type":"user"}]},{"role":"ro_admin","origins":)"
      R"([{"type":"user"}]}],"groups":[],"external_groups":[],"password_change_date":)"
      R"("2023-11-14T22:13:20.000Z"})");
  EXPECT_THAT(http_.get("/metrics", basic("u", "secret")), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(send("PUT", u_, "roles="), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(http_.get("/metrics", basic("u", "secret")), StartsWith("HTTP/1.1 403 ")) << "at once";
  EXPECT_THAT(send("DELETE", u_), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(send("DELETE", u_), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(http_.get("/pools", basic("u", "secret")), StartsWith("HTTP/1.1 401 "));
}

TEST_F(UserCallsTest, WhatCannotBeIsSaid) {
  EXPECT_THAT(body_of(send("PUT", u_, "roles=admin")), StartsWith(R"({"errors":{"password":)"));
  EXPECT_THAT(body_of(send("PUT", u_, "password=x&roles=king")), StartsWith(R"({"errors":{"roles":)"));
  EXPECT_THAT(send("PUT", u_, "password=x&groups=none"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(send("PUT", "/settings/rbac/users/local/a%20b", "password=x"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(send("PUT", u_, "password=%zz"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(UserCallsTest, OthersMayNotManageUsers) {
  http_.add_user("looker", "ro_admin");
  http_.add_user("worker", "bucket_admin[*]");
  for (const std::string_view user : {"looker", "worker"})
    EXPECT_THAT(http_.send("PUT", u_, "password=x", basic(user, "secret")), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(http_.get("/settings/rbac/users/local", basic("looker", "secret")),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(http_.get("/settings/rbac/users/local", basic("worker", "secret")),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_EQ(http_.server().users().find("u"), nullptr);
}

TEST_F(UserCallsTest, TheLastAdministratorStays) {
  const std::string admin = "/settings/rbac/users/local/admin";
  EXPECT_THAT(send("DELETE", admin), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(send("PUT", admin, "roles=ro_admin"), StartsWith("HTTP/1.1 400 "));
  ASSERT_THAT(send("PUT", "/settings/rbac/groups/admins", "roles=admin"), StartsWith("HTTP/1.1 200 "));
  ASSERT_THAT(send("PUT", u_, "password=secret&groups=admins"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(send("DELETE", admin), StartsWith("HTTP/1.1 200 ")) << "a member of the group is another";
  const std::string u = basic("u", "secret");
  EXPECT_THAT(http_.send("DELETE", "/settings/rbac/groups/admins", "", u), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(http_.send("PUT", "/settings/rbac/groups/admins", "roles=ro_admin", u),
              StartsWith("HTTP/1.1 400 "));
}

TEST_F(UserCallsTest, TheFirstUserIsAnAdministrator) {
  TestHttp open(loop_);
  EXPECT_THAT(open.send("PUT", u_, "password=x&roles=data_reader[*]"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(open.send("PUT", u_, "password=x&roles=admin"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(open.get("/pools"), StartsWith("HTTP/1.1 401 "));
}

TEST_F(UserCallsTest, GroupsGiveTheirRoles) {
  const std::string group = "/settings/rbac/groups/readers";
  EXPECT_EQ(body_of(get(group)), "\"Group was not found.\"");
  ASSERT_THAT(send("PUT", group, "description=D&roles=data_reader[default]"), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(body_of(get(group)),
            R"({"id":"readers","description":"D","roles":[{"role":"data_reader","bucket_name":"default",)"
            R"("scope_name":"*","collection_name":"*"}],"ldap_group_ref":""})");
  ASSERT_THAT(send("PUT", u_, "password=secret&groups=readers"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(get(u_), HasSubstr(R"("origins":[{"type":"group","name":"readers"}])"));
  const std::string u = basic("u", "secret");
  EXPECT_THAT(http_.get("/pools/default/b/default", u), StartsWith("HTTP/1.1 200 "));
  ASSERT_THAT(send("DELETE", group), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(get(u_), HasSubstr(R"("groups":[])"));
  EXPECT_THAT(http_.get("/pools/default/b/default", u), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(send("DELETE", group), StartsWith("HTTP/1.1 404 "));
}

TEST_F(UserCallsTest, APasswordIsChangedByWhoseItIs) {
  http_.add_user("u", "data_reader[*]");
  EXPECT_THAT(http_.send("POST", "/controller/changePassword", "password=new", basic("u", "secret")),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(http_.get("/whoami", basic("u", "secret")), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(http_.get("/whoami", basic("u", "new")), HasSubstr(R"("id":"u")"));
  EXPECT_THAT(http_.send("POST", "/controller/changePassword", "", basic("u", "new")),
              StartsWith("HTTP/1.1 400 "));
}

TEST_F(UserCallsTest, RolesAreListed) {
  const auto roles = wire::JsonValue::parse(body_of(get("/settings/rbac/roles")));
  ASSERT_TRUE(roles && roles->array() != nullptr);
  EXPECT_EQ(roles->array()->size(), serve::role_kinds().size());
}

// A page in somebody's browser may send forms anywhere.
TEST_F(UserCallsTest, PagesOfOtherHostsChangeNothing) {
  TestHttp open(loop_);
  const std::string form = "password=x&roles=admin";
  for (const std::string_view origin : {"http://evil.example", "null", "http://b.evil.example", "http://b"})
    EXPECT_THAT(open.send("PUT", u_, form, "Origin: " + std::string(origin) + "\r\n"),
                StartsWith("HTTP/1.1 403 "))
        << origin;
  EXPECT_THAT(open.ask("PUT " + u_ +
                       " HTTP/1.1\r\nHost: 127.0.0.1.evil:8091\r\nOrigin: http://127.0.0.1.evil:8091\r\n"
                       "Content-Length: 22\r\n\r\n" +
                       form),
              StartsWith("HTTP/1.1 403 "))
      << "a name that only begins like the loopback address";
  EXPECT_TRUE(open.server().users().empty());
  EXPECT_THAT(send("PUT", u_, form), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(http_.send("DELETE", u_, "", admin_ + "Origin: http://b\r\n"), StartsWith("HTTP/1.1 200 "))
      << "this server's own page, and somebody has logged in";
  EXPECT_THAT(open.ask("PUT " + u_ +
                       " HTTP/1.1\r\nHost: localhost:8091\r\nOrigin: http://localhost:8091\r\n"
                       "Content-Length: 22\r\n\r\n" +
                       form),
              StartsWith("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace bobbin::admin
