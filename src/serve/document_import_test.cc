// Documents that come from files: what there is stays, and whoever brings them waits for the disk.

#include "serve/document_import.h"

#include <gtest/gtest.h>

#include <string>

#include "disk/disk_test_support.h"
#include "store/manifest.h"

namespace bobbin::serve {
namespace {

constexpr uint64_t kMiB = 1 << 20;
using Outcome = DocumentImport::Outcome;

class DocumentImportTest : public testing::Test {
 protected:
  std::unique_ptr<ServedBucket> in_memory(uint64_t quota_bytes = 64 * kMiB) {
    ServedBucketOptions options;
    options.cache.vbuckets = 4;
    options.cache.quota_bytes = quota_bytes;
    options.cache.evict = false;
    return started(std::move(options));
  }
  std::unique_ptr<ServedBucket> on_disk(store::EvictionPolicy eviction, uint64_t quota_bytes = 64 * kMiB) {
    disk::PersistenceOptions persistence;
    persistence.directory.path = folder_.path();
    persistence.directory.shards = 1;
    persistence.directory.vbuckets = 4;
    persistence.directory.memory_bytes = 8 * kMiB;
    persistence.bucket.type = store::BucketType::persistent;
    persistence.bucket.eviction = eviction;
    persistence.bucket.quota_bytes = quota_bytes;
    persistence.max_dirty_bytes = kMiB / 4;
    persistence.readers = 1;
    auto disk = disk::Persistence::open(std::move(persistence));
    EXPECT_TRUE(disk);
    ServedBucketOptions options;
    options.disk = std::move(*disk);
    return started(std::move(options));
  }
  std::unique_ptr<ServedBucket> started(ServedBucketOptions options) {
    auto bucket = std::make_unique<ServedBucket>(std::move(options), clock_);
    bucket->start();
    return bucket;
  }
  Outcome add(DocumentImport& import, store::DocKey key, std::string_view json) {
    const auto outcome = import.add(key, json);
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome.value_or(Outcome::kept);
  }

  base::SystemClock clock_;
  disk::TemporaryFolder folder_;
};

TEST_F(DocumentImportTest, what_is_there_stays) {
  const auto bucket = in_memory();
  DocumentImport import(*bucket, clock_);
  EXPECT_EQ(add(import, "k", "1"), Outcome::added);
  EXPECT_EQ(add(import, "k", "2"), Outcome::kept);
  const store::Fetched found = bucket->bucket().fetch("k", clock_.now());
  ASSERT_TRUE(found.doc);
  EXPECT_EQ(found.doc->value(), "1");
  EXPECT_EQ(found.doc->flags(), DocumentImport::kJsonFlags);
  EXPECT_EQ(found.doc->datatype(), 1);
  EXPECT_TRUE(import.finish());
}

TEST_F(DocumentImportTest, a_document_without_room_is_an_error) {
  const auto bucket = in_memory(2 * kMiB);
  DocumentImport import(*bucket, clock_);
  const std::string value(kMiB, '1');
  EXPECT_EQ(add(import, "k1", value), Outcome::added);
  const auto refused = import.add("k2", value);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, disk::ErrorKind::config);
  EXPECT_NE(refused.error().message.find("no room"), std::string::npos) << refused.error().message;
  EXPECT_NE(import.add("k3", std::string(kMiB + 1, '1')).error().message.find("--max-item-size"),
            std::string::npos);
  EXPECT_EQ(import.add({99, "k"}, "1").error().message, "its collection is not there");
}

// More than the memory takes: values go to the disk and out of memory on the way.
TEST_F(DocumentImportTest, goes_on_as_fast_as_the_disk) {
  const auto bucket = on_disk(store::EvictionPolicy::full, 4 * kMiB);
  DocumentImport import(*bucket, clock_);
  const std::string value(64 * 1024, '1');
  for (int i = 0; i < 200; ++i)
    ASSERT_EQ(add(import, "k" + std::to_string(i), value), Outcome::added) << i;
  ASSERT_TRUE(import.finish());
  EXPECT_FALSE(bucket->disk()->has_uncommitted());
  // With full eviction the disk is asked whether they are there.
  for (int i = 0; i < 200; ++i)
    ASSERT_EQ(add(import, "k" + std::to_string(i), "2"), Outcome::kept) << i;
  EXPECT_EQ(bucket->bucket().statistics().items, 200U);
  EXPECT_TRUE(bucket->close());
}

TEST_F(DocumentImportTest, what_was_finished_survives_a_crash) {
  {
    const auto bucket = on_disk(store::EvictionPolicy::value);
    DocumentImport import(*bucket, clock_);
    EXPECT_EQ(add(import, "k", "{}"), Outcome::added);
    ASSERT_TRUE(import.finish());
  }
  const auto bucket = on_disk(store::EvictionPolicy::value);
  DocumentImport import(*bucket, clock_);
  EXPECT_EQ(add(import, "k", "{}"), Outcome::kept);
}

}  // namespace
}  // namespace bobbin::serve
