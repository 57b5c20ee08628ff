// Scopes and collections over HTTP, in the words that clients know.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/admin_test_support.h"

namespace bobbin::admin {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class CollectionCallsTest : public testing::Test {
 protected:
  net::Loop loop_{net::Limits{}};
  TestHttp http_{loop_};
  const std::string scopes_ = "/pools/default/buckets/default/scopes";
};

TEST_F(CollectionCallsTest, AreMadeShownChangedAndDropped) {
  EXPECT_EQ(body_of(http_.send("POST", scopes_, "name=s")), R"({"uid":"1"})");
  EXPECT_EQ(body_of(http_.send("POST", scopes_ + "/s/collections", "name=c&maxTTL=7")), R"({"uid":"2"})");
  EXPECT_THAT(http_.get(scopes_), HasSubstr(R"({"name":"c","uid":"8","maxTTL":7})"));
  EXPECT_EQ(body_of(http_.send("PATCH", scopes_ + "/s/collections/c", "maxTTL=9")), R"({"uid":"3"})");
  EXPECT_THAT(http_.get(scopes_), HasSubstr(R"("maxTTL":9)"));
  EXPECT_THAT(http_.get("/pools/default/b/default"), HasSubstr(R"("collectionsManifestUid":"3")"));
  EXPECT_EQ(body_of(http_.send("DELETE", scopes_ + "/s/collections/c", "")), R"({"uid":"4"})");
  EXPECT_EQ(body_of(http_.send("DELETE", scopes_ + "/s", "")), R"({"uid":"5"})");
}

TEST_F(CollectionCallsTest, ErrorsHaveTheWordsThatClientsLookFor) {
  (void)http_.send("POST", scopes_, "name=s");
  (void)http_.send("POST", scopes_ + "/s/collections", "name=c");
  const auto expect = [&](const std::string& answer, std::string_view status, std::string_view text) {
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 " + std::string(status)));
    EXPECT_EQ(body_of(answer), R"({"errors":{"_":")" + std::string(text) + "\"}}");
  };
  expect(http_.send("POST", scopes_, "name=s"), "400", R"(Scope with name \"s\" already exists)");
  expect(http_.send("DELETE", scopes_ + "/x", ""), "404", R"(Scope with name \"x\" is not found)");
  expect(http_.send("POST", scopes_ + "/s/collections", "name=c"), "400",
         R"(Collection with name \"c\" in scope \"s\" already exists)");
  expect(http_.send("POST", scopes_ + "/x/collections", "name=c"), "404",
         R"(Scope with name \"x\" is not found)");
  expect(http_.send("DELETE", scopes_ + "/s/collections/x", ""), "404",
         R"(Collection with name \"x\" in scope \"s\" is not found)");
  for (const std::string_view form : {"", "name=_x", "name=a.b", "name=%zz"})
    EXPECT_THAT(http_.send("POST", scopes_, form), StartsWith("HTTP/1.1 400 ")) << form;
  for (const std::string_view ttl : {"-2", "x", "4294967296", "2147483648"})
    EXPECT_THAT(http_.send("POST", scopes_ + "/s/collections", "name=d&maxTTL=" + std::string(ttl)),
                HasSubstr(R"({"errors":{"maxTTL":)"));
  EXPECT_THAT(http_.send("POST", "/pools/default/buckets/none/scopes", "name=s"),
              StartsWith("HTTP/1.1 404 "));
}

TEST_F(CollectionCallsTest, TakeTheRoleForIt) {
  http_.add_user("admin", "admin");
  http_.add_user("owner", "bucket_admin[default]");
  http_.add_user("other", "bucket_admin[elsewhere]");
  EXPECT_THAT(http_.send("POST", scopes_, "name=s", basic("other", "secret")), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(http_.send("POST", scopes_, "name=s", basic("owner", "secret")), StartsWith("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace bobbin::admin
