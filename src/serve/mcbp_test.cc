// What a client that says HELLO is told, byte by byte where it matters.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "serve/mcbp_fixture.h"
#include "wire/compression.h"
#include "wire/datatype.h"
#include "wire/feature.h"
#include "wire/json_value.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Feature;

TEST_F(McbpTest, FeaturesAreGrantedAsTheyWereAskedFor) {
  EXPECT_EQ(hello({Feature::json, Feature::tls, Feature::xerror}), "\0\x0b\0\x07"s);
}

TEST_F(McbpTest, WhoKnowsBucketsHasToSelectOne) {
  hello({Feature::select_bucket});
  EXPECT_EQ(status({.opcode = BinaryOpcode::get, .key = "k"}), BinaryStatus::no_bucket);
  EXPECT_EQ(status({.opcode = BinaryOpcode::select_bucket, .key = "other"}), BinaryStatus::key_not_found);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get, .key = "k"}), BinaryStatus::no_bucket);
  select();
  EXPECT_EQ(status({.opcode = BinaryOpcode::get, .key = "k"}), BinaryStatus::key_not_found);
}

TEST_F(McbpTest, ErrorsHaveNoTextAndTheConnectionGoesOn) {
  hello({});
  EXPECT_EQ(ask({.opcode = BinaryOpcode::get, .key = "k"}).value, "");
  EXPECT_EQ(status({.opcode = BinaryOpcode::get}), BinaryStatus::invalid_arguments);
  EXPECT_EQ(status({.opcode = BinaryOpcode::set, .key = "k", .value = "v", .extras = "short"}),
            BinaryStatus::invalid_arguments);
  EXPECT_EQ(status({.opcode = static_cast<BinaryOpcode>(0xfd), .value = "x"}), BinaryStatus::unknown_command);
  EXPECT_EQ(status({.opcode = BinaryOpcode::noop}), BinaryStatus::success);
}

TEST_F(McbpTest, AVbucketThatIsNotThereIsAnsweredWithTheConfiguration) {
  hello({});
  const Reply reply = ask({.opcode = BinaryOpcode::get, .key = "k", .vbucket = 1});
  EXPECT_EQ(reply.status, BinaryStatus::not_my_vbucket);
  EXPECT_NE(reply.value.find(R"("vBucketMap":[[0]])"), std::string::npos) << reply.value;
}

TEST_F(McbpTest, KeysHaveTheirCollectionInFront) {
  hello({Feature::collections});
  EXPECT_EQ(status({.opcode = BinaryOpcode::set, .key = "\0k"s, .value = "v", .extras = kSetExtras}),
            BinaryStatus::success);
  EXPECT_EQ(ask({.opcode = BinaryOpcode::get, .key = "\0k"s}).value, "v");
  EXPECT_EQ(status({.opcode = BinaryOpcode::get, .key = "\x08k"}), BinaryStatus::unknown_collection);
  for (const std::string& wrong : {"\0"s, "\x80"s, "\x80\0k"s, "\xff\xff\xff\xff\xff\x01k"s})
    EXPECT_EQ(status({.opcode = BinaryOpcode::get, .key = wrong}), BinaryStatus::invalid_arguments);
  connect_again();
  EXPECT_EQ(ask({.opcode = BinaryOpcode::get, .key = "k"}).value, "v");
}

TEST_F(McbpTest, TheLongestKeyHasOneByteMoreWithItsCollection) {
  hello({Feature::collections});
  const std::string longest = "\0"s + std::string(250, 'k');
  EXPECT_EQ(status({.opcode = BinaryOpcode::get, .key = longest}), BinaryStatus::key_not_found);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get, .key = longest + "k"}), BinaryStatus::invalid_arguments);
}

TEST_F(McbpTest, DatatypesThatWereNotAgreedOnAreRefused) {
  hello({Feature::json});
  const auto set = [&](uint8_t datatype) {
    return status(
        {.opcode = BinaryOpcode::set, .key = "k", .value = "{}", .extras = kSetExtras, .datatype = datatype});
  };
  EXPECT_EQ(set(1), BinaryStatus::success);
  for (const uint8_t datatype : {2, 4, 8, 0xff})
    EXPECT_EQ(set(datatype), BinaryStatus::invalid_arguments);
}

