#include "serve/roles.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace bobbin::serve {
namespace {

TEST(Roles, are_read_as_couchbase_writes_them) {
  const std::vector<std::pair<std::string, Role>> cases = {
      {"admin", {"admin", "", "", ""}},
      {"ro_admin", {"ro_admin", "", "", ""}},
      {"bucket_admin[b]", {"bucket_admin", "b", "", ""}},
      {"bucket_full_access[*]", {"bucket_full_access", "", "", ""}},
      {"data_reader[b]", {"data_reader", "b", "", ""}},
      {"data_reader[b:s]", {"data_reader", "b", "s", ""}},
      {"data_writer[b:s:c]", {"data_writer", "b", "s", "c"}},
      {"data_dcp_reader[travel-sample:_default:%x._-]",
       {"data_dcp_reader", "travel-sample", "_default", "%x._-"}},
      {"data_monitoring[b]", {"data_monitoring", "b", "", ""}},
  };
  for (const auto& [text, role] : cases) {
    const auto parsed = parse_role(text);
    ASSERT_TRUE(parsed) << text << ": " << parsed.error().message;
    EXPECT_EQ(*parsed, role) << text;
    EXPECT_EQ(role_text(*parsed), text);
  }
}

TEST(Roles, trailing_stars_say_nothing) {
  EXPECT_EQ(role_text(*parse_role("data_reader[*:*:*]")), "data_reader[*]");
  EXPECT_EQ(role_text(*parse_role("data_reader[b:*]")), "data_reader[b]");
  EXPECT_EQ(role_text(*parse_role("data_reader[b:s:*]")), "data_reader[b:s]");
  EXPECT_EQ(role_text(*parse_role("bucket_admin[b:*:*]")), "bucket_admin[b]");
}

TEST(Roles, are_refused_when_they_are_none) {
  for (const std::string text : {"",
                                 "king",
                                 "Admin",
                                 "admin[b]",
                                 "admin[]",
                                 "data_reader",
                                 "data_reader[",
                                 "data_reader[]",
                                 "data_reader]",
                                 "data_reader[b",
                                 "data_reader[b]x",
                                 "data_reader[b:]",
                                 "data_reader[:s]",
                                 "data_reader[b::c]",
                                 "data_reader[*:s]",
                                 "data_reader[b:*:c]",
                                 "data_reader[b:s:c:d]",
                                 "data_reader[b c]",
                                 "data_reader[b\n]",
                                 "bucket_admin[b:s]",
                                 "data_monitoring[b:s:c]",
                                 "data_reader[[b]]"}) {
    const auto parsed = parse_role(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().message.find("\"" + text + "\""), std::string::npos) << parsed.error().message;
  }
  EXPECT_FALSE(parse_role("data_reader[" + std::string(252, 'b') + "]"));
}

TEST(Roles, come_as_a_list) {
  const auto roles = parse_roles(" admin , data_reader[b:s],admin");
  ASSERT_TRUE(roles);
  ASSERT_EQ(roles->size(), 2U);
  EXPECT_EQ(role_text((*roles)[0]), "admin");
  EXPECT_EQ(role_text((*roles)[1]), "data_reader[b:s]");
  EXPECT_TRUE(parse_roles("")->empty());
  EXPECT_TRUE(parse_roles("  ")->empty());
  EXPECT_FALSE(parse_roles("admin,"));
  EXPECT_FALSE(parse_roles(",admin"));
  EXPECT_FALSE(parse_roles("admin,,ro_admin"));
}

TEST(Roles, none_but_admin_manages_users) {
  for (const RoleKind& kind : role_kinds()) {
    const Privileges all = kind.privileges | kind.server_privileges;
    EXPECT_EQ((all & kManageUsers) != 0, kind.name == "admin") << kind.name;
    EXPECT_EQ(all & ~kEverything, 0U) << kind.name;
    EXPECT_NE(all, 0U) << kind.name;
    const bool is_of_data = kind.reach == RoleReach::collection;
    const Privileges managing = kFlush | kManageBucket | kManageCollections;
    EXPECT_TRUE(!is_of_data || (kind.privileges & managing) == 0) << kind.name;
  }
}

}  // namespace
}  // namespace bobbin::serve
