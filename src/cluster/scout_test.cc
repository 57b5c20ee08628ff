#include "cluster/scout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <span>
#include <string>

#include "wire/feature.h"

namespace bobbin::cluster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using wire::BinaryHeader;
using wire::BinaryOpcode;
using wire::BinaryStatus;

struct Request {
  BinaryOpcode opcode;
  std::string key;
};

/// A scout, and what it has asked and told so far.
class ScoutTest : public testing::Test, private Scout::Owner {
 protected:
  ScoutTest() { scout_.begin(now_, out_); }

  /// What is asked next; nothing: it waits.
  std::optional<Request> request() {
    if (out_.empty()) return std::nullopt;
    std::array<std::span<const char>, 16> runs;
    std::string bytes;
    while (!out_.empty()) {
      const size_t count = out_.gather(runs, out_.size());
      size_t size = 0;
      for (size_t i = 0; i < count; ++i) {
        bytes.append(runs[i].data(), runs[i].size());
        size += runs[i].size();
      }
      out_.consume(size);
    }
    const BinaryHeader header = wire::decode_header(bytes.data());
    EXPECT_EQ(bytes.size(), wire::kBinaryHeaderBytes + header.body_bytes);
    return Request{static_cast<BinaryOpcode>(header.opcode), bytes.substr(wire::kBinaryHeaderBytes)};
  }

  TalkOutcome say(BinaryOpcode opcode, BinaryStatus status, std::string_view value = {},
                  std::string_view key = {}) {
    std::string frame(wire::kBinaryHeaderBytes, '\0');
    wire::encode_header(frame.data(), {.magic = wire::kBinaryReplyMagic,
                                       .opcode = static_cast<uint8_t>(opcode),
                                       .key_bytes = static_cast<uint16_t>(key.size()),
                                       .vbucket_or_status = static_cast<uint16_t>(status),
                                       .body_bytes = static_cast<uint32_t>(key.size() + value.size())});
    frame.append(key).append(value);
    return scout_.take(frame, {}, now_, out_);
  }
  TalkOutcome say(BinaryOpcode opcode, std::string_view value = {}, std::string_view key = {}) {
    return say(opcode, BinaryStatus::success, value, key);
  }

  /// Up to the question for the list.
  void be_let_in() {
    EXPECT_EQ(request()->opcode, BinaryOpcode::hello);
    std::string features;
    for (const wire::Feature feature : {wire::Feature::collections, wire::Feature::json, wire::Feature::xattr,
                                        wire::Feature::select_bucket})
      features += {'\0', static_cast<char>(feature)};
    EXPECT_FALSE(scout_.is_let_in());
    EXPECT_EQ(say(BinaryOpcode::hello, features), TalkOutcome::taken);
    EXPECT_TRUE(scout_.is_let_in());
    EXPECT_EQ(request()->opcode, BinaryOpcode::list_buckets);
  }

  /// From the list to the question for statistics.
  void come_to_statistics(std::string_view config) {
    be_let_in();
    wanted_ = {"b"};
    EXPECT_EQ(say(BinaryOpcode::list_buckets, "b"), TalkOutcome::taken);
    const auto select = request();
    EXPECT_EQ(select->opcode, BinaryOpcode::select_bucket);
    EXPECT_EQ(select->key, "b");
    EXPECT_EQ(say(BinaryOpcode::select_bucket), TalkOutcome::taken);
    EXPECT_EQ(request()->opcode, BinaryOpcode::get_cluster_config);
    EXPECT_EQ(say(BinaryOpcode::get_cluster_config, config), TalkOutcome::taken);
    const auto stat = request();
    EXPECT_EQ(stat->opcode, BinaryOpcode::stat);
    EXPECT_EQ(stat->key, "config");
  }

  std::vector<std::string> wanted_;
  std::vector<std::string> listed_;
  std::vector<SourceBucket> described_;
  std::vector<std::string> failed_;
  SteadyTime now_{};
  net::Output out_;
  Scout scout_{{.agent = "scout", .bucket = {}}, *this};