TEST_F(McbpTest, WhatIsJsonIsFoundOutWhateverTheClientSays) {
  hello({Feature::json});
  const auto stored = [&](const std::string& value, uint8_t datatype) {
    EXPECT_EQ(status({.opcode = BinaryOpcode::set,
                      .key = "k",
                      .value = value,
                      .extras = kSetExtras,
                      .datatype = datatype}),
              BinaryStatus::success);
    return ask({.opcode = BinaryOpcode::get, .key = "k"}).datatype;
  };
  EXPECT_EQ(stored(R"({"a":1})", 0), 1);
  EXPECT_EQ(stored(R"({"a":)", 1), 0);
  EXPECT_EQ(stored("[1]", 1), 1);
  EXPECT_EQ(status({.opcode = BinaryOpcode::append, .key = "k", .value = "[2]"}), BinaryStatus::success);
  EXPECT_EQ(ask({.opcode = BinaryOpcode::get, .key = "k"}).datatype, 0);
}

TEST_F(McbpTest, CompressedValuesAreStoredAsTheyAreWithout) {
  const std::string compressed =
      "\x07\x08"
      "abc\x01\x03"s;
  const auto store = [&](BinaryOpcode opcode, const std::string& value, uint8_t datatype) {
    Frame frame{.opcode = opcode, .key = "k", .value = value, .extras = kSetExtras, .datatype = datatype};
    if (opcode == BinaryOpcode::append) frame.extras.clear();
    return status(frame);
  };
  hello({Feature::json});
  EXPECT_EQ(store(BinaryOpcode::set, compressed, 2), BinaryStatus::invalid_arguments);
  EXPECT_EQ(hello({Feature::json, Feature::snappy}), "\0\x0b\0\x0a"s);
  EXPECT_EQ(store(BinaryOpcode::set, compressed, 2), BinaryStatus::success);
  EXPECT_EQ(get("k").value, "abcabca");
  EXPECT_EQ(get("k").datatype, 0);
  EXPECT_EQ(store(BinaryOpcode::append, compressed, 2), BinaryStatus::success);
  EXPECT_EQ(get("k").value, "abcabcaabcabca");
  EXPECT_EQ(store(BinaryOpcode::set,
                  "\3\x08"
                  "[1]",
                  3),
            BinaryStatus::success);
  EXPECT_EQ(get("k").datatype, 1);
  EXPECT_EQ(store(BinaryOpcode::set, compressed, 0), BinaryStatus::success);
  EXPECT_EQ(get("k").value, compressed);
}

TEST_F(McbpTest, ACompressedValueIsMeasuredBeforeItIsUnpacked) {
  hello({Feature::snappy});
  const auto store = [&](const std::string& value) {
    return status(
        {.opcode = BinaryOpcode::set, .key = "k", .value = value, .extras = kSetExtras, .datatype = 2});
  };
  EXPECT_EQ(store("\xff\xff\xff\xff\x0f"), BinaryStatus::too_large);
  EXPECT_EQ(store("\x81\x80\x40"), BinaryStatus::too_large) << "a mebibyte and a byte";
  for (const std::string& wrong : {""s, "\x80"s,
                                   "\x07\x08"
                                   "abc\x01\x04"s,
                                   "\2\x08"
                                   "abc"s})
    EXPECT_EQ(store(wrong), BinaryStatus::invalid_arguments);
  EXPECT_EQ(get("k").status, BinaryStatus::key_not_found);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get, .key = "k", .datatype = 2}),
            BinaryStatus::invalid_arguments);
}

