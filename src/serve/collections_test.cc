// Scopes and collections as they are changed inside of the server and seen by clients.

#include "serve/collections.h"

#include <gtest/gtest.h>

#include <string>

#include "serve/mcbp_fixture.h"
#include "wire/json_value.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using store::ManifestError;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Feature;

class CollectionsTest : public McbpTest {
 protected:
  Collections& collections() { return server_.collections(); }
  Reply id_of(const std::string& path) {
    return ask({.opcode = BinaryOpcode::collections_get_id, .value = path});
  }
};

TEST_F(CollectionsTest, ClientsAskForIds) {
  hello({Feature::collections});
  EXPECT_EQ(collections().create_scope("app").value(), 1U);
  EXPECT_EQ(collections().create_collection("app", "users").value(), 2U);
  EXPECT_EQ(id_of("app.users").extras, "\0\0\0\0\0\0\0\x02\0\0\0\x08"s);
  for (const char* path : {".", "_default._default", "._default", "_default."})
    EXPECT_EQ(id_of(path).extras, "\0\0\0\0\0\0\0\x02\0\0\0\0"s) << path;
  for (const char* path : {"app", "a.b.c", "app.us$ers", "%.users", "", " . "})
    EXPECT_EQ(id_of(path).status, BinaryStatus::invalid_arguments) << path;
  EXPECT_EQ(id_of("other.users").status, BinaryStatus::unknown_scope);
  EXPECT_EQ(id_of("app.other").status, BinaryStatus::unknown_collection);
  EXPECT_EQ(id_of("app.other").value, R"({"manifest_uid":"2"})");
  const auto scope_id = [&](const std::string& path) {
    return ask({.opcode = BinaryOpcode::collections_get_scope_id, .value = path});
  };
  EXPECT_EQ(scope_id("app").extras, "\0\0\0\0\0\0\0\x02\0\0\0\x08"s);
  EXPECT_EQ(scope_id("app.whatever").extras, "\0\0\0\0\0\0\0\x02\0\0\0\x08"s);
  EXPECT_EQ(scope_id("").extras, "\0\0\0\0\0\0\0\x02\0\0\0\0"s);
  EXPECT_EQ(scope_id("other").status, BinaryStatus::unknown_scope);
  EXPECT_EQ(scope_id("a.b.c").status, BinaryStatus::invalid_arguments);
}

TEST_F(CollectionsTest, TheManifestAndTheConfigurationFollowEachChange) {
  hello({Feature::collections, Feature::json});
  const auto manifest = [&] { return ask({.opcode = BinaryOpcode::collections_get_manifest}).value; };
  const auto config = [&](const std::string& known = {}) {
    return ask({.opcode = BinaryOpcode::get_cluster_config, .extras = known}).value;
  };
  EXPECT_EQ(manifest(), store::Manifest().json());
  const std::string known = "\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01"s;
  EXPECT_EQ(config(known), "");
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(collections().create_scope("s" + std::to_string(i)));
  EXPECT_EQ(manifest(), collections().manifest()->json());
  const auto told = wire::JsonValue::parse(config(known));
  ASSERT_TRUE(told);
  EXPECT_EQ(*told->member("collectionsManifestUid")->string(), "a");
  EXPECT_EQ(told->member("rev")->number(), 11U);
}

TEST_F(CollectionsTest, ChangesSayWhyTheyAreNone) {
  EXPECT_EQ(collections().create_collection("app", "users").error(), ManifestError::unknown_scope);
  EXPECT_EQ(collections().drop_scope("_default").error(), ManifestError::reserved);
  EXPECT_EQ(collections().manifest()->uid(), 0U);
  ASSERT_TRUE(collections().create_collection("_default", "c", 7));
  EXPECT_EQ(collections().change_max_ttl("_default", "c", 8).value(), 2U);
  EXPECT_EQ(collections().change_max_ttl("_default", "d", 8).error(), ManifestError::unknown_collection);
  EXPECT_EQ(collections().replace(store::Manifest()).error(), ManifestError::older);
  EXPECT_EQ(collections().replace(*collections().manifest()).value(), 2U);
  EXPECT_EQ(collections().drop_collection("_default", "c").value(), 3U);
  collections().close();
  EXPECT_EQ(collections().create_scope("s").error(), ManifestError::shutting_down);
}

}  // namespace
}  // namespace bobbin::serve
