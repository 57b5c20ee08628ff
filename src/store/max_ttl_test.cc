// How long documents of a bucket live at most, where their collection says nothing of it.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string_view>

#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

class MaxTtlTest : public testing::Test, protected BucketFixture {
 protected:
  CollectionId create(std::string_view name, std::optional<uint32_t> max_ttl_s) {
    const auto made = std::make_shared<const Manifest>(
        bucket().manifest()->with_collection("_default", name, max_ttl_s).value());
    bucket().set_manifest(made, now());
    return made->collection("_default", name)->id;
  }
  uint32_t stored(CollectionId id, uint32_t asked = 0) { return set({id, "k"}, "1", asked).expiry; }
};

TEST_F(MaxTtlTest, TheBucketsHoldsWhereACollectionHasNone) {
  bucket().set_max_ttl(30);
  EXPECT_EQ(stored(0), in(30)) << "also where there never was another collection";
  EXPECT_EQ(stored(0, in(9)), in(9));
  const CollectionId plain = create("plain", std::nullopt);
  const CollectionId shorter = create("shorter", 10);
  const CollectionId unlimited = create("unlimited", 0);
  EXPECT_EQ(stored(0), in(30));
  EXPECT_EQ(stored(plain, in(31)), in(30));
  EXPECT_EQ(stored(shorter), in(10));
  EXPECT_EQ(stored(unlimited), 0U);
  EXPECT_EQ(bucket().touch({plain, "k"}, 0, now()).status, TouchStatus::touched);
  EXPECT_EQ(bucket().fetch({plain, "k"}, {}, now()).expiry, in(30));
  bucket().set_max_ttl(0);
  EXPECT_EQ(stored(0), 0U);
  EXPECT_EQ(stored(plain), 0U);
  EXPECT_EQ(stored(shorter), in(10));
}

}  // namespace
}  // namespace bobbin::store