TEST_F(McbpTest, FramingExtrasTakeTheirAgreement) {
  hello({Feature::alt_request});
  const auto set = [&](const std::string& framing) {
    return status(
        {.opcode = BinaryOpcode::set, .key = "k", .value = "v", .extras = kSetExtras, .framing = framing});
  };
  EXPECT_EQ(set("\x11\x01"), BinaryStatus::success);
  EXPECT_EQ(set("\x11\x03"), BinaryStatus::durability_impossible);
  EXPECT_EQ(set("\x11\x09"), BinaryStatus::durability_invalid_level);
  EXPECT_EQ(set("\x13\x01"), BinaryStatus::invalid_arguments);
  EXPECT_EQ(set("\x50"), BinaryStatus::success);
  EXPECT_EQ(set("\x43joe"), BinaryStatus::no_access) << "there is nobody of that name";
  EXPECT_EQ(set("\xe0"), BinaryStatus::unknown_frame_info);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get, .key = "k", .framing = "\x11\x01"}),
            BinaryStatus::invalid_arguments);
  connect_again();
  hello({});
  client_->feed(encoded({.opcode = BinaryOpcode::get, .key = "k", .framing = "\x11\x01"}));
  EXPECT_TRUE(client_->closing());
}

TEST_F(McbpTest, MutationsTellTheirTokenToWhoAskedForIt) {
  hello({Feature::mutation_seqno});
  const Reply stored = ask({.opcode = BinaryOpcode::set, .key = "k", .value = "v", .extras = kSetExtras});
  ASSERT_EQ(stored.extras.size(), 16U);
  const auto seqno = wire::load_big_endian<uint64_t>(stored.extras.data() + 8);
  const Reply removed = ask({.opcode = BinaryOpcode::remove, .key = "k"});
  ASSERT_EQ(removed.extras.size(), 16U);
  EXPECT_EQ(removed.extras.substr(0, 8), stored.extras.substr(0, 8));
  EXPECT_EQ(wire::load_big_endian<uint64_t>(removed.extras.data() + 8), seqno + 1);
}

TEST_F(McbpTest, LookupsAreCountedAsTheGetsThatTheyAre) {
  hello({});
  const std::string path_of_one_byte = "\0\x01\0"s;
  const Frame lookup{
      .opcode = BinaryOpcode::subdoc_get, .key = "k", .value = "a", .extras = path_of_one_byte};
  EXPECT_EQ(status(lookup), BinaryStatus::key_not_found);
  EXPECT_EQ(status({.opcode = BinaryOpcode::set, .key = "k", .value = R"({"a":1})", .extras = kSetExtras}),
            BinaryStatus::success);
  EXPECT_EQ(ask(lookup).value, "1");
  auto counts = server_.counts();
  EXPECT_EQ(counts["cmd_get"], 2U);
  EXPECT_EQ(counts["get_hits"], 1U);
  EXPECT_EQ(counts["get_misses"], 1U);
}

TEST_F(McbpTest, ATokenIsOfTheHistoryOfItsKeysVbucket) {
  TestEngine many(loop_, {.vbuckets = 64});
  client_ = many.connect();
  hello({Feature::mutation_seqno});
  for (const char* key : {"a", "b", "c", "d"}) {
    const uint16_t vbucket = many.bucket().vbucket_of(std::string_view(key));
    const Reply stored = ask(
        {.opcode = BinaryOpcode::set, .key = key, .value = "v", .extras = kSetExtras, .vbucket = vbucket});
    const Reply history = ask({.opcode = BinaryOpcode::get_failover_log, .vbucket = vbucket});
    EXPECT_EQ(stored.extras.substr(0, 8), history.value.substr(0, 8)) << key;
  }
  client_.reset();
}

TEST_F(McbpTest, TheConfigurationNamesTheAdvertisedPlace) {
  server_.node().advertised = {"::1", 4711, {}};
  server_.node().management_port = 8091;
  hello({});
  const auto config = wire::JsonValue::parse(ask({.opcode = BinaryOpcode::get_cluster_config}).value);
  ASSERT_TRUE(config);
  const wire::JsonValue& node = config->member("nodesExt")->array()->front();
  EXPECT_EQ(*node.member("hostname")->string(), "::1");
  EXPECT_EQ(node.member("services")->member("kv")->number(), 4711);
  EXPECT_EQ(node.member("services")->member("mgmt")->number(), 8091);
  EXPECT_EQ(*config->member("nodes")->array()->front().member("hostname")->string(), "[::1]:8091");
  const wire::JsonValue& servers = *config->member("vBucketServerMap")->member("serverList");
  EXPECT_EQ(*servers.array()->front().string(), "[::1]:4711");
}

