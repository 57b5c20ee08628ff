// A flush_all that is still to come, over restarts: what was written before its moment goes, what comes after
// it stays.

#include <gtest/gtest.h>

#include <string>

#include "store/persistence_test_support.h"
#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

class DelayedFlush : public testing::TestWithParam<EvictionPolicy>, protected BucketOnDisk {
 protected:
  DelayedFlush() : BucketOnDisk(options()) {}

  static BucketOptions options() {
    BucketOptions options = BucketFixture::small_options();
    options.type = BucketType::persistent;
    options.eviction = GetParam();
    options.vbuckets = 16;
    return options;
  }
  void flush_at(uint32_t seconds) { bucket().flush_at(in(seconds), now()); }
  /// A key of another vbucket than `key`.
  std::string far_from(const std::string& key) {
    for (int i = 0;; ++i) {
      std::string other = "other" + std::to_string(i);
      if (bucket().vbucket_of(other) != bucket().vbucket_of(key)) return other;
    }
  }
};

std::string policy_name(const testing::TestParamInfo<EvictionPolicy>& tested) {
  return tested.param == EvictionPolicy::value ? "Value" : "Full";
}
INSTANTIATE_TEST_SUITE_P(Eviction, DelayedFlush, testing::Values(EvictionPolicy::value, EvictionPolicy::full),
                         policy_name);

TEST_P(DelayedFlush, ComesAfterARestart) {
  set("k", "v");
  flush_at(10);
  EXPECT_EQ(bucket().unsaved_flush_moments(), 16U);
  flush_to_disk();
  EXPECT_EQ(bucket().unsaved_flush_moments(), 0U);
  crash();
  EXPECT_EQ(bucket().arm_sweep_waker().flush_deadline_s, in(10));
  clock().advance_s(9);
  EXPECT_EQ(get("k"), "v");
  set("later", "v");
  clock().advance_s(1);
  EXPECT_EQ(get("k"), "<miss>");
  EXPECT_EQ(get("later"), "<miss>");
  EXPECT_EQ(bucket().arm_sweep_waker().flush_deadline_s, 0U);
}

TEST_P(DelayedFlush, ThatWasNotOnDiskIsForgottenByACrash) {
  set("k", "v");
  flush_to_disk();
  flush_at(10);
  crash();
  clock().advance_s(20);
  EXPECT_EQ(get("k"), "v");
}

TEST_P(DelayedFlush, WhoseMomentComesWhileItIsDownIsDoneOnce) {
  set("k", "v");
  flush_at(10);
  flush_to_disk();
  clock().advance_s(20);
  crash();
  EXPECT_EQ(get("k"), "<miss>");
  EXPECT_EQ(bucket().statistics().items, 0U);
  set("new", "v");
  flush_to_disk();
  crash();
  EXPECT_EQ(get("new"), "v");
  EXPECT_EQ(get("k"), "<miss>");
}

TEST_P(DelayedFlush, ThatACrashCutsInTwoTakesNothingThatCameAfterIt) {
  const std::string far = far_from("near");
  set("near", "old");
  set(far, "old");
  flush_at(10);
  flush_to_disk();
  clock().advance_s(10);
  set("near", "new");
  disk().flush(bucket(), bucket().vbucket_of("near"), now());
  crash();
  EXPECT_EQ(get("near"), "new");
  EXPECT_EQ(get(far), "<miss>");
}

TEST_P(DelayedFlush, IsReplacedByALaterOne) {
  set("k", "v");
  flush_at(10);
  flush_to_disk();
  flush_at(30);
  EXPECT_EQ(bucket().unsaved_flush_moments(), 16U);
  flush_to_disk();
  crash();
  clock().advance_s(29);
  EXPECT_EQ(get("k"), "v");
  clock().advance_s(1);
  EXPECT_EQ(get("k"), "<miss>");
}

TEST_P(DelayedFlush, OfWhichOnlyAPartWasReplacedGoesByVBuckets) {
  const std::string far = far_from("near");
  set("near", "v");
  set(far, "v");
  flush_at(10);
  flush_to_disk();
  flush_at(30);
  disk().flush(bucket(), bucket().vbucket_of("near"), now());
  crash();
  clock().advance_s(10);
  EXPECT_EQ(get(far), "<miss>");
  EXPECT_EQ(get("near"), "v");
  EXPECT_EQ(bucket().arm_sweep_waker().flush_deadline_s, in(20));
  clock().advance_s(20);
  EXPECT_EQ(get("near"), "<miss>");
}

TEST_P(DelayedFlush, IsCancelledByOneThatComesAtOnce) {
  set("k", "v");
  flush_at(10);
  flush_to_disk();
  bucket().flush(now());
  EXPECT_GT(bucket().unsaved_flush_moments(), 0U);  // of vbuckets that had nothing to flush
  set("k", "new");
  flush_to_disk();
  EXPECT_EQ(bucket().unsaved_flush_moments(), 0U);
  crash();
  clock().advance_s(20);
  EXPECT_EQ(get("k"), "new");
}

TEST_P(DelayedFlush, LeavesOutWhatCannotBeWritten) {
  set("k", "v");
  flush_to_disk();
  flush_at(10);
  for (uint32_t i = 0; i < bucket().vbucket_count(); ++i)
    bucket().refuse_changes(static_cast<uint16_t>(i));
  EXPECT_EQ(bucket().unsaved_flush_moments(), 0U);
  clock().advance_s(20);
  EXPECT_EQ(get("k"), "v");
}

}  // namespace
}  // namespace bobbin::store