 private:
  std::vector<std::string> listed(const std::vector<std::string>& names) override {
    listed_ = names;
    return wanted_;
  }
  void described(const SourceBucket& bucket) override { described_.push_back(bucket); }
  void not_described(const std::string& name, std::string why) override {
    failed_.push_back(name + ": " + why);
  }
};

TEST_F(ScoutTest, AsksForTheListAgainAfterASecond) {
  be_let_in();
  EXPECT_EQ(say(BinaryOpcode::list_buckets, "default b"), TalkOutcome::taken);
  EXPECT_THAT(listed_, ElementsAre("default", "b"));
  now_ += std::chrono::milliseconds(999);
  scout_.tick(now_, out_);
  EXPECT_FALSE(request());
  now_ += std::chrono::milliseconds(1);
  scout_.tick(now_, out_);
  EXPECT_EQ(request()->opcode, BinaryOpcode::list_buckets);
  now_ += std::chrono::seconds(5);
  scout_.tick(now_, out_);
  EXPECT_FALSE(request()) << "the answer to the first is on its way";
  EXPECT_EQ(say(BinaryOpcode::list_buckets), TalkOutcome::taken);
  EXPECT_THAT(listed_, IsEmpty());
}

TEST_F(ScoutTest, DescribesABucketAsItsStatisticsDo) {
  come_to_statistics(R"({"bucketCapabilities":["dcp","xattr"]})");
  for (const auto& [name, value] : {std::pair{"ep_item_eviction_policy", "full_eviction"},
                                    {"ep_conflict_resolution_type", "lww"},
                                    {"ep_compression_mode", "active"},
                                    {"ep_max_ttl", "3600"},
                                    {"ep_max_size", "209715200"},
                                    {"ep_durability_min_level", "persist_to_majority"},
                                    {"bobbin_replicas", "2"},
                                    {"bobbin_flush_enabled", "true"},
                                    {"ep_other", "9"}})
    EXPECT_EQ(say(BinaryOpcode::stat, value, name), TalkOutcome::taken);
  EXPECT_THAT(described_, IsEmpty());
  EXPECT_EQ(say(BinaryOpcode::stat), TalkOutcome::taken);
  ASSERT_EQ(described_.size(), 1U);
  const SourceBucket& found = described_.front();
  EXPECT_TRUE(found.has_history);
  EXPECT_EQ(found.name, "b");
  EXPECT_EQ(found.settings.eviction, "fullEviction");
  EXPECT_EQ(found.settings.conflicts, "lww");
  EXPECT_EQ(found.settings.compression, "active");
  EXPECT_EQ(found.settings.max_ttl_s, 3600U);
  EXPECT_EQ(found.settings.quota_bytes, 209715200U);
  EXPECT_EQ(found.settings.durability_min, "persistToMajority");
  EXPECT_EQ(found.settings.replicas, 2U);
  EXPECT_EQ(found.settings.flush_enabled, true);
  EXPECT_FALSE(request());
}

TEST_F(ScoutTest, KnowsNoSettingsWhereItMayNotAsk) {
  come_to_statistics("no JSON");
  EXPECT_EQ(say(BinaryOpcode::stat, BinaryStatus::no_access), TalkOutcome::taken);
  ASSERT_EQ(described_.size(), 1U);
  EXPECT_TRUE(described_.front().has_history);
  EXPECT_EQ(described_.front().settings.eviction, std::nullopt);
  EXPECT_EQ(described_.front().settings.quota_bytes, std::nullopt);
}

TEST_F(ScoutTest, MakesNothingOfABucketWhoseStatisticsFail) {
  come_to_statistics("{}");
  EXPECT_EQ(say(BinaryOpcode::stat, "full_eviction", "ep_item_eviction_policy"), TalkOutcome::taken);
  EXPECT_EQ(say(BinaryOpcode::stat, BinaryStatus::temporary_failure), TalkOutcome::taken);
  EXPECT_THAT(described_, IsEmpty());
  EXPECT_THAT(failed_, ElementsAre("b: the source does not say what it is: status 0x86"));
  EXPECT_FALSE(request());
  now_ += std::chrono::seconds(1);
  scout_.tick(now_, out_);
  EXPECT_EQ(request()->opcode, BinaryOpcode::list_buckets);
}

