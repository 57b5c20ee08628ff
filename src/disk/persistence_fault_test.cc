// What a persistent bucket does when its disk fails: nothing is told to be on disk that is not, everybody who
// waits is called, reads go on, and a restart has what was acknowledged.

#include <atomic>
#include <filesystem>

#include "disk/faulty_files.h"
#include "disk/persistence_fixture.h"

namespace bobbin::disk {
namespace {

using store::EvictionPolicy;
using store::StoreStatus;

const std::string kLong(500, 'x');

class PersistenceFaultTest : public testing::Test, protected PersistenceFixture {
 protected:
  PersistenceFaultTest() { options().directory.files = files_; }
  void a_failed_commit(const Fault& fault) {
    start();
    const uint16_t vbucket = bucket().vbucket_of("before");
    const auto kept = set("before", kLong);
    ASSERT_TRUE(wait_until_persisted(vbucket, kept.seqno));
    files_->inject(fault);
    const auto lost = set("before", "lost");
    ASSERT_TRUE(lost.ok());
    EXPECT_FALSE(wait_until_persisted(vbucket, lost.seqno));
    EXPECT_EQ(bucket().persisted_seqno(vbucket), kept.seqno);
    EXPECT_FALSE(there().writable(vbucket));
    ASSERT_TRUE(there().failure());
    EXPECT_EQ(there().failure()->kind, fault.kind);
    EXPECT_EQ(there().statistics().commit_failures, 1U);
    // For good: the disk may work again, what it has nobody knows.
    files_->heal();
    EXPECT_EQ(set("before", "later").status, StoreStatus::no_memory);
    EXPECT_EQ(bucket().remove("before", {}, now()).status, store::RemoveStatus::no_memory);
    bucket().flush(now());
    EXPECT_EQ(get("before"), "lost");
    std::promise<void> called;
    there().after_commit(vbucket, [&] { called.set_value(); });
    called.get_future().wait();
    EXPECT_FALSE(try_close());
    start();
    EXPECT_FALSE(there().failure());
    const std::string found = get("before");
    EXPECT_TRUE(found == kLong || found == "lost");
    EXPECT_EQ(items(), 1U);
    EXPECT_TRUE(set("before", "works").ok());
    flush_to_disk();
    close();
  }

