#include "store/document_locks.h"

#include <gtest/gtest.h>

#include <string>

#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

class DocumentLocksTest : public testing::Test, protected BucketFixture {
 protected:
  DocumentLocksTest() : BucketFixture(one_vbucket()) {}
  static BucketOptions one_vbucket() {
    BucketOptions options = small_options();
    options.vbuckets = 1;
    return options;
  }
  LockStatus lock(const std::string& key) { return bucket().lock(key, 10, now()).status; }
};

TEST_F(DocumentLocksTest, SoManyHoldAndWhatIsOverMakesRoom) {
  for (size_t i = 0; i <= DocumentLocks::kMaxEntries; ++i)
    set(numbered("k", static_cast<int64_t>(i)), "v");
  for (size_t i = 0; i < DocumentLocks::kMaxEntries; ++i)
    ASSERT_EQ(lock(numbered("k", static_cast<int64_t>(i))), LockStatus::locked);
  const std::string last = numbered("k", int64_t{DocumentLocks::kMaxEntries});
  EXPECT_EQ(lock(last), LockStatus::no_memory);
  EXPECT_TRUE(bucket().remove("k3", {.cas_compare = bucket().fetch("k3", now()).cas}, now()).status ==
              RemoveStatus::removed);
  EXPECT_EQ(lock(last), LockStatus::locked);
  set("k3", "v");
  EXPECT_EQ(lock("k3"), LockStatus::no_memory);
  clock().advance_s(10);
  EXPECT_EQ(lock("k3"), LockStatus::locked);
  EXPECT_EQ(lock("k0"), LockStatus::locked);
}

TEST_F(DocumentLocksTest, ADocumentsEndIsTheLocksEnd) {
  set("k", "v", in(5));
  EXPECT_EQ(lock("k"), LockStatus::locked);
  clock().advance_s(5);
  EXPECT_EQ(get("k"), "<miss>");
  set("k", "v");
  EXPECT_FALSE(bucket().fetch("k", now()).locked);
  EXPECT_EQ(lock("k"), LockStatus::locked);
  bucket().flush(now());
  set("k", "v");
  EXPECT_EQ(bucket().unlock("k", 1, now()), LockStatus::not_locked);
}

// Two threads' view: the document is locked between the look at it and the change.
TEST_F(DocumentLocksTest, TheMarksOfADocumentThatIsCopiedDoNotLockTheCopy) {
  set("k", "5");
  const LockResult locked = bucket().lock("k", 10, now());
  ArithmeticOptions options;
  options.cas_compare = locked.found.cas;
  EXPECT_EQ(bucket().arithmetic("k", options, now()).status, ArithmeticStatus::stored);
  EXPECT_FALSE(bucket().fetch("k", now()).locked);
  EXPECT_EQ(bucket().arithmetic("k", {}, now()).status, ArithmeticStatus::stored);
}

}  // namespace
}  // namespace bobbin::store
