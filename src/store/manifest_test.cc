#include "store/manifest.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace bobbin::store {
namespace {

constexpr std::string_view kNew =
    R"({"uid":"0","scopes":[{"name":"_default","uid":"0","collections":[{"name":"_default","uid":"0"}]}]})";

ManifestError error_of(const Manifest::Changed& changed) {
  EXPECT_FALSE(changed);
  return changed ? ManifestError::not_on_disk : changed.error();
}

Manifest of(const std::string& scopes) {
  const auto read = Manifest::parse(R"({"uid":"a2","scopes":[)" + scopes + "]}");
  EXPECT_TRUE(read) << scopes;
  return read.value_or(Manifest());
}

const std::string kDefaults =
    R"({"name":"_default","uid":"0","collections":[{"name":"_default","uid":"0"}]})";

TEST(Manifest, OfANewBucketHasTheDefaults) {
  EXPECT_EQ(Manifest().json(), kNew);
  EXPECT_EQ(Manifest::parse(kNew), Manifest());
}

TEST(Manifest, EachChangeTakesTheNextUid) {
  const Manifest scoped = Manifest().with_scope("app").value();
  EXPECT_EQ(scoped.uid(), 1U);
  const Manifest first = scoped.with_collection("app", "users", std::nullopt).value();
  EXPECT_EQ(first.uid(), 2U);
  const Manifest both = first.with_collection("_default", "users", 30).value();
  EXPECT_EQ(
      both.json(),
      R"({"uid":"3","scopes":[{"name":"_default","uid":"0","collections":[{"name":"_default","uid":"0"},)"
      R"({"name":"users","uid":"9","maxTTL":30}]},{"name":"app","uid":"8","collections":[)"
      R"({"name":"users","uid":"8"}]}]})");
  EXPECT_EQ(Manifest::parse(both.json()), both);
  EXPECT_EQ(both.with_max_ttl("_default", "users", 0).value().collection(9)->max_ttl_s, 0U);
  EXPECT_EQ(both.with_max_ttl("_default", "_default", 5).value().collection(0)->max_ttl_s, 5U);
  EXPECT_EQ(scoped.collection("app", "users"), nullptr);
}

TEST(Manifest, AScopeGoesWithItsCollections) {
  const Manifest full = Manifest().with_scope("app").value().with_collection("app", "c", 1).value();
  const Manifest emptied = full.without_scope("app").value();
  EXPECT_EQ(emptied.uid(), 3U);
  EXPECT_EQ(emptied.collection(8), nullptr);
  EXPECT_EQ(emptied.scope("app"), nullptr);
}

TEST(Manifest, IdsAreNeverGivenOutTwice) {
  const Manifest full = Manifest().with_scope("app").value().with_collection("app", "c", 1).value();
  const Manifest again =
      full.without_scope("app").value().with_scope("app").value().with_collection("app", "c", 1).value();
  EXPECT_EQ(again.scope("app")->id, 9U);
  EXPECT_EQ(again.collection("app", "c")->id, 9U);
  Manifest read = Manifest::parse(full.without_scope("app").value().json()).value();
  EXPECT_FALSE(read.set_next_ids(7, 9));
  EXPECT_FALSE(read.set_next_ids(9, (uint64_t{1} << 32) + 1));
  ASSERT_TRUE(read.set_next_ids(9, uint64_t{1} << 32));
  EXPECT_EQ(read.with_scope("s").value().scope("s")->id, 9U);
  EXPECT_EQ(error_of(read.with_collection("_default", "c", {})), ManifestError::out_of_ids);
}

TEST(Manifest, ErrorsSayWhatIsWrong) {
  const Manifest one = Manifest().with_scope("s").value().with_collection("s", "c", {}).value();
  EXPECT_EQ(error_of(one.with_scope("s")), ManifestError::scope_exists);
  EXPECT_EQ(error_of(one.with_scope("_default")), ManifestError::scope_exists);
  EXPECT_EQ(error_of(one.with_scope("_system")), ManifestError::invalid_name);
  EXPECT_EQ(error_of(one.without_scope("t")), ManifestError::unknown_scope);
  EXPECT_EQ(error_of(one.without_scope("_default")), ManifestError::reserved);
  EXPECT_EQ(error_of(one.with_collection("t", "c", {})), ManifestError::unknown_scope);
  EXPECT_EQ(error_of(one.with_collection("s", "c", {})), ManifestError::collection_exists);
  EXPECT_EQ(error_of(one.with_collection("s", "d", kMaxTtlS + 1)), ManifestError::invalid_ttl);
  EXPECT_EQ(error_of(one.without_collection("t", "c")), ManifestError::unknown_scope);
  EXPECT_EQ(error_of(one.without_collection("s", "d")), ManifestError::unknown_collection);
  EXPECT_EQ(error_of(one.without_collection("_default", "_default")), ManifestError::reserved);
  EXPECT_EQ(error_of(one.with_max_ttl("s", "d", 1)), ManifestError::unknown_collection);
  EXPECT_EQ(error_of(one.with_max_ttl("t", "d", 1)), ManifestError::unknown_scope);
}

TEST(Manifest, NamesAreOfAFewCharacters) {
  const std::string longest(251, 'n');
  for (const std::string& good : {std::string("a"), std::string("A-z_0%9"), std::string("-"), longest})
    EXPECT_TRUE(Manifest().with_scope(good)) << good;
  for (const std::string& bad : {std::string(), longest + "n", std::string("_a"), std::string("%a"),
                                 std::string("$a"), std::string("a$"), std::string("a.b"), std::string("a b"),
                                 std::string("\xc3\xa4"), std::string("a\0b", 3)}) {
    EXPECT_EQ(error_of(Manifest().with_scope(bad)), ManifestError::invalid_name) << bad;
    EXPECT_EQ(error_of(Manifest().with_collection("_default", bad, {})), ManifestError::invalid_name) << bad;
  }
  EXPECT_TRUE(is_manifest_name("_system$1", NameOwner::server));
}

TEST(Manifest, HasSoManyScopesAndCollections) {
  Manifest full;
  for (size_t i = 1; i < kMaxCollections; ++i)
    full = full.with_collection("_default", std::to_string(i) + std::string(240, 'x'), kMaxTtlS).value();
  EXPECT_EQ(error_of(full.with_collection("_default", "more", {})), ManifestError::too_many_collections);
  for (size_t i = 1; i < kMaxScopes; ++i)
    full = full.with_scope(std::to_string(i) + std::string(240, 'x')).value();
  EXPECT_EQ(error_of(full.with_scope("more")), ManifestError::too_many_scopes);
  EXPECT_LT(full.json().size(), kMaxManifestBytes);
  EXPECT_EQ(Manifest::parse(full.json()), full);
}

TEST(Manifest, IsReadWithTheServersOwnScopes) {
  const Manifest read = of(kDefaults + R"(,{"name":"_system","uid":"8","collections":[)"
                                       R"({"name":"_mobile","uid":"8","maxTTL":0,"history":true}]})");
  EXPECT_EQ(read.uid(), 0xa2U);
  EXPECT_EQ(read.collection("_system", "_mobile")->max_ttl_s, 0U);
  EXPECT_EQ(error_of(read.without_scope("_system")), ManifestError::reserved);
  EXPECT_EQ(error_of(read.without_collection("_system", "_mobile")), ManifestError::reserved);
  EXPECT_EQ(error_of(read.with_collection("_system", "c", {})), ManifestError::reserved);
}

TEST(Manifest, WhatIsNoneIsNotRead) {
  const auto scope = [](const std::string& members) { return kDefaults + ",{" + members + "}"; };
  const auto collection = [&](const std::string& members) {
    return scope(R"("name":"s","uid":"8","collections":[{)" + members + "}]");
  };
  for (const std::string& scopes : {std::string(),
                                    std::string("1"),
                                    std::string("{}"),
                                    std::string(R"({"name":"_default","uid":"0"})"),
                                    scope(R"("name":"s")"),
                                    scope(R"("uid":"8")"),
                                    scope(R"("name":"s","uid":8)"),
                                    scope(R"("name":"s","uid":"7")"),
                                    scope(R"("name":"s","uid":"100000000")"),
                                    scope(R"("name":"s","uid":"0x8")"),
                                    scope(R"("name":"s","uid":"")"),
                                    scope(R"("name":"s","uid":"-8")"),
                                    scope(R"("name":1,"uid":"8")"),
                                    scope(R"("name":"s","uid":"0")"),
                                    scope(R"("name":"_default","uid":"8")"),
                                    scope(R"("name":"%","uid":"8")"),
                                    scope(R"("name":"s","uid":"8","collections":1)"),
                                    scope(R"("name":"s","uid":"8","collections":[1])"),
                                    scope(R"("name":"s","uid":"8"},{"name":"s","uid":"9")"),
                                    scope(R"("name":"s","uid":"8"},{"name":"t","uid":"8")"),
                                    collection(R"("name":"c","uid":"0")"),
                                    collection(R"("name":"c","uid":"8","maxTTL":-1)"),
                                    collection(R"("name":"c","uid":"8","maxTTL":"1")"),
                                    collection(R"("name":"c","uid":"8","maxTTL":2147483648)"),
                                    collection(R"("name":"c","uid":"8"},{"name":"c","uid":"9")"),
                                    collection(R"("name":"c","uid":"8"},{"name":"d","uid":"8")")}) {
    EXPECT_EQ(error_of(Manifest::parse(R"({"uid":"1","scopes":[)" + scopes + "]}")),
              ManifestError::invalid_text)
        << scopes;
  }
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string(R"({"uid":1,"scopes":[]})"),
        R"({"scopes":[)" + kDefaults + "]}", R"({"uid":"11111111111111111","scopes":[)" + kDefaults + "]}",
        std::string(1 << 21, ' ')})
    EXPECT_EQ(error_of(Manifest::parse(text)), ManifestError::invalid_text) << text.substr(0, 80);
}

