// Documents without attributes that were removed: the disk knows of their end for as long as it keeps it.

#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "disk/persistence_fixture.h"
#include "store/expiry.h"

namespace bobbin::disk {
namespace {

using store::EvictionPolicy;
using store::Fetched;

class RemovalsTest : public testing::TestWithParam<EvictionPolicy>, protected PersistenceFixture {
 protected:
  RemovalsTest() { options().bucket.eviction = GetParam(); }
  Fetched find(store::DocKey key) {
    return until_known(
        key, [&] { return bucket().fetch(key, {.finds_deleted = true, .needs_value = false}, now()); },
        [](const Fetched& found) { return found.would_block; });
  }
};

INSTANTIATE_TEST_SUITE_P(Eviction, RemovalsTest,
                         testing::Values(EvictionPolicy::value, EvictionPolicy::full));

TEST_P(RemovalsTest, TheyAreThereAfterARestart) {
  start();
  (void)set("k", "a");
  (void)set("k", "b");
  const store::RemoveResult removed = remove("k");
  const uint32_t then = now().unix_s();
  const auto check = [&] {
    const Fetched found = find("k");
    ASSERT_TRUE(found.deleted);
    EXPECT_EQ(found.cas, removed.cas);
    EXPECT_EQ(found.doc->revision(), 3U);
    EXPECT_EQ(found.doc->seqno(), removed.seqno);
    EXPECT_EQ(found.expiry, then);
    EXPECT_FALSE(find("other"));
    EXPECT_EQ(get("k"), "<miss>");
  };
  check();
  flush_to_disk();
  check();
  for (const bool clean : {true, false}) {
    clock().advance_s(7);
    if (clean) {
      close();
    } else {
      flush_to_disk();
      crash();
    }
    start();
    check();
    wait_for_warmup();
    check();
    EXPECT_EQ(items(), 0U);
  }
  EXPECT_GT(set("k", "v").revision, 3U);
  close();
}

TEST_P(RemovalsTest, WhatACompactionHasForgottenWasNeverThere) {
  start();
  (void)set("k", "a");
  (void)remove("k");
  restart();
  wait_for_warmup();
  EXPECT_TRUE(find("k").deleted);
  clock().advance_s(store::kTombstoneAgeS + 1);
  EXPECT_FALSE(find("k"));
  restart();
  const uint16_t vbucket = bucket().vbucket_of("k");
  std::atomic<bool> canceled{false};
  // The first tells what the second may forget, once that is on disk.
  ASSERT_TRUE(there().compact(vbucket, canceled));
  (void)set("k", "b");
  (void)remove("k");
  flush_to_disk();
  ASSERT_TRUE(there().compact(vbucket, canceled));
  EXPECT_TRUE(find("k").deleted) << "it was removed anew";
  EXPECT_FALSE(find("other"));
  close();
}

}  // namespace
}  // namespace bobbin::disk
