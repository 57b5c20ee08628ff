#include "serve/access.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace bobbin::serve {
namespace {

// Scopes _default (0) with _default (0), and s (8) with c (9) and d (10).
CollectionIds ids() {
  using Id = std::optional<uint32_t>;
  return {[](std::string_view scope) { return scope == "_default" ? Id(0)
                                              : scope == "s"      ? Id(8)
                                                                  : Id(); },
          [](std::string_view scope, std::string_view collection) {
            if (scope == "_default" && collection == "_default") return Id(0);
            if (scope == "s" && collection == "c") return Id(9);
            return scope == "s" && collection == "d" ? Id(10) : Id();
          }};
}

Access access(std::string_view roles, std::string_view bucket = "b") {
  const auto parsed = parse_roles(roles);
  EXPECT_TRUE(parsed) << roles;
  return {*parsed, bucket, ids()};
}

TEST(Access, without_roles_nothing_is_there) {
  for (const Access& none : {Access(), access(""), access("data_reader[other]")}) {
    EXPECT_FALSE(none.may(kRead));
    EXPECT_FALSE(none.may_select());
    EXPECT_FALSE(none.may_somewhere(kEverything));
    EXPECT_EQ(none.may(kRead, 0, 0), Verdict::hidden);
  }
}

TEST(Access, of_a_server_without_users_is_unlimited) {
  EXPECT_TRUE(Access::unlimited().may(kEverything));
  EXPECT_EQ(Access::unlimited().may(kEverything, 99, 99), Verdict::granted);
}

TEST(Access, to_a_whole_bucket) {
  const Access reader = access("data_reader[b]");
  EXPECT_TRUE(reader.may(kRead));
  EXPECT_FALSE(reader.may(kUpsert));
  EXPECT_FALSE(reader.may(kRead | kUpsert));
  EXPECT_EQ(reader.may(kRead, 8, 9), Verdict::granted);
  EXPECT_EQ(reader.may(kUpsert, 8, 9), Verdict::refused);
  EXPECT_TRUE(reader.may_select());
}

TEST(Access, to_every_bucket) {
  EXPECT_TRUE(access("data_reader[*]", "any").may(kRead));
  EXPECT_TRUE(access("admin", "any").may(kEverything));
}

TEST(Access, to_a_scope) {
  const Access writer = access("data_writer[b:s]");
  EXPECT_FALSE(writer.may(kUpsert));
  EXPECT_TRUE(writer.may_somewhere(kUpsert));
  EXPECT_FALSE(writer.may_somewhere(kRead));
  EXPECT_TRUE(writer.may_select());
  EXPECT_EQ(writer.may(kUpsert | kInsert | kDelete, 8, 9), Verdict::granted);
  EXPECT_EQ(writer.may(kUpsert, 8, 12345), Verdict::granted);
  EXPECT_EQ(writer.may(kRead, 8, 9), Verdict::refused);
  EXPECT_EQ(writer.may(kUpsert, 0, 0), Verdict::hidden);
}

TEST(Access, to_a_collection) {
  const Access reader = access("data_reader[b:s:c],data_writer[b:s:d],data_reader[b:_default:_default]");
  EXPECT_EQ(reader.may(kRead, 8, 9), Verdict::granted);
  EXPECT_EQ(reader.may(kUpsert, 8, 9), Verdict::refused);
  EXPECT_EQ(reader.may(kUpsert, 8, 10), Verdict::granted);
  EXPECT_EQ(reader.may(kRead, 8, 10), Verdict::refused);
  EXPECT_EQ(reader.may(kRead, 0, 0), Verdict::granted);
  EXPECT_EQ(reader.may(kRead, 8, 11), Verdict::hidden);
  // The same collection's number in another scope is another collection.
  EXPECT_EQ(reader.may(kRead, 0, 9), Verdict::hidden);
}

TEST(Access, adds_up) {
  const Access both = access("data_reader[b],data_writer[b:s:c]");
  EXPECT_EQ(both.may(kRead | kUpsert, 8, 9), Verdict::granted);
  EXPECT_EQ(both.may(kRead | kUpsert, 8, 10), Verdict::refused);
}

TEST(Access, to_names_that_are_not_there_is_none) {
  const Access none = access("data_reader[b:x],data_reader[b:s:x]");
  EXPECT_FALSE(none.may_select());
  EXPECT_EQ(none.may(kRead, 0, 0), Verdict::hidden);
  EXPECT_EQ(none.may(kRead, 8, 9), Verdict::hidden);
  const auto roles = parse_roles("data_reader[b:s:c]");
  EXPECT_FALSE(Access(*roles, "b", CollectionIds{}).may_select());
}

TEST(Access, of_administrators_does_not_reach_data) {
  const Access manager = access("bucket_admin[b]");
  EXPECT_TRUE(manager.may(kManageBucket | kManageCollections | kFlush | kBucketStats));
  EXPECT_EQ(manager.may(kRead, 0, 0), Verdict::refused);
  const Access watcher = access("ro_admin");
  EXPECT_TRUE(watcher.may(kBucketStats | kServerStats | kReadUsers | kReadServer));
  EXPECT_FALSE(watcher.may_somewhere(kRead | kWrite | kFlush | kManageUsers | kManageServer));
  EXPECT_TRUE(watcher.may_select());
}

TEST(Access, of_an_application_reaches_all_data_and_no_settings) {
  const Access application = access("bucket_full_access[b]");
  EXPECT_TRUE(application.may(kRead | kWrite | kMetaWrite | kSystemXattrRead | kSystemXattrWrite |
                              kDcpProducer | kDcpStream | kBucketStats | kFlush));
  EXPECT_FALSE(application.may_somewhere(kManageBucket | kManageCollections | kServerStats | kManageUsers));
}

TEST(Access, to_streams_of_a_collection_shows_no_other) {
  const Access reader = access("data_dcp_reader[b:s:c]");
  EXPECT_TRUE(reader.may(kDcpProducer));
  EXPECT_EQ(reader.may(kDcpStream, 8, 9), Verdict::granted);
  EXPECT_EQ(reader.may(kDcpStream, 8, 10), Verdict::hidden);
  EXPECT_FALSE(reader.may(kDcpStream));
}

TEST(ServerPrivileges, do_not_depend_on_a_bucket) {
  EXPECT_EQ(server_privileges(*parse_roles("data_reader[b],bucket_admin[*]")), 0U);
  EXPECT_NE(server_privileges(*parse_roles("ro_admin")) & kReadUsers, 0U);
  EXPECT_EQ(server_privileges(*parse_roles("admin")), kEverything);
}

}  // namespace
}  // namespace bobbin::serve
