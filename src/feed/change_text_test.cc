#include "feed/change_text.h"

#include <gtest/gtest.h>

#include <string>

namespace bobbin::feed {
namespace {

constexpr uint64_t kCas = 1'764'255'600'123'456'789;  // 2025-11-27T15:00:00.123

class ChangeTextTest : public testing::Test {
 protected:
  ChangeTextTest() {
    EXPECT_TRUE(names_.read(
        R"({"uid":"2","scopes":[{"name":"_default","uid":"0","collections":[{"name":"_default","uid":"0"}]},)"
        R"({"name":"shop","uid":"8","collections":[{"name":"orders","uid":"9"}]}]})"));
  }
  static wire::DcpMutation mutation(std::string_view key, std::string_view value) {
    return {.seqno = 5,
            .revision = 2,
            .cas = kCas,
            .flags = 1,
            .expiry_s = 7,
            .key = {.name = key, .wire = key},
            .value = value};
  }
  [[nodiscard]] WatchLines lines(WatchFormat format, bool values = true) const {
    return WatchLines({.format = format, .values = values, .max_value_bytes = 8}, names_);
  }

  CollectionNames names_;
};

TEST_F(ChangeTextTest, LinesForPeopleAreShortAndSafe) {
  const WatchLines people = lines(WatchFormat::people);
  EXPECT_EQ(people.line(3, mutation("key", "value")), "2025-11-27T15:00:00.123Z  set    key  value");
  EXPECT_EQ(people.line(3, mutation("k\x1b[31m", "a longer value")),
            "2025-11-27T15:00:00.123Z  set    \"k\\u001b[31m\"  a longer... (14 bytes)");
  wire::DcpMutation order = mutation("o1", "x");
  order.key.collection = 9;
  EXPECT_EQ(people.line(3, order), "2025-11-27T15:00:00.123Z  set    shop.orders o1  x");
  EXPECT_EQ(lines(WatchFormat::people, false).line(3, order),
            "2025-11-27T15:00:00.123Z  set    shop.orders o1");
  wire::DcpRemoval removal{.cas = kCas, .key = {.name = "key", .wire = "key"}};
  EXPECT_EQ(people.line(3, removal), "2025-11-27T15:00:00.123Z  delete key");
  removal.kind = wire::DcpRemovalKind::expiration;
  EXPECT_EQ(people.line(3, removal), "2025-11-27T15:00:00.123Z  expire key");
}

TEST_F(ChangeTextTest, LinesInJsonHaveEverything) {
  const WatchLines json = lines(WatchFormat::json);
  const std::string before = R"({"event":"set","time":"2025-11-27T15:00:00.123Z","scope":"_default",)"
                             R"("collection":"_default",)";
  const std::string after =
      R"(,"vbucket":3,"seqno":5,"revision":2,"cas":"1764255600123456789","flags":1,"expiry":7)";
  EXPECT_EQ(json.line(3, mutation("key", "a longer value")),
            before + R"("key":"key")" + after + R"(,"value":"a longer value"})");
  EXPECT_EQ(json.line(3, mutation("k\xff", "\xff")),
            before + R"("key_base64":"a/8=")" + after + R"(,"value_base64":"/w=="})");
  wire::DcpMutation document = mutation("key", "{\"a\":\r\n[1]}");
  EXPECT_EQ(json.line(3, document),
            before + R"("key":"key")" + after + R"(,"value":"{\"a\":\u000d\u000a[1]}"})");
  document.datatype = 1;
  EXPECT_EQ(json.line(3, document), before + R"("key":"key")" + after + R"(,"value":{"a":  [1]}})");
  EXPECT_EQ(lines(WatchFormat::json, false).line(3, document), before + R"("key":"key")" + after + "}");
}

TEST_F(ChangeTextTest, EventsNameScopesAndCollections) {
  wire::DcpSystemEvent event{.seqno = 4,
                             .event = wire::DcpEvent::collection_created,
                             .manifest_uid = 0xab,
                             .scope = 8,
                             .collection = 10,
                             .max_ttl_s = 60,
                             .name = "carts"};
  names_.apply(event);
  EXPECT_EQ(names_.of(10).collection, "carts");
  EXPECT_EQ(lines(WatchFormat::json).line(1, event),
            R"({"event":"collection-created","scope":"shop","collection":"carts","max_ttl":60,)"
            R"("manifest":"ab","vbucket":1,"seqno":4})");
  event = {.seqno = 5, .event = wire::DcpEvent::collection_dropped, .scope = 8, .collection = 10};
  names_.apply(event);
  EXPECT_EQ(lines(WatchFormat::people).line(1, event),
            "vbucket 1                 collection-dropped shop.carts");
  event = {.event = wire::DcpEvent::scope_created, .scope = 11, .name = "hr"};
  names_.apply(event);
  EXPECT_EQ(lines(WatchFormat::people).line(1, event), "vbucket 1                 scope-created hr");
}

TEST_F(ChangeTextTest, WhatHasNoNameIsANumber) {
  EXPECT_EQ(names_.of(0xff).collection, "0xff");
  EXPECT_EQ(names_.scope(0xfe), "0xfe");
  EXPECT_FALSE(names_.read("{}"));
}

}  // namespace
}  // namespace bobbin::feed
