#include "feed/stream_filter.h"

#include <gtest/gtest.h>

namespace bobbin::feed {
namespace {

using store::CollectionEvent;
using store::EventKind;

// Collections 8 and 9 in the default scope, 10 in scope 8, which is called s.
store::Manifest manifest() {
  const auto with_scope = store::Manifest().with_scope("s");
  const auto one = with_scope->with_collection("_default", "a", std::nullopt);
  const auto two = one->with_collection("_default", "b", std::nullopt);
  return *two->with_collection("s", "c", std::nullopt);
}

TEST(StreamFilterTest, WhoKnowsNoCollectionsSeesTheDefaultOne) {
  StreamFilter filter = *StreamFilter::make(false, {}, manifest());
  EXPECT_TRUE(filter.passes(0));
  EXPECT_FALSE(filter.passes(8));
  EXPECT_FALSE(filter.passes(CollectionEvent{.kind = EventKind::collection_created, .collection = 11}));
}

TEST(StreamFilterTest, WithoutAFilterAllPasses) {
  StreamFilter filter = *StreamFilter::make(true, {}, manifest());
  EXPECT_TRUE(filter.passes(0));
  EXPECT_TRUE(filter.passes(99));
  EXPECT_TRUE(filter.passes(CollectionEvent{.kind = EventKind::scope_dropped, .scope = 8}));
  EXPECT_FALSE(filter.is_over());
}

TEST(StreamFilterTest, NamedCollectionsPassUntilTheyAreDropped) {
  wire::DcpFilter asked;
  asked.collections = {8, 10};
  StreamFilter filter = *StreamFilter::make(true, asked, manifest());
  EXPECT_TRUE(filter.passes(8));
  EXPECT_FALSE(filter.passes(9));
  EXPECT_FALSE(filter.passes(0));
  EXPECT_FALSE(filter.passes(CollectionEvent{.kind = EventKind::collection_dropped, .collection = 9}));
  EXPECT_TRUE(filter.passes(CollectionEvent{.kind = EventKind::collection_dropped, .collection = 8}));
  EXPECT_FALSE(filter.passes(8));
  EXPECT_FALSE(filter.is_over());
  EXPECT_TRUE(filter.passes(CollectionEvent{.kind = EventKind::collection_dropped, .collection = 10}));
  EXPECT_TRUE(filter.is_over());
}

TEST(StreamFilterTest, AScopeHasWhatIsMadeInIt) {
  wire::DcpFilter asked;
  asked.scope = 8;
  StreamFilter filter = *StreamFilter::make(true, asked, manifest());
  EXPECT_TRUE(filter.passes(10));
  EXPECT_FALSE(filter.passes(8));
  EXPECT_FALSE(filter.passes(CollectionEvent{.kind = EventKind::collection_created, .collection = 11}));
  EXPECT_TRUE(
      filter.passes(CollectionEvent{.kind = EventKind::collection_created, .scope = 8, .collection = 12}));
  EXPECT_FALSE(filter.passes(11));
  EXPECT_TRUE(filter.passes(12));
  EXPECT_TRUE(filter.passes(CollectionEvent{.kind = EventKind::scope_dropped, .scope = 8}));
  EXPECT_TRUE(filter.is_over());
}

TEST(StreamFilterTest, WhatIsNotThereCannotBeAskedFor) {
  wire::DcpFilter asked;
  asked.scope = 77;
  EXPECT_EQ(StreamFilter::make(true, asked, manifest()).error(), FilterError::unknown_scope);
  asked.scope.reset();
  asked.collections = {8, 77};
  EXPECT_EQ(StreamFilter::make(true, asked, manifest()).error(), FilterError::unknown_collection);
}

}  // namespace
}  // namespace bobbin::feed