  std::shared_ptr<FaultyFiles> files_ = std::make_shared<FaultyFiles>();
};

TEST_F(PersistenceFaultTest, AFailedSync) {
  a_failed_commit({FileOperation::sync, ErrorKind::io, ".log", 0});
}
TEST_F(PersistenceFaultTest, AFailedWrite) {
  a_failed_commit({FileOperation::write, ErrorKind::io, ".log", 0});
}
TEST_F(PersistenceFaultTest, AFullDisk) {
  a_failed_commit({FileOperation::write, ErrorKind::no_space, ".log", 0});
}

TEST_F(PersistenceFaultTest, OtherShardsGoOn) {
  start();
  flush_to_disk();
  files_->inject({FileOperation::sync, ErrorKind::io, "shard-0", 0});
  uint64_t stored = 0;
  uint64_t refused = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string key = "key" + std::to_string(i);
    const uint16_t vbucket = bucket().vbucket_of(key);
    const auto result = set(key, kLong);
    if (result.ok() && wait_until_persisted(vbucket, result.seqno)) {
      ++stored;
      EXPECT_EQ(vbucket % 2, 1);
    } else {
      ++refused;
      EXPECT_EQ(vbucket % 2, 0);
      EXPECT_FALSE(there().writable(vbucket));
    }
  }
  EXPECT_GT(stored, 10U);
  EXPECT_GT(refused, 10U);
  EXPECT_FALSE(there().over_dirty_limit());
}

TEST_F(PersistenceFaultTest, WhatNoCommitTakesCountsForNoLimit) {
  options().max_dirty_bytes = 10'000;
  options().linger = std::chrono::hours(1);
  start();
  files_->inject({FileOperation::sync, ErrorKind::io, ".log", 0});
  for (int i = 0; i < 100; ++i)
    (void)set("key" + std::to_string(i), kLong);
  for (int i = 0; i < 10'000 && (there().writable(0) || there().writable(1)); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_FALSE(there().writable(0));
  EXPECT_FALSE(there().writable(1));
  for (int i = 0; i < 10'000 && there().over_dirty_limit(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_FALSE(there().over_dirty_limit());
  EXPECT_GT(bucket().dirty_bytes(), 10'000U);
}

TEST_F(PersistenceFaultTest, ADirectoryThatCannotBeWrittenCanBeRead) {
  start();
  (void)set("k", kLong);
  close();
  open();
  files_->inject({FileOperation::write, ErrorKind::no_space, ".log", 0});
  there().start();
  ASSERT_TRUE(there().failure());
  EXPECT_EQ(there().failure()->kind, ErrorKind::no_space);
  EXPECT_EQ(set("k", "new").status, StoreStatus::no_memory);
  EXPECT_EQ(get("k"), kLong);
  EXPECT_EQ(get("absent"), "<miss>");
  wait_for_warmup();
  EXPECT_FALSE(try_close());
  files_->heal();
  start();
  EXPECT_EQ(get("k"), kLong);
}

// RocksDB writes when it opens: a manifest, and a log that it replays.
TEST_F(PersistenceFaultTest, ADirectoryThatCannotBeOpenedForWritingCanBeRead) {
  const Fault faults[] = {{FileOperation::write, ErrorKind::no_space, "MANIFEST", 0},
                          {FileOperation::write, ErrorKind::no_space, ".sst", 0},
                          {FileOperation::sync, ErrorKind::io, "MANIFEST", 0}};
  for (const Fault& fault : faults) {
    start();
    const auto stored = set("k", kLong);
    ASSERT_TRUE(wait_until_persisted(bucket().vbucket_of("k"), stored.seqno));
    crash();
    files_->inject(fault);
    start();
    ASSERT_TRUE(there().failure());
    EXPECT_EQ(there().failure()->kind, fault.kind);
    EXPECT_NE(there().failure()->message.find(fault.path_part), std::string::npos);
    EXPECT_EQ(get("k"), kLong);
    EXPECT_EQ(set("k", "new").status, StoreStatus::no_memory);
    wait_for_warmup();
    EXPECT_EQ(items(), 1U);
    EXPECT_FALSE(try_close());
    files_->heal();
    start();
    EXPECT_FALSE(there().failure());
    EXPECT_EQ(get("k"), kLong);
    close();
  }
}

TEST_F(PersistenceFaultTest, AnEvictedDocumentIsFetchedFromAShardThatIsSealed) {
  options().bucket.eviction = EvictionPolicy::full;
  start_warm();
  for (int i = 0; i < 10; ++i)
    (void)set("key" + std::to_string(i), kLong);
  flush_to_disk();
  files_->inject({FileOperation::sync, ErrorKind::io, ".log", 0});
  for (int i = 10; i < 20; ++i) {
    const std::string key = "key" + std::to_string(i);
    const auto stored = set(key, kLong);
    if (stored.ok()) {
      EXPECT_FALSE(wait_until_persisted(bucket().vbucket_of(key), stored.seqno));
    }
  }
  evict();
  evict();
  EXPECT_GE(bucket().statistics().items_on_disk_only, 10U);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(get("key" + std::to_string(i)), kLong) << i;
}

TEST_F(PersistenceFaultTest, AReadThatFailsIsNoMiss) {
  start();
  (void)set("k", kLong);
  close();
  files_->inject({FileOperation::read, ErrorKind::io, ".sst", 1000});
  open();
  files_->heal();
  files_->inject({FileOperation::read, ErrorKind::io, ".sst", 0});
  there().start();
  const auto fetching = fetch("k");
  EXPECT_TRUE(fetching->failed());
  EXPECT_EQ(get("k"), "<failed>");
  EXPECT_GE(there().statistics().fetch_failures, 1U);
  wait_for_warmup();
  EXPECT_TRUE(there().warmup().failed);
  // What could not be read is asked for again.
  files_->heal();
  EXPECT_EQ(get("k"), kLong);
  EXPECT_EQ(items(), 1U);
}

TEST_F(PersistenceFaultTest, ADamagedBlockCostsTheWarmupOnlyItsVBuckets) {
  options().directory.shards = 1;
  start();
  for (int i = 0; i < 4000; ++i)
    (void)set("key" + std::to_string(i), kLong + std::to_string(i * 7919));
  close();
  // In the middle of the largest table.
  std::string largest;
  uint64_t bytes = 0;
  for (const std::string& path : files_with(options().directory.path + "/shard-0", ".sst")) {
    if (std::filesystem::file_size(path) <= bytes) continue;
    largest = path;
    bytes = std::filesystem::file_size(path);
  }
  std::string table = contents(largest);
  table[table.size() / 3] = static_cast<char>(table[table.size() / 3] ^ 0x10);
  write_contents(largest, table);
  start();
  wait_for_warmup();
  const WarmupProgress progress = there().warmup();
  EXPECT_TRUE(progress.failed);
  EXPECT_EQ(progress.vbuckets_done, 16U);
  EXPECT_GT(progress.items_loaded, 3000U);
  EXPECT_EQ(items(), 4000U);
  int found = 0;
  int failed = 0;
  for (int i = 0; i < 4000; ++i) {
    const std::string value = get("key" + std::to_string(i));
    ASSERT_NE(value, "<miss>") << i;
    (value == "<failed>" ? failed : found)++;
  }
  EXPECT_GT(failed, 0);
  EXPECT_LT(failed, 200);
  EXPECT_TRUE(set("key1", "new").ok());
  EXPECT_EQ(get("not there at all"), "<miss>");
}

}  // namespace
}  // namespace bobbin::disk