TEST(Manifest, DamageIsNeverMoreThanAnError) {
  const std::string whole =
      Manifest().with_scope("app").value().with_collection("app", "users", 7).value().json();
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(Manifest::parse(whole.substr(0, size)));
  std::mt19937 random(1);
  for (int i = 0; i < 5'000; ++i) {
    std::string damaged = whole;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    const auto read = Manifest::parse(damaged);
    if (read) {
      EXPECT_EQ(Manifest::parse(read->json()), *read) << damaged;
    }
  }
}

TEST(Manifest, IsReplacedByALaterOneOnly) {
  const Manifest now = of(kDefaults + R"(,{"name":"s","uid":"9","collections":[{"name":"c","uid":"9"}]})");
  EXPECT_EQ(now.replaced_by(now), now);
  EXPECT_EQ(error_of(now.replaced_by(Manifest())), ManifestError::older);
  EXPECT_EQ(error_of(now.replaced_by(of(kDefaults))), ManifestError::older);
  const auto later = [](const std::string& scopes) {
    return Manifest::parse(R"({"uid":"a3","scopes":[)" + kDefaults + scopes + "]}").value();
  };
  EXPECT_EQ(error_of(now.replaced_by(later(R"(,{"name":"t","uid":"8"})"))), ManifestError::reused_id);
  EXPECT_EQ(error_of(now.replaced_by(later(R"(,{"name":"t","uid":"9"})"))), ManifestError::reused_id);
  EXPECT_EQ(
      error_of(now.replaced_by(later(R"(,{"name":"t","uid":"a","collections":[{"name":"c","uid":"9"}]})"))),
      ManifestError::reused_id);
  const Manifest emptied = now.replaced_by(later("")).value();
  EXPECT_EQ(emptied.with_scope("s").value().scope("s")->id, 10U);
}

}  // namespace
}  // namespace bobbin::store
