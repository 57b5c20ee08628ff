#include "serve/bucket_settings.h"

#include <gtest/gtest.h>

#include "store/key_hash.h"

namespace bobbin::serve {
namespace {

BucketSettings some() {
  BucketSettings settings;
  settings.name = "travel-sample_1.0%";
  settings.uuid = std::string(32, 'a');
  settings.quota_bytes = 100 << 20;
  settings.flush_enabled = true;
  settings.replicas = 1;
  settings.durability_min = "majority";
  settings.max_ttl_s = 3600;
  settings.conflicts = "lww";
  settings.vbuckets = 64;
  return settings;
}

TEST(BucketSettings, reads_what_it_writes) {
  BucketSettings memory = some();
  memory.name = "m";
  memory.type = "ephemeral";
  memory.eviction = "nruEviction";
  for (const std::vector<BucketSettings>& buckets : {std::vector<BucketSettings>{}, {some(), memory}}) {
    const auto read = decode_buckets(encode_buckets(buckets), "f");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, buckets);
  }
}

TEST(BucketSettings, reads_what_earlier_ones_wrote) {
  const auto read = [](int format, std::string_view more) {
    std::string text = "{\"format\":" + std::to_string(format) + ",\n\"buckets\":[\n ";
    text +=
        R"({"name":"b","uuid":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","type":"membase","eviction":"valueOnly",)"
        R"("durability_min":"none","compression":"off","quota_bytes":104857600,"replicas":1,)"
        R"("flush_enabled":true)";
    text.append(more) += "}\n]";
    return decode_buckets(text + ",\n\"checksum\":" + std::to_string(store::crc32(text)) + "}\n", "f");
  };
  const auto first = read(1, "");
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_EQ(first->size(), 1U);
  EXPECT_EQ(first->front().max_ttl_s, 0U);
  EXPECT_EQ(first->front().conflicts, "seqno");
  EXPECT_EQ(first->front().vbuckets, 0U);
  const auto second = read(2, R"(,"max_ttl_s":7,"conflicts":"lww")");
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->front().max_ttl_s, 7U);
  EXPECT_EQ(second->front().conflicts, "lww");
  EXPECT_EQ(second->front().vbuckets, 0U);
  EXPECT_FALSE(read(2, ""));
  EXPECT_FALSE(read(3, R"(,"max_ttl_s":7,"conflicts":"lww")"));
  EXPECT_FALSE(read(3, R"(,"max_ttl_s":7,"conflicts":"lww","vbuckets":2048)"));
}

TEST(BucketSettings, every_flipped_bit_and_every_missing_end_is_noticed) {
  const std::string text = encode_buckets({some()});
  for (size_t at = 0; at + 1 < text.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      ASSERT_FALSE(decode_buckets(changed, "f")) << at << " bit " << bit;
    }
    ASSERT_FALSE(decode_buckets(text.substr(0, at), "f")) << at;
  }
}

TEST(BucketSettings, names_are_safe_in_paths) {
  for (const std::string_view good : {"a", "A-b_c.d%20", "9"})
    EXPECT_TRUE(is_bucket_name(good)) << good;
  for (const std::string_view bad : {"", ".", "..", ".a", "a/b", "a b", "\xc3\xa4", "a\\b"})
    EXPECT_FALSE(is_bucket_name(bad)) << bad;
  EXPECT_TRUE(is_bucket_name(std::string(100, 'a')));
  EXPECT_FALSE(is_bucket_name(std::string(101, 'a')));
}

TEST(BucketSettings, have_to_fit_together) {
  EXPECT_EQ(check_bucket(some()).field, "");
  const auto field = [](auto change) {
    BucketSettings settings = some();
    change(settings);
    return check_bucket(settings).field;
  };
  EXPECT_EQ(field([](auto& s) { s.name = "a/b"; }), "name");
  EXPECT_EQ(field([](auto& s) { s.type = "other"; }), "bucketType");
  EXPECT_EQ(field([](auto& s) { s.quota_bytes = 99 << 20; }), "ramQuota");
  EXPECT_EQ(field([](auto& s) { s.eviction = "noEviction"; }), "evictionPolicy");
  EXPECT_EQ(field([](auto& s) { s.type = "ephemeral"; }), "evictionPolicy");
  EXPECT_EQ(field([](auto& s) { s.compression = "x"; }), "compressionMode");
  EXPECT_EQ(field([](auto& s) { s.durability_min = "x"; }), "durability_min_level");
  EXPECT_EQ(field([](auto& s) {
              s.type = "ephemeral";
              s.eviction = "noEviction";
              s.durability_min = "persistToMajority";
            }),
            "durability_min_level");
  EXPECT_EQ(field([](auto& s) { s.replicas = 4; }), "replicaNumber");
  EXPECT_EQ(field([](auto& s) { s.max_ttl_s = uint32_t{1} << 31; }), "maxTTL");
  EXPECT_EQ(field([](auto& s) { s.conflicts = "custom"; }), "conflictResolutionType");
  EXPECT_EQ(field([](auto& s) { s.vbuckets = 96; }), "numVBuckets");
  EXPECT_EQ(field([](auto& s) { s.vbuckets = 2048; }), "numVBuckets");
}

}  // namespace
}  // namespace bobbin::serve