TEST_F(McbpTest, TheConfigurationNamesASecondPlace) {
  const auto external = [&] {
    hello({});
    const auto config = wire::JsonValue::parse(ask({.opcode = BinaryOpcode::get_cluster_config}).value);
    const wire::JsonValue* const others =
        config->member("nodesExt")->array()->front().member("alternateAddresses");
    return others == nullptr ? wire::JsonValue() : *others->member("external");
  };
  EXPECT_TRUE(external().is_null());
  server_.node().external = {"outside.example", 0, {}};
  EXPECT_EQ(*external().member("hostname")->string(), "outside.example");
  EXPECT_EQ(external().member("ports"), nullptr);
  server_.node().external.port = 30210;
  EXPECT_EQ(external().member("ports")->member("kv")->number(), 30210);
  EXPECT_EQ(external().member("ports")->member("mgmt"), nullptr);
  server_.node().external_management_port = 30091;
  EXPECT_EQ(external().member("ports")->member("mgmt")->number(), 30091);
  EXPECT_EQ(external().member("ports")->member("kvSSL"), nullptr);
  EXPECT_EQ(external().member("ports")->member("mgmtSSL"), nullptr);
  server_.node().external_tls_port = 30207;
  EXPECT_EQ(external().member("ports")->member("kvSSL")->number(), 30207);
  server_.node().external_tls_management_port = 31091;
  EXPECT_EQ(external().member("ports")->member("mgmtSSL")->number(), 31091);
}

TEST_F(McbpTest, WithoutThatItIsTheHostThatTheClientDialled) {
  hello({});
  const auto config = wire::JsonValue::parse(ask({.opcode = BinaryOpcode::get_cluster_config}).value);
  ASSERT_TRUE(config);
  EXPECT_EQ(*config->member("nodesExt")->array()->front().member("hostname")->string(), "$HOST");
}

TEST_F(McbpTest, WhoHasTheConfigurationIsSentNoOther) {
  hello({});
  const auto known = [](char epoch, char revision) {
    return std::string(7, '\0') + epoch + std::string(7, '\0') + revision;
  };
  const auto asked_with = [&](const std::string& extras) {
    return ask({.opcode = BinaryOpcode::get_cluster_config, .extras = extras}).value;
  };
  EXPECT_NE(asked_with(known(0, 9)), "");
  EXPECT_NE(asked_with(known(1, 0)), "");
  EXPECT_EQ(asked_with(known(1, 1)), "");
}

TEST_F(McbpTest, AConfigurationIsSentOnceToWhoCanTell) {
  const auto elsewhere = [&] { return ask({.opcode = BinaryOpcode::get, .key = "k", .vbucket = 1}); };
  hello({});
  for (int i = 0; i < 2; ++i)
    EXPECT_NE(elsewhere().value, "") << "to who has not agreed on it";
  hello({Feature::json, Feature::dedupe_not_my_vbucket_clustermap});
  EXPECT_EQ(elsewhere().value, "");
  connect_again();
  hello({Feature::json, Feature::dedupe_not_my_vbucket_clustermap});
  const Reply first = elsewhere();
  EXPECT_EQ(first.status, BinaryStatus::not_my_vbucket);
  EXPECT_NE(first.value, "");
  const Reply second = elsewhere();
  EXPECT_EQ(second.status, BinaryStatus::not_my_vbucket);
  EXPECT_EQ(second.value, "");
  EXPECT_EQ(second.datatype, 0);
  const std::string manifest = R"({"uid":"1","scopes":[{"name":"_default","uid":"0","collections":)"
                               R"([{"name":"_default","uid":"0"},{"name":"c","uid":"8"}]}]})";
  EXPECT_EQ(status({.opcode = BinaryOpcode::collections_set_manifest, .value = manifest}),
            BinaryStatus::success);
  EXPECT_NE(elsewhere().value, "") << "of another configuration";
  EXPECT_EQ(elsewhere().value, "");
  connect_again();
  hello({Feature::json, Feature::dedupe_not_my_vbucket_clustermap});
  EXPECT_NE(ask({.opcode = BinaryOpcode::get_cluster_config}).value, "");
  EXPECT_EQ(elsewhere().value, "") << "which GET_CLUSTER_CONFIG has sent";
  EXPECT_NE(ask({.opcode = BinaryOpcode::get_cluster_config}).value, "") << "who asks is told";
  select();
  EXPECT_NE(elsewhere().value, "") << "of a bucket that was selected since";
}

