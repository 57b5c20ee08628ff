#include "cluster/source_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

namespace bobbin::cluster {
namespace {

using serve::BucketSettings;
using testing::HasSubstr;

constexpr uint64_t kMiB = 1 << 20;

SourceSettings told(std::initializer_list<std::pair<std::string_view, std::string_view>> statistics) {
  SourceSettings settings;
  for (const auto& [name, value] : statistics)
    settings.take(name, value);
  return settings;
}

BucketSettings here() {
  BucketSettings settings{.name = "b"};
  settings.quota_bytes = 100 * kMiB;
  return settings;
}

TEST(SourceSettings, WhatChangesAtTheSourceChangesHere) {
  const SourceSettings source = told({{"ep_compression_mode", "active"},
                                      {"ep_max_ttl", "7"},
                                      {"ep_durability_min_level", "majority_and_persist_on_master"},
                                      {"bobbin_replicas", "2"},
                                      {"bobbin_flush_enabled", "true"},
                                      {"ep_max_size", "104857600"}});
  const SettingsTaken taken = take_settings(source, here(), false, 0);
  EXPECT_EQ(taken.settings.compression, "active");
  EXPECT_EQ(taken.settings.max_ttl_s, 7U);
  EXPECT_EQ(taken.settings.durability_min, "majorityAndPersistActive");
  EXPECT_EQ(taken.settings.replicas, 2U);
  EXPECT_TRUE(taken.settings.flush_enabled);
  EXPECT_EQ(
      taken.changed,
      "compressionMode passive to active; maxTTL 0 to 7; replicaNumber 0 to 2; flushEnabled false to true; "
      "durabilityMinLevel none to majorityAndPersistActive");
  EXPECT_EQ(taken.kept, "");
  const SettingsTaken again = take_settings(source, taken.settings, false, 0);
  EXPECT_EQ(again.changed, "");
  EXPECT_EQ(again.settings, taken.settings);
}

TEST(SourceSettings, ACopyHasAsManyVBuckets) {
  const auto made = [](std::string_view vbuckets) {
    BucketSettings settings{.name = "b"};
    told({{"ep_max_vbuckets", vbuckets}}).put_into(settings);
    return settings.vbuckets;
  };
  EXPECT_EQ(made("64"), 64U);
  EXPECT_EQ(made("1024"), 1024U);
  for (const char* wrong : {"0", "3", "2048", "-1", "x", ""})
    EXPECT_EQ(made(wrong), 0U) << wrong << ": as many as the default bucket has";
}

TEST(SourceSettings, WhatIsNotToldStays) {
  BucketSettings settings = here();
  settings.max_ttl_s = 9;
  settings.flush_enabled = true;
  const SettingsTaken taken = take_settings({}, settings, false, 0);
  EXPECT_EQ(taken.settings, settings);
  EXPECT_EQ(taken.changed + taken.kept, "");
}

TEST(SourceSettings, WhatCannotBeIsPassedOver) {
  const SourceSettings source = told({{"ep_compression_mode", "zip"},
                                      {"ep_max_ttl", "-7"},
                                      {"ep_max_ttl", "2147483648"},
                                      {"ep_durability_min_level", "persistToMajority"},
                                      {"ep_item_eviction_policy", "auto_delete"},
                                      {"ep_conflict_resolution_type", "custom"},
                                      {"bobbin_replicas", "4"},
                                      {"bobbin_flush_enabled", "1"},
                                      {"ep_max_size", "0"},
                                      {"ep_max_size", "18446744073709551615"},
                                      {"ep_max_size", "1 "}});
  BucketSettings settings = here();
  source.put_into(settings);
  EXPECT_EQ(settings, here());
}

TEST(SourceSettings, WhatCannotChangeIsTold) {
  const SourceSettings source =
      told({{"ep_item_eviction_policy", "full_eviction"}, {"ep_conflict_resolution_type", "lww"}});
  const SettingsTaken taken = take_settings(source, here(), false, 0);
  EXPECT_EQ(taken.settings, here());
  EXPECT_EQ(taken.kept,
            "evictionPolicy is fullEviction there and valueOnly here, and cannot change; "
            "conflictResolutionType is lww there and seqno here, and cannot change");
}

TEST(SourceSettings, MemoryChangesWithTheSourcesUnlessItWasChosenHere) {
  const SourceSettings source = told({{"ep_max_size", "209715200"}});
  EXPECT_EQ(take_settings(source, here(), false, 100 * kMiB).settings.quota_bytes, 200 * kMiB);
  for (const uint64_t before : {uint64_t{0}, 150 * kMiB, 200 * kMiB}) {
    const SettingsTaken taken = take_settings(source, here(), false, before);
    EXPECT_EQ(taken.settings.quota_bytes, 100 * kMiB) << before;
    EXPECT_THAT(taken.kept, HasSubstr("ramQuota is 200 MiB there and 100 MiB here"));
  }
}

TEST(SourceSettings, TheDefaultBucketsMemoryAndDurabilityAreOptions) {
  const SourceSettings source =
      told({{"ep_max_size", "209715200"}, {"ep_durability_min_level", "persist_to_majority"}});
  const SettingsTaken taken = take_settings(source, here(), true, 100 * kMiB);
  EXPECT_EQ(taken.settings, here());
  EXPECT_EQ(taken.kept,
            "durabilityMinLevel is persistToMajority there and none here, where it is --durability");
  EXPECT_EQ(take_settings(told({{"ep_durability_min_level", "majority"}}), here(), true, 0).changed,
            "durabilityMinLevel none to majority");
}

}  // namespace
}  // namespace bobbin::cluster
