// Scopes and collections as they are changed inside of the server and seen by clients.

#include "serve/collections.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "serve/binary_commands.h"
#include "serve/mcbp_fixture.h"
#include "serve/statistics.h"
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

TEST_F(CollectionsTest, EveryCommandWithAKeyKnowsTheCollectionsThatThereAre) {
  hello({Feature::collections, Feature::xattr});
  ASSERT_TRUE(collections().create_collection("_default", "dropped"));
  ASSERT_TRUE(collections().drop_collection("_default", "dropped"));
  int asked = 0;
  for_each_binary_command([&](const BinaryCommand& row) {
    if (row.audience == Audience::memcached || row.key != KeyKind::document) return;
    if (row.shape.key == wire::Presence::forbidden) return;
    size_t extras = 0;
    while (!row.shape.extras.has(static_cast<uint8_t>(extras)))
      ++extras;
    for (const std::string& key : {"\x08k"s, "\xff\xff\x03k"s, "\x0bk"s}) {
      const Reply reply = ask({.opcode = row.opcode,
                               .key = key,
                               .value = row.shape.value == wire::Presence::required ? "v" : "",
                               .extras = std::string(extras, '\0'),
                               .cas = row.shape.cas == wire::Presence::required ? 1U : 0U});
      EXPECT_EQ(reply.status, BinaryStatus::unknown_collection) << row.name;
      EXPECT_EQ(reply.value, R"({"manifest_uid":"2"})") << row.name;
    }
    ++asked;
  });
  EXPECT_GT(asked, 30);
}

TEST_F(CollectionsTest, DocumentsOfOneNameAreApart) {
  hello({Feature::collections});
  ASSERT_TRUE(collections().create_collection("_default", "c"));
  const auto set = [&](const std::string& key, const std::string& value) {
    EXPECT_EQ(status({.opcode = BinaryOpcode::set, .key = key, .value = value, .extras = kSetExtras}),
              BinaryStatus::success);
  };
  const auto get = [&](const std::string& key) {
    return ask({.opcode = BinaryOpcode::get, .key = key}).value;
  };
  set("\0k"s, "default");
  set("\x08k"s, R"({"a":1})");
  EXPECT_EQ(get("\0k"s), "default");
  EXPECT_EQ(get("\x08k"s), R"({"a":1})");
  const Reply with_key = ask({.opcode = BinaryOpcode::getk, .key = "\x08k"s});
  EXPECT_EQ(with_key.value, R"({"a":1})");
  EXPECT_EQ(
      ask({.opcode = BinaryOpcode::subdoc_get, .key = "\x08k"s, .value = "a", .extras = "\0\x01\0"s}).value,
      "1");
  EXPECT_EQ(status({.opcode = BinaryOpcode::append, .key = "\x08k"s, .value = "more"}),
            BinaryStatus::success);
  EXPECT_EQ(get("\x08k"s), R"({"a":1}more)");
  const std::string counter = "\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x07\0\0\0\0"s;
  EXPECT_EQ(ask({.opcode = BinaryOpcode::increment, .key = "\x08n"s, .extras = counter}).value.back(), 7);
  EXPECT_EQ(get("\0n"s), "");
  EXPECT_EQ(status({.opcode = BinaryOpcode::remove, .key = "\x08k"s}), BinaryStatus::success);
  EXPECT_EQ(get("\0k"s), "default");
  // Who knows no collections works on the default one.
  connect_again();
  EXPECT_EQ(ask({.opcode = BinaryOpcode::get, .key = "k"}).value.substr(0), "default");
}