TEST_F(McbpTest, WhatFollowsHelloInTheSameBytesIsTimedToo) {
  const std::string noop = encoded({.opcode = BinaryOpcode::noop});
  client_->feed(encoded({.opcode = BinaryOpcode::hello, .value = "\0\x0f"s}) + noop);
  const std::string first = client_->replies();
  client_->feed(noop);
  const std::string third = client_->replies().substr(first.size());
  EXPECT_EQ(third[0], '\x18');
  EXPECT_TRUE(first.ends_with(third)) << "the clock stands still";
}

// What reading the clock costs is shared by small documents only, and only those of the same bytes.
TEST_F(McbpTest, DurationsOfAPipelineGoOn) {
  server_.clock().tick(1'000'000);
  hello({Feature::tracing});
  set("small", "v");
  set("large", std::string(5000, 'v'));
  const auto get = [](const std::string& key) { return encoded({.opcode = BinaryOpcode::get, .key = key}); };
  std::string pipeline;
  for (int i = 0; i < 10; ++i)
    pipeline += get("small");
  pipeline += get("large") + get("small") + encoded({.opcode = BinaryOpcode::noop}) + get("small");
  const auto durations = [&](const std::string& requests) {
    std::vector<int> told;
    const size_t before = client_->replies().size();
    client_->feed(requests);
    const std::string bytes = client_->replies().substr(before);
    for (size_t at = 0; at + wire::kBinaryHeaderBytes <= bytes.size();) {
      const auto header = wire::decode_header(bytes.data() + at);
      EXPECT_EQ(header.framing_bytes, wire::kTraceBytes);
      told.push_back(wire::load_big_endian<uint16_t>(bytes.data() + at + wire::kBinaryHeaderBytes + 1));
      at += wire::kBinaryHeaderBytes + header.body_bytes;
    }
    return told;
  };
  const auto ms = [](uint64_t n) {
    return static_cast<int>(wire::load_big_endian<uint16_t>(wire::trace_of(n * 1000).data() + 1));
  };
  EXPECT_EQ(durations(pipeline), (std::vector<int>{ms(1), ms(1), ms(1), ms(1), ms(1), ms(1), ms(1), ms(1),
                                                   ms(2), ms(2), ms(3), ms(3), ms(4), ms(4)}));
  EXPECT_EQ(durations(get("small")), (std::vector<int>{ms(1)})) << "nothing of bytes before";
}

TEST_F(McbpTest, AConfigurationIsSentCompressedToWhoAgreedOnItEverywhere) {
  hello({Feature::json, Feature::snappy});
  const auto elsewhere = [&] { return ask({.opcode = BinaryOpcode::get, .key = "k", .vbucket = 1}); };
  const std::string plain = ask({.opcode = BinaryOpcode::get_cluster_config}).value;
  EXPECT_EQ(elsewhere().value, plain);
  hello({Feature::json, Feature::snappy, Feature::snappy_everywhere});
  for (const Reply& reply : {ask({.opcode = BinaryOpcode::get_cluster_config}), elsewhere()}) {
    EXPECT_EQ(reply.datatype, wire::kDatatypeJson | wire::kDatatypeSnappy);
    std::string config;
    ASSERT_TRUE(wire::inflate(reply.value, 1 << 20, config));
    EXPECT_EQ(config, plain);
  }
  hello({Feature::snappy, Feature::snappy_everywhere});
  EXPECT_EQ(elsewhere().datatype, wire::kDatatypeSnappy);
}