TEST_F(ScoutTest, MakesNothingOfABucketWhoseConfigurationFails) {
  be_let_in();
  wanted_ = {"a", "b"};
  EXPECT_EQ(say(BinaryOpcode::list_buckets, "a b"), TalkOutcome::taken);
  EXPECT_EQ(request()->key, "a");
  EXPECT_EQ(say(BinaryOpcode::select_bucket), TalkOutcome::taken);
  EXPECT_EQ(request()->opcode, BinaryOpcode::get_cluster_config);
  EXPECT_EQ(say(BinaryOpcode::get_cluster_config, BinaryStatus::temporary_failure), TalkOutcome::taken);
  EXPECT_EQ(request()->key, "b");
  EXPECT_THAT(described_, IsEmpty());
  EXPECT_EQ(failed_.size(), 1U);
}

TEST_F(ScoutTest, TakesNoNumberThatIsNone) {
  come_to_statistics("{}");
  EXPECT_EQ(say(BinaryOpcode::stat, "99999999999", "ep_max_ttl"), TalkOutcome::taken);
  EXPECT_EQ(say(BinaryOpcode::stat, "-1", "ep_max_size"), TalkOutcome::taken);
  EXPECT_EQ(say(BinaryOpcode::stat, "none", "ep_conflict_resolution_type"), TalkOutcome::taken);
  EXPECT_EQ(say(BinaryOpcode::stat), TalkOutcome::taken);
  EXPECT_EQ(described_.front().settings.max_ttl_s, std::nullopt);
  EXPECT_EQ(described_.front().settings.quota_bytes, std::nullopt);
  EXPECT_EQ(described_.front().settings.conflicts, std::nullopt);
}

TEST_F(ScoutTest, TellsACacheFromWhatHasHistory) {
  come_to_statistics(R"({"bucketCapabilities":["xattr"]})");
  EXPECT_EQ(say(BinaryOpcode::stat), TalkOutcome::taken);
  EXPECT_FALSE(described_.front().has_history);
}

TEST_F(ScoutTest, PassesOverABucketThatHasGoneMeanwhile) {
  be_let_in();
  wanted_ = {"a", "b"};
  EXPECT_EQ(say(BinaryOpcode::list_buckets, "a b"), TalkOutcome::taken);
  EXPECT_EQ(request()->key, "a");
  EXPECT_EQ(say(BinaryOpcode::select_bucket, BinaryStatus::key_not_found), TalkOutcome::taken);
  EXPECT_EQ(request()->key, "b");
  EXPECT_THAT(described_, IsEmpty());
}

class ScoutListTest : public ScoutTest, public testing::WithParamInterface<std::string> {};

TEST_P(ScoutListTest, BelievesNoListThatCannotBe) {
  be_let_in();
  EXPECT_EQ(say(BinaryOpcode::list_buckets, GetParam()), TalkOutcome::broken);
  EXPECT_THAT(scout_.trouble(), HasSubstr("there cannot be"));
}

std::string too_many() {
  std::string names;
  for (int i = 0; i < 31; ++i)
    names += "b" + std::to_string(i) + " ";
  return names;
}

INSTANTIATE_TEST_SUITE_P(Lists, ScoutListTest, testing::Values("a  b", "a a", "../x", "a\nb", too_many()));

TEST_F(ScoutTest, SaysThatItWasRefusedTheList) {
  be_let_in();
  EXPECT_EQ(say(BinaryOpcode::list_buckets, BinaryStatus::unknown_command), TalkOutcome::broken);
  EXPECT_THAT(scout_.trouble(), HasSubstr("does not say which buckets"));
}

TEST_F(ScoutTest, TakesNothingThatItHasNotAskedFor) {
  be_let_in();
  EXPECT_EQ(say(BinaryOpcode::stat), TalkOutcome::broken);
  EXPECT_THAT(scout_.trouble(), HasSubstr("something else"));
}

}  // namespace
}  // namespace bobbin::cluster