TEST_F(CollectionsTest, AValueThatWasOnItsWayWhenItsCollectionWentIsRefused) {
  hello({Feature::collections});
  ASSERT_TRUE(collections().create_collection("_default", "c"));
  const std::string frame =
      encoded({.opcode = BinaryOpcode::set, .key = "\x08k"s, .value = "value", .extras = kSetExtras});
  const size_t before = client_->replies().size();
  client_->feed(frame.substr(0, frame.size() - 2));
  ASSERT_TRUE(collections().drop_collection("_default", "c"));
  client_->feed(frame.substr(frame.size() - 2));
  const std::string reply = client_->replies().substr(before);
  ASSERT_GE(reply.size(), wire::kBinaryHeaderBytes);
  EXPECT_EQ(wire::decode_header(reply.data()).vbucket_or_status,
            static_cast<uint16_t>(BinaryStatus::unknown_collection));
  EXPECT_TRUE(reply.ends_with(R"({"manifest_uid":"2"})"));
  EXPECT_EQ(status({.opcode = BinaryOpcode::noop}), BinaryStatus::success);
}

TEST_F(CollectionsTest, RolesOfOneOpenThatOne) {
  ASSERT_TRUE(collections().create_scope("app"));
  ASSERT_TRUE(collections().create_collection("app", "mine"));
  ASSERT_TRUE(collections().create_collection("app", "other"));
  UserChange change;
  change.name = "joe";
  change.password = "secret";
  change.roles =
      parse_roles("data_writer[default:app:mine],data_reader[default:app],data_reader[default:app:new]")
          .value();
  ASSERT_TRUE(server_.users().add(change));
  hello({Feature::collections});
  ASSERT_EQ(status({.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = "\0joe\0secret"s}),
            BinaryStatus::success);
  const auto set = [&](const std::string& key) {
    return status({.opcode = BinaryOpcode::set, .key = key, .value = "{}", .extras = kSetExtras});
  };
  const auto get = [&](const std::string& key) { return status({.opcode = BinaryOpcode::get, .key = key}); };
  EXPECT_EQ(set("\x08k"s), BinaryStatus::success);
  EXPECT_EQ(get("\x08k"s), BinaryStatus::success);
  EXPECT_EQ(set("\x09k"s), BinaryStatus::no_access);
  EXPECT_EQ(get("\x09k"s), BinaryStatus::key_not_found);
  EXPECT_EQ(get("\0k"s), BinaryStatus::unknown_collection);
  EXPECT_EQ(get("\x0ak"s), BinaryStatus::unknown_collection);
  const Frame change_path{
      .opcode = BinaryOpcode::subdoc_dict_upsert, .key = "\x08k"s, .value = "a1", .extras = "\0\x01\0"s};
  EXPECT_EQ(status(change_path), BinaryStatus::success);
  EXPECT_EQ(status({.opcode = BinaryOpcode::flush}), BinaryStatus::no_access);
  // What a role names need not be there yet.
  ASSERT_TRUE(collections().create_collection("_default", "new"));
  EXPECT_EQ(get("\x0ak"s), BinaryStatus::unknown_collection);
  ASSERT_TRUE(collections().drop_collection("app", "mine"));
  ASSERT_TRUE(collections().create_collection("app", "mine"));
  EXPECT_EQ(set("\x0bk"s), BinaryStatus::success);
}