TEST_F(McbpTest, TheErrorMapExplainsEveryStatusOnce) {
  hello({});
  for (const char version : {'\1', '\2', '\3'}) {
    const auto map =
        wire::JsonValue::parse(ask({.opcode = BinaryOpcode::get_error_map, .value = "\0"s + version}).value);
    ASSERT_TRUE(map);  // a name that comes twice would not be read
    EXPECT_EQ(map->member("version")->number(), version == 1 ? 1 : 2);
    EXPECT_TRUE(map->member("revision"));
    for (const char* status : {"0", "1", "8", "24", "86", "88", "a1", "c0", "cc", "d4", "d5", "d6", "d7"})
      EXPECT_TRUE(map->member("errors")->member(status)) << status;
  }
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_error_map, .value = "\0\0"s}), BinaryStatus::key_not_found);
}

class LoginTest : public McbpTest {
 protected:
  void add_user(const std::string& name, const std::string& role) {
    UserChange change;
    change.name = name;
    change.password = "secret";
    change.roles = parse_roles(role).value();
    ASSERT_TRUE(server_.users().add(change));
  }
  BinaryStatus log_in(const std::string& name, const std::string& password) {
    return status(
        {.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = "\0"s + name + "\0"s + password});
  }
  BinaryStatus set() {
    return status({.opcode = BinaryOpcode::set, .key = "k", .value = "v", .extras = kSetExtras});
  }
};

TEST_F(LoginTest, WhereThereAreUsersNobodyElseMayDoAnything) {
  EXPECT_EQ(set(), BinaryStatus::success);
  add_user("app", "admin");
  EXPECT_EQ(set(), BinaryStatus::auth_error);
  EXPECT_EQ(log_in("app", "wrong"), BinaryStatus::auth_error);
  EXPECT_EQ(set(), BinaryStatus::auth_error);
  EXPECT_EQ(log_in("app", "secret"), BinaryStatus::success);
  EXPECT_EQ(set(), BinaryStatus::success);
  // A login that fails ends the one before (CVE-2013-7239).
  EXPECT_EQ(log_in("app", "wrong"), BinaryStatus::auth_error);
  EXPECT_EQ(set(), BinaryStatus::auth_error);
}

TEST_F(LoginTest, WhoHasNotLoggedInIsToldNothingOfBuckets) {
  add_user("app", "data_reader[default]");
  hello({});
  const auto told = [&] {
    return ask({.opcode = BinaryOpcode::list_buckets}).value +
           ask({.opcode = BinaryOpcode::get_cluster_config}).value +
           ask({.opcode = BinaryOpcode::get, .key = "k", .vbucket = 1}).value;
  };
  EXPECT_EQ(told().find("default"), std::string::npos) << told();
  EXPECT_EQ(log_in("app", "secret"), BinaryStatus::success);
  EXPECT_NE(told().find("default"), std::string::npos);
}

TEST_F(LoginTest, AUserThatIsRemovedMayDoNothingAnyMore) {
  add_user("app", "admin");
  add_user("other", "admin");
  EXPECT_EQ(log_in("app", "secret"), BinaryStatus::success);
  EXPECT_EQ(set(), BinaryStatus::success);
  ASSERT_TRUE(server_.users().remove("app"));
  EXPECT_EQ(set(), BinaryStatus::auth_error);
}

