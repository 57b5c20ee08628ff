#include "wire/feature.h"

#include <gtest/gtest.h>

#include <string>

namespace bobbin::wire {
namespace {

std::string asking(std::initializer_list<uint16_t> numbers) {
  std::string bytes;
  for (const uint16_t number : numbers)
    bytes += {static_cast<char>(number >> 8), static_cast<char>(number)};
  return bytes;
}

std::vector<Feature> grant(const std::string& asked, FeatureSet offered) {
  std::vector<Feature> granted;
  EXPECT_TRUE(grant_features(asked, offered, granted));
  return granted;
}

TEST(Features, AreGrantedOnceInTheOrderOfTheRequest) {
  const FeatureSet offered(Feature::xattr, Feature::json, Feature::snappy);
  EXPECT_EQ(grant(asking({0x0b, 0x06, 0x0b, 0x12, 0xffff}), offered),
            (std::vector{Feature::json, Feature::xattr}));
  EXPECT_EQ(grant("", offered), std::vector<Feature>());
}

TEST(Features, OneOfTwoThatExcludeEachOther) {
  const FeatureSet offered(Feature::tcp_nodelay, Feature::tcp_delay);
  EXPECT_EQ(grant(asking({5, 3}), offered), std::vector{Feature::tcp_delay});
  EXPECT_EQ(grant(asking({3, 5}), offered), std::vector{Feature::tcp_nodelay});
}

TEST(Features, OnlyWithWhatTheyBuildOn) {
  const FeatureSet offered(Feature::duplex, Feature::clustermap_change_notification, Feature::snappy,
                           Feature::snappy_everywhere);
  EXPECT_EQ(grant(asking({0x0d, 0x13}), offered), std::vector<Feature>());
  EXPECT_EQ(grant(asking({0x0d, 0x0c, 0x13, 0x0a}), offered),
            (std::vector{Feature::clustermap_change_notification, Feature::duplex, Feature::snappy_everywhere,
                         Feature::snappy}));
}

TEST(Features, OfAttributesOnlyWithAttributes) {
  const FeatureSet offered(Feature::xattr, Feature::json, Feature::snappy, Feature::snappy_everywhere,
                           Feature::range_scan_include_xattr, Feature::get_random_key_include_xattr);
  EXPECT_EQ(grant(asking({0x22, 0x24}), offered), std::vector<Feature>());
  EXPECT_EQ(grant(asking({0x22, 0x24, 0x06, 0x0b}), offered),
            (std::vector{Feature::range_scan_include_xattr, Feature::xattr, Feature::json}));
  EXPECT_EQ(grant(asking({0x24, 0x06, 0x0b, 0x0a, 0x13}), offered),
            (std::vector{Feature::get_random_key_include_xattr, Feature::xattr, Feature::json,
                         Feature::snappy, Feature::snappy_everywhere}));
}

TEST(Features, AnOddNumberOfBytesIsRefused) {
  std::vector<Feature> granted{Feature::json};
  EXPECT_FALSE(grant_features(asking({0x0b}) + "x", FeatureSet(Feature::json), granted));
  EXPECT_TRUE(granted.empty());
}

}  // namespace
}  // namespace bobbin::wire