TEST_F(CollectionsTest, AManifestIsSetByWhoMay) {
  hello({Feature::collections});
  const auto set = [&](const std::string& manifest) {
    return status({.opcode = BinaryOpcode::collections_set_manifest, .value = manifest});
  };
  const std::string defaults =
      R"({"name":"_default","uid":"0","collections":[{"name":"_default","uid":"0"}]})";
  const std::string later = R"({"uid":"5","scopes":[)" + defaults +
                            R"(,{"name":"s","uid":"9","collections":[{"name":"c","uid":"20"}]}]})";
  EXPECT_EQ(set(later), BinaryStatus::success);
  EXPECT_EQ(id_of("s.c").extras, "\0\0\0\0\0\0\0\x05\0\0\0\x20"s);
  EXPECT_EQ(set(later), BinaryStatus::success);
  EXPECT_EQ(set(R"({"uid":"4","scopes":[)" + defaults + "]}"), BinaryStatus::out_of_range);
  EXPECT_EQ(set("{}"), BinaryStatus::invalid_arguments);
  EXPECT_EQ(set(std::string(10'000, '[')), BinaryStatus::invalid_arguments);
  EXPECT_EQ(set(std::string((1 << 20) + 1, ' ')), BinaryStatus::too_large);
  UserChange change;
  change.name = "joe";
  change.password = "secret";
  change.roles = parse_roles("data_writer[default]").value();
  ASSERT_TRUE(server_.users().add(change));
  ASSERT_EQ(status({.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = "\0joe\0secret"s}),
            BinaryStatus::success);
  EXPECT_EQ(set(later), BinaryStatus::no_access);
}

TEST_F(CollectionsTest, StatisticsTellOfEach) {
  ASSERT_TRUE(collections().create_scope("app"));
  ASSERT_TRUE(collections().create_collection("app", "users", 60));
  hello({Feature::collections});
  for (const std::string& key : {"\0k"s, "\x08k"s, "\x08l"s})
    ASSERT_EQ(status({.opcode = BinaryOpcode::set, .key = key, .value = "v", .extras = kSetExtras}),
              BinaryStatus::success);
  const auto told = [&](std::string_view group) {
    std::map<std::string, std::string> all;
    const bool is_there =
        report_statistics(server_.engine(), server_.served(), group,
                          [&](std::string_view name, std::string_view value) { all.emplace(name, value); });
    EXPECT_EQ(is_there, !all.empty());
    return all;
  };
  auto each = told("collections");
  EXPECT_EQ(each["manifest_uid"], "2");
  EXPECT_EQ(each["0x8:0x8:name"], "users");
  EXPECT_EQ(each["0x8:0x8:scope_name"], "app");
  EXPECT_EQ(each["0x8:0x8:items"], "2");
  EXPECT_EQ(each["0x8:0x8:maxTTL"], "60");
  EXPECT_EQ(each["0x0:0x0:items"], "1");
  EXPECT_EQ(told("collections app.users"), told("collections id 0x8"));
  EXPECT_EQ(told("collections app.users").count("0x0:0x0:items"), 0U);
  EXPECT_EQ(told("scopes")["0x8:items"], "2");
  EXPECT_EQ(told("scopes app")["0x8:collections"], "1");
  EXPECT_EQ(told("collections-details")["vb_0:0x8:items"], "2");
  EXPECT_EQ(told("collections-details 0")["vb_0:manifest:uid"], "2");
  EXPECT_EQ(told("scopes-details 0")["vb_0:0x8:0x8:items"], "2");
  for (const char* wrong :
       {"collections app.other", "collections app", "collections id x", "scopes other",
        "collections-details 1", "collections-details -1", "scopes-details x", "collectionss"})
    EXPECT_TRUE(told(wrong).empty()) << wrong;
}

TEST_F(CollectionsTest, AVbucketTellsItsSeqnoInACollection) {
  ASSERT_TRUE(collections().create_collection("_default", "c"));
  hello({Feature::collections});
  const auto seqno = [&](const std::string& extras) {
    const Reply reply = ask({.opcode = BinaryOpcode::get_all_vb_seqnos, .extras = extras});
    return reply.status == BinaryStatus::success ? wire::load_big_endian<uint64_t>(&reply.value[2]) : 0;
  };
  const std::string of_c = "\0\0\0\x01\0\0\0\x08"s;
  ASSERT_EQ(status({.opcode = BinaryOpcode::set, .key = "\x08k"s, .value = "v", .extras = kSetExtras}),
            BinaryStatus::success);
  const uint64_t before = seqno(of_c);
  EXPECT_EQ(before, seqno(""));
  ASSERT_EQ(status({.opcode = BinaryOpcode::set, .key = "\0k"s, .value = "v", .extras = kSetExtras}),
            BinaryStatus::success);
  EXPECT_EQ(seqno(of_c), before);
  EXPECT_EQ(seqno(""), before + 1);
  EXPECT_EQ(seqno("\0\0\0\x01\0\0\0\x09"s), 0U);
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