TEST_F(LoginTest, RolesSayWhatAUserMay) {
  add_user("reader", "data_reader[default]");
  hello({});
  EXPECT_EQ(log_in("reader", "secret"), BinaryStatus::success);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get, .key = "k"}), BinaryStatus::key_not_found);
  EXPECT_EQ(set(), BinaryStatus::no_access);
  EXPECT_EQ(status({.opcode = BinaryOpcode::flush}), BinaryStatus::no_access);
  EXPECT_EQ(
      status({.opcode = BinaryOpcode::subdoc_dict_upsert, .key = "k", .value = "a1", .extras = "\0\x01\0"s}),
      BinaryStatus::no_access);
}

TEST_F(LoginTest, WhoMayNotIsToldWhatItTakes) {
  add_user("reader", "data_reader[default]");
  hello({Feature::xerror, Feature::json});
  EXPECT_EQ(log_in("reader", "secret"), BinaryStatus::success);
  const Reply refused = ask({.opcode = BinaryOpcode::set, .key = "k", .value = "v", .extras = kSetExtras});
  EXPECT_EQ(refused.status, BinaryStatus::no_access);
  EXPECT_EQ(refused.value, R"({"error":{"context":"Authorization failed: set needs Upsert"}})");
  EXPECT_EQ(refused.datatype, 1);
  EXPECT_EQ(ask({.opcode = BinaryOpcode::ifconfig, .key = "list"}).value,
            R"({"error":{"context":"Authorization failed: ifconfig needs NodeManagement"}})");
  connect_again();
  hello({});
  EXPECT_EQ(log_in("reader", "secret"), BinaryStatus::success);
  EXPECT_EQ(ask({.opcode = BinaryOpcode::set, .key = "k", .value = "v", .extras = kSetExtras}).value, "")
      << "to who has not agreed on such errors";
}

TEST_F(LoginTest, NothingIsToldOfABucketThatTheUserMayNotSelect) {
  add_user("stranger", "data_reader[other]");
  hello({Feature::collections});  // a client that does not select buckets
  EXPECT_EQ(log_in("stranger", "secret"), BinaryStatus::success);
  for (const BinaryOpcode opcode : {BinaryOpcode::get_all_vb_seqnos, BinaryOpcode::get_failover_log,
                                    BinaryOpcode::collections_get_manifest, BinaryOpcode::get_vbucket})
    EXPECT_EQ(status({.opcode = opcode}), BinaryStatus::no_access) << static_cast<int>(opcode);
  const Reply elsewhere = ask({.opcode = BinaryOpcode::get, .key = "\0k"s, .vbucket = 0xffff});
  EXPECT_EQ(elsewhere.status, BinaryStatus::no_access);
  EXPECT_EQ(elsewhere.value.find("default"), std::string::npos);
  for (const char* name : {"default", "none"})
    EXPECT_EQ(status({.opcode = BinaryOpcode::select_bucket, .key = name}), BinaryStatus::no_access) << name;
  EXPECT_EQ(status({.opcode = BinaryOpcode::select_bucket, .key = "other"}), BinaryStatus::key_not_found);
}

TEST_F(LoginTest, WhoMayOnlyWriteReadsNoCounters) {
  add_user("writer", "data_writer[default]");
  hello({});
  EXPECT_EQ(log_in("writer", "secret"), BinaryStatus::success);
  const std::string none(8, '\0');
  EXPECT_EQ(
      status({.opcode = BinaryOpcode::increment, .key = "n", .extras = none + none + "\xff\xff\xff\xff"}),
      BinaryStatus::no_access);
}

TEST_F(LoginTest, TheTextProtocolIsClosedWhereThereAreUsers) {
  add_user("app", "admin");
  connect_again();
  client_->feed("set k 0 0 5\r\nflush_all\r\n");
  EXPECT_EQ(client_->replies(), "CLIENT_ERROR unauthenticated\r\n");
  EXPECT_TRUE(client_->closing());
}

TEST_F(LoginTest, AStepWithoutItsBeginningIsRefused) {
  add_user("app", "admin");
  EXPECT_EQ(status({.opcode = BinaryOpcode::sasl_step, .key = "SCRAM-SHA512", .value = "c=biws"}),
            BinaryStatus::auth_error);
}

}  // namespace
}  // namespace bobbin::serve
